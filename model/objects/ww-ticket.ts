/**
 * Tickets, the acquire contexts of ww_mutexes: who gives way to whom (include/linux/ww_mutex.h; rules W-1..W-8).
 *
 * The age of a ticket is its place among those of its class, not a stamp, so that states stay finite. What a lock remembers of those
 * who have it and wait for it is declared here too, for ticket and lock are rewritten together.
 */
import { type KernelObject, type KernelState, type Thread, complain, instruction } from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { acquire, release } from './context.ts';

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
  ww_classes: table({
    /** DEFINE_WW_CLASS makes a wound-wait class, DEFINE_WD_CLASS a wait-die class (W-1). */
    algorithm: constant<'wound-wait' | 'wait-die'>('wound-wait'),
    /** Live acquire contexts of the class, oldest first (W-2, W-5). */
    tickets: whole<readonly Ticket[]>([]),
  }),
  ww_mutexes: table({ class: fixedName('ww_classes'), ...lockFields }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

export const acquireClass = (of: string): string => `${of}_acquire`;
export const mutexClass = (of: string): string => `${of}_mutex`;

export type LockRow = Pick<Kept<typeof fields>['ww_mutexes'][string], 'owner' | 'ticketed' | 'waiters'>;
export const wwRow = (kernel: KernelState, { lock, class: of }: { lock: string; class: string }): LockRow =>
  (of === RESERVATION ? kernel.resvs[lock] : kernel.ww_mutexes[lock]) as LockRow;
type ClassRow = Kept<typeof fields>['ww_classes'][string];
/** There is none of reservations when no line of the machine takes a ticket for them. */
const classRow = (kernel: KernelState, of: string): ClassRow | undefined => kernel.ww_classes[of];
export const waitDie = (kernel: KernelState, of: string): boolean => classRow(kernel, of)?.algorithm === 'wait-die';
export const heldBy = (kernel: KernelState, me: string) => (kernel.threads[me] as Thread).held;

export const ticketOf = (kernel: KernelState, by: string, of: string): Ticket | undefined =>
  classRow(kernel, of)?.tickets.find((ticket) => ticket.by === by);
/** Is the transaction of `a` older than that of `b`? */
export function olderTicket(kernel: KernelState, of: string, a: string, b: string): boolean {
  const tickets = classRow(kernel, of)?.tickets ?? [];
  const age = (by: string): number => tickets.findIndex((ticket) => ticket.by === by) >>> 0;
  return age(a) < age(b);
}
export function rewriteTicket(kernel: KernelState, by: string, of: string, change: Partial<Ticket>): void {
  const row = classRow(kernel, of);
  const now = ticketOf(kernel, by, of);
  if (!row || !now || Object.entries(change).every(([field, value]) => now[field as keyof Ticket] === value)) return;
  row.tickets = row.tickets.map((ticket) => (ticket.by === by ? { ...ticket, ...change } : ticket));
}
/** The locks that this thread's ticket has; their number is `ctx->acquired` (I-9). */
export const acquired = (kernel: KernelState, me: string, of: string): string[] =>
  heldBy(kernel, me)
    .filter((held) => held.kind === 'lock' && held.class === mutexClass(of))
    .map((held) => held.object)
    .filter((lock) => wwRow(kernel, { lock, class: of }).ticketed);

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
    const row = classRow(kernel, of) as ClassRow;
    const ticket: Ticket = { by: me, wounded: false, contended: null, done: false };
    row.tickets = [...row.tickets.filter(({ by }) => by !== me), ticket];
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
    rewriteTicket(kernel, me, of, { done: true });
  },
});
export const ww_acquire_fini = instruction('ww_acquire_fini', (of: string = RESERVATION) => ({ class: of }), {
  text: ({ class: of }) => `ww_acquire_fini(&ticket${ofClass(of)})`,
  touches: onClass,
  run: (kernel, me, { class: of }) => {
    const left = acquired(kernel, me, of);
    if (left.length > 0) complain(kernel, me, 'W-8', `${me} ends its transaction still holding ${left.join(', ')}`);
    const row = classRow(kernel, of);
    if (row) row.tickets = row.tickets.filter(({ by }) => by !== me);
    release(kernel, me, `first lock of the ${ticketObject(of)}`, 'ticket');
    release(kernel, me, ticketObject(of), 'ticket');
  },
});

export const wwTicket: KernelObject = {
  schema: fields,
  ops: [ww_acquire_init, ww_acquire_done, ww_acquire_fini],
  // A line that takes a ticket for reservations, by name or through a variable, brings their class along.
  brings: ({ op, class: of }) =>
    op === ww_acquire_init.opName && typeof of === 'string' && (of === RESERVATION || of.startsWith('$'))
      ? { ww_classes: { [RESERVATION]: { algorithm: 'wait-die' } } }
      : {},
  leftovers: (kernel) =>
    Object.values(kernel.ww_classes).flatMap(({ tickets }) =>
      tickets.map(({ by }) => `${by} has not ended its transaction`),
    ),
};
