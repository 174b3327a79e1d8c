/** How likely a failure had become along its counterexample: worked out, or counted when there is too much to search. */
import type { Booted } from '../../model/design.ts';
import type { Property } from '../../properties/property.ts';
import { type Odds, oddsAlong } from '../../properties/search/odds.ts';
import { toldPart } from '../../reports/html/finding.ts';
import type { Telling } from '../../reports/telling.ts';

export function oddsOf(booted: Booted, telling: Telling, properties: readonly Property[], patient: boolean): Odds {
  const { blame, workload } = telling;
  if (!blame) return { kind: 'none', why: 'nothing is broken' };
  const { schedule, loop } = toldPart(telling);
  const run = { design: telling.design, knobs: telling.knobs, workload, schedule, loop };
  return oddsAlong(booted, run, properties, blame, { patient });
}
