/**
 * dma_resv: the reservation lock of a buffer, and the fences that stand on it (drivers/dma-buf/dma-resv.c; R-1..R-35).
 *
 * The lock is a ww_mutex of a wait-die class (W-4): with a ticket, the younger transaction that already holds
 * something gives up with -EDEADLK and the older one waits; without a ticket it is a plain mutex. The age of a ticket
 * is its place in `tickets`, not a stamp, so that states stay finite. The kill check is evaluated against the owner
 * at every moment (W-16); waiters are served in the end but in any order, which allows more than the kernel does.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  instruction,
  note,
  returns,
} from '../machine.ts';
import { type Kept, flag, int, maybe, name, table, whole } from '../schema.ts';
import { RESV, RESV_TICKET, acquire, holds, holdsKind, might_sleep, probe, release } from './context.ts';
import { armFirst, contextOf, fenceRow, fencesWait, mightWait, pending, publish } from './fence.ts';
import { kmalloc } from './memory.ts';

/** Strongest first: a query for one usage returns it and all stronger ones (include/linux/dma-resv.h). */
export const USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
export type Usage = (typeof USAGES)[number];
interface ResvFence {
  readonly fence: string;
  readonly usage: Usage;
}

/** Fence slots that one reservation can have reserved ahead; more is a design that never adds what it reserves. */
const MOST_SLOTS = 8;
const fields = {
  resvs: table({
    owner: maybe(name('threads')),
    /** The owner took it with its ticket. */
    ticketed: flag,
    reserved: int(MOST_SLOTS),
    fences: whole<readonly ResvFence[]>([]),
  }),
  /** Live acquire contexts, oldest first. */
  tickets: whole<readonly string[]>([]),
};
type ResvRow = Kept<typeof fields>['resvs'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

export const resvRow = (kernel: KernelState, resv: string): ResvRow => kernel.resvs[resv] as ResvRow;
const onResv = ({ resv }: { resv: string }): [['resvs', string]] => [['resvs', resv]];
const rank = (usage: Usage): number => USAGES.indexOf(usage);

/** Fences of this usage and stronger that have not signalled. */
export const pendingFences = (kernel: KernelState, resv: string, usage: Usage): string[] => [
  ...new Set(
    resvRow(kernel, resv)
      .fences.filter((each) => rank(each.usage) <= rank(usage) && pending(kernel, each.fence))
      .map((each) => each.fence),
  ),
];

/** Start a transaction: this thread's ticket is the youngest from now on (W-6, W-7). */
export const ww_acquire_init = instruction('ww_acquire_init', () => ({}), {
  text: () => 'ww_acquire_init(&ticket)',
  run: (kernel, me) => {
    if (holdsKind(kernel, me, 'ticket'))
      note(kernel, me, { kind: 'misuse', rule: 'W-6', what: `${me} starts a second transaction inside the first` });
    kernel.tickets = [...kernel.tickets.filter((each) => each !== me), me];
    acquire(kernel, me, { object: 'ticket', class: RESV_TICKET, kind: 'ticket', mode: 'exclusive', try: false });
  },
});
export const ww_acquire_fini = instruction('ww_acquire_fini', () => ({}), {
  text: () => 'ww_acquire_fini(&ticket)',
  run: (kernel, me) => {
    const left = (kernel.threads[me] as Thread).held.filter((each) => each.class === RESV);
    if (left.length > 0)
      note(kernel, me, {
        kind: 'misuse',
        rule: 'W-8',
        what: `${me} ends its transaction still holding ${left.map((each) => each.object).join(', ')}`,
      });
    kernel.tickets = kernel.tickets.filter((each) => each !== me);
    release(kernel, me, 'ticket', 'ticket');
  },
});

const holdsAnyResv = (kernel: KernelState, me: string): boolean =>
  (kernel.threads[me] as Thread).held.some((each) => each.class === RESV);
const olderThan = (kernel: KernelState, a: string, b: string): boolean =>
  kernel.tickets.indexOf(a) < kernel.tickets.indexOf(b);

/** Must this thread, which holds other reservations, give up rather than wait for the owner (W-16, wait-die)? */
function dies(kernel: KernelState, me: string, resv: string): boolean {
  const { owner, ticketed } = resvRow(kernel, resv);
  return owner !== null && owner !== me && ticketed && holdsAnyResv(kernel, me) && olderThan(kernel, owner, me);
}
/** Does this thread's ticket have it already? A lock taken without the ticket does not count: that is a deadlock of one (W-10). */
const has = (kernel: KernelState, me: string, resv: string): boolean =>
  resvRow(kernel, resv).owner === me && resvRow(kernel, resv).ticketed;
function ownerWait(kernel: KernelState, resv: string): Wait | undefined {
  const { owner } = resvRow(kernel, resv);
  return owner === null
    ? undefined
    : { on: 'resv', object: resv, owedBy: [owner], because: `${owner} holds the reservation of ${resv}` };
}

function take(kernel: KernelState, me: string, resv: string, ticketed: boolean, tried: boolean): void {
  const row = resvRow(kernel, resv);
  row.owner = me;
  row.ticketed = ticketed;
  const lock = { object: resv, class: RESV, kind: 'lock', mode: 'exclusive', try: tried } as const;
  if (!ticketed && !tried && holdsAnyResv(kernel, me))
    note(kernel, me, {
      kind: 'misuse',
      rule: 'W-9',
      what: `${me} locks a second reservation, ${resv}, without a ticket`,
    });
  acquire(kernel, me, lock);
}

/** Lock without a ticket: a plain mutex; only one such lock at a time (R-5, W-9, W-12). */
export const dma_resv_lock = instruction('dma_resv_lock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_lock(${resv}->resv, NULL)`,
  strong: true,
  touches: onResv,
  waits: (kernel, _me, { resv }) => ownerWait(kernel, resv),
  run: (kernel, me, { resv }) => {
    might_sleep(kernel, me, 'dma_resv_lock');
    take(kernel, me, resv, false, false);
    returns(kernel, me, '0');
  },
});

/** The same, but a signal to the process ends the wait: ret '-EINTR'. */
export const dma_resv_lock_interruptible = instruction('dma_resv_lock_interruptible', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_lock_interruptible(${resv}->resv, NULL)`,
  strong: true,
  touches: onResv,
  waits: (kernel, _me, { resv }) => {
    const wait = ownerWait(kernel, resv);
    return wait && { ...wait, interruptible: 'interrupted' };
  },
  run: (kernel, me, { resv }, outcome) => {
    might_sleep(kernel, me, 'dma_resv_lock_interruptible');
    if (outcome !== 'interrupted') take(kernel, me, resv, false, false);
    returns(kernel, me, outcome === 'interrupted' ? '-EINTR' : '0');
  },
});

/** Lock with the ticket: ret '0', '-EALREADY', or '-EDEADLK' when an older transaction has it (W-10..W-16). */
export const ww_mutex_lock = instruction('ww_mutex_lock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_lock(${resv}->resv, &ticket)`,
  strong: true,
  touches: onResv,
  waits: (kernel, me, { resv }) =>
    has(kernel, me, resv) || dies(kernel, me, resv) ? undefined : ownerWait(kernel, resv),
  run: (kernel, me, { resv }) => {
    might_sleep(kernel, me, 'dma_resv_lock');
    if (!holdsKind(kernel, me, 'ticket'))
      note(kernel, me, {
        kind: 'misuse',
        rule: 'W-6',
        what: `${me} locks ${resv} with a ticket that it does not have`,
      });
    if (has(kernel, me, resv)) returns(kernel, me, '-EALREADY');
    else if (dies(kernel, me, resv)) returns(kernel, me, '-EDEADLK');
    else {
      take(kernel, me, resv, true, false);
      returns(kernel, me, '0');
    }
  },
});

/** The slow path after -EDEADLK: wait for the contended lock holding nothing, so it never dies (W-24, W-25). */
export const dma_resv_lock_slow = instruction('dma_resv_lock_slow', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_lock_slow(${resv}->resv, &ticket)`,
  strong: true,
  touches: onResv,
  waits: (kernel, _me, { resv }) => ownerWait(kernel, resv),
  run: (kernel, me, { resv }) => {
    if (holdsAnyResv(kernel, me))
      note(kernel, me, {
        kind: 'misuse',
        rule: 'W-24',
        what: `${me} takes the slow path to ${resv} still holding another reservation`,
      });
    take(kernel, me, resv, true, false);
    returns(kernel, me, '0');
  },
});

/** Take it if it is free: ret '1' or '0'; the only form allowed in reclaim (R-7, W-22). */
export const dma_resv_trylock = instruction('dma_resv_trylock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_trylock(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { resv }) => {
    const free = resvRow(kernel, resv).owner === null;
    if (free) take(kernel, me, resv, false, true);
    returns(kernel, me, free ? '1' : '0');
  },
});

export const dma_resv_unlock = instruction('dma_resv_unlock', (resv: string) => ({ resv }), {
  text: ({ resv }) => `dma_resv_unlock(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { resv }) => {
    const row = resvRow(kernel, resv);
    if (!release(kernel, me, resv, 'lock')) {
      note(kernel, me, {
        kind: 'misuse',
        rule: 'W-21',
        what: `${me} unlocks the reservation of ${resv}, which it does not hold`,
      });
      return;
    }
    Object.assign(row, { owner: null, ticketed: false, reserved: 0 }); // a reservation dies with the lock
  },
});

const mustHold = (kernel: KernelState, me: string, resv: string, call: string, rule: string): boolean => {
  if (holds(kernel, me, resv)) return true;
  note(kernel, me, { kind: 'misuse', rule, what: `${call} without holding the reservation of ${resv}` });
  return false;
};

const dma_resv_reserve_slots = instruction('dma_resv_reserve_slots', (resv: string, n: number) => ({ resv, n }), {
  text: ({ resv, n }) => `dma_resv_reserve_fences(${resv}->resv, ${n})`,
  touches: onResv,
  run: (kernel, me, { resv, n }) => {
    if (!mustHold(kernel, me, resv, 'dma_resv_reserve_fences', 'R-9')) return;
    resvRow(kernel, resv).reserved = n;
    returns(kernel, me, '0');
  },
});

/** Guarantee n free slots, counted from now, not on top of earlier ones; allocates with GFP_KERNEL. */
export const dma_resv_reserve_fences = (resv: string, n = 1): Block => [
  kmalloc('GFP_KERNEL', `${resv}->resv->slots`),
  dma_resv_reserve_slots(resv, n),
];

/** Put a fence on the buffer: cannot fail, needs the lock and a slot, and publishes the fence (R-12..R-15, F-9). */
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
      const row = resvRow(kernel, resv);
      if (row.reserved === 0)
        note(kernel, me, {
          kind: 'misuse',
          rule: 'R-13',
          what: `dma_resv_add_fence on ${resv} without a reserved slot`,
        });
      else row.reserved -= 1;
      const superseded = (old: ResvFence): boolean =>
        !pending(kernel, old.fence) ||
        (contextOf(kernel, old.fence) === contextOf(kernel, fence) &&
          rank(old.usage) >= rank(usage) &&
          fenceRow(kernel, old.fence).seqno <= fenceRow(kernel, fence).seqno);
      row.fences = [...row.fences.filter((old) => !superseded(old)), { fence, usage }].sort(
        (a, b) => rank(a.usage) - rank(b.usage) || (a.fence < b.fence ? -1 : 1),
      );
      publish(kernel, me, fence);
    },
  },
);

/** Replace every fence of a context by another; legal only if the old work can no longer touch the memory. */
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
      const old = row.fences.filter((each) => contextOf(kernel, each.fence) === context);
      if (old.length === 0) return;
      row.fences = [...row.fences.filter((each) => !old.includes(each)), { fence, usage }].sort(
        (a, b) => rank(a.usage) - rank(b.usage) || (a.fence < b.fence ? -1 : 1),
      );
      publish(kernel, me, fence);
    },
  },
);

/** Nothing pending of this usage or stronger: ret '1', else '0'. */
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

const waitOp = (opName: string, how: Partial<Wait>, ends: Readonly<Record<string, string>>) =>
  instruction(opName, (resv: string, usage: Usage) => ({ resv, usage }), {
    text: ({ resv, usage }) => `${opName}(${resv}->resv, ${usage})`,
    touches: onResv,
    waits: (kernel, _me, { resv, usage }) => fencesWait(kernel, pendingFences(kernel, resv, usage), how),
    run: (kernel, me, { resv, usage }, outcome) => {
      const fences = pendingFences(kernel, resv, usage);
      if (outcome === '' && armFirst(kernel, me, fences)) return;
      mightWait(
        kernel,
        me,
        resvRow(kernel, resv)
          .fences.filter((each) => rank(each.usage) <= rank(usage))
          .map((each) => each.fence),
        opName,
      );
      returns(kernel, me, ends[outcome] ?? '0');
    },
  });
/** Wait for every fence of this usage and stronger; no lock needed, holding the lock is allowed (R-31, L-22). */
export const dma_resv_wait = waitOp('dma_resv_wait', {}, {});
export const dma_resv_wait_interruptible = waitOp(
  'dma_resv_wait_interruptible',
  { interruptible: 'interrupted' },
  { interrupted: '-ERESTARTSYS' },
);
/** The same, but it gives up after a time: ret '-EBUSY'. */
export const dma_resv_wait_timeout = waitOp(
  'dma_resv_wait_timeout',
  { bounded: 'times out' },
  { 'times out': '-EBUSY' },
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
    ww_acquire_init,
    ww_acquire_fini,
    dma_resv_lock,
    dma_resv_lock_interruptible,
    ww_mutex_lock,
    dma_resv_lock_slow,
    dma_resv_trylock,
    dma_resv_unlock,
    dma_resv_reserve_slots,
    dma_resv_add_fence,
    dma_resv_replace_fences,
    dma_resv_test_signaled,
    dma_resv_wait,
    dma_resv_wait_interruptible,
    dma_resv_wait_timeout,
    might_lock_resv,
  ],
  leftovers: (kernel) =>
    Object.keys(kernel.resvs).flatMap((each) => {
      const { owner } = resvRow(kernel, each);
      return owner === null ? [] : [`${owner} still holds the reservation of ${each}`];
    }),
};
