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
  type Thread,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, fixedName, int, table, whole } from '../schema.ts';
import { FS_RECLAIM, MMU_NOTIFIER, acquire, holdsKind, might_sleep, probe, release } from './context.ts';
import { atomic_enter, atomic_exit } from './context.ts';
import { call, if_ret } from './flow.ts';

export const GFP = ['GFP_NOWAIT', 'GFP_ATOMIC', 'GFP_NOIO', 'GFP_NOFS', 'GFP_KERNEL'] as const;
export type Gfp = (typeof GFP)[number];
export const reclaims = (gfp: Gfp): boolean => gfp !== 'GFP_NOWAIT' && gfp !== 'GFP_ATOMIC';

const MOST_ELEMENTS = 8;
const fields = {
  /** Registered shrinkers; `scan` is a routine that runs inside reclaim (A4). */
  shrinkers: table({ scan: fixedName('routines') }),
  /** Pages of processes that reclaim may unmap; the notifier is called before and after they change (A9.2). */
  ranges: table({ invalidate: fixedName('routines'), invalidate_end: fixedName('routines') }),
  /** Memory pools: `free` elements in reserve, and who must act for each other one to come back (A5). */
  mempools: table({ free: int(MOST_ELEMENTS), holders: whole<readonly string[]>([]) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** Memory was asked for. `direct`: it may enter direct reclaim, and so wait for anything reclaim waits for.
     * `signalling`: it was asked for inside a signalling section, which may be over when the step is. */
    allocates: { gfp: Gfp; direct: boolean; signalling: boolean; what: string };
    reclaimed: { what: string };
  }
}

const inSection = (kernel: KernelState, me: string): boolean => holdsKind(kernel, me, 'signalling') !== undefined;
const alreadyReclaiming = (kernel: KernelState, me: string): boolean => holdsKind(kernel, me, 'reclaim') !== undefined;
/** The mask after the task's scopes: memalloc_nofs_save and friends weaken every allocation inside; the strictest wins (G-1, A1.6). */
const scoped = (kernel: KernelState, me: string, gfp: Gfp): Gfp => {
  if (!reclaims(gfp)) return gfp;
  const scopes = (kernel.threads[me] as Thread).held.filter(({ kind }) => kind === 'scope').map(({ object }) => object);
  return GFP[Math.min(...[gfp, ...scopes].map((each) => GFP.indexOf(each as Gfp)))] as Gfp;
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
    note(kernel, me, { kind: 'allocates', gfp: mask, direct, signalling: inSection(kernel, me), what });
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
/** The pseudo-lock around the notifier calls: round those of start and those of end, not between them (N-1, A9.2). */
const notifier_enter = instruction('notifier_enter', (range: string) => ({ range }), {
  text: ({ range }) => `lock_map_acquire(mmu_notifier) /* ${range} */`,
  local: true,
  run: (kernel, me) =>
    acquire(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'shared', try: false }),
});
const notifier_exit = instruction('notifier_exit', (range: string) => ({ range }), {
  text: ({ range }) => `lock_map_release(mmu_notifier) /* ${range} */`,
  local: true,
  run: (kernel, me) => {
    release(kernel, me, MMU_NOTIFIER, 'lock');
  },
});
export const mmu_notifier_invalidate_range_start = (range: string): Block => [
  call('mmu_notifier_invalidate_range_start', { range }),
];
export const mmu_notifier_invalidate_range_end = (range: string): Block => [
  call('mmu_notifier_invalidate_range_end', { range }),
];
/**
 * munmap, mprotect, fork, migration, …: the notifier of this range runs on the caller's stack, before and after the
 * page tables change (A9.2, A9.3). `between` is what else happens there; another pair may (A9.2).
 */
export const mmu_notifier_invalidate_range = (range: string, between: Block = []): Block => [
  mmu_notifier_invalidate_range_start(range),
  between,
  mmu_notifier_invalidate_range_end(range),
];
const notifierCall = (opName: string, hook: 'invalidate' | 'invalidate_end') =>
  instruction(opName, (range: string) => ({ range }), {
    text: ({ range }) => `ops->${hook}(${range})`,
    local: true,
    touches: ({ range }) => [['ranges', range]],
    run: (kernel, me, { range }) => {
      const routine = kernel.ranges[range]?.[hook] ?? '';
      returns(kernel, me, '0');
      if (routine !== '') pushCall(kernel, me, routine, { range });
    },
  });
const call_notifier = notifierCall('call_notifier', 'invalidate');
const call_notifier_end = notifierCall('call_notifier_end', 'invalidate_end');
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
    if (outcome !== 'ok') reclaim(kernel, me, mask, outcome);
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
    call_notifier_end,
    call_scan,
    balance_pgdat,
    memalloc_scope_save,
    memalloc_scope_restore,
    mempool_alloc_preallocated,
    mempool_enter,
    mempool_wait,
    mempool_free,
    mempool_hand_over,
  ],
  routines: {
    shrink_slab: [reclaim_enter('$gfp'), call_scan('$shrinker'), reclaim_exit()],
    try_to_unmap: [reclaim_enter('$gfp'), mmu_notifier_invalidate_range('$range'), reclaim_exit()],
    mmu_notifier_invalidate_range_start: [notifier_enter('$range'), call_notifier('$range'), notifier_exit('$range')],
    mmu_notifier_invalidate_range_end: [notifier_enter('$range'), call_notifier_end('$range'), notifier_exit('$range')],
    // The form of the OOM reaper: it may not sleep, and a start that refused has no end (A9.5, A9.8).
    invalidate_range_nonblockable: [
      notifier_enter('$range'),
      atomic_enter('a non-blockable notifier'),
      call_notifier('$range'),
      atomic_exit('a non-blockable notifier'),
      notifier_exit('$range'),
      if_ret('-EAGAIN', [], mmu_notifier_invalidate_range_end('$range')),
    ],
  },
};
