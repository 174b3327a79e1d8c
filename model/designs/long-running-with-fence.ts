/**
 * Compute that runs as long as it likes, and the fence by which memory management knows of it: at the end of the batch,
 * or at a preemption (X-4; and X-5, long-running-with-timeout, is the same with a timeout at the end of the batch).
 *
 * A program has a queue of its own beside the batch, the helper, and the batch may wait for a value that the helper will
 * write. Both are submitted: nothing is missing. Now the helper's buffer is evicted, and the worker that brings it back
 * makes room by evicting the batch's. If that waits for the end of the batch it waits for the helper, and so for itself;
 * but no party sees it, since only the program knows what its batch waits for (T-7). A preemption ends whatever the batch
 * does (P-7). A timeout ends it, too: that is right for a batch that hangs, and a hang check cannot tell it from one that
 * waits (T-2, T-8).
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  delayed_work,
  device_map,
  device_read,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  goto,
  if_ret,
  label,
  map_queue,
  misbehaves,
  mod_timer,
  punish,
  queue_work,
  reset_ring,
  return_,
  ring,
  ring_doorbell,
  ring_is_stuck,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  unmap_queue,
  user,
  user_queue,
  wait_user_fence,
  witness,
  work,
  write_wptr,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

/** A work item that takes this queue off the hardware, signals, and leaves the rest to another. */
const preempts = (queue: string, fence: string, then: string): Block => [
  dma_fence_begin_signalling(),
  unmap_queue(queue),
  dma_fence_signal(fence),
  dma_fence_end_signalling(),
  queue_work(then),
];
/** With the reservation held and the buffer in its place: the new fence first, then the queue (E1.9). */
const runs_again = (bo: string, fence: string, by: string, queue: string): Block => [
  dma_resv_reserve_fences(bo),
  dma_fence_init(fence, by),
  dma_resv_add_fence(bo, fence, 'BOOKKEEP'),
  map_queue(queue),
];
/** The batch does without VRAM. */
const place_batch: Block = [
  ttm_bo_place('batch_bo'),
  if_ret('SYSTEM', [ttm_bo_move_memcpy('batch_bo', 'TT'), device_map('batch_bo')]),
];

export const longRunningWithFence = design({
  name: 'long-running-with-fence',
  title: 'Work that may run for ever, or wait for user space, has no fence at its end, with a timeout or without',
  sources: [
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences and long-running compute',
    'Documentation/gpu/drm-compute.rst',
    'drivers/gpu/drm/xe/xe_preempt_fence.c, drivers/gpu/drm/xe/xe_vm.c',
    'X-4, X-5 (long-running-with-timeout), T-1, T-2, T-4, T-7, T-8, T-11, P-1..P-7, HC-1, HC-5',
  ],
  knobs: {
    tracked_by: ['preemption_fence', 'fence_at_its_end', 'fence_at_its_end_with_timeout'],
    batch: ['ends_by_itself', 'waits_for_a_user_fence', 'never_ends'],
  },
  kernel: ({ tracked_by, batch }) => {
    const preempted = tracked_by === 'preemption_fence';
    const timed = tracked_by === 'fence_at_its_end_with_timeout';
    const locked = (body: Block): Block =>
      timed ? [spin_lock_irqsave('ring.lock'), body, spin_unlock_irqrestore('ring.lock')] : body;
    const fence = preempted ? 'preemption' : 'end_of_batch';
    return {
      objects: {
        user_fences: { flag: {} },
        fences: {
          eviction: {
            enable_signaling: 'enable_eviction',
            initialised: true,
            published: true,
            promisedBy: 'evict_work',
          },
          [fence]: preempted ? { enable_signaling: 'enable_preemption' } : {},
        },
        housekeeping: { eviction: {}, ...(preempted ? { preemption: {} } : {}) },
        resvs: { helper_bo: { fences: [{ fence: 'eviction', usage: 'BOOKKEEP' }] }, batch_bo: {} },
        bos: { helper_bo: { place: 'VRAM', mapped: 'VRAM' }, batch_bo: { place: 'VRAM', mapped: 'VRAM' } },
        locks: timed ? { 'ring.lock': { irq: true } } : {},
        clients: { app: {} },
      },
      threads: {
        app: user(),
        helper: user_queue({
          uses: ['helper_bo'],
          fence: 'eviction',
          restored_by: 'rebind_work',
          ring_buffer: true,
          completes: 'flag',
        }),
        ttm_evict: may([
          dma_resv_lock('helper_bo'),
          dma_resv_wait('helper_bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('helper_bo', 'SYSTEM'),
          dma_resv_unlock('helper_bo'),
        ]),
        evict_work: work(preempts('helper', 'eviction', 'rebind_work')),
        rebind_work: work([
          ww_acquire_init(),
          dma_resv_lock('helper_bo', 'ticket'),
          ttm_bo_place('helper_bo'),
          if_ret('SYSTEM', [
            dma_resv_lock('batch_bo', 'ticket'),
            dma_resv_wait('batch_bo', 'BOOKKEEP'),
            ttm_bo_place('batch_bo'),
            if_ret('VRAM', [ttm_bo_move_memcpy('batch_bo', 'SYSTEM'), witness('the batch makes room for the helper')]),
            dma_resv_unlock('batch_bo'),
            ttm_bo_move_memcpy('helper_bo', 'VRAM'),
            device_map('helper_bo'),
          ]),
          runs_again('helper_bo', 'eviction', 'evict_work', 'helper'),
          dma_resv_unlock('helper_bo'),
          ww_acquire_fini(),
        ]),
        ...(preempted
          ? {
              compute: user_queue({
                mapped: false,
                uses: ['batch_bo'],
                fence: 'preemption',
                restored_by: 'resume_work',
                may_run_forever: batch !== 'ends_by_itself', // whatever it waits for is its own business
              }),
              preempt_work: work(preempts('compute', 'preemption', 'resume_work')),
              resume_work: work([
                dma_resv_lock('batch_bo'),
                dma_fence_is_signaled('preemption'),
                if_ret('0', [goto('end')]), // it runs again already
                place_batch,
                runs_again('batch_bo', 'preemption', 'preempt_work', 'compute'),
                witness('the batch goes on elsewhere'),
                label('end'),
                dma_resv_unlock('batch_bo'),
              ]),
            }
          : { compute: ring({ may_hang: batch === 'never_ends', reset_by: timed ? 'hangcheck' : '' }) }),
        ...(timed
          ? {
              hangcheck: delayed_work([
                spin_lock_irqsave('ring.lock'),
                dma_fence_is_signaled('end_of_batch'),
                if_ret('0', [
                  ring_is_stuck('compute'),
                  if_ret('0', [mod_timer('hangcheck'), goto('end')]),
                  reset_ring('compute'),
                  if_ret('batch', [misbehaves('app', 'hangs the ring')]),
                  witness('the batch is cancelled'),
                  punish('app', 'its batch is cancelled'),
                  dma_fence_set_error('end_of_batch', '-ETIME'),
                  dma_fence_signal('end_of_batch'),
                ]),
                label('end'),
                spin_unlock_irqrestore('ring.lock'),
              ]),
            }
          : {}),
      },
      routines: {
        enable_eviction: [queue_work('evict_work')],
        ...(preempted
          ? { enable_preemption: [queue_work('preempt_work')] }
          : { batch_done: [device_read('batch_bo'), locked([dma_fence_signal('$fence')])] }),
      },
      calls: {
        // In user space: one packet for the helper, and it writes `flag` behind it.
        start_helper: ioctl({}, [write_wptr('helper', 1), ring_doorbell('helper'), return_('0')]),
        submit_batch: ioctl({}, [
          dma_resv_lock('batch_bo'),
          dma_fence_is_signaled(fence), // room for one
          if_ret('0', [dma_resv_unlock('batch_bo'), return_('-EBUSY')]),
          place_batch,
          preempted
            ? runs_again('batch_bo', 'preemption', 'preempt_work', 'compute')
            : [
                dma_resv_reserve_fences('batch_bo'),
                dma_fence_init('end_of_batch'),
                dma_resv_add_fence('batch_bo', 'end_of_batch', 'BOOKKEEP'),
                emit(
                  'compute',
                  'batch',
                  'end_of_batch',
                  'batch_done',
                  {},
                  batch === 'waits_for_a_user_fence' ? ['flag', 1] : undefined,
                ),
                timed ? mod_timer('hangcheck') : [],
              ],
          dma_resv_unlock('batch_bo'),
          return_('0'),
        ]),
        wait_for_flag: ioctl({}, [
          wait_user_fence('flag', 1),
          if_ret('0', [witness('the helper is done')]),
          return_('0'),
        ]),
      },
      workload: { app: ['start_helper()', 'submit_batch()', 'wait_for_flag()'] },
    };
  },
  expect: [
    {
      when: { tracked_by: 'preemption_fence' },
      acquits: true,
      witnesses: [
        'rebind_work waits for preemption',
        'the batch makes room for the helper',
        'the batch goes on elsewhere',
        'the helper is done',
      ],
      because:
        'memory management waits for the preemption alone, which takes as long whatever runs on the queue (P-1, P-7)',
    },
    {
      when: { tracked_by: ['fence_at_its_end', 'fence_at_its_end_with_timeout'], batch: 'ends_by_itself' },
      acquits: true,
      witnesses: ['rebind_work waits for end_of_batch', 'the batch makes room for the helper', 'the helper is done'],
      because: 'a batch that needs nothing of user space to end may have a fence at its end (T-11)',
    },
    {
      when: { tracked_by: 'fence_at_its_end', batch: 'waits_for_a_user_fence' },
      convicts: ['fence-signals'],
      spares: ['no-deadlock', 'lock-order', 'no-alloc-in-signalling', 'innocent-not-punished'],
      witnesses: ['rebind_work waits for end_of_batch', 'the batch makes room for the helper', 'the helper is done'],
      because:
        'eviction waits for the end of the batch, the batch for a value of the helper, and the helper for the memory that the eviction would free (X-4, T-7, T-11)',
    },
    {
      when: { tracked_by: 'fence_at_its_end', batch: 'never_ends' },
      convicts: ['fence-signals'],
      spares: ['innocent-not-punished'],
      witnesses: ['rebind_work waits for end_of_batch'],
      because: 'a batch that need not end has no end to wait for (T-2, T-4)',
    },
    {
      when: { tracked_by: 'fence_at_its_end_with_timeout', batch: 'waits_for_a_user_fence' },
      convicts: ['innocent-not-punished'],
      spares: ['fence-signals', 'no-deadlock', 'no-livelock', 'no-leak'],
      witnesses: ['the batch is cancelled', 'rebind_work waits for end_of_batch', 'the helper is done'],
      because:
        'the program has no deadlock in it, hangs at random until the timeout fires, and loses its batch for it (X-5, T-8)',
    },
    {
      when: { tracked_by: 'fence_at_its_end_with_timeout', batch: 'never_ends' },
      acquits: true,
      witnesses: ['the batch is cancelled', 'rebind_work waits for end_of_batch', 'the helper is done'],
      because: 'whoever hangs by itself is cancelled, and nobody else pays: that is what a timeout is for (T-2)',
    },
  ],
});
