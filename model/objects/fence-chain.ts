/**
 * dma_fence_chain: the points of a timeline, each linked to the one before (drivers/dma-buf/dma-fence-chain.c; H-1..H-16).
 *
 * A node is over when its payload is and everything older that is still linked. Nodes whose payload is over are cut out
 * by whoever walks past, so a node found for a point may be an older one. Nodes come from a pool that the design
 * declares, and do not come back: a pool that is used up is memory that is short.
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
import { type Kept, flag, table, whole } from '../schema.ts';
import { isChain, polls } from './fence-container.ts';
import { contextOf, fenceRow, initialise, pending, seqnoOf } from './fence.ts';
import { addCallback } from './fence-callback.ts';
import { dma_fence_signal } from './fence-signal.ts';
import { if_var, return_ } from './flow.ts';
import { irqWorkQueue } from './irq-work.ts';
import { kmalloc } from './memory.ts';

const fields = {
  fence_chains: table({
    allocated: flag,
    /** The seqno of the node before it when it was linked; stays when that node is cut out. */
    prev_seqno: whole<number>(0),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type ChainRow = Kept<typeof fields>['fence_chains'][string];
const rowOf = (kernel: KernelState, node: string): ChainRow => {
  const row = kernel.fence_chains[node];
  if (!row) throw new Error(`${node} is no chain node; declare it with \`...fence_chain_nodes('${node}')\``);
  return row;
};

/** Rows for chain nodes of these names, to be put together with those of other objects. */
export const fence_chain_nodes = (
  ...names: readonly string[]
): Record<string, Record<string, Record<string, unknown>>> => ({
  fences: Object.fromEntries(names.map((name) => [name, { enable_signaling: 'dma_fence_chain_enable_signaling' }])),
  containers: Object.fromEntries(names.map((name) => [name, { kind: 'chain' }])),
  fence_numbers: Object.fromEntries(names.map((name) => [name, {}])),
  fence_chains: Object.fromEntries(names.map((name) => [name, {}])),
});

/** What an element stands for by itself: the payload of a node, or the fence itself (H-16). */
export const contained = (kernel: KernelState, fence: string): string =>
  isChain(kernel, fence) ? (kernel.containers[fence]?.of[0] as string) : fence;
const prevOf = (kernel: KernelState, node: string): string | undefined => kernel.containers[node]?.of[1];

/** The next older element that still matters; the links of those that do not are cut on the way (H-5, H-6). */
export function chainWalk(kernel: KernelState, fence: string): string | undefined {
  const container = kernel.containers[fence];
  if (container?.kind !== 'chain') return undefined;
  for (let prev = prevOf(kernel, fence); prev !== undefined; prev = prevOf(kernel, fence)) {
    if (!polls(kernel, contained(kernel, prev))) return prev;
    const older = prevOf(kernel, prev);
    const beyond = isChain(kernel, prev) && older !== undefined ? [older] : [];
    container.of = [contained(kernel, fence), ...beyond];
  }
  return undefined;
}
/** The elements from here to the oldest that matters. */
export function chainElements(kernel: KernelState, head: string): string[] {
  const elements: string[] = [];
  for (let at: string | undefined = head; at !== undefined; at = chainWalk(kernel, at)) elements.push(at);
  return elements;
}

/** Nobody uses this node yet, nor has allocated it. */
const isFree = (kernel: KernelState, node: string): boolean =>
  !rowOf(kernel, node).allocated && !fenceRow(kernel, node).initialised;
export const freeNodes = (kernel: KernelState): string[] =>
  Object.keys(kernel.fence_chains).filter((node) => isFree(kernel, node));
const chain_take = instruction('chain_take', () => ({}), {
  text: () => 'dma_fence_chain_alloc()',
  run: (kernel, me) => {
    const node = freeNodes(kernel)[0];
    if (node !== undefined) rowOf(kernel, node).allocated = true;
    returns(kernel, me, node ?? 'NULL');
  },
});
/** A node for later, allocated before the point of no return: ret is its name, or 'NULL' (H-2). */
export const dma_fence_chain_alloc = (): Block => [kmalloc('GFP_KERNEL', 'chain'), chain_take()];
/** Give an allocated node back that was never initialised (H-2). */
export const dma_fence_chain_free = instruction('dma_fence_chain_free', (node: string) => ({ node }), {
  text: ({ node }) => `dma_fence_chain_free(${node})`,
  touches: ({ node }) => [['fence_chains', node]],
  run: (kernel, me, { node }) => {
    if (fenceRow(kernel, node).initialised) complain(kernel, me, 'H-2', `${me} frees ${node}, which is in use`);
    rowOf(kernel, node).allocated = false;
  },
});

/** Link a node in front of `prev`, or of nothing ('NULL'); cannot fail (H-3). */
export const dma_fence_chain_init = instruction(
  'dma_fence_chain_init',
  (node: string, prev: string, payload: string, seqno: number) => ({ node, prev, payload, seqno }),
  {
    text: ({ node, prev, payload, seqno }) => `dma_fence_chain_init(${node}, ${prev}, ${payload}, ${seqno})`,
    touches: ({ node, prev, payload }) => [
      ['fence_chains', node],
      ['fences', payload],
      ...(prev === 'NULL' ? [] : [['fences', prev] as const]),
    ],
    run: (kernel, me, { node, prev, payload, seqno }) => {
      if (isChain(kernel, payload))
        complain(kernel, me, 'K-3', `${payload}, a chain node, becomes the payload of ${node}`);
      chainInit(kernel, node, prev === 'NULL' ? undefined : prev, payload, seqno);
    },
  },
);
export function chainInit(
  kernel: KernelState,
  node: string,
  prev: string | undefined,
  payload: string,
  seqno: number,
): void {
  const row = rowOf(kernel, node);
  const before = prev !== undefined && isChain(kernel, prev) ? seqnoOf(kernel, prev) : undefined;
  const follows = before !== undefined && seqno > before;
  initialise(kernel, node, null);
  row.allocated = true;
  row.prev_seqno = follows ? before : 0;
  Object.assign(kernel.fence_numbers[node] as object, {
    context: follows ? contextOf(kernel, prev as string) : node,
    seqno: follows ? seqno : Math.max(seqno, before ?? seqno),
  });
  (kernel.containers[node] as { of: readonly string[] }).of = prev === undefined ? [payload] : [payload, prev];
}

/**
 * The element to wait for so that this point is over: its name; nothing when all of that is over; '-EINVAL' when the
 * point was not submitted yet (H-8, H-9).
 */
export function findSeqno(kernel: KernelState, fence: string, seqno: number): string | undefined {
  if (seqno === 0) return fence;
  if (!isChain(kernel, fence) || seqnoOf(kernel, fence) < seqno) return '-EINVAL';
  const context = contextOf(kernel, fence);
  for (let at: string | undefined = fence; at !== undefined; at = chainWalk(kernel, at))
    if (contextOf(kernel, at) !== context || rowOf(kernel, at).prev_seqno < seqno) return at;
  return undefined;
}
/** ret: the element, 'NULL' or '-EINVAL'. */
export const dma_fence_chain_find_seqno = instruction(
  'dma_fence_chain_find_seqno',
  (fence: string, seqno: number) => ({ fence, seqno }),
  {
    text: ({ fence, seqno }) => `dma_fence_chain_find_seqno(&${fence}, ${seqno})`,
    touches: ({ fence }) => [['fences', fence]],
    run: (kernel, me, { fence, seqno }) => returns(kernel, me, findSeqno(kernel, fence, seqno) ?? 'NULL'),
  },
);

/** Put one callback on the newest payload that is not over; when none is left, say so (H-10, H-12). */
const chain_arm = instruction('chain_arm', (head: string) => ({ head }), {
  text: ({ head }) => `dma_fence_add_callback(the newest pending payload of ${head})`,
  run: (kernel, me, { head }) => {
    const payload = chainElements(kernel, head)
      .map((each) => contained(kernel, each))
      .find((each) => pending(kernel, each));
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as Frame;
    frame.vars['enabled'] = payload === undefined ? 'false' : 'true';
    if (payload === undefined) return;
    if (pending(kernel, head)) fenceRow(kernel, head).promisedBy = null;
    addCallback(kernel, me, payload, { routine: 'dma_fence_chain_cb', vars: { chain: head } });
  },
});
const chain_requeue = instruction('chain_requeue', (head: string) => ({ head }), {
  text: ({ head }) => `irq_work_queue(&${head}->work)`,
  run: (kernel, _me, { head }) => {
    const by = irqWorkQueue(kernel, 'dma_fence_chain_irq_work', { chain: head });
    if (pending(kernel, head)) fenceRow(kernel, head).promisedBy = by;
  },
});

export const fenceChain: KernelObject = {
  schema: fields,
  ops: [chain_take, dma_fence_chain_free, dma_fence_chain_init, dma_fence_chain_find_seqno, chain_arm, chain_requeue],
  routines: {
    dma_fence_chain_enable_signaling: [chain_arm('$fence'), return_('$enabled')],
    dma_fence_chain_cb: [chain_requeue('$chain')],
    // No error is ever carried over from a payload (H-14).
    dma_fence_chain_irq_work: [chain_arm('$chain'), if_var('enabled', 'false', [dma_fence_signal('$chain')])],
  },
};
