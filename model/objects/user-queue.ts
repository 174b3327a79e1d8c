/**
 * User queues: rings that a process fills by itself, without an ioctl (drivers/gpu/drm/amd/amdkfd; E1.1).
 *
 * The kernel sees no jobs and no end of them, only whether the queue is mapped to the hardware. To take memory away it
 * must unmap the queue. A unit of work takes two turns; what a preemption interrupts begins again, so a queue that is
 * taken off again and again gets nothing done.
 */
import { type KernelObject, type KernelState, type ThreadSpec, instruction, note } from '../machine.ts';
import { type Kept, fixedName, flag, table } from '../schema.ts';
import { forever } from './flow.ts';

const fields = {
  user_queues: table({
    mapped: flag,
    /** A unit of work is begun and not finished. */
    busy: flag,
    /** The thread that maps it again after an eviction; empty when nobody does. */
    restored_by: fixedName('threads'),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type QueueRow = Kept<typeof fields>['user_queues'][string];
const rowOf = (kernel: KernelState, queue: string): QueueRow => kernel.user_queues[queue] as QueueRow;
const onQueue = ({ queue }: { queue: string }): [['user_queues', string]] => [['user_queues', queue]];

/** Put the queue on the hardware: from here it runs, and may use every buffer of its process. */
export const map_queue = instruction('map_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `map_queue(${queue})`,
  touches: onQueue,
  run: (kernel, _me, { queue }) => {
    rowOf(kernel, queue).mapped = true;
  },
});
/** Preempt the queue: it does not run any more when this returns (E1.5). */
export const unmap_queue = instruction('unmap_queue', (queue: string) => ({ queue }), {
  text: ({ queue }) => `unmap_queue(${queue})`,
  touches: onQueue,
  run: (kernel, _me, { queue }) => {
    Object.assign(rowOf(kernel, queue), { mapped: false, busy: false });
  },
});

const queue_runs = instruction('queue_runs', (queue: string) => ({ queue }), {
  text: ({ queue }) => `${queue} runs`,
  waits: (kernel, _me, { queue }) => {
    const { mapped, restored_by } = rowOf(kernel, queue);
    if (mapped) return undefined;
    const owedBy = restored_by === '' ? [] : [restored_by];
    return { on: 'user queue', object: queue, owedBy, because: `${queue} is not mapped` };
  },
  run: (kernel, me, { queue }) => {
    const row = rowOf(kernel, queue);
    row.busy = !row.busy;
    if (!row.busy) note(kernel, me, { kind: 'progress', what: `${queue} finishes a unit of work` });
  },
});

/** A queue as a thread of hardware: it runs for ever, whenever it is mapped. */
export const user_queue = (options: { mapped?: boolean; restored_by?: string } = {}): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  program: [forever([queue_runs('$me')])],
  rows: (me) => ({
    user_queues: { [me]: { mapped: options.mapped ?? true, restored_by: options.restored_by ?? '' } },
  }),
});

export const userQueue: KernelObject = { schema: fields, ops: [map_queue, unmap_queue, queue_runs] };
