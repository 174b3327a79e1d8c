/**
 * The invalidations that are under way in an address space, and the intervals that drivers watch in it
 * (mm/mmu_notifier.c; rules A10.1, A10.4, A10.10, N-6, N-7).
 *
 * The sequence numbers would grow for ever, so they are reduced to the comparisons that the kernel makes with them. The
 * one of the address space is odd or even. The one of a subscription equals that odd one, then its interval is
 * `invalidating`; or it equals what some threads read when they began, its `readers`. Opt in: a range that names no
 * address space has its notifier called, and nobody counts or waits for it.
 */
import type { KernelState, Wait } from '../machine.ts';
import { type Kept, constant, fixedName, flag, oneOf, table, whole } from '../schema.ts';
import { MMAP_LOCK } from './context.ts';

/** A range between the start and the end of its invalidation, and who runs it. */
interface Invalidation {
  readonly range: string;
  readonly by: string;
  /** Its start has returned, its end has not: the page tables change (A9.2). */
  readonly started?: true;
}
export const fields = {
  /** Pages of processes that reclaim may unmap; the notifier is called before and after they change (A9.2). */
  ranges: table({
    invalidate: fixedName('routines'),
    invalidate_end: fixedName('routines'),
    /** The address space it is part of, where one is kept book of. */
    mm: fixedName('mms'),
    /** How a page of it gets to swap, which happens inside reclaim: ret '0' when it has (A7.1). Clean pages need nothing. */
    pageout: fixedName('routines'),
  }),
  mms: table({
    mmap_lock: constant<string>(MMAP_LOCK),
    invalidations: whole<readonly Invalidation[]>([]),
    /** Some interval is being invalidated, or was until the last of these invalidations ends (A10.1, A10.4). */
    odd: flag,
    /** The book-keeping of subscriptions exists: the first insertion allocates it (A10.11). */
    subscribed: flag,
  }),
  interval_notifiers: table({
    range: fixedName('ranges'),
    /** Answers '-EAGAIN' when it may not sleep and would have to (A10.2, A10.3). */
    invalidate: fixedName('routines'),
    /** The second pass, after the first one of every subscription (A10.13); none in older kernels. */
    finish: fixedName('routines'),
    /** The driver's update lock: the callback takes it before it sets the sequence (A10.2). */
    lock: fixedName('locks'),
    /** While intervals are being invalidated the tree does not change: it does at the end (A10.10, N-7). */
    state: oneOf('inserted', 'removed', 'to be inserted', 'to be removed'),
    /** Its sequence equals the odd one of the address space (A10.5). */
    invalidating: flag,
    /** Threads that read the sequence which the subscription still has (A10.7). */
    readers: whole<readonly string[]>([]),
    /** Threads in read_begin that wait for the sequence of the address space to change, and those for which it has. */
    sleeping: whole<readonly string[]>([]),
    woken: whole<readonly string[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
export type Mm = Kept<typeof fields>['mms'][string];
export type Interval = Kept<typeof fields>['interval_notifiers'][string];

/** The address space of a range; nothing where none is kept book of. */
export const mmOf = (kernel: KernelState, range: string): Mm | undefined => kernel.mms[kernel.ranges[range]?.mm ?? ''];
/** The address space that a subscription watches. @throws when its range names none. */
export function watched(kernel: KernelState, userptr: string): Mm {
  const range = kernel.interval_notifiers[userptr]?.range ?? '';
  const mm = mmOf(kernel, range);
  if (!mm)
    throw new Error(
      `interval_notifiers.${userptr} watches "${range}", which names no mm; there are: ${Object.keys(kernel.mms).join(', ') || 'none'}`,
    );
  return mm;
}
/** The subscriptions that watch some range of the address space of this one. */
const subscriptionsBeside = (kernel: KernelState, range: string): Interval[] =>
  Object.values(kernel.interval_notifiers).filter((row) => kernel.ranges[row.range]?.mm === kernel.ranges[range]?.mm);
export const isInTree = ({ state }: Interval): boolean => state === 'inserted' || state === 'to be removed';

const text = ({ range, by }: Invalidation): string => `${range} ${by}`;
/** From here on this range is being invalidated by `me`: the subscriptions that must hear of it. */
export function invalidationStarts(kernel: KernelState, me: string, range: string): string[] {
  const mm = mmOf(kernel, range);
  if (!mm) return [];
  mm.invalidations = [...mm.invalidations, { range, by: me }].sort((a, b) => (text(a) < text(b) ? -1 : 1));
  const overlapping = Object.entries(kernel.interval_notifiers).flatMap(([userptr, row]) =>
    row.range === range && isInTree(row) ? [userptr] : [],
  );
  if (overlapping.length > 0) mm.odd = true;
  return overlapping;
}
/** Its start has returned: what a walk of the page tables finds from here to the end may be gone at once. */
export function invalidationStarted(kernel: KernelState, me: string, range: string): void {
  const mm = mmOf(kernel, range);
  if (mm)
    mm.invalidations = mm.invalidations.map((each) =>
      each.range === range && each.by === me ? { ...each, started: true } : each,
    );
}
/** The last one to end makes the sequence even: readers wake, and what was put off is done (A10.4). */
export function invalidationEnds(kernel: KernelState, me: string, range: string): void {
  const mm = mmOf(kernel, range);
  const at = mm?.invalidations.findIndex((each) => each.range === range && each.by === me) ?? -1;
  if (!mm || at < 0) return;
  mm.invalidations = mm.invalidations.toSpliced(at, 1);
  if (mm.invalidations.length > 0 || !mm.odd) return;
  mm.odd = false;
  for (const row of subscriptionsBeside(kernel, range)) {
    row.invalidating = false;
    row.woken = [...row.woken, ...row.sleeping].sort();
    row.sleeping = [];
    if (row.state === 'to be inserted') row.state = 'inserted';
    if (row.state === 'to be removed') row.state = 'removed';
  }
}
/** Why a thread that needs an even sequence must wait: every invalidation of the address space has to end first. */
export function invalidationsWait(mm: Mm, object: string): Wait {
  const owedBy = [...new Set(mm.invalidations.map(({ by }) => by))].sort();
  const running = mm.invalidations.map(({ range, by }) => `${by} is invalidating ${range}`);
  return { on: 'invalidation', object, owedBy, because: [...new Set(running)].join(', and ') };
}
/** Are the page tables of this range changing? Until the start has returned they stay as they are (S-A5). */
export const arePagesGoing = (kernel: KernelState, range: string): boolean =>
  mmOf(kernel, range)?.invalidations.some((each) => each.range === range && each.started) ?? false;
