/**
 * The contract that every submission ioctl keeps today: from the moment the fence is published to its signal there is
 * nothing that allocates and nothing that can fail. So everything that can do either comes before.
 *
 * The ioctl owes the fence from its publication until the job is on the ring. An allocation in between may wait, through
 * a shrinker or a notifier, for that very fence; an error in between leaves a fence that nobody will signal, and
 * the buffers that carry it can never be moved again.
 */
import { design, ioctl } from '../design.ts';
import {
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
  kmalloc,
  kswapd,
  may_go,
  return_,
  ring,
  sync_file_install,
  user,
  witness,
} from '../objects/index.ts';

export const submitIoctlFence = design({
  name: 'submit-ioctl-fence',
  title: 'Everything that may allocate or fail comes before the fence is published',
  sources: [
    'dri-devel, 2021-04-19, [RFC] Linux Graphics Next: Explicit fences everywhere',
    'Documentation/driver-api/dma-buf.rst (indefinite DMA fences)',
    'drivers/dma-buf/dma-fence.c, drivers/gpu/drm/scheduler/sched_main.c (drm_sched_job_arm)',
    'T-1, L-23, L-24, F5, C2.8; cycles C1, C2',
  ],
  knobs: {
    allocates: ['before_publication', 'after_publication'],
    after_publication: ['cannot_fail', 'fails_with_error', 'fails'],
  },
  kernel: ({ allocates, after_publication }) => ({
    objects: {
      fences: { job: {} },
      resvs: { bo: {} },
      shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      ranges: { userptr: { invalidate: 'userptr_invalidate' } },
    },
    calls: {
      submit: ioctl({}, [
        allocates === 'before_publication' ? kmalloc('GFP_KERNEL', 'job->cmds') : [],
        dma_resv_lock('bo'),
        dma_fence_is_signaled('job'), // room for one job
        if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_resv_reserve_fences('bo'),
        dma_fence_init('job'),
        dma_resv_add_fence('bo', 'job', 'WRITE'),
        dma_resv_unlock('bo'),
        sync_file_install('job'),
        witness('the fence is published and the job is not on the ring'),
        allocates === 'after_publication' ? kmalloc('GFP_KERNEL', 'job->cmds') : [],
        after_publication === 'cannot_fail'
          ? []
          : [
              may_go('check the commands', ['valid', 'invalid']),
              if_ret('invalid', [
                witness('a check fails after the publication'),
                after_publication === 'fails_with_error'
                  ? [dma_fence_set_error('job', '-EINVAL'), dma_fence_signal('job')]
                  : [],
                return_('-EINVAL'),
              ]),
            ],
        emit('gpu', 'job', 'job', 'fence_irq'),
        return_('0'),
      ]),
      allocate: ioctl({}, [kmalloc('GFP_KERNEL')]),
    },
    routines: {
      fence_irq: [dma_fence_signal('$fence')],
      gpu_shrinker_scan: [dma_resv_wait('bo', 'BOOKKEEP')],
      userptr_invalidate: [dma_resv_wait('bo', 'BOOKKEEP')],
    },
    threads: { user0: user(), user1: user(), gpu: ring(), kswapd },
    workload: { user0: ['submit()'], user1: ['allocate()'] },
  }),
  expect: [
    {
      when: { allocates: 'after_publication', after_publication: ['cannot_fail', 'fails_with_error'] },
      convicts: ['no-alloc-in-signalling', 'no-deadlock'],
      because:
        'reclaim on the stack of the ioctl waits for the fence that this very ioctl has yet to put on the ring (C1, C2)',
    },
    {
      when: { allocates: 'after_publication', after_publication: 'fails' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'both mistakes: it may wait for itself, and it may leave without a signal',
    },
    {
      when: { allocates: 'before_publication', after_publication: 'fails' },
      convicts: ['fence-signals'],
      spares: ['no-alloc-in-signalling'],
      because: 'the error path returns to user space and leaves a published fence that nobody will ever signal (T-1)',
    },
    {
      when: { allocates: 'before_publication', after_publication: 'fails_with_error' },
      acquits: true,
      witnesses: ['a check fails after the publication', 'user1 waits for job'],
      because:
        'a failure that signals the fence with an error keeps the promise; what it was promised for did not happen',
    },
    {
      when: { allocates: 'before_publication', after_publication: 'cannot_fail' },
      acquits: true,
      witnesses: [
        'the fence is published and the job is not on the ring',
        'user1 waits for job',
        'kswapd waits for job',
      ],
      because: 'between the publication and the ring nothing waits and nothing fails (F5)',
    },
  ],
});
