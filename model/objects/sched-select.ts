/**
 * Who is next on a scheduler, and why nobody is (drivers/gpu/drm/scheduler/sched_main.c, sched_rq.c; rules C3.1..C3.4).
 *
 * Everything here only looks. The one answer chooses the entity, enables the worker, and names the debtors of a worker
 * that cannot go on.
 */
import type { KernelState, Wait } from '../machine.ts';
import { missing } from './fence-container.ts';
import { fenceRow, owed, pending } from './fence.ts';
import { PRIORITIES, entityRow, jobRow, schedulerRow } from './sched.ts';

const isReady = (kernel: KernelState, entity: string): boolean => {
  const { job_queue, dependency } = entityRow(kernel, entity);
  return job_queue.length > 0 && dependency === '';
};
export const firstJob = (kernel: KernelState, entity: string): string =>
  entityRow(kernel, entity).job_queue[0] as string;
/** A job of more credits than there are counts as all of them, so that it runs at all (C3.3). */
const creditsOf = (kernel: KernelState, sched: string, job: string): number =>
  Math.min(jobRow(kernel, job).credits, schedulerRow(kernel, sched).credit_limit);
const fits = (kernel: KernelState, sched: string, entity: string): boolean => {
  const { credit_count, credit_limit } = schedulerRow(kernel, sched);
  return credit_count + creditsOf(kernel, sched, firstJob(kernel, entity)) <= credit_limit;
};

/**
 * The entities that may be next, by the rules one at most; or the one that is next and lacks credits. That one ends the
 * search, so a large job is not starved by small ones, or by lower priorities (C3.2, C3.3).
 */
export function selection(kernel: KernelState, sched: string): { picks: readonly string[]; lacking?: string } {
  const { policy, entities, submitted, current_entity } = schedulerRow(kernel, sched);
  const ready = entities.filter((entity) => isReady(kernel, entity));
  if (policy === 'fair') {
    const picks = ready.filter((entity) => fits(kernel, sched, entity));
    return picks.length > 0 || ready[0] === undefined ? { picks } : { picks, lacking: ready[0] };
  }
  for (const priority of PRIORITIES) {
    const here = (entity: string): boolean => entityRow(kernel, entity).rq?.priority === priority;
    const among = ready.filter(here);
    if (among.length === 0) continue;
    const all = entities.filter(here);
    const from = all.indexOf(current_entity[priority] ?? '') + 1;
    const turn = (entity: string): number => (all.indexOf(entity) - from + all.length) % all.length;
    const age = (entity: string): number => submitted.indexOf(firstJob(kernel, entity));
    const place = policy === 'rr' ? turn : age;
    const first = among.reduce((best, entity) => (place(entity) < place(best) ? entity : best));
    return fits(kernel, sched, first) ? { picks: [first] } : { picks: [], lacking: first };
  }
  return { picks: [] };
}
export const toFree = (kernel: KernelState, sched: string): boolean => {
  const first = schedulerRow(kernel, sched).pending_list[0];
  return first !== undefined && !pending(kernel, first);
};

/** Why neither work has anything to do: nobody asks for it, or somebody must act first. */
export function workWait(kernel: KernelState, sched: string): Wait | undefined {
  const { pause_submit, entities, pending_list, torn_down } = schedulerRow(kernel, sched);
  if (torn_down) return { on: 'work', object: sched, owedBy: [], because: `${sched} is torn down`, idle: true };
  const queued = entities.filter((entity) => entityRow(kernel, entity).job_queue.length > 0);
  const frees = toFree(kernel, sched);
  if (queued.length === 0 && !frees)
    return { on: 'work', object: sched, owedBy: [], because: `${sched} has no job`, idle: true };
  if (pause_submit !== null)
    return { on: 'scheduler', object: sched, owedBy: [pause_submit], because: `${pause_submit} has stopped ${sched}` };
  if (frees) return undefined;
  const { picks, lacking } = selection(kernel, sched);
  if (picks.length > 0) return undefined;
  if (lacking === undefined) {
    const dependencies = queued.map((entity) => entityRow(kernel, entity).dependency);
    const open = dependencies.flatMap((fence) => (pending(kernel, fence) ? missing(kernel, fence) : [fence]));
    return owed(kernel, dependencies.join(' | '), [...new Set(open)], { any: true });
  }
  const holders = pending_list.filter((job) => pending(kernel, job));
  const debtors = holders.map((job) => fenceRow(kernel, job).promisedBy).filter((by) => by !== null);
  return {
    on: 'credits',
    object: `credits of ${sched}`,
    owedBy: [...new Set(debtors)].sort(),
    any: true,
    because: `${holders.join(', ') || 'nobody'} holds the credits of ${sched} that ${firstJob(kernel, lacking)} needs`,
  };
}
