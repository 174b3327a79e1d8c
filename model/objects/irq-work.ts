/**
 * irq_work: a call put off until the interrupted code has left its locks (kernel/irq_work.c; CTX-IW, K-1, K-2).
 *
 * It is a thread of its own, not a call on the stack of whoever queues it. The queueing happens under a fence lock with
 * interrupts off, so the work can only run once every such lock has been left, and where the hardware cannot interrupt
 * itself it waits for the next tick: any delay is possible. On the stack it would also inherit the locks that the
 * signaller happens to hold, and report circles that no kernel has. The window between "all children have signalled"
 * and "the container has" is the time this thread takes.
 */
import {
  type KernelObject,
  type KernelState,
  type Thread,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
} from '../machine.ts';
import { type Kept, table, whole } from '../schema.ts';
import { forever } from './flow.ts';

interface Queued {
  readonly routine: string;
  readonly vars: Readonly<Record<string, string>>;
}
const fields = { irq_works: table({ queue: whole<readonly Queued[]>([]) }) };
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/**
 * Put the call off; returns the thread that owes it from now on.
 * @throws when the design declares no such thread.
 */
export function irqWorkQueue(kernel: KernelState, routine: string, vars: Readonly<Record<string, string>>): string {
  const [thread, row] = Object.entries(kernel.irq_works)[0] ?? [];
  if (thread === undefined || row === undefined)
    throw new Error(`${routine} runs from irq_work: declare a thread for it, \`irq_work: irq_work()\``);
  row.queue = [...row.queue, { routine, vars }];
  return thread;
}

const irq_work_run = instruction('irq_work_run', (irq: string) => ({ irq }), {
  text: () => 'irq_work_run()',
  waits: (kernel, _me, { irq }) =>
    kernel.irq_works[irq]?.queue.length === 0
      ? { on: 'irq_work', object: irq, owedBy: [], because: `${irq} has nothing queued`, idle: true }
      : undefined,
  run: (kernel, me, { irq }) => {
    const row = kernel.irq_works[irq] as KernelState['irq_works'][string];
    const [first, ...rest] = row.queue as readonly [Queued, ...Queued[]];
    row.queue = rest;
    pushCall(kernel, me, first.routine, first.vars);
  },
});
const irq_work_done = instruction('irq_work_done', () => ({}), {
  text: () => '/* the irq_work is over */',
  local: true,
  run: (kernel, me) => {
    (kernel.threads[me] as Thread).ret = '0';
    note(kernel, me, { kind: 'progress', what: 'an irq_work is over' });
  },
});

/** The interrupt in which such calls run, first come first. */
export const irq_work = (): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  atomic: true,
  program: [forever([irq_work_run('$me'), irq_work_done()])],
  rows: (me) => ({ irq_works: { [me]: {} } }),
});

export const irqWork: KernelObject = {
  schema: fields,
  ops: [irq_work_run, irq_work_done],
  leftovers: (kernel) =>
    Object.entries(kernel.irq_works).flatMap(([irq, { queue }]) =>
      queue.map(({ routine }) => `${irq} still has ${routine} queued`),
    ),
};
