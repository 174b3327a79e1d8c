/**
 * Partial order sampling, as published (Yuan, Yang, Gu, CAV 2018).
 *
 * The next step of every thread has a random priority; the enabled step of highest priority is taken, and then the
 * priorities of what races with it, and of the thread's own next step, are drawn afresh. Orders of steps that commute
 * do not dilute the sample, so partial orders, not interleavings, are what is sampled.
 *
 * Steps race when one writes what the other reads or writes: learned footprints say so, and nothing is declared.
 */
import type { Learned, Turn, Way } from '../learned.ts';
import type { Random } from '../random.ts';
import type { WalkStrategy } from './strategy.ts';
import { weather } from './strategy.ts';

/** The scheduler itself: priorities of the next step of each thread. */
export class PosScheduler {
  private readonly priorities: Float64Array;
  private readonly random: Random;

  constructor(threads: number, random: Random) {
    this.random = random;
    this.priorities = Float64Array.from({ length: threads }, () => random.fraction());
  }
  next(enabled: readonly number[]): number {
    let best = enabled[0] as number;
    for (const thread of enabled)
      if ((this.priorities[thread] as number) > (this.priorities[best] as number)) best = thread;
    return best;
  }
  /** The next step of this thread is another one, or races with one that was taken. */
  redraw(thread: number): void {
    this.priorities[thread] = this.random.fraction();
  }
}

/** Which turns race with which ways, thought about once each. */
class Races {
  private readonly known = new Map<number, boolean>();
  between(way: Way, by: Turn, other: Turn): boolean {
    const key = way.id * 0x200000 + other.id;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    if (this.known.size > MOST_PAIRS) this.known.clear();
    const answer = races(way, by, other);
    this.known.set(key, answer);
    return answer;
  }
  /** Of each machine, one for all its runs. */
  static of(learned: Learned): Races {
    const known = all.get(learned) ?? new Races();
    all.set(learned, known);
    return known;
  }
}
const MOST_PAIRS = 1 << 20;
const all = new WeakMap<Learned, Races>();

function races({ slots }: Way, by: Turn, other: Turn): boolean {
  for (const slot of slots) if (other.reads.has(slot) || other.writes.has(slot)) return true;
  for (const slot of other.writes) if (by.reads.has(slot)) return true;
  return false;
}

export const pos: WalkStrategy = {
  kind: 'walk',
  name: 'pos',
  says: 'partial order sampling, as published: random priorities, drawn afresh for what races with the step taken',
  begin(random, threads, _steps, lore) {
    const scheduler = new PosScheduler(threads, random);
    const rough = lore?.rough ?? 0;
    const raced = lore && Races.of(lore.learned);
    const enabled: number[] = [];
    return {
      pick(ways, _step, turns) {
        enabled.length = 0;
        for (const { threadAt } of ways) if (enabled.at(-1) !== threadAt) enabled.push(threadAt);
        const thread = scheduler.next(enabled);
        const way = weather(random, ways, thread, rough);
        const by = turns[thread] as Turn;
        for (const other of enabled)
          if (other === thread || raced?.between(way, by, turns[other] as Turn)) scheduler.redraw(other);
        return way;
      },
    };
  },
};
