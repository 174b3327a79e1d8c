/**
 * Waits for fences (drivers/dma-buf/dma-fence.c; F-43..F-48). Whoever waits asks for the signal first, and tells lockdep
 * that it waits, whether or not the fence has signalled already: the next time it may not have.
 */
import {
  type Block,
  type Held,
  type KernelObject,
  type KernelState,
  type Wait,
  complain,
  instruction,
  note,
  returns,
} from '../machine.ts';
import { FENCE_MAP, might_sleep, probe } from './context.ts';
import { armFirst } from './fence-callback.ts';
import { childrenOf, isContainer, missing, polls } from './fence-container.ts';
import { answering } from './fence-signal.ts';
import { fencesWait, onFence, owed, pending, signalFence, unarmed } from './fence.ts';
import { kmalloc } from './memory.ts';

/** The lockdep side of a wait: the map is taken exclusively for a moment, shared holds dropped (L-5). */
export function mightWait(kernel: KernelState, me: string, fences: readonly string[], what: string): void {
  might_sleep(kernel, me, what);
  const thread = kernel.threads[me] as { held: Held[] };
  const all = thread.held;
  const over = all.filter((each) => each.kind !== 'signalling');
  thread.held = over;
  probe(kernel, me, { object: FENCE_MAP, class: FENCE_MAP, kind: 'lock', mode: 'exclusive', try: false });
  thread.held = all;
  for (const fence of fences.flatMap((each) => leavesOf(kernel, each)))
    note(kernel, me, { kind: 'waitsForFence', fence, over: over.filter((each) => each.class !== '') });
}
/** Whoever waits for a container waits for what it stands for. */
const leavesOf = (kernel: KernelState, fence: string): readonly string[] =>
  isContainer(kernel, fence) ? childrenOf(kernel, fence).flatMap((child) => leavesOf(kernel, child)) : [fence];

const waitOp = (opName: string, how: Partial<Wait>, ends: Readonly<Record<string, string>>) =>
  instruction(opName, (fence: string) => ({ fence }), {
    text: ({ fence }) => `${opName}(${fence})`,
    touches: onFence,
    waits: (kernel, _me, { fence }) => fencesWait(kernel, [fence], how),
    run: (kernel, me, { fence }, outcome) => {
      if (outcome === '' && armFirst(kernel, me, [fence])) return;
      mightWait(kernel, me, [fence], opName);
      returns(kernel, me, ends[outcome] ?? '0');
    },
  });
/** Wait until the fence signals, uninterruptibly and for ever (F-43..F-46). */
export const dma_fence_wait = waitOp('dma_fence_wait', {}, {});
/** The same, but a signal to the process ends it: ret '-ERESTARTSYS'. */
export const dma_fence_wait_interruptible = waitOp(
  'dma_fence_wait_interruptible',
  { interruptible: 'interrupted' },
  { interrupted: '-ERESTARTSYS' },
);
/**
 * The same, but it gives up after a time, which does not make the fence signalled (HC-10). With a timeout ret is the
 * kernel's: '0', or the time left, '1'; a timeout of 0 only looks, and may sleep all the same (F-43..F-45). Without one
 * ret is what drivers make of it: '-ETIME', or '0'.
 */
export const dma_fence_wait_timeout = instruction(
  'dma_fence_wait_timeout',
  (fence: string, timeout?: '0' | 'HZ') => ({ fence, timeout }),
  {
    text: ({ fence, timeout }) => `dma_fence_wait_timeout(${fence}${timeout === undefined ? '' : `, ${timeout}`})`,
    touches: onFence,
    waits: (kernel, _me, { fence, timeout }) =>
      timeout === '0' ? undefined : fencesWait(kernel, [fence], { bounded: 'times out' }),
    run: (kernel, me, { fence, timeout }, outcome) => {
      if (outcome === '' && armFirst(kernel, me, [fence])) return;
      mightWait(kernel, me, [fence], 'dma_fence_wait_timeout');
      const over = outcome === '' && !pending(kernel, fence);
      if (timeout === undefined) returns(kernel, me, over ? '0' : '-ETIME');
      else returns(kernel, me, over ? '1' : '0');
    },
  },
);

/** Why a wait for any of these goes on, none of which has signalled: each of their owners can end it. */
const anyOwed = (kernel: KernelState, fences: readonly string[], how: Partial<Wait> = {}): Wait =>
  owed(kernel, fences.join(' | '), [...new Set(fences.flatMap((fence) => missing(kernel, fence)))], {
    any: true,
    ...how,
  });
/** The wait itself; see dma_fence_wait_any_timeout. A timeout of 0 polls, and any other asks every fence first. */
const wait_any = instruction(
  'wait_any',
  (fences: readonly string[], timeout: '0' | 'HZ' | 'MAX') => ({ fences, timeout }),
  {
    text: ({ fences, timeout }) => `dma_fence_wait_any_timeout({ ${fences.join(', ')} }, ${timeout})`,
    touches: ({ fences }) => fences.map((fence) => ['fences', fence] as const),
    waits: (kernel, _me, { fences, timeout }) => {
      if (timeout === '0' || fences.some((fence) => !pending(kernel, fence) || unarmed(kernel, fence)))
        return undefined;
      return fences.length === 0
        ? undefined
        : anyOwed(kernel, fences, timeout === 'HZ' ? { bounded: 'times out' } : {});
    },
    run: (kernel, me, { fences, timeout }, outcome) => {
      if (fences.length === 0) {
        complain(kernel, me, 'F-47', `${me} waits for any of no fences at all`);
        returns(kernel, me, '-EINVAL');
        return;
      }
      const first = fences.find((fence) => (timeout === '0' ? polls(kernel, fence) : !pending(kernel, fence)));
      if (first === undefined && timeout !== '0' && outcome === '' && armFirst(kernel, me, fences)) return;
      might_sleep(kernel, me, 'dma_fence_wait_any_timeout');
      const toSignal = first !== undefined && pending(kernel, first);
      answering(kernel, me, first ?? '0', () => toSignal && signalFence(kernel, me, first));
    },
  },
);
/**
 * Wait until the first of these signals: ret is that fence, or '0' when the time was up. It allocates, so it has no
 * place on a signalling path, and it has no lockdep probe of its own (F-47). A timeout of 0 only polls.
 */
export const dma_fence_wait_any_timeout = (fences: readonly string[], timeout: '0' | 'HZ' | 'MAX' = 'MAX'): Block =>
  timeout === '0' || fences.length === 0
    ? [wait_any(fences, timeout)]
    : [kmalloc('GFP_KERNEL', 'cb'), wait_any(fences, timeout)];

/**
 * Sleep on a wait queue of the driver's own until one of these has signalled: ret is the first that has
 * (include/linux/wait.h). It asks nobody to signal, allocates nothing, and lockdep sees none of it.
 */
export const wait_event = instruction('wait_event', (fences: readonly string[]) => ({ fences }), {
  text: ({ fences }) => `wait_event(${fences.map((fence) => `${fence} is signaled`).join(' || ')})`,
  touches: ({ fences }) => fences.map((fence) => ['fences', fence] as const),
  waits: (kernel, _me, { fences }) => {
    if (fences.some((fence) => !pending(kernel, fence))) return undefined;
    return anyOwed(kernel, fences);
  },
  run: (kernel, me, { fences }) => {
    might_sleep(kernel, me, 'wait_event');
    returns(kernel, me, fences.find((fence) => !pending(kernel, fence)) ?? '0');
  },
});

export const fenceWait: KernelObject = {
  ops: [dma_fence_wait, dma_fence_wait_interruptible, dma_fence_wait_timeout, wait_any, wait_event],
};
