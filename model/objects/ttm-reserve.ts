/**
 * Reserve a buffer of TTM, wait until nobody works with it, unreserve it (include/drm/ttm/ttm_bo.h; B8.2, B15).
 *
 * The lock is that of the buffer's reservation, which may be its VM's (R-5, W-10); TTM adds what it answers, and that
 * a buffer counts as used when it is unreserved.
 */
import { type Block, type KernelObject, type Op, type Thread, complain, instruction, returns } from '../machine.ts';
import {
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_trylock,
  dma_resv_unlock,
  pendingFences,
} from './resv.ts';
import { dma_resv_wait_timeout, dma_resv_wait_timeout_interruptible } from './resv-wait.ts';
import { resvOf } from './ttm.ts';
import { moveToLruTail, onTtmBo } from './ttm-lru.ts';
import { type Ctx, ctxHas } from './ttm-tt.ts';
import type { Context } from './ww-lock.ts';

interface Reserve {
  readonly interruptible?: true;
  readonly no_wait?: true;
  readonly ticket?: true;
}
const contextOf = (how: string): Context => (ctxHas(how, 'ticket') ? 'ticket' : 'NULL');
const lockOf = (how: string): Op => (ctxHas(how, 'interruptible') ? dma_resv_lock_interruptible : dma_resv_lock).op;
/** Lock its reservation, whichever that is: ret '0', '-EBUSY', '-EALREADY', '-EDEADLK' or '-ERESTARTSYS'. */
const reserve = instruction('ttm_bo_reserve', (bo: string, how: string) => ({ bo, how }), {
  text: ({ bo, how }) => `ttm_bo_reserve(${bo}${how === '' ? '' : `, ${how}`})`,
  strong: true,
  touches: onTtmBo,
  waits: (kernel, me, { bo, how }) => {
    if (ctxHas(how, 'no_wait')) return undefined;
    return lockOf(how).waits?.(kernel, me, { resv: resvOf(kernel, bo), ctx: contextOf(how) });
  },
  run: (kernel, me, { bo, how }, outcome) => {
    const resv = resvOf(kernel, bo);
    if (!ctxHas(how, 'no_wait')) {
      lockOf(how).run(kernel, me, { resv, ctx: contextOf(how) }, outcome);
      if (outcome === 'interrupted') returns(kernel, me, '-ERESTARTSYS');
      return;
    }
    if (ctxHas(how, 'ticket')) {
      complain(kernel, me, 'B15.2', `${me} reserves ${bo} with a ticket and will not wait`);
      return returns(kernel, me, '-EBUSY');
    }
    dma_resv_trylock.op.run(kernel, me, { resv }, '');
    returns(kernel, me, (kernel.threads[me] as Thread).ret === '1' ? '0' : '-EBUSY');
  },
});
export const ttm_bo_reserve = (bo: string, how: Reserve = {}): Block => [
  reserve(bo, Object.keys(how).sort().join(' ')),
];
/** Used just now: to the tail of its LRU, and unlocked (B8.2). Keeps ret. */
export const ttm_bo_unreserve = instruction('ttm_bo_unreserve', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_unreserve(${bo})`,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    moveToLruTail(kernel, bo);
    dma_resv_unlock.op.run(kernel, me, { resv: resvOf(kernel, bo) }, '');
  },
});

const waitOf = (ctx: Ctx): Op =>
  (ctxHas(ctx, 'interruptible') ? dma_resv_wait_timeout_interruptible : dma_resv_wait_timeout).op;
/** Wait until nobody works with it, up to 15 s, or only look (B15.1): ret '0', '-EBUSY' or '-ERESTARTSYS'. */
export const ttm_bo_wait_ctx = instruction('ttm_bo_wait_ctx', (bo: string, ctx: Ctx = '') => ({ bo, ctx }), {
  text: ({ bo, ctx }) => `ttm_bo_wait_ctx(${bo}${ctx === '' ? '' : `, ${ctx}`})`,
  touches: onTtmBo,
  waits: (kernel, me, { bo, ctx }) => {
    if (ctxHas(ctx, 'no_wait_gpu')) return undefined;
    return waitOf(ctx).waits?.(kernel, me, { resv: resvOf(kernel, bo), usage: 'BOOKKEEP' });
  },
  run: (kernel, me, { bo, ctx }, outcome) => {
    const resv = resvOf(kernel, bo);
    if (!ctxHas(ctx, 'no_wait_gpu')) waitOf(ctx).run(kernel, me, { resv, usage: 'BOOKKEEP' }, outcome);
    else returns(kernel, me, pendingFences(kernel, resv, 'BOOKKEEP').length === 0 ? '0' : '-EBUSY');
  },
});

export const ttmReserve: KernelObject = { ops: [reserve, ttm_bo_unreserve, ttm_bo_wait_ctx] };
