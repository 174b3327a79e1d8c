/**
 * Swap-out needs memory itself: a buffer is copied to shmem, page by page, and shmem pages come from the same memory that
 * reclaim is looking for (the shrinker that TTM had for a short time in 2021; Hellström's backup for xe).
 *
 * A task finds no memory above the reserve and reclaims. TTM's swap-out copies a whole buffer before it frees any page
 * of it. If the reserve is smaller than the buffer, the copy is given up half way and dropped, nothing has been freed, and
 * the task tries again. Backup frees each page as soon as it is copied, so one page of room is enough.
 */
import { design, ioctl, must } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  alloc_page,
  call,
  cpu_read,
  dma_resv_trylock,
  dma_resv_unlock,
  free_page,
  goto,
  if_ret,
  label,
  progress,
  return_,
  set_page_dirty,
  together,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_shrink_suitable,
  ttm_bo_unreserve,
  ttm_objects,
  ttm_pool_backup_page,
  ttm_tt_backed_up,
  ttm_tt_state,
  ttm_tt_swap_copy,
  ttm_tt_swap_finish,
  user,
  witness,
  writeback,
} from '../objects/index.ts';

/** The page of the buffer goes back to the machine, and its copy waits for the swap device. */
const exchanged: Block = [set_page_dirty('memory'), free_page('memory')];
/** How the two pages of the buffer get out; with its reservation held. */
const SWAPOUT = {
  page_by_page: [
    label('next'),
    alloc_page('memory', 'memalloc'),
    if_ret('-ENOMEM', [goto('out')]), // what is in backup stays there
    ttm_pool_backup_page('bo'),
    if_ret('-ENOMEM', [free_page('memory'), goto('out')]),
    exchanged,
    if_ret('more', [witness('half of the buffer is in backup'), goto('next')]),
  ],
  whole_buffer: [
    alloc_page('memory', 'memalloc'),
    if_ret('-ENOMEM', [goto('out')]),
    alloc_page('memory', 'memalloc'),
    if_ret('-ENOMEM', [witness('the copy is given up half way'), free_page('memory'), goto('out')]),
    ttm_tt_swap_copy('bo'),
    if_ret('-ENOMEM', [free_page('memory'), free_page('memory'), goto('out')]),
    ttm_tt_swap_finish('bo'),
    exchanged,
    exchanged,
  ],
} satisfies Record<string, Block>;

export const swapoutUnderPressure = design({
  name: 'swapout-under-pressure',
  title: 'Swap-out in reclaim must free each page that it has copied: the next one needs the room',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/ttm/ttm_tt.c, ttm_tt_swapout, ttm_tt_backup',
    'drivers/gpu/drm/ttm/ttm_pool.c, ttm_pool_backup',
    'drivers/gpu/drm/xe/xe_shrinker.c',
    'mm/page_alloc.c',
    'A2.4',
    'A2.5',
    'A7.2..A7.4',
    'B3.5',
    'B3.8',
    'B12.8',
    'C17',
  ],
  knobs: {
    swapout: ['page_by_page', 'whole_buffer'],
    /** Pages that only a task that reclaims may take; the buffer has two. */
    reserve: ['as_large_as_the_buffer', 'one_page'],
  },
  kernel: ({ swapout, reserve }) => {
    const pages = reserve === 'one_page' ? 1 : 2;
    return {
      objects: together(
        ttm_objects({
          bos: { bo: { place: 'SYSTEM', tt: 'populated', size: 2, pages: 'text', expected: 'text' } },
          managers: { SYSTEM: {} },
        }),
        { zones: { memory: { free: pages, reserve: pages } } },
      ),
      threads: {
        task: must([
          label('again'),
          alloc_page('memory'),
          if_ret('-ENOMEM', [witness('memory is short'), call('ttm_shrinker_scan'), goto('again')]),
          progress('the task has its page'),
          witness('the allocation succeeds'),
          free_page('memory'), // it has used it
        ]),
        flusher: writeback('memory'),
        app: user(),
      },
      routines: {
        ttm_shrinker_scan: [
          dma_resv_trylock('bo'),
          if_ret('0', [witness('reclaim leaves a locked buffer alone'), return_('0')]),
          ttm_bo_shrink_suitable('bo'),
          if_ret('-EBUSY', [goto('out')]),
          SWAPOUT[swapout],
          label('out'),
          dma_resv_unlock('bo'),
        ],
        // Room for all pages that are not there, or none; what was not used is given back.
        swap_in: [
          alloc_page('memory'),
          if_ret('-ENOMEM', [return_('-ENOMEM')]),
          alloc_page('memory'),
          if_ret('-ENOMEM', [free_page('memory'), return_('-ENOMEM')]),
          ttm_tt_backed_up('bo'),
          if_ret('1', [free_page('memory')]),
          ttm_bo_populate('bo'),
          ttm_tt_state('bo'),
          if_ret('populated', [return_('0')]),
          if_ret('swapped', [free_page('memory'), free_page('memory'), return_('-ENOMEM')]),
          ttm_tt_backed_up('bo'),
          free_page('memory'),
          if_ret('2', [free_page('memory')]),
          return_('-ENOMEM'),
        ],
      },
      calls: {
        read: ioctl({}, [
          ttm_bo_reserve('bo'),
          ttm_tt_state('bo'),
          if_ret('populated', [goto('here')]),
          witness('the program finds its pages gone'),
          call('swap_in'),
          if_ret('-ENOMEM', [goto('out')]),
          witness('the program has its pages back'),
          label('here'),
          cpu_read('bo'),
          label('out'),
          ttm_bo_unreserve('bo'),
        ]),
      },
      workload: { app: ['read()', 'read()'] },
    };
  },
  expect: [
    {
      when: { swapout: 'page_by_page' },
      acquits: true,
      witnesses: [
        'memory is short',
        'half of the buffer is in backup',
        'the allocation succeeds',
        'the program finds its pages gone',
        'the program has its pages back',
        'reclaim leaves a locked buffer alone',
      ],
      because:
        'each page is freed as soon as its copy is there, so the next copy finds the room of the last (A7.4); what writeback has not done yet is only waited for (A7.3)',
    },
    {
      when: { swapout: 'whole_buffer', reserve: 'as_large_as_the_buffer' },
      acquits: true,
      witnesses: ['memory is short', 'the allocation succeeds', 'the program has its pages back'],
      because: 'with room for a second copy of the buffer it works, which nobody can promise in reclaim (A7.2)',
    },
    {
      when: { swapout: 'whole_buffer', reserve: 'one_page' },
      convicts: ['no-livelock'],
      spares: ['contents-kept', 'no-deadlock'],
      witnesses: ['memory is short', 'the copy is given up half way'],
      because:
        'reclaim takes the last page for a copy that it cannot finish, drops it, has freed nothing, and begins again (A7.2, C17)',
    },
  ],
});
