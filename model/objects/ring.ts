/**
 * A hardware ring: jobs complete in the order they were emitted, or the ring hangs and completes nothing until it is
 * reset (C3.12, HC-1..HC-5). Hardware is fair: a ring that does not hang makes progress.
 *
 * A batch may also wait for a value in memory, as for another batch of its program (MI_SEMAPHORE_WAIT, WAIT_REG_MEM; X-4):
 * its ring spins, and nobody owes the value. From outside that looks like a hang.
 *
 * What looks like a hang may only be slow: with `late_completion` beside it, a ring that hangs may go on by itself at any
 * time, or never, whatever was decided about its jobs meanwhile (HC-5, D1.5). A ring with a fault handler may run into a fault that
 * nobody repairs: it stops like one that hangs, and says so by an interrupt (E7.7).
 */
import {
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, table, whole } from '../schema.ts';
import { engineShared, occupiedBy } from './engine.ts';
import { pending, passPromise } from './fence.ts';
import { forever } from './flow.ts';

/** What the ring will do, and the interrupt routine that it will end with. */
export interface RingJob {
  readonly job: string;
  readonly fence: string;
  /** Runs on completion, in interrupt context, with these variables, $job and $fence. */
  readonly irq: string;
  readonly vars: Readonly<Record<string, string>>;
  /** It does not end before somebody has written this value to this user fence. */
  readonly until?: Until;
}
type Until = readonly [memory: string, value: number];
const fields = {
  rings: table({
    /** May a job on it run for ever? */
    may_hang: constant<boolean>(false),
    /** Runs in interrupt context when a job faults, with the variables of its completion; without it no job faults. */
    fault: fixedName('routines'),
    /** The engine that it shares with others; one of its own when empty. */
    engine: fixedName('engines'),
    /** Who brings it back when it hangs: whatever holds that thread up holds up the fences of this ring. */
    reset_by: fixedName('threads'),
    hung: flag,
    /** Submission is parked: its device is being reset (HC-3). */
    parked: flag,
    jobs: whole<readonly RingJob[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    completed: { ring: string; job: string };
    hung: { ring: string; job: string };
    faulted: { ring: string; job: string };
  }
}
type RingRow = Kept<typeof fields>['rings'][string];
export const ringRow = (kernel: KernelState, ring: string): RingRow => kernel.rings[ring] as RingRow;
const onRing = ({ ring }: { ring: string }): [['rings', string]] => [['rings', ring]];

/** Write the job to the ring: from here the ring owes `fence`, however long the job waits for `until`. */
export const emit = instruction(
  'emit',
  (ring: string, job: string, fence: string, irq: string, vars: Record<string, string> = {}, until?: Until) => ({
    ring,
    job,
    fence,
    irq,
    vars,
    ...(until ? { until } : {}),
  }),
  {
    text: ({ ring, job, until }) => `emit(${ring}, ${job}${until ? `, until *${until[0]} >= ${until[1]}` : ''})`,
    touches: ({ ring, fence, irq, until }) => [
      ['rings', ring],
      ['fences', fence],
      ...(irq === '' ? [] : [['routines', irq] as const]),
      ...(until ? [['user_fences', until[0]] as const] : []),
    ],
    run: (kernel, me, { ring, job, fence, irq, vars, until }) => {
      if (ringRow(kernel, ring).parked) complain(kernel, me, 'HC-3', `${me} gives ${job} to ${ring} during its reset`);
      ringRow(kernel, ring).jobs = [
        ...ringRow(kernel, ring).jobs,
        { job, fence, irq, vars, ...(until ? { until } : {}) },
      ];
      passPromise(kernel, fence, ring);
      if (ringRow(kernel, ring).engine !== '') engineShared(kernel, me, ringRow(kernel, ring).engine);
    },
  },
);

/** Why the ring does not get on with its first job; whoever resets it owes it a way out, if anybody does. */
function ringWait(kernel: KernelState, ring: string): Wait | undefined {
  const { hung, jobs, engine, reset_by } = ringRow(kernel, ring);
  const [first] = jobs;
  if (!first) return { on: 'ring', object: ring, owedBy: [], because: `${ring} has no jobs`, idle: true };
  const stands = (because: string): Wait =>
    reset_by === ''
      ? { on: 'ring', object: ring, owedBy: [], because }
      : { on: 'ring', object: ring, owedBy: [reset_by], because: `${because}, and ${reset_by} resets it` };
  if (hung) return stands(`${ring} hangs in ${first.job}`);
  if (first.until) {
    const [memory, value] = first.until;
    if ((kernel.user_fences[memory]?.value ?? 0) < value)
      return stands(`${first.job} spins on ${ring} until ${memory} reaches ${value}, which nobody owes`);
  }
  const queue = occupiedBy(kernel, engine);
  if (queue === undefined) return undefined;
  return { on: 'engine', object: engine, owedBy: [queue], because: `${queue} stands in a fault on ${engine}` };
}
/** What a hang check sees: ret '1' when the ring has a job and does not move, be it a hang or a wait (T-3, HC-5). */
export const ring_is_stuck = instruction('ring_is_stuck', (ring: string) => ({ ring }), {
  text: ({ ring }) => `the head of ${ring} has not moved`,
  touches: onRing,
  run: (kernel, me, { ring }) => {
    const wait = ringWait(kernel, ring);
    returns(kernel, me, wait !== undefined && !wait.idle ? '1' : '0');
  },
});

const run_job = instruction('ring_run', (ring: string) => ({ ring }), {
  text: ({ ring }) => `${ring} runs`,
  waits: (kernel, _me, { ring }) => ringWait(kernel, ring),
  outcomes: (kernel, _me, { ring }) => {
    const { may_hang, fault } = ringRow(kernel, ring);
    return ['completes', ...(may_hang ? ['hangs'] : []), ...(fault === '' ? [] : ['faults'])];
  },
  run: (kernel, me, { ring }, outcome) => {
    const row = ringRow(kernel, ring);
    const [first, ...rest] = row.jobs as readonly [RingJob, ...RingJob[]];
    if (outcome === 'hangs') {
      row.hung = true;
      note(kernel, me, { kind: 'hung', ring, job: first.job });
      return;
    }
    if (outcome === 'faults') {
      row.hung = true;
      note(kernel, me, { kind: 'faulted', ring, job: first.job });
      pushCall(kernel, me, row.fault, { ...first.vars, job: first.job, fence: first.fence });
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
    const row = ringRow(kernel, ring);
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
    const row = ringRow(kernel, ring);
    if (row.jobs[0]?.job === job) row.hung = false;
    row.jobs = row.jobs.filter((each) => each.job !== job);
  },
});

const ring_goes_on = instruction('ring_goes_on', (ring: string) => ({ ring }), {
  text: ({ ring }) => `${ring} was only slow`,
  touches: onRing,
  rest: true,
  waits: (kernel, _me, { ring }) =>
    ringRow(kernel, ring).hung
      ? undefined
      : { on: 'ring', object: ring, owedBy: [], because: `${ring} does not hang`, idle: true },
  run: (kernel, _me, { ring }) => {
    ringRow(kernel, ring).hung = false;
  },
});
/** Beside a ring that may hang: it may go on at any time, unless it was reset before; nobody may count on it. */
export const late_completion = (ring: string): ThreadSpec => ({
  kind: 'hardware',
  begins: 'may',
  program: [forever([ring_goes_on(ring)])],
});

/** The ring itself, as a thread of hardware. Completion and fault routines run on its stack, in interrupt context. */
export const ring = (
  row: { may_hang?: boolean; fault?: string; engine?: string; reset_by?: string } = {},
): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  atomic: true,
  program: [forever([run_job('$me')])],
  rows: (me) => ({ rings: { [me]: { may_hang: false, ...row } } }),
});

/** The same, moved by hand: it completes a job only when somebody lets it, as a mock of hardware does. */
export const ring_by_hand = (): ThreadSpec => ({ ...ring(), kind: 'user', begins: 'may' });

export const ringObject: KernelObject = {
  schema: fields,
  ops: [emit, ring_is_stuck, run_job, reset_ring, skip_job, ring_goes_on],
  leftovers: (kernel) =>
    Object.entries(kernel.rings).flatMap(([each, { jobs }]) =>
      jobs.filter(({ fence }) => pending(kernel, fence)).map(({ job }) => `${job} is still on ${each}`),
    ),
};
