/**
 * User memory behind a dynamic dma-buf: "the most over-the-top dynamic kind of memory", and why it does not fit.
 *
 * A dynamic exporter may move its buffer at any time, if it tells the importers before, with the reservation held
 * (B-20, B-42). User memory moves when the mm says so: with mmap_lock held, or in the middle of somebody's allocation,
 * whatever that somebody holds (A9.3, A9.6, N-9). So the pages have to be there before the reservation is taken, as
 * dma-buf does not ask for them; and the call by which dma-buf tells importers cannot be made from where the news comes.
 */
import { design, may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  cpu_fault,
  dma_buf_detach,
  dma_buf_map_attachment,
  dma_buf_move_notify,
  dma_buf_unmap_attachment,
  dma_buf_unmap_attachment_unlocked,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  exporter,
  get_user_pages,
  goto,
  if_ret,
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
  userptr_access,
  userptr_map,
  witness,
} from '../objects/index.ts';

/** ret '0', or '-EBUSY' while they are being invalidated (A10.8). */
const get_pages: Block = [mmu_interval_read_begin('userptr'), get_user_pages('userptr')];
const wait_for_devices = dma_resv_wait('bo', 'BOOKKEEP');

/** What the notifier of the exporter does once the sequence has moved on. */
const TELLS = {
  /** Nothing: importers ask for themselves, by a call that dma-buf does not have. */
  importers_ask: [wait_for_devices],
  move_notify: [dma_resv_lock('bo'), dma_buf_move_notify('buf'), wait_for_devices, dma_resv_unlock('bo')],
  move_notify_if_unlocked: [
    dma_resv_trylock('bo'),
    if_ret(
      '1',
      [dma_buf_move_notify('buf'), dma_resv_unlock('bo')],
      [witness('the reservation is taken and nobody can be told')],
    ),
    wait_for_devices,
  ],
} satisfies Record<string, Block>;

export const dynamicDmaBufUserptr = design({
  name: 'dynamic-dma-buf-userptr',
  title: 'User memory cannot be a dynamic dma-buf, because of all the locks around get_user_pages and its notifiers',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'include/linux/dma-buf.h, drivers/dma-buf/dma-buf.c',
    'mm/gup.c, mm/mmu_notifier.c, drivers/gpu/drm/ttm/ttm_bo_vm.c',
    'Documentation/gpu/drm-vm-bind-locking.rst, Documentation/mm/hmm.rst',
    'A8.1..A8.7, A9.3, A9.6, A10.8, A10.9, N-2, N-9, B-13, B-20..B-24, B-42, L-27',
    'cycle C4',
  ],
  knobs: {
    get_user_pages: ['before_the_reservation', 'under_the_reservation'],
    invalidation: ['importers_ask', 'move_notify', 'move_notify_if_unlocked'],
  },
  kernel: ({ get_user_pages: got, invalidation }) => {
    const before = got === 'before_the_reservation';
    const asks = invalidation === 'importers_ask';
    const is_stale = (then: Block): Block => [
      mutex_lock('notifier_lock'),
      mmu_interval_read_retry('userptr', 'notifier_lock'),
      if_ret('1', [witness('the pages are stale and the importer starts over'), mutex_unlock('notifier_lock'), then]),
    ];
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
        dma_bufs: { buf: { ...exporter('bo', { dynamic: true, map: 'map_pages' }), refs: 1 } },
        attachments: { importer: { buf: 'buf', dynamic: true, invalidate: 'importer_move_notify', attached: true } },
      },
      routines: {
        map_pages: [
          before ? [] : [get_pages, if_ret('-EBUSY', [return_('-EAGAIN')])],
          // From here to the publication the reservation keeps an invalidation out that takes it.
          asks ? [] : [is_stale([return_('-EAGAIN')]), mutex_unlock('notifier_lock')],
          return_('0'),
        ],
        importer_move_notify: [witness('the importer hears of the invalidation')],
        userptr_invalidate: [
          mutex_lock('notifier_lock'),
          mmu_interval_set_seq('userptr'),
          mutex_unlock('notifier_lock'),
          TELLS[invalidation],
        ],
        job_done: [userptr_access('userptr'), dma_fence_signal('job')],
      },
      threads: {
        // The submission of the importing device, from import to close.
        exec: must([
          label('again'),
          before ? [get_pages, if_ret('-EBUSY', [goto('again')])] : [],
          dma_resv_lock('bo'),
          dma_buf_map_attachment('importer'),
          if_ret('-EAGAIN', [dma_resv_unlock('bo'), goto('again')]),
          dma_resv_reserve_fences('bo'),
          asks ? is_stale([dma_buf_unmap_attachment('importer'), dma_resv_unlock('bo'), goto('again')]) : [],
          dma_fence_init('job'),
          dma_resv_add_fence('bo', 'job', 'WRITE'),
          asks ? mutex_unlock('notifier_lock') : [],
          userptr_map('userptr'),
          emit('gpu', 'job', 'job', 'job_done'),
          dma_resv_unlock('bo'),
          dma_fence_wait('job'),
          dma_buf_unmap_attachment_unlocked('importer'),
          dma_buf_detach('importer'),
        ]),
        munmap: may([munmap('heap')]),
        // A fault on a mapping of any buffer that shares the reservation; one that may not be retried blocks (A8.3).
        page_fault: may([cpu_fault([dma_resv_lock('bo'), dma_resv_unlock('bo')])]),
        gpu: ring(),
      },
    };
  },
  expect: [
    {
      when: { get_user_pages: 'before_the_reservation', invalidation: 'importers_ask' },
      acquits: true,
      witnesses: [
        'the pages are stale and the importer starts over',
        'exec waits for mmap_lock',
        'munmap waits for job',
        'page_fault waits for bo',
      ],
      because:
        'the reservation comes after mmap_lock, in a fault as in a submission (A8.6), and the notifier takes no reservation: but who asks the exporter for its sequence has left dma-buf',
    },
    {
      when: { get_user_pages: 'before_the_reservation', invalidation: 'move_notify' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'the submission allocates under the reservation, reclaim takes a page of the userptr, and its notifier wants that same reservation in order to tell the importers (N-9, A9.6)',
    },
    {
      when: { get_user_pages: 'before_the_reservation', invalidation: 'move_notify_if_unlocked' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'lock-order'],
      witnesses: ['the reservation is taken and nobody can be told'],
      because:
        'a notifier must succeed (N-2): when the reservation is taken it goes on without having told anybody, and the submission that holds it publishes a job on pages that are gone',
    },
    {
      when: { get_user_pages: 'under_the_reservation', invalidation: 'importers_ask' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'the submission holds the reservation and waits for mmap_lock behind munmap; munmap waits for a fault that holds mmap_lock and waits for the reservation (C4)',
    },
    {
      when: { get_user_pages: 'under_the_reservation', invalidation: 'move_notify' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'an invalidation arrives with mmap_lock held and wants the reservation, whose holder waits for mmap_lock, or for the invalidation to end (C4, C28)',
    },
    {
      when: { get_user_pages: 'under_the_reservation', invalidation: 'move_notify_if_unlocked' },
      convicts: ['no-deadlock', 'lock-order', 'no-stale-access'],
      because: 'the fault closes the circle of C4 all the same, and what the importers were not told they do not know',
    },
  ],
});
