/**
 * The move of one buffer (drivers/gpu/drm/ttm/ttm_bo.c; B7, B10). It is the driver's: TTM brings the pages that the
 * destination needs, calls `move` and, if the driver says that it cannot go there directly, goes by the hop it names.
 */
import { type KernelObject, type Thread, complain, instruction, note, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { ttm_bo_move_memcpy } from './buffer-move.ts';
import { I_MMAP, might_sleep, probe } from './context.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { dma_resv_reserve_fences } from './resv-fences.ts';
import { setVars, ttm_hook } from './ttm-hooks.ts';
import { mustReserve, onTtmBo } from './ttm-lru.ts';
import { ttm_bo_wait_ctx } from './ttm-reserve.ts';
import { ttm_resource_free } from './ttm-resource.ts';
import { resv_of } from './ttm-space.ts';
import { ERRORS, ttm_tt_destroy } from './ttm-tt.ts';
import { type Asked, type Place, PLACES, inconsistent, placeIn, ttmsOwn, usesTt } from './ttm.ts';

/**
 * What the destination needs of the tt: ret 'nothing', 'tt' or 'pages'. `zero`: new pages are cleared, for the old
 * place used a tt too, or there was none (B2.3).
 */
const move_needs = instruction('ttm_move_needs', (bo: string, mem: Asked) => ({ bo, mem }), {
  text: ({ bo }) => `ttm_bo_unmap_virtual(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo, mem }) => {
    mustReserve(kernel, me, bo, 'ttm_bo_handle_move_mem');
    might_sleep(kernel, me, 'ttm_bo_unmap_virtual');
    probe(kernel, me, { object: I_MMAP, class: I_MMAP, kind: 'lock', mode: 'exclusive', try: false }); // B7.3
    const { place: from } = boRow(kernel, bo);
    const to = placeIn(mem);
    setVars(kernel, me, {
      place: to,
      from: from ?? 'NULL',
      zero: from === null || usesTt(kernel, bo, from) ? 'yes' : 'no',
    });
    returns(kernel, me, !usesTt(kernel, bo, to) ? 'nothing' : to === ttmsOwn(kernel, bo) ? 'tt' : 'pages');
  },
});
/** Did the driver do what it said (B7.4)? ret stays, but for what cannot be believed. */
const move_done = instruction('ttm_move_done', (bo: string, from: string, to: string) => ({ bo, from, to }), {
  text: ({ bo }) => `ctx->bytes_moved += ${bo}->base.size`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo, from, to }) => {
    const { ret } = kernel.threads[me] as Thread;
    const place = boRow(kernel, bo).place ?? 'NULL';
    const should = ret === '0' ? to : from;
    if (place !== should)
      inconsistent(
        kernel,
        me,
        bo,
        'B7.4',
        `the driver's move says ${ret} and leaves ${bo} in ${place} instead of ${should}`,
      );
    if (ret === '0') note(kernel, me, { kind: 'bytesMoved', bo, pages: boRow(kernel, bo).size });
  },
});
declare module '../machine.ts' {
  interface Facts {
    /** One move of a buffer came to an end; each hop counts (B7.1). */
    bytesMoved: { bo: string; pages: number };
  }
}
/** The driver wants to go there by a hop: `return_(multihop('TT'))` (B10.1). */
export const multihop = (hop: Place): string => `-EMULTIHOP ${hop}`;
export const MULTIHOPS = PLACES.map(multihop);
export const take_hop = instruction('ttm_take_hop', () => ({}), {
  text: () => 'hop',
  local: true,
  run: (kernel, me) => setVars(kernel, me, { hop: `${(kernel.threads[me] as Thread).ret.split(' ')[1]}|TEMPORARY` }),
});
const hop_refused = instruction('ttm_hop_refused', (bo: string, hop: string) => ({ bo, hop }), {
  text: ({ bo }) => `WARN_ON(${bo} needs a hop on a hop)`,
  local: true,
  run: (kernel, me, { bo, hop }) => {
    complain(kernel, me, 'B10.2', `the driver wants another hop for ${bo} on its way to ${hop}`);
    returns(kernel, me, '-EINVAL');
  },
});
const undo_tt = instruction('ttm_move_undo_tt', (zero: string) => ({ zero }), {
  text: () => 'if (!old_use_tt)',
  local: true,
  run: (kernel, me, { zero }) => returns(kernel, me, zero === 'no' ? 'destroy' : 'keep'),
});

export const ttmBoMove: KernelObject = {
  ops: [move_needs, move_done, take_hop, hop_refused, undo_tt],
  routines: {
    ttm_bo_bounce_temp_buffer: [
      call('ttm_bo_mem_space', { bo: '$bo', places: '$hop', ctx: '$ctx' }),
      if_ret(ERRORS, [return_('ret')]),
      set('mem', 'ret'),
      call('ttm_bo_handle_move_mem', { bo: '$bo', mem: '$mem', evict: 'no', ctx: '$ctx' }),
      if_ret('0', [return_('0')]),
      if_ret(MULTIHOPS, [hop_refused('$bo', '$hop')]),
      set('error', 'ret'),
      ttm_resource_free('$bo', '$mem' as Asked),
      return_('$error'),
    ],
    ttm_bo_handle_move_mem: [
      move_needs('$bo', '$mem' as Asked),
      if_ret(
        ['tt', 'pages'],
        [
          set('needs', 'ret'),
          call('ttm_tt_create', { bo: '$bo', zero: '$zero' }),
          if_ret('0', [], [goto('failed')]),
          if_var('needs', 'pages', [
            call('ttm_bo_populate', { bo: '$bo', ctx: '$ctx' }),
            if_ret('0', [], [goto('failed')]),
          ]),
        ],
      ),
      resv_of('$bo'),
      dma_resv_reserve_fences('$resv'),
      if_ret('0', [], [goto('failed')]),
      ttm_hook('$bo', 'move', { evict: '$evict', ctx: '$ctx', new_mem: '$place' }),
      move_done('$bo', '$from', '$place'),
      if_ret(['0', ...MULTIHOPS], [return_('ret')]),
      label('failed'),
      set('error', 'ret'),
      undo_tt('$zero'),
      if_ret('destroy', [ttm_tt_destroy('$bo')]),
      return_('$error'),
    ],
    // What the core offers a driver that has nothing better: wait, then copy with the CPU (B4.3).
    ttm_bo_move_simple: [
      ttm_bo_wait_ctx('$bo', '$ctx'),
      if_ret('0', [], [return_('ret')]),
      ttm_bo_move_memcpy('$bo', '$new_mem' as Place),
    ],
  },
};
