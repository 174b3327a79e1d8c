/**
 * Moves that the device does, and what becomes of the old memory meanwhile (drivers/gpu/drm/ttm/ttm_bo_util.c; B11).
 *
 * The buffer is in its new place at once, with a KERNEL fence for everybody who comes after. The old memory is handed
 * to a ghost that dies with the fence; or, when it was device memory and the buffer is evicted, straight back to its
 * manager, which then remembers the fence; or the mover waits. Gutting does the same for a buffer that shall have no
 * place at all.
 */
import { type Block, type KernelObject, type KernelState, instruction, returns } from '../machine.ts';
import { boRow, redirect } from './buffer.ts';
import { freePages } from './buffer-pages.ts';
import { leaveBehind } from './buffer-move.ts';
import { pending } from './fence.ts';
import { call, if_ret, return_ } from './flow.ts';
import { kmalloc } from './memory.ts';
import { poolFree } from './page-pool.ts';
import { type ResvFence, pendingFences, resvRow } from './resv.ts';
import { dma_resv_add_fence } from './resv-fences.ts';
import { dma_resv_wait_timeout } from './resv-wait.ts';
import { type Place, inconsistent, resvOf, ttmRow, usesTt } from './ttm.ts';
import { resv_of } from './ttm-space.ts';
import { setVars } from './ttm-hooks.ts';
import { ttm_bo_put } from './ttm-release.ts';
import { onTtmBo } from './ttm-lru.ts';
import { freeResource, handResource, installResource, rememberMove } from './ttm-resource.ts';
import { destroyTt } from './ttm-tt.ts';

/** A ghost that is free and like this buffer, or nothing: all that can ever exist is declared. */
const freeGhost = (kernel: KernelState, bo: string): string | undefined =>
  Object.keys(kernel.ttm_bos).find((each) => {
    const row = ttmRow(kernel, each);
    const like = row.type === ttmRow(kernel, bo).type && row.device === ttmRow(kernel, bo).device;
    return (
      row.ghost && row.kref === 0 && row.ghost_of === '' && like && boRow(kernel, each).size === boRow(kernel, bo).size
    );
  });
/** It takes the old resource and, if the buffer does not go on using it, the tt with its pages. */
function haunt(kernel: KernelState, me: string, bo: string, ghost: string, tt: 'stays' | 'goes'): void {
  const row = boRow(kernel, bo);
  handResource(kernel, me, bo, ghost);
  if (tt === 'goes') {
    Object.assign(boRow(kernel, ghost), { tt: row.tt, pages: row.pages, swap: row.swap });
    Object.assign(row, { tt: 'none', swap: null });
    poolFree(kernel, bo);
  } else boRow(kernel, ghost).tt = 'none';
  const { zero_alloc } = ttmRow(kernel, bo);
  Object.assign(ttmRow(kernel, ghost), { kref: 1, ghost_of: bo, deleted: false, individual: false, zero_alloc });
  ttmRow(kernel, bo).kref += 1;
}

/** The ghost's own reservation: nobody else knows of it. */
function stand(kernel: KernelState, ghost: string, fences: readonly ResvFence[]): void {
  Object.assign(resvRow(kernel, ghost), { fences, max: fences.length });
}

/** Which of the three ways is it: ret 'ghost', 'pipeline' or 'wait' (B11.1). */
const accel_way = instruction(
  'ttm_accel_way',
  (bo: string, evict: string, pipeline: string) => ({ bo, evict, pipeline }),
  {
    text: ({ bo, evict }) => `ttm_bo_move_accel_cleanup(${bo}, evict=${evict})`,
    local: true,
    touches: onTtmBo,
    run: (kernel, me, { bo, evict, pipeline }) => {
      const { place } = boRow(kernel, bo);
      const fromDevice = place !== null && !usesTt(kernel, bo, place);
      returns(kernel, me, evict !== 'yes' ? 'ghost' : fromDevice && pipeline === 'yes' ? 'pipeline' : 'wait');
    },
  },
);
/** ret '-ENOMEM' when there is no ghost to be had. */
const to_ghost = instruction('ttm_bo_move_to_ghost', (bo: string, fence: string, to: Place) => ({ bo, fence, to }), {
  text: ({ bo }) => `ttm_bo_move_to_ghost(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo, fence, to }) => {
    const ghost = freeGhost(kernel, bo);
    if (ghost === undefined) return returns(kernel, me, '-ENOMEM');
    leaveBehind(kernel, bo);
    haunt(kernel, me, bo, ghost, usesTt(kernel, bo, to) ? 'stays' : 'goes');
    stand(kernel, ghost, pending(kernel, fence) ? [{ fence, usage: 'KERNEL' }] : []);
    installResource(kernel, me, bo, to);
    setVars(kernel, me, { ghost });
    returns(kernel, me, '0');
  },
});
const pipeline_evict = instruction(
  'ttm_bo_move_pipeline_evict',
  (bo: string, fence: string, to: Place) => ({ bo, fence, to }),
  {
    text: ({ bo }) => `ttm_bo_move_pipeline_evict(${bo})`,
    touches: onTtmBo,
    run: (kernel, me, { bo, fence, to }) => {
      const { place } = boRow(kernel, bo);
      rememberMove(kernel, me, bo, fence);
      leaveBehind(kernel, bo);
      if (place !== null) freeResource(kernel, me, bo, place, 'own');
      installResource(kernel, me, bo, to);
      returns(kernel, me, '0');
    },
  },
);
const wait_free_node = instruction('ttm_bo_free_old_node', (bo: string, to: Place) => ({ bo, to }), {
  text: ({ bo }) => `ttm_resource_free(${bo}, &${bo}->resource)`,
  touches: onTtmBo,
  run: (kernel, me, { bo, to }) => {
    if (!usesTt(kernel, bo, to)) destroyTt(kernel, me, bo);
    installResource(kernel, me, bo, to);
    returns(kernel, me, '0');
  },
});
/**
 * The device copies the buffer and will signal this fence: give it the new place (B11.1). Called by the driver's move,
 * with a slot reserved, after the job was pushed: what follows asks for memory (B11.3). `copy_job_init` and
 * `device_copy` are the copy itself. ret '0', '-ENOMEM' or '-EBUSY' with nothing moved.
 */
export const ttm_bo_move_accel_cleanup = (
  bo: string,
  fence: string,
  { evict, pipeline, new_mem }: { evict: string; pipeline: 'yes' | 'no'; new_mem: string },
): Block => [call('ttm_bo_move_accel_cleanup', { bo, fence, evict, pipeline, new_mem })];

// Gutting: no place at all.

const gut_way = instruction('ttm_bo_pipeline_gutting_way', (bo: string) => ({ bo }), {
  text: ({ bo }) => `dma_resv_test_signaled(${bo}->base.resv, BOOKKEEP)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    if (ttmRow(kernel, bo).pin_count > 0)
      inconsistent(kernel, me, bo, 'S-B4', `${me} takes the memory of ${bo} away although it is pinned`);
    const busy = pendingFences(kernel, resvOf(kernel, bo), 'BOOKKEEP').length > 0;
    returns(kernel, me, busy ? 'busy' : boRow(kernel, bo).tt === 'none' ? 'bare' : 'idle');
  },
});
/** Whatever was in it the driver gave up: what comes next starts from nothing, or from a copy that is still in swap (B4.4). */
function discard(kernel: KernelState, bo: string): void {
  boRow(kernel, bo).expected = boRow(kernel, bo).swap ?? 'zero';
  ttmRow(kernel, bo).moving = [];
}
const gut_idle = instruction('ttm_bo_gut_idle', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_unpopulate(${bo}->ttm); ttm_resource_free(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const row = boRow(kernel, bo);
    if (row.tt === 'populated') freePages(kernel, me, bo, 'limbo');
    if (ttmRow(kernel, bo).type === 'device') ttmRow(kernel, bo).zero_alloc = true;
    redirect(kernel, bo, ['VRAM'], 'freed');
    if (row.place !== null) freeResource(kernel, me, bo, row.place, 'own');
    discard(kernel, bo);
    returns(kernel, me, '0');
  },
});
const gut_busy = instruction('ttm_bo_gut_busy', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_buffer_object_transfer(${bo}, &ghost)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const ghost = freeGhost(kernel, bo);
    if (ghost === undefined) return returns(kernel, me, '-ENOMEM');
    const row = boRow(kernel, bo);
    haunt(kernel, me, bo, ghost, 'goes');
    stand(
      kernel,
      ghost,
      resvRow(kernel, resvOf(kernel, bo)).fences.filter(({ fence }) => pending(kernel, fence)),
    );
    row.tt = 'limbo';
    ttmRow(kernel, bo).zero_alloc = ttmRow(kernel, bo).type === 'device';
    redirect(kernel, bo, ['pages', 'VRAM', 'old'], 'freed');
    discard(kernel, bo);
    setVars(kernel, me, { ghost });
    returns(kernel, me, '0');
  },
});

export const ttmMove: KernelObject = {
  ops: [accel_way, to_ghost, pipeline_evict, wait_free_node, gut_way, gut_idle, gut_busy],
  routines: {
    ttm_bo_move_accel_cleanup: [
      resv_of('$bo'),
      dma_resv_add_fence('$resv', '$fence', 'KERNEL'),
      accel_way('$bo', '$evict', '$pipeline'),
      if_ret('ghost', [
        kmalloc('GFP_KERNEL', 'ghost'),
        if_ret('-ENOMEM', [return_('-ENOMEM')]),
        to_ghost('$bo', '$fence', '$new_mem' as Place),
        if_ret('0', [ttm_bo_put('$ghost'), return_('0')]),
        return_('ret'),
      ]),
      if_ret('pipeline', [pipeline_evict('$bo', '$fence', '$new_mem' as Place), return_('0')]),
      dma_resv_wait_timeout('$resv', 'BOOKKEEP'),
      if_ret('0', [wait_free_node('$bo', '$new_mem' as Place)]),
    ],
    ttm_bo_pipeline_gutting: [
      gut_way('$bo'),
      if_ret('idle', [gut_idle('$bo'), return_('0')]),
      if_ret('bare', [
        call('ttm_tt_create', { bo: '$bo', zero: 'yes' }),
        if_ret('0', [gut_idle('$bo')]),
        return_('ret'),
      ]),
      kmalloc('GFP_KERNEL', 'ttm'),
      kmalloc('GFP_KERNEL', 'ghost'),
      gut_busy('$bo'),
      if_ret('0', [ttm_bo_put('$ghost'), return_('0')]),
    ],
  },
};
