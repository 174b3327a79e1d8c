/**
 * The eviction fence of a compute process, and the slot of the reservation it stands in.
 *
 * The fence means "these queues are running and may use this buffer". It never signals by itself: whoever waits for it
 * asks for it, and to be asked means to preempt the process (E1.3, E1.4). In a slot that implicit sync looks at, every
 * frame of a compositor asks. The process is stopped although nobody wants its memory, a worker brings it back, the
 * next frame stops it again (C23). Memory management looks at every slot and must still be able to ask (R-22, E1.14).
 * The least time that the kernel lets a restored process run (E1.4) is left out: it makes the ping-pong slower, and a
 * unit of work that does not fit into it is begun again and again all the same.
 */
import { design, may, must } from '../design.ts';
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
  flush_work,
  forever,
  implicit_sync_wait,
  job_starts,
  map_queue,
  progress,
  queue_work,
  ring,
  unmap_queue,
  user_queue,
  witness,
  work,
} from '../objects/index.ts';

export const evictionFenceInSyncSlots = design({
  name: 'eviction-fence-in-sync-slots',
  title:
    'The reservation serves the magic eviction fence or implicit sync; both at the same time is going to be trouble',
  sources: [
    'amd-gfx 2019-07-02, dma-buf: cleanup shared fence removal',
    'include/linux/dma-resv.h',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_fence.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_sync.c',
    'drivers/gpu/drm/amd/amdkfd/kfd_process.c',
    'E1.1..E1.14',
    'E2',
    'C23',
    'R-22',
    'B37',
  ],
  knobs: {
    /** 'skipped_by_owner': it stands in a sync slot, but the sync code of its own driver leaves it out. */
    usage: ['BOOKKEEP', 'skipped_by_owner', 'READ_WRITE'],
    consumer: ['same_driver', 'other_driver'],
  },
  kernel: ({ usage, consumer }) => {
    // The frame only reads, so it waits for writers; a frame that writes would meet the fence in READ as well.
    const slot = usage === 'BOOKKEEP' ? 'BOOKKEEP' : 'WRITE';
    const skips = usage === 'skipped_by_owner' && consumer === 'same_driver' ? 'kfd' : '';
    return {
      objects: {
        // The process is running when the story begins.
        resvs: { bo: { fences: [{ fence: 'eviction', usage: slot }] } },
        fences: {
          eviction: {
            enable_signaling: 'kfd_enable_signaling',
            initialised: true,
            published: true,
            promisedBy: 'evict_work',
          },
          render: {},
        },
        housekeeping: { eviction: { owner: 'kfd' } },
      },
      routines: {
        kfd_enable_signaling: [queue_work('evict_work')],
        render_irq: [dma_fence_signal('$fence')],
      },
      threads: {
        compute_queue: user_queue({ restored_by: 'restore_work' }),
        // A real dependency of the frames, so that leaving fences out cannot pass for synchronising.
        gfx_submit: must([
          dma_resv_lock('bo'),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('render'),
          dma_resv_add_fence('bo', 'render', 'WRITE'),
          dma_resv_unlock('bo'),
          emit('gfx', 'render', 'render', 'render_irq'),
        ]),
        gfx: ring(),
        // Frame after frame, for ever: the compositor of the same driver, or of the card that drives the display.
        compositor: must([
          forever([
            dma_resv_lock('bo'),
            implicit_sync_wait('bo', 'read', skips),
            job_starts('frame', 'bo', 'read'),
            dma_resv_unlock('bo'),
            progress('a frame is on the screen'),
          ]),
        ]),
        // The memory is wanted once, truly.
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          witness('memory pressure moves the buffer'),
          dma_resv_unlock('bo'),
        ]),
        // It takes no lock: an evictor holds the reservation while it waits (E1.7). A restore that has not mapped the
        // queues yet is let finish, or it would map them after this (drivers/gpu/drm/amd/amdkfd/kfd_process.c).
        evict_work: work([
          dma_fence_begin_signalling(),
          flush_work('restore_work'),
          unmap_queue('compute_queue'),
          witness('the process is evicted'),
          dma_fence_signal('eviction'),
          dma_fence_end_signalling(),
          queue_work('restore_work'),
        ]),
        // The old fence has signalled, so this may allocate; the new one stands before the queues run (E1.8, E1.9).
        restore_work: work([
          dma_resv_lock('bo'),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('eviction', 'evict_work'),
          dma_resv_add_fence('bo', 'eviction', slot),
          dma_resv_unlock('bo'),
          map_queue('compute_queue'),
          witness('the process is restored'),
        ]),
      },
    };
  },
  expect: [
    {
      when: { usage: 'BOOKKEEP' },
      acquits: true,
      witnesses: [
        'compositor waits for render',
        'ttm_evict waits for eviction',
        'memory pressure moves the buffer',
        'the process is evicted',
        'the process is restored',
      ],
      because: 'implicit sync never looks at BOOKKEEP, and memory management does: only a move evicts the process',
    },
    {
      when: { usage: 'skipped_by_owner', consumer: 'same_driver' },
      acquits: true,
      witnesses: [
        'compositor waits for render',
        'ttm_evict waits for eviction',
        'memory pressure moves the buffer',
        'the process is evicted',
        'the process is restored',
      ],
      because:
        'a driver recognises its own eviction fences and leaves them out of a job; that is enough for one driver',
    },
    {
      when: { usage: 'skipped_by_owner', consumer: 'other_driver' },
      convicts: ['implicit-sync', 'no-livelock'],
      witnesses: ['compositor waits for eviction'],
      because: 'another driver cannot know whose fence it is: for it this is a writer to wait for',
    },
    {
      when: { usage: 'READ_WRITE' },
      convicts: ['implicit-sync', 'no-livelock'],
      witnesses: ['compositor waits for eviction'],
      because:
        'every frame that looks at the buffer stops the process that computes in it, and the process comes back only to be stopped again',
    },
  ],
});
