/**
 * The works of a scheduler on its ordered queue: choose an entity and run its first job, or free the first pending job
 * when it is over (drivers/gpu/drm/scheduler/sched_main.c, sched_entity.c; rules C3, C4).
 *
 * One thread does both, since they never overlap (C1.2): a free_job that waits holds up every run_job behind it (C4.4,
 * C30). When it cannot go on it says for whom it waits, as if it were asleep in the queue.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  complain,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { addCallback, dma_fence_add_callback } from './fence-callback.ts';
import { call_hook } from './fence-lock.ts';
import { answering } from './fence-signal.ts';
import { PAST, contextOf, fenceRow, pending, signalFence } from './fence.ts';
import { forever, quietly_if_ret, return_, set } from './flow.ts';
import { cancelTimeout, entityRow, jobOf, jobRow, scheduled, schedulerRow, startTimeout } from './sched.ts';
import { followParent, forgetJob } from './sched-job.ts';
import { firstJob, selection, toFree, workWait } from './sched-select.ts';

/** One round of the queue: free_job for the first pending job, or run_job for the first job of an entity (C3.1..C3.8). */
export const drm_sched_submit_work = instruction('drm_sched_submit_work', (sched: string) => ({ sched }), {
  text: ({ sched }) => `process_one_work(${sched}->submit_wq)`,
  waits: (kernel, _me, { sched }) => workWait(kernel, sched),
  outcomes: (kernel, _me, { sched }) => {
    const { policy } = schedulerRow(kernel, sched);
    const { picks } = selection(kernel, sched);
    return [
      ...(toFree(kernel, sched) ? ['free_job'] : []),
      ...picks.map((entity) => (policy === 'fair' ? `run_job of ${entity}` : 'run_job')),
    ];
  },
  run: (kernel, me, { sched }, outcome) => {
    if (outcome === 'free_job') {
      freesFirst(kernel, me, sched);
      return;
    }
    const { picks } = selection(kernel, sched);
    const entity = (picks.find((each) => outcome === `run_job of ${each}`) ?? picks[0]) as string;
    const row = schedulerRow(kernel, sched);
    const { rq } = entityRow(kernel, entity);
    row.running = entity;
    if (row.policy === 'rr' && rq) row.current_entity = { ...row.current_entity, [rq.priority]: entity };
    popsJob(kernel, me, sched, entity);
  },
});
/** This round is over: whoever waits for the works goes on. */
export const drm_sched_work_over = instruction('drm_sched_work_over', (sched: string) => ({ sched }), {
  text: ({ sched }) => `/* ${sched} looks for the next work */`,
  local: true,
  run: (kernel, me, { sched }) => {
    schedulerRow(kernel, sched).running = '';
    returns(kernel, me, '0');
    note(kernel, me, { kind: 'progress', what: 'a work of the scheduler is done' });
  },
});

function freesFirst(kernel: KernelState, me: string, sched: string): void {
  const row = schedulerRow(kernel, sched);
  const [job, ...rest] = row.pending_list as readonly [string, ...string[]];
  row.running = 'free_job';
  row.pending_list = rest;
  cancelTimeout(kernel, sched);
  startTimeout(kernel, sched);
  freeJob(kernel, me, sched, job);
}
/** ops->free_job, with all that the driver's hooks are told. */
export function freeJob(kernel: KernelState, me: string, sched: string, job: string): void {
  pushCall(kernel, me, schedulerRow(kernel, sched).free_job, { ...jobRow(kernel, job).vars, sched, job });
}

/** Work through the dependencies; one that is not over ends the round, and its callback begins the next one (C3.5). */
function popsJob(kernel: KernelState, me: string, sched: string, entity: string): void {
  const job = firstJob(kernel, entity);
  const row = jobRow(kernel, job);
  for (;;) {
    const fence = row.dependencies[row.last_dependency];
    if (fence === undefined) break;
    row.last_dependency += 1;
    if (fence !== PAST && waitsFor(kernel, me, sched, entity, fence)) return;
  }
  const { prepare_job } = schedulerRow(kernel, sched);
  if (prepare_job === '') beginsJob(kernel, me, sched, entity);
  else pushCall(kernel, me, 'drm_sched_prepare_job', { ...row.vars, hook: prepare_job, sched, entity, job });
}
/** Wait for this fence by callback; nothing to wait for when it is the entity's own, or over (C3.5). */
function waitsFor(kernel: KernelState, me: string, sched: string, entity: string, fence: string): boolean {
  if (contextOf(kernel, fence) === `${entity}.scheduled` || contextOf(kernel, fence) === `${entity}.finished`)
    return false;
  const job = jobOf(kernel, fence);
  const pipelined =
    job !== undefined &&
    jobRow(kernel, job).sched === sched &&
    !jobRow(kernel, job).dont_pipeline &&
    fenceRow(kernel, fence).error === null;
  const until = pipelined ? scheduled(job) : fence;
  if (!pending(kernel, until)) return false;
  entityRow(kernel, entity).dependency = until;
  addCallback(kernel, me, until, { routine: 'drm_sched_entity_wakeup', vars: { entity } });
  return true;
}
const entity_wakes = instruction('entity_wakes', (entity: string) => ({ entity }), {
  text: ({ entity }) => `drm_sched_entity_wakeup(${entity})`,
  local: true,
  run: (kernel, _me, { entity }) => {
    entityRow(kernel, entity).dependency = '';
  },
});
/** What ops->prepare_job says: one fence more, or 'NULL', then the job runs. */
const prepared = instruction('prepared', (sched: string, entity: string, fence: string) => ({ sched, entity, fence }), {
  text: ({ fence }) => `/* prepare_job says ${fence} */`,
  run: (kernel, me, { sched, entity, fence }) => {
    if (fence === 'NULL') beginsJob(kernel, me, sched, entity);
    else if (!(fence in kernel.fences)) complain(kernel, me, 'C3.5', `prepare_job returns ${fence}, which is no fence`);
    else if (!waitsFor(kernel, me, sched, entity, fence)) popsJob(kernel, me, sched, entity);
  },
});

/** The job leaves the queue, takes its credits, and is pending before run_job is called (C3.6..C3.8). */
function beginsJob(kernel: KernelState, me: string, sched: string, entity: string): void {
  const from = entityRow(kernel, entity);
  const job = firstJob(kernel, entity);
  const row = jobRow(kernel, job);
  const to = schedulerRow(kernel, sched);
  if (from.guilty) fenceRow(kernel, job).error = '-ECANCELED';
  from.last_scheduled = job;
  from.job_queue = from.job_queue.slice(1);
  to.submitted = to.submitted.filter((each) => each !== job);
  if (row.credits > to.credit_limit) {
    complain(kernel, me, 'C3.3', `${job} wants more credits than ${sched} has`);
    row.credits = to.credit_limit;
  }
  to.credit_count += row.credits;
  to.pending_list = [...to.pending_list, job];
  row.life = 'pending';
  startTimeout(kernel, sched);
  note(kernel, me, { kind: 'jobRuns', sched, entity, job });
  pushCall(kernel, me, 'drm_sched_run_job', { ...row.vars, hook: to.run_job, sched, job });
}

/** What run_job returned: a fence, NULL, or an error; the scheduled fence signals. Ret '1' when there is a fence (C3.10). */
const drm_sched_fence_scheduled = instruction(
  'drm_sched_fence_scheduled',
  (sched: string, job: string, parent: string) => ({ sched, job, parent }),
  {
    text: ({ job, parent }) => `drm_sched_fence_scheduled(${job}, ${parent})`,
    run: (kernel, me, { sched, job, parent }) => {
      const isFence = setsParent(kernel, me, job, parent);
      // The entity is idle, though the work is not over: who kills the entity goes on, who stops the scheduler waits.
      schedulerRow(kernel, sched).running = 'run_job';
      answering(kernel, me, isFence ? '1' : '0', () => signalFence(kernel, me, scheduled(job)));
    },
  },
);
/** Keep the hardware fence; false when there is none. */
export function setsParent(kernel: KernelState, me: string, job: string, parent: string): boolean {
  const isFence = kernel.fences[parent]?.initialised === true;
  if (!isFence && parent !== 'NULL' && !parent.startsWith('-E'))
    complain(kernel, me, 'C3.9', `run_job returns ${parent}: no fence, no error, not NULL`);
  jobRow(kernel, job).parent = isFence ? parent : '';
  if (isFence) followParent(kernel, job);
  return isFence;
}
/** The hardware is done with the job, or there is nothing to wait for: credits come back, the finished fence signals (C4.1). */
export const drm_sched_job_ends = instruction(
  'drm_sched_job_ends',
  (job: string, result: string, otherwise: string) => ({ job, result, otherwise }),
  {
    text: ({ job, result }) => `drm_sched_job_done(${job}, ${result})`,
    touches: ({ job }) => [['sched_jobs', job]],
    run: (kernel, me, { job, result, otherwise }) => {
      const row = jobRow(kernel, job);
      if (row.life !== 'pending') {
        complain(kernel, me, 'S-C3', `${me} ends ${job}, which is ${row.life}`);
        return;
      }
      schedulerRow(kernel, row.sched).credit_count -= row.credits;
      const said = result in kernel.fences ? fenceRow(kernel, result).error : result;
      finishes(kernel, me, job, [said, otherwise].find((error) => error?.startsWith('-E')) ?? null);
    },
  },
);
export function finishes(kernel: KernelState, me: string, job: string, error: string | null): void {
  forgetJob(kernel, job);
  jobRow(kernel, job).life = 'done';
  if (error !== null) fenceRow(kernel, job).error = error;
  if (pending(kernel, scheduled(job))) complain(kernel, me, 'S-C8', `${job} is finished before it was scheduled`);
  signalFence(kernel, me, job);
}
/** Watch the hardware fence `$parent` of `$job`; when it is over already the job ends here, with its error or `errno`. */
export const watch = (errno: string): Block => [
  dma_fence_add_callback('$parent', 'drm_sched_job_done_cb', { job: '$job', parent: '$parent' }),
  quietly_if_ret('0', [return_('0')]),
  drm_sched_job_ends('$job', '$parent', errno),
];

export interface BackendOps {
  readonly run_job: string;
  readonly prepare_job?: string;
  /** When left out: drm_sched_job_cleanup and nothing else. */
  readonly free_job?: string;
  readonly timedout_job?: string;
  readonly cancel_job?: string;
}
export interface SchedulerOptions {
  readonly credit_limit?: number;
  readonly policy?: 'fifo' | 'rr' | 'fair';
  readonly hang_limit?: number;
  /** The thread made by drm_sched_tdr. */
  readonly work_tdr?: string;
}
/** A scheduler: the thread that does its run-job and free-job work; `ops` are routines of the driver. */
export const drm_sched_init = (ops: BackendOps, options: SchedulerOptions = {}): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([drm_sched_submit_work('$me'), drm_sched_work_over('$me')])],
  rows: (me) => ({ gpu_schedulers: { [me]: { free_job: 'free_job_cleans_up', ...ops, ...options } } }),
});

export const schedWork: KernelObject = {
  ops: [
    drm_sched_submit_work,
    drm_sched_work_over,
    entity_wakes,
    prepared,
    drm_sched_fence_scheduled,
    drm_sched_job_ends,
  ],
  routines: {
    drm_sched_entity_wakeup: [entity_wakes('$entity')],
    drm_sched_prepare_job: [call_hook('$hook'), set('answer', 'ret'), prepared('$sched', '$entity', '$answer')],
    drm_sched_run_job: [
      call_hook('$hook'),
      set('parent', 'ret'),
      drm_sched_fence_scheduled('$sched', '$job', '$parent'),
      quietly_if_ret('1', [watch('0'), return_('0')]),
      drm_sched_job_ends('$job', '$parent', '0'),
    ],
    drm_sched_job_done_cb: [drm_sched_job_ends('$job', '$parent', '0')],
  },
};
