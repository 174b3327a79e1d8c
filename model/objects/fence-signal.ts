/**
 * Signal a fence, give it an error before, and ask what became of it (drivers/dma-buf/dma-fence.c; F-29..F-42). A poll
 * may find that the work is over and signals then, so callbacks run on the stack of whoever asks.
 */
import {
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  pushCall,
  returns,
} from '../machine.ts';
import { isContainer, polls } from './fence-container.ts';
import { call_hook, fenceLockWait, holdsFenceLock, lockOf } from './fence-lock.ts';
import { fenceRow, onFence, pending, signalFence } from './fence.ts';
import { if_ret, return_ } from './flow.ts';

/** Record an error; only before the signal does anybody ever see it (F-39). */
export const dma_fence_set_error = instruction(
  'dma_fence_set_error',
  (fence: string, error: string) => ({ fence, error }),
  {
    text: ({ fence, error }) => `dma_fence_set_error(${fence}, ${error})`,
    touches: onFence,
    run: (kernel, me, { fence, error }) => {
      const row = fenceRow(kernel, fence);
      if (row.signaled) complain(kernel, me, 'F-39', `${me} sets the error of ${fence} after it signalled`);
      else if (!/^-E[A-Z]+$/.test(error)) complain(kernel, me, 'F-39', `${me} sets ${error} as the error of ${fence}`);
      else row.error = error;
    },
  },
);

/** Signal: the flag first, then every callback on this stack, in order, under the fence lock (F-29..F-35). */
export const dma_fence_signal = instruction('dma_fence_signal', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_signal(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence),
  run: (kernel, me, { fence }) => signalFence(kernel, me, fence),
});
/** The same for whoever holds the lock that the fence shares with others (F-33). */
export const dma_fence_signal_locked = instruction('dma_fence_signal_locked', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_signal_locked(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    if (!holdsFenceLock(kernel, me, fence))
      complain(kernel, me, 'F-33', `${me} must hold ${lockOf(kernel, fence)} here`);
    signalFence(kernel, me, fence);
  },
});
/** Signal, and say whether it was signalled before: ret 'true' or 'false', in one step (F-32, newer kernels). */
export const dma_fence_check_and_signal = instruction('dma_fence_check_and_signal', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_check_and_signal(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence),
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
  waits: (kernel, me, { fence }) => fenceLockWait(kernel, me, fence),
  run: (kernel, me, { fence }) =>
    returns(kernel, me, pending(kernel, fence) ? '0' : (fenceRow(kernel, fence).error ?? '1')),
});

export const fenceSignal: KernelObject = {
  ops: [
    dma_fence_set_error,
    dma_fence_signal,
    dma_fence_signal_locked,
    dma_fence_check_and_signal,
    dma_fence_is_signaled,
    dma_fence_get_status,
  ],
  routines: {
    run_signaled_hook: [
      call_hook('$routine'),
      if_ret('true', [dma_fence_signal('$fence'), return_('1')], [return_('0')]),
    ],
    answer: [return_('$answer')],
  },
};
