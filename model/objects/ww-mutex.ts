/**
 * ww_mutex: locks that several are taken of in any order, and tickets that say who gives way (kernel/locking/ww_mutex.h,
 * kernel/locking/mutex.c; rules W-1..W-28).
 *
 * A transaction has a ticket. In a wait-die class the younger transaction that already holds something gives up with
 * -EDEADLK and the older one waits; in a wound-wait class the older one wounds the younger one, which gives up when it
 * next has to wait. The age of a ticket is its place in `tickets`, not a stamp, so that states stay finite. Who waits
 * with a ticket stands in the queue of the lock; who waits without one does not: no rule looks at it, and a thread that
 * waits at the call may as well not have arrived yet.
 */
import {
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  instruction,
  note,
  returns,
  stay,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { acquire, might_sleep, probe, release } from './context.ts';

/** The class of every reservation, which is wait-die (W-4, drivers/dma-buf/dma-resv.c). */
export const RESERVATION = 'reservation_ww_class';

/** Somebody with a ticket in the queue of a lock; while it waits, what it holds does not change. */
export interface WwWaiter {
  readonly by: string;
  readonly holding: boolean;
}
/** A live acquire context (W-2). */
export interface Ticket {
  readonly by: string;
  readonly class: string;
  /** An older transaction of a wound-wait class wants what this one holds (W-15). */
  readonly wounded: boolean;
  /** The lock that said -EDEADLK; it must be the next one taken (W-24, W-25). */
  readonly contended: string | null;
  /** No further lock may be taken with it (W-8). */
  readonly done: boolean;
}
/** What every ww_mutex has, a reservation among them. */
export const lockFields = {
  owner: maybe(name('threads')),
  /** The owner took it with its ticket. */
  ticketed: flag,
  /** Who waits with a ticket, oldest first (W-13). */
  waiters: whole<readonly WwWaiter[]>([]),
};
const fields = {
  /** DEFINE_WW_CLASS makes a wound-wait class, DEFINE_WD_CLASS a wait-die class (W-1). */
  ww_classes: table({ algorithm: constant<'wound-wait' | 'wait-die'>('wound-wait') }),
  ww_mutexes: table({ class: fixedName('ww_classes'), ...lockFields }),
  /** Live acquire contexts of all classes, oldest first (W-2, W-5). */
  tickets: whole<readonly Ticket[]>([]),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** Lock with the ticket, or without one: a plain mutex. */
export type Context = 'ticket' | 'NULL';
/** A lock and how it is taken. */
export interface Taking {
  readonly lock: string;
  readonly class: string;
  readonly ctx: Context;
}
export const acquireClass = (of: string): string => `${of}_acquire`;
export const mutexClass = (of: string): string => `${of}_mutex`;

type LockRow = Pick<Kept<typeof fields>['ww_mutexes'][string], 'owner' | 'ticketed' | 'waiters'>;
const rowOf = (kernel: KernelState, { lock, class: of }: { lock: string; class: string }): LockRow =>
  (of === RESERVATION ? kernel.resvs[lock] : kernel.ww_mutexes[lock]) as LockRow;
const waitDie = (kernel: KernelState, of: string): boolean =>
  of === RESERVATION || kernel.ww_classes[of]?.algorithm === 'wait-die';
const heldBy = (kernel: KernelState, me: string) => (kernel.threads[me] as Thread).held;

const ticketOf = (kernel: KernelState, by: string, of: string): Ticket | undefined =>
  kernel.tickets.find((ticket) => ticket.by === by && ticket.class === of);
/** Is the transaction of `a` older than that of `b`? */
function older(kernel: KernelState, of: string, a: string, b: string): boolean {
  const age = (by: string): number =>
    kernel.tickets.findIndex((ticket) => ticket.by === by && ticket.class === of) >>> 0;
  return age(a) < age(b);
}
function rewrite(kernel: KernelState, by: string, of: string, change: Partial<Ticket>): void {
  const same = (ticket: Ticket): boolean => ticket.by === by && ticket.class === of;
  const now = kernel.tickets.find(same);
  if (!now || Object.entries(change).every(([field, value]) => now[field as keyof Ticket] === value)) return;
  kernel.tickets = kernel.tickets.map((ticket) => (same(ticket) ? { ...ticket, ...change } : ticket));
}
/** The locks that this thread's ticket has; their number is `ctx->acquired` (I-9). */
export const acquired = (kernel: KernelState, me: string, of: string): string[] =>
  heldBy(kernel, me)
    .filter((held) => held.kind === 'lock' && held.class === mutexClass(of))
    .map((held) => held.object)
    .filter((lock) => rowOf(kernel, { lock, class: of }).ticketed);
const complain = (kernel: KernelState, me: string, rule: string, what: string): void =>
  note(kernel, me, { kind: 'misuse', rule, what });

/** Does this thread's ticket have it already? A lock taken without the ticket does not count: that is a deadlock of one (W-10). */
const has = (kernel: KernelState, me: string, taking: Taking): boolean =>
  rowOf(kernel, taking).owner === me && rowOf(kernel, taking).ticketed;
const placeOf = (row: LockRow, me: string): number => row.waiters.findIndex((waiter) => waiter.by === me);

/** Must this waiter, which holds other locks of the class, give up rather than wait on (W-16, W-20)? */
function dies(kernel: KernelState, me: string, taking: Taking, place: number): boolean {
  if (acquired(kernel, me, taking.class).length === 0) return false;
  if (!waitDie(kernel, taking.class)) return ticketOf(kernel, me, taking.class)?.wounded === true;
  const { owner, ticketed } = rowOf(kernel, taking);
  return place > 0 || (owner !== null && ticketed && older(kernel, taking.class, owner, me));
}

/** Why this thread cannot have the lock yet, or nothing: it takes it, queues for it, or gives up. */
export function lockWait(kernel: KernelState, me: string, taking: Taking, on: string): Wait | undefined {
  const row = rowOf(kernel, taking);
  const what = on === 'resv' ? `the reservation of ${taking.lock}` : taking.lock;
  const ownerWait = (owner: string): Wait => ({
    on,
    object: taking.lock,
    owedBy: [owner],
    because: `${owner} holds ${what}`,
  });
  if (taking.ctx === 'NULL') return row.owner === null ? undefined : ownerWait(row.owner);
  const place = placeOf(row, me);
  if (place < 0 || dies(kernel, me, taking, place)) return undefined;
  if (row.owner !== null) return ownerWait(row.owner);
  if (place === 0) return undefined;
  const first = row.waiters[0] as WwWaiter; // unlock wakes the first of the queue only (W-21)
  return { on, object: taking.lock, owedBy: [first.by], because: `${first.by} is before it in the queue for ${what}` };
}

/** The lock is this thread's from here on (W-11). */
function own(kernel: KernelState, me: string, taking: Taking, tried: boolean): void {
  const row = rowOf(kernel, taking);
  const { lock, class: of, ctx } = taking;
  const ticket = ctx === 'ticket' ? ticketOf(kernel, me, of) : undefined;
  const before = acquired(kernel, me, of);
  if (ticket?.done) complain(kernel, me, 'W-8', `${me} takes ${lock} after it said that it takes no more locks`);
  if (ticket?.contended) {
    if (ticket.contended !== lock)
      complain(kernel, me, 'W-25', `${me} takes ${lock} first, after ${ticket.contended} told it to back off`);
    if (before.length > 0)
      complain(kernel, me, 'W-24', `${me} takes ${lock} after -EDEADLK, still holding ${before.join(', ')}`);
  }
  if (
    ctx === 'NULL' &&
    !tried &&
    heldBy(kernel, me).some((held) => held.kind === 'lock' && held.class === mutexClass(of))
  )
    complain(
      kernel,
      me,
      'W-9',
      `${me} locks a second ${of === RESERVATION ? 'reservation' : of}, ${lock}, without a ticket`,
    );
  const queued = placeOf(row, me);
  if (queued >= 0) row.waiters = row.waiters.toSpliced(queued, 1);
  row.owner = me;
  row.ticketed = ctx === 'ticket';
  const hold = { object: lock, class: mutexClass(of), kind: 'lock', mode: 'exclusive', try: tried } as const;
  acquire(kernel, me, hold, ctx === 'ticket' ? acquireClass(of) : '');
  if (!ticket) return;
  // Past others that wait (W-17). Those of a wait-die class see for themselves that the owner is older now.
  const wounds =
    !waitDie(kernel, of) &&
    queued !== 0 &&
    row.waiters.some((waiter) => waiter.holding && older(kernel, of, waiter.by, me));
  const wounded = wounds ? { wounded: true } : before.length === 0 ? { wounded: false } : {}; // W-10
  rewrite(kernel, me, of, { contended: null, ...wounded });
}

/** Not free: queue by age, or die at once (W-13..W-15). What it said, or nothing while it waits. */
function queue(kernel: KernelState, me: string, taking: Taking): string | undefined {
  const row = rowOf(kernel, taking);
  const { class: of } = taking;
  const holding = acquired(kernel, me, of).length > 0;
  const place = row.waiters.filter((waiter) => older(kernel, of, waiter.by, me)).length;
  if (!holding)
    rewrite(kernel, me, of, { wounded: false }); // W-10
  else if (!waitDie(kernel, of) && row.owner !== null && row.ticketed && older(kernel, of, me, row.owner))
    rewrite(kernel, row.owner, of, { wounded: true });
  if (dies(kernel, me, taking, place)) return edeadlk(kernel, me, taking);
  row.waiters = row.waiters.toSpliced(place, 0, { by: me, holding });
  const hold = { object: taking.lock, class: mutexClass(of), kind: 'lock', mode: 'exclusive', try: false } as const;
  probe(kernel, me, hold, acquireClass(of)); // lockdep hears of the attempt, whatever comes of it
  return undefined;
}
function edeadlk(kernel: KernelState, me: string, taking: Taking): string {
  const before = ticketOf(kernel, me, taking.class)?.contended ?? null;
  if (before !== null)
    complain(
      kernel,
      me,
      'W-24',
      `${me} was told to back off by ${before}, and goes for ${taking.lock} still holding locks`,
    );
  rewrite(kernel, me, taking.class, { contended: taking.lock });
  return '-EDEADLK';
}
function leaveQueue(row: LockRow, me: string): void {
  const place = placeOf(row, me);
  if (place >= 0) row.waiters = row.waiters.toSpliced(place, 1);
}

/** One step of a lock call: take it, queue for it (and stand at the call still), or give up; `ret` says which. */
export function lockStep(kernel: KernelState, me: string, taking: Taking, call: string, outcome: string): void {
  might_sleep(kernel, me, call);
  const row = rowOf(kernel, taking);
  const end = (ret: string): void => {
    leaveQueue(row, me);
    returns(kernel, me, ret);
  };
  if (outcome === 'interrupted') return end('-EINTR');
  const { lock, class: of, ctx } = taking;
  if (ctx === 'ticket') {
    if (!ticketOf(kernel, me, of))
      complain(kernel, me, 'W-6', `${me} locks ${lock} with a ticket that it does not have`);
    if (has(kernel, me, taking)) return end('-EALREADY');
  }
  if (row.owner === null) {
    own(kernel, me, taking, false);
    return end('0');
  }
  // Only who has a ticket comes here while the lock is taken: the others wait before they move.
  if (placeOf(row, me) >= 0) return end(edeadlk(kernel, me, taking));
  const said = queue(kernel, me, taking);
  if (said !== undefined) return end(said);
  stay(kernel, me);
}

/** Before the slow path: something must have said -EDEADLK, and everything must have been let go since (W-24, W-25). */
export function slowPath(kernel: KernelState, me: string, { lock, class: of }: Taking): void {
  if (placeOf(rowOf(kernel, { lock, class: of }), me) >= 0) return; // said when it queued
  if (!ticketOf(kernel, me, of)?.contended)
    complain(kernel, me, 'W-25', `${me} takes the slow path to ${lock} although no lock told it to back off`);
}

/** Take it if it is free, whatever the ages: ret '1' or '0' (W-22). */
export function tryStep(kernel: KernelState, me: string, taking: Taking): void {
  const free = rowOf(kernel, taking).owner === null;
  if (free) own(kernel, me, taking, true);
  returns(kernel, me, free ? '1' : '0');
}

/** Let go of the lock; false, and a misuse, when it is not held (W-21). */
export function unlockStep(kernel: KernelState, me: string, of: string, lock: string, what: string): boolean {
  if (heldBy(kernel, me).some((held) => held.kind === 'atomic' && held.object === 'interrupt context'))
    complain(kernel, me, 'W-21', `${me} unlocks ${what} in interrupt context`);
  const row = rowOf(kernel, { lock, class: of });
  if (!release(kernel, me, lock, 'lock')) {
    complain(kernel, me, 'W-21', `${me} unlocks ${what}, which it does not hold`);
    return false;
  }
  row.owner = null;
  row.ticketed = false;
  return true;
}

const ticketObject = (of: string): string => (of === RESERVATION ? 'ticket' : `ticket of ${of}`);
const onClass = ({ class: of }: { class: string }): [string, string][] =>
  of === RESERVATION ? [] : [['ww_classes', of]];
const ofClass = (of: string): string => (of === RESERVATION ? '' : `, &${of}`);
/**
 * Start a transaction: this thread's ticket is the youngest from now on (W-6, W-7). To lockdep it holds a first lock of
 * the class from here on, so a lock without the ticket is a second one.
 */
export const ww_acquire_init = instruction('ww_acquire_init', (of: string = RESERVATION) => ({ class: of }), {
  text: ({ class: of }) => `ww_acquire_init(&ticket${ofClass(of)})`,
  touches: onClass,
  run: (kernel, me, { class: of }) => {
    if (ticketOf(kernel, me, of)) complain(kernel, me, 'W-6', `${me} starts a second transaction inside the first`);
    const ticket: Ticket = { by: me, class: of, wounded: false, contended: null, done: false };
    kernel.tickets = [...kernel.tickets.filter((each) => each.by !== me || each.class !== of), ticket];
    const hold = { object: ticketObject(of), kind: 'ticket', mode: 'exclusive', try: false } as const;
    acquire(kernel, me, { ...hold, class: acquireClass(of) });
    acquire(
      kernel,
      me,
      { ...hold, object: `first lock of the ${ticketObject(of)}`, class: mutexClass(of) },
      acquireClass(of),
    );
  },
});
/** No further lock will be taken with it; optional (W-8). */
export const ww_acquire_done = instruction('ww_acquire_done', (of: string = RESERVATION) => ({ class: of }), {
  text: ({ class: of }) => `ww_acquire_done(&ticket${ofClass(of)})`,
  touches: onClass,
  run: (kernel, me, { class: of }) => {
    if (ticketOf(kernel, me, of)?.done !== false)
      complain(kernel, me, 'W-8', `${me} says twice, or without a transaction, that it takes no more locks`);
    rewrite(kernel, me, of, { done: true });
  },
});
export const ww_acquire_fini = instruction('ww_acquire_fini', (of: string = RESERVATION) => ({ class: of }), {
  text: ({ class: of }) => `ww_acquire_fini(&ticket${ofClass(of)})`,
  touches: onClass,
  run: (kernel, me, { class: of }) => {
    const left = acquired(kernel, me, of);
    if (left.length > 0) complain(kernel, me, 'W-8', `${me} ends its transaction still holding ${left.join(', ')}`);
    kernel.tickets = kernel.tickets.filter((each) => each.by !== me || each.class !== of);
    release(kernel, me, `first lock of the ${ticketObject(of)}`, 'ticket');
    release(kernel, me, ticketObject(of), 'ticket');
  },
});

const taking = (kernel: KernelState, lock: string, ctx: Context): Taking => {
  const of = kernel.ww_mutexes[lock]?.class ?? '';
  if (!kernel.ww_classes[of])
    throw new Error(
      `the ww_mutex ${lock} needs a class; there are: ${Object.keys(kernel.ww_classes).join(', ') || 'none'}`,
    );
  return { lock, class: of, ctx };
};
const shown = (ctx: Context): string => (ctx === 'ticket' ? '&ticket' : 'NULL');
const onLock = ({ lock }: { lock: string }): [['ww_mutexes', string]] => [['ww_mutexes', lock]];

/** Lock: ret '0', '-EALREADY', or '-EDEADLK' when this transaction must back off (W-10..W-16); without a ticket, '0'. */
export const ww_mutex_lock = instruction('ww_mutex_lock', (lock: string, ctx: Context) => ({ lock, ctx }), {
  text: ({ lock, ctx }) => `ww_mutex_lock(&${lock}, ${shown(ctx)})`,
  strong: true,
  touches: onLock,
  waits: (kernel, me, { lock, ctx }) => lockWait(kernel, me, taking(kernel, lock, ctx), 'ww_mutex'),
  run: (kernel, me, { lock, ctx }) => lockStep(kernel, me, taking(kernel, lock, ctx), 'ww_mutex_lock', ''),
});
/** The same, but a signal to the process ends the wait: ret '-EINTR' (W-16). */
export const ww_mutex_lock_interruptible = instruction(
  'ww_mutex_lock_interruptible',
  (lock: string, ctx: Context) => ({ lock, ctx }),
  {
    text: ({ lock, ctx }) => `ww_mutex_lock_interruptible(&${lock}, ${shown(ctx)})`,
    strong: true,
    touches: onLock,
    waits: (kernel, me, { lock, ctx }) => interruptible(lockWait(kernel, me, taking(kernel, lock, ctx), 'ww_mutex')),
    run: (kernel, me, { lock, ctx }, outcome) =>
      lockStep(kernel, me, taking(kernel, lock, ctx), 'ww_mutex_lock_interruptible', outcome),
  },
);
export const interruptible = (wait: Wait | undefined): Wait | undefined =>
  wait && { ...wait, interruptible: 'interrupted' };
/** After -EDEADLK, and holding nothing, it cannot die: wait for the contended lock (W-24, W-25). */
export const ww_mutex_lock_slow = instruction('ww_mutex_lock_slow', (lock: string) => ({ lock }), {
  text: ({ lock }) => `ww_mutex_lock_slow(&${lock}, &ticket)`,
  strong: true,
  touches: onLock,
  waits: (kernel, me, { lock }) => lockWait(kernel, me, taking(kernel, lock, 'ticket'), 'ww_mutex'),
  run: (kernel, me, { lock }) => {
    slowPath(kernel, me, taking(kernel, lock, 'ticket'));
    lockStep(kernel, me, taking(kernel, lock, 'ticket'), 'ww_mutex_lock_slow', '');
  },
});
/** Take it if it is free: ret '1' or '0'; knows no deadlock (W-22). */
export const ww_mutex_trylock = instruction('ww_mutex_trylock', (lock: string, ctx: Context) => ({ lock, ctx }), {
  text: ({ lock, ctx }) => `ww_mutex_trylock(&${lock}, ${shown(ctx)})`,
  touches: onLock,
  run: (kernel, me, { lock, ctx }) => tryStep(kernel, me, taking(kernel, lock, ctx)),
});
export const ww_mutex_unlock = instruction('ww_mutex_unlock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `ww_mutex_unlock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    unlockStep(kernel, me, taking(kernel, lock, 'NULL').class, lock, lock);
  },
});

export const wwMutex: KernelObject = {
  schema: fields,
  ops: [
    ww_acquire_init,
    ww_acquire_done,
    ww_acquire_fini,
    ww_mutex_lock,
    ww_mutex_lock_interruptible,
    ww_mutex_lock_slow,
    ww_mutex_trylock,
    ww_mutex_unlock,
  ],
  leftovers: (kernel) => [
    ...Object.entries(kernel.ww_mutexes).flatMap(([each, { owner }]) =>
      owner === null ? [] : [`${owner} still holds ${each}`],
    ),
    ...kernel.tickets.map(({ by }) => `${by} has not ended its transaction`),
  ],
};
