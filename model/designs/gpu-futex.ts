/**
 * A GPU futex: a value in memory by which the batches of a program wait for each other and for its CPU code, and which is
 * imported as a dma-fence, so that a compositor may wait for it as for any picture.
 *
 * The program rings its queue before it imports, and the queue will write the value: from user space nothing can go
 * wrong. But a queue runs only while its buffers are where they were. To move one, memory management stops the queue,
 * then waits for all fences on the buffer: for the imported one, too, which only the stopped queue could end, and the
 * worker that would let the queue run again needs the reservation that is held meanwhile. The value is nobody's promise,
 * so no search for a circle of debts finds this one: neither side sees both halves of it (T-7). user-fence-kept-apart
 * has the same with a writer that is a process.
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
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
  if_ret,
  implicit_sync_wait,
  map_queue,
  punish,
  queue_work,
  return_,
  ring,
  ring_doorbell,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  unmap_queue,
  user,
  user_queue,
  wait_user_fence,
  wait_user_fence_in_worker,
  witness,
  work,
  write_wptr,
} from '../objects/index.ts';

export const gpuFutex = design({
  name: 'gpu-futex',
  title: 'A value that a batch writes is waited for before there is a dma-fence, and is never imported as one',
  sources: [
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'Documentation/gpu/drm-vm-bind-async.rst (memory fences as in-fences)',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq_fence.c',
    'X-3, X-5, T-1, T-7..T-14, P-1, P-6, G1.3, G3',
    'cycle C13',
  ],
  knobs: { futex: ['awaited_in_the_ioctl', 'imported', 'imported_with_timeout'] },
  kernel: ({ futex }) => {
    const timed = futex === 'imported_with_timeout';
    /** Put this fence on the picture; what ends it comes with it. */
    const publish = (fence: string, by: string, begin: Block): Block => [
      dma_resv_lock('bo'),
      dma_fence_is_signaled(fence), // room for one
      if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
      dma_resv_reserve_fences('bo'),
      dma_fence_init(fence, by),
      dma_resv_add_fence('bo', fence, 'WRITE'),
      begin,
      dma_resv_unlock('bo'),
      return_('0'),
    ];
    return {
      objects: {
        user_fences: { done: {} },
        fences: {
          eviction: {
            enable_signaling: 'enable_eviction',
            initialised: true,
            published: true,
            promisedBy: 'evict_work',
          },
          ...(futex === 'awaited_in_the_ioctl' ? { copy: {} } : { imported: {} }),
        },
        housekeeping: { eviction: {} },
        resvs: { bo: { fences: [{ fence: 'eviction', usage: 'BOOKKEEP' }] } },
        bos: { bo: { place: 'VRAM', mapped: 'VRAM' } },
        clients: { app: {} },
      },
      threads: {
        app: user(),
        compositor: user(),
        queue: user_queue({
          uses: ['bo'],
          fence: 'eviction',
          restored_by: 'restore_work',
          ring_buffer: true,
          completes: 'done',
        }),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo', 'SYSTEM'),
          witness('memory pressure moves the picture'),
          dma_resv_unlock('bo'),
        ]),
        evict_work: work([
          dma_fence_begin_signalling(),
          unmap_queue('queue'),
          dma_fence_signal('eviction'),
          dma_fence_end_signalling(),
          queue_work('restore_work'),
        ]),
        restore_work: work([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_place('bo'),
          if_ret('SYSTEM', [ttm_bo_move_memcpy('bo', 'VRAM'), device_map('bo'), witness('the picture comes back')]),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('eviction', 'evict_work'),
          dma_resv_add_fence('bo', 'eviction', 'BOOKKEEP'),
          map_queue('queue'),
          dma_resv_unlock('bo'),
        ]),
        ...(futex === 'awaited_in_the_ioctl'
          ? { sdma: ring() }
          : {
              import_work: work([
                wait_user_fence_in_worker('done', 1, timed ? 'HZ' : undefined),
                if_ret('-ETIME', [
                  witness('the imported fence is forced'),
                  dma_fence_set_error('imported', '-ETIME'),
                  punish('app', 'its picture is shown before it is finished'),
                ]),
                dma_fence_signal('imported'),
              ]),
            }),
      },
      routines: {
        enable_eviction: [queue_work('evict_work')],
        copy_done: [dma_fence_signal('$fence'), witness('the picture is copied')],
      },
      calls: {
        // In user space: one packet, and the queue writes `done` behind it.
        draw: ioctl({}, [write_wptr('queue', 1), ring_doorbell('queue'), return_('0')]),
        present: ioctl(
          {},
          futex === 'awaited_in_the_ioctl'
            ? [
                wait_user_fence('done', 1),
                if_ret('-ERESTARTSYS', [return_('-ERESTARTSYS')]),
                publish('copy', '$me', [emit('sdma', 'copy', 'copy', 'copy_done')]),
              ]
            : publish('imported', 'import_work', [queue_work('import_work')]),
        ),
        compose: ioctl({}, [implicit_sync_wait('bo', 'read'), return_('0')]),
      },
      workload: { app: ['draw()', 'present()'], compositor: ['compose()'] },
    };
  },
  expect: [
    {
      when: { futex: 'awaited_in_the_ioctl' },
      acquits: true,
      witnesses: [
        'app waits for done',
        'ttm_evict waits for eviction',
        'memory pressure moves the picture',
        'the picture comes back',
        'compositor waits for copy',
        'the picture is copied',
      ],
      because: 'what has a fence is ready to run, and while the value is awaited nobody waits for a fence (T-12, T-13)',
    },
    {
      when: { futex: 'imported' },
      convicts: ['fence-signals'],
      spares: ['no-deadlock', 'lock-order', 'no-alloc-in-signalling', 'innocent-not-punished'],
      witnesses: ['import_work waits for done', 'ttm_evict waits for imported', 'memory pressure moves the picture'],
      because:
        'eviction has stopped the queue and waits for what the queue was to write, with the reservation held that its return needs: a correct program hangs for ever (X-3, T-7, T-11)',
    },
    {
      when: { futex: 'imported_with_timeout' },
      convicts: ['innocent-not-punished'],
      spares: ['fence-signals', 'no-deadlock', 'no-livelock', 'no-leak'],
      witnesses: ['the imported fence is forced', 'ttm_evict waits for imported', 'the picture comes back'],
      because:
        'it hangs until the time is up, and then its picture is shown half drawn: it did nothing but ring its queue (X-5, T-8)',
    },
  ],
});
