/**
 * The mn lock of amdgpu 4.x: taken for writing by a submission until its fence is on the buffers, and for reading by
 * the notifier from range_start to range_end.
 *
 * The lock is itself a way to publish a fence: whoever has to wait for it waits, in effect, for a fence that is about to
 * come. So what a published fence forbids, the lock forbids already: memory, user memory, and whatever is held while
 * somebody else allocates. What the submission needs of these comes before the lock, or, a knob each, under it.
 */
import { design, ioctl } from '../design.ts';
import {
  copy_from_user,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  down_read,
  down_read_non_owner,
  down_write,
  emit,
  get_user_pages,
  goto,
  if_ret,
  kmalloc,
  label,
  mmap,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mmu_notifier_invalidate_range,
  munmap,
  return_,
  ring,
  set,
  up_read,
  up_read_non_owner,
  up_write,
  user,
  witness,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

export const userptrMnLock = design({
  name: 'userptr-mn-lock',
  title: 'No memory allocation is allowed while holding the mn lock, which is just another way to publish a fence',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_mn.c (4.19), amdgpu_mn_invalidate_range_start_gfx, amdgpu_mn_read_lock',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_cs.c (4.19), amdgpu_cs_submit',
    'amdgpu, amdkfd, 2018..2021: no reclaim while holding locks taken in the MMU notifier (B54)',
    'C3, F1.1..F1.6 (amdgpu_mn), A8.5, A8.7, A9.2, A9.6, N-1, L-27',
  ],
  knobs: {
    under_mn_lock: ['nothing', 'GFP_KERNEL', 'copy_from_user', 'lock_reservation'],
    recursion: ['no', 'yes'],
  },
  kernel: ({ under_mn_lock, recursion }) => {
    const steps = {
      nothing: [],
      GFP_KERNEL: kmalloc('GFP_KERNEL', 'job'),
      copy_from_user: copy_from_user(),
      lock_reservation: [dma_resv_lock('vm', 'ticket')],
    };
    const before = (step: keyof typeof steps) => (step === under_mn_lock ? [] : steps[step]);
    const [read_lock, read_unlock] =
      recursion === 'no' ? [down_read_non_owner, up_read_non_owner] : [down_read, up_read];
    return {
      objects: {
        locks: { ...mmap, 'mn.lock': {} },
        resvs: { bo: {}, vm: {} },
        fences: { job: {} },
        userptrs: { userptr: {} },
        ranges: { userptr: { invalidate: 'amdgpu_mn_range_start', invalidate_end: 'amdgpu_mn_range_end' } },
      },
      calls: {
        cs: ioctl({}, [
          before('copy_from_user'), // the chunks of the submission
          before('GFP_KERNEL'),
          get_user_pages('userptr'),
          ww_acquire_init(),
          dma_resv_lock('bo', 'ticket'),
          dma_fence_is_signaled('job'), // room for one job
          if_ret('0', [dma_resv_unlock('bo'), ww_acquire_fini(), return_('-EBUSY')]),
          before('lock_reservation'),
          dma_resv_reserve_fences('bo'),
          set('error', '0'),
          down_write('mn.lock'),
          steps[under_mn_lock],
          mmu_interval_read_retry('userptr', 'mn.lock'), // are the pages still those of the process?
          if_ret('1', [set('error', '-ERESTARTSYS'), goto('unlock')]),
          dma_fence_init('job'),
          dma_resv_add_fence('bo', 'job', 'WRITE'),
          emit('gpu', 'job', 'job', 'job_done'),
          label('unlock'),
          up_write('mn.lock'),
          dma_resv_unlock('vm'),
          dma_resv_unlock('bo'),
          ww_acquire_fini(),
          return_('$error'),
        ]),
        // Memory under a reservation is allowed (L-22), and so is a notifier that is called from there.
        update_vm: ioctl({}, [dma_resv_lock('vm'), kmalloc('GFP_KERNEL', 'page table'), dma_resv_unlock('vm')]),
        // Between start and end a huge page is split, which is a start and an end of its own (A9.2).
        munmap: ioctl({}, [
          munmap('userptr', mmu_notifier_invalidate_range('userptr', [witness('an invalidation within another')])),
        ]),
      },
      routines: {
        amdgpu_mn_range_start: [
          read_lock('mn.lock'),
          mmu_interval_set_seq('userptr'),
          dma_resv_wait('bo', 'BOOKKEEP'), // uninterruptible and for ever (F1.2)
        ],
        amdgpu_mn_range_end: [read_unlock('mn.lock')],
        job_done: [dma_fence_signal('job')],
      },
      threads: { user0: user(), user1: user(), gpu: ring() },
      workload: { user0: ['cs()'], user1: ['update_vm()', 'munmap()'] },
    };
  },
  expect: [
    {
      when: { under_mn_lock: 'nothing', recursion: 'no' },
      acquits: true,
      witnesses: [
        'user0 waits for mn.lock',
        'user1 waits for mn.lock',
        'user1 waits for job',
        'an invalidation within another',
      ],
      because:
        'under the lock the submission only checks, publishes and starts the job: whoever waits for it waits for a page of code; and the recursion counter lets a nested start pass the writer that waits (F1.2)',
    },
    {
      when: { under_mn_lock: 'nothing', recursion: 'yes' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'a submission queues between the outer start and the nested one: the nested reader waits behind the writer, and the writer for the outer reader, the same task (A8.7); lockdep sees the semaphore held over the next notifier call',
    },
    {
      when: { under_mn_lock: 'GFP_KERNEL' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'reclaim takes a page of the very userptr, and its notifier wants the lock that the allocating task holds (C3, B54)',
    },
    {
      when: { under_mn_lock: 'copy_from_user' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'the copy may fault: it wants mmap_lock, which munmap holds while its notifier waits for the mn lock; and the page that the fault needs enters reclaim as in C3 (A8.5)',
    },
    {
      when: { under_mn_lock: 'lock_reservation' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'a reservation is held over allocations elsewhere: its holder is in reclaim, in the notifier, and waits for the mn lock, whose holder waits for the reservation (A9.6)',
    },
  ],
});
