/**
 * Fences that user space signals, with a timeout on the signalling side (Nieuwenhuizen, 2021): what it gives, and what for.
 *
 * The timeout needs nobody and no memory, so memory management is safe. What is given up is the order of things: a fence
 * that exists before its work may be older than what it waits for, so two of them can wait for each other, and neither
 * the kernel nor one of the two programs sees it (T-6, T-7). A timeout ends the wait, and that is not all: each fence
 * also keeps a reference to the one that it waits for. Counting does not find such a circle; somebody must cut it.
 */
import { type PropertyName, design } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import {
  call,
  del_timer,
  delayed_work,
  dma_fence_get,
  dma_fence_get_rcu,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  fence_keep,
  fence_let_go,
  if_ret,
  in_user_space,
  misbehaves,
  mmap,
  mod_timer,
  page_fault,
  punish,
  return_,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  sync_file_get_fence,
  sync_file_install,
  witness,
} from '../objects/index.ts';

const SIDES = {
  a: { app: 'app_a', fence: 'fence_a', timeout: 'timeout_a', other: 'fence_b' },
  b: { app: 'app_b', fence: 'fence_b', timeout: 'timeout_b', other: 'fence_a' },
} as const;
type Side = (typeof SIDES)[keyof typeof SIDES];

const locked = (body: Block): Block => [spin_lock_irqsave('fences.lock'), body, spin_unlock_irqrestore('fences.lock')];
/** Whoever signals, signals once: the program in time, or the timeout in its place. */
const unless_over = (fence: string, signals: Block, late: Block = []): Block =>
  locked([dma_fence_is_signaled(fence), if_ret('0', [signals, dma_fence_put(fence)], late)]);
/** The work of this fence comes after that of the other, if there is one yet. */
const after_the_other = ({ app, fence, other }: Side): Block => [
  call('import', { fence, other }),
  if_ret('0', [
    dma_fence_wait_interruptible(other),
    if_ret('-ERESTARTSYS', [
      misbehaves(app, 'is killed'),
      witness('a process leaves without a signal'),
      dma_fence_put(fence),
      return_('ret'),
    ]),
  ]),
];
const create = ({ fence, timeout }: Side): Block => [
  in_user_space('begins a frame'),
  call('create', { fence, timeout }),
];
const submit_and_signal = ({ fence, timeout }: Side): Block => [
  in_user_space('submits its work'),
  call('signal', { fence, timeout }),
  call('close', { fence }),
];

/** The kernel is safe, and correct programs are what it costs. */
const PUNISHED: readonly PropertyName[] = ['innocent-not-punished'];
const SAFE: readonly PropertyName[] = [
  'fence-signals',
  'no-deadlock',
  'no-alloc-in-signalling',
  'lock-order',
  'no-livelock',
  'api-contract',
];
/** One is forced, one signals; a program hangs in reclaim until its own timeout; who left is told from who had no turn. */
const BOTH_WAYS = [
  'a timeout signals in the place of the process',
  'a process signals in time',
  'a process signals too late',
  'a process leaves without a signal',
  'app_a waits for fence_a',
  'app_a waits for fence_b',
];
const CIRCLE = [
  'fence_a and fence_b keep each other',
  'fence_b and fence_a keep each other',
  'app_b waits for fence_a',
];

export const timeoutAndCollect = design({
  name: 'timeout-and-collect',
  title: 'With a timeout, fences that user space signals are safe for the kernel; circles of them must be collected',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/dma-buf/dma-fence.c, dma-fence-array.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq_fence.c',
    'T-1, T-6, T-7, T-8, X-5, G2.8, G2.11, G2.12, I-16',
  ],
  knobs: {
    user_fences: ['in_a_line', 'in_a_circle'],
    collection: ['on_timeout', 'on_timeout_without_the_lock', 'never'],
  },
  kernel: ({ user_fences, collection }) => {
    const fires = ({ app, fence }: Side): ThreadSpec =>
      delayed_work(
        unless_over(fence, [
          witness('a timeout signals in the place of the process'),
          dma_fence_set_error(fence, '-ETIME'),
          punish(app, `${fence} completes with -ETIME before its work`),
          dma_fence_signal(fence),
          collection === 'never' ? [] : fence_let_go(fence),
        ]),
      );
    const process = (program: Block): ThreadSpec => ({ kind: 'user', begins: 'may', program });
    // A fence that is over already keeps nothing: nobody would let go of it any more.
    const keep: Block = [dma_fence_get_rcu('$other'), if_ret('1', [fence_keep('$fence', '$other')])];
    return {
      objects: {
        fences: { fence_a: {}, fence_b: {} },
        fence_refs: { fence_a: {}, fence_b: {} },
        locks: { ...mmap, 'fences.lock': { irq: true } },
        clients: { app_a: {}, app_b: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        app_a: process([create(SIDES.a), page_fault(), after_the_other(SIDES.a), submit_and_signal(SIDES.a)]),
        app_b: process([
          create(SIDES.b),
          user_fences === 'in_a_circle' ? after_the_other(SIDES.b) : [],
          submit_and_signal(SIDES.b),
        ]),
        timeout_a: fires(SIDES.a),
        timeout_b: fires(SIDES.b),
      },
      routines: {
        create: [
          // One reference for the promise, until it signals, and one for the file.
          dma_fence_init('$fence', '$timeout'),
          dma_fence_get('$fence'),
          mod_timer('$timeout'),
          sync_file_install('$fence'),
        ],
        import: [
          sync_file_get_fence('$other'),
          if_ret('-EBADF', [return_('ret')]),
          collection === 'on_timeout'
            ? locked([dma_fence_is_signaled('$fence'), if_ret('0', keep)])
            : [dma_fence_is_signaled('$fence'), if_ret('0', keep)],
          return_('0'),
        ],
        signal: unless_over(
          '$fence',
          [
            del_timer('$timeout'),
            witness('a process signals in time'),
            dma_fence_signal('$fence'),
            fence_let_go('$fence'),
          ],
          [witness('a process signals too late')],
        ),
        close: [dma_fence_put('$fence')],
        // The buffers of the driver are busy until the work of app_a is over.
        gpu_shrinker_scan: [dma_fence_wait('fence_a')],
      },
    };
  },
  expect: [
    {
      when: { user_fences: 'in_a_circle', collection: 'never' },
      convicts: [...PUNISHED, 'no-leak'],
      spares: SAFE,
      witnesses: [...BOTH_WAYS, ...CIRCLE],
      because:
        'both fences are forced, both files are closed, and each is still kept by the other: counting references finds no circle',
    },
    {
      when: { user_fences: 'in_a_circle', collection: 'on_timeout_without_the_lock' },
      convicts: [...PUNISHED, 'no-leak'],
      spares: SAFE,
      witnesses: [...BOTH_WAYS, ...CIRCLE],
      because:
        'a dependency that comes when the timeout has been there is collected by nobody: the collection must exclude the import',
    },
    {
      when: { user_fences: 'in_a_circle', collection: 'on_timeout' },
      convicts: PUNISHED,
      spares: [...SAFE, 'no-leak'],
      witnesses: [...BOTH_WAYS, ...CIRCLE],
      because:
        'the kernel is safe and nothing is left (Nieuwenhuizen); the weakest claim broken is the one to the programs: each did what it should, neither could see the circle, and one pays (Ekstrand, T-7, T-8)',
    },
    {
      when: { user_fences: 'in_a_line' },
      convicts: PUNISHED,
      spares: [...SAFE, 'no-leak'],
      witnesses: BOTH_WAYS,
      because:
        'without a circle counting is enough, collection or not; a program that had no turn after it got its fence is timed out all the same (Ekstrand, T-8)',
    },
  ],
});
