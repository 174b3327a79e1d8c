/**
 * Room for a buffer: the first of the wanted places that has some, by eviction if need be, and the fences of who still moves
 * out of it (drivers/gpu/drm/ttm/ttm_bo.c; B6.3..B6.5).
 */
import { type KernelObject, instruction, returns } from '../machine.ts';
import { pending } from './fence.ts';
import { call, goto, if_ret, label, return_, set } from './flow.ts';
import { addFence, dma_resv_reserve_fences } from './resv-fences.ts';
import { setVars } from './ttm-hooks.ts';
import { onTtmBo } from './ttm-lru.ts';
import { allocResource, ttm_resource_free } from './ttm-resource.ts';
import { type Ctx, ctxHas } from './ttm-tt.ts';
import { type Asked, type Place, MOST_MOVE_FENCES, managerOf, placeIn, placesOf, resvOf } from './ttm.ts';

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

export const ttmSpace: KernelObject = {
  ops: [alloc_next, add_move_fence, resv_of],
  routines: {
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
  },
};
