/**
 * The page pool of TTM: pages that are not cached are dear to make, so they are kept for the next buffer
 * (drivers/gpu/drm/ttm/ttm_pool.c; B13).
 *
 * Pages come in blocks of 2^order, the largest first. A block goes back to the list of its caching and order: to that
 * of its own device when it was made for DMA, otherwise to the global one; ordinary cached pages go back to the system.
 * Only spinlocks are taken, so its shrinker is always safe in reclaim (B13.5).
 */
import { type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { type Kept, constant, flag, int, oneOf, table, whole } from '../schema.ts';

/** Largest block; the kernel's is larger, and nothing here depends on how much. */
export const MAX_ORDER = 3;
const CACHINGS = ['cached', 'wc', 'uncached'] as const;
type Caching = (typeof CACHINGS)[number];
/** A block of pages; `dma` says that it carries its own allocation data and address. */
export interface PageBlock {
  readonly order: number;
  readonly dma: boolean;
}
/** The pool of all devices without DMA allocation. */
export const GLOBAL_POOL = 'global';
const MOST_POOLED = 63;
const fields = {
  page_pools: table({
    /** Blocks are allocated for DMA and kept with the device. */
    use_dma_alloc: constant<boolean>(false),
    use_dma32: constant<boolean>(false),
    state: oneOf('ready', 'uninitialised', 'gone'),
    /** Blocks that wait for the next buffer, by caching and order: 'wc.2'. */
    lists: whole<Readonly<Record<string, number>>>({}),
    /** Pages pooled at most, for the global row; 0 is no limit (B13.4). */
    limit: constant<number>(0),
  }),
  /** The page array of a tt, called like its buffer (B3). */
  page_vectors: table({
    pool: constant<string>(GLOBAL_POOL),
    caching: constant<Caching>('cached'),
    /** How many pages it is to have. */
    pages: constant<number>(1),
    blocks: whole<readonly PageBlock[]>([]),
    /** Blocks that came out of the pool the last time, not from the allocator. */
    reused: int(MOST_POOLED),
    /** The addresses for the device are filled in. */
    dma_address: flag,
  }),
};
type PoolRow = Kept<typeof fields>['page_pools'][string];
type VectorRow = Kept<typeof fields>['page_vectors'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
const poolRow = (kernel: KernelState, pool: string): PoolRow => kernel.page_pools[pool] as PoolRow;
const vectorRow = (kernel: KernelState, vector: string): VectorRow => kernel.page_vectors[vector] as VectorRow;

/** The row and key of the list for such blocks, or nothing: those go straight back to the system (B13.3). */
function listFor(kernel: KernelState, pool: string, caching: Caching, order: number): [PoolRow, string] | undefined {
  const own = poolRow(kernel, pool);
  const row = own.use_dma_alloc ? own : caching === 'cached' ? undefined : kernel.page_pools[GLOBAL_POOL];
  return row && [row, `${caching}.${order}`];
}
const add = (row: PoolRow, key: string, blocks: number): void => {
  const left = (row.lists[key] ?? 0) + blocks;
  const others = Object.entries(row.lists).filter(([each]) => each !== key);
  row.lists = Object.fromEntries([...others, [key, left] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
};
const pooledPages = ({ lists }: PoolRow): number =>
  Object.entries(lists).reduce((sum, [key, blocks]) => sum + blocks * 2 ** Number(key.slice(key.indexOf('.') + 1)), 0);

/** Fill the page array: largest blocks first, out of the pool where it has them (B13.1). */
export function poolAlloc(kernel: KernelState, vector: string): void {
  const row = kernel.page_vectors[vector];
  if (!row || row.blocks.length > 0) return;
  const dma = poolRow(kernel, row.pool).use_dma_alloc;
  const blocks: PageBlock[] = [];
  let reused = 0;
  for (let left = row.pages; left > 0; ) {
    const order = Math.min(MAX_ORDER, Math.floor(Math.log2(left)));
    const [pool, key] = listFor(kernel, row.pool, row.caching, order) ?? [];
    if (pool && key !== undefined && (pool.lists[key] ?? 0) > 0) {
      add(pool, key, -1);
      reused += 1;
    }
    blocks.push({ order, dma });
    left -= 2 ** order;
  }
  Object.assign(row, { blocks, reused, dma_address: dma });
}
/** Give all blocks back, then bring the global pool under its limit (B13.4). */
export function poolFree(kernel: KernelState, vector: string): void {
  const row = kernel.page_vectors[vector];
  if (!row) return;
  for (const { order } of row.blocks) {
    const [pool, key] = listFor(kernel, row.pool, row.caching, order) ?? [];
    if (pool && key !== undefined) add(pool, key, 1);
  }
  Object.assign(row, { blocks: [], dma_address: false });
  const global = kernel.page_pools[GLOBAL_POOL];
  if (!global || global.limit === 0) return;
  for (let freed = 1; freed > 0 && pooledPages(global) > global.limit; ) freed = shrinkOne(global);
}
/** One block of the first list that has any; how many pages that gave. */
function shrinkOne(row: PoolRow): number {
  const key = Object.keys(row.lists).find((each) => (row.lists[each] ?? 0) > 0);
  if (key === undefined) return 0;
  add(row, key, -1);
  return 2 ** Number(key.slice(key.indexOf('.') + 1));
}

const onVector = ({ vector }: { vector: string }): [['page_vectors', string]] => [['page_vectors', vector]];
const onPool = ({ pool }: { pool: string }): [['page_pools', string]] => [['page_pools', pool]];
/** Pages for the array of this tt. ret '0'. */
export const ttm_pool_alloc = instruction('ttm_pool_alloc', (vector: string) => ({ vector }), {
  text: ({ vector }) => `ttm_pool_alloc(pool, ${vector})`,
  touches: onVector,
  run: (kernel, me, { vector }) => {
    if (vectorRow(kernel, vector).blocks.length > 0)
      complain(kernel, me, 'B13.1', `${me} fills ${vector}, which has its pages already`);
    poolAlloc(kernel, vector);
    returns(kernel, me, '0');
  },
});
export const ttm_pool_free = instruction('ttm_pool_free', (vector: string) => ({ vector }), {
  text: ({ vector }) => `ttm_pool_free(pool, ${vector})`,
  touches: onVector,
  run: (kernel, _me, { vector }) => poolFree(kernel, vector),
});
/** Lists of its own only for DMA allocation; without it the device uses the global ones. */
export const ttm_pool_init = instruction('ttm_pool_init', (pool: string) => ({ pool }), {
  text: ({ pool }) => `ttm_pool_init(${pool})`,
  touches: onPool,
  run: (kernel, _me, { pool }) => {
    const row = poolRow(kernel, pool);
    const keys = CACHINGS.flatMap((caching) =>
      Array.from({ length: MAX_ORDER + 1 }, (_, order) => `${caching}.${order}`),
    );
    row.lists = row.use_dma_alloc ? Object.fromEntries(keys.sort().map((key) => [key, 0])) : {};
    row.state = 'ready';
  },
});
/** Everything that waits in its lists goes back to the system. */
export const ttm_pool_fini = instruction('ttm_pool_fini', (pool: string) => ({ pool }), {
  text: ({ pool }) => `ttm_pool_fini(${pool})`,
  touches: onPool,
  run: (kernel, _me, { pool }) => {
    const row = poolRow(kernel, pool);
    row.lists = Object.fromEntries(Object.keys(row.lists).map((key) => [key, 0]));
    row.state = 'gone';
  },
});
/** The shrinker: one list gives one block back. Takes no reservation, waits for no fence (B13.5). */
export const ttm_pool_shrink = instruction('ttm_pool_shrink', () => ({}), {
  text: () => 'ttm_pool_shrink()',
  run: (kernel, me) => {
    const freed = Object.values(kernel.page_pools).reduce((pages, row) => (pages > 0 ? pages : shrinkOne(row)), 0);
    if (freed > 0) note(kernel, me, { kind: 'progress', what: `${freed} pages of the pool are free` });
    returns(kernel, me, String(freed));
  },
});

export const pagePool: KernelObject = {
  schema: fields,
  ops: [ttm_pool_alloc, ttm_pool_free, ttm_pool_init, ttm_pool_fini, ttm_pool_shrink],
  routines: { ttm_pool_shrinker_scan: [ttm_pool_shrink()] },
};
