/**
 * Unwrap and merge: the leaf fences behind containers, and one fence for several of those
 * (drivers/dma-buf/dma-fence-unwrap.c, include/linux/dma-fence-unwrap.h; U-1..U-10).
 *
 * The names of contexts stand for their numbers: they are compared as texts. Merging allocates, so it belongs before
 * publication (U-8). Errors of fences that are over are lost (U-9).
 */
import { type Block, type KernelObject, type KernelState, instruction, returns } from '../machine.ts';
import { arrayInit, freeArray } from './fence-array.ts';
import { chainElements, contained } from './fence-chain.ts';
import { childrenOf, isArray, polls } from './fence-container.ts';
import { stub } from './fence-release.ts';
import { contextOf, seqnoOf } from './fence.ts';
import { if_ret } from './flow.ts';
import { kmalloc } from './memory.ts';

/** The leaves, chain nodes from newest to oldest, arrays in the order of their members (U-1). */
export const leaves = (kernel: KernelState, fence: string): string[] =>
  chainElements(kernel, fence)
    .map((element) => contained(kernel, element))
    .flatMap((each) => (isArray(kernel, each) ? childrenOf(kernel, each) : [each]));

/** Pending leaves, ascending by context, and of each context only the newest (U-3, U-5, U-6). */
function survivors(kernel: KernelState, fences: readonly string[]): string[] {
  const pending = fences.flatMap((fence) => leaves(kernel, fence)).filter((leaf) => !polls(kernel, leaf));
  const newest = new Map<string, string>();
  for (const leaf of pending) {
    const context = contextOf(kernel, leaf);
    const known = newest.get(context);
    if (known === undefined || seqnoOf(kernel, known) < seqnoOf(kernel, leaf)) newest.set(context, leaf);
  }
  return [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, leaf]) => leaf);
}
/** One fence for all of these: a stub, the only one left, or an array; 'NULL' when there is no array to be had. */
function merged(kernel: KernelState, fences: readonly string[]): string {
  const left = survivors(kernel, fences);
  if (left.length === 0) return stub(kernel);
  if (left.length === 1) return left[0] as string;
  const array = freeArray(kernel);
  if (array !== undefined) arrayInit(kernel, array, left, 'all');
  return array ?? 'NULL';
}

/** ret: the leaves, in order, with blanks between them. */
export const dma_fence_unwrap_for_each = instruction('dma_fence_unwrap_for_each', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_unwrap_for_each(${fence})`,
  touches: ({ fence }) => [['fences', fence]],
  run: (kernel, me, { fence }) => returns(kernel, me, leaves(kernel, fence).join(' ')),
});

/** First pass: what is pending? None or one needs no array, and no memory (U-3, U-4). */
const merge_looks = instruction('merge_looks', (fences: readonly string[]) => ({ fences }), {
  text: ({ fences }) => `dma_fence_unwrap_merge(${fences.join(', ')}) /* counts */`,
  touches: ({ fences }) => fences.map((fence) => ['fences', fence] as const),
  run: (kernel, me, { fences }) => {
    const pending = fences.flatMap((fence) => leaves(kernel, fence)).filter((leaf) => !polls(kernel, leaf));
    returns(kernel, me, pending.length > 1 ? 'many' : (pending[0] ?? stub(kernel)));
  },
});
/** Second pass, with the memory in hand: some may have signalled meanwhile (U-5..U-7). */
const merge_sorts = instruction('merge_sorts', (fences: readonly string[]) => ({ fences }), {
  text: ({ fences }) => `dma_fence_unwrap_merge(${fences.join(', ')})`,
  touches: ({ fences }) => fences.map((fence) => ['fences', fence] as const),
  run: (kernel, me, { fences }) => returns(kernel, me, merged(kernel, fences)),
});
/** Merge: ret is the name of the fence, or 'NULL'. */
export const dma_fence_unwrap_merge = (...fences: readonly string[]): Block => [
  merge_looks(fences),
  if_ret('many', [kmalloc('GFP_KERNEL', 'array'), merge_sorts(fences)]),
];

export const fenceUnwrap: KernelObject = { ops: [dma_fence_unwrap_for_each, merge_looks, merge_sorts] };
