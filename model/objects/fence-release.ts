/**
 * The end of a fence: its references, what the last one does, and fences that were over before they began
 * (drivers/dma-buf/dma-fence.c; F-48..F-52).
 *
 * References are counted only for fences that the design gives a row in `fence_refs`; for every other fence a put is
 * the last one. What matters is finite time: a fence that goes while callbacks wait for it signals with an error, and
 * one that nobody waits for is lost without a word (F-49, F-50). When memory is freed afterwards is not modelled.
 *
 * A fence may keep others: those that its work waits for, as a job keeps its dependencies and an array its members. It
 * gives them back when it goes itself, or before. Fences that keep each other go never; that needs a fence which is older
 * than what it waits for, so the rules of T-6 exclude it (drivers/dma-buf/dma-fence-array.c).
 */
import { type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { type Kept, flag, int, table, whole } from '../schema.ts';
import { holds } from './context.ts';
import { fenceRow, pending, signalFence } from './fence.ts';
import { lockOf } from './fence-lock.ts';

const MOST_REFERENCES = 16;
const fields = {
  fence_refs: table({
    count: int(MOST_REFERENCES),
    /** Its release hook takes the fence lock (drivers/dma-buf/sw_sync.c; F-26, SW-5). */
    release_locks: flag,
    /** Fences that it has a reference to, once for each. */
    keeps: whole<readonly string[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type RefsRow = Kept<typeof fields>['fence_refs'][string];
const rowOf = (kernel: KernelState, fence: string): RefsRow => kernel.fence_refs[fence] as RefsRow;
const onFence = ({ fence }: { fence: string }): [['fences', string]] => [['fences', fence]];

/** The permanently signalled fence: declare `fences: { stub: dma_fence_stub }` wherever one may be needed (F-52a). */
export const STUB = 'stub';
export const dma_fence_stub = { initialised: true, signaled: true, enabled: true } as const;
/**
 * The name of the stub, for whoever returns one.
 * @throws when the design declares none.
 */
export function stub(kernel: KernelState): string {
  if (!kernel.fences[STUB]) throw new Error('a stub fence is needed here: declare `fences: { stub: dma_fence_stub }`');
  return STUB;
}
/** A reference to the stub: ret is its name. */
export const dma_fence_get_stub = instruction('dma_fence_get_stub', () => ({}), {
  text: () => 'dma_fence_get_stub()',
  run: (kernel, me) => returns(kernel, me, stub(kernel)),
});

/** One more reference, from somebody who has one (F-48). */
export const dma_fence_get = instruction('dma_fence_get', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_get(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    const references = kernel.fence_refs[fence];
    if (!references) return;
    if (references.count === 0) complain(kernel, me, 'F-48', `${me} takes a reference to ${fence}, which is gone`);
    else references.count += 1;
  },
});
/** A reference unless the last one is gone: ret '1' or '0' (S30). */
export const dma_fence_get_rcu = instruction('dma_fence_get_rcu', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_get_rcu(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    const references = kernel.fence_refs[fence];
    const there = references ? references.count > 0 : fenceRow(kernel, fence).initialised;
    if (there && references) references.count += 1;
    returns(kernel, me, there ? '1' : '0');
  },
});

const isLast = (kernel: KernelState, fence: string): boolean => (kernel.fence_refs[fence]?.count ?? 1) === 1;
/** Give a reference back; the last one runs the release hook here, whatever locks are held (F-49..F-51). */
export const dma_fence_put = instruction('dma_fence_put', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_put(${fence})`,
  touches: onFence,
  waits: (kernel, me, { fence }) => {
    if (!isLast(kernel, fence) || !kernel.fence_refs[fence]?.release_locks) return undefined;
    const object = lockOf(kernel, fence);
    const held = holds(kernel, me, object) || holds(kernel, me, object, 'atomic');
    return held ? { on: 'spinlock', object, owedBy: [me], because: `${me} holds ${object} already` } : undefined;
  },
  run: (kernel, me, { fence }) => putFence(kernel, me, fence),
});
export function putFence(kernel: KernelState, me: string, fence: string): void {
  const references = kernel.fence_refs[fence];
  const last = isLast(kernel, fence);
  if (references?.count === 0) {
    complain(kernel, me, 'F-48', `${me} puts ${fence}, which is gone`);
    return;
  }
  if (references) references.count -= 1;
  if (!last) return;
  released(kernel, me, fence);
  putKept(kernel, me, fence);
}
function putKept(kernel: KernelState, me: string, fence: string): void {
  const references = kernel.fence_refs[fence];
  const kept = references?.keeps ?? [];
  if (references && kept.length > 0) references.keeps = [];
  for (const each of kept) putFence(kernel, me, each);
}
function released(kernel: KernelState, me: string, fence: string): void {
  if (!pending(kernel, fence)) return;
  const row = fenceRow(kernel, fence);
  if (row.callbacks.length === 0) {
    row.promisedBy = null; // F-50: nobody complains, and nobody is left who would signal
    return;
  }
  const what = `the last reference to ${fence} goes while callbacks wait for it`;
  complain(kernel, me, 'F-49', what);
  row.error = '-EDEADLK';
  signalFence(kernel, me, fence);
}

/** These fences, what they keep, what that keeps, and so on. */
function reachable(kernel: KernelState, from: readonly string[]): ReadonlySet<string> {
  const reached = new Set(from);
  for (const fence of reached) for (const each of rowOf(kernel, fence).keeps) reached.add(each);
  return reached;
}
/** The work of this fence waits for that one: it takes over a reference of the caller, until it goes or lets go of it. */
export const fence_keep = instruction('fence_keep', (fence: string, other: string) => ({ fence, other }), {
  text: ({ fence, other }) => `${fence}->dep = ${other}`,
  touches: ({ fence, other }) => [
    ['fence_refs', fence],
    ['fence_refs', other],
  ],
  run: (kernel, me, { fence, other }) => {
    const row = kernel.fence_refs[fence] as RefsRow;
    row.keeps = [...row.keeps, other];
    if (reachable(kernel, [other]).has(fence))
      note(kernel, me, { kind: 'witness', name: `${fence} and ${other} keep each other` });
  },
});
/** It waits for nobody any more: give back what it keeps. */
export const fence_let_go = instruction('fence_let_go', (fence: string) => ({ fence }), {
  text: ({ fence }) => `dma_fence_put(${fence}->dep)`,
  touches: ({ fence }) => [['fence_refs', fence]],
  run: (kernel, me, { fence }) => putKept(kernel, me, fence),
});

/** Fences that only fences keep, and at the beginning of no such chain is one that somebody else has. */
function keptInCircles(kernel: KernelState): string[] {
  const there = Object.keys(kernel.fence_refs).filter((each) => rowOf(kernel, each).count > 0);
  const kept = there.flatMap((each) => rowOf(kernel, each).keeps);
  const times = (fence: string): number => kept.filter((each) => each === fence).length;
  const reached = reachable(
    kernel,
    there.filter((each) => rowOf(kernel, each).count > times(each)),
  );
  return there.filter((each) => !reached.has(each));
}

export const fenceRelease: KernelObject = {
  schema: fields,
  ops: [dma_fence_get_stub, dma_fence_get, dma_fence_get_rcu, dma_fence_put, fence_keep, fence_let_go],
  leftovers: (kernel) => {
    const circle = keptInCircles(kernel);
    return circle.length === 0 ? [] : [`nobody has ${circle.join(' and ')} any more, and they keep each other`];
  },
};
