/**
 * dma_resv: the reservation lock of a buffer, and the fences that stand on it (drivers/dma-buf/dma-resv.c; R-1..R-35).
 *
 * The lock is a ww_mutex of a wait-die class (W-4; ww-mutex.ts). The fences stand in slots, in the order in which they
 * came: that order decides which slot the next one overwrites, and which fence a waiter asks first. This is the kernel
 * with its checks on: capacity beyond what is used does not outlive the lock (R-6).
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
  stay,
} from '../machine.ts';
import { type Kept, int, table, whole } from '../schema.ts';
import { RESV, holds, might_sleep, probe } from './context.ts';
import { PAST, armFirst, contextOf, fenceRow, fencesWait, mightWait, publish, seqnoOf } from './fence.ts';
import { arrayInit, freeArray } from './fence-array.ts';
import { isContainer } from './fence-container.ts';
import { dma_fence_set_deadline } from './fence-deadline.ts';
import { putFence } from './fence-release.ts';
import { if_ret, quietly_if_ret, while_var } from './flow.ts';
import { kmalloc } from './memory.ts';
import { newer } from './version.ts';
import {
  type Context,
  RESERVATION,
  type Taking,
  interruptible,
  lockFields,
  lockStep,
  lockWait,
  slowPath,
  tryStep,
  unlockStep,
} from './ww-mutex.ts';

/** Strongest first: a query for one usage returns it and all stronger ones (include/linux/dma-resv.h). */
export const USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
export type Usage = (typeof USAGES)[number];
export interface ResvFence {
  readonly fence: string;
  readonly usage: Usage;
}
/** An iteration without the lock that is under way: whose, in which frame, and whether its list was replaced (R-27). */
interface Iteration {
  readonly by: string;
  readonly frame: number;
  readonly stale: boolean;
}

/** Fence slots that can be asked for at once; more is a design that never adds what it reserves. */
const MOST_ASKED = 16;
const MOST_SLOTS = 255;
const fields = {
  resvs: table({
    ...lockFields,
    /** Slots that were promised and are not filled yet (R-9). */
    reserved: int(MOST_SLOTS),
    /** Slots that the list has, filled ones among them; may be more than were promised (R-11). */
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
const onResv = ({ resv }: { resv: string }): [['resvs', string]] => [['resvs', resv]];
const rank = (usage: Usage): number => USAGES.indexOf(usage);
const complain = (kernel: KernelState, me: string, rule: string, what: string): void =>
  note(kernel, me, { kind: 'misuse', rule, what });

/** Has what stands in this slot yet to signal? */
const standing = (kernel: KernelState, fence: string): boolean => {
  if (fence === PAST) return false;
  const { published, signaled } = fenceRow(kernel, fence);
  return published && !signaled;
};
/** A slot holds a reference (R-12); they are counted for fences that have a row for it. */
const getFence = (kernel: KernelState, fence: string): void => {
  const references = kernel.fence_refs[fence];
  if (references) references.count += 1;
};
const putSlot = (kernel: KernelState, me: string, { fence }: ResvFence): void => {
  if (kernel.fence_refs[fence]) putFence(kernel, me, fence);
};
const matches = (usage: Usage, slot: ResvFence): boolean => rank(slot.usage) <= rank(usage);

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
    Object.assign(row, { reserved: 0, max: row.fences.length }); // R-6, R-9: a reservation dies with the lock
  },
});

const mustHold = (kernel: KernelState, me: string, resv: string, call: string, rule: string): boolean => {
  if (holds(kernel, me, resv)) return true;
  complain(kernel, me, rule, `${call} without holding the reservation of ${resv}`);
  return false;
};

/** Bytes before the slots of a list, bytes of a slot, and the sizes that kmalloc has (drivers/dma-buf/dma-resv.c, mm/slab_common.c). */
const HEADER = 24;
const SLOT = 8;
const SIZES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096];
/** The slots that a list has when this many are asked for: all that fit into what the allocator gives (R-11). */
export const listOf = (slots: number): number =>
  ((SIZES.find((size) => size >= HEADER + slots * SLOT) as number) - HEADER) / SLOT;
/** The slots of the list that grows because n more are wanted: at least twice as many, and no less than four (R-11). */
export const grown = (num: number, max: number, n: number): number =>
  listOf(max > 0 ? Math.max(num + n, 2 * max) : Math.max(4, 2 ** Math.ceil(Math.log2(n))));

/** The list is another one from here on: whoever iterates without the lock begins again (R-27). */
function replaceList(row: ResvRow, fences: readonly ResvFence[], max: number): void {
  Object.assign(row, { fences, max });
  if (row.iterations.some(({ stale }) => !stale))
    row.iterations = row.iterations.map((each) => ({ ...each, stale: true }));
}

const reserve_check = instruction('dma_resv_reserve_check', (resv: string, n: number | string) => ({ resv, n }), {
  text: () => '',
  local: true,
  touches: onResv,
  run: (kernel, me, { resv, n: asked }) => {
    const n = Number(asked);
    const row = resvRow(kernel, resv);
    const held = mustHold(kernel, me, resv, 'dma_resv_reserve_fences', 'R-9');
    const refuses = n === 0 && newer(kernel, 'resv_reserve_zero');
    if (refuses) complain(kernel, me, 'R-10', `${me} reserves no slot at all on ${resv}`);
    const fits = held && row.fences.length + n <= row.max;
    if (fits && n > row.reserved) row.reserved = n;
    returns(kernel, me, refuses ? '-EINVAL' : fits || n === 0 ? '0' : 'grow');
  },
});
const dma_resv_reserve_slots = instruction(
  'dma_resv_reserve_slots',
  (resv: string, n: number | string) => ({ resv, n }),
  {
    text: ({ resv, n }) => `dma_resv_reserve_fences(${resv}->resv, ${n})`,
    touches: onResv,
    run: (kernel, me, { resv, n: asked }) => {
      const n = Number(asked);
      const row = resvRow(kernel, resv);
      if (holds(kernel, me, resv)) {
        const max = grown(row.fences.length, row.max, n);
        replaceList(
          row,
          row.fences.filter(({ fence }) => standing(kernel, fence)),
          max,
        );
        row.reserved = n;
      }
      returns(kernel, me, '0');
    },
  },
);

/**
 * Guarantee n free slots, counted from now, not on top of earlier ones: ret '0', or '-ENOMEM'. A list that is full
 * grows, and the allocation is GFP_KERNEL; what has signalled is not copied (R-9..R-11).
 */
export function dma_resv_reserve_fences(resv: string, n: number | `$${string}` = 1): Block {
  if (typeof n === 'number' && n > MOST_ASKED)
    throw new Error(`dma_resv_reserve_fences(${resv}, ${n}): at most ${MOST_ASKED} can be asked for`);
  return [
    reserve_check(resv, n),
    quietly_if_ret('grow', [
      kmalloc('GFP_KERNEL', `${resv.replace('$', '')}->resv->slots`),
      quietly_if_ret('0', [dma_resv_reserve_slots(resv, n)]),
    ]),
  ];
}

/** May the fence take the slot of this one (R-12, R-15, R-17)? */
function supersedes(kernel: KernelState, fence: string, usage: Usage, old: ResvFence): boolean {
  if (!standing(kernel, old.fence)) return true;
  const sameContext = contextOf(kernel, old.fence) === contextOf(kernel, fence);
  if (!sameContext || rank(old.usage) < rank(usage)) return false;
  const later = seqnoOf(kernel, fence) - seqnoOf(kernel, old.fence);
  return later > 0 || (later === 0 && newer(kernel, 'resv_add_same_fence'));
}

/** Put a fence on the buffer: cannot fail, needs the lock and a slot, and publishes the fence (R-12..R-16, F-9). */
export const dma_resv_add_fence = instruction(
  'dma_resv_add_fence',
  (resv: string, fence: string, usage: Usage) => ({ resv, fence, usage }),
  {
    text: ({ resv, fence, usage }) => `dma_resv_add_fence(${resv}->resv, ${fence}, ${usage})`,
    touches: ({ resv, fence }) => [
      ['resvs', resv],
      ['fences', fence],
    ],
    run: (kernel, me, { resv, fence, usage }) => {
      mustHold(kernel, me, resv, 'dma_resv_add_fence', 'R-12');
      if (isContainer(kernel, fence))
        complain(
          kernel,
          me,
          'R-14',
          `${me} puts ${fence} on ${resv}, which stands for other fences: add each of those`,
        );
      addFence(kernel, me, resv, fence, usage);
      publish(kernel, me, fence);
    },
  },
);
export function addFence(kernel: KernelState, me: string, resv: string, fence: string, usage: Usage): void {
  const row = resvRow(kernel, resv);
  const slot = { fence, usage };
  const at = row.fences.findIndex((old) => supersedes(kernel, fence, usage, old));
  if (at >= 0) {
    const old = row.fences[at] as ResvFence;
    getFence(kernel, fence);
    row.fences = row.fences.with(at, slot); // R-16: one slot only
    putSlot(kernel, me, old);
    return;
  }
  if (row.fences.length >= row.max) {
    complain(kernel, me, 'R-13', `dma_resv_add_fence on ${resv} without a reserved slot`);
    return;
  }
  if (row.reserved === 0)
    complain(kernel, me, 'R-9', `${me} adds more fences to ${resv} than it reserved slots; it fits by luck`);
  else row.reserved -= 1;
  getFence(kernel, fence);
  row.fences = [...row.fences, slot];
}

/** Replace every fence of a context by another; legal only if the old work can no longer touch the memory (R-19, R-20). */
export const dma_resv_replace_fences = instruction(
  'dma_resv_replace_fences',
  (resv: string, context: string, fence: string, usage: Usage) => ({ resv, context, fence, usage }),
  {
    text: ({ resv, context, fence, usage }) => `dma_resv_replace_fences(${resv}->resv, ${context}, ${fence}, ${usage})`,
    touches: ({ resv, fence }) => [
      ['resvs', resv],
      ['fences', fence],
    ],
    run: (kernel, me, { resv, context, fence, usage }) => {
      mustHold(kernel, me, resv, 'dma_resv_replace_fences', 'R-19');
      const row = resvRow(kernel, resv);
      const theirs = (slot: ResvFence): boolean => slot.fence !== PAST && contextOf(kernel, slot.fence) === context;
      const replaced = row.fences.filter(theirs);
      if (replaced.length === 0) return;
      row.fences = row.fences.map((slot) => (theirs(slot) ? { fence, usage } : slot));
      publish(kernel, me, fence);
      for (const slot of replaced) {
        getFence(kernel, fence);
        putSlot(kernel, me, slot);
      }
    },
  },
);

const copy_slots = instruction('dma_resv_copy_slots', (to: string, from: string) => ({ to, from }), {
  text: ({ to, from }) => `dma_resv_copy_fences(${to}->resv, ${from}->resv)`,
  touches: ({ to, from }) => [
    ['resvs', to],
    ['resvs', from],
  ],
  run: (kernel, me, { to, from }) => {
    mustHold(kernel, me, to, 'dma_resv_copy_fences', 'R-21');
    const copied = resvRow(kernel, from).fences.filter(({ fence }) => standing(kernel, fence));
    const lost = pendingFences(kernel, to, 'BOOKKEEP').filter((fence) => !copied.some((slot) => slot.fence === fence));
    if (lost.length > 0)
      complain(kernel, me, 'R-21', `${me} copies over ${lost.join(', ')} on ${to}, which nobody can wait for any more`);
    const max = copied.length > 0 ? listOf(resvRow(kernel, from).fences.length) : 0;
    const before = resvRow(kernel, to).fences;
    replaceList(resvRow(kernel, to), copied, max);
    resvRow(kernel, to).reserved = 0;
    returns(kernel, me, '0');
    for (const { fence } of copied) getFence(kernel, fence);
    for (const slot of before) putSlot(kernel, me, slot);
  },
});
/** Give `to` the unsignalled fences of `from`, whose lock is not needed; what stood on `to` is gone (R-21). ret '0' or '-ENOMEM'. */
export const dma_resv_copy_fences = (to: string, from: string): Block => [
  kmalloc('GFP_KERNEL', `${to.replace('$', '')}->resv->slots`),
  if_ret('0', [copy_slots(to, from)]),
];

/** Where an iteration is: the slot after the one it is at, and the slots that it saw when it (re)started (R-29). */
interface Cursor {
  readonly at: number;
  readonly num: number;
  readonly fence: string;
}
const frameOf = (kernel: KernelState, me: string): Frame => (kernel.threads[me] as Thread).frames.at(-1) as Frame;
const depthOf = (kernel: KernelState, me: string): number => (kernel.threads[me] as Thread).frames.length;
function cursorOf(kernel: KernelState, me: string, variable: string): Cursor | undefined {
  const [at, num, fence] = frameOf(kernel, me).vars[variable]?.split(' ') ?? [];
  return fence === undefined ? undefined : { at: Number(at), num: Number(num), fence };
}
const mine =
  (kernel: KernelState, me: string) =>
  (each: Iteration): boolean =>
    each.by === me && each.frame === depthOf(kernel, me);

/**
 * One step of an iteration without the lock: the next unsignalled slot of this usage, or nothing. A list that was
 * replaced meanwhile begins again from its first slot (R-27..R-29). Who holds the lock need not be told of that.
 */
function walk(
  kernel: KernelState,
  me: string,
  resv: string,
  usage: Usage,
  from: Cursor | undefined,
): { cursor: Cursor; slot: ResvFence; restarted: boolean } | undefined {
  const row = resvRow(kernel, resv);
  const registered = row.iterations.find(mine(kernel, me));
  const restarted = from === undefined || registered?.stale === true;
  const num = restarted ? row.fences.length : Math.min(from.num, row.fences.length);
  const at = row.fences.findIndex(
    (slot, place) =>
      place >= (restarted ? 0 : from.at) && place < num && matches(usage, slot) && standing(kernel, slot.fence),
  );
  const slot = row.fences[at];
  const others = registered ? row.iterations.filter((each) => each !== registered) : row.iterations;
  if (slot && !holds(kernel, me, resv)) {
    if (!registered || registered.stale)
      row.iterations = [...others, { by: me, frame: depthOf(kernel, me), stale: false }].sort((a, b) =>
        a.by === b.by ? a.frame - b.frame : a.by < b.by ? -1 : 1,
      );
  } else if (registered) row.iterations = others;
  return slot && { cursor: { at: at + 1, num, fence: slot.fence }, slot, restarted };
}
/** Leave an iteration early: nobody needs to tell it anything any more (dma_resv_iter_end). */
function endWalk(kernel: KernelState, me: string, resv: string): void {
  const row = resvRow(kernel, resv);
  if (row.iterations.some(mine(kernel, me))) row.iterations = row.iterations.filter((each) => !mine(kernel, me)(each));
}
const spelled = ({ at, num, fence }: Cursor): string => `${at} ${num} ${fence}`;

/** Set or clear what the loop body may ask of the slot it is at. */
function setLoop(
  kernel: KernelState,
  me: string,
  variable: string,
  found: { cursor: Cursor; slot: ResvFence; restarted: boolean } | undefined,
): void {
  const { vars } = frameOf(kernel, me);
  if (found) {
    vars[variable] = found.slot.fence;
    vars[`${variable}.usage`] = found.slot.usage;
    vars[`${variable}.restarted`] = String(found.restarted);
    vars[`${variable}.cursor`] = spelled(found.cursor);
  } else for (const name of ['', '.usage', '.restarted', '.cursor']) delete vars[variable + name];
}
const iter_unlocked = instruction(
  'dma_resv_iter_unlocked',
  (resv: string, usage: Usage, variable: string) => ({ resv, usage, variable }),
  {
    text: ({ resv, usage, variable }) => `${variable} = dma_resv_iter_next_unlocked(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, variable }) =>
      setLoop(kernel, me, variable, walk(kernel, me, resv, usage, cursorOf(kernel, me, `${variable}.cursor`))),
  },
);
const iter_locked = instruction(
  'dma_resv_iter_locked',
  (resv: string, usage: Usage, variable: string) => ({ resv, usage, variable }),
  {
    text: ({ resv, usage, variable }) => `${variable} = dma_resv_iter_next(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, variable }) => {
      mustHold(kernel, me, resv, 'dma_resv_for_each_fence', 'R-26');
      const from = cursorOf(kernel, me, `${variable}.cursor`);
      const { fences } = resvRow(kernel, resv);
      const at = fences.findIndex(
        (slot, place) => place >= (from?.at ?? 0) && slot.fence !== PAST && matches(usage, slot),
      );
      const slot = fences[at];
      const cursor = { at: at + 1, num: fences.length, fence: slot?.fence ?? '' };
      setLoop(kernel, me, variable, slot && { cursor, slot, restarted: from === undefined });
    },
  },
);
const loop = (next: Block, variable: string, body: Block): Block => [
  next,
  while_var(`${variable}.restarted`, ['true', 'false'], [body, next]),
];
/**
 * Every slot of this usage and stronger, signalled ones too; the lock must be held all the time (R-26). In the body
 * '$fence' is the fence, '$fence.usage' its usage and 'fence.restarted' says 'true' the first time round.
 */
export const dma_resv_for_each_fence = (resv: string, usage: Usage, variable: string, body: Block): Block =>
  loop([iter_locked(resv, usage, variable)], variable, body);
/** Every unsignalled one, without the lock: the body may sleep, and must begin anew when 'fence.restarted' is 'true' (R-27). */
export const dma_resv_for_each_fence_unlocked = (resv: string, usage: Usage, variable: string, body: Block): Block =>
  loop([iter_unlocked(resv, usage, variable)], variable, body);
/** Break out of a loop without the lock; forgetting it leaves the iteration open (dma_resv_iter_end). */
export const dma_resv_iter_end = instruction(
  'dma_resv_iter_end',
  (resv: string, variable: string) => ({ resv, variable }),
  {
    text: ({ resv }) => `dma_resv_iter_end(${resv}->resv)`,
    touches: onResv,
    run: (kernel, me, { resv, variable }) => {
      endWalk(kernel, me, resv);
      setLoop(kernel, me, variable, undefined);
    },
  },
);

/** Nothing pending of this usage or stronger: ret '1', else '0' (R-30). */
export const dma_resv_test_signaled = instruction(
  'dma_resv_test_signaled',
  (resv: string, usage: Usage) => ({ resv, usage }),
  {
    text: ({ resv, usage }) => `dma_resv_test_signaled(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage }) =>
      returns(kernel, me, pendingFences(kernel, resv, usage).length === 0 ? '1' : '0'),
  },
);

const get_slots = instruction(
  'dma_resv_get_slots',
  (resv: string, usage: Usage, into: string) => ({ resv, usage, into }),
  {
    text: ({ resv, usage, into }) => `dma_resv_get_fences(${resv}->resv, ${usage}, &${into})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, into }) => {
      const slots = resvRow(kernel, resv).fences.filter((slot) => matches(usage, slot) && standing(kernel, slot.fence));
      for (const { fence } of slots) getFence(kernel, fence);
      frameOf(kernel, me).vars[into] = slots.map(({ fence }) => fence).join(' ');
      returns(kernel, me, '0');
    },
  },
);
/** Collect the unsignalled fences of this usage into a variable, their names in a row, each with a reference: ret '0' or '-ENOMEM' (R-34). */
export const dma_resv_get_fences = (resv: string, usage: Usage, into: string): Block => [
  kmalloc('GFP_KERNEL', into),
  if_ret('0', [get_slots(resv, usage, into)]),
];
const make_singleton = instruction('dma_resv_make_singleton', (resv: string, names: string) => ({ resv, names }), {
  text: ({ resv }) => `dma_resv_get_singleton(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { names }) => {
    const fences = names.split(' ').filter((each) => each !== '');
    const array = fences.length > 1 ? freeArray(kernel) : undefined;
    if (array !== undefined) arrayInit(kernel, array, fences, 'all');
    returns(kernel, me, fences.length > 1 ? (array ?? '-ENOMEM') : (fences[0] ?? 'NULL'));
  },
});
/** One fence for all of them: ret is its name, 'NULL' for none at all, a new array for several, or '-ENOMEM' (R-34). */
export const dma_resv_get_singleton = (resv: string, usage: Usage): Block => [
  dma_resv_get_fences(resv, usage, 'singleton'),
  if_ret('0', [make_singleton(resv, '$singleton')]),
];
/** Hand a deadline hint to every unsignalled fence of this usage; no lock needed (F-55). */
export const dma_resv_set_deadline = (resv: string, usage: Usage, deadline: string): Block =>
  dma_resv_for_each_fence_unlocked(resv, usage, 'hinted', [dma_fence_set_deadline('$hinted', deadline)]);

/** The wait that is under way in this frame; one at a time. */
const WAIT = 'dma_resv_wait';
interface Waiting {
  readonly how: Partial<Wait>;
  readonly ends: Readonly<Record<string, string>>;
}
/** How long there is, and how the wait may end: for ever, until a signal, for a time, or not at all. */
const KINDS = {
  forever: { how: {}, ends: {} },
  interruptible: { how: { interruptible: 'interrupted' }, ends: { interrupted: '-ERESTARTSYS' } },
  'a while': { how: { bounded: 'times out' }, ends: { 'times out': '-EBUSY' } },
  'a while, interruptible': {
    how: { bounded: 'times out', interruptible: 'interrupted' },
    ends: { 'times out': '-EBUSY', interrupted: '-ERESTARTSYS' },
  },
  HZ: { how: { bounded: 'times out' }, ends: { '': '1', 'times out': '0' } },
  '0': { how: {}, ends: { '': '1' } },
} as const satisfies Record<string, Waiting>;
/** Older kernels give each fence a jiffy when there is no time at all (R-32). */
const waiting = (kernel: KernelState, kind: Kind): Waiting =>
  KINDS[kind === '0' && !newer(kernel, 'resv_wait_zero_timeout') ? 'HZ' : kind];

/** One fence after the other, each asked to signal when it is its turn (R-31): begin, go on, or end. */
function waitStep(
  kernel: KernelState,
  me: string,
  { resv, usage, kind }: { resv: string; usage: Usage; kind: Kind },
  outcome: string,
): void {
  might_sleep(kernel, me, 'dma_resv_wait_timeout');
  const { vars } = frameOf(kernel, me);
  const before = cursorOf(kernel, me, WAIT);
  const end = (ret: string): void => {
    delete vars[WAIT];
    endWalk(kernel, me, resv);
    returns(kernel, me, ret);
  };
  const { ends } = waiting(kernel, kind);
  if (outcome !== '') return end(ends[outcome] ?? '0');
  if (!before) sayWait(kernel, me, resv, usage);
  else if (armFirst(kernel, me, [before.fence])) return;
  else if (onlyPolls(kernel, kind) && standing(kernel, before.fence)) return end('0');
  const found = walk(kernel, me, resv, usage, before);
  if (!found) return end(ends[''] ?? '0');
  vars[WAIT] = spelled(found.cursor);
  if (armFirst(kernel, me, [found.cursor.fence])) return;
  if (onlyPolls(kernel, kind)) return end('0');
  stay(kernel, me);
}
/** To lockdep this waits for whatever stands there, signalled or not: the next time it may not be. */
function sayWait(kernel: KernelState, me: string, resv: string, usage: Usage): void {
  const slots = resvRow(kernel, resv).fences.filter((slot) => slot.fence !== PAST && matches(usage, slot));
  const fences = slots.map(({ fence }) => fence);
  if (fences.length > 0) mightWait(kernel, me, fences, 'dma_resv_wait_timeout');
}
const onlyPolls = (kernel: KernelState, kind: Kind): boolean => kind === '0' && newer(kernel, 'resv_wait_zero_timeout');

type Kind = keyof typeof KINDS;
const waitOp = (opName: string, kind: Kind) =>
  instruction(
    opName,
    (resv: string, usage: Usage, timeout?: '0' | 'HZ') =>
      ({ resv, usage, timeout }) as { resv: string; usage: Usage; timeout?: '0' | 'HZ' },
    {
      text: ({ resv, usage, timeout }) =>
        `${opName}(${resv}->resv, ${usage}${timeout === undefined ? '' : `, ${timeout}`})`,
      touches: onResv,
      waits: (kernel, me, { timeout }) => {
        const at = cursorOf(kernel, me, WAIT);
        return at && !onlyPolls(kernel, timeout ?? kind) && standing(kernel, at.fence)
          ? fencesWait(kernel, [at.fence], waiting(kernel, timeout ?? kind).how)
          : undefined;
      },
      run: (kernel, me, { resv, usage, timeout }, outcome) =>
        waitStep(kernel, me, { resv, usage, kind: timeout ?? kind }, outcome),
    },
  );
/**
 * Wait for every fence of this usage and stronger that stands there; no lock needed, holding the lock is allowed (R-31,
 * L-22). Fences that come while it waits may be missed (R-33).
 */
export const dma_resv_wait = waitOp('dma_resv_wait', 'forever');
export const dma_resv_wait_interruptible = waitOp('dma_resv_wait_interruptible', 'interruptible');
/**
 * The same, but it gives up after a time. With a timeout ret is the kernel's: '0', or the time left, '1'; a timeout of 0
 * only looks, and may sleep all the same (R-31, R-32). Without one ret is what drivers make of it: '-EBUSY', or '0'.
 */
export const dma_resv_wait_timeout = waitOp('dma_resv_wait_timeout', 'a while');
export const dma_resv_wait_timeout_interruptible = waitOp(
  'dma_resv_wait_timeout_interruptible',
  'a while, interruptible',
);

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
    reserve_check,
    dma_resv_reserve_slots,
    dma_resv_add_fence,
    dma_resv_replace_fences,
    copy_slots,
    iter_unlocked,
    iter_locked,
    dma_resv_iter_end,
    dma_resv_test_signaled,
    get_slots,
    make_singleton,
    dma_resv_wait,
    dma_resv_wait_interruptible,
    dma_resv_wait_timeout,
    dma_resv_wait_timeout_interruptible,
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
