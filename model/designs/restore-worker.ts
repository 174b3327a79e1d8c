/**
 * The worker that lets an evicted compute process run again: validate its buffers, put a new eviction fence on each, map
 * its queues (E1.8).
 *
 * When it begins, no live fence of the process exists, so it may allocate and may move buffers. From the first buffer
 * that carries the new fence that is over: whoever waits there asks for an eviction, and the eviction first lets the
 * restore finish. And the queues may not run before every buffer carries it, or one is moved under them (E1.9).
 */
import { design, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  flush_work,
  goto,
  if_ret,
  label,
  map_queue,
  may_go,
  queue_work,
  set,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  unmap_queue,
  user_queue,
  witness,
  work,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

const BUFFERS = ['bo0', 'bo1'] as const;
type Buffer = (typeof BUFFERS)[number];
const each = (body: (bo: Buffer) => Block): Block => BUFFERS.map(body);
const other = (bo: Buffer): Buffer => (bo === 'bo0' ? 'bo1' : 'bo0');

const lock_all: Block = [ww_acquire_init(), each((bo) => [dma_resv_lock(bo, 'ticket')])];
const unlock_all: Block = [each((bo) => [dma_resv_unlock(bo)]), ww_acquire_fini()];
const reserve = (bo: Buffer): Block => dma_resv_reserve_fences(bo);
const add = (bo: Buffer): Block => [dma_resv_add_fence(bo, 'eviction', 'BOOKKEEP')];
const init = dma_fence_init('eviction', 'evict_work');

export const restoreWorker = design({
  name: 'restore-worker',
  title: 'The new eviction fence is allocated before it is live, and live on every buffer before the queues run',
  sources: [
    'Christian König, Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_gpuvm.c, drivers/gpu/drm/amd/amdkfd/kfd_process.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_fence.c, amdgpu_ttm.c (eviction_valuable)',
    'E1.2, E1.5..E1.10, P-4, P-5, L-23, N-8',
    'cycle C25',
  ],
  knobs: {
    new_fence: ['before_the_queues_run', 'after'],
    /** 'buffer_by_buffer': validate one, give it the fence, go on to the next. */
    published: ['on_all_at_once', 'buffer_by_buffer'],
    /** Whose buffers may be moved out to make room: does eviction_valuable say no to those of the process itself? */
    victims: ['of_others', 'own_too'],
  },
  kernel: ({ new_fence, published, victims }) => {
    const validate = (bo: Buffer): Block => [
      ttm_bo_place(bo),
      if_ret('SYSTEM', [
        victims === 'own_too'
          ? [
              witness('the restore evicts a buffer of its own process'),
              dma_resv_wait(other(bo), 'BOOKKEEP'),
              ttm_bo_move_memcpy(other(bo), 'SYSTEM'),
            ]
          : [],
        ttm_bo_move_memcpy(bo, 'VRAM'),
      ]),
      device_map(bo),
    ];
    const validate_all: Block = [
      label('again'),
      each(validate),
      // All of them have to be there at once for the process to run.
      each((bo) => [ttm_bo_place(bo), if_ret('SYSTEM', [goto('again')])]),
    ];
    // From the first buffer with the fence to the last it is live and incomplete: an eviction waits for the restore.
    const live = (block: Block): Block => [dma_fence_begin_signalling(), block, dma_fence_end_signalling()];
    const fence_all: Block =
      published === 'on_all_at_once'
        ? [each(reserve), init, live(each(add))]
        : [init, reserve('bo0'), live([add('bo0'), reserve('bo1'), add('bo1')])];
    const validate_and_fence: Block =
      published === 'on_all_at_once'
        ? [validate_all, fence_all]
        : [init, validate('bo0'), reserve('bo0'), live([add('bo0'), validate('bo1'), reserve('bo1'), add('bo1')])];
    return {
      objects: {
        // The process is running when the story begins.
        resvs: Object.fromEntries(BUFFERS.map((bo) => [bo, { fences: [{ fence: 'eviction', usage: 'BOOKKEEP' }] }])),
        bos: Object.fromEntries(BUFFERS.map((bo) => [bo, { place: 'VRAM', mapped: 'VRAM' }])),
        fences: {
          eviction: {
            enable_signaling: 'kfd_enable_signaling',
            initialised: true,
            published: true,
            promisedBy: 'evict_work',
          },
        },
        housekeeping: { eviction: { owner: 'kfd' } },
        ranges: { userptr: { invalidate: 'invalidate_gfx' } },
      },
      routines: {
        kfd_enable_signaling: [queue_work('evict_work')],
        // A userptr of the graphics side shares the first buffer's reservation; its notifier waits for all that is there.
        // No allocation but the restore's own calls it here. One that goes on without a lock while restores follow each
        // other would meet one fresh fence after the other: what keeps them apart is the delay before a restore (E1.5).
        invalidate_gfx: [dma_resv_wait('bo0', 'BOOKKEEP')],
      },
      threads: {
        compute_queue: user_queue({ restored_by: 'restore_work', uses: BUFFERS }),
        ttm_evict: may([
          may_go('the first of the LRU', BUFFERS),
          set('bo', 'ret'),
          dma_resv_lock('$bo'),
          dma_resv_wait('$bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('$bo', 'SYSTEM'),
          witness('memory pressure moves a buffer'),
          dma_resv_unlock('$bo'),
        ]),
        // Another one, later: the eviction that meets the restore.
        ttm_evict_again: may([
          dma_resv_lock('bo1'),
          dma_resv_wait('bo1', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo1', 'SYSTEM'),
          dma_resv_unlock('bo1'),
        ]),
        evict_work: work([
          dma_fence_begin_signalling(),
          flush_work('restore_work'), // or it would map the queues after this
          unmap_queue('compute_queue'),
          dma_fence_signal('eviction'),
          dma_fence_end_signalling(),
          queue_work('restore_work'),
        ]),
        restore_work: work([
          lock_all,
          new_fence === 'before_the_queues_run' ? validate_and_fence : validate_all,
          unlock_all,
          map_queue('compute_queue'),
          new_fence === 'after' ? [lock_all, fence_all, unlock_all] : [],
          witness('the process is restored'),
        ]),
      },
    };
  },
  expect: [
    {
      when: { new_fence: 'before_the_queues_run', published: 'on_all_at_once', victims: 'of_others' },
      acquits: true,
      witnesses: [
        'memory pressure moves a buffer',
        'the process is restored',
        'restore_work waits for bo1',
        'evict_work waits for restore_work',
        'ttm_evict_again waits for eviction',
      ],
      because:
        'while the restore allocates and moves buffers there is no fence of the process to wait for, and when the queues run there is one on every buffer (E1.8, E1.9)',
    },
    {
      when: { new_fence: 'before_the_queues_run', published: 'buffer_by_buffer', victims: 'of_others' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      spares: ['no-stale-access', 'no-livelock'],
      because:
        'the second slot is allocated when the first buffer has the fence already: reclaim waits for it on the stack of the restore, and the eviction that it asks for waits for the restore (P-5, L-23)',
    },
    {
      when: { new_fence: 'before_the_queues_run', published: 'buffer_by_buffer', victims: 'own_too' },
      convicts: ['no-deadlock', 'fence-signals'],
      spares: ['no-stale-access', 'no-livelock'],
      witnesses: ['the restore evicts a buffer of its own process', 'restore_work waits for eviction'],
      because:
        'to make room the restore evicts a buffer that carries the new fence, and so asks for its own eviction, which waits for the restore (C25)',
    },
    {
      when: { new_fence: 'before_the_queues_run', published: 'on_all_at_once', victims: 'own_too' },
      convicts: ['no-livelock'],
      spares: ['no-stale-access', 'no-deadlock', 'no-alloc-in-signalling'],
      witnesses: ['the restore evicts a buffer of its own process'],
      because:
        'without a live fence nobody is stuck, and the process never runs: each of its buffers takes the room of the other (E1.10)',
    },
    {
      when: { new_fence: 'after', victims: 'of_others' },
      convicts: ['no-stale-access'],
      witnesses: ['the process is restored'],
      because:
        'the queues run while a buffer carries no fence: whoever moves it finds it idle, and the device goes on with the old memory (E1.9)',
    },
    {
      when: { new_fence: 'after', victims: 'own_too' },
      convicts: ['no-livelock'],
      because: 'it does not get as far as the queues: each buffer takes the room of the other (E1.10)',
    },
  ],
});
