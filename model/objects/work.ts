/**
 * Work items (kernel/workqueue.c; CTX-W).
 *
 * A work item is a thread that sleeps until it is queued, runs once, and sleeps again. It needs a worker, and a worker is
 * memory: what that means is a matter of its queue, see workqueue.ts.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  type ThreadSpec,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  stay,
} from '../machine.ts';
import { type Kept, fixedName, flag, int, table } from '../schema.ts';
import { forever, handler } from './flow.ts';
import { might_sleep } from './context.ts';
import { kmalloc } from './memory.ts';
import { flushDependency, leaveQueue, queueOf, queueWait } from './workqueue.ts';

const MOST_CANCELLERS = 4;
const fields = {
  works: table({
    /** The queue it runs on; empty when it may always run at once. */
    queue: fixedName('workqueues'),
    queued: flag,
    running: flag,
    /** So many wait in cancel_work_sync: until they have returned it cannot be queued again. */
    cancelling: int(MOST_CANCELLERS),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type WorkRow = Kept<typeof fields>['works'][string];
const rowOf = (kernel: KernelState, work: string): WorkRow => kernel.works[work] as WorkRow;
const onWork = ({ work }: { work: string }): [['works', string]] => [['works', work]];

function enqueue(kernel: KernelState, work: string): boolean {
  const row = rowOf(kernel, work);
  if (row.queued || row.cancelling > 0) return false;
  row.queued = true;
  const queue = queueOf(kernel, work);
  if (queue) queue.items = [...queue.items, work];
  return true;
}

/** Queue the item; ret '1', or '0' when it was queued already or is being cancelled. Never sleeps, allowed in any context. */
export const queue_work = instruction('queue_work', (work: string) => ({ work }), {
  text: ({ work }) => `queue_work(&${work})`,
  touches: onWork,
  run: (kernel, me, { work }) => {
    (kernel.threads[me] as { ret: string }).ret = enqueue(kernel, work) ? '1' : '0';
  },
});

const firstFrame = (kernel: KernelState, me: string): { vars: Record<string, string> } =>
  (kernel.threads[me] as Thread).frames[0] as { vars: Record<string, string> };
const NEEDS_WORKER = 'needs a worker';
const RESCUED = 'is rescued';

/** The worker's own wait: idle until queued, then behind the items before it that are as many as may run. */
const work_begin = instruction('work_begin', (work: string) => ({ work }), {
  text: ({ work }) => `process_one_work(${work})`,
  waits: (kernel, me, { work }) => {
    const row = rowOf(kernel, work);
    if (!row.queued) return { on: 'work', object: work, owedBy: [], because: `${work} is not queued`, idle: true };
    return queueWait(kernel, work);
  },
  outcomes: (kernel, me, { work }) => {
    const queue = queueOf(kernel, work);
    if (!queue || (queue.mem_reclaim && queue.max_active === 1)) return [''];
    if (queue.mem_reclaim) return ['', RESCUED];
    return firstFrame(kernel, me).vars['worker'] === 'yes' ? [''] : ['', NEEDS_WORKER];
  },
  run: (kernel, me, { work }, outcome) => {
    if (outcome === NEEDS_WORKER) {
      firstFrame(kernel, me).vars['worker'] = 'yes';
      stay(kernel, me);
      pushCall(kernel, me, 'create_worker');
      return;
    }
    const queue = queueOf(kernel, work);
    if (queue && outcome === RESCUED) queue.rescued = work;
    rowOf(kernel, work).queued = false;
    rowOf(kernel, work).running = true;
  },
});
const work_end = instruction('work_end', (work: string) => ({ work }), {
  text: ({ work }) => `/* ${work} is done */`,
  run: (kernel, me, { work }) => {
    rowOf(kernel, work).running = false;
    leaveQueue(kernel, work, 'done');
    const thread = kernel.threads[me] as {
      ret: string;
      held: readonly { object: string }[];
      frames: { vars: Record<string, string> }[];
    };
    thread.ret = '0';
    (thread.frames[0] as { vars: Record<string, string> }).vars = { me };
    if (thread.held.length > 0)
      complain(kernel, me, 'I-16', `${work} ends still holding ${thread.held.map((each) => each.object).join(', ')}`);
    note(kernel, me, { kind: 'progress', what: `${work} is done` });
  },
});

/** A thread that runs `body` each time its work item is queued; on the queue `queue`, if given. */
export const work = (body: Block, queue = ''): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([work_begin('$me'), handler(body), work_end('$me')])],
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
  run: (kernel, me, { work }) => {
    might_sleep(kernel, me, `flush_work(&${work})`);
    flushDependency(kernel, me, kernel.works[work]?.queue ?? '');
  },
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
  leaveQueue(kernel, work, 'cancelled');
}
const cancel_begin = instruction('cancel_begin', (work: string) => ({ work }), {
  text: ({ work }) => `cancel_work_sync(&${work})`,
  touches: onWork,
  run: (kernel, me, { work }) => {
    might_sleep(kernel, me, `cancel_work_sync(&${work})`);
    dequeue(kernel, work);
    rowOf(kernel, work).cancelling += 1;
  },
});
const cancel_wait = instruction('cancel_wait', (work: string) => ({ work }), {
  text: ({ work }) => `cancel_work_sync(&${work}) /* until it is done */`,
  touches: onWork,
  waits: (kernel, _me, { work }) => (rowOf(kernel, work).running ? busy(kernel, work) : undefined),
  run: (kernel, _me, { work }) => {
    rowOf(kernel, work).cancelling -= 1;
  },
});
/**
 * Take the item off its queue, then wait for it if it runs: a run that was only queued does not come any more, and no
 * other is queued until this is over, so it ends even for an item that always queues itself again.
 */
export const cancel_work_sync = (work: string): Block => [cancel_begin(work), cancel_wait(work)];

export const workObject: KernelObject = {
  schema: fields,
  ops: [queue_work, work_begin, work_end, flush_work, cancel_work, cancel_begin, cancel_wait],
  // A worker is a kernel thread; whoever has to make one allocates as any task does, on behalf of all that wait for it.
  routines: { create_worker: kmalloc('GFP_KERNEL', 'worker') },
  leftovers: (kernel) =>
    Object.entries(kernel.works).flatMap(([each, { queued, running }]) =>
      queued || running ? [`${each} is still ${running ? 'running' : 'queued'}`] : [],
    ),
};
