/**
 * Probabilistic concurrency testing, as published (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010).
 *
 * n threads get distinct random priorities d … d + n - 1; d - 1 change points are drawn uniformly from the k steps, and
 * point i carries priority i. The enabled thread of highest priority always runs; the thread that is about to take
 * step k_i drops to priority i first. A bug of depth d is then hit with probability at least 1 / (n · k^(d-1)).
 * The pairing of point and priority is essential: a later demotion may land above or below an earlier one.
 */
import type { Way } from '../learned.ts';
import type { WalkStrategy } from './strategy.ts';
import { weather } from './strategy.ts';

/** The scheduler itself: which of the enabled threads takes step number `step`, counted from 1. */
export class PctScheduler {
  private readonly priorities: number[];
  private readonly changePoints: readonly number[];

  /** @param priorities by thread number, distinct and all above the number of change points */
  constructor(priorities: readonly number[], changePoints: readonly number[]) {
    this.priorities = [...priorities];
    this.changePoints = changePoints;
  }
  next(enabled: readonly number[], step: number): number {
    for (let index = 0; index < this.changePoints.length; index += 1)
      if (this.changePoints[index] === step) this.priorities[this.highest(enabled)] = index + 1;
    return this.highest(enabled);
  }
  private highest(enabled: readonly number[]): number {
    let best = enabled[0] as number;
    for (const thread of enabled)
      if ((this.priorities[thread] as number) > (this.priorities[best] as number)) best = thread;
    return best;
  }
}

/** Depths that runs are made for, in turn by chance; most concurrency bugs have a depth of 3 or less. */
const DEPTHS = [2, 3, 4];

export const pct: WalkStrategy = {
  kind: 'walk',
  name: 'pct',
  says: 'priorities with d - 1 change points, as published: finds a bug of depth d with probability 1/(n·k^(d-1)) or more',
  begin(random, threads, steps, lore) {
    const depth = DEPTHS[random.below(DEPTHS.length)] as number;
    const order = random.shuffled(Array.from({ length: threads }, (_, thread) => thread + depth));
    const points = Array.from({ length: depth - 1 }, () => 1 + random.below(steps));
    const scheduler = new PctScheduler(order, points);
    const rough = lore?.rough ?? ([0.1, 0.5, 0.9][random.below(3)] as number);
    const enabled: number[] = [];
    return {
      depth,
      pick(ways, step): Way {
        enabled.length = 0;
        for (const { threadAt } of ways) if (enabled.at(-1) !== threadAt) enabled.push(threadAt);
        return weather(random, ways, scheduler.next(enabled, step + 1), rough);
      },
    };
  },
};
