/**
 * How a lock with tickets is taken, a reservation among them: who waits, who dies, who is wounded (kernel/locking/ww_mutex.h,
 * kernel/locking/mutex.c; rules W-9..W-28).
 *
 * In a wait-die class the younger transaction that already holds something gives up with -EDEADLK and the older one waits;
 * in a wound-wait class the older one wounds the younger one, which gives up when it next has to wait. Who waits with a
 * ticket stands in the queue of the lock; who waits without one does not: no rule looks at it, and a thread that waits at
 * the call may as well not have arrived yet.
 */
import { type KernelState, type Wait, complain, returns, stay } from '../machine.ts';
import { acquire, might_sleep, probe, release } from './context.ts';
import {
  type LockRow,
  type WwWaiter,
  RESERVATION,
  acquireClass,
  acquired,
  heldBy,
  mutexClass,
  olderTicket,
  rewriteTicket,
  ticketOf,
  waitDie,
  wwRow,
} from './ww-ticket.ts';

/** Lock with the ticket, or without one: a plain mutex. */
export type Context = 'ticket' | 'NULL';
/** A lock and how it is taken. */
export interface Taking {
  readonly lock: string;
  readonly class: string;
  readonly ctx: Context;
}

/** Does this thread's ticket have it already? A lock taken without the ticket does not count: that is a deadlock of one (W-10). */
const has = (kernel: KernelState, me: string, taking: Taking): boolean =>
  wwRow(kernel, taking).owner === me && wwRow(kernel, taking).ticketed;
const placeOf = (row: LockRow, me: string): number => row.waiters.findIndex((waiter) => waiter.by === me);

/** Must this waiter, which holds other locks of the class, give up rather than wait on (W-16, W-20)? */
function dies(kernel: KernelState, me: string, taking: Taking, place: number): boolean {
  if (acquired(kernel, me, taking.class).length === 0) return false;
  if (!waitDie(kernel, taking.class)) return ticketOf(kernel, me, taking.class)?.wounded === true;
  const { owner, ticketed } = wwRow(kernel, taking);
  return place > 0 || (owner !== null && ticketed && olderTicket(kernel, taking.class, owner, me));
}

/** Why this thread cannot have the lock yet, or nothing: it takes it, queues for it, or gives up. */
export function lockWait(kernel: KernelState, me: string, taking: Taking, on: string): Wait | undefined {
  const row = wwRow(kernel, taking);
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
  const row = wwRow(kernel, taking);
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
    row.waiters.some((waiter) => waiter.holding && olderTicket(kernel, of, waiter.by, me));
  const wounded = wounds ? { wounded: true } : before.length === 0 ? { wounded: false } : {}; // W-10
  rewriteTicket(kernel, me, of, { contended: null, ...wounded });
}

/** Not free: queue by age, or die at once (W-13..W-15). What it said, or nothing while it waits. */
function queue(kernel: KernelState, me: string, taking: Taking): string | undefined {
  const row = wwRow(kernel, taking);
  const { class: of } = taking;
  const holding = acquired(kernel, me, of).length > 0;
  const place = row.waiters.filter((waiter) => olderTicket(kernel, of, waiter.by, me)).length;
  if (!holding)
    rewriteTicket(kernel, me, of, { wounded: false }); // W-10
  else if (!waitDie(kernel, of) && row.owner !== null && row.ticketed && olderTicket(kernel, of, me, row.owner))
    rewriteTicket(kernel, row.owner, of, { wounded: true });
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
  rewriteTicket(kernel, me, taking.class, { contended: taking.lock });
  return '-EDEADLK';
}
function leaveQueue(row: LockRow, me: string): void {
  const place = placeOf(row, me);
  if (place >= 0) row.waiters = row.waiters.toSpliced(place, 1);
}

/** One step of a lock call: take it, queue for it (and stand at the call still), or give up; `ret` says which. */
export function lockStep(kernel: KernelState, me: string, taking: Taking, call: string, outcome: string): void {
  might_sleep(kernel, me, call);
  const row = wwRow(kernel, taking);
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
  if (placeOf(wwRow(kernel, { lock, class: of }), me) >= 0) return; // said when it queued
  if (!ticketOf(kernel, me, of)?.contended)
    complain(kernel, me, 'W-25', `${me} takes the slow path to ${lock} although no lock told it to back off`);
}

/** Take it if it is free, whatever the ages: ret '1' or '0' (W-22). */
export function tryStep(kernel: KernelState, me: string, taking: Taking): void {
  const free = wwRow(kernel, taking).owner === null;
  if (free) own(kernel, me, taking, true);
  returns(kernel, me, free ? '1' : '0');
}

/** Let go of the lock; false, and a misuse, when it is not held (W-21). */
export function unlockStep(kernel: KernelState, me: string, of: string, lock: string, what: string): boolean {
  if (heldBy(kernel, me).some((held) => held.kind === 'atomic' && held.object === 'interrupt context'))
    complain(kernel, me, 'W-21', `${me} unlocks ${what} in interrupt context`);
  const row = wwRow(kernel, { lock, class: of });
  if (!release(kernel, me, lock, 'lock')) {
    complain(kernel, me, 'W-21', `${me} unlocks ${what}, which it does not hold`);
    return false;
  }
  row.owner = null;
  row.ticketed = false;
  return true;
}

export const interruptible = (wait: Wait | undefined): Wait | undefined =>
  wait && { ...wait, interruptible: 'interrupted' };
