/**
 * no-alloc-in-signalling: nothing that a published fence still needs may allocate with direct reclaim.
 *
 * Judged twice. By the annotations: an allocation between dma_fence_begin_signalling and _end. And without any: by who
 * really owes the signal, following the promise of every published fence through all that its debtor waits for.
 */
import { type KernelState, type Machine, open } from '../model/machine.ts';
import { type Property } from './property.ts';

/** Published fences that cannot signal before this thread has moved, with how each comes to need it. */
export function neededBy(
  machine: Machine,
  kernel: KernelState,
  thread: string,
): { fence: string; via: readonly string[] } | undefined {
  // Reads no more than it needs: what is read here, the reductions take for part of the step that is judged.
  const pending = Object.entries(kernel.fences).flatMap(([fence, row]) => {
    const { promisedBy } = row;
    return promisedBy !== null && row.published && row.initialised && !row.signaled ? [{ fence, promisedBy }] : [];
  });
  const direct = pending.find(({ promisedBy }) => promisedBy === thread);
  if (direct) return { fence: direct.fence, via: [thread] };
  for (const { fence, promisedBy } of pending) {
    const via = [promisedBy];
    for (;;) {
      const now = open(machine, kernel, via.at(-1) as string);
      const next = now.kind === 'blocked' && now.wait.bounded === undefined && !now.wait.any ? now.wait.owedBy : [];
      if (next.includes(thread)) return { fence, via: [...via, thread] };
      if (next[0] === undefined || via.includes(next[0])) break;
      via.push(next[0]);
    }
  }
  return undefined;
}

export const noAllocInSignalling: Property = {
  name: 'no-alloc-in-signalling',
  says: 'nothing that a published fence still needs in order to signal may allocate with direct reclaim',
  sources: ['drivers/dma-buf/dma-fence.c', 'F-10', 'L-22..L-26', 'S-A1'],
  hears: ['allocates'],
  step({ machine, kernel, thread, facts }) {
    const alloc = facts.find((fact) => fact.kind === 'allocates' && fact.direct);
    if (alloc?.kind !== 'allocates') return undefined;
    const { gfp, what } = alloc;
    const needed = neededBy(machine, kernel, thread);
    if (needed) {
      const via =
        needed.via.length === 1
          ? `${thread} owes ${needed.fence}`
          : `${needed.fence} needs ${needed.via.join(', which waits for ')}`;
      return {
        property: 'no-alloc-in-signalling',
        kind: 'owed',
        what: `${thread} allocates ${what} with ${gfp} while ${via}: the allocation may wait for that very fence`,
        links: [],
        rules: ['L-23', 'L-24'],
      };
    }
    if (!alloc.signalling) return undefined;
    return {
      property: 'no-alloc-in-signalling',
      kind: 'annotated',
      what: `${thread} allocates ${what} with ${gfp} inside a signalling section`,
      links: [],
      rules: ['F-10'],
    };
  },
};
