import { describe, expect, test } from 'vitest';
import type { Block, Fact } from '../machine.ts';
import { alone } from '../stage.ts';
import {
  cpu_read,
  cpu_write,
  device_is_mapped,
  device_map,
  device_read,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_tt_populate,
  ttm_tt_state,
  ttm_tt_swapout,
  ttm_tt_unpopulate,
} from './index.ts';

/** What the reads got, beside what was written last. */
const reads = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'reads' ? [`${fact.got}/${fact.expected}`] : []));
const stale = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'accesses' && fact.stale !== null ? [fact.stale] : []));
const rules = (facts: readonly Fact[]) => facts.flatMap((fact) => (fact.kind === 'inconsistent' ? [fact.rule] : []));
const on = (body: Block, row: Record<string, unknown> = {}) =>
  alone(body, { objects: { bos: { bo: { place: 'TT', ...row } }, resvs: { bo: {} }, fences: { job: {} } } });

const written: Block = [ttm_tt_populate('bo'), cpu_write('bo', 'red')];
/** A job of the device that still uses the buffer. */
const busy: Block = [
  dma_fence_init('job'),
  dma_resv_lock('bo'),
  dma_resv_reserve_fences('bo'),
  dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
  dma_resv_unlock('bo'),
];

describe('contents', () => {
  test('what was written is read back (S-B1)', () => {
    expect(reads(on([written, cpu_read('bo')]).facts)).toEqual(['red/red']);
  });
  test('B4.2: new pages are cleared, or hold what another process left in them', () => {
    expect(reads(on([ttm_tt_populate('bo'), cpu_read('bo')]).facts)).toEqual(['zero/zero']);
    expect(reads(on([ttm_tt_populate('bo'), cpu_read('bo')], { zero_alloc: false }).facts)).toEqual(['stale/zero']);
  });
  test('B4.1: contents survive a move to VRAM and back', () => {
    const there: Block = [written, ttm_bo_move_memcpy('bo', 'VRAM'), cpu_read('bo')];
    expect(reads(on([there, ttm_bo_move_memcpy('bo', 'TT'), cpu_read('bo')]).facts)).toEqual(['red/red', 'red/red']);
  });
  test('B4.1: a null move to VRAM copies nothing, and says so; between SYSTEM and TT it may', () => {
    const lost = on([written, ttm_bo_move_null('bo', 'VRAM'), cpu_read('bo')]);
    expect([reads(lost.facts), rules(lost.facts)]).toEqual([['zero/red'], ['B4.1']]);
    const kept = on([written, ttm_bo_move_null('bo', 'SYSTEM'), cpu_read('bo')]);
    expect([reads(kept.facts), rules(kept.facts)]).toEqual([['red/red'], []]);
  });
  test('B3.5, B3.6: contents survive swap-out and coming back', () => {
    const { facts } = on([
      written,
      ttm_bo_move_null('bo', 'SYSTEM'),
      ttm_tt_swapout('bo'),
      written.slice(0, 1),
      cpu_read('bo'),
    ]);
    expect([reads(facts), rules(facts)]).toEqual([['red/red'], []]);
  });
  test('B4.9: a swapped buffer that moves to VRAM is brought back first', () => {
    const { facts } = on([
      written,
      ttm_bo_move_null('bo', 'SYSTEM'),
      ttm_tt_swapout('bo'),
      ttm_bo_move_memcpy('bo', 'VRAM'),
      cpu_read('bo'),
    ]);
    expect(reads(facts)).toEqual(['red/red']);
  });
  test('B3.4: unpopulate gives the contents up', () => {
    expect(reads(on([written, ttm_tt_unpopulate('bo'), ttm_tt_populate('bo'), cpu_read('bo')]).facts)).toEqual([
      'zero/red',
    ]);
  });
  test('a device write is what the CPU reads afterwards', () => {
    const body = [ttm_tt_populate('bo'), device_map('bo'), device_write('bo', 'blue'), cpu_read('bo')];
    expect(reads(on(body).facts)).toEqual(['blue/blue']);
  });
});

describe('states of the tt', () => {
  const state = (...lines: Block): string => on([...lines, ttm_tt_state('bo')], { place: 'SYSTEM' }).ret;
  test('B3: limbo, populated, swapped, populated again', () => {
    expect(state()).toBe('limbo');
    expect(state(ttm_tt_populate('bo'))).toBe('populated');
    expect(state(ttm_tt_populate('bo'), ttm_tt_swapout('bo'))).toBe('swapped');
    expect(state(ttm_tt_populate('bo'), ttm_tt_swapout('bo'), ttm_tt_populate('bo'))).toBe('populated');
  });
  test('B3.2: populating twice takes pages once', () => {
    const { facts } = on([ttm_tt_populate('bo'), ttm_tt_populate('bo')]);
    expect(facts.filter(({ kind }) => kind === 'populated')).toHaveLength(1);
  });
  test('B4.8: a move to VRAM leaves no pages behind', () => {
    const { at } = on([written, ttm_bo_move_memcpy('bo', 'VRAM')]);
    expect(at.kernel.bos['bo']).toMatchObject({ place: 'VRAM', tt: 'limbo', vram: 'red' });
  });
  test('B2.1: a buffer may have no place at all', () => {
    expect(on([ttm_bo_place('bo')], { place: null }).ret).toBe('NULL');
    expect(on([ttm_bo_place('bo')]).ret).toBe('TT');
  });
  test('B12.3: only a buffer in SYSTEM is swapped out', () => {
    expect(rules(on([written, ttm_tt_swapout('bo')]).facts)).toEqual(['B12.3']);
    expect(rules(on([written, ttm_tt_swapout('bo')], { place: 'SYSTEM' }).facts)).toEqual([]);
  });
});

describe('who may still reach the memory', () => {
  const mapped: Block = [ttm_tt_populate('bo'), device_map('bo')];
  test('an access through the mapping is good while the pages are there (I-14)', () => {
    expect(stale(on([mapped, device_read('bo')]).facts)).toEqual([]);
  });
  test('it is stale after the pages were freed behind it (I-14, S-A5)', () => {
    expect(stale(on([mapped, ttm_tt_unpopulate('bo'), device_read('bo')]).facts)).toEqual([
      'the memory behind its mapping of bo was taken away',
    ]);
  });
  test('I-14: it stays stale when new pages come: page tables were made once', () => {
    const body = [mapped, ttm_tt_unpopulate('bo'), ttm_tt_populate('bo'), device_read('bo')];
    expect(stale(on(body).facts)).toHaveLength(1);
    expect(stale(on([...body.slice(0, -1), device_map('bo'), device_read('bo')]).facts)).toEqual([]);
  });
  test('B18: it is stale after a move out of VRAM', () => {
    const body = [device_map('bo'), ttm_bo_move_memcpy('bo', 'TT'), device_read('bo')];
    expect(stale(on(body, { place: 'VRAM' }).facts)).toHaveLength(1);
    expect(stale(on(body.slice(0, 1).concat(device_read('bo')), { place: 'VRAM' }).facts)).toEqual([]);
  });
  test('after the unmapping it is no access to old memory but a fault', () => {
    expect(stale(on([mapped, device_unmap('bo'), device_read('bo')]).facts)).toEqual(['bo is not mapped any more']);
    expect(on([mapped, device_unmap('bo'), device_is_mapped('bo')]).ret).toBe('0');
  });
  test('the driver does not notice that the memory behind its mapping went away', () => {
    expect(on([mapped, ttm_tt_unpopulate('bo'), device_is_mapped('bo')]).ret).toBe('1');
  });
  test('a write that went astray is missed by the next reader', () => {
    const body = [
      written,
      device_map('bo'),
      ttm_tt_unpopulate('bo'),
      device_write('bo', 'blue'),
      ttm_tt_populate('bo'),
    ];
    expect(reads(on([body, cpu_read('bo')]).facts)).toEqual(['zero/blue']);
  });
  test('the CPU finds nothing in a buffer without pages', () => {
    expect(stale(on([cpu_read('bo')]).facts)).toEqual(['bo has no pages: they are not there yet']);
    expect(stale(on([ttm_tt_populate('bo'), cpu_read('bo')]).facts)).toEqual([]);
  });
});

describe('rules of TTM', () => {
  const mapped: Block = [ttm_tt_populate('bo'), device_map('bo')];
  test('B18.1: a device may not use a buffer in SYSTEM, unless the driver says that it may', () => {
    expect(rules(on([mapped, device_read('bo')], { place: 'SYSTEM' }).facts)).toEqual(['B18.1']);
    expect(rules(on([mapped, device_read('bo')], { place: 'SYSTEM', busy_in_system: true }).facts)).toEqual([]);
    expect(rules(on([mapped, device_read('bo')], { place: 'PRIV' }).facts)).toEqual([]);
  });
  test('B18.6: moving a busy buffer to SYSTEM; an idle one may', () => {
    expect(rules(on([busy, ttm_bo_move_null('bo', 'SYSTEM')]).facts)).toEqual(['B18.6']);
    expect(rules(on([busy, dma_fence_signal('job'), ttm_bo_move_null('bo', 'SYSTEM')]).facts)).toEqual([]);
  });
  test('freeing pages before the last fence, BOOKKEEP included, has signalled (S-B2)', () => {
    const populate = ttm_tt_populate('bo');
    expect(rules(on([populate, busy, ttm_tt_unpopulate('bo')]).facts)).toEqual(['S-B2']);
    expect(rules(on([populate, busy, dma_fence_signal('job'), ttm_tt_unpopulate('bo')]).facts)).toEqual([]);
  });
  test('B18.6: swapping out what the device still maps', () => {
    const system = { place: 'SYSTEM' };
    expect(rules(on([mapped, ttm_tt_swapout('bo')], system).facts)).toEqual(['B18.6']);
    expect(rules(on([mapped, device_unmap('bo'), ttm_tt_swapout('bo')], system).facts)).toEqual([]);
  });
});

describe('boot', () => {
  test('an unknown place lists the places', () => {
    expect(() => on([], { place: 'GTT' })).toThrow(/bos\.bo\.place: "GTT" is none of: SWAP, SYSTEM, TT, VRAM, PRIV/);
  });
  test('an unknown buffer lists the buffers', () => {
    expect(() => on([cpu_read('bo1')])).toThrow(/unknown bos "bo1"; there are: bo/);
  });
});
