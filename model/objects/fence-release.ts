/**
 * The end of a fence: its references, what the last one does, and fences that were over before they began
 * (drivers/dma-buf/dma-fence.c; F-48..F-52).
 *
 * References are counted only for fences that the design gives a row in `fence_refs`; for every other fence a put is
 * the last one. What matters is finite time: a fence that goes while callbacks wait for it signals with an error, and
 * one that nobody waits for is lost without a word (F-49, F-50). When memory is freed afterwards is not modelled.
 */
import { type KernelObject, type KernelState, complain, instruction, returns } from '../machine.ts';
import { type Kept, flag, int, table } from '../schema.ts';
import { holds } from './context.ts';
import { fenceRow, pending, signalFence } from './fence.ts';
import { lockOf } from './fence-lock.ts';

const MOST_REFERENCES = 16;
const fields = {
  fence_refs: table({
    count: int(MOST_REFERENCES),
    /** Its release hook takes the fence lock (drivers/dma-buf/sw_sync.c; F-26, SW-5). */
    release_locks: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
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
  if (last) released(kernel, me, fence);
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

export const fenceRelease: KernelObject = {
  schema: fields,
  ops: [dma_fence_get_stub, dma_fence_get, dma_fence_get_rcu, dma_fence_put],
};
