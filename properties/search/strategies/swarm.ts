/**
 * Swarm testing (Groce et al., ISSTA 2012): each run does without some of what there is, so that what is left happens
 * more often, and in rows that a run with everything in it would hardly ever make.
 *
 * Switched off are calls (by the draw of the workload), threads that need not begin, and faults. Half of the runs have
 * everything, because some bugs need it all.
 */
import type { Way } from '../learned.ts';
import { Random } from '../random.ts';
import type { Mask } from './lore.ts';
import type { WalkStrategy } from './strategy.ts';
import { moving, nthMoving, weather } from './strategy.ts';

/** May this way be taken in a run with these things switched off? What is owed always may, in its tamest way. */
function allowed({ thread, outcome, nature, tamest }: Way, { threads, coin }: Mask): boolean {
  if (!tamest && heads(outcome, coin)) return false;
  return nature === 'owed' || !threads.has(thread);
}
/** A toss of this coin, always the same for the same name. */
function heads(name: string, coin: number): boolean {
  let seed = coin;
  for (let at = 0; at < name.length; at += 1) seed = Math.imul(seed ^ name.charCodeAt(at), 0x01000193);
  return new Random(seed).chance(0.5);
}

export const swarm: WalkStrategy = {
  kind: 'walk',
  name: 'swarm',
  says: 'any thread that can move, but half of the runs do without some calls, threads and faults',
  begin(random, _threads, _steps, lore) {
    const rough = lore?.rough ?? 0.5;
    const mask = lore?.mask;
    const left: Way[] = [];
    const answers = new Map<number, boolean>();
    const on = (way: Way, off: Mask): boolean => {
      const known = answers.get(way.id);
      if (known !== undefined) return known;
      const answer = allowed(way, off);
      answers.set(way.id, answer);
      return answer;
    };
    return {
      pick(ways): Way {
        left.length = 0;
        if (mask) for (const way of ways) if (on(way, mask)) left.push(way);
        const from = left.length > 0 ? left : ways;
        return weather(random, from, nthMoving(from, random.below(moving(from))), rough);
      },
    };
  },
};
