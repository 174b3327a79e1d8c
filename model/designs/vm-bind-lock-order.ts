/**
 * The locks of a driver with VM_BIND, in the one order that serves submission, eviction, faults and notifiers alike.
 *
 * Outermost the lock of the VM, which protects its mappings; then mmap_lock, by way of get_user_pages; then reservations,
 * that of the VM before those of buffers which others share; innermost the notifier lock, under which a submission checks
 * its user pages and publishes its fence (V-1..V-6). Others come from the middle: a CPU fault has mmap_lock already, an
 * eviction the reservation of what it evicts, a notifier any lock under which somebody allocates, and a worker that owes
 * a fence may wait for none of those. The knob turns one step of the order around at a time.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  cpu_fault,
  device_is_mapped,
  device_map,
  device_read,
  device_unmap,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  get_user_pages,
  goto,
  if_ret,
  kmalloc,
  label,
  mmap,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  munmap,
  mutex_lock,
  mutex_unlock,
  queue_work,
  return_,
  set,
  spin_lock,
  spin_unlock,
  ttm_bo_move_memcpy,
  user,
  userptr_access,
  userptr_map,
  witness,
  work,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

export const vmBindLockOrder = design({
  name: 'vm-bind-lock-order',
  title:
    'VM lock, mmap_lock, reservation of the VM, other reservations, notifier lock: every inversion costs something',
  sources: [
    'Documentation/gpu/drm-vm-bind-locking.rst, Documentation/gpu/drm-vm-bind-async.rst',
    'drivers/gpu/drm/xe/xe_vm.c, xe_exec.c, xe_userptr.c',
    'drivers/gpu/drm/drm_gpuvm.c, drm_gpuvm_bo_evict',
    'V-1..V-6, N-6, N-9, L-22, A8.6, A8.7, A9.6, A10.9, W-9',
  ],
  knobs: {
    inversion: [
      'none',
      'vm_lock_in_fault',
      'vm_lock_in_eviction',
      'get_user_pages_under_resv',
      'notifier_lock_outside_resv',
      'allocates_under_notifier_lock',
      'publishes_after_notifier_lock',
      'eviction_locks_vm_resv',
      'worker_locks_vm_resv',
    ],
  },
  kernel: ({ inversion }) => {
    const if_is = (which: typeof inversion, then: Block, otherwise: Block = []): Block =>
      inversion === which ? then : otherwise;
    const get_pages: Block = [mmu_interval_read_begin('userptr'), get_user_pages('userptr')];
    const unlock_all: Block = [dma_resv_unlock('ext'), dma_resv_unlock('vm'), ww_acquire_fini()];
    const outside = inversion === 'notifier_lock_outside_resv';
    const check: Block = [
      mmu_interval_read_retry('userptr', 'notifier_lock'),
      if_ret('1', [
        witness('the pages are stale and the submission starts over'),
        mutex_unlock('notifier_lock'),
        set('error', '-EAGAIN'),
        goto('out'),
      ]),
    ];
    const publish: Block = [
      userptr_map('userptr'),
      dma_fence_init('job', 'bind_work'),
      dma_resv_add_fence('vm', 'job', 'BOOKKEEP'),
      dma_resv_add_fence('ext', 'job', 'BOOKKEEP'),
    ];
    return {
      objects: {
        locks: { ...mmap, 'vm->lock': {}, notifier_lock: {}, 'vm->evicted.lock': {} },
        resvs: { vm: {}, ext: {} },
        // `local` has the reservation of the VM, `ext` one of its own.
        bos: { local: { place: 'VRAM', mapped: 'VRAM' }, ext: { place: 'VRAM', mapped: 'VRAM' } },
        fences: { job: {} },
        userptrs: { userptr: {} },
        ranges: { heap: { mm: 'mm' } },
        mms: { mm: {} },
        interval_notifiers: { userptr: { range: 'heap', invalidate: 'userptr_invalidate', lock: 'notifier_lock' } },
        user_pages: { userptr: { range: 'heap' } },
      },
      calls: {
        exec: ioctl({}, [
          set('error', '0'),
          mutex_lock('vm->lock'),
          label('again'),
          if_is('get_user_pages_under_resv', [], [get_pages, if_ret('-EBUSY', [goto('again')])]),
          outside ? mutex_lock('notifier_lock') : [],
          ww_acquire_init(),
          dma_resv_lock('vm', 'ticket'),
          dma_resv_lock('ext', 'ticket'),
          dma_fence_is_signaled('job'), // room for one job
          if_ret('0', [outside ? mutex_unlock('notifier_lock') : [], goto('out')]),
          if_is('get_user_pages_under_resv', [get_pages, if_ret('-EBUSY', [unlock_all, goto('again')])]),
          (['local', 'ext'] as const).map((bo) => [
            device_is_mapped(bo),
            if_ret('0', [witness(`the submission brings ${bo} back`), ttm_bo_move_memcpy(bo, 'VRAM'), device_map(bo)]),
          ]),
          dma_resv_reserve_fences('vm'),
          dma_resv_reserve_fences('ext'),
          outside ? [] : mutex_lock('notifier_lock'),
          if_is('allocates_under_notifier_lock', kmalloc('GFP_KERNEL', 'page table')),
          check,
          if_is(
            'publishes_after_notifier_lock',
            [mutex_unlock('notifier_lock'), publish],
            [publish, mutex_unlock('notifier_lock')],
          ),
          queue_work('bind_work'),
          label('out'),
          unlock_all,
          mutex_unlock('vm->lock'),
          return_('$error'),
        ]),
        munmap: ioctl({}, [munmap('heap')]),
        // A fault on a mapping of the shared buffer.
        fault: ioctl({}, [
          cpu_fault([
            if_is('vm_lock_in_fault', [mutex_lock('vm->lock')]),
            dma_resv_lock('ext'),
            dma_resv_unlock('ext'),
            if_is('vm_lock_in_fault', [mutex_unlock('vm->lock')]),
          ]),
        ]),
        // Somebody else's buffer wants the room.
        evict_local: ioctl({}, [
          dma_resv_trylock('vm'),
          if_ret('0', [return_('-EBUSY')]),
          dma_resv_wait('vm', 'BOOKKEEP'),
          device_unmap('local'),
          ttm_bo_move_memcpy('local', 'SYSTEM'),
          dma_resv_unlock('vm'),
        ]),
        evict_ext: ioctl({}, [
          dma_resv_trylock('ext'),
          if_ret('0', [return_('-EBUSY')]),
          if_is('eviction_locks_vm_resv', [dma_resv_lock('vm')]),
          if_is('vm_lock_in_eviction', [mutex_lock('vm->lock')]),
          // list_add_tail(&vm_bo->list.entry.evict, &vm->evicted)
          spin_lock('vm->evicted.lock'),
          spin_unlock('vm->evicted.lock'),
          if_is('vm_lock_in_eviction', [mutex_unlock('vm->lock')]),
          if_is('eviction_locks_vm_resv', [dma_resv_unlock('vm')]),
          dma_resv_wait('ext', 'BOOKKEEP'),
          device_unmap('ext'),
          ttm_bo_move_memcpy('ext', 'SYSTEM'),
          dma_resv_unlock('ext'),
        ]),
      },
      routines: {
        userptr_invalidate: [
          mutex_lock('notifier_lock'),
          mmu_interval_set_seq('userptr'),
          mutex_unlock('notifier_lock'),
          dma_resv_wait('vm', 'BOOKKEEP'), // uninterruptible, for ever, without the reservation (N-8, N-9)
        ],
      },
      threads: {
        user0: user(),
        user1: user(),
        user2: user(),
        bind_work: work([
          dma_fence_begin_signalling(),
          if_is(
            'worker_locks_vm_resv',
            [dma_resv_lock('vm'), dma_resv_unlock('vm')],
            [spin_lock('vm->evicted.lock'), spin_unlock('vm->evicted.lock')],
          ),
          userptr_access('userptr'),
          device_read('local'),
          device_read('ext'),
          dma_fence_signal('job'),
          dma_fence_end_signalling(),
        ]),
      },
      workload: { user0: ['exec()'], user1: ['evict_local()', 'evict_ext()', 'munmap()'], user2: ['fault()'] },
    };
  },
  expect: [
    {
      when: { inversion: 'none' },
      acquits: true,
      witnesses: [
        'the pages are stale and the submission starts over',
        'the submission brings local back',
        'the submission brings ext back',
        'user0 waits for mmap_lock',
        'user0 waits for notifier_lock',
        'user1 waits for job',
        'user1 waits for vm->evicted.lock',
        'user2 waits for ext',
      ],
      because:
        'whoever comes from the middle goes inwards only: the fault and the eviction to a reservation, the notifier to its own lock, and the worker that owes the fence to a lock that nobody sleeps under (V-1..V-6)',
    },
    {
      when: { inversion: 'vm_lock_in_fault' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'a fault has mmap_lock and wants the lock of the VM; its holder collects pages and waits for mmap_lock, behind a writer that waits for the fault (V-1, A8.7)',
    },
    {
      when: { inversion: 'vm_lock_in_eviction' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'an eviction has a reservation and wants the lock of the VM, to mark what is to be validated again; the submission holds that lock and wants the reservation (V-1)',
    },
    {
      when: { inversion: 'get_user_pages_under_resv' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'the submission holds the reservation that a fault under mmap_lock waits for, and waits for mmap_lock itself (V-2, A8.6)',
    },
    {
      when: { inversion: 'notifier_lock_outside_resv' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'under a reservation memory is asked for: with the notifier lock around it, reclaim ends in a notifier that waits for that lock (V-1, V-3)',
    },
    {
      when: { inversion: 'allocates_under_notifier_lock' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'reclaim takes a page of the userptr, and its notifier wants the lock that the allocating task holds (V-3)',
    },
    {
      when: { inversion: 'publishes_after_notifier_lock' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'lock-order'],
      witnesses: ['the pages are stale and the submission starts over'],
      because:
        'between the check and the publication an invalidation finds no fence to wait for, and the job reaches pages that are gone (V-4, A10.9)',
    },
    {
      when: { inversion: 'eviction_locks_vm_resv' },
      convicts: ['no-deadlock', 'lock-order', 'api-contract'],
      spares: ['no-stale-access'],
      because:
        'the eviction of a shared buffer has the reservation of that buffer; a submission of the VM locks the two in the other order, and an eviction has no ticket to back off with. So it only leaves a mark (V-5, W-9)',
    },
    {
      when: { inversion: 'worker_locks_vm_resv' },
      convicts: ['no-deadlock', 'fence-signals', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'an eviction waits for the fence with the reservation held; so a list that the signaller needs has a lock of its own (V-6, L-22)',
    },
  ],
});
