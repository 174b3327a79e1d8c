/**
 * Preemption fences: a dma-fence that stands for queues that run for ever (drivers/gpu/drm/xe/xe_preempt_fence.c,
 * drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_fence.c; P-1..P-7, E1, E4).
 *
 * It never signals by itself. Whoever waits for it asks for it, and to be asked means: the firmware shall preempt every
 * queue that the fence stands for, and a work item is queued that waits for the answers and signals. Then others run: a
 * worker of the design brings memory back, arms a new fence and maps the queues again. A new fence is made in two steps,
 * because one may fail and allocate and the other may not: `create` before anything is published or given up, `arm` when
 * there is no way back (P-5).
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Wait,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, table } from '../schema.ts';
import { might_sleep } from './context.ts';
import { dma_fence_signal } from './fence-signal.ts';
import { dma_fence_begin_signalling, dma_fence_end_signalling } from './fence-signalling.ts';
import { dma_fence_init } from './fence.ts';
import { quietly_if_ret, return_ } from './flow.ts';
import { type Gfp } from './gfp.ts';
import { kmalloc } from './memory.ts';
import { askToSuspend, queueRow, suspendWait } from './user-queue.ts';
import type { Rows } from './rows.ts';
import { queue_work } from './work.ts';

const fields = {
  /** One row a fence, under its name. */
  preempt_fences: table({
    /** The queues it stands for: one, or all of a process (P-6). */
    queues: constant<readonly string[]>([]),
    /** The work item that waits for the preemption and signals. */
    work: fixedName('works'),
    /** The next one is allocated and not armed yet. */
    spare: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type PreemptRow = Kept<typeof fields>['preempt_fences'][string];
const rowOf = (kernel: KernelState, fence: string): PreemptRow => kernel.preempt_fences[fence] as PreemptRow;
const onFence = ({ fence }: { fence: string }): [['preempt_fences', string], ['fences', string]] => [
  ['preempt_fences', fence],
  ['fences', fence],
];

const keep_spare = instruction('preempt_fence_keep', (fence: string) => ({ fence }), {
  text: () => '',
  local: true,
  touches: onFence,
  run: (kernel, _me, { fence }) => {
    rowOf(kernel, fence).spare = true;
  },
});
/** Allocate the next fence: ret '0' or '-ENOMEM'; nothing of it can be seen yet (P-5). */
export const preempt_fence_create = (fence: string, gfp: Gfp = 'GFP_KERNEL'): Block => [
  kmalloc(gfp, `${fence.replace('$', '')}->next`),
  quietly_if_ret('0', [keep_spare(fence)]),
];
/** The next fence exists from here on, unsignalled, and its work item owes it. Cannot fail (P-5). */
export const preempt_fence_arm = instruction('preempt_fence_arm', (fence: string) => ({ fence }), {
  text: ({ fence }) => `preempt_fence_arm(${fence})`,
  touches: onFence,
  run: (kernel, me, { fence }) => {
    const row = rowOf(kernel, fence);
    if (!row.spare) complain(kernel, me, 'P-5', `${me} arms ${fence}, which nobody has allocated`);
    row.spare = false;
    dma_fence_init.op.run(kernel, me, { fence, by: row.work }, '');
  },
});

/** Behind ops->enable_signaling: ask for the preemption and leave; the fence lock is held, interrupts are off (P-2). */
const ask_for_preemption = instruction('preempt_fence_ask', (fence: string) => ({ fence }), {
  text: ({ fence }) => `suspend the queues of ${fence}; queue_work(preempt_work)`,
  run: (kernel, me, { fence }) => {
    const { queues, work } = rowOf(kernel, fence);
    for (const queue of queues) askToSuspend(kernel, queue);
    queue_work.op.run(kernel, me, { work }, '');
  },
});

/** Why the preemption is not over: a queue was asked and has not answered. */
function preemption(kernel: KernelState, fence: string, timeout: 'HZ' | undefined): Wait | undefined {
  const waits = rowOf(kernel, fence).queues.flatMap((queue) => suspendWait(kernel, queue) ?? []);
  const [first] = waits;
  if (!first) return undefined;
  const owedBy = waits.flatMap((wait) => wait.owedBy);
  const because = waits.map((wait) => wait.because).join(', and ');
  return { ...first, owedBy, because, ...(timeout === undefined ? {} : { bounded: 'times out' }) };
}
/** Wait until every queue of it is off the hardware: ret '0', or '-ETIME' when a timeout was given and passed (P-3). */
export const preempt_fence_wait = instruction(
  'preempt_fence_wait',
  (fence: string, timeout?: 'HZ') => ({ fence, timeout }),
  {
    text: ({ fence }) => `wait for the preemption behind ${fence}`,
    touches: onFence,
    waits: (kernel, _me, { fence, timeout }) => preemption(kernel, fence, timeout),
    run: (kernel, me, { fence }, outcome) => {
      might_sleep(kernel, me, `preempt_fence_wait(${fence})`);
      returns(kernel, me, outcome === 'times out' ? '-ETIME' : '0');
    },
  },
);
const preempted = instruction('preempt_fence_preempted', (fence: string) => ({ fence }), {
  text: () => '',
  local: true,
  run: (kernel, me, { fence }) => {
    const on = rowOf(kernel, fence).queues.filter((queue) => queueRow(kernel, queue).mapped);
    if (on.length > 0) complain(kernel, me, 'P-3', `${me} signals ${fence} while ${on.join(', ')} runs`);
  },
});
/** Signal it: a misuse while one of its queues is still on the hardware, for memory is taken away on its word (P-3). */
export const preempt_fence_signal = (fence: string): Block => [preempted(fence), dma_fence_signal(fence)];

/** What the work item does: wait, signal, and no more; `then` usually queues the worker that restores (P-3, E4.4). */
export const preempt_fence_work = (fence: string, then: Block = []): Block => [
  dma_fence_begin_signalling(),
  preempt_fence_wait(fence),
  preempt_fence_signal(fence),
  dma_fence_end_signalling(),
  then,
];

/** The fence and its row: live from boot on in these reservations, or not armed yet. */
export const preempt_fence = (
  fence: string,
  row: { queues: readonly string[]; work: string; live?: boolean },
): Rows => ({
  fences: {
    [fence]: {
      enable_signaling: 'preempt_fence_enable_signaling',
      ...(row.live ? { initialised: true, published: true, promisedBy: row.work } : {}),
    },
  },
  preempt_fences: { [fence]: { queues: row.queues, work: row.work } },
  housekeeping: { [fence]: { owner: row.work } },
});

export const preemptFence: KernelObject = {
  schema: fields,
  ops: [keep_spare, preempt_fence_arm, ask_for_preemption, preempt_fence_wait, preempted],
  routines: { preempt_fence_enable_signaling: [ask_for_preemption('$fence'), return_('true')] },
};
