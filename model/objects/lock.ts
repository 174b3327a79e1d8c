/**
 * Mutexes, spinlocks and read-write semaphores (kernel/locking/{mutex,rwsem}.c).
 *
 * A lock hands over: a waiter is served in the end, so its fairness is strong. A reader queues behind a writer that
 * already waits (rule A8.7): that is why taking the same semaphore twice for reading can deadlock.
 */
import { type Instruction, type KernelObject, type KernelState, type Wait, complain, instruction } from '../machine.ts';
import { type Kept, constant, maybe, name, table, whole } from '../schema.ts';
import { acquire, holds, inAtomic, might_sleep, probe, release } from './context.ts';

const fields = {
  locks: table({
    /** The lockdep class; the lock's own name when empty. */
    class: constant<string>(''),
    owner: maybe(name('threads')),
    readers: whole<string[]>([]),
    /** Writers that wait, first come first. */
    writers: whole<string[]>([]),
    /** Spinlocks only: also taken in interrupt context, so process context must disable interrupts. */
    irq: constant<boolean>(false),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type LockRow = Kept<typeof fields>['locks'][string];

const row = (kernel: KernelState, lock: string): LockRow => kernel.locks[lock] as LockRow;
const classOf = (kernel: KernelState, lock: string): string => row(kernel, lock).class || lock;
const onLock = ({ lock }: { lock: string }): [['locks', string]] => [['locks', lock]];

function ownerWait(on: string, kernel: KernelState, lock: string): Wait | undefined {
  const { owner } = row(kernel, lock);
  return owner === null ? undefined : { on, object: lock, owedBy: [owner], because: `${owner} holds ${lock}` };
}

/** Take a mutex; waits for its owner. Taking it twice is a deadlock of one. */
export const mutex_lock = instruction('mutex_lock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `mutex_lock(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => ownerWait('mutex', kernel, lock),
  run: (kernel, me, { lock }) => {
    might_sleep(kernel, me, `mutex_lock(&${lock})`);
    row(kernel, lock).owner = me;
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'exclusive', try: false });
  },
});

/** The same, but a fatal signal ends the wait: ret '0', or '-EINTR' without the lock. */
export const mutex_lock_killable = instruction('mutex_lock_killable', (lock: string) => ({ lock }), {
  text: ({ lock }) => `mutex_lock_killable(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => {
    const wait = ownerWait('mutex', kernel, lock);
    return wait && { ...wait, killable: 'killed' };
  },
  run: (kernel, me, { lock }, outcome) => {
    might_sleep(kernel, me, `mutex_lock_killable(&${lock})`);
    (kernel.threads[me] as { ret: string }).ret = outcome === 'killed' ? '-EINTR' : '0';
    if (outcome === 'killed') return;
    row(kernel, lock).owner = me;
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'exclusive', try: false });
  },
});

/** Take a mutex if it is free: ret is '1' or '0'; never waits, adds no lockdep edge (L-14). */
export const mutex_trylock = instruction('mutex_trylock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `mutex_trylock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    const free = row(kernel, lock).owner === null;
    (kernel.threads[me] as { ret: string }).ret = free ? '1' : '0';
    if (!free) return;
    row(kernel, lock).owner = me;
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'exclusive', try: true });
  },
});

function drop(kernel: KernelState, me: string, lock: string, call: string): void {
  if (row(kernel, lock).owner === me) row(kernel, lock).owner = null;
  if (!release(kernel, me, lock, 'lock')) complain(kernel, me, 'W-21', `${call} by ${me}, which does not hold it`);
}

export const mutex_unlock = instruction('mutex_unlock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `mutex_unlock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => drop(kernel, me, lock, `mutex_unlock(&${lock})`),
});

/** Take a spinlock with interrupts off: the holder may not sleep. */
export const spin_lock_irqsave = instruction('spin_lock_irqsave', (lock: string) => ({ lock }), {
  text: ({ lock }) => `spin_lock_irqsave(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => ownerWait('spinlock', kernel, lock),
  run: (kernel, me, { lock }) => spin(kernel, me, lock),
});

/** Take a spinlock and leave interrupts on: wrong for a lock that an interrupt handler takes too. */
export const spin_lock = instruction('spin_lock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `spin_lock(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => ownerWait('spinlock', kernel, lock),
  run: (kernel, me, { lock }) => {
    const irqsOff = (kernel.threads[me] as { held: { kind: string }[] }).held.some((each) => each.kind === 'atomic');
    if (row(kernel, lock).irq && !irqsOff)
      complain(kernel, me, 'CTX-I', `${me} takes ${lock} with interrupts on, but an interrupt handler takes it too`);
    spin(kernel, me, lock);
  },
});

function spin(kernel: KernelState, me: string, lock: string): void {
  row(kernel, lock).owner = me;
  acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'exclusive', try: false });
  acquire(kernel, me, inAtomic(`spinlock ${lock}`));
}

export const spin_unlock = instruction('spin_unlock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `spin_unlock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    release(kernel, me, `spinlock ${lock}`, 'atomic');
    drop(kernel, me, lock, `spin_unlock(&${lock})`);
  },
});
export const spin_unlock_irqrestore = spin_unlock;

/** Who keeps a new reader out: the writer that has it, or those that wait already. */
function writersWait(kernel: KernelState, lock: string): Wait | undefined {
  const writer = ownerWait('rwsem', kernel, lock);
  if (writer) return writer;
  const { writers } = row(kernel, lock);
  if (writers.length === 0) return undefined;
  return {
    on: 'rwsem',
    object: lock,
    owedBy: [...writers],
    because: `${writers.join(', ')} already waits to write ${lock}`,
  };
}

/** Take a semaphore for reading; waits for the writer that has it, and for writers that came before (A8.7). */
export const down_read = instruction('down_read', (lock: string) => ({ lock }), {
  text: ({ lock }) => `down_read(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => writersWait(kernel, lock),
  run: (kernel, me, { lock }) => {
    might_sleep(kernel, me, `down_read(&${lock})`);
    row(kernel, lock).readers = [...row(kernel, lock).readers, me].sort();
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'shared', try: false });
  },
});

/** Take a semaphore for reading if no writer has it or waits: ret is '1' or '0'. */
export const down_read_trylock = instruction('down_read_trylock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `down_read_trylock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    const { owner, writers, readers } = row(kernel, lock);
    const free = owner === null && writers.length === 0;
    (kernel.threads[me] as { ret: string }).ret = free ? '1' : '0';
    if (!free) return;
    row(kernel, lock).readers = [...readers, me].sort();
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'shared', try: true });
  },
});

export const up_read = instruction('up_read', (lock: string) => ({ lock }), {
  text: ({ lock }) => `up_read(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => dropRead(kernel, me, lock, `up_read(&${lock})`),
});
function dropRead(kernel: KernelState, me: string, lock: string, call: string): void {
  const readers = [...row(kernel, lock).readers];
  const at = readers.indexOf(me);
  if (at >= 0) readers.splice(at, 1);
  row(kernel, lock).readers = readers;
  if (!release(kernel, me, lock, 'lock')) complain(kernel, me, 'W-21', `${call} by ${me}, which does not hold it`);
}

/**
 * Take a semaphore for reading through a recursion counter: the first reader takes it, later ones join past any writer
 * that waits, the last one lets go (drivers/gpu/drm/amd/amdgpu/amdgpu_mn.c in 4.19; F1.1..F1.3). That is how a task
 * may nest it. The hold is nobody's, so lockdep hears of the taking only, as with every non-owner hold.
 */
export const down_read_non_owner = instruction('down_read_non_owner', (lock: string) => ({ lock }), {
  text: ({ lock }) => `down_read_non_owner(&${lock}) /* the first nested call only */`,
  strong: true,
  touches: onLock,
  waits: (kernel, _me, { lock }) => (row(kernel, lock).readers.length > 0 ? undefined : writersWait(kernel, lock)),
  run: (kernel, me, { lock }) => {
    might_sleep(kernel, me, `down_read_non_owner(&${lock})`);
    row(kernel, lock).readers = [...row(kernel, lock).readers, me].sort();
    const hold = { object: lock, kind: 'lock', mode: 'shared', try: false } as const;
    probe(kernel, me, { ...hold, class: classOf(kernel, lock) });
    acquire(kernel, me, { ...hold, class: '' });
  },
});
export const up_read_non_owner = instruction('up_read_non_owner', (lock: string) => ({ lock }), {
  text: ({ lock }) => `up_read_non_owner(&${lock}) /* the last nested call only */`,
  touches: onLock,
  run: (kernel, me, { lock }) => dropRead(kernel, me, lock, `up_read_non_owner(&${lock})`),
});

const queue_writer = instruction('queue_writer', (lock: string) => ({ lock }), {
  text: ({ lock }) => `down_write(&${lock}) /* queues */`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    row(kernel, lock).writers = [...row(kernel, lock).writers, me];
  },
});
const take_write = instruction('take_write', (lock: string) => ({ lock }), {
  text: ({ lock }) => `down_write(&${lock})`,
  strong: true,
  touches: onLock,
  waits: (kernel, me, { lock }) => {
    const writer = ownerWait('rwsem', kernel, lock);
    if (writer) return writer;
    const { readers, writers } = row(kernel, lock);
    if (readers.length > 0)
      return {
        on: 'rwsem',
        object: lock,
        owedBy: [...new Set(readers)],
        because: `${[...new Set(readers)].join(', ')} holds ${lock} for reading`,
      };
    const first = writers[0] ?? me;
    return first === me
      ? undefined
      : { on: 'rwsem', object: lock, owedBy: [first], because: `${first} waits to write ${lock} before it` };
  },
  run: (kernel, me, { lock }) => {
    might_sleep(kernel, me, `down_write(&${lock})`);
    row(kernel, lock).writers = row(kernel, lock).writers.filter((each) => each !== me);
    row(kernel, lock).owner = me;
    acquire(kernel, me, { object: lock, class: classOf(kernel, lock), kind: 'lock', mode: 'exclusive', try: false });
  },
});
/** Take a semaphore for writing: queue, which holds off new readers, then wait for readers and writers before. */
export const down_write = (lock: string): readonly Instruction[] => [queue_writer(lock), take_write(lock)];

export const up_write = instruction('up_write', (lock: string) => ({ lock }), {
  text: ({ lock }) => `up_write(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => drop(kernel, me, lock, `up_write(&${lock})`),
});

/** The caller relies on this lock; not holding it is a misuse. */
export const lockdep_assert_held = instruction('lockdep_assert_held', (lock: string) => ({ lock }), {
  text: ({ lock }) => `lockdep_assert_held(&${lock})`,
  local: true,
  run: (kernel, me, { lock }) => {
    if (!holds(kernel, me, lock)) complain(kernel, me, 'L-16', `${me} must hold ${lock} here`);
  },
});

export const lock: KernelObject = {
  schema: fields,
  ops: [
    mutex_lock,
    mutex_lock_killable,
    mutex_trylock,
    mutex_unlock,
    spin_lock,
    spin_lock_irqsave,
    spin_unlock,
    down_read,
    down_read_trylock,
    up_read,
    down_read_non_owner,
    up_read_non_owner,
    queue_writer,
    take_write,
    up_write,
    lockdep_assert_held,
  ],
  leftovers: (kernel) =>
    Object.entries(kernel.locks).flatMap(([each, { owner, readers }]) =>
      [...(owner === null ? [] : [owner]), ...readers].map((who) => `${who} still holds ${each}`),
    ),
};
