/**
 * The end of a buffer: the last put, and the delete that waits until nobody works with it (drivers/gpu/drm/ttm/ttm_bo.c,
 * ttm_bo_release; B16).
 *
 * A busy buffer is brought back to life as `deleted`: it stays on its LRU, so eviction may clean it up first; its work
 * item then finds nothing to do. Exactly one of them frees (B16.6, S-B6).
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  complain,
  instruction,
  pushCall,
  returns,
} from '../machine.ts';
import { boRow } from './buffer.ts';
import { dma_fence_enable_sw_signaling } from './fence-callback.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { dma_resv_lock, dma_resv_trylock, dma_resv_unlock, pendingFences, resvRow } from './resv.ts';
import { dma_resv_copy_fences } from './resv-copy.ts';
import { dma_resv_wait, dma_resv_wait_timeout } from './resv-wait.ts';
import { DEVICE, inconsistent, resvOf, ttmRow } from './ttm.ts';
import { setVars, ttm_hook } from './ttm-hooks.ts';
import { moveToLruTail, onTtmBo } from './ttm-lru.ts';
import { freeResource } from './ttm-resource.ts';
import { destroyTt } from './ttm-tt.ts';
import { queue_work, work } from './work.ts';

/** Drop a reference; the last one releases the buffer on this stack. */
export const ttm_bo_put = instruction('ttm_bo_put', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_put(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => drop(kernel, me, bo),
});
function drop(kernel: KernelState, me: string, bo: string): void {
  const row = ttmRow(kernel, bo);
  if (row.kref === 0) return inconsistent(kernel, me, bo, 'S-B6', `${me} drops a reference to ${bo}, which nobody has`);
  row.kref -= 1;
  if (row.kref === 0) pushCall(kernel, me, 'ttm_bo_release', { bo });
}
/** One reference more. */
export const ttm_bo_get = instruction('ttm_bo_get', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_get(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    if (ttmRow(kernel, bo).kref === 0)
      inconsistent(kernel, me, bo, 'S-B6', `${me} takes a reference to ${bo}, which is gone`);
    else ttmRow(kernel, bo).kref += 1;
  },
});

/** Give back what it has, pages and place; the second to come finds nothing (B16.6). Reserved. */
const cleanup = instruction('ttm_bo_cleanup_memtype_use', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_cleanup_memtype_use(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { place } = boRow(kernel, bo);
    destroyTt(kernel, me, bo);
    if (place !== null) freeResource(kernel, me, bo, place, 'own');
    returns(kernel, me, '0');
  },
});
export const cleanup_memtype_use = (bo: string): Block => [ttm_hook(bo, 'delete_mem_notify'), cleanup(bo)];

/** ret 'again' for a buffer that was deleted before, 'shared' when it must first have its fences to itself, 'own'. */
const release_begin = instruction('ttm_bo_release_begin', (bo: string) => ({ bo }), {
  text: ({ bo }) => `if (!${bo}->deleted)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { deleted, shares, individual } = ttmRow(kernel, bo);
    setVars(kernel, me, { shares });
    returns(kernel, me, deleted ? 'again' : shares !== '' && !individual ? 'shared' : 'own');
  },
});
/** It has the fences of the shared reservation on its own, and uses that from now on, unless it is of type sg (B16.2). */
const individualize = instruction('ttm_bo_individualize_resv', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_individualize_resv(${bo})`,
  touches: onTtmBo,
  run: (kernel, _me, { bo }) => {
    const row = ttmRow(kernel, bo);
    row.individual = row.type !== 'sg';
  },
});
/** Idle and unlocked: ret 'now', locked. Otherwise it is deleted later, by its work item (B16.4): ret 'later'. */
const release_or_queue = instruction('ttm_bo_release_or_queue', (bo: string) => ({ bo }), {
  text: ({ bo }) => `if (!dma_resv_test_signaled(${bo}) || !dma_resv_trylock(${bo}))`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const row = ttmRow(kernel, bo);
    row.mmap_node = false;
    const busy = pendingFences(kernel, bo, 'BOOKKEEP');
    const idle = busy.length === 0 && row.type !== 'sg' && resvRow(kernel, resvOf(kernel, bo)).owner === null;
    if (idle) {
      dma_resv_trylock.op.run(kernel, me, { resv: resvOf(kernel, bo) }, '');
      return returns(kernel, me, 'now');
    }
    if (row.delayed_delete === '')
      throw new Error(`${bo} is busy at its last put: declare a thread ttm_delayed_delete('${bo}')`);
    for (const fence of busy) dma_fence_enable_sw_signaling.op.run(kernel, me, { fence }, '');
    row.deleted = true;
    row.kref = 1;
    if (row.pin_count > 0) {
      row.pin_count = 0;
      moveToLruTail(kernel, bo);
    }
    queue_work.op.run(kernel, me, { work: row.delayed_delete }, '');
    returns(kernel, me, 'later');
  },
});
/** The object itself is freed; a ghost lets go of the buffer that it stood in for. */
const destroy = instruction('ttm_bo_destroy', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->destroy(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const row = ttmRow(kernel, bo);
    const { place } = boRow(kernel, bo);
    if (place !== null || row.extra.length > 0)
      inconsistent(kernel, me, bo, 'S-B6', `${bo} is freed and still has its ${place ?? row.extra.join(' and ')}`);
    if (row.bulk_move !== null) complain(kernel, me, 'B8.4', `${bo} is freed and still belongs to ${row.bulk_move}`);
    const original = row.ghost_of;
    Object.assign(row, { deleted: false, individual: false, bulk_move: null, moving: [], ghost_of: '' });
    if (original !== '') drop(kernel, me, original);
  },
});
/** The work item that deletes this buffer when it is busy at its last put (B16.5); on the device's own queue (B1.2). */
export const ttm_delayed_delete = (bo: string): ThreadSpec => {
  const spec = work([call('ttm_bo_delayed_delete', { bo })]);
  return {
    ...spec,
    rows: (me) => ({ ...spec.rows?.(me), ttm_bos: { [bo]: { delayed_delete: me } } }),
  };
};
const own_resv_of = instruction('ttm_bo_lock_to_delete', (bo: string) => ({ bo }), {
  text: ({ bo }) => `dma_resv_lock(${bo}->base.resv, NULL)`,
  strong: true,
  touches: onTtmBo,
  waits: (kernel, me, { bo }) => dma_resv_lock.op.waits?.(kernel, me, { resv: resvOf(kernel, bo), ctx: 'NULL' }),
  run: (kernel, me, { bo }) => dma_resv_lock.op.run(kernel, me, { resv: resvOf(kernel, bo), ctx: 'NULL' }, ''),
});
const unlock_deleted = instruction('ttm_bo_unlock_deleted', (bo: string) => ({ bo }), {
  text: ({ bo }) => `dma_resv_unlock(${bo}->base.resv)`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => dma_resv_unlock.op.run(kernel, me, { resv: resvOf(kernel, bo) }, ''),
});

/** Is anything of this device still to be deleted? The threads that do it. */
export const stillDeleting = (kernel: KernelState, device: string): string[] =>
  Object.values(kernel.ttm_bos)
    .filter((row) => (row.device || DEVICE) === device && row.delayed_delete !== '')
    .map(({ delayed_delete }) => delayed_delete)
    .filter((each) => kernel.works[each]?.queued || kernel.works[each]?.running);

export const ttmRelease: KernelObject = {
  ops: [
    ttm_bo_put,
    ttm_bo_get,
    cleanup,
    release_begin,
    individualize,
    release_or_queue,
    destroy,
    own_resv_of,
    unlock_deleted,
  ],
  routines: {
    ttm_bo_put: [ttm_bo_put('$bo')],
    ttm_bo_release: [
      release_begin('$bo'),
      if_ret('again', [destroy('$bo'), return_('0')]),
      if_ret('shared', [
        dma_resv_trylock('$bo'),
        dma_resv_copy_fences('$bo', '$shares'),
        set('copied', 'ret'),
        dma_resv_unlock('$bo'),
        // No memory to copy them: wait for them instead, but not for ever.
        if_var('copied', '0', [individualize('$bo')], [dma_resv_wait_timeout('$shares', 'BOOKKEEP')]),
      ]),
      ttm_hook('$bo', 'release_notify'),
      release_or_queue('$bo'),
      if_ret('later', [return_('0')]),
      cleanup_memtype_use('$bo'),
      unlock_deleted('$bo'),
      destroy('$bo'),
      return_('0'),
    ],
    ttm_bo_delayed_delete: [
      dma_resv_wait('$bo', 'BOOKKEEP'),
      own_resv_of('$bo'),
      cleanup_memtype_use('$bo'),
      unlock_deleted('$bo'),
      ttm_bo_put('$bo'),
    ],
  },
  leftovers: (kernel) =>
    Object.entries(kernel.ttm_bos).flatMap(([bo, { deleted, ghost, kref }]) =>
      deleted ? [`${bo} was deleted and is still there`] : ghost && kref > 0 ? [`the ghost ${bo} is still there`] : [],
    ),
};
