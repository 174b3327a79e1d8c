/** The page pool against a count of blocks for each list (drivers/gpu/drm/ttm/ttm_pool.c; B13). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, answerOf, bouts, calls } from '../bout.ts';
import { ioctl } from '../design.ts';
import { bootKernel } from '../stage.ts';
import { ttm_pool_alloc, ttm_pool_fini, ttm_pool_free, ttm_pool_init, ttm_pool_shrink, user } from './index.ts';

const LIMIT = 12;
const POOLS = ['global', 'card', 'plain'] as const;
const VECTORS: Readonly<Record<string, { pool: string; caching: 'cached' | 'uncached' | 'wc'; pages: number }>> = {
  a: { pool: 'plain', caching: 'wc', pages: 13 },
  b: { pool: 'plain', caching: 'wc', pages: 6 },
  c: { pool: 'plain', caching: 'uncached', pages: 9 },
  d: { pool: 'plain', caching: 'cached', pages: 7 },
  e: { pool: 'card', caching: 'cached', pages: 11 },
  f: { pool: 'card', caching: 'wc', pages: 5 },
};
const names = Object.keys(VECTORS);
const booted = bootKernel({
  objects: {
    page_pools: { global: { limit: LIMIT }, card: { use_dma_alloc: true }, plain: {} },
    page_vectors: VECTORS,
  },
  threads: { task: user() },
  calls: {
    alloc: ioctl({ vector: names }, [ttm_pool_alloc('$vector')]),
    free: ioctl({ vector: names }, [ttm_pool_free('$vector')]),
    shrink: ioctl({}, [ttm_pool_shrink()]),
    init: ioctl({}, [ttm_pool_init('card')]),
    fini: ioctl({}, [ttm_pool_fini('card')]),
  },
});
type Command = readonly [what: 'alloc' | 'free' | 'shrink' | 'init' | 'fini', vector: string];
const full = (lists: Readonly<Record<string, number>>): unknown[] =>
  Object.entries(lists)
    .filter(([, blocks]) => blocks > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
const side: Side<Command> = {
  booted,
  plays: (kernel, [what, vector]) =>
    answerOf(calls(booted, kernel, 'task', what === 'alloc' || what === 'free' ? `${what}(${vector})` : `${what}()`)),
  shows: (kernel) => ({
    pools: POOLS.map((pool) => full(kernel.page_pools[pool]?.lists ?? {})),
    vectors: names.map((vector) => {
      const { blocks = [], reused, dma_address } = kernel.page_vectors[vector] ?? {};
      return { orders: blocks.map(({ order }) => order), dma: blocks.some(({ dma }) => dma), reused, dma_address };
    }),
  }),
};

/** `forgetsTheLimit`: what goes back to the global pool is never too much. */
class Counts implements Oracle<Command> {
  private readonly pools: Record<(typeof POOLS)[number], Record<string, number>> = { global: {}, card: {}, plain: {} };
  private readonly orders = new Map<string, number[]>();
  private readonly reused = new Map<string, number>();
  private readonly forgetsTheLimit: boolean;
  constructor(forgetsTheLimit = false) {
    this.forgetsTheLimit = forgetsTheLimit;
  }
  /** The lists that blocks of this vector come from and go back to. */
  private listsOf(vector: string): Record<string, number> | undefined {
    const { pool, caching } = VECTORS[vector] as (typeof VECTORS)[string];
    return pool === 'card' ? this.pools.card : caching === 'cached' ? undefined : this.pools.global;
  }
  /** One block of the first list that has any, in the order of their names. */
  private shrink(lists: Record<string, number>): number {
    const key = Object.keys(lists)
      .toSorted()
      .find((each) => (lists[each] ?? 0) > 0);
    if (key === undefined) return 0;
    lists[key] = (lists[key] ?? 0) - 1;
    return 2 ** Number(key.split('.')[1]);
  }
  private pooled(): number {
    return Object.entries(this.pools.global).reduce((sum, [key, n]) => sum + n * 2 ** Number(key.split('.')[1]), 0);
  }
  plays([what, vector]: Command): readonly string[] {
    const { caching, pages } = VECTORS[vector] as (typeof VECTORS)[string];
    const lists = this.listsOf(vector);
    const blocks = this.orders.get(vector) ?? [];
    switch (what) {
      case 'alloc': {
        if (blocks.length > 0) return ['B13.1', 'ret 0'];
        // Blocks of eight pages are the largest; the rest is its binary digits.
        const orders = [
          ...Array.from({ length: pages >> 3 }, () => 3),
          ...[2, 1, 0].filter((order) => (pages & (1 << order)) !== 0),
        ];
        const from = orders.filter((order) => {
          const key = `${caching}.${order}`;
          if (!lists || (lists[key] ?? 0) === 0) return false;
          lists[key] = (lists[key] ?? 0) - 1;
          return true;
        });
        this.orders.set(vector, orders);
        this.reused.set(vector, from.length);
        return ['ret 0'];
      }
      case 'free':
        for (const order of blocks) if (lists) lists[`${caching}.${order}`] = (lists[`${caching}.${order}`] ?? 0) + 1;
        this.orders.set(vector, []);
        while (!this.forgetsTheLimit && this.pooled() > LIMIT) this.shrink(this.pools.global);
        return ['ret 0'];
      case 'shrink':
        return [`ret ${this.shrink(this.pools.global) || this.shrink(this.pools.card)}`];
      case 'init':
      case 'fini':
        this.pools.card = {};
        return ['ret 0'];
    }
  }
  shows(): unknown {
    return {
      pools: POOLS.map((pool) => full(this.pools[pool])),
      vectors: names.map((vector) => {
        const orders = this.orders.get(vector) ?? [];
        const dma = VECTORS[vector]?.pool === 'card' && orders.length > 0;
        return { orders, dma, reused: this.reused.get(vector) ?? 0, dma_address: dma };
      }),
    };
  }
}

const command: fc.Arbitrary<Command> = fc.tuple(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('alloc' as const, 'free' as const) },
    { weight: 2, arbitrary: fc.constant('shrink' as const) },
    { weight: 1, arbitrary: fc.constantFrom('init' as const, 'fini' as const) },
  ),
  fc.constantFrom(...names),
);

describe('the page pool against counts', () => {
  test('blocks, what came out of the pool, what is in every list, what a shrinker gets: after every call', () => {
    expect(bouts(side, command, () => new Counts(), 20)).toBe(2_000);
  });
  test('a pool without a limit is told apart', () => {
    expect(() => bouts(side, command, () => new Counts(true), 50)).toThrow(/after/);
  });
  test('100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Counts(), 1_000)).toBe(100_000);
  });
});
