/**
 * What a thread holds and where it runs: the held stack that lockdep keeps per task, and the sleep checks.
 *
 * Every acquisition says as a fact what it was taken over; properties/lock-order.ts makes the class graph of them
 * (kernel/locking/lockdep.c; rules L-12..L-16).
 */
import {
  type Held,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  note,
} from '../machine.ts';

declare module '../machine.ts' {
  interface Facts {
    /** A lock class was taken, or probed, over what was already held; `nest` is the class of the ticket that allows several. */
    acquires: {
      class: string;
      object: string;
      mode: 'exclusive' | 'shared';
      try: boolean;
      nest: string;
      over: readonly Held[];
    };
  }
}

/** Task context that lockdep's classes live in, as the kernel primes them at boot (drivers/dma-buf/dma-resv.c, L-18). */
export const MMAP_LOCK = 'mmap_lock';
export const RESV_TICKET = 'reservation_ww_class_acquire';
export const RESV = 'reservation_ww_class_mutex';
export const FS_RECLAIM = 'fs_reclaim';
export const I_MMAP = 'i_mmap_rwsem';
export const MMU_NOTIFIER = 'mmu_notifier_invalidate_range_start';
export const FENCE_MAP = 'dma_fence_map';

const held = (kernel: KernelState, me: string): Held[] => (kernel.threads[me] as Thread).held;

/** Take a lock or pseudo-lock: say what it was taken over, then hold it. */
export function acquire(kernel: KernelState, me: string, taken: Held, nest = ''): void {
  probe(kernel, me, taken, nest);
  held(kernel, me).push(taken);
}

/** Say that it is taken here, without holding it afterwards: `might_lock`, `might_alloc` (L-16). */
export function probe(
  kernel: KernelState,
  me: string,
  { class: name, object, mode, try: tried }: Held,
  nest = '',
): void {
  if (name !== '')
    note(kernel, me, {
      kind: 'acquires',
      class: name,
      object,
      mode,
      try: tried,
      nest,
      over: held(kernel, me).filter((each) => each.class !== ''),
    });
}

/** Let go of the innermost hold of this object; false when it was not held. */
export function release(kernel: KernelState, me: string, object: string, kind: Held['kind']): boolean {
  const stack = held(kernel, me);
  const at = stack.findLastIndex((each) => each.object === object && each.kind === kind);
  if (at < 0) return false;
  stack.splice(at, 1);
  return true;
}

export const holds = (kernel: KernelState, me: string, object: string, kind: Held['kind'] = 'lock'): boolean =>
  held(kernel, me).some((each) => each.object === object && each.kind === kind);
export const holdsKind = (kernel: KernelState, me: string, kind: Held['kind']): Held | undefined =>
  held(kernel, me).find((each) => each.kind === kind);

/** A call that may sleep was made: a misuse in interrupt context or under a spinlock (CTX-A, I-12). */
export function might_sleep(kernel: KernelState, me: string, what: string): void {
  const atomic = holdsKind(kernel, me, 'atomic');
  if (atomic) complain(kernel, me, 'CTX-A', `${what} may sleep, but ${me} is in ${atomic.object}`);
}

export const inAtomic = (object: string): Held => ({
  object,
  class: '',
  kind: 'atomic',
  mode: 'exclusive',
  try: false,
});

/** Enter and leave a section in which nothing may sleep: interrupts off, a callback under the fence lock (F-26). */
export const atomic_enter = instruction('atomic_enter', (object: string) => ({ object }), {
  text: ({ object }) => `enter ${object}`,
  local: true,
  run: (kernel, me, { object }) => acquire(kernel, me, inAtomic(object)),
});
export const atomic_exit = instruction('atomic_exit', (object: string) => ({ object }), {
  text: ({ object }) => `leave ${object}`,
  local: true,
  run: (kernel, me, { object }) => {
    release(kernel, me, object, 'atomic');
  },
});

export const context: KernelObject = { one: { [MMAP_LOCK]: undefined }, ops: [atomic_enter, atomic_exit] };
