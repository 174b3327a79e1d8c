/**
 * A job on its way to the scheduler: init, dependencies, arm, push; and cleanup, which ends it
 * (drivers/gpu/drm/scheduler/sched_main.c, sched_entity.c; rules C2.1..C2.10).
 *
 * Arm is the point of no return: it numbers the fences, so they may be published, and from there the job must be pushed.
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { holds } from './context.ts';
import { PAST, contextOf, fenceRow, initialise, passPromise, pending, seqnoOf } from './fence.ts';
import { quietly_if_ret } from './flow.ts';
import { type Gfp } from './gfp.ts';
import { kmalloc } from './memory.ts';
import { type Usage, pendingFences } from './resv.ts';
import { type Rq, entityRow, jobRow, scheduled, schedulerRow } from './sched.ts';

const onJob = ({ job }: { job: string }): [['sched_jobs', string]] => [['sched_jobs', job]];

const job_checks = instruction(
  'job_checks',
  (job: string, entity: string, credits: number) => ({ job, entity, credits }),
  {
    text: ({ job, entity, credits }) => `drm_sched_job_init(${job}, ${entity}, ${credits})`,
    touches: ({ job, entity }) => [
      ['sched_jobs', job],
      ['sched_entities', entity],
    ],
    run: (kernel, me, { job, entity, credits }) => {
      const { life } = jobRow(kernel, job);
      if (life !== 'none') complain(kernel, me, 'C2.1', `${me} initialises ${job}, which is ${life}`);
      returns(kernel, me, entityRow(kernel, entity).rq === null ? '-ENOENT' : credits === 0 ? '-EINVAL' : '0');
    },
  },
);
const job_begins = instruction(
  'job_begins',
  (job: string, entity: string, credits: number) => ({ job, entity, credits }),
  {
    text: () => '',
    local: true,
    run: (kernel, _me, { job, entity, credits }) => {
      clear(kernel, job);
      Object.assign(jobRow(kernel, job), { life: 'init', entity, credits });
    },
  },
);
function clear(kernel: KernelState, job: string): void {
  Object.assign(jobRow(kernel, job), {
    life: 'none',
    entity: '',
    sched: '',
    s_priority: 'KERNEL',
    credits: 0,
    dependencies: [],
    last_dependency: 0,
    parent: '',
    karma: 0,
  });
}
/** Begin a job: ret '0'; '-ENOENT' without a run queue, '-EINVAL' without credits. Allocates, may sleep (C2.1). */
export const drm_sched_job_init = (job: string, entity: string, credits = 1, gfp: Gfp = 'GFP_KERNEL'): Block => [
  job_checks(job, entity, credits),
  quietly_if_ret('0', [kmalloc(gfp, 's_fence'), quietly_if_ret('0', [job_begins(job, entity, credits)])]),
];

/** Of two fences of one timeline only the later one is kept; true when the fence found a place that way (C2.2). */
function deduplicated(kernel: KernelState, job: string, fence: string): boolean {
  const row = jobRow(kernel, job);
  const at = row.dependencies.findIndex(
    (each) => each !== PAST && contextOf(kernel, each) === contextOf(kernel, fence),
  );
  const entry = row.dependencies[at];
  if (entry === undefined) return false;
  if (!pending(kernel, entry) || seqnoOf(kernel, fence) > seqnoOf(kernel, entry))
    row.dependencies = row.dependencies.with(at, fence);
  return true;
}
const dependency_known = instruction(
  'dependency_known',
  (job: string, fences: readonly string[], resv: string, usage: Usage) => ({ job, fences, resv, usage }),
  {
    text: ({ job, fences, resv, usage }) =>
      resv === ''
        ? `drm_sched_job_add_dependency(${job}, ${fences.join(', ')})`
        : `drm_sched_job_add_resv_dependencies(${job}, ${resv}, ${usage})`,
    touches: ({ job, fences, resv }) => [
      ['sched_jobs', job],
      ...fences.filter((fence) => fence !== 'NULL').map((fence) => ['fences', fence] as const),
      ...(resv === '' ? [] : [['resvs', resv] as const]),
    ],
    run: (kernel, me, { job, fences, resv, usage }) => {
      const { life } = jobRow(kernel, job);
      if (life !== 'init') complain(kernel, me, 'C2.2', `${me} adds a dependency to ${job}, which is ${life}`);
      if (resv !== '' && !holds(kernel, me, resv))
        complain(kernel, me, 'C2.3', `${me} collects the fences of ${resv} without its lock`);
      const all = resv === '' ? fences.filter((fence) => fence !== 'NULL') : pendingFences(kernel, resv, usage);
      for (const fence of all)
        if (!fenceRow(kernel, fence).initialised)
          complain(kernel, me, 'F-3', `${me} lets ${job} depend on ${fence} before dma_fence_init`);
      const fresh = all.filter((fence) => !deduplicated(kernel, job, fence));
      returns(kernel, me, fresh.length === 0 ? '0' : 'more');
    },
  },
);
const dependency_stored = instruction(
  'dependency_stored',
  (job: string, fences: readonly string[], resv: string, usage: Usage) => ({ job, fences, resv, usage }),
  {
    text: () => '',
    local: true,
    run: (kernel, me, { job, fences, resv, usage }) => {
      const row = jobRow(kernel, job);
      for (const fence of resv === '' ? fences : pendingFences(kernel, resv, usage))
        if (fence !== 'NULL' && !deduplicated(kernel, job, fence)) row.dependencies = [...row.dependencies, fence];
      returns(kernel, me, '0');
    },
  },
);
const adds = (job: string, fences: readonly string[], resv: string, usage: Usage, gfp: Gfp): Block => [
  dependency_known(job, fences, resv, usage),
  quietly_if_ret('more', [
    kmalloc(gfp, 'dependency'),
    quietly_if_ret('0', [dependency_stored(job, fences, resv, usage)]),
  ]),
];
/** The job runs after this fence: ret '0', or '-ENOMEM'. Only between init and arm; a new timeline allocates (C2.2). */
export const drm_sched_job_add_dependency = (job: string, fence: string, gfp: Gfp = 'GFP_KERNEL'): Block =>
  adds(job, [fence], '', 'BOOKKEEP', gfp);
/** The same for what a reservation holds for this usage; its lock is held (C2.3). */
export const drm_sched_job_add_resv_dependencies = (
  job: string,
  resv: string,
  usage: Usage,
  gfp: Gfp = 'GFP_KERNEL',
): Block => adds(job, [], resv, usage, gfp);

/** Jobs and entities that a scheduler has to look after (drm_sched_pick_best). */
function score(kernel: KernelState, sched: string): number {
  const { entities, pending_list } = schedulerRow(kernel, sched);
  const queued = entities.reduce((sum, entity) => sum + entityRow(kernel, entity).job_queue.length, 0);
  return entities.length + queued + pending_list.filter((job) => jobRow(kernel, job).life === 'pending').length;
}
/** An entity may change its run queue only when nothing of it is on the way (C2.4, C6.5). */
function selectRq(kernel: KernelState, entity: string): void {
  const row = entityRow(kernel, entity);
  if (row.job_queue.length > 0 || row.last_scheduled !== '') return;
  const there = row.sched_list.filter((sched) => !schedulerRow(kernel, sched).torn_down);
  const least = Math.min(...there.map((sched) => score(kernel, sched)));
  const sched = there.length === 1 ? there[0] : there.find((each) => score(kernel, each) === least);
  const rq: Rq | null = sched === undefined ? null : { sched, priority: row.priority };
  if (rq?.sched === row.rq?.sched && rq?.priority === row.rq?.priority) return;
  leaveRq(kernel, entity);
  row.rq = rq;
}
export function leaveRq(kernel: KernelState, entity: string): void {
  const { rq } = entityRow(kernel, entity);
  if (rq === null) return;
  const row = schedulerRow(kernel, rq.sched);
  row.entities = row.entities.filter((each) => each !== entity);
  if (row.current_entity[rq.priority] === entity)
    row.current_entity = Object.fromEntries(
      Object.entries(row.current_entity).filter(([priority]) => priority !== rq.priority),
    );
}

/** Choose the run queue, number the fences, owe them: from here they may be published, and the job must be pushed (C2.4). */
export const drm_sched_job_arm = instruction('drm_sched_job_arm', (job: string) => ({ job }), {
  text: ({ job }) => `drm_sched_job_arm(${job})`,
  touches: onJob,
  run: (kernel, me, { job }) => {
    const row = jobRow(kernel, job);
    if (row.life !== 'init') {
      complain(kernel, me, 'C2.4', `${me} arms ${job}, which is ${row.life}`);
      return;
    }
    selectRq(kernel, row.entity);
    const entity = entityRow(kernel, row.entity);
    if (entity.rq === null) {
      complain(kernel, me, 'C2.4', `${me} arms ${job}, and ${row.entity} has no run queue any more`);
      return;
    }
    const last = entity.timeline.at(-1);
    const seqno = last === undefined ? 1 : seqnoOf(kernel, last) + 1;
    for (const [fence, context] of [
      [scheduled(job), `${row.entity}.scheduled`],
      [job, `${row.entity}.finished`],
    ] as const) {
      initialise(kernel, fence, me);
      Object.assign(kernel.fence_numbers[fence] as object, { context, seqno });
    }
    entity.timeline = [...entity.timeline, job];
    Object.assign(row, { life: 'armed', sched: entity.rq.sched, s_priority: entity.rq.priority });
  },
});

/** Give an armed job to its entity: cannot fail, and from here the scheduler owes its fences (C2.8). */
export const push_job = instruction('push_job', (job: string) => ({ job }), {
  text: ({ job }) => `drm_sched_entity_push_job(${job})`,
  touches: onJob,
  run: (kernel, me, { job }) => {
    const row = jobRow(kernel, job);
    if (row.life !== 'armed') {
      complain(kernel, me, 'C2.8', `${me} pushes ${job}, which is ${row.life}`);
      return;
    }
    const entity = entityRow(kernel, row.entity);
    const older = entity.timeline.slice(0, entity.timeline.indexOf(job));
    const late = older.find((each) => jobRow(kernel, each).life === 'armed');
    if (late !== undefined)
      complain(kernel, me, 'C2.6', `${me} pushes ${job} before ${late}, which was armed before it (S-C5)`);
    if (entity.rq?.sched !== row.sched)
      complain(kernel, me, 'C2.6', `${job} was armed for ${row.sched}, and ${row.entity} has moved since`);
    entity.job_queue = [...entity.job_queue, job];
    row.life = 'queued';
    for (const fence of [scheduled(job), job]) passPromise(kernel, fence, row.sched);
    if (entity.stopped) {
      complain(kernel, me, 'C2.9', `${me} pushes ${job} to ${row.entity}, which is stopped: nobody will serve it`);
      return;
    }
    const sched = schedulerRow(kernel, row.sched);
    if (!sched.entities.includes(row.entity)) sched.entities = [...sched.entities, row.entity];
    if (sched.policy === 'fifo') sched.submitted = [...sched.submitted, job];
  },
});

/** Let go of the job: before it is armed, or when it is over, and once (C2.7, C4.5, S-C4). */
export const drm_sched_job_cleanup = instruction('drm_sched_job_cleanup', (job: string) => ({ job }), {
  text: ({ job }) => `drm_sched_job_cleanup(${job})`,
  touches: onJob,
  run: (kernel, me, { job }) => {
    const { life } = jobRow(kernel, job);
    if (life === 'none') {
      complain(kernel, me, 'S-C4', `${me} frees ${job} a second time`);
      return;
    }
    if (life === 'armed') {
      complain(kernel, me, 'C2.7', `${me} drops ${job} between arm and push`);
      forgetJob(kernel, job);
    } else if (life !== 'init' && life !== 'done') {
      complain(kernel, me, 'S-C4', `${me} frees ${job} before it is finished`);
      return; // whatever still uses its memory goes on as if it were there
    }
    clear(kernel, job);
    note(kernel, me, { kind: 'jobFreed', job });
  },
});

/** The job is over: its finished fence signals, once, and no fence of the job is owed any more (C4.1). */
export function forgetJob(kernel: KernelState, job: string): void {
  const entity = entityRow(kernel, jobRow(kernel, job).entity);
  entity.timeline = entity.timeline.filter((each) => each !== job);
  if (entity.last_scheduled === job) entity.last_scheduled = '';
}
export const owesJob = (kernel: KernelState, job: string, by: string | null): void => {
  if (by !== null) passPromise(kernel, job, by);
};
/** Who owes the hardware fence of a job owes the job. */
export const followParent = (kernel: KernelState, job: string): void =>
  owesJob(kernel, job, fenceRow(kernel, jobRow(kernel, job).parent).promisedBy);

export const schedJob: KernelObject = {
  ops: [
    job_checks,
    job_begins,
    dependency_known,
    dependency_stored,
    drm_sched_job_arm,
    push_job,
    drm_sched_job_cleanup,
  ],
  routines: { free_job_cleans_up: [drm_sched_job_cleanup('$job')] },
};
