/**
 * Who owns the pages of a buffer in TTM_PL_SYSTEM, TTM or the driver? (Rusin, Hellström, König, November 2021)
 *
 * A device works on `mob`, a buffer in system memory, while TTM is asked for memory and swaps out what it owns. Its
 * tt has the three states of the discussion: limbo (no pages yet), populated, swapped. In its own placement the buffer
 * is TTM's only after the driver's move callback let go of it; in SYSTEM it is TTM's already, and the driver must
 * hear of the swap (i915, xe) or the device goes on with pages that are no longer there (vmwgfx before 2021).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  cpu_read,
  device_is_mapped,
  device_map,
  device_read,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_timeout,
  emit,
  goto,
  if_ret,
  label,
  return_,
  ring,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_tt_populate,
  ttm_tt_state,
  ttm_tt_swapout,
  user,
  witness,
} from '../objects/index.ts';

/** Pages for the device: none yet, still there, or to be fetched from swap (B3.2). */
const get_pages: Block = [
  ttm_tt_state('mob'),
  if_ret('limbo', [witness('the job finds mob in limbo')]),
  if_ret('populated', [witness('the job finds mob populated')]),
  if_ret('swapped', [witness('the job finds mob swapped')]),
  ttm_tt_populate('mob'),
];
/** All work of the device with the buffer is over before anybody takes its pages away. */
const wait_and_unbind: Block = [dma_resv_wait('mob', 'BOOKKEEP'), device_unmap('mob')];

const DRIVERS = {
  /** vmwgfx since 2021: same pages, same mechanics, but a place of the driver's own (B5.6, B18.3). */
  private_placement: {
    validate: [
      ttm_bo_place('mob'),
      if_ret('PRIV', [], [get_pages, ttm_bo_move_null('mob', 'PRIV'), device_map('mob')]),
    ],
    move: [wait_and_unbind, ttm_bo_move_null('mob', 'SYSTEM')],
    swap_notify: [],
  },
  /** i915 and xe: every page is device-reachable, so they bind SYSTEM itself and hear of each swap (B12.5, B18.4). */
  system_with_unbind: {
    validate: [device_is_mapped('mob'), if_ret('0', [get_pages, device_map('mob')])],
    move: [],
    swap_notify: wait_and_unbind,
  },
  /** vmwgfx before: the buffer is in SYSTEM and bound, hence where it should be; nobody says otherwise (B18.2). */
  system: {
    validate: [device_is_mapped('mob'), if_ret('0', [get_pages, device_map('mob')])],
    move: [],
    swap_notify: [],
  },
} satisfies Record<string, { validate: Block; move: Block; swap_notify: Block }>;

export const systemPlacementFenced = design({
  name: 'system-placement-fenced',
  title:
    'TTM takes full control over TTM_PL_SYSTEM: a buffer that the device works with belongs in a placement of the driver',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM (commits 2696f9010d21, f6be23264bba)',
    'include/drm/ttm/ttm_placement.h',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_swapout',
    'drivers/gpu/drm/ttm/ttm_tt.c',
    'drivers/gpu/drm/vmwgfx/vmwgfx_system_manager.c',
    'B3.1..B3.6',
    'B5.2',
    'B5.6',
    'B12.1..B12.6',
    'B18.1..B18.6',
    'S-B1',
    'S-B2',
  ],
  knobs: {
    device_uses: ['private_placement', 'system_with_unbind', 'system'],
    /** Does TTM itself wait before it copies, or is a buffer in SYSTEM idle by definition (B12.3 step 4, B18.1)? */
    swapout: ['waits_for_fences', 'takes_system_for_idle'],
  },
  kernel: ({ device_uses, swapout }) => {
    const driver = DRIVERS[device_uses];
    return {
      objects: {
        // Up to 5.x a new buffer starts in SYSTEM, without pages (B2.4).
        bos: { mob: { place: 'SYSTEM', busy_in_system: device_uses === 'system_with_unbind' } },
        resvs: { mob: {} },
        fences: { job1: {}, job2: {} },
      },
      threads: {
        app: user(),
        // Another device populates over the limit, or the machine suspends: who asks does not matter (B12.6, B12.7).
        other_driver: user(),
        gpu: ring(),
      },
      routines: {
        job_done: [device_read('mob'), device_write('mob', '$job'), dma_fence_signal('$fence')],
        driver_validate: driver.validate,
        driver_move_to_system: driver.move,
        driver_swap_notify: driver.swap_notify,
        ttm_bo_swapout: [
          dma_resv_trylock('mob'),
          if_ret('0', [witness('swap-out leaves a locked buffer alone'), return_('-EBUSY')]),
          ttm_tt_state('mob'),
          if_ret('limbo', [witness('swap-out finds mob in limbo'), goto('out')]),
          if_ret('swapped', [witness('swap-out finds mob swapped'), goto('out')]),
          dma_resv_test_signaled('mob', 'BOOKKEEP'),
          if_ret('0', [witness('swap-out meets a busy buffer')]),
          ttm_bo_place('mob'),
          if_ret('PRIV', [call('driver_move_to_system')]),
          swapout === 'waits_for_fences'
            ? [dma_resv_wait_timeout('mob', 'BOOKKEEP'), if_ret('-EBUSY', [goto('out')])]
            : [],
          call('driver_swap_notify'),
          ttm_tt_swapout('mob'),
          ttm_tt_state('mob'),
          if_ret('swapped', [witness('mob is swapped out')], [witness('the copy fails and the pages stay')]),
          label('out'),
          dma_resv_unlock('mob'),
        ],
      },
      calls: {
        exec: ioctl({ job: ['job1', 'job2'] }, [
          dma_resv_lock('mob'),
          dma_fence_is_signaled('$job'),
          if_ret('1', [
            call('driver_validate'),
            dma_resv_reserve_fences('mob'),
            dma_fence_init('$job'),
            dma_resv_add_fence('mob', '$job', 'WRITE'),
            emit('gpu', '$job', '$job', 'job_done'),
          ]),
          dma_resv_unlock('mob'),
        ]),
        // A CPU fault brings the pages back and reads what the device wrote.
        read: ioctl({}, [
          dma_resv_lock('mob'),
          dma_resv_wait('mob', 'WRITE'),
          ttm_tt_state('mob'),
          if_ret('swapped', [witness('the CPU finds mob swapped')]),
          ttm_tt_populate('mob'),
          cpu_read('mob'),
          dma_resv_unlock('mob'),
        ]),
        populate_over_limit: ioctl({}, [call('ttm_bo_swapout')]),
      },
      workload: {
        app: ['exec(job1)', 'exec(job2)', 'read()'],
        other_driver: ['populate_over_limit()', 'populate_over_limit()'],
      },
    };
  },
  expect: [
    {
      when: { device_uses: 'system' },
      convicts: ['no-stale-access', 'ttm-state', 'contents-kept'],
      witnesses: ['mob is swapped out', 'swap-out meets a busy buffer'],
      because:
        'a buffer in SYSTEM is TTM\'s to swap with nothing but the reservation lock, and nobody tells the device that the pages are gone: even where TTM waits for the fences, the next job finds the buffer "in place" and reaches freed memory (B18.1, B18.2)',
    },
    {
      when: { device_uses: 'private_placement' },
      acquits: true,
      witnesses: [
        'mob is swapped out',
        'the copy fails and the pages stay',
        'swap-out meets a busy buffer',
        'swap-out finds mob in limbo',
        'swap-out finds mob swapped',
        'swap-out leaves a locked buffer alone',
        'other_driver waits for job1',
        'the job finds mob in limbo',
        'the job finds mob populated',
        'the job finds mob swapped',
        'the CPU finds mob swapped',
      ],
      because:
        'before TTM may swap it, the buffer must come to SYSTEM through the move callback of the driver, which waits for the device and takes the mapping away (B5.6, B11.7, B18.3)',
    },
    {
      when: { device_uses: 'system_with_unbind' },
      acquits: true,
      witnesses: [
        'mob is swapped out',
        'the copy fails and the pages stay',
        'swap-out meets a busy buffer',
        'swap-out finds mob in limbo',
        'swap-out finds mob swapped',
        'swap-out leaves a locked buffer alone',
        'other_driver waits for job1',
        'the job finds mob in limbo',
        'the job finds mob populated',
        'the job finds mob swapped',
        'the CPU finds mob swapped',
      ],
      because:
        'the device may use SYSTEM pages if it lets go of them before the copy: swap_notify waits for the fences and unbinds, so the next job asks for pages again (B12.5, B18.4)',
    },
  ],
});
