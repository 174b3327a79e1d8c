/**
 * A buffer without pages goes to VRAM: by a clear of the destination, or by a bounce domain that populates it first?
 * (Hellström, König, November 2021)
 *
 * `big` is an empty shell in SYSTEM: it was created and nobody has touched it. A move callback that only knows "not in
 * VRAM, so by way of TT" makes TTM bring system memory for all of it, to copy what is not there and to free it again; and
 * while TTM is at its limit, that memory is taken from somebody else first, `photo` of another device. The same callback
 * needs the bounce as soon as the buffer holds something. One that moves at once and clears nothing is no way out either.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  type Place,
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
  ttm_bo_wait_ctx,
  ttm_global_swapout,
  ttm_objects,
  ttm_tt_state,
  user,
  witness,
} from '../objects/index.ts';

const here: Block = [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')];
/** The device copies pages that it can reach; the job is waited for, which is simpler and no worse here. */
const copy: Block = [ttm_bo_wait_ctx('$bo'), if_ret('0', [], [return_('ret')]), ttm_bo_move_memcpy('$bo', 'VRAM')];
/** The clear is a job like any other: whoever uses the buffer waits for its fence (B6.5). */
const clear: Block = [
  ttm_bo_move_null('$bo', 'VRAM'),
  dma_fence_init('clear'),
  dma_resv_add_fence('$bo', 'clear', 'KERNEL'),
  emit('gpu', 'clear', 'clear', 'clear_done'),
  return_('0'),
];

/** What the driver does for a buffer that holds nothing. */
const EMPTY = { clears: clear, moves_only: here, bounces: [] } satisfies Record<string, Block>;

export const limboToVram = design({
  name: 'limbo-to-vram',
  title: 'A page-less buffer that moves to VRAM needs a clear of its new memory, not system pages on the way',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_handle_move_mem, ttm_bo_bounce_temp_buffer',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_ttm.c, amdgpu_bo_move',
    'drivers/gpu/drm/xe/xe_bo.c, xe_bo_move',
    'drivers/gpu/drm/ttm/ttm_tt.c',
    'B3.2',
    'B4.2',
    'B4.6..B4.9',
    'B10.1..B10.4',
    'B12.7',
  ],
  knobs: {
    empty_buffer: ['clears', 'moves_only', 'bounces'],
    /** 'short': TTM has as many pages as it may, and populate swaps out first (B3.2). */
    memory: ['plenty', 'short'],
  },
  kernel: ({ empty_buffer, memory }) => ({
    objects: together(
      ttm_objects({
        bos: {
          big: { place: 'SYSTEM', tt: 'limbo', zero_alloc: true },
          photo: { place: 'SYSTEM', tt: 'populated', pages: 'photo', expected: 'photo', device: 'camera' },
        },
        managers: { SYSTEM: {}, TT: {}, VRAM: {}, 'camera.SYSTEM': {} },
        devices: { bdev: { move: 'driver_move' }, camera: { swap_notify: 'camera_swap_notify' } },
        pages_limit: memory === 'short' ? 1 : 0,
      }),
      { fences: { clear: {}, job: {} } },
    ),
    threads: { app: user(), app2: user(), viewer: user(), gpu: ring() },
    routines: {
      clear_done: [device_fill('big'), dma_fence_signal('$fence')],
      job_done: [device_read('big'), dma_fence_signal('$fence')],
      camera_swap_notify: [witness('a buffer of another device is swapped out')],
      driver_move: [
        ttm_bo_place('$bo'),
        if_ret('SYSTEM', [
          if_var('new_mem', 'TT', here),
          ttm_tt_state('$bo'),
          if_ret('limbo', [witness('the move to VRAM finds limbo'), EMPTY[empty_buffer]]),
          if_ret('populated', [witness('the move to VRAM finds pages')]),
          if_ret('swapped', [witness('the move to VRAM finds swapped pages')]),
          return_(multihop('TT')),
        ]),
        copy,
      ],
    },
    calls: {
      exec: ioctl({}, [
        ttm_bo_reserve('big'),
        dma_fence_is_signaled('job'),
        if_ret('1', [
          ttm_bo_validate('big', ['VRAM']),
          if_ret('0', [
            device_map('big'),
            dma_resv_reserve_fences('big'),
            dma_fence_init('job'),
            dma_resv_add_fence('big', 'job', 'READ'),
            emit('gpu', 'job', 'job', 'job_done'),
          ]),
        ]),
        ttm_bo_unreserve('big'),
      ]),
      // The fault handler brings the pages, and the program writes.
      write: ioctl({}, [
        ttm_bo_reserve('big'),
        dma_resv_wait('big', 'READ'),
        ttm_bo_populate('big'),
        if_ret('0', [cpu_write('big', 'text')]),
        ttm_bo_unreserve('big'),
      ]),
      view: ioctl({}, [
        ttm_bo_reserve('photo'),
        ttm_bo_populate('photo'),
        if_ret('0', [cpu_read('photo')]),
        ttm_bo_unreserve('photo'),
      ]),
      suspend: ioctl({}, [ttm_global_swapout()]),
    },
    workload: { app: ['exec()'], app2: ['write()'], viewer: ['suspend()', 'view()'] },
  }),
  expect: [
    {
      when: { empty_buffer: 'clears' },
      acquits: true,
      witnesses: [
        'the move to VRAM finds limbo',
        'the move to VRAM finds pages',
        'the move to VRAM finds swapped pages',
        'a buffer of another device is swapped out',
      ],
      because:
        'the driver looks whether there is anything to keep: if not, it clears the memory that it got and needs no pages; if there is, the bounce is what brings it (B4.7, B4.9)',
    },
    {
      when: { empty_buffer: 'moves_only' },
      convicts: ['contents-kept'],
      spares: ['no-needless-work'],
      because: 'no pages are wasted, and the process reads in VRAM what another one left there (B4.2)',
    },
    {
      when: { empty_buffer: 'bounces' },
      convicts: ['no-needless-work'],
      spares: ['contents-kept', 'no-stale-access', 'ttm-state', 'no-deadlock', 'fence-signals'],
      witnesses: ['the move to VRAM finds limbo', 'a buffer of another device is swapped out'],
      because:
        'the hop makes TTM populate a buffer that holds nothing, copy its zeroes and free the pages again, when memory is short at the price of a swap-out of somebody else (B4.6)',
    },
  ],
});
