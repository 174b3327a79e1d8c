/**
 * Buffer objects of TTM: create, validate, and the move of one buffer (drivers/gpu/drm/ttm/ttm_bo.c; B6, B7, B10).
 *
 * Validate takes the first place that has room; only when none has, it goes round again and evicts (B6.3). The move
 * itself is the driver's: TTM brings the pages that the destination needs, calls `move` and, if the driver says that
 * it cannot go there directly, goes by the hop it names. The whole runs under the reservation; others come between
 * where memory is asked for, where another buffer is locked and where the driver waits.
 */
import { type Block, type KernelObject, type Thread, instruction, note, returns } from '../machine.ts';
import { boRow, hasContents, onDevice, ttm_bo_move_memcpy } from './buffer.ts';
import { I_MMAP, might_sleep, probe } from './context.ts';
import { pending } from './fence.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { addFence, dma_resv_reserve_fences, dma_resv_trylock, dma_resv_unlock } from './resv.ts';
import {
  type Asked,
  MOST_MOVE_FENCES,
  PLACES,
  type Place,
  complain,
  deviceOf,
  managerOf,
  placeIn,
  placement,
  placesOf,
  resvOf,
  ttmRow,
  usesTt,
} from './ttm.ts';
import { setVars, ttm_hook } from './ttm-hooks.ts';
import { ttm_bo_wait_ctx } from './ttm-reserve.ts';
import { mustReserve, onTtmBo } from './ttm-lru.ts';
import { allocResource, ttm_resource_free } from './ttm-resource.ts';
import { type Ctx, ERRORS, ctxHas, ttm_tt_destroy } from './ttm-tt.ts';

// Where it shall go.

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
/**
 * The next place from `at` that has room: ret '0' with `place` set; '-ENOSPC' when it is full and may be evicted from;
 * 'none' after the last. Without force it skips FALLBACK places, with force DESIRED ones (B6.3, B6.4).
 */
const alloc_next = instruction(
  'ttm_resource_alloc_next',
  (bo: string, places: string, force: string, at: string) => ({ bo, places, force, at }),
  {
    text: ({ bo, places, force }) => `ttm_resource_alloc(${bo}, ${places}${force === 'yes' ? ', force_space' : ''})`,
    touches: onTtmBo,
    run: (kernel, me, { bo, places, force, at }) => {
      const list = placesOf(places);
      for (let index = Number(at); index < list.length; index += 1) {
        const asked = list[index] as Asked;
        if (managerOf(kernel, bo, placeIn(asked))?.state !== 'used') continue;
        if (asked.endsWith(force === 'yes' ? '|DESIRED' : '|FALLBACK')) continue;
        const ret = allocResource(kernel, me, bo, asked);
        if (ret === '-ENOSPC' && (force !== 'yes' || placeIn(asked) === 'SYSTEM')) continue;
        setVars(kernel, me, { mem: asked, place: placeIn(asked), at: String(index + 1) });
        return returns(kernel, me, ret);
      }
      returns(kernel, me, 'none');
    },
  },
);
/** Who still moves out of this memory must be waited for: ret 'added', '0' when there is nobody, '-EBUSY' (B6.4, B6.5). */
const add_move_fence = instruction(
  'ttm_bo_add_move_fence',
  (bo: string, place: Place, ctx: Ctx) => ({ bo, place, ctx }),
  {
    text: ({ bo, place }) => `ttm_bo_add_move_fence(${bo}, ${place})`,
    touches: onTtmBo,
    run: (kernel, me, { bo, place, ctx }) => {
      const fences = managerOf(kernel, bo, place)?.move.filter((fence) => pending(kernel, fence)) ?? [];
      if (fences.length > 0 && ctxHas(ctx, 'no_wait_gpu')) return returns(kernel, me, '-EBUSY');
      const resv = resvOf(kernel, bo);
      for (const fence of fences) addFence(kernel, me, resv, fence, 'KERNEL');
      returns(kernel, me, fences.length > 0 ? 'added' : '0');
    },
  },
);
/** The reservation of the buffer, as the variable `resv`. */
export const resv_of = instruction('ttm_bo_resv', (bo: string) => ({ bo }), {
  text: ({ bo }) => `resv = ${bo}->base.resv`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => setVars(kernel, me, { resv: resvOf(kernel, bo) }),
});

// The move.

/**
 * What the destination needs of the tt: ret 'nothing', 'tt' or 'pages'. `zero`: new pages are cleared, for the old
 * place used a tt too, or there was none (B2.3). `needless`: the pages are only for a hop, and hold nothing (B4.6).
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
    const hopping = mem.endsWith('|TEMPORARY');
    setVars(kernel, me, {
      place: to,
      from: from ?? 'NULL',
      zero: from === null || usesTt(kernel, bo, from) ? 'yes' : 'no',
      needless: hopping && !onDevice(kernel, bo) && !hasContents(kernel, bo) ? 'yes' : 'no',
    });
    returns(kernel, me, !usesTt(kernel, bo, to) ? 'nothing' : to === 'SYSTEM' ? 'tt' : 'pages');
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
      complain(
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
const MULTIHOPS = PLACES.map(multihop);
export const take_hop = instruction('ttm_take_hop', () => ({}), {
  text: () => 'hop',
  local: true,
  run: (kernel, me) => setVars(kernel, me, { hop: `${(kernel.threads[me] as Thread).ret.split(' ')[1]}|TEMPORARY` }),
});
const hop_refused = instruction('ttm_hop_refused', (bo: string, hop: string) => ({ bo, hop }), {
  text: ({ bo }) => `WARN_ON(${bo} needs a hop on a hop)`,
  local: true,
  run: (kernel, me, { bo, hop }) => {
    note(kernel, me, {
      kind: 'misuse',
      rule: 'B10.2',
      what: `the driver wants another hop for ${bo} on its way to ${hop}`,
    });
    returns(kernel, me, '-EINVAL');
  },
});
const undo_tt = instruction('ttm_move_undo_tt', (zero: string) => ({ zero }), {
  text: () => 'if (!old_use_tt)',
  local: true,
  run: (kernel, me, { zero }) => returns(kernel, me, zero === 'no' ? 'destroy' : 'keep'),
});

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
    if (row.kref > 0)
      note(kernel, me, { kind: 'misuse', rule: 'B6.1', what: `${me} initialises ${bo}, which is in use` });
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
  ops: [
    compatible,
    alloc_next,
    add_move_fence,
    resv_of,
    move_needs,
    move_done,
    take_hop,
    hop_refused,
    undo_tt,
    wants_tt,
    no_space,
    init,
    init_failed,
  ],
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
    ttm_bo_alloc_resource: [
      resv_of('$bo'),
      dma_resv_reserve_fences('$resv', MOST_MOVE_FENCES),
      if_ret('0', [], [return_('ret')]),
      set('at', '0'),
      label('next'),
      alloc_next('$bo', '$places', '$force', '$at'),
      if_ret('none', [return_('-ENOSPC')]),
      if_ret('-ENOSPC', [
        call('ttm_bo_evict_alloc', { bo: '$bo', mem: '$mem', place: '$place', ctx: '$ctx' }),
        if_ret('-EBUSY', [goto('next')]),
      ]),
      if_ret('0', [], [return_('ret')]),
      add_move_fence('$bo', '$place' as Place, '$ctx'),
      if_ret('-EBUSY', [ttm_resource_free('$bo', '$mem' as Asked), goto('next')]),
      if_ret('added', [
        dma_resv_reserve_fences('$resv'),
        if_ret('0', [], [set('error', 'ret'), ttm_resource_free('$bo', '$mem' as Asked), return_('$error')]),
      ]),
      return_('$mem'),
    ],
    ttm_bo_mem_space: [
      call('ttm_bo_alloc_resource', { bo: '$bo', places: '$places', force: 'no', ctx: '$ctx' }),
      if_ret('-ENOSPC', [
        call('ttm_bo_alloc_resource', { bo: '$bo', places: '$places', force: 'yes', ctx: '$ctx' }),
        if_ret('-ENOSPC', [return_('-ENOMEM')]),
      ]),
    ],
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
            call('ttm_bo_populate', { bo: '$bo', ctx: '$ctx', needless: '$needless' }),
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
