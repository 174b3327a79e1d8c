/**
 * Cut the tail: everything after the verdict goes, and every word that could not be followed.
 *
 * Neither can matter: what comes later cannot have caused it, and an unusable word changes nothing. So this needs no
 * proposal; the driver does it to every case that it accepts, and passes may rely on it.
 */
import type { Case } from '../model/case.ts';
import type { Booted } from '../model/design.ts';
import { type Trace, traceOf } from './trace.ts';
import { withWords } from './words.ts';

/** @param after words until the verdict; more than the schedule has when it takes the loop */
export function cutTail(booted: Booted, run: Case, after: number, patient: boolean): { run: Case; trace: Trace } {
  const needed = after > run.schedule.length ? run : withWords(run, run.schedule.slice(0, after));
  const trace = traceOf(booted, needed, patient);
  const text = (steps: Trace['loop']): string[] => steps.map(({ word }) => word);
  return { run: withWords(needed, text(trace.schedule), text(trace.loop)), trace };
}
