/**
 * A buffer in SYSTEM has its pages, has none yet, or has them in swap; must every move callback know? (Hellström, König,
 * November 2021)
 *
 * `bo` goes from SYSTEM to VRAM when the device works with it. TTM hands the move to the driver in any of the three
 * states. ttm_bo_move_memcpy knows them all, and a bounce domain hides the swapped one, since TTM brings the pages for
 * the hop. A driver that copies by itself and knows less finds no pages to copy, or takes what is in swap for nothing.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  type Place,
  copy_pages_to_vram,
  cpu_read,
  cpu_write,
  device_fill,
  device_map,
  device_read,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  dma_resv_wait,
  emit,
  if_ret,
  if_var,
  multihop,
  return_,
  ring,
  together,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_global_swapout,
  ttm_objects,
  ttm_tt_destroy,
  ttm_tt_state,
  user,
  witness,
} from '../objects/index.ts';

const to_vram: Block = [ttm_bo_move_null('$bo', 'VRAM'), ttm_tt_destroy('$bo')];
const copy: Block = [copy_pages_to_vram('$bo'), to_vram, return_('0')];
const clear: Block = [to_vram, device_fill('$bo'), return_('0')];
const bring_pages: Block = [ttm_bo_populate('$bo'), if_ret('0', [], [return_('ret')])];

/** The move callback; what it asks first is what it knows. */
const DRIVERS = {
  memcpy_helper: [ttm_bo_move_memcpy('$bo', 'VRAM')],
  all_three: [ttm_tt_state('$bo'), if_ret('limbo', clear), if_ret('swapped', bring_pages), copy],
  bounce_domain: [
    ttm_bo_place('$bo'),
    if_ret('SYSTEM', [
      if_var('new_mem', 'TT', [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')]),
      ttm_tt_state('$bo'),
      if_ret('limbo', clear),
      return_(multihop('TT')),
    ]),
    copy,
  ],
  limbo_and_populated: [ttm_tt_state('$bo'), if_ret(['limbo', 'swapped'], clear), copy],
  populated_only: [copy],
} satisfies Record<string, Block>;

export const moveKnowsThreeStates = design({
  name: 'move-knows-three-states',
  title: 'TTM_PL_SYSTEM has three distinct states, and any standalone move callback needs to understand them',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/ttm/ttm_bo_util.c, ttm_bo_move_memcpy',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_handle_move_mem',
    'drivers/gpu/drm/ttm/ttm_tt.c',
    'B3.1..B3.6',
    'B4.1..B4.3',
    'B4.9',
    'B10.1',
  ],
  knobs: {
    move_knows: ['memcpy_helper', 'all_three', 'bounce_domain', 'limbo_and_populated', 'populated_only'],
  },
  kernel: ({ move_knows }) => ({
    objects: together(
      ttm_objects({
        bos: { bo: { place: 'SYSTEM', tt: 'limbo', zero_alloc: true } },
        managers: { SYSTEM: {}, TT: {}, VRAM: {} },
        devices: { bdev: { move: 'driver_move' } },
      }),
      { fences: { job: {} } },
    ),
    threads: { app: user(), app2: user(), other: user(), gpu: ring() },
    routines: {
      driver_move: [
        if_var('new_mem', 'VRAM', [
          ttm_tt_state('$bo'),
          if_ret('limbo', [witness('the move finds limbo')]),
          if_ret('populated', [witness('the move finds pages')]),
          if_ret('swapped', [witness('the move finds swapped pages')]),
        ]),
        DRIVERS[move_knows],
      ],
      job_done: [device_read('bo'), dma_fence_signal('$fence')],
    },
    calls: {
      exec: ioctl({}, [
        ttm_bo_reserve('bo'),
        dma_fence_is_signaled('job'),
        if_ret('1', [
          ttm_bo_validate('bo', ['VRAM']),
          if_ret(
            '0',
            [
              device_map('bo'),
              dma_resv_reserve_fences('bo'),
              dma_fence_init('job'),
              dma_resv_add_fence('bo', 'job', 'READ'),
              emit('gpu', 'job', 'job', 'job_done'),
            ],
            [witness('the pages do not come back from swap, and the job is refused')],
          ),
        ]),
        ttm_bo_unreserve('bo'),
      ]),
      write: ioctl({}, [
        ttm_bo_reserve('bo'),
        dma_resv_wait('bo', 'READ'),
        ttm_bo_populate('bo'),
        if_ret('0', [cpu_write('bo', 'text')]),
        ttm_bo_unreserve('bo'),
      ]),
      read: ioctl({}, [
        ttm_bo_reserve('bo'),
        ttm_bo_populate('bo'),
        if_ret('0', [cpu_read('bo')]),
        ttm_bo_unreserve('bo'),
      ]),
      // Another device populates over the limit, or the machine suspends: who asks does not matter (B12.6).
      populate_over_limit: ioctl({}, [ttm_global_swapout()]),
    },
    workload: { app: ['exec()', 'read()'], app2: ['write()'], other: ['populate_over_limit()'] },
  }),
  expect: [
    {
      when: { move_knows: 'memcpy_helper' },
      acquits: true,
      witnesses: ['the move finds limbo', 'the move finds pages', 'the move finds swapped pages'],
      because:
        'the helper clears for limbo, copies pages that are there and fetches those that are in swap (B4.3, B4.9)',
    },
    {
      when: { move_knows: ['all_three', 'bounce_domain'] },
      acquits: true,
      witnesses: [
        'the move finds limbo',
        'the move finds pages',
        'the move finds swapped pages',
        'the pages do not come back from swap, and the job is refused',
      ],
      because:
        'either the driver fetches swapped pages itself, or the hop makes TTM do it and the driver can forget that state; a read from swap that fails leaves the copy where it is (B3.6, B4.9, A7.5)',
    },
    {
      when: { move_knows: 'limbo_and_populated' },
      convicts: ['contents-kept', 'ttm-state'],
      spares: ['no-stale-access', 'no-needless-work'],
      witnesses: ['the move finds swapped pages'],
      because: 'no pages is not the same as nothing in them: what was swapped out reads as zero (B4.9)',
    },
    {
      when: { move_knows: 'populated_only' },
      convicts: ['no-stale-access', 'contents-kept', 'ttm-state'],
      witnesses: ['the move finds limbo', 'the move finds swapped pages'],
      because: 'the callback follows a page array that is empty: in limbo nobody ever filled it (B3.1)',
    },
  ],
});
