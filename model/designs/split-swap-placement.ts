/**
 * The two-step plan: no more buffers in SYSTEM without pages, then PL_SWAP split from PL_SYSTEM (Rusin, Hellström, König,
 * November 2021).
 *
 * Here the driver is as simple as the plan promises that it may be. It knows no state of a tt: what is in SYSTEM has
 * pages, which it copies to VRAM, or binds as they are for its device. There is no swap_notify either. A new buffer is
 * nowhere, so its first validation moves nothing. To swap a buffer out TTM asks for a move to PL_SWAP, like any other
 * eviction, and what is there belongs to TTM alone, which also brings it back. Each step takes one surprise away: with
 * only one of them done the other is left.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  type Place,
  call,
  copy_pages_to_vram,
  cpu_read,
  cpu_write,
  device_fill,
  device_map,
  device_read,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  dma_resv_wait,
  emit,
  goto,
  if_ret,
  if_var,
  label,
  return_,
  ring,
  together,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_wait_ctx,
  ttm_global_swapout,
  ttm_objects,
  ttm_tt_destroy,
  ttm_tt_state,
  user,
  witness,
} from '../objects/index.ts';

const here: Block = [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')];

export const splitSwapPlacement = design({
  name: 'split-swap-placement',
  title:
    'First no limbo, then PL_SWAP split from PL_SYSTEM: after both steps a driver may use PL_SYSTEM for what it likes',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_swapout, ttm_bo_handle_move_mem, ttm_bo_validate',
    'B2.1, B2.5',
    'B3.1..B3.6',
    'B4.6..B4.9',
    'B12.2..B12.5',
    'B18.1..B18.6',
  ],
  knobs: {
    /** Step one: an empty buffer has no resource, or is in SYSTEM without pages. */
    limbo: ['eliminated', 'in_SYSTEM'],
    /** Step two: swapped pages are a place of their own, or a state of SYSTEM. */
    swapped: ['in_PL_SWAP', 'in_SYSTEM'],
    /** What the move callback does about the device before its buffer leaves SYSTEM. */
    move_out: ['waits_and_unbinds', 'unbinds_at_once'],
  },
  kernel: ({ limbo, swapped, move_out }) => {
    const split = swapped === 'in_PL_SWAP';
    const no_limbo = limbo === 'eliminated';
    return {
      objects: together(
        ttm_objects({
          bos: { bo: { place: no_limbo ? null : 'SYSTEM', tt: 'limbo', zero_alloc: true, busy_in_system: !split } },
          managers: { ...(split ? { SWAP: {} } : {}), SYSTEM: {}, VRAM: {} },
          devices: { bdev: { move: 'driver_move' } },
        }),
        { fences: { job: {} } },
      ),
      threads: { app: user(), app2: user(), other_driver: user(), gpu: ring() },
      routines: {
        driver_move: [
          ttm_bo_place('$bo'),
          if_ret('NULL', [
            witness('a validation gives the buffer its first memory'),
            ttm_bo_move_null('$bo', '$new_mem' as Place),
            if_var('new_mem', 'VRAM', [device_fill('$bo')]),
            return_('0'),
          ]),
          if_ret('SWAP', here), // TTM has brought the pages
          move_out === 'waits_and_unbinds' ? [ttm_bo_wait_ctx('$bo', '$ctx'), if_ret('0', [], [return_('ret')])] : [],
          device_unmap('$bo'),
          if_var('new_mem', 'SWAP', [witness('TTM asks the driver for a move to PL_SWAP'), here]),
          ttm_bo_place('$bo'),
          if_ret('VRAM', [ttm_bo_move_memcpy('$bo', '$new_mem' as Place), return_('0')]),
          ttm_tt_state('$bo'),
          if_ret('limbo', [witness('the copy to VRAM finds limbo')]),
          if_ret('swapped', [witness('the copy to VRAM finds swapped pages')]),
          if_ret('populated', [witness('the copy to VRAM finds pages')]),
          copy_pages_to_vram('$bo'),
          ttm_bo_move_null('$bo', 'VRAM'),
          ttm_tt_destroy('$bo'),
          return_('0'),
        ],
        // TTM after the two steps: out of PL_SWAP by way of SYSTEM, and no place in SYSTEM without pages.
        ttm_bo_validate_to: [
          ttm_bo_place('bo'),
          if_ret('SWAP', [
            call('ttm_bo_validate', { bo: 'bo', places: 'SYSTEM', ctx: '' }),
            if_ret('0', [witness('TTM brings the buffer back from PL_SWAP')], [return_('ret')]),
          ]),
          call('ttm_bo_validate', { bo: 'bo', places: '$place', ctx: '' }),
          no_limbo && !split ? if_ret('0', [if_var('place', 'SYSTEM', [ttm_bo_populate('bo')])]) : [],
        ],
        job_done: [device_read('bo'), device_write('bo', 'job'), dma_fence_signal('$fence')],
      },
      calls: {
        exec: ioctl({ place: ['SYSTEM', 'VRAM'] }, [
          ttm_bo_reserve('bo'),
          dma_fence_is_signaled('job'), // one job at a time is enough here
          if_ret('0', [goto('out')]),
          call('ttm_bo_validate_to', { place: '$place' }),
          if_ret('0', [], [witness('the pages do not come back from swap, and the job is refused'), goto('out')]),
          device_map('bo'),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('job'),
          dma_resv_add_fence('bo', 'job', 'WRITE'),
          emit('gpu', 'job', 'job', 'job_done'),
          label('out'),
          ttm_bo_unreserve('bo'),
        ]),
        // The fault handler is TTM's: it knows every state there is.
        fault: ioctl({}, [
          ttm_bo_reserve('bo'),
          dma_resv_wait('bo', 'READ'),
          ttm_bo_place('bo'),
          if_ret(['NULL', 'SWAP'], [call('ttm_bo_validate_to', { place: 'SYSTEM' }), if_ret('0', [], [goto('out')])]),
          ttm_bo_populate('bo'),
          if_ret('0', [cpu_read('bo'), cpu_write('bo', 'text'), cpu_read('bo')]),
          label('out'),
          ttm_bo_unreserve('bo'),
        ]),
        // Another device populates over the limit, or the machine suspends: who asks does not matter (B12.6).
        populate_over_limit: ioctl({}, [ttm_global_swapout()]),
      },
      workload: {
        app: ['exec(SYSTEM)', 'exec(VRAM)'],
        app2: ['fault()'],
        other_driver: ['populate_over_limit()'],
      },
    };
  },
  expect: [
    {
      when: { limbo: 'eliminated', swapped: 'in_PL_SWAP', move_out: 'waits_and_unbinds' },
      acquits: true,
      witnesses: [
        'a validation gives the buffer its first memory',
        'TTM asks the driver for a move to PL_SWAP',
        'TTM brings the buffer back from PL_SWAP',
        'the pages do not come back from swap, and the job is refused',
        'the copy to VRAM finds pages',
        'other_driver waits for job',
      ],
      because:
        'no buffer in SYSTEM is without its pages, and none leaves it without the driver, which waits for the device and unbinds; what is in PL_SWAP nobody but TTM ever sees (B2.5, B12.3)',
    },
    {
      when: { limbo: 'eliminated', swapped: 'in_PL_SWAP', move_out: 'unbinds_at_once' },
      convicts: ['no-stale-access', 'contents-kept', 'ttm-state'],
      witnesses: ['TTM asks the driver for a move to PL_SWAP'],
      because:
        'complete control begins when the buffer is in PL_SWAP: a move callback that hands over a busy buffer gives TTM what the device still works with (B18.6)',
    },
    {
      when: { limbo: 'eliminated', swapped: 'in_SYSTEM' },
      convicts: ['no-stale-access', 'contents-kept', 'ttm-state'],
      witnesses: ['a validation gives the buffer its first memory', 'the copy to VRAM finds swapped pages'],
      because:
        'with step one alone, TTM swaps out in SYSTEM behind the back of the driver: its device stays bound to the pages, and its copy finds none (B18.1, B4.9)',
    },
    {
      when: { limbo: 'in_SYSTEM', swapped: 'in_PL_SWAP' },
      convicts: ['no-stale-access', 'contents-kept'],
      witnesses: ['TTM brings the buffer back from PL_SWAP', 'the copy to VRAM finds limbo'],
      because:
        'with step two alone, a new buffer is in SYSTEM already, so no move brings its pages: the driver binds and copies what was never there (B3.1, B4.7)',
    },
    {
      when: { limbo: 'in_SYSTEM', swapped: 'in_SYSTEM' },
      convicts: ['no-stale-access', 'contents-kept', 'ttm-state'],
      witnesses: ['the copy to VRAM finds limbo', 'the copy to VRAM finds swapped pages'],
      because:
        'as it was: three states of SYSTEM, of which this driver knows one, so that each needs a place of its own for what the device uses (B18.2, B18.3)',
    },
  ],
});
