/**
 * drm_syncobj: a container that user space refills, with one fence (binary) or a chain of points (timeline)
 * (drivers/gpu/drm/drm_syncobj.c; SO-1..SO-7).
 *
 * Waiting for something that nobody has submitted yet is waiting for user space: it happens here, in a system call
 * without locks, and never makes a dma_fence for work that does not exist (SO-28). A waiter stands on the object's list;
 * whoever submits writes the fence into its entry, so a waiter keeps the fence that it saw first (SO-21). The object's
 * spinlock is the step itself. Points are in syncobj-timeline.ts, waits in syncobj-find.ts and syncobj-wait.ts.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { type Kept, flag, maybe, name, table, whole } from '../schema.ts';
import { findSeqno } from './fence-chain.ts';
import { stub } from './fence-release.ts';
import { pending, publish } from './fence.ts';
import { addCallback } from './fence-callback.ts';
import { kmalloc } from './memory.ts';

/** An entry on an object's list: a thread that waits, at this place of its array, or an eventfd. */
export interface SyncobjWaiter {
  readonly who: string;
  readonly at: number;
  readonly point: number;
  /** An eventfd that fires as soon as the point exists, or only when it is over. */
  readonly fires?: 'available' | 'signaled';
  /** The fence it saw, once there was one. */
  readonly fence: string | null;
}
const fields = {
  syncobjs: table({
    fence: maybe(name('fences')),
    destroyed: flag,
    waiters: whole<readonly SyncobjWaiter[]>([]),
  }),
  eventfds: table({ fired: flag }),
};
type Row = Kept<typeof fields>['syncobjs'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** Where user space may pass anything: a handle behind which there is no object. */
export const BAD_HANDLE = '0';
export const syncobjRow = (kernel: KernelState, obj: string): Row => kernel.syncobjs[obj] as Row;
export const handleExists = (kernel: KernelState, obj: string): boolean => kernel.syncobjs[obj]?.destroyed === false;
export const onSyncobj = (...objs: readonly string[]): (readonly [string, string])[] =>
  objs.filter((obj) => obj !== BAD_HANDLE).map((obj) => ['syncobjs', obj] as const);

/** The fence to wait for so that this point is over; nothing when it was not submitted yet (SO-14, SO-18). */
export function materialised(kernel: KernelState, obj: string, point: number): string | null {
  const { fence } = syncobjRow(kernel, obj);
  const found = fence === null ? '-EINVAL' : findSeqno(kernel, fence, point);
  return found === '-EINVAL' ? null : (found ?? stub(kernel));
}

/** The object's spinlock is not for interrupts: whoever may run in one may not change an object (SO-1). */
function notInInterrupt(kernel: KernelState, me: string, what: string): void {
  const inside = (kernel.threads[me] as Thread).held.find(
    ({ kind, object }) => kind === 'atomic' && !object.startsWith('spinlock ') && !object.endsWith('->lock'),
  );
  if (inside) complain(kernel, me, 'SO-1', `${what} takes a lock that is not for ${inside.object}`);
}

/** The object holds another fence: everybody on its list looks again (SO-5, SO-8, SO-21). */
export function replaceFence(kernel: KernelState, me: string, obj: string, fence: string | null, what: string): void {
  notInInterrupt(kernel, me, what);
  const row = syncobjRow(kernel, obj);
  if (row.fence === fence) return;
  row.fence = fence;
  if (fence !== null) publish(kernel, me, fence);
  const seen = row.waiters.map((waiter) => ({
    ...waiter,
    fence: waiter.fence ?? materialised(kernel, obj, waiter.point),
  }));
  row.waiters = seen.filter(({ fires, fence: of }) => fires === undefined || of === null);
  for (const { who, fires, fence: of } of seen)
    if (fires !== undefined && of !== null) fireEventfd(kernel, me, who, fires, of);
}
/** The point of an eventfd's entry exists now: it fires here, or when the fence signals (SO-26). */
export function fireEventfd(
  kernel: KernelState,
  me: string,
  eventfd: string,
  when: 'available' | 'signaled',
  fence: string,
): void {
  if (when === 'available' || !pending(kernel, fence)) (kernel.eventfds[eventfd] as { fired: boolean }).fired = true;
  else addCallback(kernel, me, fence, { routine: 'syncobj_eventfd_fires', vars: { eventfd } });
}

/** Replace the fence, or take it away with 'NULL' (SO-5). Every binary submission does this (SO-7). */
export const drm_syncobj_replace_fence = instruction(
  'drm_syncobj_replace_fence',
  (obj: string, fence: string) => ({ obj, fence }),
  {
    text: ({ obj, fence }) => `drm_syncobj_replace_fence(${obj}, ${fence})`,
    touches: ({ obj, fence }) => [...onSyncobj(obj), ...(fence === 'NULL' ? [] : [['fences', fence] as const])],
    run: (kernel, me, { obj, fence }) => {
      replaceFence(kernel, me, obj, fence === 'NULL' ? null : fence, 'drm_syncobj_replace_fence');
      returns(kernel, me, '0');
    },
  },
);

/** CREATE: empty, or holding a stub with the SIGNALED flag (SO-3). */
export const drm_syncobj_create = instruction(
  'drm_syncobj_create',
  (obj: string, flags: string = '0') => ({ obj, flags }),
  {
    text: ({ obj, flags }) => `DRM_IOCTL_SYNCOBJ_CREATE(${obj}, ${flags})`,
    touches: ({ obj }) => onSyncobj(obj),
    run: (kernel, me, { obj, flags }) => {
      const known = flags === '0' || flags === 'SIGNALED';
      if (known)
        Object.assign(syncobjRow(kernel, obj), {
          destroyed: false,
          fence: flags === '0' ? null : stub(kernel),
          waiters: [],
        });
      returns(kernel, me, known ? '0' : '-EINVAL');
    },
  },
);
/** DESTROY: the handle goes; who waits keeps its reference, an eventfd's entry is freed (SO-4, SO-26). */
export const drm_syncobj_destroy = instruction('drm_syncobj_destroy', (obj: string) => ({ obj }), {
  text: ({ obj }) => `DRM_IOCTL_SYNCOBJ_DESTROY(${obj})`,
  touches: ({ obj }) => onSyncobj(obj),
  run: (kernel, me, { obj }) => {
    const there = handleExists(kernel, obj);
    if (there) {
      const row = syncobjRow(kernel, obj);
      row.destroyed = true;
      row.waiters = row.waiters.filter(({ fires }) => fires === undefined);
    }
    returns(kernel, me, there ? '0' : '-EINVAL');
  },
});

/** Why an array of handles is refused before anything is done with any of them. */
export const handlesRefused = (kernel: KernelState, objs: readonly string[]): string | undefined =>
  objs.length === 0 ? '-EINVAL' : objs.every((obj) => handleExists(kernel, obj)) ? undefined : '-ENOENT';
/** RESET: all of them are empty from now on; waiters go on waiting for a submission (SO-6). */
export const drm_syncobj_reset = instruction('drm_syncobj_reset', (...objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `DRM_IOCTL_SYNCOBJ_RESET(${objs.join(', ')})`,
  touches: ({ objs }) => onSyncobj(...objs),
  run: (kernel, me, { objs }) => {
    const why = handlesRefused(kernel, objs);
    if (why === undefined) for (const obj of objs) replaceFence(kernel, me, obj, null, 'drm_syncobj_reset');
    returns(kernel, me, why ?? '0');
  },
});
const syncobj_signals = instruction('syncobj_signals', (objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `DRM_IOCTL_SYNCOBJ_SIGNAL(${objs.join(', ')})`,
  touches: ({ objs }) => onSyncobj(...objs),
  run: (kernel, me, { objs }) => {
    const why = handlesRefused(kernel, objs);
    if (why === undefined) for (const obj of objs) replaceFence(kernel, me, obj, stub(kernel), 'drm_syncobj_signal');
    returns(kernel, me, why ?? '0');
  },
});
/** SIGNAL: each fence is replaced by one that has signalled (SO-6). */
export const drm_syncobj_signal = (...objs: readonly string[]): Block => [
  kmalloc('GFP_KERNEL', 'stub'),
  syncobj_signals(objs),
];

export const syncobj: KernelObject = {
  schema: fields,
  ops: [drm_syncobj_replace_fence, drm_syncobj_create, drm_syncobj_destroy, drm_syncobj_reset, syncobj_signals],
};
