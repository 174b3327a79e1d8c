/** Repeat the verdict of a sweep by searches that have little in common with it. */
import { type Audit, audit } from '../../properties/search/audit.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import type { SweepDone } from './sweep.ts';
import { type Common, counting } from './task.ts';

export interface AuditTask extends Common {
  readonly kind: 'audit';
  readonly patient: boolean;
  readonly reduced: boolean;
  readonly verdict: SweepDone;
}

export async function auditing({
  setting,
  properties,
  counters,
  patient,
  reduced,
  verdict,
}: AuditTask): Promise<Audit> {
  const booted = await bootSetting(setting);
  const swept = { ...verdict, witnesses: new Set(verdict.witnesses) };
  let search = counting(counters);
  let states = 0;
  const progress = (now: number): void => {
    if (now < states) search = counting(counters); // the next of its searches
    states = now;
    search(now);
  };
  return audit(booted, chooseProperties(properties), swept, { patient, reduced, progress });
}
