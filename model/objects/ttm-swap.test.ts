/** Swap-out: who is taken, in what order, and what the driver can do about it (B12). */
import { describe, expect, test } from 'vitest';
import type { Block, Fact } from '../machine.ts';
import { misuses } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone } from '../ttm-stage.ts';
import {
  type Place,
  cpu_read,
  device_map,
  device_read,
  device_unmap,
  dma_fence_init,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  multihop,
  recount,
  return_,
  set,
  ttm_bo_move_null,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_device_swapout,
  ttm_global_swapout,
  ttm_tt_unpopulate,
} from './index.ts';

const populated = { place: 'SYSTEM', tt: 'populated', pages: 'red', expected: 'red' } as const;
const run = (body: Block, setup: Setup = { bos: { bo: populated } }) => {
  const done = ttmAlone(body, setup);
  const tt = (bo = 'bo') => done.at.kernel.bos[bo]?.tt;
  return {
    ...done,
    tt,
    rules: [...inconsistencies(done.facts), ...misuses(done.facts)],
    left: recount(done.at.kernel),
  };
};
const busy: Block = [
  dma_fence_init('job'),
  dma_resv_lock('bo'),
  dma_resv_reserve_fences('bo'),
  dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
  dma_resv_unlock('bo'),
];
const fences = { fences: { job: {} } };
const stale = (facts: readonly Fact[]) => facts.some((fact) => fact.kind === 'accesses' && fact.stale !== null);
const reads = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'reads' ? [`${fact.got}/${fact.expected}`] : []));

describe('who', () => {
  test('B12.2: one buffer at a time, from SYSTEM upward, least recently used first; ret its pages', () => {
    const setup: Setup = {
      bos: { tt: { ...populated, place: 'TT' }, a: { ...populated, size: 3 }, b: populated },
      managers: { TT: { size: 4 } },
    };
    const once = run(ttm_device_swapout('bdev'), setup);
    expect([once.ret, once.tt('a'), once.tt('b'), once.tt('tt')]).toEqual(['3', 'swapped', 'populated', 'populated']);
    const all = run(
      [ttm_device_swapout('bdev'), ttm_device_swapout('bdev'), ttm_device_swapout('bdev'), ttm_device_swapout('bdev')],
      setup,
    );
    expect([all.ret, all.tt('b'), all.tt('tt'), all.at.kernel.bos['tt']?.place]).toEqual([
      '0',
      'swapped',
      'swapped',
      'SYSTEM',
    ]);
    expect([all.at.kernel.ttm_globals['ttm']?.pages_allocated, all.rules, all.left]).toEqual([0, [], []]);
  });
  test('B12.3: not the pinned, the empty, the swapped, the foreign, the locked, nor what is not worth it', () => {
    const spared: Setup['bos'][] = [
      { bo: { ...populated, pin_count: 1 } },
      { bo: { place: 'SYSTEM', tt: 'limbo' } },
      { bo: { place: 'SYSTEM', tt: 'swapped' } },
      { bo: { ...populated, type: 'sg' } },
    ];
    for (const bos of spared) expect(run(ttm_global_swapout(), { bos: bos ?? {} }).ret).toBe('0');
    expect(run([dma_resv_lock('bo'), ttm_global_swapout(), set('ret', 'ret'), dma_resv_unlock('bo')]).tt()).toBe(
      'populated',
    );
    const worthless: Setup = {
      bos: { bo: populated },
      devices: { bdev: { eviction_valuable: 'worth' } },
      routines: { worth: [return_('0')] },
    };
    expect(run(ttm_global_swapout(), worthless).ret).toBe('0');
    expect(run(ttm_global_swapout()).ret).toBe('1');
  });
  test('B12.1: the device that gave goes to the end of the list', () => {
    const setup: Setup = {
      bos: { x: { ...populated, device: 'card0' }, y: { ...populated, device: 'card1' } },
      managers: { 'card0.SYSTEM': {}, 'card1.SYSTEM': {} },
      devices: { card0: {}, card1: {} },
    };
    const once = run(ttm_global_swapout(), setup);
    expect([once.tt('x'), once.tt('y'), once.at.kernel.ttm_globals['ttm']?.devices]).toEqual([
      'swapped',
      'populated',
      ['card1', 'card0'],
    ]);
  });
  test('B12.7: a buffer of one device goes because another device wants pages', () => {
    const setup: Setup = {
      bos: { mine: { device: 'card0', tt: 'limbo', place: 'SYSTEM' }, yours: { ...populated, device: 'card1' } },
      managers: { 'card0.SYSTEM': {}, 'card1.SYSTEM': {} },
      devices: { card0: {}, card1: {} },
      pages_limit: 1,
    };
    const { tt } = run([ttm_bo_reserve('mine'), ttm_bo_populate('mine'), ttm_bo_unreserve('mine')], setup);
    expect([tt('mine'), tt('yours')]).toEqual(['populated', 'swapped']);
  });
  test('B3.2: when nothing can be swapped out, populate goes over the limit all the same', () => {
    const setup: Setup = { bos: { bo: { place: 'SYSTEM', tt: 'limbo', size: 3 } }, pages_limit: 1 };
    const { ret, tt } = run([ttm_bo_reserve('bo'), ttm_bo_populate('bo'), ttm_bo_unreserve('bo')], setup);
    expect([ret, tt()]).toEqual(['0', 'populated']);
  });
  test('B12.3: a deleted one is cleaned up instead', () => {
    const { ret, tt } = run(ttm_global_swapout(), { bos: { bo: { ...populated, size: 2, deleted: true } } });
    expect([ret, tt()]).toEqual(['2', 'none']);
  });
});

describe('how', () => {
  test('B12.3: a busy one is waited for; or left alone, where nobody may wait', () => {
    expect(run([busy, ttm_global_swapout()], { bos: { bo: populated }, objects: fences }).ret).toMatch(
      /has yet to signal job/,
    );
    expect(run([busy, ttm_global_swapout('no_wait_gpu')], { bos: { bo: populated }, objects: fences }).ret).toBe('0');
  });
  test('what was swapped out comes back (S-B1)', () => {
    const back: Block = [
      ttm_global_swapout(),
      ttm_bo_reserve('bo'),
      ttm_bo_populate('bo'),
      cpu_read('bo'),
      ttm_bo_unreserve('bo'),
    ];
    expect(reads(run(back).facts)).toEqual(['red/red']);
    expect(run(back).at.kernel.managers['bdev.SYSTEM']?.lru).toEqual(['bo']);
  });
  const notified = (body: Block): Setup => ({
    bos: { bo: { ...populated, busy_in_system: true } },
    devices: { bdev: { swap_notify: 'notify' } },
    routines: { notify: body },
  });
  test('B12.4: a driver that lets go in swap_notify is safe; one that finds that it cannot has no way to say so', () => {
    const body: Block = [device_map('bo'), ttm_global_swapout(), device_read('bo')];
    const lets = run([device_map('bo'), ttm_global_swapout()], notified([device_unmap('$bo')]));
    expect([lets.rules, lets.tt()]).toEqual([[], 'swapped']);
    const fails = run(body, notified([return_('-EBUSY')]));
    expect([fails.rules, fails.tt(), stale(fails.facts)]).toEqual([['B18.6'], 'swapped', true]);
  });
  test('B12.4: where the callback may fail, nothing is swapped and the contents are there', () => {
    const setup = notified([return_('-EBUSY')]);
    const refusing = { ...setup, devices: { bdev: { swap_notify: 'notify', swap_notify_may_fail: true } } };
    const done = run([device_map('bo'), ttm_device_swapout('bdev'), device_read('bo')], refusing);
    expect([done.rules, done.tt(), reads(done.facts), done.left]).toEqual([[], 'populated', ['red/red'], []]);
    const agrees = { ...refusing, routines: { notify: [return_('0')] } };
    expect(run(ttm_device_swapout('bdev'), agrees).tt()).toBe('swapped');
  });
  test('B12.4: or it takes the pages itself, and nothing is copied', () => {
    const { ret, tt } = run(ttm_device_swapout('bdev'), notified([ttm_tt_unpopulate('$bo')]));
    expect([ret, tt()]).toEqual(['0', 'limbo']);
  });
  test('where SWAP is split from SYSTEM, the driver is asked for a move first, and may refuse it', () => {
    const split = (body: Block): Setup => ({
      bos: { bo: populated },
      managers: { SWAP: {} },
      devices: { bdev: { move: 'move' } },
      routines: { move: body },
    });
    const lets_go = run(
      [device_map('bo'), ttm_device_swapout('bdev')],
      split([device_unmap('$bo'), ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')]),
    );
    expect([lets_go.rules, lets_go.tt(), lets_go.at.kernel.bos['bo']?.place, lets_go.left]).toEqual([
      [],
      'swapped',
      'SWAP',
      [],
    ]);
    const refuses = run([device_map('bo'), ttm_device_swapout('bdev'), device_read('bo')], split([return_('-EBUSY')]));
    expect([refuses.rules, refuses.tt(), reads(refuses.facts), refuses.left]).toEqual([
      [],
      'populated',
      ['red/red'],
      [],
    ]);
  });
  test('and a buffer that comes to SYSTEM has its pages: those from SWAP with their contents', () => {
    const managers = { SWAP: {} };
    const move: Block = [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')];
    const validated: Block = [
      dma_resv_lock('bo'),
      ttm_bo_validate('bo', ['SYSTEM']),
      cpu_read('bo'),
      dma_resv_unlock('bo'),
    ];
    const driven = { devices: { bdev: { move: 'move' } }, routines: { move } };
    const back = run(validated, { bos: { bo: { ...populated, place: 'SWAP', tt: 'swapped' } }, managers, ...driven });
    expect([back.rules, back.tt(), reads(back.facts), back.left]).toEqual([[], 'populated', ['red/red'], []]);
    expect(run(validated, { bos: { bo: {} }, managers, ...driven }).tt()).toBe('populated');
    expect(run(validated, { bos: { bo: {} }, ...driven }).tt()).toBe('limbo');
  });
  test('B10.5: a driver that wants a hop on the way to swap is mistaken', () => {
    const setup: Setup = {
      bos: { bo: { ...populated, place: 'PRIV' } },
      managers: { PRIV: { size: 4 }, TT: { size: 4 } },
      devices: { bdev: { move: 'move' } },
      routines: { move: [return_(multihop('TT'))] },
    };
    const { rules, tt, left } = run(ttm_device_swapout('bdev'), setup);
    expect([rules, tt(), left]).toEqual([['B10.5'], 'populated', []]);
  });
});
