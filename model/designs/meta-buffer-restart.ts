/**
 * Going on after a command buffer in error takes command buffers of the driver's own, to stop and to start the device.
 *
 * From the error on it is the recovery work that owes the fence of the bad buffer, and reclaim
 * may wait for it. So the work may neither allocate its meta buffers (C8) nor run on a queue that may
 * have to make a worker first (C33). And an allocation that fails instead of waiting is no way out when the answer is to
 * print a line: the device stays stopped. One recovery runs at a time, so one meta buffer, made with the device, is
 * enough (D3.1..D3.6, D3.9).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  if_ret,
  kmalloc,
  kswapd,
  mempool_alloc_preallocated,
  mempool_free,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  return_,
  ring,
  skip_job,
  user,
  witness,
  work,
} from '../objects/index.ts';

export const metaBufferRestart = design({
  name: 'meta-buffer-restart',
  title: 'The restart after a bad command buffer needs its own buffers made in advance, and a rescuer to run it',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/vmwgfx/vmwgfx_cmdbuf.c, vmw_cmdbuf_work_func',
    'kernel/workqueue.c',
    'D3.1..D3.9, L-23',
    'cycles C8, C33',
  ],
  knobs: {
    restart_buffer: ['preallocated', 'dma_pool', 'dma_pool_atomic'],
    error_work_on: ['mem_reclaim', 'system_wq'],
  },
  kernel: ({ restart_buffer, error_work_on }) => {
    const get_meta: Block =
      restart_buffer === 'preallocated'
        ? [mempool_alloc_preallocated('meta_buffers', 'error_work')]
        : [
            kmalloc(restart_buffer === 'dma_pool' ? 'GFP_KERNEL' : 'GFP_ATOMIC', 'meta_buffer'),
            // What the driver does about it: a line in the log.
            if_ret('-ENOMEM', [witness('the restart gets no memory'), mutex_unlock('error_mutex'), return_('0')]),
          ];
    const put_meta: Block = restart_buffer === 'preallocated' ? [mempool_free('meta_buffers', 'error_work')] : [];
    return {
      objects: {
        fences: { job: {} },
        resvs: { bo: {} },
        locks: { error_mutex: {} },
        mempools: { meta_buffers: { free: 1 } },
        shrinkers: { buffers: { scan: 'vmw_shrinker_scan' } },
        workqueues: { wq: { max_active: 1, mem_reclaim: error_work_on === 'mem_reclaim' } },
      },
      threads: {
        user0: user(),
        user1: user(),
        kswapd,
        device: ring({ fault: 'error_irq', reset_by: 'error_work' }),
        error_work: work(
          [
            mutex_lock('error_mutex'),
            witness('the device stops at an error'),
            get_meta,
            skip_job('device', 'batch'),
            dma_fence_signal('job'), // the fence command that is sent in place of the dropped buffer
            put_meta,
            mutex_unlock('error_mutex'),
          ],
          'wq',
        ),
      },
      calls: {
        execbuf: ioctl({}, [
          dma_resv_lock('bo'),
          dma_fence_is_signaled('job'), // room for one job
          if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('job'),
          dma_resv_add_fence('bo', 'job', 'WRITE'),
          emit('device', 'batch', 'job', 'fence_irq'),
          dma_resv_unlock('bo'),
          return_('0'),
        ]),
        use_memory: ioctl({}, [kmalloc('GFP_KERNEL'), return_('0')]),
      },
      routines: {
        fence_irq: [dma_fence_signal('$fence')],
        error_irq: [promise_passes_to('$fence', 'error_work'), queue_work('error_work')],
        vmw_shrinker_scan: [dma_resv_wait('bo', 'READ')],
      },
      workload: { user0: ['execbuf()', 'execbuf()'], user1: ['use_memory()'] },
    };
  },
  expect: [
    {
      when: { restart_buffer: 'dma_pool', error_work_on: 'mem_reclaim' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'reclaim in the recovery waits for the very fence that the recovery is about to send (C8)',
    },
    {
      when: { restart_buffer: 'dma_pool', error_work_on: 'system_wq' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'both: the worker is an allocation, and so is the buffer (C8, C33)',
    },
    {
      when: { restart_buffer: 'dma_pool_atomic', error_work_on: 'mem_reclaim' },
      convicts: ['fence-signals'],
      because:
        'nothing waits any more, but when there is no memory the device stays stopped, and the fence pending (D3.5)',
    },
    {
      when: { restart_buffer: 'dma_pool_atomic', error_work_on: 'system_wq' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'the worker is an allocation, however careful the work is once it runs (C33)',
    },
    {
      when: { restart_buffer: 'preallocated', error_work_on: 'system_wq' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'the work needs nothing, but a worker to run it may have to be made, and that waits for the fence (C33)',
    },
    {
      when: { restart_buffer: 'preallocated', error_work_on: 'mem_reclaim' },
      acquits: true,
      witnesses: ['the device stops at an error', 'kswapd waits for job', 'user1 waits for job'],
      because: 'the rescuer runs the work and the buffer is there, whoever waits for the fence in reclaim (D3.6)',
    },
  ],
});
