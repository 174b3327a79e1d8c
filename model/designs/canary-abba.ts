/** Two mutexes, two threads. A harness that misses this one is broken, whatever else it says. */
import { design, must } from '../design.ts';
import { mutex_lock, mutex_unlock, witness } from '../objects/index.ts';

export const canaryAbba = design({
  name: 'canary-abba',
  title: 'Two threads that take two locks in opposite order wait for each other',
  sources: ['lib/locking-selftest.c, AA-BB-BA', 'L-15'],
  knobs: { order: ['same', 'opposite'] },
  kernel: ({ order }) => {
    const [first, second] = order === 'same' ? ['a', 'b'] : ['b', 'a'];
    return {
      objects: { locks: { a: {}, b: {} } },
      threads: {
        one: must([mutex_lock('a'), mutex_lock('b'), witness('one has both'), mutex_unlock('b'), mutex_unlock('a')]),
        two: must([
          mutex_lock(first),
          mutex_lock(second),
          witness('two has both'),
          mutex_unlock(second),
          mutex_unlock(first),
        ]),
      },
    };
  },
  expect: [
    {
      when: { order: 'opposite' },
      convicts: ['no-deadlock', 'lock-order'],
      because: 'the textbook circle of two: each holds what the other wants',
    },
    {
      when: { order: 'same' },
      acquits: true,
      witnesses: ['one has both', 'two has both', 'two waits for a'],
      because: 'one order for all: whoever has the first lock gets the second',
    },
  ],
});
