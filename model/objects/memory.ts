/**
 * Allocation: what it may wait for (mm/page_alloc.c, mm/shrinker.c, mm/mempool.c; rules A1..A6, G-1..G-5, L-18..L-24).
 *
 * Memory is not counted. Every allocation may find memory short: the outcome is part of the schedule, so pressure is
 * wherever the search wants it. Direct reclaim runs on the allocating task's own stack, with all its locks, and
 * reclaims one thing: a shrinker's object or a process page, whose notifier then runs. A small allocation with direct
 * reclaim then succeeds (A1.2); one without reclaim may fail at any time, and a task that is already reclaiming never
 * reclaims again (A2.4).
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, int, table, whole } from '../schema.ts';
import { FS_RECLAIM, MMU_NOTIFIER, acquire, holdsKind, might_sleep, probe, release } from './context.ts';
import { atomic_enter, atomic_exit } from './context.ts';
import { call } from './flow.ts';

export const GFP = ['GFP_NOWAIT', 'GFP_ATOMIC', 'GFP_NOIO', 'GFP_NOFS', 'GFP_KERNEL'] as const;
export type Gfp = (typeof GFP)[number];
export const reclaims = (gfp: Gfp): boolean => gfp !== 'GFP_NOWAIT' && gfp !== 'GFP_ATOMIC';

const MOST_ELEMENTS = 8;
const fields = {
  /** Registered shrinkers; `scan` is a routine that runs inside reclaim (A4). */
  shrinkers: table({ scan: constant<string>('') }),
  /** Pages of processes that reclaim may unmap; `invalidate` is the notifier that is called first (A9). */
  ranges: table({ invalidate: constant<string>('') }),
  /** Memory pools: `free` elements in reserve, and who must act for each other one to come back (A5). */
  mempools: table({ free: int(MOST_ELEMENTS), holders: whole<readonly string[]>([]) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** Memory was asked for. `direct`: it may enter direct reclaim, and so wait for anything reclaim waits for. */
    allocates: { gfp: Gfp; direct: boolean; what: string };
    reclaimed: { what: string };
  }
}

const alreadyReclaiming = (kernel: KernelState, me: string): boolean => holdsKind(kernel, me, 'reclaim') !== undefined;
/** The mask after the task's scope: memalloc_nofs_save and friends weaken every allocation inside (G-1, A1.6). */
const scoped = (kernel: KernelState, me: string, gfp: Gfp): Gfp => {
  const scope = holdsKind(kernel, me, 'scope')?.object as Gfp | undefined;
  return scope && reclaims(gfp) && GFP.indexOf(scope) < GFP.indexOf(gfp) ? scope : gfp;
};

/** What direct reclaim with this mask may take: shrinkers need __GFP_FS, process pages do not (A3.4, L-23, L-24). */
function victims(kernel: KernelState, gfp: Gfp): string[] {
  const shrinkers = gfp === 'GFP_KERNEL' ? Object.keys(kernel.shrinkers).map((each) => `shrinks ${each}`) : [];
  return [...shrinkers, ...Object.keys(kernel.ranges).map((each) => `unmaps ${each}`)];
}

/** Tell lockdep what this mask may enter, memory short or not (G-3, A3.2, A3.3). */
function mightAlloc(kernel: KernelState, me: string, gfp: Gfp): void {
  if (!reclaims(gfp) || alreadyReclaiming(kernel, me)) return;
  if (gfp === 'GFP_KERNEL')
    probe(kernel, me, { object: FS_RECLAIM, class: FS_RECLAIM, kind: 'reclaim', mode: 'exclusive', try: false });
  probe(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'exclusive', try: false });
}

function reclaim(kernel: KernelState, me: string, gfp: Gfp, victim: string): void {
  note(kernel, me, { kind: 'reclaimed', what: victim });
  const shrinker = victim.startsWith('shrinks ') ? victim.slice('shrinks '.length) : undefined;
  const range = victim.slice('unmaps '.length);
  if (shrinker !== undefined) pushCall(kernel, me, 'shrink_slab', { shrinker, gfp });
  else pushCall(kernel, me, 'try_to_unmap', { range, gfp });
}

/**
 * Allocate: ret '0', or '-ENOMEM' when the mask forbids direct reclaim and there is no memory. `into`, as a comment,
 * says what for. The mask 'never' allocates nothing: a knob may say so.
 */
const kmalloc_op = instruction('kmalloc', (gfp: Gfp, what: string) => ({ gfp, what }), {
  text: ({ gfp, what }) => `${what} = kmalloc(${gfp})`,
  outcomes: (kernel, me, { gfp }) => {
    const mask = scoped(kernel, me, gfp);
    if (!reclaims(mask) || alreadyReclaiming(kernel, me)) return ['ok', 'fails'];
    return ['ok', ...victims(kernel, mask)];
  },
  run: (kernel, me, { gfp, what }, outcome) => {
    const mask = scoped(kernel, me, gfp);
    const direct = reclaims(mask) && !alreadyReclaiming(kernel, me);
    if (reclaims(mask)) might_sleep(kernel, me, `kmalloc(${gfp})`);
    mightAlloc(kernel, me, mask);
    note(kernel, me, { kind: 'allocates', gfp: mask, direct, what });
    returns(kernel, me, outcome === 'fails' ? '-ENOMEM' : '0');
    if (outcome !== 'ok' && outcome !== 'fails') reclaim(kernel, me, mask, outcome);
  },
});
export const kmalloc = (gfp: Gfp | 'never', what = 'p'): Block => (gfp === 'never' ? [] : [kmalloc_op(gfp, what)]);

const reclaim_enter = instruction('reclaim_enter', (gfp: string) => ({ gfp }), {
  text: ({ gfp }) => `fs_reclaim_acquire(${gfp})`,
  local: true,
  run: (kernel, me, { gfp }) =>
    acquire(kernel, me, {
      object: FS_RECLAIM,
      class: gfp === 'GFP_KERNEL' ? FS_RECLAIM : '',
      kind: 'reclaim',
      mode: 'exclusive',
      try: false,
    }),
});
const reclaim_exit = instruction('reclaim_exit', () => ({}), {
  text: () => 'fs_reclaim_release()',
  local: true,
  run: (kernel, me) => {
    release(kernel, me, FS_RECLAIM, 'reclaim');
    returns(kernel, me, '0');
  },
});
/** The pseudo-lock around every notifier call (N-1); `atomic` is the non-blockable form of the OOM reaper. */
const notifier_enter = instruction('notifier_enter', (range: string) => ({ range }), {
  text: ({ range }) => `mmu_notifier_invalidate_range_start(${range})`,
  local: true,
  run: (kernel, me) =>
    acquire(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'shared', try: false }),
});
const notifier_exit = instruction('notifier_exit', (range: string) => ({ range }), {
  text: ({ range }) => `mmu_notifier_invalidate_range_end(${range})`,
  local: true,
  run: (kernel, me) => {
    release(kernel, me, MMU_NOTIFIER, 'lock');
  },
});
/** munmap, mprotect, fork, migration, …: the notifier of this range runs on the caller's stack (A9.2, A9.3). */
export const mmu_notifier_invalidate_range = (range: string): Block => [call('invalidate_range', { range })];
const call_notifier = instruction('call_notifier', (range: string) => ({ range }), {
  text: ({ range }) => `ops->invalidate(${range})`,
  local: true,
  touches: ({ range }) => [['ranges', range]],
  run: (kernel, me, { range }) => {
    const routine = kernel.ranges[range]?.invalidate ?? '';
    if (routine !== '') pushCall(kernel, me, routine, { range });
  },
});
const call_scan = instruction('call_scan', (shrinker: string) => ({ shrinker }), {
  text: ({ shrinker }) => `shrinker->scan_objects(${shrinker})`,
  local: true,
  run: (kernel, me, { shrinker }) => {
    const routine = kernel.shrinkers[shrinker]?.scan ?? '';
    if (routine !== '') pushCall(kernel, me, routine, { shrinker });
  },
});

/** Background reclaim: starts whenever memory is short, holds no foreign lock (A2.1). */
const balance_pgdat = instruction('balance_pgdat', () => ({}), {
  text: () => 'balance_pgdat()',
  outcomes: (kernel) => {
    const all = victims(kernel, 'GFP_KERNEL');
    return all.length > 0 ? all : ['nothing to reclaim'];
  },
  run: (kernel, me, _operands, outcome) => {
    if (outcome !== 'nothing to reclaim') reclaim(kernel, me, 'GFP_KERNEL', outcome);
  },
});
export const kswapd: ThreadSpec = { kind: 'kernel', begins: 'may', program: [balance_pgdat()] };

const scopeEntry = (gfp: Gfp) => ({ object: gfp, class: '', kind: 'scope', mode: 'exclusive', try: false }) as const;
/** memalloc_nofs_save / memalloc_noio_save and back; 'GFP_NOWAIT' stands for memalloc_noreclaim_save (A1.6, A1.9). */
export const memalloc_scope_save = instruction('memalloc_scope_save', (gfp: Gfp) => ({ gfp }), {
  text: ({ gfp }) => `memalloc_${gfp.slice(4).toLowerCase()}_save()`,
  local: true,
  run: (kernel, me, { gfp }) => acquire(kernel, me, scopeEntry(gfp)),
});
export const memalloc_scope_restore = instruction('memalloc_scope_restore', (gfp: Gfp) => ({ gfp }), {
  text: ({ gfp }) => `memalloc_${gfp.slice(4).toLowerCase()}_restore()`,
  local: true,
  run: (kernel, me, { gfp }) => {
    release(kernel, me, gfp, 'scope');
  },
});

/**
 * Take an element that was put aside before; waits until one comes back. Never allocates (A5.3, A5.4).
 * `holder` is the thread that must act for it to come back: the promise behind the element (A5.6).
 */
export const mempool_alloc_preallocated = instruction(
  'mempool_alloc_preallocated',
  (pool: string, holder: string) => ({ pool, holder }),
  {
    text: ({ pool }) => `mempool_alloc_preallocated(&${pool})`,
    touches: ({ pool, holder }) => [
      ['mempools', pool],
      ['threads', holder],
    ],
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
    run: (kernel, me, { pool, holder }) => {
      const row = kernel.mempools[pool] as { free: number; holders: readonly string[] };
      row.free -= 1;
      row.holders = [...row.holders, holder].sort();
      returns(kernel, me, '0');
    },
  },
);
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
      note(kernel, me, {
        kind: 'misuse',
        rule: 'A5.5',
        what: `${me} frees an element of ${pool} that ${holder} does not have`,
      });
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

export const memory: KernelObject = {
  schema: fields,
  ops: [
    kmalloc_op,
    reclaim_enter,
    reclaim_exit,
    notifier_enter,
    notifier_exit,
    call_notifier,
    call_scan,
    balance_pgdat,
    memalloc_scope_save,
    memalloc_scope_restore,
    mempool_alloc_preallocated,
    mempool_free,
    mempool_hand_over,
  ],
  routines: {
    shrink_slab: [reclaim_enter('$gfp'), call_scan('$shrinker'), reclaim_exit()],
    try_to_unmap: [reclaim_enter('$gfp'), call('invalidate_range', { range: '$range' }), reclaim_exit()],
    invalidate_range: [notifier_enter('$range'), call_notifier('$range'), notifier_exit('$range')],
    invalidate_range_nonblockable: [
      notifier_enter('$range'),
      atomic_enter('a non-blockable notifier'),
      call_notifier('$range'),
      atomic_exit('a non-blockable notifier'),
      notifier_exit('$range'),
    ],
  },
};
