/**
 * Work items and the queues they run on (kernel/workqueue.c; CTX-W).
 *
 * A work item is a thread that sleeps until it is queued, runs once, and sleeps again. On an ordered queue one item
 * runs at a time, in the order of queueing: an item that sleeps stalls every item behind it (L-11, C16).
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  instruction,
  note,
} from '../machine.ts';
import { type Kept, fixedName, flag, table, whole } from '../schema.ts';
import { forever } from './flow.ts';
import { might_sleep } from './context.ts';

const fields = {
  works: table({
    /** The ordered queue it runs on; empty when it may always run at once. */
    queue: fixedName('workqueues'),
    queued: flag,
    running: flag,
  }),
  /** Ordered queues: the items that are queued or running, in order. */
  workqueues: table({ items: whole<readonly string[]>([]) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type WorkRow = Kept<typeof fields>['works'][string];
const rowOf = (kernel: KernelState, work: string): WorkRow => kernel.works[work] as WorkRow;
const onWork = ({ work }: { work: string }): [['works', string]] => [['works', work]];

function enqueue(kernel: KernelState, work: string): boolean {
  const row = rowOf(kernel, work);
  if (row.queued) return false;
  row.queued = true;
  const queue = row.queue && kernel.workqueues[row.queue];
  if (queue) queue.items = [...queue.items, work];
  return true;
}

/** Queue the item; ret '1', or '0' when it was queued already. Never sleeps, allowed in any context. */
export const queue_work = instruction('queue_work', (work: string) => ({ work }), {
  text: ({ work }) => `queue_work(&${work})`,
  touches: onWork,
  run: (kernel, me, { work }) => {
    (kernel.threads[me] as { ret: string }).ret = enqueue(kernel, work) ? '1' : '0';
  },
});

/** The worker's own wait: idle until queued, then behind the items before it on an ordered queue. */
const work_begin = instruction('work_begin', (work: string) => ({ work }), {
  text: ({ work }) => `process_one_work(${work})`,
  waits: (kernel, me, { work }) => {
    const row = rowOf(kernel, work);
    if (!row.queued) return { on: 'work', object: work, owedBy: [], because: `${work} is not queued`, idle: true };
    const first = row.queue === '' ? me : kernel.workqueues[row.queue]?.items[0];
    if (first === undefined || first === me) return undefined;
    return {
      on: 'workqueue',
      object: row.queue,
      owedBy: [first],
      because: `${row.queue} is ordered and ${first} runs first`,
    };
  },
  run: (kernel, _me, { work }) => {
    rowOf(kernel, work).queued = false;
    rowOf(kernel, work).running = true;
  },
});
const work_end = instruction('work_end', (work: string) => ({ work }), {
  text: ({ work }) => `/* ${work} is done */`,
  run: (kernel, me, { work }) => {
    const row = rowOf(kernel, work);
    row.running = false;
    const queue = row.queue && kernel.workqueues[row.queue];
    // An item queued again while it ran stands in the list twice: this run is the first of the two.
    if (queue) queue.items = queue.items.toSpliced(queue.items.indexOf(work), 1);
    const thread = kernel.threads[me] as {
      ret: string;
      held: readonly { object: string }[];
      frames: { vars: Record<string, string> }[];
    };
    thread.ret = '0';
    (thread.frames[0] as { vars: Record<string, string> }).vars = { me };
    if (thread.held.length > 0)
      note(kernel, me, {
        kind: 'misuse',
        rule: 'I-16',
        what: `${work} ends still holding ${thread.held.map((each) => each.object).join(', ')}`,
      });
    note(kernel, me, { kind: 'progress', what: `${work} is done` });
  },
});

/** A thread that runs `body` each time its work item is queued; on the ordered queue `queue`, if given. */
export const work = (body: Block, queue = ''): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([work_begin('$me'), body, work_end('$me')])],
  rows: (me) => ({ works: { [me]: { queue } } }),
});

const busy = (kernel: KernelState, work: string): Wait | undefined => {
  const { queued, running } = rowOf(kernel, work);
  return queued || running
    ? { on: 'work', object: work, owedBy: [work], because: `${work} is ${running ? 'running' : 'queued'}` }
    : undefined;
};
/** Wait until the item is neither queued nor running. */
export const flush_work = instruction('flush_work', (work: string) => ({ work }), {
  text: ({ work }) => `flush_work(&${work})`,
  touches: onWork,
  waits: (kernel, _me, { work }) => busy(kernel, work),
  run: (kernel, me, { work }) => might_sleep(kernel, me, `flush_work(&${work})`),
});

/** Take the item off its queue; it does not wait for a run that is under way. */
export const cancel_work = instruction('cancel_work', (work: string) => ({ work }), {
  text: ({ work }) => `cancel_work(&${work})`,
  touches: onWork,
  run: (kernel, _me, { work }) => dequeue(kernel, work),
});
function dequeue(kernel: KernelState, work: string): void {
  const row = rowOf(kernel, work);
  if (!row.queued) return;
  row.queued = false;
  const queue = row.queue && kernel.workqueues[row.queue];
  if (queue) queue.items = queue.items.toSpliced(queue.items.lastIndexOf(work), 1);
}
const cancel_wait = instruction('cancel_wait', (work: string) => ({ work }), {
  text: ({ work }) => `cancel_work_sync(&${work})`,
  touches: onWork,
  waits: (kernel, _me, { work }) => (rowOf(kernel, work).running ? busy(kernel, work) : undefined),
  run: (kernel, me, { work }) => {
    might_sleep(kernel, me, `cancel_work_sync(&${work})`);
    dequeue(kernel, work); // an item that queued itself again while it was being cancelled
  },
});
/** Take the item off its queue, then wait for it if it runs: a run that was only queued does not come any more. */
export const cancel_work_sync = (work: string): Block => [cancel_work(work), cancel_wait(work)];

export const workqueue: KernelObject = {
  schema: fields,
  ops: [queue_work, work_begin, work_end, flush_work, cancel_work, cancel_wait],
  leftovers: (kernel) =>
    Object.entries(kernel.works).flatMap(([each, { queued, running }]) =>
      queued || running ? [`${each} is still ${running ? 'running' : 'queued'}`] : [],
    ),
};
