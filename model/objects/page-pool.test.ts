/** What the kernel's own tests of the page pool assert (drivers/gpu/drm/ttm/tests/ttm_pool_test.c, ttm_device_test.c). */
import { describe, expect, test } from 'vitest';
import type { Block, Instruction } from '../machine.ts';
import { alone, misuses } from '../stage.ts';
import { MAX_ORDER, ttm_pool_alloc, ttm_pool_fini, ttm_pool_free, ttm_pool_init, ttm_pool_shrink } from './index.ts';

type Row = Record<string, unknown>;
const run = (body: Block | Instruction, vectors: Record<string, Row>, pools: Record<string, Row> = {}) => {
  const objects = { page_pools: { global: {}, card: { use_dma_alloc: true }, ...pools }, page_vectors: vectors };
  const { facts, at, ret } = alone([body], { objects });
  const lists = (pool: string) =>
    Object.fromEntries(Object.entries(at.kernel.page_pools[pool]?.lists ?? {}).filter(([, blocks]) => blocks > 0));
  return { facts, ret, lists, at, tt: (name = 'tt') => at.kernel.page_vectors[name] };
};
const pages = (blocks: readonly { order: number }[] = []) => blocks.reduce((sum, { order }) => sum + 2 ** order, 0);
const most = 2 ** MAX_ORDER;

describe('blocks', () => {
  test('KUNIT-55: exactly the pages asked for; above the largest order the rest is smaller', () => {
    for (const wanted of [1, 4, most, most + 3])
      expect(pages(run(ttm_pool_alloc('tt'), { tt: { pages: wanted } }).tt()?.blocks)).toBe(wanted);
    const { tt } = run(ttm_pool_alloc('tt'), { tt: { pages: most + 3 } });
    expect(tt()?.blocks.map(({ order }) => order)).toEqual([MAX_ORDER, 1, 0]);
  });
  test('KUNIT-56: for DMA each block carries its own data and the addresses are there; otherwise not', () => {
    const dma = run(ttm_pool_alloc('tt'), { tt: { pages: most + 1, pool: 'card' } }).tt();
    expect([dma?.blocks.every((block) => block.dma), dma?.dma_address]).toEqual([true, true]);
    const plain = run(ttm_pool_alloc('tt'), { tt: { pages: most + 1 } }).tt();
    expect([plain?.blocks.some((block) => block.dma), plain?.dma_address]).toEqual([false, false]);
  });
  test('KUNIT-57: a block of the same caching and order comes out of the pool, and the list is empty', () => {
    const { lists, tt } = run(
      ttm_pool_alloc('tt'),
      { tt: { pages: 4, caching: 'wc' } },
      { global: { lists: { 'wc.2': 1 } } },
    );
    expect([lists('global'), tt()?.reused]).toEqual([{}, 1]);
  });
  test('KUNIT-58: lists of another caching or order stay as they are; another order fills its own', () => {
    const stays = { 'wc.1': 1, 'uncached.2': 1 };
    const other = run(ttm_pool_alloc('tt'), { tt: { pages: 4, caching: 'wc' } }, { global: { lists: stays } });
    expect([other.lists('global'), other.tt()?.reused]).toEqual([stays, 0]);
    const both = run(
      [ttm_pool_alloc('tt'), ttm_pool_free('tt')],
      { tt: { pages: 4, caching: 'wc' } },
      { global: { lists: stays } },
    );
    expect(both.lists('global')).toEqual({ ...stays, 'wc.2': 1 });
  });
});
describe('back to the pool', () => {
  const round = [ttm_pool_alloc('tt'), ttm_pool_free('tt')];
  test('KUNIT-59: pages for DMA go back to the list of their device', () => {
    const { lists } = run(round, { tt: { pages: 4, pool: 'card' } });
    expect([lists('card'), lists('global')]).toEqual([{ 'cached.2': 1 }, {}]);
  });
  test('KUNIT-60: others leave that list as it was and fill the global one', () => {
    const vector = { tt: { pages: 4, pool: 'plain', caching: 'uncached' } };
    const { lists } = run(round, vector, { card: { use_dma_alloc: true, lists: { 'uncached.2': 1 } }, plain: {} });
    expect([lists('card'), lists('plain'), lists('global')]).toEqual([{ 'uncached.2': 1 }, {}, { 'uncached.2': 1 }]);
  });
  test('B13.3: ordinary cached pages go back to the system', () => {
    expect(run(round, { tt: { pages: 4 } }).lists('global')).toEqual({});
  });
  test('B13.4: more than the limit is not kept', () => {
    const vector = { tt: { pages: most, caching: 'wc' } };
    expect(run(round, vector, { global: { limit: most - 1 } }).lists('global')).toEqual({});
    expect(run(round, vector, { global: { limit: most } }).lists('global')).toEqual({ [`wc.${MAX_ORDER}`]: 1 });
  });
  test('B13.5: the shrinker gives one block back, and says how many pages', () => {
    const { ret, lists } = run(ttm_pool_shrink(), {}, { global: { lists: { 'wc.2': 2 } } });
    expect([ret, lists('global')]).toEqual(['4', { 'wc.2': 1 }]);
    expect(run(ttm_pool_shrink(), {}).ret).toBe('0');
  });
  test('KUNIT-61: fini empties the lists', () => {
    const full = { card: { use_dma_alloc: true, lists: { 'wc.1': 2 } } };
    expect(run([], {}, full).lists('card')).toEqual({ 'wc.1': 2 });
    expect(run(ttm_pool_fini('card'), {}, full).lists('card')).toEqual({});
  });
  test('B13.1: a tt that has its pages does not get them twice', () => {
    const { facts, tt } = run([ttm_pool_alloc('tt'), ttm_pool_alloc('tt')], { tt: { pages: 2 } });
    expect([misuses(facts), pages(tt()?.blocks)]).toEqual([['B13.1'], 2]);
  });
});
test('KUNIT-73: a device has lists of its own only for DMA allocation', () => {
  const lists = (row: Row) => run(ttm_pool_init('card'), {}, { card: row }).at.kernel.page_pools['card']?.lists ?? {};
  expect(Object.keys(lists({ use_dma_alloc: true }))).toHaveLength(3 * (MAX_ORDER + 1));
  expect(Object.keys(lists({ use_dma_alloc: true, use_dma32: true }))).toHaveLength(3 * (MAX_ORDER + 1));
  expect(lists({ use_dma_alloc: false })).toEqual({});
  expect(lists({ use_dma_alloc: false, use_dma32: true })).toEqual({});
});
