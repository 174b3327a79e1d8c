/** Eviction: who may be taken, who may be waited for, and what the caller hears (B7..B10). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Instruction } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  type Place,
  copy_pages_to_vram,
  cpu_read,
  cpu_write,
  device_fill,
  if_ret,
  if_var,
  multihop,
  resource_mem_type,
  return_,
  ttm_bo_evict,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_global_swapout,
  ttm_lru_bulk_move_tail,
  dma_resv_lock,
  dma_resv_unlock,
  work_a_while,
  ww_acquire_fini,
  ww_acquire_init,
} from './index.ts';

const VRAM = { size: 1, use_tt: true };
const full: Setup = {
  bos: { victim: { place: 'VRAM', tt: 'populated' }, bo: {}, own: {} },
  managers: { VRAM, TT: { size: 4 } },
};
const validate: Block = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), ttm_bo_unreserve('bo')];
const ticketed: Block = [
  ww_acquire_init(),
  ttm_bo_reserve('bo', { ticket: true }),
  ttm_bo_validate('bo', ['VRAM']),
  ttm_bo_unreserve('bo'),
  ww_acquire_fini(),
];
/** `task` runs while `other` stands where its program has brought it in so many words. */
const beside = (other: Block, words: number, task: Block, setup: Setup = full) => {
  const at = stage({ ...ttmKernel(setup), threads: { other: must([other]), task: must([task]) } });
  at.plays(...Array<string>(words).fill('other'));
  const facts = at.runs('task');
  const ret = (more = facts) => {
    const end = more.findLast((fact) => fact.kind === 'returned' && fact.to === 'nobody' && fact.thread === 'task');
    return end?.kind === 'returned' ? end.ret : at.because('task');
  };
  return { at, facts, ret };
};
const holdsVictim: Block = [ttm_bo_reserve('victim'), work_a_while('a while'), ttm_bo_unreserve('victim')];

describe('locked victims', () => {
  test('B9.4: without a ticket nobody waits for a locked one: -ENOMEM although there would have been memory', () => {
    expect(beside(holdsVictim, 1, validate).ret()).toBe('-ENOMEM');
    expect(beside(holdsVictim, 0, validate).ret()).toBe('0');
  });
  test('B9.1: with a ticket the second walk waits for it, and takes it', () => {
    const { at, ret } = beside(holdsVictim, 1, ticketed);
    expect(ret()).toMatch(/other holds the reservation of victim/);
    at.runs('other');
    expect(ret(at.runs('task'))).toBe('0');
    expect(at.kernel.bos['victim']?.place).toBe('SYSTEM');
  });
  const olderHasVictim: Block = [
    ww_acquire_init(),
    ttm_bo_reserve('victim', { ticket: true }),
    work_a_while('a while'),
  ];
  test('B9.5: an older transaction has it: the caller hears of memory; or of the deadlock, if the device passes it on', () => {
    expect(beside(olderHasVictim, 2, ticketed).ret()).toBe('-ENOMEM');
    const honest: Setup = { ...full, devices: { bdev: { move: 'mock_move', on_edeadlk: '-EDEADLK' } } };
    expect(beside(olderHasVictim, 2, ticketed, honest).ret()).toBe('-EDEADLK');
  });
  test('B8.6: one that moved away while we waited for its lock is left alone', () => {
    const evicts: Block = [ttm_bo_reserve('victim'), ttm_bo_evict('victim'), ttm_bo_unreserve('victim')];
    const { at, ret } = beside(evicts, 1, ticketed);
    at.runs('other');
    // The space is free now, but this walk got nothing out, so nobody asks again.
    expect(ret(at.runs('task'))).toBe('-ENOMEM');
    expect(at.kernel.bos).toMatchObject({ bo: { place: null }, victim: { place: 'SYSTEM' } });
    expect(at.kernel.managers['bdev.VRAM']).toMatchObject({ lru: [], usage: 0 });
  });
  test('B8.7: one under the same reservation is taken only where the caller allows it', () => {
    const shared: Setup = {
      ...full,
      bos: { victim: { place: 'VRAM', tt: 'populated', shares: 'vm' }, bo: { shares: 'vm' } },
    };
    const under = (ctx: string): Block => [
      dma_resv_lock('vm'),
      ttm_bo_validate('bo', ['VRAM'], ctx),
      dma_resv_unlock('vm'),
    ];
    expect(ttmAlone(under(''), shared).ret).toBe('-ENOMEM');
    expect(ttmAlone(under('allow_res_evict'), shared).ret).toBe('0');
  });
});

describe('the walk', () => {
  test('B9.2: what the driver says is not worth it stays', () => {
    const spares = { ...full, devices: { bdev: { move: 'mock_move', eviction_valuable: 'worth' } } };
    expect(ttmAlone(validate, { ...spares, routines: { worth: [return_('0')] } }).ret).toBe('-ENOMEM');
    expect(ttmAlone(validate, { ...spares, routines: { worth: [return_('1')] } }).ret).toBe('0');
  });
  test('B9.6: what it frees, somebody else may get first', () => {
    const at = stage({
      ...ttmKernel(full),
      threads: { task: must(validate), thief: must([ttm_bo_reserve('own'), ttm_bo_validate('own', ['VRAM'])]) },
    });
    while (at.kernel.managers['bdev.VRAM']?.usage !== 0) at.plays('task');
    at.runs('thief');
    expect(at.kernel.bos['own']?.place).toBe('VRAM');
    at.runs('task');
    expect(at.kernel.bos['bo']?.place).toBeNull();
  });
  test('B8.5: a bulk move that passes under a walk does not take the walk along: what was ahead still is', () => {
    const kernel = ttmKernel({
      bos: {
        a: { place: 'TT', shares: 'vm', bulk_move: 'bulk' },
        b: { place: 'TT', shares: 'vm', bulk_move: 'bulk' },
        last: { place: 'TT', tt: 'populated' },
        bo: {},
      },
      managers: { TT: { size: 3 } },
      bulk_moves: ['bulk'],
      devices: { bdev: { eviction_valuable: 'worth' } },
      routines: { worth: [if_var('bo', 'last', [return_('1')], [return_('0')])] },
      objects: { bulk_moves: { bulk: { positions: { 'bdev.TT/0': { first: 'a', last: 'b' } } } } },
    });
    const at = stage({
      ...kernel,
      threads: {
        task: must([ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['TT'])]),
        vm: must([dma_resv_lock('vm'), ttm_lru_bulk_move_tail('bulk'), dma_resv_unlock('vm')]),
      },
    });
    const lru = () => at.kernel.managers['bdev.TT']?.lru.map((each) => each.replace(/^#.*/, '#'));
    while (!lru()?.includes('#')) at.plays('task');
    expect(lru()).toEqual(['a', '#', 'b', 'last']);
    while (at.kernel.resvs['vm']?.owner === 'task') at.plays('task');
    at.runs('vm');
    expect(lru()).toEqual(['#', 'last', 'a', 'b']);
    at.runs('task');
    expect([at.kernel.bos['bo']?.place, at.kernel.bos['last']?.place]).toEqual(['TT', 'SYSTEM']);
  });
});

describe('moves', () => {
  const device = { size: 4 };
  const populatedFacts = (places: readonly Place[], setup: Setup) =>
    ttmAlone([ttm_bo_reserve('bo'), ttm_bo_validate('bo', places), ttm_bo_unreserve('bo')], setup).facts.flatMap(
      (fact) => (fact.kind === 'populated' ? [fact.needless] : []),
    );
  const direct: Block = [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')];
  const by_tt: Block = [
    ttm_bo_place('$bo'),
    if_ret('SYSTEM', [if_var('new_mem', 'TT', [], [return_(multihop('TT'))])]),
    direct,
  ];
  const setup = (tt: string, move = by_tt): Setup => ({
    bos: { bo: { place: 'SYSTEM', tt } },
    managers: { VRAM: device, TT: device },
    devices: { bdev: { move: 'move' } },
    routines: { move },
  });
  test('B4.6: bringing pages for a hop when there is nothing in them is needless; with contents it is not', () => {
    expect(populatedFacts(['VRAM'], setup('limbo'))).toEqual(['it only passes through TT on its way']);
    expect(populatedFacts(['VRAM'], setup('swapped'))).toEqual([null]);
    expect(populatedFacts(['TT'], setup('limbo'))).toEqual([null]);
  });
  test('B4.6: so it is when the driver brings them by itself in its move', () => {
    const driver: Block = [ttm_bo_populate('$bo'), ttm_bo_move_memcpy('$bo', '$new_mem' as Place), return_('0')];
    expect(populatedFacts(['VRAM'], setup('limbo', driver))).toEqual(['it is on its way to VRAM']);
    expect(populatedFacts(['VRAM'], setup('swapped', driver))).toEqual([null]);
  });
  test('B4.7: a driver that sees that there is nothing moves at once and needs no pages', () => {
    expect(populatedFacts(['VRAM'], setup('limbo', direct))).toEqual([]);
  });
  test('B4.2: what it finds in the new memory is not its own, until the device has cleared it', () => {
    const reads = (...clear: Block): string[] =>
      ttmAlone(
        [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), clear, cpu_read('bo'), ttm_bo_unreserve('bo')],
        setup('limbo', direct),
      ).facts.flatMap((fact) => (fact.kind === 'reads' ? [fact.got] : []));
    expect(reads()).toEqual(['stale']);
    expect(reads(device_fill('bo'))).toEqual(['zero']);
  });
  test('B4.9: what is in swap must be kept too, and a driver that copies must have brought the pages', () => {
    const after = (...move: Block) => {
      const write = [ttm_bo_reserve('bo'), ttm_bo_populate('bo'), cpu_write('bo', 'red'), ttm_bo_unreserve('bo')];
      const go = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), cpu_read('bo'), ttm_bo_unreserve('bo')];
      const { facts } = ttmAlone([write, ttm_global_swapout(), go], setup('limbo', [move, direct]));
      const touched = facts.some((fact) => fact.kind === 'accesses' && fact.stale !== null);
      const read = facts.findLast((fact) => fact.kind === 'reads');
      return [inconsistencies(facts), touched ? 'no pages' : 'pages', read?.kind === 'reads' ? read.got : 'nothing'];
    };
    expect(after(ttm_bo_populate('$bo'), copy_pages_to_vram('$bo'))).toEqual([[], 'pages', 'red']);
    expect(after(copy_pages_to_vram('$bo'))).toEqual([['B4.1'], 'no pages', 'stale']);
    expect(after()).toEqual([['B4.1'], 'pages', 'zero']);
  });
  test('B2.1: to look where it is needs a check, for it may be nowhere', () => {
    const rules = (look: (bo: string) => Instruction, place: Place | null) =>
      inconsistencies(ttmAlone([look('bo')], { bos: { bo: { place } }, managers: { VRAM: device } }).facts);
    expect([rules(resource_mem_type, null), rules(resource_mem_type, 'VRAM')]).toEqual([['B2.1'], []]);
    expect([rules(ttm_bo_place, null), rules(ttm_bo_place, 'VRAM')]).toEqual([[], []]);
  });
  test('B10.2: a hop on the way to a hop is a mistake of the driver', () => {
    const never = setup('limbo', [return_(multihop('TT'))]);
    const done = ttmAlone([ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), ttm_bo_unreserve('bo')], never);
    expect([done.ret, misuses(done.facts), done.at.kernel.managers['bdev.TT']?.usage]).toEqual([
      '-EINVAL',
      ['B10.2'],
      0,
    ]);
  });
  test('B7.4: a move that says it is done and is not, or the other way round', () => {
    const body = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), ttm_bo_unreserve('bo')];
    const lies = (move: Block): string[] => inconsistencies(ttmAlone(body, setup('limbo', move)).facts);
    expect(lies([return_('0')])).toContain('B7.4');
    expect(lies([ttm_bo_move_null('$bo', '$new_mem' as Place), return_('-ENOMEM')])).toContain('B7.4');
    expect(lies(direct)).toEqual([]);
  });
});
