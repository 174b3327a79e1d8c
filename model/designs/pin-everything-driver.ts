/**
 * A driver that pins everything and gives nothing back under pressure may think that the rules are not for it.
 *
 * Reclaim never comes to such a driver, so an allocation in its run_job waits for nobody, and on a machine that it has for
 * itself nothing ever happens. But its fences travel: an importer with a shrinker keeps the shared buffer in use by
 * waiting for them, and then the allocation in the one driver waits for the shrinker of the other, which waits for the
 * job. Neither driver deadlocks alone; the rule is broken all the same, and is the same for everybody (C1, L-23).
 */
import { onOneMachine } from '../compose.ts';
import { type Kernel, design, ioctl } from '../design.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  emit,
  if_ret,
  kmalloc,
  kswapd,
  promise_passes_to,
  return_,
  ring,
  sync_file_install,
  user,
  witness,
} from '../objects/index.ts';

/** It pins its buffers and has no shrinker. */
const driver = (allocation: 'none' | 'GFP_KERNEL'): Kernel => ({
  objects: { fences: { job: {}, hw: {} }, resvs: { shared_bo: {} } },
  threads: {
    user0: user(),
    user1: user(),
    kswapd,
    sched: drm_gpu_scheduler('run_job', {}),
    gpu: ring(),
  },
  calls: {
    submit: ioctl({}, [
      dma_resv_lock('shared_bo'),
      dma_fence_is_signaled('job'), // room for one job
      if_ret('0', [dma_resv_unlock('shared_bo'), return_('-EBUSY')]),
      dma_resv_reserve_fences('shared_bo'),
      dma_fence_begin_signalling(),
      dma_fence_init('job'),
      dma_resv_add_fence('shared_bo', 'job', 'WRITE'),
      sync_file_install('job'),
      drm_sched_entity_push_job('sched', 'job'),
      dma_fence_end_signalling(),
      dma_resv_unlock('shared_bo'),
      return_('0'),
    ]),
    // Anybody on this machine may be short of memory.
    use_memory: ioctl({}, [kmalloc('GFP_KERNEL'), return_('0')]),
  },
  routines: {
    run_job: [
      dma_fence_begin_signalling(),
      witness('run_job after its fence was published'),
      allocation === 'none' ? [] : kmalloc(allocation, 'hw_fence'),
      dma_fence_init('hw'),
      emit('gpu', '$job', 'hw', 'fence_irq', { job: '$job' }),
      promise_passes_to('$job', 'gpu'),
      dma_fence_end_signalling(),
    ],
    fence_irq: [dma_fence_signal('hw'), drm_sched_job_done('sched', '$job')],
  },
  workload: { user0: ['submit()', 'submit()'], user1: ['use_memory()'] },
});

/** What it imported leaves only when the exporter's work on it is over. */
const with_shrinker: Kernel = {
  objects: { resvs: { shared_bo: {} }, shrinkers: { of_the_neighbour: { scan: 'neighbour_shrinker_scan' } } },
  threads: { kswapd },
  routines: { neighbour_shrinker_scan: [dma_resv_wait('shared_bo', 'READ')] },
};

export const pinEverythingDriver = design({
  name: 'pin-everything-driver',
  title: 'A driver without a shrinker may not allocate in run_job either: its fences reach drivers that have one',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/scheduler/sched_main.c',
    'Documentation/driver-api/dma-buf.rst, DMA fence cross-driver contract',
    'L-23, HC-7',
    'cycle C1',
  ],
  knobs: {
    neighbour: ['none', 'with_shrinker'],
    allocation: ['none', 'GFP_KERNEL'],
  },
  kernel: ({ neighbour, allocation }) =>
    neighbour === 'none'
      ? driver(allocation)
      : onOneMachine({ driver: driver(allocation), neighbour: with_shrinker }, [['shared_bo']]),
  expect: [
    {
      when: { neighbour: 'with_shrinker', allocation: 'GFP_KERNEL' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock'],
      because: 'the allocation enters the shrinker of the other driver, which waits for the job that is to be run (C1)',
    },
    {
      when: { neighbour: 'none', allocation: 'GFP_KERNEL' },
      convicts: ['no-alloc-in-signalling'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'nobody on this machine waits for the job in reclaim, so it never locks up; the contract is broken (L-23)',
    },
    {
      when: { neighbour: 'with_shrinker', allocation: 'none' },
      acquits: true,
      witnesses: ['run_job after its fence was published', 'kswapd waits for job', 'user1 waits for job'],
      because: 'run_job needs no memory, so whoever waits for the job in reclaim gets it (HC-7)',
    },
    {
      when: { neighbour: 'none', allocation: 'none' },
      acquits: true,
      witnesses: ['run_job after its fence was published'],
      because: 'no allocation in the signalling path, and nobody who waits for it in reclaim',
    },
  ],
});
