/**
 * What an allocation may do to get its memory: the mask, and the scopes of the task that weaken it
 * (include/linux/gfp_types.h, include/linux/sched/mm.h; rules A1.1, A1.6, A1.9, A2.4, G-1..G-3).
 */
import { type KernelObject, type KernelState, type Thread, complain, instruction } from '../machine.ts';
import { FS_RECLAIM, MMU_NOTIFIER, acquire, holdsKind, probe, release } from './context.ts';

export const GFP = ['GFP_NOWAIT', 'GFP_ATOMIC', 'GFP_NOIO', 'GFP_NOFS', 'GFP_KERNEL'] as const;
export type Gfp = (typeof GFP)[number];
export const reclaims = (gfp: Gfp): boolean => gfp !== 'GFP_NOWAIT' && gfp !== 'GFP_ATOMIC';

export const alreadyReclaiming = (kernel: KernelState, me: string): boolean =>
  holdsKind(kernel, me, 'reclaim') !== undefined;
/** PF_MEMALLOC: it reclaims, or is in a noreclaim scope, and must not wait for anybody who needs memory (A1.9, A2.4). */
export const hasPfMemalloc = (kernel: KernelState, me: string): boolean =>
  (kernel.threads[me] as Thread).held.some(
    ({ kind, object }) => kind === 'reclaim' || (kind === 'scope' && object === 'GFP_NOWAIT'),
  );
/** The mask after the task's scopes: memalloc_nofs_save and friends weaken every allocation inside; the strictest wins (G-1, A1.6). */
export const scoped = (kernel: KernelState, me: string, gfp: Gfp): Gfp => {
  if (!reclaims(gfp)) return gfp;
  const scopes = (kernel.threads[me] as Thread).held.filter(({ kind }) => kind === 'scope').map(({ object }) => object);
  return GFP[Math.min(...[gfp, ...scopes].map((each) => GFP.indexOf(each as Gfp)))] as Gfp;
};

/** Tell lockdep what this mask may enter, memory short or not (G-3, A3.2, A3.3). */
export function mightAlloc(kernel: KernelState, me: string, gfp: Gfp): void {
  if (!reclaims(gfp) || alreadyReclaiming(kernel, me)) return;
  if (gfp === 'GFP_KERNEL')
    probe(kernel, me, { object: FS_RECLAIM, class: FS_RECLAIM, kind: 'reclaim', mode: 'exclusive', try: false });
  probe(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'exclusive', try: false });
}

const scopeEntry = (gfp: Gfp) => ({ object: gfp, class: '', kind: 'scope', mode: 'exclusive', try: false }) as const;
const scopeOf = (gfp: string): string => (gfp === 'GFP_NOWAIT' ? 'noreclaim' : gfp.slice('GFP_'.length).toLowerCase());
/** memalloc_nofs_save / memalloc_noio_save and back; 'GFP_NOWAIT' stands for memalloc_noreclaim_save (A1.6, A1.9). */
export const memalloc_scope_save = instruction('memalloc_scope_save', (gfp: Gfp) => ({ gfp }), {
  text: ({ gfp }) => `memalloc_${scopeOf(gfp)}_save()`,
  local: true,
  run: (kernel, me, { gfp }) => acquire(kernel, me, scopeEntry(gfp)),
});
export const memalloc_scope_restore = instruction('memalloc_scope_restore', (gfp: Gfp) => ({ gfp }), {
  text: ({ gfp }) => `memalloc_${scopeOf(gfp)}_restore()`,
  local: true,
  run: (kernel, me, { gfp }) => {
    const innermost = (kernel.threads[me] as Thread).held.findLast(({ kind }) => kind === 'scope');
    if (innermost?.object !== gfp)
      complain(
        kernel,
        me,
        'A1.6',
        `${me} restores ${scopeOf(gfp)}, but ${innermost ? `${scopeOf(innermost.object)} is inside it` : 'no scope is open'}`,
      );
    release(kernel, me, gfp, 'scope');
  },
});

export const gfp: KernelObject = { ops: [memalloc_scope_save, memalloc_scope_restore] };
