/**
 * Random small systems, for comparing engines: a few threads over two locks, two fences, a reservation, a worker, a
 * timer and memory. They make no sense as drivers; they reach the corners that sensible drivers do not.
 */
import fc from 'fast-check';
import { type Booted, type Design, boot, design, ioctl, may, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  cpu_read,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  dma_fence_wait_timeout,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  down_read,
  down_write,
  emit,
  goto,
  if_ret,
  kmalloc,
  label,
  mod_timer,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  queue_work,
  ring,
  sync_file_install,
  timer,
  up_read,
  up_write,
  user,
  witness,
  work,
  work_a_while,
} from '../../model/objects/index.ts';

const LINES: Readonly<Record<string, Block>> = {
  lock_a: [mutex_lock('a')],
  lock_b: [mutex_lock('b')],
  unlock_a: [mutex_unlock('a')],
  unlock_b: [mutex_unlock('b')],
  try_a: [mutex_trylock('a'), if_ret('0', [work_a_while('busy')], [witness('got a'), mutex_unlock('a')])],
  read_s: [down_read('s'), work_a_while('reads'), up_read('s')],
  write_s: [down_write('s'), up_write('s')],
  publish_f: [dma_fence_init('f', 'worker'), sync_file_install('f'), queue_work('worker')],
  publish_g: [dma_fence_init('g'), sync_file_install('g'), emit('ring', 'job', 'g', 'irq_g')],
  wait_f: [dma_fence_wait('f')],
  wait_g: [dma_fence_wait_interruptible('g'), if_ret('-ERESTARTSYS', [work_a_while('restarts')])],
  wait_g_timeout: [dma_fence_wait_timeout('g')],
  signal_f: [dma_fence_signal('f')],
  section: [dma_fence_begin_signalling(), kmalloc('GFP_NOWAIT'), dma_fence_end_signalling()],
  alloc: [kmalloc('GFP_KERNEL')],
  alloc_nofs: [kmalloc('GFP_NOFS')],
  resv: [
    dma_resv_lock('bo'),
    dma_resv_reserve_fences('bo', 1),
    dma_resv_add_fence('bo', 'f', 'BOOKKEEP'),
    dma_resv_unlock('bo'),
  ],
  wait_resv: [dma_resv_wait('bo', 'BOOKKEEP')],
  arm: [mod_timer('tick')],
};
const NAMES = Object.keys(LINES);
/** Programs by thread. */
export interface Recipe {
  readonly one: readonly string[];
  readonly two: readonly string[];
  readonly maybe: readonly string[];
  readonly worker: readonly string[];
  readonly call: readonly string[];
  /** Does `two` retry for ever when memory is short? */
  readonly retries: boolean;
}
const program = (names: readonly string[]): Block => names.map((name) => LINES[name] as Block);

export const smallDesign = (recipe: Recipe): Design =>
  design({
    name: 'small',
    title: 'a random small system',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: {
        locks: { a: {}, b: {}, s: {} },
        fences: { f: {}, g: { enable_signaling: 'arm_g' } },
        resvs: { bo: {} },
        bos: { bo: {} },
        shrinkers: { cache: { scan: 'scan' } },
        ranges: { pages: { invalidate: 'invalidate' } },
      },
      threads: {
        one: must(program(recipe.one)),
        two: must([
          recipe.retries ? [label('again'), kmalloc('GFP_NOWAIT'), if_ret('-ENOMEM', [goto('again')])] : [],
          program(recipe.two),
        ]),
        maybe: may(program(recipe.maybe)),
        worker: work([program(recipe.worker), dma_fence_signal('f')]),
        ring: ring({ may_hang: recipe.retries }),
        tick: timer([dma_fence_signal('g')]),
        user0: user(),
      },
      routines: {
        scan: [dma_resv_trylock('bo'), if_ret('1', [dma_resv_wait('bo', 'BOOKKEEP'), dma_resv_unlock('bo')])],
        invalidate: [dma_resv_wait('bo', 'BOOKKEEP')],
        irq_g: [dma_fence_signal('g')],
        arm_g: [mod_timer('tick')],
      },
      calls: { poke: ioctl({}, [program(recipe.call), cpu_read('bo')]) },
      workload: { user0: ['poke()'] },
    }),
    expect: [],
  });

const names = (maxLength: number): fc.Arbitrary<string[]> => fc.array(fc.constantFrom(...NAMES), { maxLength });
export const recipes: fc.Arbitrary<Recipe> = fc.record(
  { one: names(3), two: names(3), maybe: names(2), worker: names(2), call: names(2), retries: fc.boolean() },
  { noNullPrototype: true },
);
export const smallSystems: fc.Arbitrary<Booted> = recipes.map((recipe) => boot(smallDesign(recipe)));
