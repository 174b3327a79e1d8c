/**
 * Callbacks of a fence, and asking it for its signal (drivers/dma-buf/dma-fence.c; F-12..F-28). A fence signals unasked,
 * or only after its enable_signaling hook ran; the hook runs at most once, and may say that all is over already.
 */
import { type KernelObject, type KernelState, instruction, pushCall, returns, stay } from '../machine.ts';
import { canonical } from '../schema.ts';
import { deliveryWait, fenceLockWait, underFenceLock } from './fence-lock.ts';
import { type Callback, fenceRow, onFence, pending, signalFence, unarmed } from './fence.ts';

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
    waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence),
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
    waits: (kernel, me, { fence }) => (pending(kernel, fence) ? fenceLockWait(kernel, me, fence) : undefined),
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
    waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence) ?? deliveryWait(kernel, fence),
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

/** Arm the first fence that needs it and come back; true when there was one. */
export function armFirst(kernel: KernelState, me: string, fences: readonly string[]): boolean {
  const fence = fences.find((each) => pending(kernel, each) && unarmed(kernel, each));
  if (fence === undefined) return false;
  stay(kernel, me);
  enable(kernel, me, fence);
  return true;
}

/** A hook that returns 'false' says that the fence is over already: the core signals it right there (F-12, F-14). */
const enable_answer = instruction('enable_answer', (fence: string) => ({ fence }), {
  text: ({ fence }) => `if (!enabled) dma_fence_signal_locked(${fence})`,
  local: true,
  run: (kernel, me, { fence }) => {
    if ((kernel.threads[me] as { ret: string }).ret === 'false') signalFence(kernel, me, fence);
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

export const fenceCallback: KernelObject = {
  ops: [dma_fence_enable_sw_signaling, dma_fence_add_callback, dma_fence_remove_callback, enable_answer, callback_over],
  routines: {
    run_fence_callback: underFenceLock('a fence callback', '$signalled', [], [callback_over('$signalled')]),
    run_enable_signaling: underFenceLock('enable_signaling', '$fence', [enable_answer('$fence')]),
  },
};
