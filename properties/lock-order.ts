/**
 * lock-order: lockdep's rule, with the pseudo-locks the kernel primes, and the cross-release edges lockdep never got.
 *
 * Edges are gathered over all runs: taking b while holding a; waiting for a fence while holding a; and, without any
 * annotation, taking b while owing a published fence, for whoever waits for that fence waits for b too. A circle of
 * classes convicts although nobody ever blocked.
 */
import { contextOf } from '../model/objects/fence.ts';
import { FENCE_MAP, FS_RECLAIM, I_MMAP, MMAP_LOCK, MMU_NOTIFIER, RESV, RESV_TICKET } from '../model/objects/context.ts';
import type { FactOf, Held, KernelState } from '../model/machine.ts';
import type { Blame, Evidence, Property } from './property.ts';

const evidence = (from: string, to: string, how: string): Evidence => ({ key: `${from} > ${to}`, from, to, how });

/** What every kernel says at boot, before any driver runs (drivers/dma-buf/dma-resv.c dma_resv_lockdep; L-18, 2b). */
export const PRIMED: readonly Evidence[] = [
  [MMAP_LOCK, RESV_TICKET],
  [RESV_TICKET, RESV],
  [RESV, FS_RECLAIM],
  [FS_RECLAIM, I_MMAP],
  [FS_RECLAIM, MMU_NOTIFIER],
  [I_MMAP, MMU_NOTIFIER],
  [MMAP_LOCK, MMU_NOTIFIER],
  [MMU_NOTIFIER, FENCE_MAP],
].map(([from, to]) => evidence(from as string, to as string, 'primed at boot by dma_resv_lockdep'));

const fenceClass = (kernel: KernelState, fence: string): string => `fence ${contextOf(kernel, fence)}`;

/** Classes of the fences that this thread owes to others. */
const owedFences = (kernel: KernelState, thread: string): string[] =>
  Object.keys(kernel.fences).filter((fence) => {
    const row = kernel.fences[fence];
    // Whose it is comes first: the rest of a fence that is not this thread's decides nothing, and is not read.
    return row?.promisedBy === thread && row.published && row.initialised && !row.signaled;
  });

/**
 * The holds that a taking counts over. A ticket allows several locks of its class, if they were taken after it (W-9);
 * reading twice counts: a writer may queue in between (A8.7; lockdep excepts recursive readers only). The first lock
 * that a ticket stands for goes unsaid where a real one is held too.
 */
function heldApart({ class: taken, nest, over }: FactOf<'acquires'>): readonly Held[] {
  const ticket = nest === '' ? -1 : over.findIndex((held) => held.kind === 'ticket' && held.class === nest);
  return over.filter(
    (held, place) =>
      !(held.class === taken && ticket >= 0 && place > ticket) &&
      !(held.kind === 'ticket' && over.some((other) => other.kind === 'lock' && other.class === held.class)),
  );
}

const withPrimed = (gathered: ReadonlyMap<string, Evidence>): ReadonlyMap<string, Evidence> =>
  new Map([...PRIMED.map((each) => [each.key, each] as const), ...gathered]);

/** A shortest circle through the edge a > b, as the keys of its edges. */
function circleThrough(edges: ReadonlyMap<string, Evidence>, first: Evidence): string[] | undefined {
  const cameBy = new Map<string, Evidence | undefined>([[first.to, undefined]]);
  const queue = [first.to];
  for (const at of queue) {
    if (at === first.from) {
      const path: string[] = [];
      for (let edge = cameBy.get(at); edge; edge = cameBy.get(edge.from)) path.unshift(edge.key);
      return [first.key, ...path];
    }
    for (const edge of edges.values())
      if (edge.from === at && !cameBy.has(edge.to)) {
        cameBy.set(edge.to, edge);
        queue.push(edge.to);
      }
  }
  return undefined;
}

export const lockOrder: Property = {
  name: 'lock-order',
  says: "lockdep's rule with its pseudo-locks, and the cross-release edges: convicts on a run in which nobody blocked",
  sources: ['kernel/locking/lockdep.c', 'drivers/dma-buf/dma-resv.c', 'L-12..L-18', 'LD-1..LD-18'],
  hears: ['acquires', 'waitsForFence'],
  gathers({ kernel, thread, facts }) {
    return facts.flatMap((fact) => {
      if (fact.kind === 'acquires') {
        if (fact.try) return [];
        const over = heldApart(fact);
        const owed = fact.class === FENCE_MAP ? [] : owedFences(kernel, thread);
        return [
          ...over.map((held) =>
            evidence(held.class, fact.class, `${thread} takes ${fact.object} while holding ${held.object}`),
          ),
          ...owed.map((fence) =>
            evidence(fenceClass(kernel, fence), fact.class, `${thread} takes ${fact.object} while it owes ${fence}`),
          ),
        ];
      }
      if (fact.kind === 'waitsForFence') {
        const awaited = fenceClass(kernel, fact.fence);
        const over = fact.over.map((held) =>
          evidence(held.class, awaited, `${thread} waits for ${fact.fence} while holding ${held.object}`),
        );
        const owed = owedFences(kernel, thread).filter((fence) => fenceClass(kernel, fence) !== awaited);
        return [
          ...over,
          ...owed.map((fence) =>
            evidence(fenceClass(kernel, fence), awaited, `${thread} waits for ${fact.fence} while it owes ${fence}`),
          ),
        ];
      }
      return [];
    });
  },
  weighs(gathered) {
    const all = withPrimed(gathered);
    return new Set([...gathered.values()].filter((edge) => circleThrough(all, edge)).map(({ key }) => key));
  },
  concludes(gathered) {
    const all = withPrimed(gathered);
    let best: string[] | undefined;
    for (const edge of gathered.values()) {
      const circle = circleThrough(all, edge);
      if (circle && (!best || circle.length < best.length)) best = circle;
    }
    if (!best) return undefined;
    const edges = best.map((key) => all.get(key) as Evidence);
    const blame: Blame = {
      property: 'lock-order',
      kind: 'circular dependency',
      what: `possible circular locking dependency: ${edges.map(({ from }) => from).join(' > ')} > ${edges[0]?.from}`,
      links: edges.map(({ from, to, how }) => ({
        who: from,
        wait: { on: 'class', object: to, owedBy: [to], because: how },
      })),
      rules: ['L-15'],
    };
    return { blame, keys: best.filter((key) => gathered.has(key)) };
  },
};
