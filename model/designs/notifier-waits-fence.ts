/**
 * Userptr whose notifier waits for fences, and a scheduler's worker that allocates before it signals one of them.
 *
 * The pages under a running job may not be taken away, so the notifier has to wait for the job. The notifier in turn is
 * called wherever memory is short, on the stack of whoever allocates: also of the worker that the job still needs.
 * There are no signalling annotations here, as there were none in 2019; who owes the fence is all the harness knows.
 */
import { design, ioctl } from '../design.ts';
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
  hmm_range_fault,
  if_ret,
  if_var,
  kmalloc,
  kswapd,
  mempool_alloc_preallocated,
  mempool_free,
  mmap,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  munmap,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  return_,
  ring,
  set,
  user,
  witness,
  work,
} from '../objects/index.ts';

export const notifierWaitsFence = design({
  name: 'notifier-waits-fence',
  title: 'Once a fence is published, nothing on any path to its signal may allocate: notifiers wait for fences',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c, amdgpu_hmm_invalidate_gfx',
    'drivers/gpu/drm/scheduler/sched_main.c, drm_sched_run_job_work',
    'drivers/dma-buf/dma-fence.c, Documentation/gpu/drm-vm-bind-locking.rst, mm/page_alloc.c',
    'C2, F4 (signalling in reclaim), L-24, N-4, N-8, A3.3, A3.4, A9.12, A10.9',
  ],
  knobs: { signaller_allocates: ['never', 'GFP_NOWAIT', 'GFP_NOIO', 'GFP_NOFS', 'GFP_KERNEL'] },
  kernel: ({ signaller_allocates: gfp }) => ({
    objects: {
      locks: { ...mmap, notifier_lock: {} },
      resvs: { bo: {} },
      fences: { job: {} },
      userptrs: { userptr: {} },
      ranges: { userptr: { invalidate: 'userptr_invalidate' } },
      mempools: { reserve: { free: 1 } },
    },
    calls: {
      submit: ioctl({}, [
        hmm_range_fault('userptr'),
        dma_resv_lock('bo'),
        dma_fence_is_signaled('job'), // room for one job: the next has to wait outside
        if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_resv_reserve_fences('bo'), // the last allocation before the fence is published
        mutex_lock('notifier_lock'),
        mmu_interval_read_retry('userptr', 'notifier_lock'),
        if_ret('1', [mutex_unlock('notifier_lock'), dma_resv_unlock('bo'), return_('-EAGAIN')]),
        dma_fence_init('job'),
        dma_resv_add_fence('bo', 'job', 'WRITE'), // published, in one section with the check (A10.9)
        mutex_unlock('notifier_lock'),
        promise_passes_to('job', 'run_job_work'),
        queue_work('run_job_work'),
        dma_resv_unlock('bo'),
        return_('0'),
      ]),
      munmap: ioctl({}, [munmap('userptr')]),
    },
    routines: {
      userptr_invalidate: [
        mutex_lock('notifier_lock'),
        mmu_interval_set_seq('userptr'),
        mutex_unlock('notifier_lock'),
        dma_resv_wait('bo', 'BOOKKEEP'), // uninterruptible, for ever, without the reservation (N-8, N-9)
      ],
      job_done: [if_var('from', 'reserve', [mempool_free('reserve', 'gpu')]), dma_fence_signal('job')],
    },
    threads: {
      user0: user(),
      user1: user(),
      run_job_work: work([
        set('from', 'slab'),
        kmalloc(gfp, 'job->hw_fence'), // 'never': the hardware fence is embedded in the job
        if_ret('-ENOMEM', [
          witness('the allocation fails and the reserve serves'),
          mempool_alloc_preallocated('reserve', 'gpu'),
          set('from', 'reserve'),
        ]),
        emit('gpu', 'job', 'job', 'job_done', { from: '$from' }),
      ]),
      gpu: ring(),
      kswapd,
    },
    workload: { user0: ['submit()'], user1: ['munmap()'] },
  }),
  expect: [
    {
      when: { signaller_allocates: 'never' },
      acquits: true,
      witnesses: ['user1 waits for job', 'kswapd waits for job'],
      because:
        'whoever waits for the job in a notifier gets it: the worker and the ring need no memory, and no lock that a notifier is called under',
    },
    {
      when: { signaller_allocates: 'GFP_NOWAIT' },
      acquits: true,
      witnesses: ['user1 waits for job', 'kswapd waits for job', 'the allocation fails and the reserve serves'],
      because: 'no direct reclaim, so no notifier; the allocation may fail, and the reserve is the fallback (L-24, F4)',
    },
    {
      when: { signaller_allocates: ['GFP_NOIO', 'GFP_NOFS'] },
      convicts: ['no-deadlock', 'no-alloc-in-signalling', 'fence-signals', 'lock-order'],
      because:
        'NOFS and NOIO keep shrinkers away, not notifiers (A3.4): reclaim takes a page of the userptr, and its notifier waits on the stack of the worker that has yet to start the job (C2)',
    },
    {
      when: { signaller_allocates: 'GFP_KERNEL' },
      convicts: ['no-deadlock', 'no-alloc-in-signalling', 'fence-signals', 'lock-order'],
      because: 'the same circle, and any shrinker that waits for fences would close another (C1, C2)',
    },
  ],
});
