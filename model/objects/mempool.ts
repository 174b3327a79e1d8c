/**
 * Memory pools: elements put aside, so that somebody who may not fail need not allocate (mm/mempool.c; rules A5).
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { type Kept, int, table, whole } from '../schema.ts';
import { might_sleep } from './context.ts';
import { type Gfp, alreadyReclaiming, mightAlloc, reclaims, scoped } from './gfp.ts';
import { inSection } from './memory.ts';
import { reclaim, victims } from './reclaim.ts';

const MOST_ELEMENTS = 8;
const fields = {
  /** Memory pools: `free` elements in reserve, and who must act for each other one to come back (A5). */
  mempools: table({ free: int(MOST_ELEMENTS), holders: whole<readonly string[]>([]) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

const takeElement = (kernel: KernelState, me: string, pool: string, holder: string): void => {
  const row = kernel.mempools[pool] as { free: number; holders: readonly string[] };
  row.free -= 1;
  row.holders = [...row.holders, holder].sort();
  returns(kernel, me, '0');
};
const onPool = ({ pool, holder }: { pool: string; holder: string }): [[string, string], [string, string]] => [
  ['mempools', pool],
  ['threads', holder],
];

/**
 * Take an element that was put aside before: ret '0', or '-ENOMEM' when all are out. Never allocates, never sleeps
 * (A5.4). `holder` is the thread that must act for it to come back: the promise behind the element (A5.6).
 */
export const mempool_alloc_preallocated = instruction(
  'mempool_alloc_preallocated',
  (pool: string, holder: string) => ({ pool, holder }),
  {
    text: ({ pool }) => `mempool_alloc_preallocated(&${pool})`,
    touches: onPool,
    run: (kernel, me, { pool, holder }) => {
      if ((kernel.mempools[pool] as { free: number }).free === 0) returns(kernel, me, '-ENOMEM');
      else takeElement(kernel, me, pool, holder);
    },
  },
);
const mempool_enter = instruction('mempool_enter', (pool: string, gfp: Gfp) => ({ pool, gfp }), {
  text: ({ pool, gfp }) => `mempool_alloc(&${pool}, ${gfp})`,
  touches: ({ pool }) => [['mempools', pool]],
  outcomes: (kernel, me, { pool, gfp }) => {
    const mask = scoped(kernel, me, gfp);
    const inReserve = (kernel.mempools[pool] as { free: number }).free > 0;
    return inReserve || !reclaims(mask) || alreadyReclaiming(kernel, me) ? ['ok'] : ['ok', ...victims(kernel, mask)];
  },
  run: (kernel, me, { pool, gfp }, outcome) => {
    const mask = scoped(kernel, me, gfp);
    const direct = reclaims(mask) && !alreadyReclaiming(kernel, me);
    might_sleep(kernel, me, `mempool_alloc(&${pool}, ${gfp})`);
    mightAlloc(kernel, me, mask);
    note(kernel, me, {
      kind: 'allocates',
      gfp: mask,
      direct,
      signalling: inSection(kernel, me),
      what: `an element of ${pool}`,
    });
    if (outcome !== 'ok') reclaim(kernel, me, mask, outcome, 'does not care');
  },
});
const mempool_wait = instruction('mempool_wait', (pool: string, holder: string) => ({ pool, holder }), {
  text: ({ pool }) => `io_schedule_timeout(&${pool}->wait)`,
  touches: onPool,
  waits: (kernel, _me, { pool }) => {
    const { free, holders } = kernel.mempools[pool] as { free: number; holders: readonly string[] };
    if (free > 0) return undefined;
    return {
      on: 'mempool',
      object: pool,
      owedBy: [...new Set(holders)],
      any: true,
      because: `${[...new Set(holders)].join(', ')} has the last elements of ${pool}`,
    };
  },
  run: (kernel, me, { pool, holder }) => takeElement(kernel, me, pool, holder),
});
/**
 * Take an element; with a mask that reclaims it never fails: reserve, then reclaim, then sleep until one comes back
 * (A5.2, A5.3). The allocator behind the pool is taken to have nothing: only then does a pool matter.
 */
export const mempool_alloc = (pool: string, gfp: Gfp, holder: string): Block =>
  reclaims(gfp) ? [mempool_enter(pool, gfp), mempool_wait(pool, holder)] : [mempool_alloc_preallocated(pool, holder)];

const without = (list: readonly string[], one: string): string[] => {
  const at = list.indexOf(one);
  return at < 0 ? [...list] : list.toSpliced(at, 1);
};
/** The element comes back to the reserve; `holder` as when it was taken or handed on. */
export const mempool_free = instruction('mempool_free', (pool: string, holder: string) => ({ pool, holder }), {
  text: ({ pool }) => `mempool_free(&${pool})`,
  touches: ({ pool, holder }) => [
    ['mempools', pool],
    ['threads', holder],
  ],
  run: (kernel, me, { pool, holder }) => {
    const row = kernel.mempools[pool] as { free: number; holders: readonly string[] };
    if (!row.holders.includes(holder)) {
      complain(kernel, me, 'A5.5', `${me} frees an element of ${pool} that ${holder} does not have`);
      return;
    }
    row.free += 1;
    row.holders = without(row.holders, holder);
  },
});
/** From here on somebody else must act before the element comes back. */
export const mempool_hand_over = instruction(
  'mempool_hand_over',
  (pool: string, from: string, to: string) => ({ pool, from, to }),
  {
    text: ({ pool, to }) => `/* ${to} now has the element of ${pool} */`,
    touches: ({ pool, from, to }) => [
      ['mempools', pool],
      ['threads', from],
      ['threads', to],
    ],
    run: (kernel, _me, { pool, from, to }) => {
      const row = kernel.mempools[pool] as { holders: readonly string[] };
      row.holders = [...without(row.holders, from), to].sort();
    },
  },
);

export const mempool: KernelObject = {
  schema: fields,
  ops: [mempool_alloc_preallocated, mempool_enter, mempool_wait, mempool_free, mempool_hand_over],
  leftovers: (kernel) =>
    Object.entries(kernel.mempools).flatMap(([pool, { holders }]) =>
      holders.map((holder) => `${holder} still has an element of ${pool}`),
    ),
};
