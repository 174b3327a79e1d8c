/**
 * Random small kernels that go round: retries, back-offs, polls and servers, some fair, some not, some in the way of
 * others. For comparing ways to find fair circles, of which the systems in small-systems.ts have hardly any.
 */
import fc from 'fast-check';
import { type Booted, boot, design, may, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait_interruptible,
  goto,
  if_ret,
  kmalloc,
  label,
  mod_timer,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  progress,
  sync_file_install,
  timer,
  work_a_while,
} from '../../model/objects/index.ts';

const PIECES: Readonly<Record<string, Block>> = {
  busy: [work_a_while('busy')],
  progress: [progress('got somewhere')],
  'with a': [mutex_lock('a'), mutex_unlock('a')],
  'with b': [mutex_lock('b'), mutex_unlock('b')],
  'a, try b': [
    mutex_lock('a'),
    mutex_trylock('b'),
    if_ret('0', [mutex_unlock('a'), goto('again')]),
    mutex_unlock('b'),
    mutex_unlock('a'),
  ],
  'b, try a': [
    mutex_lock('b'),
    mutex_trylock('a'),
    if_ret('0', [mutex_unlock('b'), goto('again')]),
    mutex_unlock('a'),
    mutex_unlock('b'),
  ],
  'keep a': [mutex_trylock('a'), if_ret('0', [goto('again')])],
  'let a go': [mutex_unlock('a')],
  'alloc or again': [kmalloc('GFP_NOWAIT'), if_ret('-ENOMEM', [goto('again')])],
  'poll f': [dma_fence_is_signaled('f'), if_ret('0', [goto('again')])],
  'publish f': [dma_fence_init('f', 'two'), sync_file_install('f')],
  'signal f': [dma_fence_signal('f')],
  'wait f': [dma_fence_wait_interruptible('f')],
  arm: [mod_timer('tick')],
  'try a, alloc or again': [
    mutex_trylock('a'),
    if_ret('0', [goto('again')]),
    mutex_unlock('a'),
    kmalloc('GFP_NOWAIT'),
    if_ret('-ENOMEM', [goto('again')]),
  ],
};
export interface Round {
  readonly pieces: readonly string[];
  /** Begins again when it is through. */
  readonly ever: boolean;
}
const program = ({ pieces, ever }: Round): Block => [
  label('again'),
  work_a_while('begins'),
  pieces.map((piece) => PIECES[piece] as Block),
  ever ? [goto('again')] : [],
];
const rounds: fc.Arbitrary<Round> = fc.record(
  {
    pieces: fc.array(fc.constantFrom(...Object.keys(PIECES)), { minLength: 1, maxLength: 3 }),
    ever: fc.nat(2).map((nth) => nth > 0),
  },
  { noNullPrototype: true },
);

export interface Loops {
  readonly one: Round;
  readonly two: Round;
  readonly maybe: Round | null;
}
export const loopy = ({ one, two, maybe }: Loops): Booted =>
  boot(
    design({
      name: 'loopy',
      title: 'a random small system that goes round',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, b: {} }, fences: { f: {} } },
        threads: {
          one: must(program(one)),
          two: must(program(two)),
          ...(maybe ? { maybe: may(program(maybe)) } : {}),
          tick: timer([dma_fence_signal('f')]),
        },
      }),
      expect: [],
    }),
  );
/** Kept as data until they are booted, so that a failure is a short text. */
export const loops: fc.Arbitrary<Loops> = fc.record(
  { one: rounds, two: rounds, maybe: fc.option(rounds, { freq: 2 }) },
  { noNullPrototype: true },
);
