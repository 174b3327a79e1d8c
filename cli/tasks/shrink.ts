/** Shrink one finding, and try to prove that it can be no shorter. */
import type { Case } from '../../model/case.ts';
import { boot } from '../../model/design.ts';
import type { Blame } from '../../properties/property.ts';
import { shrinkAndProve } from '../../shrinkers/shortest.ts';
import type { Want } from '../../shrinkers/shrink.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import type { Common } from './task.ts';

export interface ShrinkTask extends Common {
  readonly kind: 'shrink';
  readonly run: Case;
  readonly want: Want;
  /** Words that may be played, and states that each proof of minimality may search. */
  readonly budget: number;
  readonly maxStates: number;
}

export interface ShrinkDone {
  readonly run: Case;
  readonly runs: number;
  readonly steps: number;
  readonly complete: boolean;
  readonly why: string;
  /** 'proved', or 'not proved: ' and between what the shortest lies. */
  readonly shortest: string;
  /** What the proof says, or how far it came, and the states it searched. */
  readonly because: string;
  readonly searched: number;
  readonly others: readonly { readonly blame: Blame; readonly run: Case }[];
}

export async function shrinking({
  setting,
  properties,
  run,
  want,
  budget,
  maxStates,
}: ShrinkTask): Promise<ShrinkDone> {
  const booted = await bootSetting(setting);
  const request = { run, want, properties: chooseProperties(properties), budget, maxStates };
  const bootAt = (knobs: Case['knobs']) => (knobs === run.knobs ? booted : boot(booted.design, knobs));
  const shrunk = shrinkAndProve({ ...request, bootAt });
  return {
    run: shrunk.case,
    runs: shrunk.runs,
    steps: shrunk.steps,
    complete: shrunk.complete,
    why: shrunk.why,
    shortest: shrunk.proved
      ? 'proved'
      : `not proved: ${[shrunk.complete ? '' : shrunk.why, shrunk.because].filter((each) => each !== '').join('; ')}`,
    because: shrunk.because,
    searched: shrunk.searched,
    others: shrunk.others.map(({ blame, case: run }) => ({ blame, run })),
  };
}
