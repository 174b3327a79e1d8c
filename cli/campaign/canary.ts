/**
 * The planted bug: three workers that each take the next of three locks while they hold one of them. Every campaign plays
 * one batch of it with its own engine and strategies before anything else; one that misses it finds nothing, whatever
 * else it says.
 *
 * Odds: a random walk runs into it in about one run of twelve, so a batch of 200 misses it with probability 3·10⁻⁸.
 */
import { type PropertyName, design, must } from '../../model/design.ts';
import { mutex_lock, mutex_unlock } from '../../model/objects/index.ts';

export const CANARY_RUNS = 200;
export const CANARY_PROPERTIES: readonly PropertyName[] = ['no-deadlock', 'lock-order'];

const takes = (first: string, second: string) =>
  must([mutex_lock(first), mutex_lock(second), mutex_unlock(second), mutex_unlock(first)]);

export const planted = design({
  name: 'planted-bug',
  title: 'Three workers in a circle: each holds the lock that the one before it wants',
  sources: ['lib/locking-selftest.c, AB-BC-CA'],
  knobs: {},
  kernel: () => ({
    objects: { locks: { a: {}, b: {}, c: {} } },
    threads: { one: takes('a', 'b'), two: takes('b', 'c'), three: takes('c', 'a') },
  }),
  expect: [{ when: {}, convicts: ['no-deadlock', 'lock-order'], because: 'it was planted' }],
});
