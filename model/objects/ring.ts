/**
 * A hardware ring: jobs complete in the order they were emitted, or the ring hangs and completes nothing until it is
 * reset (C3.12, HC-1..HC-5). Hardware is fair: a ring that does not hang makes progress.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  instruction,
  note,
  pushCall,
} from '../machine.ts';
import { type Kept, constant, flag, table, whole } from '../schema.ts';
import { pending, passPromise } from './fence.ts';
import { forever } from './flow.ts';

/** What the ring will do, and the interrupt routine that it will end with. */
export interface RingJob {
  readonly job: string;
  readonly fence: string;
  /** Runs on completion, in interrupt context, with these variables, $job and $fence. */
  readonly irq: string;
  readonly vars: Readonly<Record<string, string>>;
}
const fields = {
  rings: table({
    /** May a job on it run for ever? */
    may_hang: constant<boolean>(false),
    hung: flag,
    jobs: whole<readonly RingJob[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    completed: { ring: string; job: string };
    hung: { ring: string; job: string };
  }
}
type RingRow = Kept<typeof fields>['rings'][string];
const rowOf = (kernel: KernelState, ring: string): RingRow => kernel.rings[ring] as RingRow;
const onRing = ({ ring }: { ring: string }): [['rings', string]] => [['rings', ring]];

/** Write the job to the ring: from here the ring owes `fence`. */
export const emit = instruction(
  'emit',
  (ring: string, job: string, fence: string, irq: string, vars: Record<string, string> = {}) => ({
    ring,
    job,
    fence,
    irq,
    vars,
  }),
  {
    text: ({ ring, job }) => `emit(${ring}, ${job})`,
    touches: ({ ring, fence, irq }) => [
      ['rings', ring],
      ['fences', fence],
      ...(irq === '' ? [] : [['routines', irq] as const]),
    ],
    run: (kernel, _me, { ring, job, fence, irq, vars }) => {
      rowOf(kernel, ring).jobs = [...rowOf(kernel, ring).jobs, { job, fence, irq, vars }];
      passPromise(kernel, fence, ring);
    },
  },
);

const run_job = instruction('ring_run', (ring: string) => ({ ring }), {
  text: ({ ring }) => `${ring} runs`,
  waits: (kernel, _me, { ring }) => {
    const { hung, jobs } = rowOf(kernel, ring);
    if (jobs.length === 0) return { on: 'ring', object: ring, owedBy: [], because: `${ring} has no jobs`, idle: true };
    return hung ? { on: 'ring', object: ring, owedBy: [], because: `${ring} hangs in ${jobs[0]?.job}` } : undefined;
  },
  outcomes: (kernel, _me, { ring }) => (rowOf(kernel, ring).may_hang ? ['completes', 'hangs'] : ['completes']),
  run: (kernel, me, { ring }, outcome) => {
    const row = rowOf(kernel, ring);
    const [first, ...rest] = row.jobs as readonly [RingJob, ...RingJob[]];
    if (outcome === 'hangs') {
      row.hung = true;
      note(kernel, me, { kind: 'hung', ring, job: first.job });
      return;
    }
    row.jobs = rest;
    note(kernel, me, { kind: 'completed', ring, job: first.job });
    note(kernel, me, { kind: 'progress', what: `${first.job} completes` });
    if (first.irq !== '') pushCall(kernel, me, first.irq, { ...first.vars, job: first.job, fence: first.fence });
  },
});

/** Reset the ring: it can run again, and the jobs that were on it are gone; ret is the job that hung, or '0'. */
export const reset_ring = instruction('reset_ring', (ring: string) => ({ ring }), {
  text: ({ ring }) => `reset(${ring})`,
  touches: onRing,
  run: (kernel, me, { ring }) => {
    const row = rowOf(kernel, ring);
    (kernel.threads[me] as { ret: string }).ret = row.hung ? (row.jobs[0]?.job ?? '0') : '0';
    row.hung = false;
    row.jobs = [];
  },
});

/** Take one job off the ring and leave the others: soft recovery. What it hung in, it hangs in no more (C8.4). */
export const skip_job = instruction('skip_job', (ring: string, job: string) => ({ ring, job }), {
  text: ({ ring, job }) => `skip(${ring}, ${job})`,
  touches: onRing,
  run: (kernel, _me, { ring, job }) => {
    const row = rowOf(kernel, ring);
    if (row.jobs[0]?.job === job) row.hung = false;
    row.jobs = row.jobs.filter((each) => each.job !== job);
  },
});

/** The ring itself, as a thread of hardware. Completion routines run on its stack, in interrupt context. */
export const ring = (options: { may_hang?: boolean; done?: Block } = {}): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  atomic: true,
  program: [forever([run_job('$me'), options.done ?? []])],
  rows: (me) => ({ rings: { [me]: { may_hang: options.may_hang ?? false } } }),
});

/** The same, moved by hand: it completes a job only when somebody lets it, as a mock of hardware does. */
export const ring_by_hand = (): ThreadSpec => ({ ...ring(), kind: 'user', begins: 'may' });

export const ringObject: KernelObject = {
  schema: fields,
  ops: [emit, run_job, reset_ring, skip_job],
  leftovers: (kernel) =>
    Object.entries(kernel.rings).flatMap(([each, { jobs }]) =>
      jobs.filter(({ fence }) => pending(kernel, fence)).map(({ job }) => `${job} is still on ${each}`),
    ),
};
