/**
 * Where the memory of the hardware fence comes from when the scheduler runs a job.
 *
 * run_job comes after the job's finished fence was published, so everything it waits for, all those wait for who wait
 * for the job: a shrinker (L-23) and a notifier (L-24) among them. GFP_NOFS keeps the shrinker out and leaves the
 * notifier in; GFP_ATOMIC keeps both out and fails. An element of a pool is good only if it comes back without user
 * space, and before the credit does: the scheduler must let go of the hardware fence when the job is done, not with
 * the last reference to the finished fence, which a sync_file may keep for ever (A5.8, C21).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  dma_fence_add_callback,
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
  goto,
  if_ret,
  if_var,
  kmalloc,
  kswapd,
  label,
  mempool_alloc_preallocated,
  mempool_free,
  mempool_hand_over,
  promise_passes_to,
  return_,
  ring,
  set,
  user,
  witness,
} from '../objects/index.ts';

/** As many jobs on the hardware as there are elements in the pool: taking one cannot fail (C3.13). */
const CREDITS = 1;

export const drmSchedHwFence = design({
  name: 'drm-sched-hw-fence',
  title: 'The hardware fence of a scheduler job may not be allocated in run_job; embed it, or use a mempool',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'include/drm/gpu_scheduler.h',
    'drivers/gpu/drm/scheduler/sched_main.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_fence.c',
    'mm/mempool.c',
    'L-23, L-24, HC-7, C3.11, C3.13, A5.8',
    'cycles C1, C2, C21',
  ],
  knobs: {
    memory: ['embedded', 'mempool', 'GFP_ATOMIC', 'GFP_NOFS', 'GFP_KERNEL'],
    on_failure: ['retry', 'drop'],
  },
  kernel: ({ memory, on_failure }) => {
    // A job that is dropped here returns no fence and no error: nobody calls job_done for it.
    const without_memory: Block = [
      witness('run_job gets no memory'),
      on_failure === 'retry' ? goto('alloc') : return_('-ENOMEM'),
    ];
    const alloc_hw_fence: Block =
      memory === 'embedded'
        ? []
        : memory === 'mempool'
          ? [
              mempool_alloc_preallocated('hw_fences', '$me'),
              if_ret('-ENOMEM', without_memory),
              witness('the pool is empty'),
              mempool_hand_over('hw_fences', '$me', 'gpu'),
            ]
          : [kmalloc(memory, 'hw_fence'), if_ret('-ENOMEM', without_memory)];

    return {
      objects: {
        fences: { job0: {}, job1: {}, hw0: {}, hw1: {} },
        resvs: { vm: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
        ranges: { userptr: { invalidate: 'userptr_invalidate' } },
        mempools: { hw_fences: { free: CREDITS } },
      },
      threads: {
        user0: user(),
        user1: user(),
        kswapd,
        sched: drm_gpu_scheduler('run_job', { credit_limit: CREDITS }),
        gpu: ring(),
      },
      calls: {
        // The finished fence is called like its job; the buffers of the vm share its reservation.
        submit: ioctl({ job: ['job0', 'job1'] }, [
          kmalloc('GFP_KERNEL', 'job'),
          dma_resv_lock('vm'),
          dma_fence_is_signaled('$job'),
          if_ret('0', [goto('busy')]),
          dma_resv_reserve_fences('vm'),
          dma_fence_begin_signalling(),
          dma_fence_init('$job'),
          dma_resv_add_fence('vm', '$job', 'BOOKKEEP'),
          drm_sched_entity_push_job('sched', '$job'),
          dma_fence_end_signalling(),
          dma_resv_unlock('vm'),
          return_('0'),
          label('busy'),
          dma_resv_unlock('vm'),
          return_('-EBUSY'),
        ]),
      },
      routines: {
        run_job: [dma_fence_begin_signalling(), call('emit_job', { job: '$job' }), dma_fence_end_signalling()],
        emit_job: [
          if_var('job', 'job0', [set('hw', 'hw0')], [set('hw', 'hw1')]),
          label('alloc'),
          alloc_hw_fence,
          dma_fence_init('$hw'),
          emit('gpu', '$job', '$hw', 'fence_irq'),
          promise_passes_to('$job', 'gpu'),
          dma_fence_add_callback('$hw', 'job_done', { job: '$job' }),
          if_ret('-ENOENT', [call('job_done', { job: '$job' })]),
        ],
        fence_irq: [dma_fence_signal('$fence')],
        job_done: [memory === 'mempool' ? [mempool_free('hw_fences', 'gpu')] : [], drm_sched_job_done('sched', '$job')],
        // Both wait without the lock, which is allowed, and neither knows on whose stack it runs.
        gpu_shrinker_scan: [dma_resv_wait('vm', 'BOOKKEEP')],
        userptr_invalidate: [dma_resv_wait('vm', 'BOOKKEEP')],
      },
      workload: { user0: ['submit(job0)'], user1: ['submit(job1)'] },
    };
  },
  expect: [
    {
      when: { memory: 'GFP_KERNEL' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock'],
      because:
        'reclaim inside run_job enters the shrinker, which waits for the job that run_job has yet to emit (C1, L-23)',
    },
    {
      when: { memory: 'GFP_NOFS' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock'],
      because:
        'without __GFP_FS no shrinker runs, but reclaim still unmaps pages, and the notifier waits for the job (C2, L-24)',
    },
    {
      when: { memory: 'GFP_ATOMIC', on_failure: 'drop' },
      convicts: ['fence-signals'],
      because:
        'GFP_ATOMIC fails when memory is short; the finished fence is published, and nobody is left to signal it',
    },
    {
      when: { memory: 'GFP_ATOMIC', on_failure: 'retry' },
      acquits: true,
      witnesses: ['run_job gets no memory', 'kswapd waits for job0', 'user1 waits for job0'],
      because:
        'the retry waits for nobody, and every shortage here passes by itself. That is an assumption and no proof: where ' +
        'memory comes back only from those who wait for this very job, it never does, so embed the fence or use a pool',
    },
    {
      when: { memory: 'mempool' },
      acquits: true,
      witnesses: [
        'the pool is empty',
        'sched waits for credits of sched',
        'kswapd waits for job0',
        'user1 waits for job0',
      ],
      because:
        'credits <= min_nr, and the completion interrupt gives the element back before the credit: the next job waits ' +
        'for the credit, never for an element, and nobody in user space has a say (C3.13)',
    },
    {
      when: { memory: 'embedded' },
      acquits: true,
      witnesses: ['kswapd waits for job0', 'user1 waits for job0'],
      because: 'what run_job needs was allocated with the job, before its fence was published (HC-7)',
    },
  ],
});
