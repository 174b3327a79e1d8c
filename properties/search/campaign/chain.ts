/**
 * A chain: the batches of one setting, each of which begins with what those before it had found. What a batch must know
 * of them is folded from their records alone, so a chain can be taken up anywhere at any time.
 */
import type { Workload } from '../../../model/design.ts';
import { type Order, ordersOf } from '../strategies/lore.ts';
import type { BatchDone } from './batch.ts';
import { MOST_TIMES } from './features.ts';

/** A run that showed a feature before any other of its chain: up to the step that did. */
export interface Interesting {
  /** Which run of its batch. */
  readonly run: number;
  readonly strategy: string;
  readonly workload: Workload;
  readonly schedule: readonly string[];
}
/** What a batch must know of the batches before it. Structured clones of it are as good. */
export interface ChainState {
  readonly seen: ReadonlyMap<number, number>;
  /** Cases to mutate. */
  readonly pool: readonly Interesting[];
  readonly groups: ReadonlySet<string>;
  readonly witnesses: ReadonlySet<string>;
  readonly taken: ReadonlySet<string>;
  readonly offered: ReadonlySet<string>;
  /** What each strategy brought lately. */
  readonly worth: Readonly<Record<string, { readonly steps: number; readonly fresh: number }>>;
  /** Predicted circles in the order of locks. */
  readonly circles: readonly (readonly Order[])[];
}

/** Cases that are kept for mutation: the latest. */
const MOST_CASES = 64;
const MOST_CIRCLES = 8;
/** What a strategy brought counts this much after each further batch. */
const FADE = 0.84;
/** A chain is stale after this many batches in a row, and half of all its batches, that brought nothing new. */
const STALE = 10;

export class Chain implements ChainState {
  readonly seen = new Map<number, number>();
  pool: Interesting[] = [];
  readonly groups = new Set<string>();
  readonly witnesses = new Set<string>();
  readonly taken = new Set<string>();
  readonly offered = new Set<string>();
  worth: Record<string, { steps: number; fresh: number }> = {};
  circles: (readonly Order[])[] = [];
  /** Batches so far, and the last of them that brought anything new, counted from 1. */
  rounds = 0;
  lastNews = 0;
  /** Batches in a row that could not be played. */
  brokenInARow = 0;

  /** Take in the record of the next batch. */
  add(done: BatchDone): void {
    this.rounds += 1;
    this.brokenInARow = 0;
    if (done.fresh.length > 0 || done.found.length > 0) this.lastNews = this.rounds;
    for (const [feature, , times] of done.fresh) this.seen.set(feature, times);
    for (const [feature, times] of done.again)
      this.seen.set(feature, Math.min(MOST_TIMES, (this.seen.get(feature) ?? 0) + times));
    this.pool = [...this.pool, ...done.cases].slice(-MOST_CASES);
    for (const { group, blame } of done.found) {
      this.groups.add(group);
      if (blame.property === 'lock-order') this.circles = [...this.circles, ordersOf(blame)].slice(-MOST_CIRCLES);
    }
    for (const name of done.witnesses) this.witnesses.add(name);
    for (const name of done.taken) this.taken.add(name);
    for (const name of done.offered) this.offered.add(name);
    const names = new Set([...Object.keys(this.worth), ...Object.keys(done.yields)]);
    this.worth = Object.fromEntries(
      [...names].sort().map((name) => {
        const before = this.worth[name] ?? { steps: 0, fresh: 0 };
        const now = done.yields[name] ?? { steps: 0, fresh: 0 };
        return [name, { steps: before.steps * FADE + now.steps, fresh: before.fresh * FADE + now.fresh }];
      }),
    );
  }
  /** The next batch could not be played: it is left out. */
  skip(): void {
    this.rounds += 1;
    this.brokenInARow += 1;
  }
  /** Has it brought nothing for so long that it is not worth going on? Of its records alone. */
  get stale(): boolean {
    return this.rounds - this.lastNews >= Math.max(STALE, this.rounds / 2);
  }
}
