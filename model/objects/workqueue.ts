/**
 * The queues that work items run on (kernel/workqueue.c, Documentation/core-api/workqueue.rst; CTX-W, CTX_WORK_RECLAIM).
 *
 * On an ordered queue one item runs at a time, in the order of queueing: an item that sleeps stalls every item behind it
 * (L-11, C16). On a bounded one so many run at a time. A queue without WQ_MEM_RECLAIM may have to make a worker, as any
 * task allocates (C33). One with it has a rescuer, which is one worker: while memory is short the items behind the one
 * that it runs do not start. On an ordered queue that changes nothing.
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
import { type Kept, constant, maybe, name, table, whole } from '../schema.ts';
import { might_sleep } from './context.ts';
import { hasPfMemalloc } from './gfp.ts';

/** A thread in flush_workqueue. */
interface Flusher {
  readonly by: string;
  readonly left: readonly string[];
}
const fields = {
  workqueues: table({
    /** The items that are queued or running, in order. */
    items: whole<readonly string[]>([]),
    /** So many may run at a time; an ordered queue runs one. */
    max_active: constant<number>(1),
    /** WQ_MEM_RECLAIM: it has a rescuer. */
    mem_reclaim: constant<boolean>(true),
    /** What the rescuer runs: memory is too short for another worker until it is done. */
    rescued: maybe(name('works')),
    /** Who flushes the queue, and the items that were on it when he came and are not done. */
    flushers: whole<readonly Flusher[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type QueueRow = Kept<typeof fields>['workqueues'][string];
/** The queue of an item; nothing when it may always run at once. */
export const queueOf = (kernel: KernelState, work: string): QueueRow | undefined =>
  kernel.workqueues[kernel.works[work]?.queue ?? ''];

/** Why an item that is queued does not begin yet: those before it are as many as may run, or the rescuer is busy. */
export function queueWait(kernel: KernelState, work: string): Wait | undefined {
  const queue = queueOf(kernel, work);
  if (!queue) return undefined;
  const { items, max_active, rescued } = queue;
  const object = kernel.works[work]?.queue ?? '';
  if (rescued !== null) {
    const because = `there is no memory for a worker, and the rescuer of ${object} runs ${rescued}`;
    return { on: 'workqueue', object, owedBy: [rescued], because };
  }
  if (items.indexOf(work) < max_active) return undefined;
  const first = items.slice(0, max_active);
  if (max_active === 1)
    return { on: 'workqueue', object, owedBy: first, because: `${object} is ordered and ${first.join()} runs first` };
  const because = `${object} runs ${max_active} items at a time, and ${first.join(', ')} come first`;
  return { on: 'workqueue', object, owedBy: [...new Set(first)], any: true, because };
}
const withoutOne = (list: readonly string[], one: string): readonly string[] =>
  list.includes(one) ? list.toSpliced(list.indexOf(one), 1) : list;
const countOf = (list: readonly string[], one: string): number => list.filter((each) => each === one).length;
/**
 * A run of the item is over, or will not come. An item queued again while it ran stands in the list twice: what is done
 * is the first of the two, what is cancelled the second, and whoever flushes does not wait for more than are left.
 */
export function leaveQueue(kernel: KernelState, work: string, how: 'done' | 'cancelled'): void {
  const queue = queueOf(kernel, work);
  if (!queue) return;
  const at = how === 'done' ? queue.items.indexOf(work) : queue.items.lastIndexOf(work);
  queue.items = queue.items.toSpliced(at, 1);
  const runs = countOf(queue.items, work);
  const seesLess = (left: readonly string[]): boolean => how === 'done' || countOf(left, work) > runs;
  if (queue.flushers.some(({ left }) => left.includes(work) && seesLess(left)))
    queue.flushers = queue.flushers.map(({ by, left }) => ({
      by,
      left: seesLess(left) ? withoutOne(left, work) : left,
    }));
  if (how === 'done' && queue.rescued === work) queue.rescued = null;
}

/** Nobody whom memory reclaim needs may wait for a queue that needs memory itself (kernel/workqueue.c, check_flush_dependency). */
export function flushDependency(kernel: KernelState, me: string, queue: string): void {
  if (kernel.workqueues[queue]?.mem_reclaim !== false) return;
  const who = hasPfMemalloc(kernel, me)
    ? `${me}, which reclaims memory,`
    : queueOf(kernel, me)?.mem_reclaim
      ? `${me}, on a queue with WQ_MEM_RECLAIM,`
      : undefined;
  if (who !== undefined) complain(kernel, me, 'CTX_WORK_RECLAIM', `${who} flushes ${queue}, which has no rescuer`);
}

const onQueue = ({ queue }: { queue: string }): [['workqueues', string]] => [['workqueues', queue]];
const rowOfQueue = (kernel: KernelState, queue: string): QueueRow => kernel.workqueues[queue] as QueueRow;
const leftOf = (kernel: KernelState, me: string, queue: string): readonly string[] =>
  rowOfQueue(kernel, queue).flushers.find(({ by }) => by === me)?.left ?? [];
const flush_begin = instruction('flush_begin', (queue: string) => ({ queue }), {
  text: ({ queue }) => `flush_workqueue(${queue})`,
  touches: onQueue,
  run: (kernel, me, { queue }) => {
    const row = rowOfQueue(kernel, queue);
    might_sleep(kernel, me, `flush_workqueue(${queue})`);
    flushDependency(kernel, me, queue);
    row.flushers = [...row.flushers, { by: me, left: row.items }].sort((a, b) => (a.by < b.by ? -1 : 1));
  },
});
const flush_wait = instruction('flush_wait', (queue: string) => ({ queue }), {
  text: ({ queue }) => `flush_workqueue(${queue}) /* until all are done */`,
  touches: onQueue,
  waits: (kernel, me, { queue }) => {
    const left = [...new Set(leftOf(kernel, me, queue))];
    return left.length === 0
      ? undefined
      : { on: 'work', object: queue, owedBy: left, because: `${left.join(', ')} of ${queue} is not done` };
  },
  run: (kernel, me, { queue }) => {
    const row = rowOfQueue(kernel, queue);
    row.flushers = row.flushers.filter(({ by }) => by !== me);
    returns(kernel, me, '0');
  },
});
/** Wait for every item that is on the queue now; those that are queued later are not waited for. */
export const flush_workqueue = (queue: string): Block => [flush_begin(queue), flush_wait(queue)];

export const workqueue: KernelObject = { schema: fields, ops: [flush_begin, flush_wait] };
