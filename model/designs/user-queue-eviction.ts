/**
 * Eviction of a user queue must end, whatever the process runs on it and whatever locks its own ioctls hold.
 *
 * The eviction fence promises that the queue will be off the hardware. The suspend work behind it first gives the work
 * that is on the queue some time, which is a value in memory that only the process's own shader writes. When that does not
 * come there is one good answer: reset the queue, and signal. To give up leaves the fence to nobody (C11). And a lock that
 * the suspend work needs may not be held over an allocation by anybody: the allocation may wait for the fence (C10).
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  adversary,
  dma_fence_signal,
  dma_resv_lock,
  dma_resv_unlock,
  dma_resv_wait,
  if_ret,
  kmalloc,
  mutex_lock,
  mutex_unlock,
  queue_work,
  reset_queue,
  return_,
  ttm_bo_move_memcpy,
  unmap_queue,
  user,
  user_queue,
  wait_user_fence,
  witness,
  work,
} from '../objects/index.ts';

/** Give the work that is on the queue some time; `late` when it is not done by then. */
const wait_for_its_work = (late: Block): Block => [
  wait_user_fence('last_fence', 1, 'HZ'),
  if_ret(['-ETIME', '-ERESTARTSYS'], late),
];

export const userQueueEviction = design({
  name: 'user-queue-eviction',
  title:
    'The suspend work of a user queue resets what does not stop, and needs no lock that is held over an allocation',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq.c, amdgpu_eviction_fence.c',
    'E1.1..E1.5, G1.3, P-8, L-23',
    'cycles C10, C11',
  ],
  knobs: {
    suspend: ['bounded_then_reset', 'gives_up'],
    lock_over_allocation: ['none_that_suspend_needs', 'the_one_suspend_needs'],
  },
  kernel: ({ suspend, lock_over_allocation }) => {
    const same = lock_over_allocation === 'the_one_suspend_needs';
    const locked = (body: Block): Block => [mutex_lock('userq_mutex'), body, mutex_unlock('userq_mutex')];
    const take_off: Block = [
      wait_for_its_work(
        suspend === 'gives_up'
          ? [witness('suspend gives up'), return_('-ETIME')]
          : [witness('the queue is reset'), reset_queue('queue')],
      ),
      same ? locked([unmap_queue('queue')]) : [unmap_queue('queue')],
    ];
    return {
      objects: {
        user_fences: { last_fence: {} },
        fences: {
          eviction: { enable_signaling: 'evict', initialised: true, published: true, promisedBy: 'suspend_work' },
        },
        housekeeping: { eviction: {} },
        resvs: { bo: { fences: [{ fence: 'eviction', usage: 'BOOKKEEP' }] } },
        bos: { bo: { place: 'VRAM', mapped: 'VRAM' } },
        locks: { userq_mutex: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        user0: user(),
        shader: adversary([], ['last_fence']),
        queue: user_queue({ uses: ['bo'], may_run_forever: true, fence: 'eviction' }),
        suspend_work: work([take_off, dma_fence_signal('eviction')]),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo', 'SYSTEM'),
          witness('bo is evicted'),
          dma_resv_unlock('bo'),
        ]),
      },
      calls: {
        create_queue: ioctl({}, [locked([kmalloc('GFP_KERNEL', 'queue')]), return_('0')]),
      },
      routines: {
        evict: [queue_work('suspend_work')],
        gpu_shrinker_scan: [dma_resv_wait('bo', 'BOOKKEEP')],
      },
      workload: { user0: ['create_queue()'] },
    };
  },
  expect: [
    {
      when: { suspend: 'gives_up' },
      convicts: ['fence-signals'],
      because: 'the work returns and nobody queues it again: whoever evicts the buffer waits for ever (C11)',
    },
    {
      when: { suspend: 'bounded_then_reset', lock_over_allocation: 'the_one_suspend_needs' },
      convicts: ['no-deadlock', 'no-alloc-in-signalling'],
      because: 'reclaim in the ioctl waits for the eviction, whose work waits for the lock of the ioctl (C10)',
    },
    {
      when: { suspend: 'bounded_then_reset', lock_over_allocation: 'none_that_suspend_needs' },
      acquits: true,
      witnesses: ['the queue is reset', 'bo is evicted', 'ttm_evict waits for eviction', 'user0 waits for eviction'],
      because: 'the wait for the process has an end, a reset needs no consent, and no lock is in the way (P-8)',
    },
  ],
});
