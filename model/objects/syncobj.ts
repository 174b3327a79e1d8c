/**
 * drm_syncobj: a container that user space refills, with one fence (binary) or a chain of points (timeline)
 * (drivers/gpu/drm/drm_syncobj.c; SO-1..SO-28).
 *
 * Waiting for something that nobody has submitted yet is waiting for user space: it happens here, in a system call
 * without locks, and never makes a dma_fence for work that does not exist (SO-28). A waiter stands on the object's list;
 * whoever submits writes the fence into its entry, so a waiter keeps the fence that it saw first (SO-21). The object's
 * spinlock is the step itself.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  instruction,
  note,
  returns,
} from '../machine.ts';
import { type Kept, flag, maybe, name, table, whole } from '../schema.ts';
import { chainElements, chainInit, dma_fence_chain_alloc, findSeqno, freeNodes } from './fence-chain.ts';
import { isChain, missing, polls } from './fence-container.ts';
import { dma_fence_set_deadline } from './fence-deadline.ts';
import { stub } from './fence-release.ts';
import { dma_fence_unwrap_merge } from './fence-unwrap.ts';
import {
  addCallback,
  answering,
  armFirst,
  contextOf,
  mightWait,
  owed,
  pending,
  publish,
  seqnoOf,
  signalFence,
  unarmed,
} from './fence.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { kmalloc } from './memory.ts';
import { BAD_FD, fd_install, sync_file_create, sync_file_fence } from './sync-file.ts';

/** An entry on an object's list: a thread that waits, at this place of its array, or an eventfd. */
interface Waiter {
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
    waiters: whole<readonly Waiter[]>([]),
  }),
  eventfds: table({ fired: flag }),
};
type Row = Kept<typeof fields>['syncobjs'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** Where user space may pass anything: a handle behind which there is no object. */
export const BAD_HANDLE = '0';
const rowOf = (kernel: KernelState, obj: string): Row => kernel.syncobjs[obj] as Row;
const exists = (kernel: KernelState, obj: string): boolean => kernel.syncobjs[obj]?.destroyed === false;
const onObject = (...objs: readonly string[]): (readonly [string, string])[] =>
  objs.filter((obj) => obj !== BAD_HANDLE).map((obj) => ['syncobjs', obj] as const);
const vars = (kernel: KernelState, me: string): Record<string, string> =>
  ((kernel.threads[me] as Thread).frames.at(-1) as Frame).vars;

/** The fence to wait for so that this point is over; nothing when it was not submitted yet (SO-14, SO-18). */
function materialised(kernel: KernelState, obj: string, point: number): string | null {
  const { fence } = rowOf(kernel, obj);
  const found = fence === null ? '-EINVAL' : findSeqno(kernel, fence, point);
  return found === '-EINVAL' ? null : (found ?? stub(kernel));
}

/** The object's spinlock is not for interrupts: whoever may run in one may not change an object (SO-1). */
function notInInterrupt(kernel: KernelState, me: string, what: string): void {
  const inside = (kernel.threads[me] as Thread).held.find(
    ({ kind, object }) => kind === 'atomic' && !object.startsWith('spinlock ') && !object.endsWith('->lock'),
  );
  if (inside)
    note(kernel, me, { kind: 'misuse', rule: 'SO-1', what: `${what} takes a lock that is not for ${inside.object}` });
}

/** The object holds another fence: everybody on its list looks again (SO-5, SO-8, SO-21). */
function replace(kernel: KernelState, me: string, obj: string, fence: string | null, what: string): void {
  notInInterrupt(kernel, me, what);
  const row = rowOf(kernel, obj);
  if (row.fence === fence) return;
  row.fence = fence;
  if (fence !== null) publish(kernel, me, fence);
  const seen = row.waiters.map((waiter) => ({
    ...waiter,
    fence: waiter.fence ?? materialised(kernel, obj, waiter.point),
  }));
  row.waiters = seen.filter(({ fires, fence: of }) => fires === undefined || of === null);
  for (const { who, fires, fence: of } of seen)
    if (fires !== undefined && of !== null) fire(kernel, me, who, fires, of);
}
/** The point of an eventfd's entry exists now: it fires here, or when the fence signals (SO-26). */
function fire(kernel: KernelState, me: string, eventfd: string, when: 'available' | 'signaled', fence: string): void {
  if (when === 'available' || !pending(kernel, fence)) (kernel.eventfds[eventfd] as { fired: boolean }).fired = true;
  else addCallback(kernel, me, fence, { routine: 'syncobj_eventfd_fires', vars: { eventfd } });
}

/** Replace the fence, or take it away with 'NULL' (SO-5). Every binary submission does this (SO-7). */
export const drm_syncobj_replace_fence = instruction(
  'drm_syncobj_replace_fence',
  (obj: string, fence: string) => ({ obj, fence }),
  {
    text: ({ obj, fence }) => `drm_syncobj_replace_fence(${obj}, ${fence})`,
    touches: ({ obj, fence }) => [...onObject(obj), ...(fence === 'NULL' ? [] : [['fences', fence] as const])],
    run: (kernel, me, { obj, fence }) => {
      replace(kernel, me, obj, fence === 'NULL' ? null : fence, 'drm_syncobj_replace_fence');
      returns(kernel, me, '0');
    },
  },
);
/** Add a point with a node that was allocated before; cannot fail. Points may come in any order (SO-8, SO-9). */
export const drm_syncobj_add_point = instruction(
  'drm_syncobj_add_point',
  (obj: string, node: string, fence: string, point: number | string) => ({ obj, node, fence, point: `${point}` }),
  {
    text: ({ obj, node, fence, point }) => `drm_syncobj_add_point(${obj}, ${node}, ${fence}, ${point})`,
    touches: ({ obj, node, fence }) => [...onObject(obj), ['fence_chains', node], ['fences', fence]],
    run: (kernel, me, { obj, node, fence, point }) => {
      addPoint(kernel, me, obj, node, fence, Number(point));
      returns(kernel, me, '0');
    },
  },
);
function addPoint(kernel: KernelState, me: string, obj: string, node: string, fence: string, point: number): void {
  if (isChain(kernel, fence))
    note(kernel, me, { kind: 'misuse', rule: 'K-3', what: `${fence}, a chain node, becomes the payload of ${node}` });
  chainInit(kernel, node, rowOf(kernel, obj).fence ?? undefined, fence, point);
  replace(kernel, me, obj, node, 'drm_syncobj_add_point');
  chainElements(kernel, node);
}

/** CREATE: empty, or holding a stub with the SIGNALED flag (SO-3). */
export const drm_syncobj_create = instruction(
  'drm_syncobj_create',
  (obj: string, flags: string = '0') => ({ obj, flags }),
  {
    text: ({ obj, flags }) => `DRM_IOCTL_SYNCOBJ_CREATE(${obj}, ${flags})`,
    touches: ({ obj }) => onObject(obj),
    run: (kernel, me, { obj, flags }) => {
      const known = flags === '0' || flags === 'SIGNALED';
      if (known)
        Object.assign(rowOf(kernel, obj), {
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
  touches: ({ obj }) => onObject(obj),
  run: (kernel, me, { obj }) => {
    const there = exists(kernel, obj);
    if (there) {
      const row = rowOf(kernel, obj);
      row.destroyed = true;
      row.waiters = row.waiters.filter(({ fires }) => fires === undefined);
    }
    returns(kernel, me, there ? '0' : '-EINVAL');
  },
});

/** Why an array of handles is refused before anything is done with any of them. */
const refusal = (kernel: KernelState, objs: readonly string[]): string | undefined =>
  objs.length === 0 ? '-EINVAL' : objs.every((obj) => exists(kernel, obj)) ? undefined : '-ENOENT';
/** RESET: all of them are empty from now on; waiters go on waiting for a submission (SO-6). */
export const drm_syncobj_reset = instruction('drm_syncobj_reset', (...objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `DRM_IOCTL_SYNCOBJ_RESET(${objs.join(', ')})`,
  touches: ({ objs }) => onObject(...objs),
  run: (kernel, me, { objs }) => {
    const why = refusal(kernel, objs);
    if (why === undefined) for (const obj of objs) replace(kernel, me, obj, null, 'drm_syncobj_reset');
    returns(kernel, me, why ?? '0');
  },
});
const syncobj_signals = instruction('syncobj_signals', (objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `DRM_IOCTL_SYNCOBJ_SIGNAL(${objs.join(', ')})`,
  touches: ({ objs }) => onObject(...objs),
  run: (kernel, me, { objs }) => {
    const why = refusal(kernel, objs);
    if (why === undefined) for (const obj of objs) replace(kernel, me, obj, stub(kernel), 'drm_syncobj_signal');
    returns(kernel, me, why ?? '0');
  },
});
/** SIGNAL: each fence is replaced by one that has signalled (SO-6). */
export const drm_syncobj_signal = (...objs: readonly string[]): Block => [
  kmalloc('GFP_KERNEL', 'stub'),
  syncobj_signals(objs),
];

/** A handle and a point on its timeline; point 0 is the object as a whole. */
export type Point = readonly [obj: string, point: number];
const objsOf = (points: readonly Point[]): readonly string[] => points.map(([obj]) => obj);
const timeline_signals = instruction('timeline_signals', (points: readonly Point[]) => ({ points }), {
  text: ({ points }) =>
    `DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL(${points.map(([obj, point]) => `${obj}@${point}`).join(', ')})`,
  touches: ({ points }) => onObject(...objsOf(points)),
  run: (kernel, me, { points }) => {
    const why = refusal(kernel, objsOf(points));
    const nodes = freeNodes(kernel);
    const short = nodes.length < points.length;
    if (why === undefined && !short)
      for (const [obj, point] of points) addPoint(kernel, me, obj, nodes.shift() as string, stub(kernel), point);
    returns(kernel, me, why ?? (short ? '-ENOMEM' : '0'));
  },
});
/** TIMELINE_SIGNAL: a signalled point on each, point 0 too; all nodes are allocated first, so all or nothing (SO-10). */
export const drm_syncobj_timeline_signal = (...points: readonly Point[]): Block => [
  kmalloc('GFP_KERNEL', 'chains'),
  timeline_signals(points),
];

/** QUERY: ret is the value of each timeline, with blanks between; 0 unless it is one (SO-27). */
export const drm_syncobj_query = instruction(
  'drm_syncobj_query',
  (objs: readonly string[], flags: string = '0') => ({ objs, flags }),
  {
    text: ({ objs, flags }) => `DRM_IOCTL_SYNCOBJ_QUERY(${objs.join(', ')}${flags === '0' ? '' : `, ${flags}`})`,
    touches: ({ objs }) => onObject(...objs),
    run: (kernel, me, { objs, flags }) => {
      const why = flags === '0' || flags === 'LAST_SUBMITTED' ? refusal(kernel, objs) : '-EINVAL';
      returns(kernel, me, why ?? objs.map((obj) => valueOf(kernel, obj, flags)).join(' '));
    },
  },
);
function valueOf(kernel: KernelState, obj: string, flags: string): number {
  const head = rowOf(kernel, obj).fence;
  if (head === null || !isChain(kernel, head)) return 0;
  if (flags === 'LAST_SUBMITTED') return seqnoOf(kernel, head);
  const elements = chainElements(kernel, head);
  const foreign = elements.findIndex((each) => contextOf(kernel, each) !== contextOf(kernel, head));
  const last = elements[(foreign < 0 ? elements.length : foreign) - 1] as string;
  return polls(kernel, last) ? seqnoOf(kernel, last) : (kernel.fence_chains[last]?.prev_seqno ?? 0);
}

/** Waiting for user space with any lock held: it may be stuck in a fault that needs that lock (SO-16, SO-23, LD-17). */
function noneHeld(kernel: KernelState, me: string, what: string): void {
  const held = (kernel.threads[me] as Thread).held.filter((each) => each.class !== '');
  if (held.length > 0)
    note(kernel, me, {
      kind: 'misuse',
      rule: 'SO-16',
      what: `${what} waits for a submission while ${me} holds ${held.map(({ object }) => object).join(', ')}`,
    });
}
const enlist = (
  kernel: KernelState,
  me: string,
  obj: string,
  at: number,
  point: number,
  fence: string | null,
): void => {
  const row = rowOf(kernel, obj);
  row.waiters = [...row.waiters, { who: me, at, point, fence }];
};
const entryOf = (kernel: KernelState, me: string, obj: string, at: number): Waiter | undefined =>
  rowOf(kernel, obj).waiters.find((each) => each.who === me && each.at === at && each.fires === undefined);
/** On return every entry is taken off again (SO-25). */
function leave(kernel: KernelState, me: string, objs: readonly string[]): void {
  for (const obj of new Set(objs)) {
    const row = rowOf(kernel, obj);
    row.waiters = row.waiters.filter((each) => each.who !== me || each.fires !== undefined);
  }
}
const unsubmitted = (obj: string): string => `nobody has submitted anything to ${obj} yet`;

const find_begins = instruction('find_begins', (obj: string, point: string, flags: string) => ({ obj, point, flags }), {
  text: ({ obj, point, flags }) => `drm_syncobj_find_fence(${obj}, ${point}, ${flags})`,
  touches: ({ obj }) => onObject(obj),
  run: (kernel, me, { obj, point, flags }) => {
    if (flags !== '0' && flags !== 'WAIT_FOR_SUBMIT') returns(kernel, me, '-EINVAL');
    else if (!exists(kernel, obj)) returns(kernel, me, '-ENOENT');
    else {
      if (flags !== '0') noneHeld(kernel, me, 'drm_syncobj_find_fence');
      const fence = materialised(kernel, obj, Number(point));
      if (fence === null && flags !== '0') enlist(kernel, me, obj, 0, Number(point), null);
      returns(kernel, me, fence ?? (flags === '0' ? '-EINVAL' : 'wait'));
    }
  },
});
const find_sleeps = instruction('find_sleeps', (obj: string) => ({ obj }), {
  text: ({ obj }) => `drm_syncobj_find_fence(${obj}) /* waits for the submission */`,
  touches: ({ obj }) => onObject(obj),
  waits: (kernel, me, { obj }) =>
    (entryOf(kernel, me, obj, 0)?.fence ?? null) === null
      ? {
          on: 'syncobj',
          object: obj,
          owedBy: [],
          because: unsubmitted(obj),
          bounded: 'times out',
          interruptible: 'interrupted',
        }
      : undefined,
  run: (kernel, me, { obj }, outcome) => {
    const fence = entryOf(kernel, me, obj, 0)?.fence ?? null;
    leave(kernel, me, [obj]);
    const why = outcome === 'interrupted' ? '-ERESTARTSYS' : outcome === 'times out' ? '-ETIME' : undefined;
    returns(kernel, me, why ?? fence ?? '-EINVAL');
  },
});
/**
 * The fence behind a handle, for a job that depends on it: ret is its name, or an error. Nothing there is an error, for
 * there is no placeholder; with WAIT_FOR_SUBMIT it waits up to five seconds for user space (SO-13..SO-16).
 */
export const drm_syncobj_find_fence = (
  obj: string,
  point: number | string = 0,
  flags: '0' | 'WAIT_FOR_SUBMIT' | (string & {}) = '0',
): Block => [find_begins(obj, `${point}`, flags), if_ret('wait', [find_sleeps(obj)])];

export type Patience = '0' | 'some' | 'MAX';
const WAIT_FLAGS = ['WAIT_ALL', 'WAIT_FOR_SUBMIT', 'WAIT_DEADLINE'];
type Waiting = {
  readonly points: readonly Point[];
  readonly flags: readonly string[];
  readonly timeout: Patience;
};
const waitingText = ({ points, flags, timeout }: Waiting): string =>
  `DRM_IOCTL_SYNCOBJ_WAIT({ ${points.map(([obj, point]) => (point === 0 ? obj : `${obj}@${point}`)).join(', ')} }, ${[...flags, timeout].join(', ')})`;
const onPoints = ({ points }: Waiting): (readonly [string, string])[] => onObject(...objsOf(points));

/** What is refused, and what is over before it began (SO-17). */
const wait_checks = instruction(
  'wait_checks',
  (points: readonly Point[], flags: readonly string[], timeout: Patience, timeline: boolean) => ({
    points,
    flags,
    timeout,
    timeline,
  }),
  {
    text: waitingText,
    touches: onPoints,
    run: (kernel, me, { points, flags, timeline }) => {
      const known = timeline ? [...WAIT_FLAGS, 'WAIT_AVAILABLE'] : WAIT_FLAGS;
      if (flags.some((each) => !known.includes(each))) returns(kernel, me, '-EINVAL');
      else if (points.length === 0) returns(kernel, me, '0');
      else returns(kernel, me, objsOf(points).every((obj) => exists(kernel, obj)) ? 'go' : '-ENOENT');
    },
  },
);
const available = (flags: readonly string[]): boolean => flags.includes('WAIT_AVAILABLE');
const forSubmit = (flags: readonly string[]): boolean => available(flags) || flags.includes('WAIT_FOR_SUBMIT');

/** How the entries of a wait stand: which are done, and whether that is enough (SO-18, SO-19). */
function standing(
  kernel: KernelState,
  seen: readonly (string | null)[],
  flags: readonly string[],
): { enough: boolean; first: number } {
  const done = seen.map((fence) => fence !== null && (available(flags) || polls(kernel, fence)));
  const enough = flags.includes('WAIT_ALL') ? done.every(Boolean) : done.some(Boolean);
  return { enough, first: done.indexOf(true) };
}
/** Return from a wait that is over: the lowest index found done is `$first_signaled` (SO-19). */
function waited(kernel: KernelState, me: string, seen: readonly (string | null)[], first: number): void {
  vars(kernel, me)['first_signaled'] = `${first}`;
  answering(kernel, me, '0', () => {
    for (const fence of new Set(seen))
      if (fence !== null && pending(kernel, fence) && polls(kernel, fence)) signalFence(kernel, me, fence);
  });
}
const wait_begins = instruction(
  'wait_begins',
  (points: readonly Point[], flags: readonly string[], timeout: Patience) => ({ points, flags, timeout }),
  {
    text: waitingText,
    touches: onPoints,
    run: (kernel, me, { points, flags }) => {
      if (forSubmit(flags)) noneHeld(kernel, me, 'drm_syncobj_wait');
      const seen = points.map(([obj, point]) => materialised(kernel, obj, point));
      if (seen.includes(null) && !forSubmit(flags)) {
        returns(kernel, me, '-EINVAL');
        return;
      }
      const { enough, first } = standing(kernel, seen, flags);
      if (enough) {
        waited(kernel, me, seen, first);
        return;
      }
      for (const [at, [obj, point]] of points.entries()) enlist(kernel, me, obj, at, point, seen[at] ?? null);
      returns(kernel, me, 'wait');
    },
  },
);
const seenBy = (kernel: KernelState, me: string, points: readonly Point[]): (string | null)[] =>
  points.map(([obj], at) => entryOf(kernel, me, obj, at)?.fence ?? null);
/** The loop: polling alone is not enough, so every fence that is there is asked for its signal (SO-20..SO-22). */
const wait_sleeps = instruction(
  'wait_sleeps',
  (points: readonly Point[], flags: readonly string[], timeout: Patience) => ({ points, flags, timeout }),
  {
    text: waitingText,
    touches: onPoints,
    waits: (kernel, me, { points, flags, timeout }): Wait | undefined => {
      const seen = seenBy(kernel, me, points);
      const fences = seen.filter((fence) => fence !== null);
      if (standing(kernel, seen, flags).enough) return undefined;
      if (fences.some((fence) => pending(kernel, fence) && unarmed(kernel, fence))) return undefined;
      if (timeout === '0') return undefined;
      const how = { interruptible: 'interrupted', ...(timeout === 'some' ? { bounded: 'times out' } : {}) };
      const all = flags.includes('WAIT_ALL');
      const empty = points.filter((_point, at) => seen[at] === null).map(([obj]) => unsubmitted(obj));
      const lacking = [...new Set(fences.flatMap((fence) => missing(kernel, fence)))];
      const wait = owed(kernel, objsOf(points).join(all ? ' + ' : ' | '), lacking, all ? how : { any: true, ...how });
      const because = [...(lacking.length > 0 ? [wait.because] : []), ...empty].join(all ? ', and ' : ', or ');
      // User space may end a wait for any of them by submitting: then nobody in particular owes it.
      return { ...wait, on: 'syncobj', because, owedBy: !all && empty.length > 0 ? [] : wait.owedBy };
    },
    run: (kernel, me, { points, flags, timeout }, outcome) => {
      const seen = seenBy(kernel, me, points);
      const fences = seen.filter((fence) => fence !== null);
      const { enough, first } = standing(kernel, seen, flags);
      if (!enough && outcome === '' && armFirst(kernel, me, fences)) return;
      mightWait(kernel, me, available(flags) ? [] : fences, 'drm_syncobj_wait');
      leave(kernel, me, objsOf(points));
      if (enough) waited(kernel, me, seen, first);
      else returns(kernel, me, outcome === 'interrupted' ? '-ERESTARTSYS' : timeout === 'MAX' ? '-EINTR' : '-ETIME');
    },
  },
);
/** Deadlines are forwarded to what is there when the wait begins (SO-20). */
const hints = (points: readonly Point[], flags: readonly string[], deadline: string): Block =>
  flags.includes('WAIT_DEADLINE')
    ? points.map(([obj]) => [
        find_begins(obj, '0', '0'),
        set('hinted', 'ret'),
        if_var('hinted', ['-EINVAL', '-ENOENT'], [], [dma_fence_set_deadline('$hinted', deadline)]),
      ])
    : [];
const waiting = (
  points: readonly Point[],
  flags: readonly string[],
  timeout: Patience,
  timeline: boolean,
  deadline: string,
): Block => [
  wait_checks(points, flags, timeout, timeline),
  if_ret('go', [
    kmalloc('GFP_KERNEL', 'entries'),
    hints(points, flags, deadline),
    wait_begins(points, flags, timeout),
    if_ret('wait', [wait_sleeps(points, flags, timeout)]),
  ]),
];
/** WAIT on objects as a whole: ret '0' and `$first_signaled`, '-ETIME', '-EINVAL', '-ENOENT' or '-ERESTARTSYS' (SO-17..SO-25). */
export const drm_syncobj_wait = (
  objs: readonly string[],
  flags: readonly string[] = [],
  timeout: Patience = 'MAX',
  deadline = '0',
): Block =>
  waiting(
    objs.map((obj) => [obj, 0]),
    flags,
    timeout,
    false,
    deadline,
  );
/** TIMELINE_WAIT on points; WAIT_AVAILABLE ends when they exist. */
export const drm_syncobj_timeline_wait = (
  points: readonly Point[],
  flags: readonly string[] = [],
  timeout: Patience = 'MAX',
  deadline = '0',
): Block => waiting(points, flags, timeout, true, deadline);

/** TRANSFER a point to another object's point, or to a whole object with point 0 (SO-11). */
export const drm_syncobj_transfer = (to: Point, from: Point, flags = '0'): Block => [
  call('drm_syncobj_ioctl_transfer', {
    to: to[0],
    to_point: `${to[1]}`,
    from: from[0],
    from_point: `${from[1]}`,
    flags,
  }),
];
/** Export as a sync_file: a snapshot; what happens to the object later does not matter to it (SO-12). */
export const drm_syncobj_export_sync_file = (obj: string, file: string): Block => [
  call('drm_syncobj_ioctl_export', { obj, file }),
];
/** Import a sync_file's fence: replaces the fence, or adds a point (SO-12). */
export const drm_syncobj_import_sync_file = (obj: string, file: string, point: number | string = 0): Block => [
  call('drm_syncobj_ioctl_import', { obj, file, point: `${point}` }),
];
const handle_checks = instruction('handle_checks', (objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `drm_syncobj_find(${objs.join(', ')})`,
  run: (kernel, me, { objs }) => returns(kernel, me, refusal(kernel, objs) ?? '0'),
});

/** EVENTFD: without waiting, let an eventfd fire when the point exists, or when it is over (SO-26). */
export const drm_syncobj_eventfd = instruction(
  'drm_syncobj_eventfd',
  (obj: string, point: number, eventfd: string, flags: string = '0') => ({ obj, point, eventfd, flags }),
  {
    text: ({ obj, point, eventfd, flags }) => `DRM_IOCTL_SYNCOBJ_EVENTFD(${obj}, ${point}, ${eventfd}, ${flags})`,
    touches: ({ obj, eventfd }) => [...onObject(obj), ...(eventfd === BAD_FD ? [] : [['eventfds', eventfd] as const])],
    run: (kernel, me, { obj, point, eventfd, flags }) => {
      if (flags !== '0' && flags !== 'WAIT_AVAILABLE') returns(kernel, me, '-EINVAL');
      else if (!exists(kernel, obj)) returns(kernel, me, '-ENOENT');
      else if (!kernel.eventfds[eventfd]) returns(kernel, me, '-EINVAL');
      else {
        const fires = flags === '0' ? 'signaled' : 'available';
        const fence = materialised(kernel, obj, point);
        const row = rowOf(kernel, obj);
        if (fence === null) row.waiters = [...row.waiters, { who: eventfd, at: 0, point, fires, fence }];
        answering(kernel, me, '0', () => fence !== null && fire(kernel, me, eventfd, fires, fence));
      }
    },
  },
);
const syncobj_eventfd_fires = instruction('syncobj_eventfd_fires', (eventfd: string) => ({ eventfd }), {
  text: ({ eventfd }) => `eventfd_signal(${eventfd})`,
  touches: ({ eventfd }) => [['eventfds', eventfd]],
  run: (kernel, _me, { eventfd }) => {
    (kernel.eventfds[eventfd] as { fired: boolean }).fired = true;
  },
});

const errors = ['-EINVAL', '-ENOENT', '-ETIME', '-ERESTARTSYS'];
const add_what_was_found: Block = [
  dma_fence_chain_alloc(),
  set('node', 'ret'),
  if_var('node', 'NULL', [return_('-ENOMEM')]),
];
export const syncobj: KernelObject = {
  schema: fields,
  ops: [
    drm_syncobj_replace_fence,
    drm_syncobj_add_point,
    drm_syncobj_create,
    drm_syncobj_destroy,
    drm_syncobj_reset,
    syncobj_signals,
    timeline_signals,
    drm_syncobj_query,
    find_begins,
    find_sleeps,
    wait_checks,
    wait_begins,
    wait_sleeps,
    handle_checks,
    drm_syncobj_eventfd,
    syncobj_eventfd_fires,
  ],
  routines: {
    syncobj_eventfd_fires: [syncobj_eventfd_fires('$eventfd')],
    drm_syncobj_ioctl_transfer: [
      handle_checks(['$to']),
      if_ret(errors, [return_('ret')]),
      drm_syncobj_find_fence('$from', '$from_point', '$flags'),
      if_ret(errors, [return_('ret')]),
      set('found', 'ret'),
      if_var('to_point', '0', [drm_syncobj_replace_fence('$to', '$found'), return_('0')]),
      // No chain may end up as the payload of a node, so what was found is flattened first.
      dma_fence_unwrap_merge('$found'),
      set('flat', 'ret'),
      if_var('flat', 'NULL', [return_('-ENOMEM')]),
      add_what_was_found,
      drm_syncobj_add_point('$to', '$node', '$flat', '$to_point'),
      return_('0'),
    ],
    drm_syncobj_ioctl_export: [
      drm_syncobj_find_fence('$obj'),
      if_ret(errors, [return_('ret')]),
      set('found', 'ret'),
      sync_file_create('$file', '$found'),
      fd_install('$file'),
      return_('0'),
    ],
    drm_syncobj_ioctl_import: [
      handle_checks(['$obj']),
      if_ret(errors, [return_('ret')]),
      sync_file_fence('$file'),
      set('found', 'ret'),
      if_var('found', 'NULL', [return_('-EINVAL')]),
      if_var('point', '0', [drm_syncobj_replace_fence('$obj', '$found'), return_('0')]),
      add_what_was_found,
      drm_syncobj_add_point('$obj', '$node', '$found', '$point'),
      return_('0'),
    ],
  },
};
