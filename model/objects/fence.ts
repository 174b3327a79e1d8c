/**
 * dma_fence: a promise that something will be over, and who owes it (drivers/dma-buf/dma-fence.c; rules F-1..F-55).
 *
 * `promisedBy` is not in the kernel: it names the thread that must act next for the fence to signal. It is handed
 * over as the work moves on: the ioctl, then the scheduler's worker, then the ring, then the interrupt or timer. So
 * what a published fence still needs is computed, not annotated.
 */
import {
  type Held,
  type Instruction,
  type KernelObject,
  type KernelState,
  type Wait,
  instruction,
  note,
  pushCall,
  returns,
  stay,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, table, whole } from '../schema.ts';
import { FENCE_MAP, acquire, holdsKind, might_sleep, probe, release } from './context.ts';

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
    initialised: flag,
    published: flag,
    enabled: flag,
    signaled: flag,
    error: whole<string | null>(null),
    promisedBy: maybe(name('threads')),
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
export const contextOf = (kernel: KernelState, fence: string): string => fenceRow(kernel, fence).context || fence;
const onFence = ({ fence }: { fence: string }): [['fences', string]] => [['fences', fence]];

/** Still unsignalled: a fence that was never initialised counts as done, nobody can have seen it. */
export const pending = (kernel: KernelState, fence: string): boolean => {
  const { initialised, signaled } = fenceRow(kernel, fence);
  return initialised && !signaled;
};
/** Must somebody still call enable_signaling before this fence can be expected to signal? */
const unarmed = (kernel: KernelState, fence: string): boolean =>
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
    Object.assign(row, {
      initialised: true,
      published: false,
      enabled: false,
      signaled: false,
      error: null,
      promisedBy: by,
      callbacks: [],
    });
  },
});

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

/** Make the fence reachable by others: from here the finite-time rule holds (F-9, F-10, T-1). */
export function publish(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (!row.initialised)
    note(kernel, me, { kind: 'misuse', rule: 'F-3', what: `${me} publishes ${fence} before dma_fence_init` });
  if (row.published) return;
  row.published = true;
  note(kernel, me, { kind: 'published', fence });
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
      else row.error = error;
    },
  },
);

/** Signal: the flag first, then every callback on this stack, in order, under the fence lock (F-29..F-35). */
export const dma_fence_signal = instruction('dma_fence_signal', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_signal(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => signalFence(kernel, me, fence),
});
export function signalFence(kernel: KernelState, me: string, fence: string): void {
  const row = fenceRow(kernel, fence);
  if (!row.initialised) {
    note(kernel, me, { kind: 'misuse', rule: 'F-3', what: `${me} signals ${fence} before dma_fence_init` });
    return;
  }
  if (row.signaled) return; // F-32: later signals are no-ops
  outOfOrder(kernel, me, fence);
  const callbacks = row.callbacks;
  row.signaled = true;
  row.promisedBy = null;
  row.callbacks = [];
  note(kernel, me, { kind: 'signaled', fence, error: row.error });
  for (const { routine, vars } of callbacks.toReversed())
    pushCall(kernel, me, 'run_fence_callback', { routine, fence, ...vars });
}

/** Fences of one context signal in the order of their seqno (F-6, I-4). */
function outOfOrder(kernel: KernelState, me: string, fence: string): void {
  const context = contextOf(kernel, fence);
  const { seqno } = fenceRow(kernel, fence);
  for (const other of Object.keys(kernel.fences))
    if (
      other !== fence &&
      contextOf(kernel, other) === context &&
      fenceRow(kernel, other).seqno < seqno &&
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
    run: (kernel, me, { fence }) => enable(kernel, me, fence),
  },
);

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
    run: (kernel, me, { fence, routine, vars }) => {
      if (armFirst(kernel, me, [fence])) return; // F-19: the hook first; it may say that all is over
      returns(kernel, me, pending(kernel, fence) ? '0' : '-ENOENT');
      if (!pending(kernel, fence)) return;
      const row = fenceRow(kernel, fence);
      row.callbacks = [...row.callbacks, { routine, vars }];
      enable(kernel, me, fence);
    },
  },
);

/** Poll without side effect: ret '1' or '0' (F-36). */
export const dma_fence_is_signaled = instruction('dma_fence_is_signaled', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_is_signaled(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => returns(kernel, me, pending(kernel, fence) ? '0' : '1'),
});

/** Signalled with or without an error: ret '1', the error, or '0' while pending (F-40). */
export const dma_fence_get_status = instruction('dma_fence_get_status', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_get_status(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) =>
    returns(kernel, me, pending(kernel, fence) ? '0' : (fenceRow(kernel, fence).error ?? '1')),
});

/** Why a wait for all of these fences cannot end yet: who still owes a signal. */
export function fencesWait(kernel: KernelState, fences: readonly string[], how: Partial<Wait> = {}): Wait | undefined {
  const open = fences.filter((fence) => pending(kernel, fence));
  if (open.length === 0 || open.some((fence) => unarmed(kernel, fence))) return undefined;
  const owedBy = [
    ...new Set(open.map((fence) => fenceRow(kernel, fence).promisedBy).filter((by) => by !== null)),
  ].sort();
  const owes = (fence: string): string => {
    const by = fenceRow(kernel, fence).promisedBy;
    return by === null ? `nobody is left to signal ${fence}` : `${by} has yet to signal ${fence}`;
  };
  return { on: 'fence', object: open.join(' + '), owedBy, because: open.map(owes).join(', and '), ...how };
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
  for (const fence of fences)
    note(kernel, me, { kind: 'waitsForFence', fence, over: over.filter((each) => each.class !== '') });
}

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
/** The same, but it gives up after a time: ret '-ETIME'. Giving up the wait does not make the fence signalled (HC-10). */
export const dma_fence_wait_timeout = waitOp(
  'dma_fence_wait_timeout',
  { bounded: 'times out' },
  { 'times out': '-ETIME' },
);

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
      try: true,
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
const underFenceLock = (what: string, after: readonly Instruction[] = []): readonly Instruction[] => [
  { op: 'atomic_enter', object: what },
  call_hook('$routine'),
  ...after,
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
    dma_fence_enable_sw_signaling,
    dma_fence_add_callback,
    dma_fence_is_signaled,
    dma_fence_get_status,
    dma_fence_wait,
    dma_fence_wait_interruptible,
    dma_fence_wait_timeout,
    dma_fence_begin_signalling,
    dma_fence_end_signalling,
    call_hook,
    enable_answer,
  ],
  routines: {
    run_fence_callback: underFenceLock('a fence callback'),
    run_enable_signaling: underFenceLock('enable_signaling', [enable_answer('$fence')]),
  },
  leftovers: (kernel) =>
    Object.keys(kernel.fences)
      .filter((each) => fenceRow(kernel, each).published && pending(kernel, each))
      .map((each) => `${each} never signalled`),
};
