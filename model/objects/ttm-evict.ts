/**
 * Eviction: the walk along an LRU, and what happens to each buffer that it finds (drivers/gpu/drm/ttm/ttm_bo.c,
 * ttm_bo_util.c; B8.5..B8.7, B9).
 *
 * Nobody may sleep on a second reservation without a ticket, so the first walk only trylocks. If the caller has a
 * ticket, a second walk may wait for one buffer, and then an older transaction may refuse it: TTM says -ENOSPC then,
 * and the caller hears of memory where he should have heard of a deadlock (B9.5, C19).
 */
import { type Block, type KernelObject, type Thread, instruction, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { dma_fence_wait } from './fence-wait.ts';
import {
  PLACES,
  type Asked,
  type ManagerRow,
  type Place,
  deviceOf,
  isHitch,
  managerOf,
  resvOf,
  ttmRow,
} from './ttm.ts';
import { dma_resv_lock, dma_resv_trylock, dma_resv_unlock, resvRow } from './resv.ts';
import { multihop, take_hop } from './ttm-bo-move.ts';
import { resv_of } from './ttm-space.ts';
import { setVars, ttm_hook } from './ttm-hooks.ts';
import { cleanup_memtype_use, ttm_bo_put } from './ttm-release.ts';
import { ttm_bo_reserve, ttm_bo_wait_ctx } from './ttm-reserve.ts';
import { ahead, dropHitch, onTtmBo, passHitch } from './ttm-lru.ts';
import { ttm_resource_alloc, ttm_resource_free } from './ttm-resource.ts';
import { type Ctx, ERRORS, ctxHas } from './ttm-tt.ts';

/**
 * The next buffer of this LRU that the walk may have, locked: ret 'locked' with `victim`, `resv`, `unlock` set;
 * 'contended' when a ticket may wait for its lock; 'end' (B8.6, B8.7).
 */
export const lru_cursor_next = instruction(
  'ttm_bo_lru_cursor_next',
  (bo: string, manager: string, ticket: string, ctx: Ctx) => ({ bo, manager, ticket, ctx }),
  {
    text: ({ manager }) => `ttm_bo_lru_cursor_next(${manager})`,
    touches: ({ manager }) => [['managers', manager]],
    run: (kernel, me, { bo, manager, ticket, ctx }) => {
      const man = kernel.managers[manager] as ManagerRow;
      for (const victim of ahead(kernel, me, man)) {
        passHitch(kernel, me, man, victim);
        const resv = resvOf(kernel, victim);
        dma_resv_trylock.op.run(kernel, me, { resv }, '');
        const locked = (kernel.threads[me] as Thread).ret === '1';
        const shared = !locked && bo !== '' && resv === resvOf(kernel, bo) && ctxHas(ctx, 'allow_res_evict');
        if (!locked && !shared && (ticket !== 'yes' || ctxHas(ctx, 'no_wait_gpu'))) continue;
        const here = managerOf(kernel, victim, boRow(kernel, victim).place ?? 'SYSTEM') === man;
        // Nobody holds it any more: whoever dropped the last reference is about to delete it (B8.8).
        if (ttmRow(kernel, victim).kref === 0 || ((locked || shared) && !here)) {
          if (locked) dma_resv_unlock.op.run(kernel, me, { resv }, '');
          continue;
        }
        ttmRow(kernel, victim).kref += 1;
        setVars(kernel, me, { victim, resv, unlock: locked ? 'yes' : 'no' });
        return returns(kernel, me, locked || shared ? 'locked' : 'contended');
      }
      dropHitch(kernel, me, man);
      returns(kernel, me, 'end');
    },
  },
);
export const lru_cursor_fini = instruction('ttm_resource_cursor_fini', (manager: string) => ({ manager }), {
  text: ({ manager }) => `ttm_resource_cursor_fini(${manager})`,
  touches: ({ manager }) => [['managers', manager]],
  run: (kernel, me, { manager }) => dropHitch(kernel, me, kernel.managers[manager] as ManagerRow),
});
/** It may have moved while we waited for its lock: ret '1' when it is still there (B8.6). */
const still_there = instruction('ttm_still_there', (bo: string, place: Place) => ({ bo, place }), {
  text: ({ bo, place }) => `${bo}->resource->mem_type == ${place}`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo, place }) => returns(kernel, me, boRow(kernel, bo).place === place ? '1' : '0'),
});
const has_ticket = instruction('dma_resv_locking_ctx', (bo: string) => ({ bo }), {
  text: ({ bo }) => `dma_resv_locking_ctx(${bo}->base.resv)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { owner, ticketed } = resvRow(kernel, resvOf(kernel, bo));
    returns(kernel, me, owner === me && ticketed ? '1' : '0');
  },
});
const on_edeadlk = instruction('ttm_on_edeadlk', (bo: string) => ({ bo }), {
  text: () => 'if (ret == -EDEADLK) ret = -ENOSPC',
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => returns(kernel, me, deviceOf(kernel, bo)?.on_edeadlk ?? '-ENOSPC'),
});
/** What is it: ret 'pinned', 'deleted' or 'alive'. */
export const bo_state = instruction('ttm_bo_state', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->pin_count, ${bo}->deleted`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { pin_count, deleted } = ttmRow(kernel, bo);
    returns(kernel, me, pin_count > 0 ? 'pinned' : deleted ? 'deleted' : 'alive');
  },
});
/** The manager of this place on the device of the buffer: the variable `manager`. */
const manager_of = instruction('ttm_manager_type', (bo: string, place: Place) => ({ bo, place }), {
  text: ({ place }) => `man = ttm_manager_type(bdev, ${place})`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo, place }) => {
    const man = managerOf(kernel, bo, place);
    const name = Object.keys(kernel.managers).find((each) => kernel.managers[each] === man);
    setVars(kernel, me, { manager: name ?? '' });
  },
});
/** The least recently used buffer of a manager, held but not locked: ret '0' with `victim`, `place` set, or '-ENOENT'. */
const first_of = instruction('ttm_resource_manager_first', (manager: string) => ({ manager }), {
  text: ({ manager }) => `ttm_resource_manager_first(${manager})`,
  touches: ({ manager }) => [['managers', manager]],
  run: (kernel, me, { manager }) => {
    const { lru } = kernel.managers[manager] as ManagerRow;
    const victim = lru.find((each) => !isHitch(each));
    if (victim === undefined || ttmRow(kernel, victim).kref === 0) return returns(kernel, me, '-ENOENT');
    ttmRow(kernel, victim).kref += 1;
    const place = PLACES.find((each) => managerOf(kernel, victim, each) === kernel.managers[manager]);
    setVars(kernel, me, { victim, place: place ?? '' });
    returns(kernel, me, '0');
  },
});
const next_move = instruction('ttm_manager_move', (manager: string) => ({ manager }), {
  text: ({ manager }) => `fence = dma_fence_get(${manager}->move)`,
  touches: ({ manager }) => [['managers', manager]],
  run: (kernel, me, { manager }) => {
    const row = kernel.managers[manager] as ManagerRow;
    const fence = row.move.at(-1);
    setVars(kernel, me, { fence: fence ?? '' });
    returns(kernel, me, fence === undefined ? 'none' : '0');
  },
});
const forget_move = instruction('ttm_manager_forget_move', (manager: string, fence: string) => ({ manager, fence }), {
  text: ({ manager }) => `dma_fence_put(${manager}->move)`,
  touches: ({ manager }) => [['managers', manager]],
  run: (kernel, _me, { manager, fence }) => {
    const row = kernel.managers[manager] as ManagerRow;
    row.move = row.move.filter((each) => each !== fence);
  },
});

/** Move it out of where it is, to where the driver says (B9.3); reserved. ret '0' or the error. */
export const ttm_bo_evict = (bo: string, ctx: Ctx = ''): Block => [call('ttm_bo_evict', { bo, ctx })];
/** Empty the manager: for suspend and unload (B9.8). ret '0' or the error. */
export const ttm_resource_manager_evict_all = (manager: string): Block => [
  call('ttm_resource_manager_evict_all', { manager }),
];

const letGo: Block = [if_var('unlock', 'yes', [dma_resv_unlock('$resv')]), ttm_bo_put('$victim')];
export const ttmEvict: KernelObject = {
  ops: [
    lru_cursor_next,
    lru_cursor_fini,
    still_there,
    has_ticket,
    on_edeadlk,
    bo_state,
    manager_of,
    first_of,
    next_move,
    forget_move,
  ],
  routines: {
    ttm_bo_evict_alloc: [
      manager_of('$bo', '$place' as Place),
      set('ticket', 'no'),
      label('walk'),
      call('ttm_lru_walk_for_evict', {
        bo: '$bo',
        mem: '$mem',
        place: '$place',
        manager: '$manager',
        ctx: '$ctx',
        ticket: '$ticket',
      }),
      if_ret('1', [return_('0')]),
      if_ret(ERRORS, [return_('ret')]),
      // Once more with the ticket, if there is one; and again as long as that gets anything out (B9.1).
      if_var('ticket', 'yes', [if_ret('evicted', [goto('walk')]), return_('-EBUSY')]),
      has_ticket('$bo'),
      if_ret('0', [return_('-EBUSY')]),
      set('ticket', 'yes'),
      goto('walk'),
    ],
    ttm_lru_walk_for_evict: [
      set('evicted', '0'),
      label('next'),
      lru_cursor_next('$bo', '$manager', '$ticket', '$ctx'),
      if_ret('end', [return_('$evicted')]),
      if_ret('contended', [
        dma_resv_lock('$resv', 'ticket'),
        if_ret('-EALREADY', [goto('skip')]),
        if_ret('-EDEADLK', [ttm_bo_put('$victim'), lru_cursor_fini('$manager'), on_edeadlk('$bo'), return_('ret')]),
        // One wait is enough: each more could kill the transaction.
        set('ticket', 'no'),
        set('unlock', 'yes'),
        still_there('$victim', '$place' as Place),
        if_ret('0', [goto('skip')]),
      ]),
      call('ttm_bo_evict_cb', { bo: '$victim', evictor: '$bo', mem: '$mem', place: '$place', ctx: '$ctx' }),
      set('result', 'ret'),
      letGo,
      if_var('result', 'evicted', [set('evicted', 'evicted'), goto('next')]),
      if_var('result', ['0', '-EBUSY', '-EALREADY'], [goto('next')]),
      lru_cursor_fini('$manager'),
      return_('$result'),
      label('skip'),
      letGo,
      goto('next'),
    ],
    // ret '1' when the evictor got its memory, 'evicted' when there is still not enough, '0' when nothing was done.
    ttm_bo_evict_cb: [
      bo_state('$bo'),
      if_ret('pinned', [return_('0')]),
      ttm_hook('$bo', 'eviction_valuable', { place: '$place', evictor: '$evictor' }),
      if_ret('0', [return_('0')]),
      bo_state('$bo'),
      if_ret(
        'deleted',
        [ttm_bo_wait_ctx('$bo', '$ctx'), if_ret('0', [cleanup_memtype_use('$bo')])],
        [call('ttm_bo_evict', { bo: '$bo', ctx: '$ctx' })],
      ),
      if_ret('-ENOSPC', [return_('-EBUSY')]),
      if_ret('0', [], [return_('ret')]),
      ttm_resource_alloc('$evictor', '$mem' as Asked),
      if_ret('0', [return_('1')]),
      if_ret('-ENOSPC', [return_('evicted')]),
    ],
    ttm_bo_evict: [
      ttm_hook('$bo', 'evict_flags'),
      set('places', 'ret'),
      if_var(
        'places',
        ['', 'none'],
        [
          ttm_bo_wait_ctx('$bo', '$ctx'),
          if_ret('0', [], [return_('ret')]),
          call('ttm_bo_pipeline_gutting', { bo: '$bo' }),
          return_('ret'),
        ],
      ),
      call('ttm_bo_mem_space', { bo: '$bo', places: '$places', ctx: '$ctx' }),
      if_ret(ERRORS, [return_('ret')]),
      set('mem', 'ret'),
      label('move'),
      call('ttm_bo_handle_move_mem', { bo: '$bo', mem: '$mem', evict: 'yes', ctx: '$ctx' }),
      if_ret(PLACES.map(multihop), [
        take_hop(),
        call('ttm_bo_bounce_temp_buffer', { bo: '$bo', hop: '$hop', ctx: '$ctx' }),
        if_ret('0', [goto('move')]),
      ]),
      if_ret('0', [return_('0')]),
      set('error', 'ret'),
      ttm_resource_free('$bo', '$mem' as Asked),
      return_('$error'),
    ],
    ttm_resource_manager_evict_all: [
      label('next'),
      first_of('$manager'),
      if_ret('-ENOENT', [goto('empty')]),
      set('result', '0'),
      ttm_bo_reserve('$victim'),
      still_there('$victim', '$place' as Place),
      if_ret('1', [
        bo_state('$victim'),
        if_ret(
          'deleted',
          [ttm_bo_wait_ctx('$victim'), if_ret('0', [cleanup_memtype_use('$victim')])],
          [call('ttm_bo_evict', { bo: '$victim', ctx: '' })],
        ),
        set('result', 'ret'),
      ]),
      resv_of('$victim'),
      dma_resv_unlock('$resv'),
      ttm_bo_put('$victim'),
      if_var('result', '0', [goto('next')]),
      return_('$result'),
      label('empty'),
      next_move('$manager'),
      if_ret('none', [return_('0')]),
      dma_fence_wait('$fence'),
      forget_move('$manager', '$fence'),
      goto('empty'),
    ],
  },
};
