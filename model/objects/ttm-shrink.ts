/**
 * What a driver's own shrinker does with TTM: walk, and back buffers up page by page (drivers/gpu/drm/ttm/ttm_bo_util.c,
 * ttm_bo_shrink; drivers/gpu/drm/xe/xe_shrinker.c; B14).
 *
 * It runs in reclaim, on the stack of whoever allocates, so it only trylocks; whether it may wait for the device is the
 * caller's `ctx`. What it could not finish stays half done, and nothing is lost (B3.8).
 */
import { type Block, type KernelObject, instruction, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { call, if_ret, if_var, return_ } from './flow.ts';
import { ttPages, ttmRow } from './ttm.ts';
import { onTtmBo } from './ttm-lru.ts';
import { ttm_bo_wait_ctx } from './ttm-reserve.ts';
import { lru_walk, unmap_virtual } from './ttm-swap.ts';
import { type Ctx, ERRORS, ttm_tt_purge } from './ttm-tt.ts';

/** Has it pages of its own that could go: ret 'here' in SYSTEM, 'elsewhere', or '-EBUSY' (B14.5). */
export const ttm_bo_shrink_suitable = instruction('ttm_bo_shrink_suitable', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_shrink_suitable(${bo})`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { pin_count, type, backed_up } = ttmRow(kernel, bo);
    const { tt, place } = boRow(kernel, bo);
    const pages = tt === 'populated' || (tt === 'backed_up' && backed_up < ttPages(kernel, bo));
    if (pin_count > 0 || type === 'sg' || !pages || place === null) return returns(kernel, me, '-EBUSY');
    returns(kernel, me, place === 'SYSTEM' ? 'here' : 'elsewhere');
  },
});

/**
 * Free the pages of this buffer, reserved: to backup, or for good when `purge`. `allow_move`: first to SYSTEM, if it is
 * somewhere else. ret how many pages, or the error when none.
 */
export const ttm_bo_shrink = (
  bo: string,
  { purge = false, allow_move = true }: { purge?: boolean; allow_move?: boolean } = {},
  ctx: Ctx = '',
): Block => [call('ttm_bo_shrink', { bo, ctx, purge: purge ? 'yes' : 'no', allow_move: allow_move ? 'yes' : 'no' })];
/** Shrink the first buffer of the device that lets itself be shrunk: what a driver's scan calls. ret its pages, or '0'. */
export const ttm_lru_shrink = (device: string, { purge = false } = {}, ctx: Ctx = 'no_wait_gpu'): Block => [
  call('ttm_lru_shrink', { device, ctx, purge: purge ? 'yes' : 'no' }),
];

export const ttmShrink: KernelObject = {
  ops: [ttm_bo_shrink_suitable],
  routines: {
    ttm_bo_shrink: [
      ttm_bo_shrink_suitable('$bo'),
      if_ret('-EBUSY', [return_('-EBUSY')]),
      if_ret('elsewhere', [
        if_var('allow_move', 'no', [return_('-EBUSY')]),
        call('ttm_bo_validate', { bo: '$bo', places: 'SYSTEM', ctx: '$ctx' }),
        if_ret('0', [], [return_('-EBUSY')]),
      ]),
      unmap_virtual('$bo'),
      ttm_bo_wait_ctx('$bo', '$ctx'),
      if_ret('0', [], [return_('ret')]),
      if_var('purge', 'yes', [ttm_tt_purge('$bo')], [call('ttm_tt_backup', { bo: '$bo' })]),
    ],
    ttm_lru_shrink: lru_walk(
      call('ttm_bo_shrink', { bo: '$victim', ctx: '$ctx', purge: '$purge', allow_move: 'yes' }),
      ERRORS,
    ),
  },
};
