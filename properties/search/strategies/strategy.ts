/** A strategy only chooses; the walker runs, judges, counts and limits. */
import type { Way } from '../learned.ts';
import type { Random } from '../random.ts';

/** Chooses the next step of one run. `ways` is never empty and only valid during the call. */
export interface Picker {
  pick(ways: readonly Way[], step: number): Way;
}
/** A strategy that walks, run after run. */
export interface WalkStrategy {
  readonly kind: 'walk';
  readonly name: string;
  readonly says: string;
  /** A picker for one run of at most `steps` steps of `threads` threads. */
  begin(random: Random, threads: number, steps: number): Picker;
}

/** A strategy that sweeps the design's own workload, once, as far as its share of the budget goes. */
export interface SweepStrategy {
  readonly kind: 'sweep';
  readonly name: string;
  readonly says: string;
}
export type Strategy = WalkStrategy | SweepStrategy;

/** Of the ways of one thread, one: the tamest, or with this probability any of the others. */
export function weather(random: Random, ways: readonly Way[], threadAt: number, rough: number): Way {
  let seen = 0;
  let chosen: Way | undefined;
  for (const way of ways) {
    if (way.threadAt !== threadAt) continue;
    if (chosen === undefined) chosen = way;
    else if (random.below((seen += 1)) === 0 && random.chance(rough)) chosen = way;
  }
  return chosen as Way;
}
