/**
 * Reclaim: whose memory is taken when there is none, and on whose stack (mm/vmscan.c; rules A2, A3, G-4).
 *
 * Direct reclaim runs on the allocating task's own stack, with all its locks, and takes one thing: a shrinker's object or
 * a process page, whose notifier then runs. A task that is already reclaiming never reclaims again (A2.4).
 */
import {
  type KernelObject,
  type KernelState,
  type Thread,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { FS_RECLAIM, acquire, release } from './context.ts';
import { quietly_if_var, return_, set } from './flow.ts';
import type { Gfp } from './gfp.ts';
import { mmu_notifier_invalidate_range } from './mmu-notifier.ts';
import { call_scan, registered, scan_over } from './shrinker.ts';
import { isPinned } from './user-pages.ts';

declare module '../machine.ts' {
  interface Facts {
    reclaimed: { what: string };
  }
}

/** What direct reclaim with this mask may take: shrinkers need __GFP_FS, process pages do not (A3.4, L-23, L-24). */
export function victims(kernel: KernelState, gfp: Gfp): string[] {
  const shrinkers = gfp === 'GFP_KERNEL' ? registered(kernel).map((each) => `shrinks ${each}`) : [];
  const ranges = Object.keys(kernel.ranges).filter((each) => !isPinned(kernel, each)); // A11.2
  return [...shrinkers, ...ranges.map((each) => `unmaps ${each}`)];
}

/** What becomes of whoever wanted the memory, when a page could not be written out and stays (A1.11). */
type WithoutProgress = 'goes round again' | 'fails' | 'does not care';
/** Take this victim, on the stack of `me`; the kswapd of a design says that it is one (A2.3). */
export function reclaim(
  kernel: KernelState,
  me: string,
  gfp: Gfp,
  victim: string,
  otherwise: WithoutProgress,
  who: { readonly kswapd?: 'yes' } = {},
): void {
  note(kernel, me, { kind: 'reclaimed', what: victim });
  const shrinker = victim.startsWith('shrinks ') ? victim.slice('shrinks '.length) : undefined;
  const range = victim.slice('unmaps '.length);
  if (shrinker !== undefined) pushCall(kernel, me, 'shrink_slab', { shrinker, gfp, ...who });
  else if (kernel.ranges[range]?.pageout === '' || gfp === 'GFP_NOIO')
    pushCall(kernel, me, 'try_to_unmap', { range, gfp, ...who }); // without IO only pages that are clean (A1)
  else pushCall(kernel, me, 'swap_out', { range, gfp, otherwise, ...who });
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
const call_pageout = instruction('call_pageout', (range: string) => ({ range }), {
  text: ({ range }) => `pageout(${range})`,
  local: true,
  run: (kernel, me, { range }) => {
    returns(kernel, me, '0');
    pushCall(kernel, me, kernel.ranges[range]?.pageout ?? '', { range });
  },
});
/** The page stays: no progress was made, and the allocator below on the stack goes round again, or gives up (A1.11). */
const page_stays = instruction('page_stays', (otherwise: string) => ({ otherwise }), {
  text: () => '/* no progress: the page stays */',
  local: true,
  run: (kernel, me, { otherwise }) => {
    if (otherwise === 'fails') returns(kernel, me, '-ENOMEM');
    const allocator = (kernel.threads[me] as Thread).frames.at(-2);
    if (otherwise === 'goes round again' && allocator) allocator.pc -= 1;
  },
});

/** Is this task kswapd? ret '1' or '0'. A shrinker may wait there where it may not in direct reclaim (A2.3). */
export const current_is_kswapd = instruction('current_is_kswapd', () => ({}), {
  text: () => 'current_is_kswapd()',
  local: true,
  run: (kernel, me) => {
    const { frames } = kernel.threads[me] as Thread;
    returns(kernel, me, frames.some(({ vars }) => vars['kswapd'] === 'yes') ? '1' : '0');
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
    if (outcome !== 'nothing to reclaim')
      reclaim(kernel, me, 'GFP_KERNEL', outcome, 'does not care', { kswapd: 'yes' });
  },
});
export const kswapd: ThreadSpec = { kind: 'kernel', begins: 'may', program: [balance_pgdat()] };

export const reclaimObject: KernelObject = {
  one: { kswapd: undefined },
  ops: [reclaim_enter, reclaim_exit, call_pageout, page_stays, current_is_kswapd, balance_pgdat],
  routines: {
    shrink_slab: [reclaim_enter('$gfp'), call_scan('$shrinker'), scan_over('$shrinker'), reclaim_exit()],
    // A7.1: what the writing needs, it needs as a task that reclaims: from reserves and pools, without reclaim of its own.
    swap_out: [
      reclaim_enter('$gfp'),
      mmu_notifier_invalidate_range('$range'),
      call_pageout('$range'),
      set('written', 'ret'),
      reclaim_exit(),
      quietly_if_var('written', '0', [return_('0')]),
      page_stays('$otherwise'),
    ],
    try_to_unmap: [reclaim_enter('$gfp'), mmu_notifier_invalidate_range('$range'), reclaim_exit()],
  },
};
