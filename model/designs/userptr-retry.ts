/**
 * Userptr between the moment its pages are collected and the moment the job is published (B57).
 *
 * Nothing pins the pages; only the notifier protects them, and it waits for the fences that it finds. So whoever
 * publishes a fence first has to know that the pages are still those of the process, and an invalidation must not come
 * in between: the check and the publication are one section of the lock under which the notifier moves the sequence on
 * (A10.8, A10.9). Whether the notifier then waits under that lock, as amdgpu does, or after it, as the document on VM_BIND
 * locking asks, decides who else waits, not who is right.
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
  goto,
  hmm_range_fault,
  if_ret,
  kswapd,
  label,
  mmap,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  munmap,
  mutex_lock,
  mutex_unlock,
  return_,
  ring,
  user,
  userptr_access,
  userptr_map,
  witness,
} from '../objects/index.ts';

const check: Block = [
  mmu_interval_read_retry('userptr', 'notifier_lock'),
  if_ret('1', [
    witness('the pages are stale and the submission starts over'),
    mutex_unlock('notifier_lock'),
    dma_resv_unlock('bo'),
    return_('-EAGAIN'),
  ]),
];
const publish: Block = [
  userptr_map('userptr'),
  dma_fence_init('job'),
  dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
  emit('gpu', 'job', 'job', 'job_done'),
];
const PUBLICATION = {
  with_the_publication: [mutex_lock('notifier_lock'), check, publish, mutex_unlock('notifier_lock')],
  before_the_publication: [mutex_lock('notifier_lock'), check, mutex_unlock('notifier_lock'), publish],
  never: publish,
} satisfies Record<string, Block>;

export const userptrRetry = design({
  name: 'userptr-retry',
  title: 'The pages are checked under the notifier lock, in one section with the publication of the fence',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_cs.c, amdgpu_cs_submit',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_hmm.c, amdgpu_hmm_invalidate_gfx',
    'Documentation/gpu/drm-vm-bind-locking.rst, Documentation/mm/hmm.rst, mm/mmu_notifier.c',
    'i915, amdgpu, amdkfd, xe, 2019..2023: pages invalidated between collecting and publishing (B57)',
    'A10.1..A10.9, N-6, N-8, F2.1..F2.4, F2.6, S-F1, S-F2',
  ],
  knobs: {
    pages_checked: ['with_the_publication', 'before_the_publication', 'never'],
    notifier_waits: ['after_the_lock', 'under_the_lock'],
  },
  kernel: ({ pages_checked, notifier_waits }) => {
    const wait = dma_resv_wait('bo', 'BOOKKEEP'); // uninterruptible and for ever, without the reservation (N-8, N-9)
    return {
      objects: {
        locks: { ...mmap, notifier_lock: {} },
        resvs: { bo: {} },
        fences: { job: {} },
        userptrs: { userptr: {} },
        ranges: { heap: { mm: 'mm' } },
        mms: { mm: {} },
        interval_notifiers: { userptr: { range: 'heap', invalidate: 'userptr_invalidate', lock: 'notifier_lock' } },
        user_pages: { userptr: { range: 'heap' } },
      },
      calls: {
        submit: ioctl({}, [
          label('again'),
          mmu_interval_read_begin('userptr'),
          hmm_range_fault('userptr'),
          if_ret('-EBUSY', [goto('again')]),
          dma_resv_lock('bo'),
          dma_fence_is_signaled('job'), // room for one job
          if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
          dma_resv_reserve_fences('bo'),
          PUBLICATION[pages_checked],
          dma_resv_unlock('bo'),
          return_('0'),
        ]),
        // Something else may be mapped there afterwards; the sequence does not tell.
        munmap: ioctl({}, [munmap('heap')]),
      },
      routines: {
        userptr_invalidate: [
          mutex_lock('notifier_lock'),
          mmu_interval_set_seq('userptr'),
          notifier_waits === 'under_the_lock' ? wait : [],
          mutex_unlock('notifier_lock'),
          notifier_waits === 'after_the_lock' ? wait : [],
        ],
        job_done: [userptr_access('userptr'), dma_fence_signal('job')],
      },
      threads: { user0: user(), user1: user(), gpu: ring(), kswapd },
      workload: { user0: ['submit()', 'submit()'], user1: ['munmap()'] },
    };
  },
  expect: [
    {
      when: { pages_checked: 'with_the_publication', notifier_waits: 'after_the_lock' },
      acquits: true,
      witnesses: [
        'the pages are stale and the submission starts over',
        'user1 waits for job',
        'kswapd waits for job',
        'user0 waits for userptr',
      ],
      because:
        'an invalidation comes before the section, and the check sees it, or after it, and its notifier sees the fence (A10.9)',
    },
    {
      when: { pages_checked: 'with_the_publication', notifier_waits: 'under_the_lock' },
      acquits: true,
      witnesses: [
        'the pages are stale and the submission starts over',
        'user1 waits for job',
        'kswapd waits for job',
        'user0 waits for notifier_lock',
      ],
      because:
        'as safe, at a price: every submission waits for the notifier, hence for the jobs of another process (F2.4)',
    },
    {
      when: { pages_checked: 'before_the_publication' },
      convicts: ['no-stale-access'],
      witnesses: ['the pages are stale and the submission starts over'],
      because:
        "an invalidation between the check and the publication finds no fence to wait for and returns; the job then reaches pages that are no longer the process's (A10.9)",
    },
    {
      when: { pages_checked: 'never' },
      convicts: ['no-stale-access'],
      because:
        'between collecting the pages and publishing the fence anybody may take them away, and nobody looks again (B57)',
    },
  ],
});
