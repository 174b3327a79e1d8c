/**
 * no-livelock: no fair circle of states in which a thread works and works and gets nothing done.
 *
 * Fair means: whoever could always move does move, whoever is again and again offered a lock that hands over gets it,
 * and weather passes: an instruction that is tried again and again goes its tamest way in the end.
 */
import type { Property } from './property.ts';

export const noLivelock: Property = {
  name: 'no-livelock',
  says: 'no fair circle of states without progress: retry, eviction ping-pong, -EDEADLK back-off',
  sources: ['C19', 'C23', 'A10.14', 'W-7'],
  circle({ fruitless }) {
    const [who] = fruitless;
    if (who === undefined) return undefined;
    return {
      property: 'no-livelock',
      kind: 'no progress',
      what: `${fruitless.join(', ')} can go on for ever without getting anything done`,
      links: [],
      rules: ['C19', 'C23'],
    };
  },
};
