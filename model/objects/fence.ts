/**
 * dma_fence: a promise that something will be over, and who owes it (drivers/dma-buf/dma-fence.c; rules F-1..F-11, F-29..F-32).
 *
 * `promisedBy` is not in the kernel: it names the thread that must act next for the fence to signal. It is handed
 * over as the work moves on: the ioctl, then the scheduler's worker, then the ring, then the interrupt or timer. So
 * what a published fence still needs is computed, not annotated. The calls have pages of their own: fence-lock.ts,
 * fence-callback.ts, fence-signal.ts, fence-wait.ts, fence-signalling.ts.
 */
import {
  type Held,
  type KernelObject,
  type KernelState,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { anyWillDo, childrenOf, isChain, isContainer, missing, polls } from './fence-container.ts';

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
export const onFence = ({ fence }: { fence: string }): [['fences', string]] => [['fences', fence]];

/** Still unsignalled: a fence that was never initialised counts as done, nobody can have seen it. */
export const pending = (kernel: KernelState, fence: string): boolean => {
  const { initialised, signaled } = fenceRow(kernel, fence);
  return initialised && !signaled;
};
/** Must somebody still call enable_signaling before this fence can be expected to signal? */
export const unarmed = (kernel: KernelState, fence: string): boolean =>
  fenceRow(kernel, fence).enable_signaling !== '' && !fenceRow(kernel, fence).enabled;

/**
 * Is this fence published, still pending, and asked for? One that begins to signal only when it is asked to, by
 * enable_signaling, owes nothing before: whoever waits for it asks (F-12, F-37, E1.3).
 */
export const isPromised = (kernel: KernelState, fence: string): boolean => {
  const { published, initialised, signaled, enable_signaling, enabled } = fenceRow(kernel, fence);
  return published && initialised && !signaled && (enable_signaling === '' || enabled);
};

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
      complain(kernel, me, 'F-10', `${me} initialises ${fence} again although others still wait for it`);
    initialise(kernel, fence, by);
  },
});
/** In a reservation, or among a job's dependencies: a fence that has signalled, whose name has begun a new life since. */
export const PAST = '';
function forget(kernel: KernelState, fence: string): void {
  for (const row of Object.values(kernel.resvs))
    if (row.fences.some((slot) => slot.fence === fence))
      row.fences = row.fences.map((slot) => (slot.fence === fence ? { ...slot, fence: PAST } : slot));
  for (const row of Object.values(kernel.sched_jobs))
    if (row.dependencies.includes(fence))
      row.dependencies = row.dependencies.map((each) => (each === fence ? PAST : each));
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
  if (!row.initialised) complain(kernel, me, 'F-3', `${me} publishes ${fence} before dma_fence_init`);
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

export function signalFence(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (!row.initialised) {
    complain(kernel, me, 'F-3', `${me} signals ${fence} before dma_fence_init`);
    return;
  }
  if (row.signaled) return; // F-32: later signals are no-ops
  outOfOrder(kernel, me, fence);
  if (isContainer(kernel, fence) && !polls(kernel, fence))
    complain(kernel, me, 'I-5', `${fence} signals before what it stands for`);
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
      complain(kernel, me, 'F-6', `${fence} signals before ${other}, which is older on ${context}`);
}

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

export const fence: KernelObject = {
  schema: fields,
  ops: [dma_fence_init, promise_passes_to, sync_file_install, sync_file_get_fence],
  leftovers: (kernel) =>
    Object.keys(kernel.fences)
      .filter((each) => isPromised(kernel, each))
      .map((each) => `${each} never signalled`),
};
