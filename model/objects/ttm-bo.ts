/**
 * Buffer objects of TTM: create and validate (drivers/gpu/drm/ttm/ttm_bo.c; B6, B7).
 *
 * Validate takes the first place that has room (ttm-space.ts); only when none has, it goes round again and evicts (B6.3).
 * Then the buffer moves there (ttm-bo-move.ts). The whole runs under the reservation; others come between where memory is
 * asked for, where another buffer is locked and where the driver waits.
 */
import { type Block, type KernelObject, complain, instruction, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { dma_resv_trylock, dma_resv_unlock } from './resv.ts';
import { MULTIHOPS, take_hop } from './ttm-bo-move.ts';
import { mustReserve, onTtmBo } from './ttm-lru.ts';
import { ttm_resource_free } from './ttm-resource.ts';
import { type Ctx, ERRORS } from './ttm-tt.ts';
import { type Asked, deviceOf, placeIn, placement, placesOf, resvOf, ttmRow } from './ttm.ts';

const compatible = instruction(
  'ttm_resource_compatible',
  (bo: string, places: string, force: string) => ({ bo, places, force }),
  {
    text: ({ bo, places }) => `ttm_resource_compatible(${bo}->resource, ${places})`,
    local: true,
    touches: onTtmBo,
    run: (kernel, me, { bo, places, force }) => {
      const { place } = boRow(kernel, bo);
      const row = ttmRow(kernel, bo);
      const fits = placesOf(places).some(
        (asked) => placeIn(asked) === place && !asked.endsWith(force === 'yes' ? '|DESIRED' : '|FALLBACK'),
      );
      const stays = place !== null && !row.placement.includes('TEMPORARY') && fits;
      // A pinned buffer does not move, not even a little (B6.2).
      returns(kernel, me, stays ? 'fits' : row.pin_count > 0 ? '-EINVAL' : 'move');
    },
  },
);

/** Does its final word need a tt (B6.2, 7)? */
const wants_tt = instruction('ttm_bo_wants_tt', (bo: string) => ({ bo }), {
  text: ({ bo }) => `if (!${bo}->resource || ${bo}->resource->mem_type == TTM_PL_SYSTEM)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => returns(kernel, me, [null, 'SYSTEM'].includes(boRow(kernel, bo).place) ? '1' : '0'),
});
const no_space = instruction('ttm_no_space', (bo: string) => ({ bo }), {
  text: () => 'if (ret == -ENOSPC)',
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => returns(kernel, me, deviceOf(kernel, bo)?.propagates_enospc ? '-ENOSPC' : '-ENOMEM'),
});
const init = instruction('ttm_bo_init', (bo: string) => ({ bo }), {
  text: ({ bo }) => `kref_init(&${bo}->kref)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const row = ttmRow(kernel, bo);
    const shared = resvOf(kernel, bo);
    if (row.kref > 0) complain(kernel, me, 'B6.1', `${me} initialises ${bo}, which is in use`);
    const mmap_node = row.type !== 'kernel';
    Object.assign(row, { kref: 1, deleted: false, individual: false, pin_count: 0, bulk_move: null, mmap_node });
    Object.assign(boRow(kernel, bo), { expected: 'zero', mapped: null });
    if (row.shares === '') dma_resv_trylock.op.run(kernel, me, { resv: shared }, '');
    else mustReserve(kernel, me, bo, 'ttm_bo_init_reserved');
  },
});
const init_failed = instruction('ttm_bo_init_failed', (bo: string) => ({ bo }), {
  text: ({ bo }) => `if (!resv) dma_resv_unlock(${bo}->base.resv)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    if (ttmRow(kernel, bo).shares === '') dma_resv_unlock.op.run(kernel, me, { resv: bo }, '');
  },
});

/**
 * Create the buffer in one of these places, reserved (B6.1): with its own reservation, or the one that it shares, which
 * the caller holds. ret '0'; otherwise it is gone again.
 */
export const ttm_bo_init_reserved = (bo: string, places: readonly Asked[], ctx: Ctx = ''): Block => [
  call('ttm_bo_init_reserved', { bo, places: placement(...places), ctx }),
];
/** Bring the buffer to one of these places; none at all takes its memory away (B6.2). ret '0' or the error. */
export const ttm_bo_validate = (bo: string, places: readonly Asked[], ctx: Ctx = ''): Block => [
  call('ttm_bo_validate', { bo, places: placement(...places), ctx }),
];

export const ttmBo: KernelObject = {
  ops: [compatible, wants_tt, no_space, init, init_failed],
  routines: {
    ttm_bo_init_reserved: [
      init('$bo'),
      call('ttm_bo_validate', { bo: '$bo', places: '$places', ctx: '$ctx' }),
      if_ret('0', [return_('0')]),
      set('error', 'ret'),
      init_failed('$bo'),
      call('ttm_bo_put', { bo: '$bo' }),
      return_('$error'),
    ],
    ttm_bo_validate: [
      if_var('places', ['', 'none'], [call('ttm_bo_pipeline_gutting', { bo: '$bo' }), return_('ret')]),
      set('force', 'no'),
      label('pass'),
      compatible('$bo', '$places', '$force'),
      if_ret('fits', [return_('0')]),
      if_ret('-EINVAL', [return_('-EINVAL')]),
      call('ttm_bo_alloc_resource', { bo: '$bo', places: '$places', force: '$force', ctx: '$ctx' }),
      if_ret('-ENOSPC', [if_var('force', 'no', [set('force', 'yes'), goto('pass')]), no_space('$bo'), return_('ret')]),
      if_ret(ERRORS, [return_('ret')]),
      set('mem', 'ret'),
      label('move'),
      call('ttm_bo_handle_move_mem', { bo: '$bo', mem: '$mem', evict: 'no', ctx: '$ctx' }),
      if_ret(MULTIHOPS, [
        take_hop(),
        call('ttm_bo_bounce_temp_buffer', { bo: '$bo', hop: '$hop', ctx: '$ctx' }),
        if_ret('0', [goto('move')]),
      ]),
      if_ret('0', [], [set('error', 'ret'), ttm_resource_free('$bo', '$mem' as Asked), return_('$error')]),
      wants_tt('$bo'),
      if_ret('1', [call('ttm_tt_create', { bo: '$bo', zero: 'yes' }), return_('ret')]),
      return_('0'),
    ],
  },
};
