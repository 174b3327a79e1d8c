/**
 * What a GPU scheduler, its entities and their jobs are (include/drm/gpu_scheduler.h; rules C1..C7).
 *
 * A job is called by its finished fence, and its scheduled fence by the job's name and '.scheduled'. The run-job and the
 * free-job work share one ordered queue, so they are one thread that has the scheduler's name (C1.2, sched-work.ts);
 * which of the two is queued is not state: it is queued exactly when there is something for it to do. The timeout work
 * and the work that ends the jobs of a killed entity are threads of their own, declared by who wants them. A design that
 * asks only in which order jobs run, and who owes them, has no use for all this: see scheduler.ts.
 */
import type { KernelObject, KernelState } from '../machine.ts';
import { type Kept, constant, fixedName, flag, maybe, name, oneOf, table, whole } from '../schema.ts';
import { type Rows, together } from './rows.ts';

export const PRIORITIES = ['KERNEL', 'HIGH', 'NORMAL', 'LOW'] as const;
export type Priority = (typeof PRIORITIES)[number];
/** The run queue that an entity's jobs go to: a scheduler, and there the queue of one priority (C1.1). */
export interface Rq {
  readonly sched: string;
  readonly priority: Priority;
}
const fields = {
  gpu_schedulers: table({
    run_job: fixedName('routines'),
    /** Further dependencies, one a call, 'NULL' at last; none when empty (C3.5). */
    prepare_job: fixedName('routines'),
    free_job: fixedName('routines'),
    timedout_job: fixedName('routines'),
    /** What teardown calls for each job that is still pending; without it they leak (C7.2). */
    cancel_job: fixedName('routines'),
    credit_limit: constant<number>(1),
    /** Who is next among ready entities: the one whose job waits longest, each in turn, or, by run time, anyone (C3.2). */
    policy: constant<'fifo' | 'rr' | 'fair'>('fifo'),
    hang_limit: constant<number>(0),
    /** The delayed work behind the timeout; empty when jobs may run for ever (C5.1). */
    work_tdr: fixedName('timers'),
    /** Entities on the run queues, in the order in which they came. */
    entities: whole<readonly string[]>([]),
    /** With 'rr', the entity whose turn it was last, by priority. */
    current_entity: whole<Readonly<Record<string, string>>>({}),
    /** With 'fifo', the queued jobs of all entities in the order of their submission. */
    submitted: whole<readonly string[]>([]),
    /** Jobs given to the hardware and not yet freed. */
    pending_list: whole<readonly string[]>([]),
    credit_count: whole<number>(0),
    /** Who stopped the works (C5.6). */
    pause_submit: maybe(name('threads')),
    /** What the worker is in the middle of: an entity, the rest of run_job once that is idle, or free_job. */
    running: whole<string>(''),
    /** The job that timed out was over when the scheduler was stopped: the timeout work frees it (C5.6). */
    free_guilty: flag,
    torn_down: flag,
  }),
  sched_entities: table({
    /** Schedulers that it may go to (C1.4). */
    sched_list: whole<readonly string[]>([]),
    priority: oneOf(...PRIORITIES),
    rq: whole<Rq | null>(null),
    job_queue: whole<readonly string[]>([]),
    /** Jobs armed and not finished, in the order of their seqno. */
    timeline: whole<readonly string[]>([]),
    /** The fence that the first job of the queue waits for by callback. */
    dependency: whole<string>(''),
    /** Finished fence of the last job that left the queue; empty when that is over. */
    last_scheduled: whole<string>(''),
    stopped: flag,
    guilty: flag,
    /** Jobs of a killed entity that have yet to end, in order, and the thread that ends them (C6.2). */
    killed: whole<readonly string[]>([]),
    kill_work: fixedName('threads'),
  }),
  sched_jobs: table({
    /** What run_job and the other hooks are told besides `$job` and `$sched`. */
    vars: constant<Readonly<Record<string, string>>>({}),
    /** Whoever depends on this job waits until it is finished, on the same scheduler too (C3.5). */
    dont_pipeline: constant<boolean>(false),
    /** How far it has come (C2); `pending` holds its credits, `detached` has given them back when the scheduler stopped. */
    life: oneOf('none', 'init', 'armed', 'queued', 'pending', 'detached', 'killed', 'done'),
    entity: whole<string>(''),
    sched: whole<string>(''),
    s_priority: oneOf(...PRIORITIES),
    credits: whole<number>(0),
    dependencies: whole<readonly string[]>([]),
    last_dependency: whole<number>(0),
    /** The hardware fence that run_job returned. */
    parent: whole<string>(''),
    karma: whole<number>(0),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** The job was handed to run_job. */
    jobRuns: { sched: string; entity: string; job: string };
    /** The job's memory is gone. */
    jobFreed: { job: string };
  }
}
export type SchedulerRow = Kept<typeof fields>['gpu_schedulers'][string];
export type EntityRow = Kept<typeof fields>['sched_entities'][string];
export type JobRow = Kept<typeof fields>['sched_jobs'][string];

export const schedulerRow = (kernel: KernelState, sched: string): SchedulerRow =>
  kernel.gpu_schedulers[sched] as SchedulerRow;
export const entityRow = (kernel: KernelState, entity: string): EntityRow => kernel.sched_entities[entity] as EntityRow;
export const jobRow = (kernel: KernelState, job: string): JobRow => kernel.sched_jobs[job] as JobRow;
export const scheduled = (job: string): string => `${job}.scheduled`;
/** The job behind a scheduled or finished fence, or nothing when it is neither. */
export function jobOf(kernel: KernelState, fence: string): string | undefined {
  if (fence in kernel.sched_jobs) return fence;
  const job = fence.replace(/\.scheduled$/, '');
  return job !== fence && job in kernel.sched_jobs ? job : undefined;
}

/** The timeout runs as long as a job is pending, and begins anew with each job that gets there (C5.1). */
export function startTimeout(kernel: KernelState, sched: string): void {
  const { work_tdr, pending_list } = schedulerRow(kernel, sched);
  if (work_tdr !== '' && pending_list.length > 0) (kernel.timers[work_tdr] as { armed: boolean }).armed = true;
}
export function cancelTimeout(kernel: KernelState, sched: string): void {
  const { work_tdr } = schedulerRow(kernel, sched);
  if (work_tdr !== '') (kernel.timers[work_tdr] as { armed: boolean }).armed = false;
}

/** Rows for an entity that may go to these schedulers. */
export const drm_sched_entity_init = (
  entity: string,
  sched_list: readonly string[],
  priority: Priority = 'NORMAL',
): Rows => ({
  sched_entities: { [entity]: { sched_list, priority, rq: { sched: sched_list[0] as string, priority } } },
});

/** Rows for a job and its two fences; `vars` go to the hooks of the driver. */
export const drm_sched_job = (
  job: string,
  vars: Readonly<Record<string, string>> = {},
  options: { dont_pipeline?: true } = {},
): Rows =>
  together({
    sched_jobs: { [job]: { vars, ...options } },
    fences: { [job]: {}, [scheduled(job)]: {} },
    fence_numbers: { [job]: {}, [scheduled(job)]: {} },
  });

/** Nothing is left when every entity is empty, every job is freed, and nobody forgot a scheduler that he stopped. */
export const schedObject: KernelObject = {
  schema: fields,
  ops: [],
  leftovers: (kernel) => [
    ...Object.entries(kernel.gpu_schedulers).flatMap(([sched, { pause_submit, torn_down }]) =>
      pause_submit === null || torn_down ? [] : [`${sched} is still stopped`],
    ),
    ...Object.entries(kernel.sched_jobs).flatMap(([job, { life }]) =>
      life === 'none' ? [] : [`${job} is ${life === 'done' ? 'over and was never freed' : `still ${life}`}`],
    ),
  ],
};
