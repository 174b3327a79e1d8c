/**
 * Page faults of the device: a queue stands still until somebody has answered (drivers/gpu/drm/xe/xe_gt_pagefault.c;
 * E7, G4, PF-1..PF-7).
 *
 * The fault is a message. An interrupt routine of the driver receives it and may only pass it on; a worker repairs the
 * mapping, which takes locks and memory and whatever those take, and answers. The answer lets the queue try again, or
 * ends it. The buffer of messages has a bound: when it is full the hardware stalls, or drops a fault of which nobody
 * will ever hear (G4.5).
 */
import {
  type KernelObject,
  type KernelState,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, table, whole } from '../schema.ts';
import { atomic_enter, atomic_exit } from './context.ts';
import { call } from './flow.ts';

const fields = {
  fault_buffers: table({
    capacity: constant<number>(1),
    /** A fault that finds the buffer full is lost, instead of stalling the hardware. */
    drops: constant<boolean>(false),
    /** Runs in interrupt context for each fault, with `queue` and `bo`. */
    irq: fixedName('routines'),
    /** The thread that takes faults out and answers. */
    handled_by: fixedName('threads'),
    /** The queues whose faults were not taken out yet, oldest first. */
    faults: whole<readonly string[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    gpuFault: { queue: string; bo: string; answer: 'raised' | 'dropped' | 'success' | 'failure' };
  }
}
type BufferRow = Kept<typeof fields>['fault_buffers'][string];
const bufferRow = (kernel: KernelState, buffer: string): BufferRow => kernel.fault_buffers[buffer] as BufferRow;
type Faulting = KernelState['user_queues'][string];
const queueRow = (kernel: KernelState, queue: string): Faulting => kernel.user_queues[queue] as Faulting;
const onQueue = ({ queue }: { queue: string }): [['user_queues', string]] => [['user_queues', queue]];

/** Why a queue that faulted cannot go on: nobody has answered. */
export function answerWait(kernel: KernelState, queue: string): Wait | undefined {
  const { faulting, fault_lost, fault_buffer } = queueRow(kernel, queue);
  if (faulting === null) return undefined;
  const object = `fault of ${queue}`;
  if (fault_lost)
    return { on: 'GPU fault', object, owedBy: [], because: `the fault of ${queue} on ${faulting} was dropped` };
  const { handled_by } = bufferRow(kernel, fault_buffer);
  return {
    on: 'GPU fault',
    object,
    owedBy: [handled_by],
    because: `${handled_by} has yet to answer the fault of ${queue} on ${faulting}`,
  };
}
/** Why the hardware stalls before it can even raise a fault. */
export function bufferFull(kernel: KernelState, buffer: string): Wait | undefined {
  const { faults, capacity, drops, handled_by } = bufferRow(kernel, buffer);
  return faults.length < capacity || drops
    ? undefined
    : { on: 'GPU fault', object: buffer, owedBy: [handled_by], because: `${buffer} is full` };
}
/** The queue wants this buffer and finds no mapping: it stands still from here, and the driver is told (E7.1). */
export function raiseFault(kernel: KernelState, me: string, queue: string, bo: string): void {
  const row = queueRow(kernel, queue);
  const buffer = bufferRow(kernel, row.fault_buffer);
  row.faulting = bo;
  if (buffer.faults.length >= buffer.capacity) {
    row.fault_lost = true;
    note(kernel, me, { kind: 'gpuFault', queue, bo, answer: 'dropped' });
    complain(kernel, me, 'G4.5', `the fault of ${queue} on ${bo} is dropped`);
    return;
  }
  buffer.faults = [...buffer.faults, queue];
  note(kernel, me, { kind: 'gpuFault', queue, bo, answer: 'raised' });
  if (buffer.irq !== '') pushCall(kernel, me, 'gpu_fault_irq', { routine: buffer.irq, queue, bo });
}

/** Take the oldest fault out: ret the queue that stands in it, or '0'. A fault that a preemption ended is passed over. */
export const gpu_fault_take = instruction('gpu_fault_take', (buffer: string) => ({ buffer }), {
  text: ({ buffer }) => `gpu_fault_take(${buffer})`,
  touches: ({ buffer }) => [['fault_buffers', buffer]],
  run: (kernel, me, { buffer }) => {
    const row = bufferRow(kernel, buffer);
    const at = row.faults.findIndex((queue) => queueRow(kernel, queue).faulting !== null);
    returns(kernel, me, row.faults[at] ?? '0');
    row.faults = at < 0 ? [] : row.faults.slice(at + 1);
  },
});
/** The buffer that this queue wants; ret '0' when it wants none any more. */
export const gpu_fault_address = instruction('gpu_fault_address', (queue: string) => ({ queue }), {
  text: ({ queue }) => `the fault of ${queue}`,
  touches: onQueue,
  run: (kernel, me, { queue }) => returns(kernel, me, queueRow(kernel, queue).faulting ?? '0'),
});
/** Answer: the queue tries again, or it is reset, for nobody can repair this (E7.2, E7.7). */
export const gpu_fault_answer = instruction(
  'gpu_fault_answer',
  (queue: string, answer: 'success' | 'failure') => ({ queue, answer }),
  {
    text: ({ queue, answer }) => `gpu_fault_answer(${queue}, ${answer})`,
    touches: onQueue,
    run: (kernel, me, { queue, answer }) => {
      const row = queueRow(kernel, queue);
      const bo = row.faulting;
      if (bo === null) return;
      note(kernel, me, { kind: 'gpuFault', queue, bo, answer });
      row.faulting = null;
      if (answer === 'failure') Object.assign(row, { mapped: false, busy: false, suspending: false, endless: false });
    },
  },
);

export const gpuFault: KernelObject = {
  schema: fields,
  ops: [gpu_fault_take, gpu_fault_address, gpu_fault_answer],
  routines: {
    gpu_fault_irq: [
      atomic_enter('a GPU fault interrupt'),
      call('$routine', { queue: '$queue', bo: '$bo' }),
      atomic_exit('a GPU fault interrupt'),
    ],
  },
};
