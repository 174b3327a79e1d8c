/**
 * Reclaim: whose memory is taken when there is none, and on whose stack (mm/vmscan.c, mm/shrinker.c; rules A2, A3, A4, G-4).
 *
 * Direct reclaim runs on the allocating task's own stack, with all its locks, and takes one thing: a shrinker's object or
 * a process page, whose notifier then runs. A task that is already reclaiming never reclaims again (A2.4).
 */
import {
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, fixedName, table } from '../schema.ts';
import { FS_RECLAIM, acquire, release } from './context.ts';
import type { Gfp } from './gfp.ts';
import { mmu_notifier_invalidate_range } from './mmu-notifier.ts';

const fields = {
  /** Registered shrinkers; `scan` is a routine that runs inside reclaim (A4). */
  shrinkers: table({ scan: fixedName('routines') }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    reclaimed: { what: string };
  }
}

/** What direct reclaim with this mask may take: shrinkers need __GFP_FS, process pages do not (A3.4, L-23, L-24). */
export function victims(kernel: KernelState, gfp: Gfp): string[] {
  const shrinkers = gfp === 'GFP_KERNEL' ? Object.keys(kernel.shrinkers).map((each) => `shrinks ${each}`) : [];
  return [...shrinkers, ...Object.keys(kernel.ranges).map((each) => `unmaps ${each}`)];
}

export function reclaim(kernel: KernelState, me: string, gfp: Gfp, victim: string): void {
  note(kernel, me, { kind: 'reclaimed', what: victim });
  const shrinker = victim.startsWith('shrinks ') ? victim.slice('shrinks '.length) : undefined;
  const range = victim.slice('unmaps '.length);
  if (shrinker !== undefined) pushCall(kernel, me, 'shrink_slab', { shrinker, gfp });
  else pushCall(kernel, me, 'try_to_unmap', { range, gfp });
}

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

export const reclaimObject: KernelObject = {
  schema: fields,
  ops: [reclaim_enter, reclaim_exit, call_scan, balance_pgdat],
  routines: {
    shrink_slab: [reclaim_enter('$gfp'), call_scan('$shrinker'), reclaim_exit()],
    try_to_unmap: [reclaim_enter('$gfp'), mmu_notifier_invalidate_range('$range'), reclaim_exit()],
  },
};
