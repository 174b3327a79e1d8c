/**
 * An entity at run time and at its end: priority, schedulers, flush, kill, fini
 * (drivers/gpu/drm/scheduler/sched_entity.c; rules C6.1..C6.5).
 *
 * The jobs of a killed entity end one after another, each behind the one before it and behind its own dependencies, so
 * that no memory is let go while earlier work may still use it. A thread of the entity's own does that.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { might_sleep } from './context.ts';
import { armFirst, dma_fence_remove_callback, removeCallback } from './fence-callback.ts';
import { call_hook } from './fence-lock.ts';
import { PAST, fencesWait, passPromise, pending, signalFence } from './fence.ts';
import { forever } from './flow.ts';
import { type Priority, entityRow, jobOf, jobRow, scheduled, schedulerRow } from './sched.ts';
import { leaveRq } from './sched-job.ts';
import { finishes } from './sched-work.ts';

const onEntity = ({ entity }: { entity: string }): [['sched_entities', string]] => [['sched_entities', entity]];

/** From the next choice of a run queue on (C6.5). */
export const drm_sched_entity_set_priority = instruction(
  'drm_sched_entity_set_priority',
  (entity: string, priority: Priority) => ({ entity, priority }),
  {
    text: ({ entity, priority }) => `drm_sched_entity_set_priority(${entity}, ${priority})`,
    touches: onEntity,
    run: (kernel, _me, { entity, priority }) => {
      entityRow(kernel, entity).priority = priority;
    },
  },
);
/** Other schedulers, from the next choice of a run queue on (C6.5). */
export const drm_sched_entity_modify_sched = instruction(
  'drm_sched_entity_modify_sched',
  (entity: string, sched_list: readonly string[]) => ({ entity, sched_list }),
  {
    text: ({ entity, sched_list }) => `drm_sched_entity_modify_sched(${entity}, { ${sched_list.join(', ')} })`,
    touches: ({ entity, sched_list }) => [
      ['sched_entities', entity],
      ...sched_list.map((sched) => ['gpu_schedulers', sched] as const),
    ],
    run: (kernel, _me, { entity, sched_list }) => {
      entityRow(kernel, entity).sched_list = sched_list;
    },
  },
);

/** How a file is closed: by a live process, at the end of one, or because it was killed (C6.1). */
export type Closing = 'close' | 'exit' | 'killed';
const flush_wait = instruction('drm_sched_entity_flush_wait', (entity: string, how: Closing) => ({ entity, how }), {
  text: ({ entity }) => `drm_sched_entity_flush(${entity})`,
  touches: onEntity,
  waits: (kernel, _me, { entity, how }) => {
    const { job_queue, rq, stopped } = entityRow(kernel, entity);
    const [first] = job_queue;
    if (first === undefined || stopped || rq === null || !schedulerRow(kernel, rq.sched).entities.includes(entity))
      return undefined;
    const end = how === 'close' ? { interruptible: 'killed' } : { bounded: 'times out' };
    return { on: 'entity', object: entity, owedBy: [rq.sched], because: `${rq.sched} has yet to run ${first}`, ...end };
  },
  run: (kernel, me, { entity }, outcome) => {
    might_sleep(kernel, me, `drm_sched_entity_flush(${entity})`);
    returns(kernel, me, outcome === '' ? '0' : outcome === 'killed' ? '-ERESTARTSYS' : '-ETIME');
  },
});
/** Wait until every job has left the queue, at file close; a killed process then kills what is left (C6.1). */
export const drm_sched_entity_flush = (entity: string, how: Closing = 'close'): Block => [
  flush_wait(entity, how),
  how === 'killed' ? drm_sched_entity_kill(entity) : [],
];

const entity_stops = instruction('entity_stops', (entity: string) => ({ entity }), {
  text: ({ entity }) => `${entity}->stopped = true`,
  touches: onEntity,
  run: (kernel, _me, { entity }) => {
    entityRow(kernel, entity).stopped = true;
    leaveRq(kernel, entity);
  },
});
const queue_killed = instruction('queue_killed', (entity: string) => ({ entity }), {
  text: ({ entity }) => `drm_sched_entity_kill(${entity})`,
  touches: onEntity,
  waits: (kernel, _me, { entity }): Wait | undefined => {
    const sched = entityRow(kernel, entity).rq?.sched;
    if (sched === undefined || schedulerRow(kernel, sched).running !== entity) return undefined;
    return { on: 'entity_idle', object: entity, owedBy: [sched], because: `${sched} is in the middle of ${entity}` };
  },
  run: (kernel, me, { entity }) => {
    might_sleep(kernel, me, `drm_sched_entity_kill(${entity})`);
    const row = entityRow(kernel, entity);
    if (row.job_queue.length === 0) return;
    if (row.kill_work === '')
      throw new Error(`${entity} is killed with jobs: declare a thread drm_sched_entity_kill_work('${entity}')`);
    for (const job of row.job_queue) {
      const sched = schedulerRow(kernel, jobRow(kernel, job).sched);
      sched.submitted = sched.submitted.filter((each) => each !== job);
      jobRow(kernel, job).life = 'killed';
      for (const fence of [scheduled(job), job]) passPromise(kernel, fence, row.kill_work);
    }
    row.killed = [...row.killed, ...row.job_queue];
    row.job_queue = [];
  },
});
/** No job of it runs any more; those in the queue end with -ESRCH, in order (C6.2). */
export const drm_sched_entity_kill = (entity: string): Block => [entity_stops(entity), queue_killed(entity)];

/** What the first of the killed jobs must wait for: the job before it, and its dependencies until they are finished. */
function behind(kernel: KernelState, entity: string): string[] {
  const { killed, last_scheduled } = entityRow(kernel, entity);
  const { dependencies } = jobRow(kernel, killed[0] as string);
  const before = last_scheduled === '' ? [] : [last_scheduled];
  const of = dependencies.flatMap((fence) => (fence === PAST ? [] : [jobOf(kernel, fence) ?? fence]));
  return [...before, ...of].filter((fence) => pending(kernel, fence));
}
const kill_jobs_work = instruction('kill_jobs_work', (entity: string) => ({ entity }), {
  text: ({ entity }) => `drm_sched_entity_kill_jobs_work(${entity})`,
  waits: (kernel, _me, { entity }) => {
    if (entityRow(kernel, entity).killed.length === 0)
      return { on: 'work', object: entity, owedBy: [], because: `${entity} has no killed job`, idle: true };
    return fencesWait(kernel, behind(kernel, entity));
  },
  run: (kernel, me, { entity }) => {
    if (armFirst(kernel, me, behind(kernel, entity))) return;
    const row = entityRow(kernel, entity);
    const [job, ...rest] = row.killed as readonly [string, ...string[]];
    row.killed = rest;
    const { sched, vars } = jobRow(kernel, job);
    pushCall(kernel, me, 'drm_sched_kill_job', { ...vars, hook: schedulerRow(kernel, sched).free_job, sched, job });
    signalFence(kernel, me, scheduled(job));
  },
});
const finishes_killed = instruction('finishes_killed', (job: string) => ({ job }), {
  text: ({ job }) => `drm_sched_fence_finished(${job}, -ESRCH)`,
  run: (kernel, me, { job }) => finishes(kernel, me, job, '-ESRCH'),
});
const kill_jobs_over = instruction('kill_jobs_over', (entity: string) => ({ entity }), {
  text: ({ entity }) => `/* a killed job of ${entity} is over */`,
  local: true,
  run: (kernel, me, { entity }) => note(kernel, me, { kind: 'progress', what: `a killed job of ${entity} is over` }),
});
/** The work that ends the jobs of an entity that is killed, one at a time; the entity must be declared too. */
export const drm_sched_entity_kill_work = (entity: string): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([kill_jobs_work(entity), kill_jobs_over(entity)])],
  rows: (me) => ({ sched_entities: { [entity]: { kill_work: me } } }),
});

const drops_dependency = instruction('drops_dependency', (entity: string) => ({ entity }), {
  text: ({ entity }) => `drm_sched_entity_fini(${entity})`,
  touches: onEntity,
  waits: (kernel, me, { entity }) => {
    const { dependency: fence } = entityRow(kernel, entity);
    return fence === '' ? undefined : dma_fence_remove_callback.op.waits?.(kernel, me, { fence, ...wakeup(entity) });
  },
  run: (kernel, me, { entity }) => {
    const row = entityRow(kernel, entity);
    if (row.dependency !== '') removeCallback(kernel, row.dependency, wakeup(entity));
    row.dependency = '';
    returns(kernel, me, '0');
  },
});
const wakeup = (entity: string) => ({ routine: 'drm_sched_entity_wakeup', vars: { entity } });
/** Nobody looks at the entity any more: what is left in it is killed (C6.4). */
export const drm_sched_entity_fini = (entity: string): Block => [
  drm_sched_entity_kill(entity),
  drops_dependency(entity),
];
/** Flush, then fini. */
export const drm_sched_entity_destroy = (entity: string, how: Closing = 'close'): Block => [
  drm_sched_entity_flush(entity, how),
  drm_sched_entity_fini(entity),
];

export const schedEntity: KernelObject = {
  ops: [
    drm_sched_entity_set_priority,
    drm_sched_entity_modify_sched,
    flush_wait,
    entity_stops,
    queue_killed,
    kill_jobs_work,
    finishes_killed,
    kill_jobs_over,
    drops_dependency,
  ],
  routines: { drm_sched_kill_job: [finishes_killed('$job'), call_hook('$hook')] },
};
