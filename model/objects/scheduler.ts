/**
 * drm_gpu_scheduler in brief: one entity's queue of jobs in front of a ring (drivers/gpu/drm/scheduler/; rules C1..C4).
 *
 * For designs that ask in which order jobs run, what they wait for, and who owes them. Whoever needs several entities,
 * jobs that are freed, timeouts or teardown declares drm_sched_init (sched.ts) instead; a test holds the two together.
 *
 * A job is called by its finished fence. From the push on the worker owes that fence. It takes the first job as soon
 * as what the job depends on is over and the hardware has credits left (C3.2, C3.3, C3.5), and calls run_job on its
 * own stack. The free-job work is folded into job_done: a credit that comes back lets the worker go on (C4.4).
 */
import {
  type Instruction,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, table, whole } from '../schema.ts';
import { armFirst } from './fence-callback.ts';
import { fenceRow, fencesWait, passPromise, signalFence } from './fence.ts';
import { forever } from './flow.ts';
import { push_job } from './sched-job.ts';

/** A job that waits for its turn: the fences it depends on, and what run_job is told besides `$job`. */
export interface QueuedJob {
  readonly job: string;
  readonly deps: readonly string[];
  readonly vars: Readonly<Record<string, string>>;
}
const fields = {
  scheds: table({
    /** The driver's ops->run_job: a routine of the design. */
    run_job: fixedName('routines'),
    credit_limit: constant<number>(1),
    queue: whole<readonly QueuedJob[]>([]),
    /** Jobs given to the hardware: each holds one credit until it is done. */
    pending_list: whole<readonly string[]>([]),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type SchedRow = Kept<typeof fields>['scheds'][string];
const rowOf = (kernel: KernelState, sched: string): SchedRow => kernel.scheds[sched] as SchedRow;
const onSched = ({ sched, job }: { sched: string; job: string }): [['scheds', string], ['fences', string]] => [
  ['scheds', sched],
  ['fences', job],
];

const push_in_brief = instruction(
  'drm_sched_entity_push_job',
  (sched: string, job: string, options: { deps?: readonly string[]; vars?: Record<string, string> } = {}) => ({
    sched,
    job,
    deps: options.deps ?? [],
    vars: options.vars ?? {},
  }),
  {
    text: ({ job }) => `drm_sched_entity_push_job(${job})`,
    touches: onSched,
    run: (kernel, _me, { sched, job, deps, vars }) => {
      rowOf(kernel, sched).queue = [...rowOf(kernel, sched).queue, { job, deps, vars }];
      passPromise(kernel, job, sched);
    },
  },
);
/**
 * Give the job to the scheduler: cannot fail, and from here the worker owes the finished fence (C2.4, C2.8). In brief the
 * scheduler is named, and what the job depends on; otherwise the job is one that drm_sched_job_arm armed.
 */
export function drm_sched_entity_push_job(job: string): Instruction;
export function drm_sched_entity_push_job(
  sched: string,
  job: string,
  options?: { deps?: readonly string[]; vars?: Record<string, string> },
): Instruction;
export function drm_sched_entity_push_job(
  first: string,
  job?: string,
  options?: { deps?: readonly string[]; vars?: Record<string, string> },
): Instruction {
  return job === undefined ? push_job(first) : push_in_brief(first, job, options);
}

/** The worker's own wait: idle without a job, then for the job's dependencies, then for a credit. */
const drm_sched_run_job_work = instruction('drm_sched_run_job_work', (sched: string) => ({ sched }), {
  text: ({ sched }) => `drm_sched_run_job_work(${sched})`,
  waits: (kernel, _me, { sched }) => {
    const { queue, pending_list, credit_limit } = rowOf(kernel, sched);
    const first = queue[0];
    if (!first) return { on: 'work', object: sched, owedBy: [], because: `${sched} has no job`, idle: true };
    const dependency = fencesWait(kernel, first.deps);
    if (dependency) return dependency;
    if (pending_list.length < credit_limit) return undefined;
    const debtors = pending_list.map((job) => fenceRow(kernel, job).promisedBy).filter((by) => by !== null);
    return {
      on: 'credits',
      object: `credits of ${sched}`,
      owedBy: [...new Set(debtors)].sort(),
      any: true,
      because: `${pending_list.join(', ')} holds the last credit of ${sched}`,
    };
  },
  run: (kernel, me, { sched }) => {
    const row = rowOf(kernel, sched);
    const [first, ...rest] = row.queue as readonly [QueuedJob, ...QueuedJob[]];
    if (armFirst(kernel, me, first.deps)) return;
    row.queue = rest;
    row.pending_list = [...row.pending_list, first.job];
    pushCall(kernel, me, row.run_job, { ...first.vars, job: first.job });
  },
});
const drm_sched_run_job_done = instruction('drm_sched_run_job_done', (sched: string) => ({ sched }), {
  text: ({ sched }) => `/* ${sched} looks for the next job */`,
  local: true,
  run: (kernel, me) => {
    returns(kernel, me, '0');
    note(kernel, me, { kind: 'progress', what: 'run_job returned' });
  },
});

/** The hardware is done with the job: its credit comes back, its finished fence signals (C4.1). Any context. */
export const drm_sched_job_done = instruction('drm_sched_job_done', (sched: string, job: string) => ({ sched, job }), {
  text: ({ job }) => `drm_sched_job_done(${job})`,
  touches: onSched,
  run: (kernel, me, { sched, job }) => {
    const row = rowOf(kernel, sched);
    if (!row.pending_list.includes(job))
      complain(kernel, me, 'C4.1', `${me} ends ${job}, which ${sched} has not started`);
    row.pending_list = row.pending_list.filter((each) => each !== job);
    signalFence(kernel, me, job);
  },
});

/** A scheduler with its worker; `run_job` names the driver's routine, which gets `$job` and the job's variables. */
export const drm_gpu_scheduler = (run_job: string, options: { credit_limit?: number } = {}): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([drm_sched_run_job_work('$me'), drm_sched_run_job_done('$me')])],
  rows: (me) => ({ scheds: { [me]: { run_job, credit_limit: options.credit_limit ?? 1 } } }),
});

export const scheduler: KernelObject = {
  schema: fields,
  ops: [push_in_brief, drm_sched_run_job_work, drm_sched_run_job_done, drm_sched_job_done],
  leftovers: (kernel) =>
    Object.entries(kernel.scheds).flatMap(([each, { queue, pending_list }]) => [
      ...queue.map(({ job }) => `${job} is still queued on ${each}`),
      ...pending_list.map((job) => `${job} still holds a credit of ${each}`),
    ]),
};
