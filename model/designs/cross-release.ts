/**
 * Two drivers that are each clean, and a machine that has only one of the two cards.
 *
 * The driver of card0 allocates under the console lock, and its shrinker waits for jobs: both are allowed (L-18). The
 * reset of card1 takes the console lock before it completes the jobs of its ring. Each driver alone runs for years
 * without a report, for the debt of a signal is no lock that lockdep could see (L-17). With cross-release the two boots
 * combine: the fence needs the console lock, under which reclaim is entered, which waits for such a fence. Fences
 * that one library creates are one class, as locks are that one line of code initialises; so both drivers' jobs are.
 */
import { onOneMachine } from '../compose.ts';
import { type Kernel, design, must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  if_var,
  kmalloc,
  kswapd,
  may_go,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  ring,
  set,
  witness,
  work,
} from '../objects/index.ts';

/** Put a job's fence on its buffer: the slot is allocated before anybody can see the fence (F-11, R-9). */
const publish_job = (bo: string, job: string): Block => [
  dma_resv_lock(bo),
  dma_resv_reserve_fences(bo),
  dma_fence_init(job),
  dma_resv_add_fence(bo, job, 'WRITE'),
  dma_resv_unlock(bo),
];

/** drm_fb_helper_set_suspend_unlocked: the console is told that the card is going away for a while. */
const suspend_fbdev: Block = [
  mutex_lock('console_lock'),
  witness('card1 suspends fbdev under the console lock'),
  mutex_unlock('console_lock'),
];

/** Fences of one library are of one class. */
const sched_fence = { context: 'drm_sched' };

/** It allocates under the console lock, and its shrinker waits until its buffers are idle: also those it has imported. */
const card0 = (imports: boolean): Kernel => ({
  objects: {
    resvs: { bo0: {}, ...(imports ? { bo1: {} } : {}) },
    fences: { job0: sched_fence },
    locks: { console_lock: {} },
    shrinkers: { card0: { scan: 'card0_scan' } },
  },
  routines: {
    // Without card0 there is nothing on its list.
    card0_scan: [dma_resv_wait('bo0', 'BOOKKEEP'), imports ? dma_resv_wait('bo1', 'BOOKKEEP') : []],
    card0_irq: [dma_fence_signal('$fence')],
  },
  threads: {
    kswapd,
    card0_submit: work([publish_job('bo0', 'job0'), emit('card0_ring', 'job0', 'job0', 'card0_irq')]),
    card0_fbcon: work([
      mutex_lock('console_lock'),
      kmalloc('GFP_KERNEL', 'mode'),
      witness('card0 allocates under the console lock'),
      mutex_unlock('console_lock'),
    ]),
    card0_ring: ring(),
  },
});

/** Its ring hangs every time: its reset is the one that completes the job. */
const card1 = (fixed: boolean): Kernel => ({
  objects: { resvs: { bo1: {} }, fences: { job1: sched_fence }, locks: { console_lock: {} } },
  threads: {
    card1_submit: work([
      publish_job('bo1', 'job1'),
      promise_passes_to('job1', 'card1_reset'),
      queue_work('card1_reset'),
    ]),
    card1_reset: work(
      fixed
        ? [dma_fence_begin_signalling(), dma_fence_signal('job1'), dma_fence_end_signalling(), suspend_fbdev]
        : [suspend_fbdev, dma_fence_signal('job1')],
    ),
  },
});

/** Which cards there are is for the machine to say. */
const udev = (both: boolean): ThreadSpec =>
  must([
    may_go('udev probes the cards', both ? ['both'] : ['card0', 'card1']),
    set('cards', 'ret'),
    if_var('cards', ['card0', 'both'], [queue_work('card0_submit'), queue_work('card0_fbcon')]),
    if_var('cards', ['card1', 'both'], [queue_work('card1_submit')]),
  ]);

export const crossRelease = design({
  name: 'cross-release',
  title: 'Cross-release lockdep would validate these more indirect lock dependencies against the fs_reclaim context',
  sources: [
    'amd-gfx 2019-07-02, dma-buf: cleanup shared fence removal',
    'kernel/locking/lockdep.c',
    'drivers/dma-buf/dma-fence.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_device.c',
    'L-15',
    'L-17',
    'L-18',
    'X07',
  ],
  knobs: {
    drivers: ['fixed', 'unannotated'],
    /** Which cards there are: one or the other, as chance has it at boot, or both, for comparison. */
    machine: ['one_card', 'both_cards'],
  },
  kernel: ({ drivers, machine }) => {
    const both = machine === 'both_cards';
    return onOneMachine(
      { card0: card0(both), card1: card1(drivers === 'fixed'), machine: { threads: { udev: udev(both) } } },
      [['console_lock'], ...(both ? [['bo1']] : [])],
    );
  },
  expect: [
    {
      when: { drivers: 'unannotated', machine: 'one_card' },
      convicts: ['lock-order'],
      spares: ['no-deadlock', 'no-alloc-in-signalling', 'fence-signals', 'api-contract'],
      witnesses: [
        'card0_fbcon waits for job0',
        'card0 allocates under the console lock',
        'card1 suspends fbdev under the console lock',
      ],
      because:
        'nobody ever blocks on the other driver, for the other driver is not there; each boot is clean, and together they prove that a machine with both cards can hang',
    },
    {
      when: { drivers: 'unannotated', machine: 'both_cards' },
      convicts: ['lock-order', 'no-deadlock'],
      witnesses: ['card0_fbcon waits for job1', 'card1_reset waits for console_lock'],
      because:
        'the prediction comes true: card0 holds the console lock in reclaim and waits for the job of card1, whose reset waits for the console lock',
    },
    {
      when: { drivers: 'fixed', machine: 'one_card' },
      acquits: true,
      witnesses: [
        'card0_fbcon waits for job0',
        'card0 allocates under the console lock',
        'card1 suspends fbdev under the console lock',
      ],
      because: 'the annotated reset completes the jobs first, and takes the console lock when it owes nobody anything',
    },
    {
      when: { drivers: 'fixed', machine: 'both_cards' },
      acquits: true,
      witnesses: [
        'card0_fbcon waits for job1',
        'card1_reset waits for console_lock',
        'card0 allocates under the console lock',
      ],
      because: 'even where both meet, the job of card1 needs no lock to complete',
    },
  ],
});
