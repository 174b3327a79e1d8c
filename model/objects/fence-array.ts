/**
 * dma_fence_array: one fence for several, over when all of its members are, or the first of them
 * (drivers/dma-buf/dma-fence-array.c; A-1..A-13).
 *
 * It signals from irq_work, never inside a member's signal (K-1). Its members are asked for their signals only when
 * somebody asks it.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { isContainer } from './fence-container.ts';
import { contextOf, fenceRow, initialise, pending } from './fence.ts';
import { addCallback } from './fence-callback.ts';
import { dma_fence_signal } from './fence-signal.ts';
import { return_ } from './flow.ts';
import { irqWorkQueue } from './irq-work.ts';
import { kmalloc } from './memory.ts';

const rowOf = (kernel: KernelState, array: string): KernelState['containers'][string] => {
  const row = kernel.containers[array];
  if (row?.kind !== 'array')
    throw new Error(`${array} is no fence array; declare it with \`...fence_arrays('${array}')\``);
  return row;
};

/** Rows for arrays of these names, to be put together with those of other objects. */
export const fence_arrays = (...names: readonly string[]): Record<string, Record<string, Record<string, unknown>>> => ({
  fences: Object.fromEntries(names.map((name) => [name, { enable_signaling: 'dma_fence_array_enable_signaling' }])),
  containers: Object.fromEntries(names.map((name) => [name, { kind: 'array' }])),
});

export type ArrayMode = 'all' | 'any';
/** Make it stand for these fences; can neither fail nor allocate, so the memory may have been got long before. */
export const dma_fence_array_init = instruction(
  'dma_fence_array_init',
  (array: string, members: readonly string[], mode: ArrayMode = 'all') => ({ array, members, mode }),
  {
    text: ({ array, members, mode }) => `dma_fence_array_init(${array}, { ${members.join(', ')} }, ${mode})`,
    touches: ({ array, members }) => [['containers', array], ...members.map((member) => ['fences', member] as const)],
    run: (kernel, me, { array, members, mode }) => {
      if (members.length === 0) complain(kernel, me, 'A-3', `${me} makes the array ${array} of no fences`);
      for (const member of members.filter((each) => isContainer(kernel, each)))
        complain(kernel, me, 'K-3', `${member}, a container, becomes a member of ${array}`);
      arrayInit(kernel, array, members, mode);
    },
  },
);
export function arrayInit(kernel: KernelState, array: string, members: readonly string[], mode: ArrayMode): void {
  const row = rowOf(kernel, array);
  initialise(kernel, array, null);
  row.of = [...members];
  row.need = mode === 'any' ? 1 : members.length;
}
/** Allocate and initialise: GFP_KERNEL, so only before anything is published (A-1, U-8). */
export const dma_fence_array_create = (array: string, members: readonly string[], mode: ArrayMode = 'all'): Block => [
  kmalloc('GFP_KERNEL', array),
  dma_fence_array_init(array, members, mode),
];
/** An array that nobody uses yet, or nothing: then memory is short. */
export const freeArray = (kernel: KernelState): string | undefined =>
  Object.keys(kernel.containers).find(
    (each) => kernel.containers[each]?.kind === 'array' && !fenceRow(kernel, each).initialised,
  );

/** The first error that is seen before the array has decided wins; success clears nothing. */
function fold(kernel: KernelState, array: string, member: string): void {
  const row = fenceRow(kernel, array);
  if (!row.signaled) row.error ??= fenceRow(kernel, member).error;
}
/** The enable hook: ask every member; those that are over count at once, and may decide it. */
const array_arm = instruction('array_arm', (array: string) => ({ array }), {
  text: ({ array }) => `dma_fence_add_callback(each of ${array})`,
  run: (kernel, me, { array }) => {
    const row = rowOf(kernel, array);
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as Frame;
    frame.vars['enabled'] = 'true';
    const asked: string[] = [];
    for (const member of row.of) {
      if (pending(kernel, member)) {
        asked.push(member);
        continue;
      }
      fold(kernel, array, member);
      row.need -= 1;
      if (row.need > 0) continue;
      frame.vars['enabled'] = 'false';
      break;
    }
    // The last to be pushed is the first to run: the hooks of the members run in the order of the members.
    for (const member of asked.toReversed())
      addCallback(kernel, me, member, { routine: 'dma_fence_array_cb', vars: { array, member } });
  },
});
/** A member is over: fold its error, count it; the one that decides puts the signal off to irq_work. */
const array_counts = instruction('array_counts', (array: string, member: string) => ({ array, member }), {
  text: ({ array, member }) => `${array}: ${member} is over`,
  run: (kernel, _me, { array, member }) => {
    const row = rowOf(kernel, array);
    fold(kernel, array, member);
    if (row.need === 0) return;
    row.need -= 1;
    if (row.need > 0) return;
    const by = irqWorkQueue(kernel, 'dma_fence_array_irq_work', { array });
    if (pending(kernel, array)) fenceRow(kernel, array).promisedBy = by;
  },
});

/** Is every member of this context? ret '1' or '0'. */
export const dma_fence_match_context = instruction(
  'dma_fence_match_context',
  (fence: string, context: string) => ({ fence, context }),
  {
    text: ({ fence, context }) => `dma_fence_match_context(${fence}, ${context})`,
    touches: ({ fence }) => [['fences', fence]],
    run: (kernel, me, { fence, context }) => {
      const members = kernel.containers[fence]?.kind === 'array' ? rowOf(kernel, fence).of : [fence];
      returns(kernel, me, members.every((each) => contextOf(kernel, each) === context) ? '1' : '0');
    },
  },
);

export const fenceArray: KernelObject = {
  ops: [dma_fence_array_init, array_arm, array_counts, dma_fence_match_context],
  routines: {
    dma_fence_array_enable_signaling: [array_arm('$fence'), return_('$enabled')],
    dma_fence_array_cb: [array_counts('$array', '$member')],
    dma_fence_array_irq_work: [dma_fence_signal('$array')],
  },
};
