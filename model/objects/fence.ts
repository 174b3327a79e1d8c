/**
 * dma_fence: a promise that something will be over, and who owes it (drivers/dma-buf/dma-fence.c; rules F-1..F-55).
 *
 * `promisedBy` is not in the kernel: it names the thread that must act next for the fence to signal. It is handed
 * over as the work moves on: the ioctl, then the scheduler's worker, then the ring, then the interrupt or timer. So
 * what a published fence still needs is computed, not annotated.
 */
import {
  type Block,
  type Held,
  type Instruction,
  type KernelObject,
  type KernelState,
  type Thread,
  type Wait,
  instruction,
  note,
  pushCall,
  returns,
  stay,
} from '../machine.ts';
import { type Kept, canonical, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { FENCE_MAP, acquire, holds, holdsKind, inAtomic, might_sleep, probe, release } from './context.ts';
import { anyWillDo, childrenOf, isChain, isContainer, missing, polls } from './fence-container.ts';
import { if_ret, return_ } from './flow.ts';
import { newer } from './version.ts';
import { kmalloc } from './memory.ts';

/** A routine to run when the fence signals, on the signaller's stack and under the fence lock (F-26, F-30). */
export interface Callback {
  readonly routine: string;
  readonly vars: Readonly<Record<string, string>>;
}

const fields = {
  fences: table({
    /** The timeline (fence context), which is also the class for cross-release prediction; own name when empty. */
    context: constant<string>(''),
    seqno: constant<number>(1),
    /** The routine behind ops->enable_signaling, if there is one (F-12..F-18). */
    enable_signaling: fixedName('routines'),
    /** The routine behind ops->signaled; ret 'true' says that the hardware is done (F-36, F-37). */
    is_signaled: fixedName('routines'),
    /** The routine behind ops->set_deadline: a hint, with `fence` and `deadline` (F-53, F-54). */
    set_deadline: fixedName('routines'),
    /** The spinlock that it shares with others; a lock of its own when empty (F-2). */
    lock: constant<string>(''),
    initialised: flag,
    published: flag,
    enabled: flag,
    signaled: flag,
    error: whole<string | null>(null),
    promisedBy: maybe(name('threads')),
    /** Callbacks that wait for the signal; once it signalled, those that have yet to run, on the stack of `promisedBy`. */
    callbacks: whole<readonly Callback[]>([]),
  }),
};
type FenceRow = Kept<typeof fields>['fences'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** From here on others can reach the fence, and its promise counts (F-9). */
    published: { fence: string };
    signaled: { fence: string; error: string | null };
    /** A thread waits, or would wait, for a fence while holding `over` (L-5, L-17). */
    waitsForFence: { fence: string; over: readonly Held[] };
  }
}

export const fenceRow = (kernel: KernelState, fence: string): FenceRow => kernel.fences[fence] as FenceRow;
export const contextOf = (kernel: KernelState, fence: string): string =>
  kernel.fence_numbers[fence]?.context || fenceRow(kernel, fence).context || fence;
export const seqnoOf = (kernel: KernelState, fence: string): number =>
  kernel.fence_numbers[fence]?.seqno ?? fenceRow(kernel, fence).seqno;
const onFence = ({ fence }: { fence: string }): [['fences', string]] => [['fences', fence]];

/** Still unsignalled: a fence that was never initialised counts as done, nobody can have seen it. */
export const pending = (kernel: KernelState, fence: string): boolean => {
  const { initialised, signaled } = fenceRow(kernel, fence);
  return initialised && !signaled;
};
/** The spinlock that every operation on the fence takes: its own, or one that several fences share (F-26). */
export const lockOf = (kernel: KernelState, fence: string): string => fenceRow(kernel, fence).lock || `${fence}->lock`;
const holdsFenceLock = (kernel: KernelState, me: string, fence: string): boolean =>
  holds(kernel, me, lockOf(kernel, fence), 'atomic') || holds(kernel, me, lockOf(kernel, fence));
/** Why the fence lock cannot be taken: in a callback or hook this thread has it already, or another has a shared one. */
function lockWait(kernel: KernelState, me: string, fence: string): Wait | undefined {
  const object = lockOf(kernel, fence);
  if (holdsFenceLock(kernel, me, fence))
    return { on: 'spinlock', object, owedBy: [me], because: `${me} holds ${object} already` };
  const owner = kernel.locks[object]?.owner ?? null;
  return owner === null ? undefined : { on: 'spinlock', object, owedBy: [owner], because: `${owner} holds ${object}` };
}
/** Why its callbacks are still running: a signal holds the lock until the last one has returned (F-24, F-30). */
const deliveryWait = (kernel: KernelState, fence: string): Wait | undefined => {
  const { signaled, callbacks, promisedBy } = fenceRow(kernel, fence);
  if (!signaled || callbacks.length === 0 || promisedBy === null) return undefined;
  const object = lockOf(kernel, fence);
  return { on: 'spinlock', object, owedBy: [promisedBy], because: `${promisedBy} runs the callbacks of ${fence}` };
};
/** Must somebody still call enable_signaling before this fence can be expected to signal? */
export const unarmed = (kernel: KernelState, fence: string): boolean =>
  fenceRow(kernel, fence).enable_signaling !== '' && !fenceRow(kernel, fence).enabled;

/** The fence exists from here on: unsignalled, not armed, not published, and owed by the caller or `by` (F-3). */
export const dma_fence_init = instruction('dma_fence_init', (fence: string, by: string = '$me') => ({ fence, by }), {
  text: ({ fence }) => `dma_fence_init(${fence})`,
  touches: ({ fence, by }) => [
    ['fences', fence],
    ['threads', by],
  ],
  run: (kernel, me, { fence, by }) => {
    const row = fenceRow(kernel, fence);
    if (row.published && pending(kernel, fence))
      note(kernel, me, {
        kind: 'misuse',
        rule: 'F-10',
        what: `${me} initialises ${fence} again although others still wait for it`,
      });
    initialise(kernel, fence, by);
  },
});
/** In a slot of a reservation: a fence that has signalled, whose name has begun a new life since. */
export const PAST = '';
function forget(kernel: KernelState, fence: string): void {
  for (const row of Object.values(kernel.resvs))
    if (row.fences.some((slot) => slot.fence === fence))
      row.fences = row.fences.map((slot) => (slot.fence === fence ? { ...slot, fence: PAST } : slot));
}
export function initialise(kernel: KernelState, fence: string, by: string | null): void {
  if (fenceRow(kernel, fence).signaled) forget(kernel, fence);
  Object.assign(fenceRow(kernel, fence), {
    initialised: true,
    published: false,
    enabled: false,
    signaled: false,
    error: null,
    promisedBy: by,
    callbacks: [],
  });
  const references = kernel.fence_refs[fence];
  if (references) references.count = 1;
}

/** Hand the promise on: from here `by` must act next for the fence to signal. No kernel code, no step of its own. */
export const promise_passes_to = instruction('promise_passes_to', (fence: string, by: string) => ({ fence, by }), {
  text: ({ fence, by }) => `/* ${by} now owes ${fence} */`,
  touches: ({ fence, by }) => [
    ['fences', fence],
    ['threads', by],
  ],
  run: (kernel, _me, { fence, by }) => passPromise(kernel, fence, by),
});
export function passPromise(kernel: KernelState, fence: string, by: string): void {
  if (pending(kernel, fence)) fenceRow(kernel, fence).promisedBy = by;
}

/** Make the fence, and all that it stands for, reachable by others: the finite-time rule holds (F-9, F-10, T-1). */
export function publish(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (!row.initialised)
    note(kernel, me, { kind: 'misuse', rule: 'F-3', what: `${me} publishes ${fence} before dma_fence_init` });
  if (row.published) return;
  row.published = true;
  note(kernel, me, { kind: 'published', fence });
  for (const child of childrenOf(kernel, fence)) publish(kernel, me, child);
}

/** Install the fence behind a file descriptor (SF-3). */
export const sync_file_install = instruction('sync_file_install', (fence: string) => ({ fence }), {
  text: ({ fence }) => `fd_install(sync_file_create(${fence}))`,
  touches: onFence,
  run: (kernel, me, { fence }) => publish(kernel, me, fence),
});

/** Look the fence up behind its descriptor: ret '0', or '-EBADF' before anybody installed it (SF-3). */
export const sync_file_get_fence = instruction('sync_file_get_fence', (fence: string) => ({ fence }), {
  text: ({ fence }) => `sync_file_get_fence(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => returns(kernel, me, fenceRow(kernel, fence).published ? '0' : '-EBADF'),
});

/** Record an error; only before the signal does anybody ever see it (F-39). */
export const dma_fence_set_error = instruction(
  'dma_fence_set_error',
  (fence: string, error: string) => ({ fence, error }),
  {
    text: ({ fence, error }) => `dma_fence_set_error(${fence}, ${error})`,
    touches: onFence,
    run: (kernel, me, { fence, error }) => {
      const row = fenceRow(kernel, fence);
      if (row.signaled)
        note(kernel, me, { kind: 'misuse', rule: 'F-39', what: `${me} sets the error of ${fence} after it signalled` });
      else if (!/^-E[A-Z]+$/.test(error))
        note(kernel, me, { kind: 'misuse', rule: 'F-39', what: `${me} sets ${error} as the error of ${fence}` });
      else row.error = error;
    },
  },
);

/** Signal: the flag first, then every callback on this stack, in order, under the fence lock (F-29..F-35). */
export const dma_fence_signal = instruction('dma_fence_signal', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_signal(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => lockWait(kernel, me, fence),
  run: (kernel, me, { fence }) => signalFence(kernel, me, fence),
});
/** The same for whoever holds the lock that the fence shares with others (F-33). */
export const dma_fence_signal_locked = instruction('dma_fence_signal_locked', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_signal_locked(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    if (!holdsFenceLock(kernel, me, fence))
      note(kernel, me, { kind: 'misuse', rule: 'F-33', what: `${me} must hold ${lockOf(kernel, fence)} here` });
    signalFence(kernel, me, fence);
  },
});
/** Signal, and say whether it was signalled before: ret 'true' or 'false', in one step (F-32, newer kernels). */
export const dma_fence_check_and_signal = instruction('dma_fence_check_and_signal', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_check_and_signal(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => lockWait(kernel, me, fence),
  run: (kernel, me, { fence }) => {
    const before = fenceRow(kernel, fence).signaled;
    answering(kernel, me, before ? 'true' : 'false', () => signalFence(kernel, me, fence));
  },
});
/** Do this, which may call callbacks on the stack, and return the answer after the last of them. */
export function answering(kernel: KernelState, me: string, answer: string, effects: () => void): void {
  const { frames } = kernel.threads[me] as Thread;
  const depth = frames.length;
  pushCall(kernel, me, 'answer', { answer });
  effects();
  if (frames.length > depth + 1) return;
  frames.pop();
  returns(kernel, me, answer);
}
export function signalFence(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (!row.initialised) {
    note(kernel, me, { kind: 'misuse', rule: 'F-3', what: `${me} signals ${fence} before dma_fence_init` });
    return;
  }
  if (row.signaled) return; // F-32: later signals are no-ops
  outOfOrder(kernel, me, fence);
  if (isContainer(kernel, fence) && !polls(kernel, fence))
    note(kernel, me, { kind: 'misuse', rule: 'I-5', what: `${fence} signals before what it stands for` });
  row.signaled = true;
  row.promisedBy = row.callbacks.length > 0 ? me : null;
  note(kernel, me, { kind: 'signaled', fence, error: row.error });
  for (const { routine, vars } of row.callbacks.toReversed())
    pushCall(kernel, me, 'run_fence_callback', { routine, fence, ...vars, signalled: fence });
}

/** Fences of one context signal in the order of their seqno (F-6, I-4). */
function outOfOrder(kernel: KernelState, me: string, fence: string): void {
  if (isChain(kernel, fence)) return; // its order is that of its payloads, whoever polls it first (H-4, H-13)
  const context = contextOf(kernel, fence);
  const seqno = seqnoOf(kernel, fence);
  for (const other of Object.keys(kernel.fences))
    if (
      other !== fence &&
      contextOf(kernel, other) === context &&
      seqnoOf(kernel, other) < seqno &&
      pending(kernel, other)
    )
      note(kernel, me, {
        kind: 'misuse',
        rule: 'F-6',
        what: `${fence} signals before ${other}, which is older on ${context}`,
      });
}

/** Ask for signalling: at most once, the hook runs under the fence lock with interrupts off (F-12, F-13). */
function enable(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (row.enabled || row.signaled) return;
  row.enabled = true;
  if (row.enable_signaling === '') return;
  returns(kernel, me, '0');
  pushCall(kernel, me, 'run_enable_signaling', { routine: row.enable_signaling, fence });
}
export const dma_fence_enable_sw_signaling = instruction(
  'dma_fence_enable_sw_signaling',
  (fence: string) => ({ fence }),
  {
    text: ({ fence }) => `dma_fence_enable_sw_signaling(${fence})`,
    touches: onFence,
    waits: (kernel, me, { fence }) => lockWait(kernel, me, fence),
    run: (kernel, me, { fence }) => enable(kernel, me, fence),
  },
);
/** For containers and other kernel code: append the callback, then ask; a hook that says "over" calls it at once. */
export function addCallback(kernel: KernelState, me: string, fence: string, callback: Callback): void {
  const row = fenceRow(kernel, fence);
  row.callbacks = [...row.callbacks, callback];
  enable(kernel, me, fence);
}

/** Register a routine for the signal: ret '0', or '-ENOENT' when it is already over and nobody will call (F-19..F-22). */
export const dma_fence_add_callback = instruction(
  'dma_fence_add_callback',
  (fence: string, routine: string, vars: Record<string, string> = {}) => ({ fence, routine, vars }),
  {
    text: ({ fence, routine }) => `dma_fence_add_callback(${fence}, ${routine})`,
    touches: ({ fence, routine }) => [
      ['fences', fence],
      ['routines', routine],
    ],
    waits: (kernel, me, { fence }) => (pending(kernel, fence) ? lockWait(kernel, me, fence) : undefined),
    run: (kernel, me, { fence, routine, vars }) => {
      if (armFirst(kernel, me, [fence])) return; // F-19: the hook first; it may say that all is over
      returns(kernel, me, pending(kernel, fence) ? '0' : '-ENOENT');
      if (!pending(kernel, fence)) return;
      addCallback(kernel, me, fence, { routine, vars });
    },
  },
);
/** Take a callback off again: ret '1' when it will never run, '0' when it has run or was never queued (F-23, F-24). */
export const dma_fence_remove_callback = instruction(
  'dma_fence_remove_callback',
  (fence: string, routine: string, vars: Record<string, string> = {}) => ({ fence, routine, vars }),
  {
    text: ({ fence, routine }) => `dma_fence_remove_callback(${fence}, ${routine})`,
    touches: ({ fence, routine }) => [
      ['fences', fence],
      ['routines', routine],
    ],
    waits: (kernel, me, { fence }) => lockWait(kernel, me, fence) ?? deliveryWait(kernel, fence),
    run: (kernel, me, { fence, routine, vars }) =>
      returns(kernel, me, removeCallback(kernel, fence, { routine, vars }) ? '1' : '0'),
  },
);
export function removeCallback(kernel: KernelState, fence: string, callback: Callback): boolean {
  const row = fenceRow(kernel, fence);
  const at = row.callbacks.findIndex((each) => canonical(each) === canonical(callback));
  if (row.signaled || at < 0) return false;
  row.callbacks = row.callbacks.toSpliced(at, 1);
  return true;
}
/** Take the fence lock and let it go: whatever ran under it is over (F-24, S27). */
export const fence_lock_cycle = instruction('fence_lock_cycle', (fence: string) => ({ fence }), {
  text: ({ fence }) => `spin_lock_irq(${fence}->lock); spin_unlock_irq(${fence}->lock)`,
  touches: onFence,
  waits: (kernel, me, { fence }) => lockWait(kernel, me, fence) ?? deliveryWait(kernel, fence),
  run: () => {},
});

/**
 * Poll: ret '1' or '0'. What the provider's hook or a container's children say makes it signal here and now, so the
 * callbacks run on the stack of whoever polls (F-36, L-10).
 */
export const dma_fence_is_signaled = instruction('dma_fence_is_signaled', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_is_signaled(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    const { is_signaled } = fenceRow(kernel, fence);
    if (!pending(kernel, fence)) returns(kernel, me, '1');
    else if (isContainer(kernel, fence)) returnsPoll(kernel, me, fence);
    else if (is_signaled === '') returns(kernel, me, '0');
    else pushCall(kernel, me, 'run_signaled_hook', { routine: is_signaled, fence });
  },
});
function returnsPoll(kernel: KernelState, me: string, fence: string): void {
  const over = polls(kernel, fence);
  answering(kernel, me, over ? '1' : '0', () => over && signalFence(kernel, me, fence));
}

/** Signalled with or without an error: ret '1', the error, or '0' while pending (F-40). */
export const dma_fence_get_status = instruction('dma_fence_get_status', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_get_status(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => lockWait(kernel, me, fence),
  run: (kernel, me, { fence }) =>
    returns(kernel, me, pending(kernel, fence) ? '0' : (fenceRow(kernel, fence).error ?? '1')),
});

/** Why a wait for all of these fences cannot end yet: who still owes a signal. */
export function fencesWait(kernel: KernelState, fences: readonly string[], how: Partial<Wait> = {}): Wait | undefined {
  const open = fences.filter((fence) => pending(kernel, fence));
  if (open.length === 0 || open.some((fence) => unarmed(kernel, fence))) return undefined;
  const any = open.length === 1 && anyWillDo(kernel, open[0] as string);
  // Among several, an array that any member ends has no debtor of whom one could say: without this one, never.
  const lacking = open.flatMap((fence) => (any || !anyWillDo(kernel, fence) ? missing(kernel, fence) : []));
  return owed(kernel, open.join(' + '), [...new Set(lacking)], any ? { any, ...how } : how);
}
/** A wait for signals of these fences: who owes each. */
export function owed(kernel: KernelState, object: string, lacking: readonly string[], how: Partial<Wait>): Wait {
  const owedBy = [
    ...new Set(lacking.map((fence) => fenceRow(kernel, fence).promisedBy).filter((by) => by !== null)),
  ].sort();
  const owes = (fence: string): string => {
    const by = fenceRow(kernel, fence).promisedBy;
    return by === null ? `nobody is left to signal ${fence}` : `${by} has yet to signal ${fence}`;
  };
  return { on: 'fence', object, owedBy, because: lacking.map(owes).join(how.any ? ', or ' : ', and '), ...how };
}

/** Arm the first fence that needs it and come back; true when there was one. */
export function armFirst(kernel: KernelState, me: string, fences: readonly string[]): boolean {
  const fence = fences.find((each) => pending(kernel, each) && unarmed(kernel, each));
  if (fence === undefined) return false;
  stay(kernel, me);
  enable(kernel, me, fence);
  return true;
}

/** The lockdep side of a wait: the map is taken exclusively for a moment, shared holds dropped (L-5). */
export function mightWait(kernel: KernelState, me: string, fences: readonly string[], what: string): void {
  might_sleep(kernel, me, what);
  const thread = kernel.threads[me] as { held: Held[] };
  const all = thread.held;
  const over = all.filter((each) => each.kind !== 'signalling');
  thread.held = over;
  probe(kernel, me, { object: FENCE_MAP, class: FENCE_MAP, kind: 'lock', mode: 'exclusive', try: false });
  thread.held = all;
  for (const fence of fences.flatMap((each) => leavesOf(kernel, each)))
    note(kernel, me, { kind: 'waitsForFence', fence, over: over.filter((each) => each.class !== '') });
}
/** Whoever waits for a container waits for what it stands for. */
const leavesOf = (kernel: KernelState, fence: string): readonly string[] =>
  isContainer(kernel, fence) ? childrenOf(kernel, fence).flatMap((child) => leavesOf(kernel, child)) : [fence];

const waitOp = (opName: string, how: Partial<Wait>, ends: Readonly<Record<string, string>>) =>
  instruction(opName, (fence: string) => ({ fence }), {
    text: ({ fence }) => `${opName}(${fence})`,
    touches: onFence,
    waits: (kernel, _me, { fence }) => fencesWait(kernel, [fence], how),
    run: (kernel, me, { fence }, outcome) => {
      if (outcome === '' && armFirst(kernel, me, [fence])) return;
      mightWait(kernel, me, [fence], opName);
      returns(kernel, me, ends[outcome] ?? '0');
    },
  });
/** Wait until the fence signals, uninterruptibly and for ever (F-43..F-46). */
export const dma_fence_wait = waitOp('dma_fence_wait', {}, {});
/** The same, but a signal to the process ends it: ret '-ERESTARTSYS'. */
export const dma_fence_wait_interruptible = waitOp(
  'dma_fence_wait_interruptible',
  { interruptible: 'interrupted' },
  { interrupted: '-ERESTARTSYS' },
);
/**
 * The same, but it gives up after a time, which does not make the fence signalled (HC-10). With a timeout ret is the
 * kernel's: '0', or the time left, '1'; a timeout of 0 only looks, and may sleep all the same (F-43..F-45). Without one
 * ret is what drivers make of it: '-ETIME', or '0'.
 */
export const dma_fence_wait_timeout = instruction(
  'dma_fence_wait_timeout',
  (fence: string, timeout?: '0' | 'HZ') => ({ fence, timeout }),
  {
    text: ({ fence, timeout }) => `dma_fence_wait_timeout(${fence}${timeout === undefined ? '' : `, ${timeout}`})`,
    touches: onFence,
    waits: (kernel, _me, { fence, timeout }) =>
      timeout === '0' ? undefined : fencesWait(kernel, [fence], { bounded: 'times out' }),
    run: (kernel, me, { fence, timeout }, outcome) => {
      if (outcome === '' && armFirst(kernel, me, [fence])) return;
      mightWait(kernel, me, [fence], 'dma_fence_wait_timeout');
      const over = outcome === '' && !pending(kernel, fence);
      if (timeout === undefined) returns(kernel, me, over ? '0' : '-ETIME');
      else returns(kernel, me, over ? '1' : '0');
    },
  },
);

/** The wait itself; see dma_fence_wait_any_timeout. A timeout of 0 polls, and any other asks every fence first. */
const wait_any = instruction(
  'wait_any',
  (fences: readonly string[], timeout: '0' | 'HZ' | 'MAX') => ({ fences, timeout }),
  {
    text: ({ fences, timeout }) => `dma_fence_wait_any_timeout({ ${fences.join(', ')} }, ${timeout})`,
    touches: ({ fences }) => fences.map((fence) => ['fences', fence] as const),
    waits: (kernel, _me, { fences, timeout }) => {
      if (timeout === '0' || fences.some((fence) => !pending(kernel, fence) || unarmed(kernel, fence)))
        return undefined;
      const lacking = [...new Set(fences.flatMap((fence) => missing(kernel, fence)))];
      const how = timeout === 'HZ' ? ({ any: true, bounded: 'times out' } as const) : ({ any: true } as const);
      return fences.length === 0 ? undefined : owed(kernel, fences.join(' | '), lacking, how);
    },
    run: (kernel, me, { fences, timeout }, outcome) => {
      if (fences.length === 0) {
        note(kernel, me, { kind: 'misuse', rule: 'F-47', what: `${me} waits for any of no fences at all` });
        returns(kernel, me, '-EINVAL');
        return;
      }
      const first = fences.find((fence) => (timeout === '0' ? polls(kernel, fence) : !pending(kernel, fence)));
      if (first === undefined && timeout !== '0' && outcome === '' && armFirst(kernel, me, fences)) return;
      might_sleep(kernel, me, 'dma_fence_wait_any_timeout');
      const toSignal = first !== undefined && pending(kernel, first);
      answering(kernel, me, first ?? '0', () => toSignal && signalFence(kernel, me, first));
    },
  },
);
/**
 * Wait until the first of these signals: ret is that fence, or '0' when the time was up. It allocates, so it has no
 * place on a signalling path, and it has no lockdep probe of its own (F-47). A timeout of 0 only polls.
 */
export const dma_fence_wait_any_timeout = (fences: readonly string[], timeout: '0' | 'HZ' | 'MAX' = 'MAX'): Block =>
  timeout === '0' || fences.length === 0
    ? [wait_any(fences, timeout)]
    : [kmalloc('GFP_KERNEL', 'cb'), wait_any(fences, timeout)];

/** Open and close a signalling section; nested sections and atomic context are not tracked (L-2, L-3, L-4). */
export const dma_fence_begin_signalling = instruction('dma_fence_begin_signalling', () => ({}), {
  text: () => 'dma_fence_begin_signalling()',
  local: true,
  run: (kernel, me) => {
    if (holdsKind(kernel, me, 'atomic')) return;
    const nested = holdsKind(kernel, me, 'signalling') !== undefined;
    acquire(kernel, me, {
      object: FENCE_MAP,
      class: nested ? '' : FENCE_MAP,
      kind: 'signalling',
      mode: 'shared',
      try: newer(kernel, 'begin_signalling_trylock'),
    });
  },
});
export const dma_fence_end_signalling = instruction('dma_fence_end_signalling', () => ({}), {
  text: () => 'dma_fence_end_signalling()',
  local: true,
  run: (kernel, me) => {
    release(kernel, me, FENCE_MAP, 'signalling');
  },
});

const call_hook = instruction('call_hook', (routine: string) => ({ routine }), {
  text: ({ routine }) => `${routine}()`,
  local: true,
  run: (kernel, me, { routine }) => {
    const frame = (kernel.threads[me] as { frames: { vars: Record<string, string> }[] }).frames.at(-1);
    pushCall(kernel, me, routine, frame?.vars ?? {});
  },
});
/** A hook that returns 'false' says that the fence is over already: the core signals it right there (F-12, F-14). */
const enable_answer = instruction('enable_answer', (fence: string) => ({ fence }), {
  text: ({ fence }) => `if (!enabled) dma_fence_signal_locked(${fence})`,
  local: true,
  run: (kernel, me, { fence }) => {
    if ((kernel.threads[me] as { ret: string }).ret === 'false') signalFence(kernel, me, fence);
  },
});
const fence_lock_enter = instruction('fence_lock_enter', (fence: string) => ({ fence }), {
  text: ({ fence }) => `spin_lock_irqsave(${fence}->lock)`,
  local: true,
  run: (kernel, me, { fence }) => acquire(kernel, me, inAtomic(lockOf(kernel, fence))),
});
const fence_lock_exit = instruction('fence_lock_exit', (fence: string) => ({ fence }), {
  text: ({ fence }) => `spin_unlock_irqrestore(${fence}->lock)`,
  local: true,
  run: (kernel, me, { fence }) => {
    release(kernel, me, lockOf(kernel, fence), 'atomic');
  },
});
const callback_over = instruction('callback_over', (fence: string) => ({ fence }), {
  text: ({ fence }) => `/* a callback of ${fence} is over */`,
  local: true,
  run: (kernel, _me, { fence }) => {
    const row = fenceRow(kernel, fence);
    row.callbacks = row.callbacks.slice(1);
    if (row.callbacks.length === 0) row.promisedBy = null;
  },
});
const underFenceLock = (
  what: string,
  which: string,
  after: readonly Instruction[],
  last: readonly Instruction[] = [],
): readonly Instruction[] => [
  { op: 'atomic_enter', object: what },
  fence_lock_enter(which),
  call_hook('$routine'),
  ...after,
  fence_lock_exit(which),
  ...last,
  { op: 'atomic_exit', object: what },
];

export const fence: KernelObject = {
  schema: fields,
  ops: [
    dma_fence_init,
    promise_passes_to,
    sync_file_install,
    sync_file_get_fence,
    dma_fence_set_error,
    dma_fence_signal,
    dma_fence_signal_locked,
    dma_fence_check_and_signal,
    dma_fence_enable_sw_signaling,
    dma_fence_add_callback,
    dma_fence_remove_callback,
    fence_lock_cycle,
    dma_fence_is_signaled,
    dma_fence_get_status,
    dma_fence_wait,
    dma_fence_wait_interruptible,
    dma_fence_wait_timeout,
    wait_any,
    dma_fence_begin_signalling,
    dma_fence_end_signalling,
    call_hook,
    enable_answer,
    fence_lock_enter,
    fence_lock_exit,
    callback_over,
  ],
  routines: {
    run_fence_callback: underFenceLock('a fence callback', '$signalled', [], [callback_over('$signalled')]),
    run_enable_signaling: underFenceLock('enable_signaling', '$fence', [enable_answer('$fence')]),
    run_signaled_hook: [
      call_hook('$routine'),
      if_ret('true', [dma_fence_signal('$fence'), return_('1')], [return_('0')]),
    ],
    answer: [return_('$answer')],
  },
  leftovers: (kernel) =>
    Object.keys(kernel.fences)
      .filter((each) => fenceRow(kernel, each).published && pending(kernel, each))
      .map((each) => `${each} never signalled`),
};
