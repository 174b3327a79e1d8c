/**
 * Directed search: tries to make a predicted circle in the order of locks real, as active testing does (Joshi, Park,
 * Sen, Naik, PLDI 2009).
 *
 * Somebody who is about to take the second lock of an edge of the circle is made to wait, until the others stand before
 * theirs too; when nobody else can move, one of those who wait goes on. Without a prediction it is a random walk.
 */
import type { Way } from '../learned.ts';
import type { Order } from './lore.ts';
import type { WalkStrategy } from './strategy.ts';
import { moving, nthMoving, weather } from './strategy.ts';

/** How often somebody who is made to wait goes on all the same: a guard may need it. */
const IMPATIENCE = 0.05;

export const directed: WalkStrategy = {
  kind: 'walk',
  name: 'directed',
  says: 'holds back whoever is about to close an edge of a predicted lock-order circle, until all of them stand there',
  begin(random, _threads, _steps, lore) {
    const rough = lore?.rough ?? 0;
    const circle = lore?.circle ?? [];
    const left: Way[] = [];
    const closing = new Map<number, boolean>();
    const closes = (way: Way): boolean => {
      const known = closing.get(way.id);
      if (known !== undefined) return known;
      const answer = closesEdge(way, circle);
      closing.set(way.id, answer);
      return answer;
    };
    return {
      pick(ways: readonly Way[]): Way {
        left.length = 0;
        if (circle.length > 0 && !random.chance(IMPATIENCE)) for (const way of ways) if (!closes(way)) left.push(way);
        const from = left.length > 0 ? left : ways;
        return weather(random, from, nthMoving(from, random.below(moving(from))), rough);
      },
    };
  },
};

/** Does this step take a lock of the circle, or wait for a fence of it, while what comes before it is held or owed? */
export const closesEdge = ({ facts }: Way, circle: readonly Order[]): boolean =>
  facts.some((fact) => {
    if (fact.kind !== 'acquires' && fact.kind !== 'waitsForFence') return false;
    return circle.some(({ held, taken }) => {
      if (fact.kind === 'acquires' ? fact.class !== taken : !isFence(taken)) return false;
      // What a thread owes is not said by the step; whoever takes the lock may be the one.
      return isFence(held) || fact.over.some((each) => each.class === held);
    });
  });
const isFence = (name: string): boolean => name.startsWith('fence ');
