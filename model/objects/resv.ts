/**
 * dma_resv: the reservation lock of a buffer, and the fences that stand on it (drivers/dma-buf/dma-resv.c; R-1..R-8).
 *
 * The lock is a ww_mutex of a wait-die class (W-4; ww-lock.ts). The fences stand in slots, in the order in which they
 * came: that order decides which slot the next one overwrites, and which fence a waiter asks first. This is the kernel
 * with its checks on: capacity beyond what is used does not outlive the lock. How fences come to a reservation is
 * in resv-fences.ts, how they are looked at in resv-iter.ts and resv-copy.ts, and how they are waited for in resv-wait.ts.
 */
import { type KernelObject, type KernelState, complain, instruction } from '../machine.ts';
import { type Kept, int, table, whole } from '../schema.ts';
import { RESV, holds, probe } from './context.ts';
import { putFence } from './fence-release.ts';
import { PAST, fenceRow } from './fence.ts';
import {
  type Context,
  type Taking,
  interruptible,
  lockStep,
  lockWait,
  slowPath,
  tryStep,
  unlockStep,
} from './ww-lock.ts';
import { RESERVATION, lockFields } from './ww-ticket.ts';

/** Strongest first: a query for one usage returns it and all stronger ones (include/linux/dma-resv.h). */
export const USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
export type Usage = (typeof USAGES)[number];
export interface ResvFence {
  readonly fence: string;
  readonly usage: Usage;
}
/** An iteration without the lock that is under way: whose, in which frame, and whether its list was replaced. */
export interface Iteration {
  readonly by: string;
  readonly frame: number;
  readonly stale: boolean;
}

const MOST_SLOTS = 255;
const fields = {
  resvs: table({
    ...lockFields,
    /** Slots that were promised and are not filled yet. */
    reserved: int(MOST_SLOTS),
    /** Slots that the list has, filled ones among them; may be more than were promised. */
    max: int(MOST_SLOTS),
    fences: whole<readonly ResvFence[]>([]),
    iterations: whole<readonly Iteration[]>([]),
  }),
};
type ResvRow = Kept<typeof fields>['resvs'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

export const resvRow = (kernel: KernelState, resv: string): ResvRow => kernel.resvs[resv] as ResvRow;
export const onResv = ({ resv }: { resv: string }): [['resvs', string]] => [['resvs', resv]];
export const rank = (usage: Usage): number => USAGES.indexOf(usage);

/** Has what stands in this slot yet to signal? */
export const standing = (kernel: KernelState, fence: string): boolean => {
  if (fence === PAST) return false;
  const { published, signaled } = fenceRow(kernel, fence);
  return published && !signaled;
};
/** A slot holds a reference; they are counted for fences that have a row for it. */
export const getFence = (kernel: KernelState, fence: string): void => {
  const references = kernel.fence_refs[fence];
  if (references) references.count += 1;
};
export const putSlot = (kernel: KernelState, me: string, { fence }: ResvFence): void => {
  if (kernel.fence_refs[fence]) putFence(kernel, me, fence);
};
export const matches = (usage: Usage, slot: ResvFence): boolean => rank(slot.usage) <= rank(usage);

/** Fences of this usage and stronger that have not signalled, in the order of their slots. */
export const pendingFences = (kernel: KernelState, resv: string, usage: Usage): string[] => [
  ...new Set(
    resvRow(kernel, resv)
      .fences.filter((slot) => matches(usage, slot) && standing(kernel, slot.fence))
      .map((slot) => slot.fence),
  ),
];

const how = (resv: string, ctx: Context): Taking => ({ lock: resv, class: RESERVATION, ctx });
const shown = (ctx: Context): string => (ctx === 'ticket' ? '&ticket' : 'NULL');
/**
 * Lock: with the ticket ret is '0', '-EALREADY', or '-EDEADLK' when an older transaction has it (W-10..W-16); without
 * one it is a plain mutex, and only one such lock may be held at a time (R-5, W-9, W-12).
 */
export const dma_resv_lock = instruction('dma_resv_lock', (resv: string, ctx: Context = 'NULL') => ({ resv, ctx }), {
  text: ({ resv, ctx }) => `dma_resv_lock(${resv}->resv, ${shown(ctx)})`,
  strong: true,
  touches: onResv,
  waits: (kernel, me, { resv, ctx }) => lockWait(kernel, me, how(resv, ctx), 'resv'),
  run: (kernel, me, { resv, ctx }) => lockStep(kernel, me, how(resv, ctx), 'dma_resv_lock', ''),
});

/** The same, but a signal to the process ends the wait: ret '-EINTR'. */
export const dma_resv_lock_interruptible = instruction(
  'dma_resv_lock_interruptible',
  (resv: string, ctx: Context = 'NULL') => ({ resv, ctx }),
  {
    text: ({ resv, ctx }) => `dma_resv_lock_interruptible(${resv}->resv, ${shown(ctx)})`,
    strong: true,
    touches: onResv,
    waits: (kernel, me, { resv, ctx }) => interruptible(lockWait(kernel, me, how(resv, ctx), 'resv')),
    run: (kernel, me, { resv, ctx }, outcome) =>
      lockStep(kernel, me, how(resv, ctx), 'dma_resv_lock_interruptible', outcome),
  },
);

/** The slow path after -EDEADLK: wait for the contended lock holding nothing, so it never dies (W-24, W-25). */
export const dma_resv_lock_slow = instruction('dma_resv_lock_slow', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_lock_slow(${resv}->resv, &ticket)`,
  strong: true,
  touches: onResv,
  waits: (kernel, me, { resv }) => lockWait(kernel, me, how(resv, 'ticket'), 'resv'),
  run: (kernel, me, { resv }) => {
    slowPath(kernel, me, how(resv, 'ticket'));
    lockStep(kernel, me, how(resv, 'ticket'), 'dma_resv_lock_slow', '');
  },
});
/** The same, but a signal to the process ends the wait: ret '-EINTR'. */
export const dma_resv_lock_slow_interruptible = instruction(
  'dma_resv_lock_slow_interruptible',
  (resv: string) => ({ resv }),
  {
    text: ({ resv }) => `dma_resv_lock_slow_interruptible(${resv}->resv, &ticket)`,
    strong: true,
    touches: onResv,
    waits: (kernel, me, { resv }) => interruptible(lockWait(kernel, me, how(resv, 'ticket'), 'resv')),
    run: (kernel, me, { resv }, outcome) => {
      slowPath(kernel, me, how(resv, 'ticket'));
      lockStep(kernel, me, how(resv, 'ticket'), 'dma_resv_lock_slow_interruptible', outcome);
    },
  },
);

/** Take it if it is free: ret '1' or '0'; the only form allowed in reclaim (R-7, W-22). */
export const dma_resv_trylock = instruction('dma_resv_trylock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_trylock(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { resv }) => tryStep(kernel, me, how(resv, 'NULL')),
});

export const dma_resv_unlock = instruction('dma_resv_unlock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_unlock(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { resv }) => {
    if (!unlockStep(kernel, me, RESERVATION, resv, `the reservation of ${resv}`)) return;
    const row = resvRow(kernel, resv);
    Object.assign(row, { reserved: 0, max: row.fences.length }); // a reservation dies with the lock
  },
});

export const mustHold = (kernel: KernelState, me: string, resv: string, call: string, rule: string): boolean => {
  if (holds(kernel, me, resv)) return true;
  complain(kernel, me, rule, `${call} without holding the reservation of ${resv}`);
  return false;
};

/** The list is another one from here on: whoever iterates without the lock begins again. */
export function replaceList(row: ResvRow, fences: readonly ResvFence[], max: number): void {
  Object.assign(row, { fences, max });
  if (row.iterations.some(({ stale }) => !stale))
    row.iterations = row.iterations.map((each) => ({ ...each, stale: true }));
}

/** Say to lockdep that the reservation may be locked here (begin_cpu_access and friends, L-16). */
export const might_lock_resv = instruction('might_lock_resv', (resv: string) => ({ resv }), {
  text: ({ resv }) => `might_lock(&${resv}->resv->lock)`,
  local: true,
  touches: onResv,
  run: (kernel, me, { resv }) =>
    probe(kernel, me, { object: resv, class: RESV, kind: 'lock', mode: 'exclusive', try: false }),
});

export const resv: KernelObject = {
  schema: fields,
  ops: [
    dma_resv_lock,
    dma_resv_lock_interruptible,
    dma_resv_lock_slow,
    dma_resv_lock_slow_interruptible,
    dma_resv_trylock,
    dma_resv_unlock,
    might_lock_resv,
  ],
  leftovers: (kernel) =>
    Object.keys(kernel.resvs).flatMap((each) => {
      const { owner, iterations } = resvRow(kernel, each);
      return [
        ...(owner === null ? [] : [`${owner} still holds the reservation of ${each}`]),
        ...iterations.map(({ by }) => `${by} has not ended its iteration over ${each}`),
      ];
    }),
};
