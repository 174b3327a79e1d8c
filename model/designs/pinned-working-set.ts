/**
 * Two models of submission, and implicit sync: a fence on every buffer for every batch, or a semi-static working set with
 * one eviction fence, and batches that touch no reservation at all.
 *
 * In the first the reservation says who works with a buffer, to memory management and to other users alike. In the
 * second it says only that the process is running. A compositor that synchronises by the reservation then finds nothing
 * of the frame, or, if the eviction fence stands for "somebody may write", it stops the process in order to read.
 */
import { design, may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  device_write,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  flush_work,
  forever,
  goto,
  if_ret,
  implicit_sync_wait,
  job_starts,
  label,
  mutex_lock,
  mutex_unlock,
  progress,
  queue_work,
  ring,
  sync_file_install,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  witness,
  work,
} from '../objects/index.ts';

const validate: Block = [
  ttm_bo_place('bo'),
  if_ret('SYSTEM', [ttm_bo_move_memcpy('bo', 'VRAM'), device_map('bo'), witness('the buffer comes back')]),
];

export const pinnedWorkingSet = design({
  name: 'pinned-working-set',
  title: 'The reservation serves a pinned working set or implicit sync; if you want both, it is going to be trouble',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'include/linux/dma-resv.h, drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_fence.c',
    'Documentation/driver-api/dma-buf.rst',
    'E1.1, E1.2, E1.7, E1.13, R-22, R-24, B-40, S-F2',
  ],
  knobs: {
    submission: ['fences_on_all_buffers', 'working_set', 'working_set_that_may_write'],
    compositor_syncs: ['by_the_fence_it_is_given', 'by_the_reservation'],
  },
  kernel: ({ submission, compositor_syncs }) => {
    const working_set = submission !== 'fences_on_all_buffers';
    const slot = submission === 'working_set_that_may_write' ? 'WRITE' : 'BOOKKEEP';
    return {
      objects: {
        resvs: { bo: working_set ? { fences: [{ fence: 'eviction', usage: slot }] } : {} },
        bos: { bo: { place: 'VRAM', mapped: 'VRAM' } },
        fences: {
          frame: {},
          ...(working_set
            ? {
                eviction: {
                  enable_signaling: 'enable_eviction',
                  initialised: true,
                  published: true,
                  promisedBy: 'evict_work',
                },
              }
            : {}),
        },
        writers: { frame: { of: 'bo' } },
        ...(working_set ? { housekeeping: { eviction: {} }, locks: { 'process.lock': {} } } : {}),
      },
      routines: {
        ...(working_set ? { enable_eviction: [queue_work('evict_work')] } : {}),
        frame_done: [device_write('bo', 'frame'), dma_fence_signal('$fence')],
      },
      threads: {
        // Frame after frame, for ever.
        submit: must([
          forever([
            dma_fence_wait('frame'),
            flush_work('compositor'),
            working_set
              ? [
                  label('again'),
                  mutex_lock('process.lock'),
                  dma_fence_is_signaled('eviction'),
                  if_ret('1', [
                    witness('the process is evicted and its batch waits'),
                    mutex_unlock('process.lock'),
                    flush_work('restore_work'),
                    goto('again'),
                  ]),
                  dma_fence_init('frame'),
                  sync_file_install('frame'),
                  emit('gpu', 'frame', 'frame', 'frame_done'),
                  mutex_unlock('process.lock'),
                ]
              : [
                  dma_resv_lock('bo'),
                  validate,
                  dma_resv_reserve_fences('bo'),
                  dma_fence_init('frame'),
                  sync_file_install('frame'),
                  dma_resv_add_fence('bo', 'frame', 'WRITE'),
                  emit('gpu', 'frame', 'frame', 'frame_done'),
                  dma_resv_unlock('bo'),
                ],
            queue_work('compositor'), // "here is my frame"
            progress('a frame is submitted'),
          ]),
        ]),
        gpu: ring(),
        compositor: work([
          compositor_syncs === 'by_the_reservation'
            ? [dma_resv_lock('bo'), implicit_sync_wait('bo', 'read'), dma_resv_unlock('bo')]
            : dma_fence_wait('frame'),
          job_starts('the next picture', 'bo', 'read'),
          witness('the frame is read'),
        ]),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo', 'SYSTEM'),
          witness('memory pressure moves the buffer'),
          dma_resv_unlock('bo'),
        ]),
        ...(working_set
          ? {
              // It takes no reservation (E1.7); what the process has on the ring comes to an end.
              evict_work: work([
                mutex_lock('process.lock'), // no new batch; held over the submission alone, which needs no memory
                dma_fence_begin_signalling(),
                dma_fence_wait('frame'),
                dma_fence_signal('eviction'),
                dma_fence_end_signalling(),
                mutex_unlock('process.lock'),
                queue_work('restore_work'),
              ]),
              restore_work: work([
                dma_resv_lock('bo'),
                validate,
                dma_resv_reserve_fences('bo'),
                mutex_lock('process.lock'),
                dma_fence_init('eviction', 'evict_work'),
                dma_resv_add_fence('bo', 'eviction', slot),
                mutex_unlock('process.lock'),
                dma_resv_unlock('bo'),
              ]),
            }
          : {}),
      },
    };
  },
  expect: [
    {
      when: { submission: 'fences_on_all_buffers' },
      acquits: true,
      witnesses: [
        'compositor waits for frame',
        'ttm_evict waits for frame',
        'memory pressure moves the buffer',
        'the buffer comes back',
        'the frame is read',
      ],
      because:
        'the fence of each batch stands on each buffer: memory management and other users read the same truth there',
    },
    {
      when: { compositor_syncs: 'by_the_fence_it_is_given' },
      acquits: true,
      witnesses: [
        'compositor waits for frame',
        'ttm_evict waits for eviction',
        'memory pressure moves the buffer',
        'the process is evicted and its batch waits',
        'the buffer comes back',
        'the frame is read',
      ],
      because: 'the reservation serves memory management alone, and who reads the frame is told what to wait for',
    },
    {
      when: { submission: 'working_set', compositor_syncs: 'by_the_reservation' },
      convicts: ['implicit-sync'],
      spares: ['no-livelock', 'no-deadlock', 'no-stale-access'],
      because:
        'no batch put a fence there, so the compositor finds nobody to wait for and reads a frame that is being drawn',
    },
    {
      when: { submission: 'working_set_that_may_write', compositor_syncs: 'by_the_reservation' },
      convicts: ['implicit-sync'],
      spares: ['no-deadlock', 'no-stale-access'],
      because:
        'the eviction fence stands for the batches, which makes the frame right and the reader an evictor: every frame stops the process (E1.13)',
    },
  ],
});
