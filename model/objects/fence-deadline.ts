/**
 * Deadline hints: a waiter says by when it would like a fence to be over (F-53..F-55). A hint never decides whether or
 * in which order fences signal, so all there is to it is whom it reaches.
 */
import { type Block, type KernelObject, instruction, pushCall } from '../machine.ts';
import { childrenOf, isContainer } from './fence-container.ts';
import { fenceRow, pending } from './fence.ts';
import { dma_fence_is_signaled } from './fence-signal.ts';
import { if_ret } from './flow.ts';

/** An array hands the hint to every member, a chain to every payload from newest to oldest (F-55). */
const deadline_reaches = instruction('deadline_reaches', (fence: string, deadline: string) => ({ fence, deadline }), {
  text: ({ fence, deadline }) => `${fence}->ops->set_deadline(${deadline})`,
  touches: ({ fence }) => [['fences', fence]],
  run: (kernel, me, { fence, deadline }) => {
    const reached = (each: string): string[] =>
      isContainer(kernel, each)
        ? childrenOf(kernel, each).flatMap(reached)
        : pending(kernel, each) && fenceRow(kernel, each).set_deadline !== ''
          ? [each]
          : [];
    for (const each of reached(fence).toReversed())
      pushCall(kernel, me, fenceRow(kernel, each).set_deadline, { fence: each, deadline });
  },
});
/** dma_fence_set_deadline: polls first, which may itself signal the fence; then the hook, if there is one (F-53). */
export const dma_fence_set_deadline = (fence: string, deadline: string): Block => [
  dma_fence_is_signaled(fence),
  if_ret('0', [deadline_reaches(fence, deadline)]),
];

export const fenceDeadline: KernelObject = { ops: [deadline_reaches] };
