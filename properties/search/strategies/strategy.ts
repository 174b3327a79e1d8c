/** A strategy only chooses; the walker runs, judges, counts and limits. */
import type { Turn, Way } from '../learned.ts';
import type { Random } from '../random.ts';
import type { Lore } from './lore.ts';

/**
 * Chooses the next step of one run. `ways` is never empty, in the order of the threads, and only valid during the call;
 * `turns` says of every thread what it is open for.
 */
export interface Picker {
  /** The depth of bug that a run is made for, where there is such a thing. */
  readonly depth?: number;
  pick(ways: readonly Way[], step: number, turns: readonly Turn[]): Way;
}
/** A strategy that walks, run after run. */
export interface WalkStrategy {
  readonly kind: 'walk';
  readonly name: string;
  readonly says: string;
  /** A picker for one run of at most `steps` steps of `threads` threads; without lore it draws what it needs. */
  begin(random: Random, threads: number, steps: number, lore?: Lore): Picker;
}

/** A strategy that sweeps the design's own workload, once, as far as its share of the budget goes. */
export interface SweepStrategy {
  readonly kind: 'sweep';
  readonly name: string;
  readonly says: string;
}
export type Strategy = WalkStrategy | SweepStrategy;

/** How many threads can move, of which these are the ways. */
export function moving(ways: readonly Way[]): number {
  let threads = 0;
  let last = -1;
  for (const { threadAt } of ways) {
    if (threadAt === last) continue;
    last = threadAt;
    threads += 1;
  }
  return threads;
}
/** The thread number `nth` of those that can move. */
export function nthMoving(ways: readonly Way[], nth: number): number {
  let left = nth;
  let last = -1;
  for (const { threadAt } of ways) {
    if (threadAt === last) continue;
    last = threadAt;
    if (left === 0) return threadAt;
    left -= 1;
  }
  return last;
}

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
