/**
 * sw_sync: fences that only a process signals, with no timeout at all. The one exception to the guarantee that every
 * fence signals in finite time, and it lives in debugfs (SW-8).
 *
 * As long as its fences stay in files, whoever waits for one waits in user space, holds nothing, and can be killed: the
 * promise is broken, the machine is not. Import into a reservation makes a kernel fence of it, since nothing looks where
 * a fence comes from (B-41): memory management waits there, with the reservation held, and the process that should move
 * the timeline on may need that very reservation.
 */
import { design, ioctl, may } from '../design.ts';
import {
  dma_buf_import_sync_file,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  exporter,
  fd_install,
  if_ret,
  return_,
  ring,
  sw_sync_create_fence,
  sw_sync_inc,
  sw_sync_timeline,
  sync_file_create,
  sync_file_fence,
  sync_wait,
  together,
  user,
  witness,
} from '../objects/index.ts';

const POINT = 'timeline.1';

export const swSyncDebugfs = design({
  name: 'sw-sync-debugfs',
  title: 'The only exception to the guarantee is the debugfs-only sw_fence interface, and it must not leave debugfs',
  sources: [
    'Daniel Vetter, intel-gfx, 2016-07-14, drm/vgem: Attach sw fences to exported vGEM dma-buf (ioctl)',
    'drivers/dma-buf/sw_sync.c, drivers/dma-buf/sync_debug.h',
    'drivers/dma-buf/dma-buf.c, dma_buf_import_sync_file',
    'SW-1..SW-4, SW-8, SW-10, B-38, B-40, B-41, SF-4, T-1, I-10',
  ],
  knobs: {
    sw_sync: ['not_configured', 'in_debugfs'],
    /** The second is upstream: nothing asks who will signal the fence. */
    import_takes: ['kernel_fences', 'any_fence'],
  },
  kernel: ({ sw_sync, import_takes }) => ({
    objects: together(sw_sync_timeline('timeline', 1), {
      resvs: { bo: {} },
      dma_bufs: { buf: { ...exporter('bo'), refs: 1 } },
      fences: { job: {} },
      sync_files: { sw_file: {}, job_file: {} },
    }),
    calls: {
      create_fence: ioctl(
        {},
        sw_sync === 'not_configured' ? [return_('-ENOENT')] : [sw_sync_create_fence('timeline', 1, 'sw_file')],
      ),
      inc: ioctl({}, sw_sync === 'not_configured' ? [return_('-ENOENT')] : [sw_sync_inc('timeline', 1)]),
      submit: ioctl({}, [
        dma_resv_lock('bo'),
        dma_fence_is_signaled('job'), // room for one job
        if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_resv_reserve_fences('bo'),
        dma_fence_init('job'),
        sync_file_create('job_file', 'job'),
        dma_resv_add_fence('bo', 'job', 'BOOKKEEP'), // explicit sync; user space promotes what others must see (B-40)
        emit('gpu', 'job', 'job', 'job_done'),
        dma_resv_unlock('bo'),
        fd_install('job_file'),
        return_('0'),
      ]),
      import_sync_file: ioctl({ file: ['sw_file', 'job_file'] }, [
        import_takes === 'any_fence'
          ? []
          : [
              sync_file_fence('$file'),
              if_ret(POINT, [witness('a fence that only user space signals is refused'), return_('-EINVAL')]),
            ],
        dma_buf_import_sync_file('buf', ['WRITE'], '$file'),
      ]),
    },
    routines: { job_done: [dma_fence_signal('job')] },
    threads: {
      client: user(),
      // Another process has the file and sleeps on it.
      other: { kind: 'user', begins: 'may', program: [sync_wait('sw_file')] },
      gpu: ring(),
      // Somebody needs the memory of the buffer.
      ttm_evict: may([
        dma_resv_lock('bo'),
        dma_resv_wait('bo', 'BOOKKEEP'),
        witness('memory pressure moves the buffer'),
        dma_resv_unlock('bo'),
      ]),
    },
    workload: {
      client: ['create_fence()', 'import_sync_file(sw_file)', 'submit()', 'import_sync_file(job_file)', 'inc()'],
    },
  }),
  expect: [
    {
      when: { sw_sync: 'not_configured' },
      acquits: true,
      witnesses: ['ttm_evict waits for job', 'client waits for bo', 'memory pressure moves the buffer'],
      because: 'whatever a process imports, the kernel made it and will signal it',
    },
    {
      when: { sw_sync: 'in_debugfs', import_takes: 'kernel_fences' },
      convicts: ['fence-signals', 'no-alloc-in-signalling'],
      spares: ['no-deadlock', 'lock-order', 'no-livelock'],
      witnesses: [
        'a fence that only user space signals is refused',
        'other waits for timeline.1',
        'ttm_evict waits for job',
        'memory pressure moves the buffer',
      ],
      because:
        'the fence breaks the promise, and only a process that can be killed waits for it: an exception for a test machine, not a rule',
    },
    {
      when: { sw_sync: 'in_debugfs', import_takes: 'any_fence' },
      convicts: ['fence-signals', 'no-alloc-in-signalling', 'no-deadlock', 'lock-order', 'api-contract'],
      witnesses: ['ttm_evict waits for timeline.1'],
      because:
        'eviction holds the reservation and waits for the process; the process wants the reservation before it moves the timeline on',
    },
  ],
});
