/**
 * Jobs with fences and contexts that fault share the units of one GPU: who waits for whom?
 *
 * A context that stands in a page fault keeps its units until the fault is repaired. The repair allocates, so it may wait
 * in reclaim for the fence of a job that waits for those units (C14, PF-3). Every way out cuts the first edge: hardware
 * that preempts within a fault (M-a of PF-4), units of their own for jobs with fences, for good or while there are any
 * (M-b, M-c: to those who wait it is another engine), or never both at a time (M-d).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  gpu_fault_answer,
  gpu_fault_take,
  if_ret,
  kmalloc,
  kswapd,
  map_queue,
  mutex_lock,
  mutex_unlock,
  queue_work,
  return_,
  ring,
  unmap_queue,
  user,
  user_queue,
  witness,
  work,
} from '../objects/index.ts';

export const faultInBatch = design({
  name: 'fault-in-batch',
  title: 'A context that may fault keeps no units from a job with a fence',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'Documentation/driver-api/dma-buf.rst, recoverable hardware page faults',
    'drivers/gpu/drm/xe/xe_hw_engine_group.c, xe_gt_pagefault.c',
    'PF-3, PF-4, E8.8',
    'cycle C14',
  ],
  knobs: { shared_engine: ['no', 'mode_switch', 'preempts_in_a_fault', 'freely'] },
  kernel: ({ shared_engine }) => {
    const switches = shared_engine === 'mode_switch';
    const in_mode = (body: Block): Block =>
      switches ? [mutex_lock('mode_sem'), body, mutex_unlock('mode_sem')] : body;
    return {
      objects: {
        engines: { eu: {}, eu_compute: {} },
        fences: { job: {} },
        resvs: { bo: {} },
        bos: { svm: { place: 'TT', tt: 'populated' } },
        fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } },
        locks: { mode_sem: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        user0: user(),
        kswapd,
        gfx: ring({ engine: 'eu' }),
        compute: user_queue({
          uses: ['svm'],
          fault_buffer: 'faults',
          preempts_on_fault: shared_engine === 'preempts_in_a_fault',
          engine: shared_engine === 'no' ? 'eu_compute' : 'eu',
        }),
        fault_work: work([
          gpu_fault_take('faults'),
          if_ret('0', [return_('0')]),
          kmalloc('GFP_KERNEL', 'page table'),
          device_map('svm'),
          gpu_fault_answer('compute', 'success'),
          witness('a fault is repaired'),
        ]),
        ...(switches
          ? {
              resume_work: work([
                mutex_lock('mode_sem'),
                dma_fence_is_signaled('job'),
                if_ret('1', [map_queue('compute')]), // or the next job will see to it
                mutex_unlock('mode_sem'),
              ]),
            }
          : {}),
      },
      calls: {
        submit: ioctl({}, [
          dma_resv_lock('bo'),
          dma_resv_reserve_fences('bo'),
          in_mode([
            dma_fence_is_signaled('job'), // room for one job
            if_ret('1', [
              switches ? unmap_queue('compute') : [],
              dma_fence_init('job'),
              dma_resv_add_fence('bo', 'job', 'WRITE'),
              emit('gfx', 'job', 'job', 'fence_irq'),
            ]),
          ]),
          dma_resv_unlock('bo'),
          return_('0'),
        ]),
      },
      routines: {
        fence_irq: [dma_fence_signal('job'), switches ? queue_work('resume_work') : []],
        fault_irq: [queue_work('fault_work')],
        gpu_shrinker_scan: [dma_resv_wait('bo', 'READ')],
      },
      workload: { user0: ['submit()'] },
    };
  },
  expect: [
    {
      when: { shared_engine: 'freely' },
      convicts: ['no-deadlock', 'fence-signals', 'no-alloc-in-signalling'],
      because:
        'the job waits for the units, the context on them for its repair, and the repair in reclaim for the job (C14)',
    },
    {
      when: { shared_engine: 'preempts_in_a_fault' },
      acquits: true,
      witnesses: ['a fault is repaired', 'fault_work waits for job'],
      because: 'the job takes the units away from whoever stands in a fault (M-a)',
    },
    {
      when: { shared_engine: 'mode_switch' },
      acquits: true,
      witnesses: ['a fault is repaired', 'user0 waits for fault of compute'],
      because:
        'while a fence is pending nothing that may fault is on the engine, and the switch comes before the fence (M-d)',
    },
    {
      when: { shared_engine: 'no' },
      acquits: true,
      witnesses: ['a fault is repaired', 'fault_work waits for job'],
      because: 'the repair may wait for the job, for the job does not wait for the units of the context (M-b, M-c)',
    },
  ],
});
