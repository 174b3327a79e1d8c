/**
 * Containers: fences that stand for other fences, arrays and chain nodes (K-1..K-3).
 *
 * A container promises nothing of its own. Who owes it is computed from what it still waits for, so a debt ends at the
 * fence that really has to signal, however deep it is wrapped. Everything here only looks; the two kinds do the rest
 * in files of their own.
 */
import type { KernelObject, KernelState } from '../machine.ts';
import { type Kept, constant, int, table, whole } from '../schema.ts';

/** Fences that one array can have for members. */
const MOST_MEMBERS = 64;
const fields = {
  containers: table({
    kind: constant<'array' | 'chain'>('array'),
    /** What it stands for: the members of an array; of a chain node its payload, then the node before it, if any. */
    of: whole<readonly string[]>([]),
    /** Arrays only: members that must still be counted; 1 at first when any of them will do. */
    need: int(MOST_MEMBERS),
  }),
  /** Context and seqno of fences that get them at run time: points of a timeline, chain nodes (F-4, F-5). */
  fence_numbers: table({ context: whole<string>(''), seqno: whole<number>(0) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

export const isContainer = (kernel: KernelState, fence: string): boolean => fence in kernel.containers;
export const isArray = (kernel: KernelState, fence: string): boolean => kernel.containers[fence]?.kind === 'array';
export const isChain = (kernel: KernelState, fence: string): boolean => kernel.containers[fence]?.kind === 'chain';
export const childrenOf = (kernel: KernelState, fence: string): readonly string[] => kernel.containers[fence]?.of ?? [];

/**
 * What dma_fence_is_signaled would find: the flag, or what a container's own `signaled` hook reads off its children.
 * An enabled array believes its counter only, even when every member has signalled (A-9, K-2); a chain node looks at
 * its payload and at everything older (H-13).
 */
export function polls(kernel: KernelState, fence: string): boolean {
  const { initialised, signaled, enabled } = kernel.fences[fence] as KernelState['fences'][string];
  if (!initialised || signaled) return true;
  const container = kernel.containers[fence];
  if (!container) return false;
  if (container.kind === 'chain') return container.of.every((child) => polls(kernel, child));
  if (enabled || container.need === 0) return container.need === 0;
  return container.of.filter((child) => polls(kernel, child)).length >= container.need;
}

const unsignalled = (kernel: KernelState, fence: string): boolean => {
  const { initialised, signaled } = kernel.fences[fence] as KernelState['fences'][string];
  return initialised && !signaled;
};

/** Would any one of several fences do for this one? */
export function anyWillDo(kernel: KernelState, fence: string): boolean {
  const container = kernel.containers[fence];
  if (container?.kind !== 'array' || container.need === 0) return false;
  return container.of.filter((child) => unsignalled(kernel, child)).length > container.need;
}

/** The fences that must still signal for this one; itself when it stands for nothing that is missing. */
export function missing(kernel: KernelState, fence: string): string[] {
  if (!unsignalled(kernel, fence)) return [];
  const below = childrenOf(kernel, fence).flatMap((child) => (anyWillDo(kernel, child) ? [] : missing(kernel, child)));
  return below.length > 0 ? [...new Set(below)] : [fence];
}

export const fenceContainer: KernelObject = { schema: fields, ops: [] };
