/**
 * The spinlock of a fence: its own, or one that several fences share (F-2, F-26). Signals, callbacks and hooks run under
 * it with interrupts off, so whoever holds it already, or finds callbacks still running, waits here.
 */
import { type Instruction, type KernelObject, type KernelState, type Wait, instruction, pushCall } from '../machine.ts';
import { acquire, holds, inAtomic, release } from './context.ts';
import { fenceRow, onFence } from './fence.ts';

/** The spinlock that every operation on the fence takes: its own, or one that several fences share (F-26). */
export const lockOf = (kernel: KernelState, fence: string): string => fenceRow(kernel, fence).lock || `${fence}->lock`;
export const holdsFenceLock = (kernel: KernelState, me: string, fence: string): boolean =>
  holds(kernel, me, lockOf(kernel, fence), 'atomic') || holds(kernel, me, lockOf(kernel, fence));
/** Why the fence lock cannot be taken: in a callback or hook this thread has it already, or another has a shared one. */
export function fenceLockWait(kernel: KernelState, me: string, fence: string): Wait | undefined {
  const object = lockOf(kernel, fence);
  if (holdsFenceLock(kernel, me, fence))
    return { on: 'spinlock', object, owedBy: [me], because: `${me} holds ${object} already` };
  const owner = kernel.locks[object]?.owner ?? null;
  return owner === null ? undefined : { on: 'spinlock', object, owedBy: [owner], because: `${owner} holds ${object}` };
}
/** Why its callbacks are still running: a signal holds the lock until the last one has returned (F-24, F-30). */
export const deliveryWait = (kernel: KernelState, fence: string): Wait | undefined => {
  const { signaled, callbacks, promisedBy } = fenceRow(kernel, fence);
  if (!signaled || callbacks.length === 0 || promisedBy === null) return undefined;
  const object = lockOf(kernel, fence);
  return { on: 'spinlock', object, owedBy: [promisedBy], because: `${promisedBy} runs the callbacks of ${fence}` };
};

/** Take the fence lock and let it go: whatever ran under it is over (F-24, S27). */
export const fence_lock_cycle = instruction('fence_lock_cycle', (fence: string) => ({ fence }), {
  text: ({ fence }) => `spin_lock_irq(${fence}->lock); spin_unlock_irq(${fence}->lock)`,
  touches: onFence,
  waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence) ?? deliveryWait(kernel, fence),
  run: () => {},
});

export const call_hook = instruction('call_hook', (routine: string) => ({ routine }), {
  text: ({ routine }) => `${routine}()`,
  local: true,
  run: (kernel, me, { routine }) => {
    const frame = (kernel.threads[me] as { frames: { vars: Record<string, string> }[] }).frames.at(-1);
    pushCall(kernel, me, routine, frame?.vars ?? {});
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
export const underFenceLock = (
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

export const fenceLock: KernelObject = { ops: [fence_lock_cycle, call_hook, fence_lock_enter, fence_lock_exit] };
