/**
 * The wait ioctls: for any or all of several objects or points, until they are submitted or until they are over
 * (drivers/gpu/drm/drm_syncobj.c; SO-17..SO-25).
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  instruction,
  returns,
} from '../machine.ts';
import { missing, polls } from './fence-container.ts';
import { dma_fence_set_deadline } from './fence-deadline.ts';
import { owed, pending, signalFence, unarmed } from './fence.ts';
import { answering } from './fence-signal.ts';
import { armFirst } from './fence-callback.ts';
import { mightWait } from './fence-wait.ts';
import { if_ret, if_var, set } from './flow.ts';
import { kmalloc } from './memory.ts';
import { delist, enlist, entryOf, find_begins, noneHeld, unsubmitted } from './syncobj-find.ts';
import { type Point, objsOf } from './syncobj-timeline.ts';
import { handleExists, materialised, onSyncobj } from './syncobj.ts';

const vars = (kernel: KernelState, me: string): Record<string, string> =>
  ((kernel.threads[me] as Thread).frames.at(-1) as Frame).vars;

export type Patience = '0' | 'some' | 'MAX';
const WAIT_FLAGS = ['WAIT_ALL', 'WAIT_FOR_SUBMIT', 'WAIT_DEADLINE'];
type Waiting = {
  readonly points: readonly Point[];
  readonly flags: readonly string[];
  readonly timeout: Patience;
};
const waitingText = ({ points, flags, timeout }: Waiting): string =>
  `DRM_IOCTL_SYNCOBJ_WAIT({ ${points.map(([obj, point]) => (point === 0 ? obj : `${obj}@${point}`)).join(', ')} }, ${[...flags, timeout].join(', ')})`;
const onPoints = ({ points }: Waiting): (readonly [string, string])[] => onSyncobj(...objsOf(points));

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
      else returns(kernel, me, objsOf(points).every((obj) => handleExists(kernel, obj)) ? 'go' : '-ENOENT');
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
      delist(kernel, me, objsOf(points));
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

export const syncobjWait: KernelObject = { ops: [wait_checks, wait_begins, wait_sleeps] };
