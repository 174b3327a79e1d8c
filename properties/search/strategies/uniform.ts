/**
 * Uniform random walk: every interleaving as likely as any other, as published (Zhao et al., Selectively Uniform
 * Concurrency Testing, ASPLOS 2025, its uniform core).
 *
 * A walk that gives each thread the same chance at every step makes orders in which one thread runs far ahead absurdly
 * rare. Here a thread's chance is in proportion to the steps it has still to take; where those counts are exact and
 * nobody blocks, every interleaving of n steps has the same probability. Counts are those of earlier runs, on average.
 */
import type { Random } from '../random.ts';
import type { WalkStrategy } from './strategy.ts';
import { weather } from './strategy.ts';

/** Of a thread that takes more steps than it did before. */
const LEAST = 0.5;

/** The scheduler itself. */
export class UniformScheduler {
  private readonly left: Float64Array;

  /** @param paces steps that each thread is expected to take */
  constructor(paces: Float64Array) {
    this.left = Float64Array.from(paces);
  }
  /** One of the enabled threads, in proportion to the steps that they have left; it takes one. */
  next(enabled: readonly number[], random: Random): number {
    let sum = 0;
    for (const thread of enabled) sum += this.of(thread);
    let ticket = random.fraction() * sum;
    let chosen = enabled[0] as number;
    for (const thread of enabled) {
      chosen = thread;
      ticket -= this.of(thread);
      if (ticket < 0) break;
    }
    this.left[chosen] = (this.left[chosen] as number) - 1;
    return chosen;
  }
  private of(thread: number): number {
    return Math.max(LEAST, this.left[thread] as number);
  }
}

export const uniformWalk: WalkStrategy = {
  kind: 'walk',
  name: 'uniform',
  says: 'every interleaving as likely as any other: threads move in proportion to the steps that they have left',
  begin(random, threads, _steps, lore) {
    const scheduler = new UniformScheduler(lore?.paces ?? new Float64Array(threads).fill(1));
    const rough = lore?.rough ?? 0;
    const enabled: number[] = [];
    return {
      pick(ways) {
        enabled.length = 0;
        for (const { threadAt } of ways) if (enabled.at(-1) !== threadAt) enabled.push(threadAt);
        return weather(random, ways, scheduler.next(enabled, random), rough);
      },
    };
  },
};
