/**
 * When a job takes too long: the timeout work, and stopping and starting a scheduler around a reset
 * (drivers/gpu/drm/scheduler/sched_main.c; rules C5.1..C5.10, HC-1..HC-6).
 *
 * The handler owes every fence that it recovers, so the rules of the signalling path are its rules (HC-2). What a hung
 * ring owes it owes from the moment at which the timeout fires; whoever stops a scheduler owes all that hung on it.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type ThreadSpec,
  type Wait,
  complain,
  instruction,
  pushCall,
  returns,
} from '../machine.ts';
import { might_sleep } from './context.ts';
import { dma_fence_remove_callback, removeCallback } from './fence-callback.ts';
import { call_hook } from './fence-lock.ts';
import { dma_fence_wait } from './fence-wait.ts';
import { fenceRow, pending } from './fence.ts';
import { call, if_var, quietly_if_ret, return_, set } from './flow.ts';
import { cancelTimeout, entityRow, jobRow, schedulerRow, startTimeout } from './sched.ts';
import { followParent, owesJob } from './sched-job.ts';
import { drm_sched_job_ends, freeJob, setsParent, watch } from './sched-work.ts';
import { delayed_work } from './timer.ts';

const onSched = ({ sched }: { sched: string }): [['gpu_schedulers', string]] => [['gpu_schedulers', sched]];

/** The timeout work of a scheduler, which names it as its `work_tdr`. */
export const drm_sched_tdr = (sched: string): ThreadSpec => delayed_work([call('drm_sched_job_timedout', { sched })]);

/** Take the first pending job off the list, so that nobody frees it meanwhile: ret is the job, or 'NULL' (C5.2, C5.4). */
const takes_timed_out = instruction('takes_timed_out', (sched: string) => ({ sched }), {
  text: ({ sched }) => `list_del(first of ${sched}->pending_list)`,
  run: (kernel, me, { sched }) => {
    const row = schedulerRow(kernel, sched);
    const [job, ...rest] = row.pending_list;
    for (const each of row.pending_list) recovers(kernel, me, each);
    row.pending_list = rest;
    returns(kernel, me, job ?? 'NULL');
  },
});
/** A ring that hangs owes nothing any more: whoever recovers it does. */
function recovers(kernel: KernelState, me: string, job: string): void {
  const by = fenceRow(kernel, job).promisedBy;
  if (by === null || !kernel.rings[by]?.hung) return;
  const { parent } = jobRow(kernel, job);
  for (const fence of parent === '' ? [job] : [job, parent]) owesJob(kernel, fence, me);
}
const calls_timedout_job = instruction('calls_timedout_job', (sched: string, job: string) => ({ sched, job }), {
  text: ({ sched, job }) => `${sched}->ops->timedout_job(${job})`,
  local: true,
  run: (kernel, me, { sched, job }) =>
    pushCall(kernel, me, schedulerRow(kernel, sched).timedout_job, { ...jobRow(kernel, job).vars, sched, job }),
});
export const STATUSES = ['RESET', 'NO_HANG', 'ENODEV'] as const;
/** What becomes of the job and of the timeout, by what the handler said (C5.2, C5.3, HC-5). */
const timeout_ends = instruction(
  'timeout_ends',
  (sched: string, job: string, status: string) => ({ sched, job, status }),
  {
    text: ({ sched, status }) => `/* the timeout of ${sched} ends: ${status} */`,
    run: (kernel, me, { sched, job, status }) => {
      const row = schedulerRow(kernel, sched);
      if (!STATUSES.some((each) => each === status))
        complain(kernel, me, 'C5.2', `timedout_job says ${status}; it can say: ${STATUSES.join(', ')}`);
      if (status === 'NO_HANG') {
        if (row.pending_list.includes(job) || jobRow(kernel, job).life === 'none')
          complain(kernel, me, 'C5.3', `timedout_job says NO_HANG, and has recovered ${job} already`);
        else row.pending_list = [job, ...row.pending_list];
        if (jobRow(kernel, job).parent !== '') followParent(kernel, job);
      }
      if (status !== 'ENODEV') startTimeout(kernel, sched);
      if (!row.free_guilty) return;
      row.free_guilty = false;
      freeJob(kernel, me, sched, job);
    },
  },
);

const pauses = instruction('pauses', (sched: string) => ({ sched }), {
  text: ({ sched }) => `${sched}->pause_submit = true`,
  touches: onSched,
  run: (kernel, me, { sched }) => {
    schedulerRow(kernel, sched).pause_submit = me;
  },
});
/** Why the works are not over: the worker is in the middle of one. */
export function worksWait(kernel: KernelState, sched: string): Wait | undefined {
  const { running } = schedulerRow(kernel, sched);
  if (running === '') return undefined;
  return { on: 'work', object: sched, owedBy: [sched], because: `${sched} is in the middle of ${running}` };
}
const works_cancelled = instruction('works_cancelled', (sched: string) => ({ sched }), {
  text: ({ sched }) => `cancel_work_sync(the works of ${sched})`,
  touches: onSched,
  waits: (kernel, _me, { sched }) => worksWait(kernel, sched),
  run: (kernel, me, { sched }) => might_sleep(kernel, me, `drm_sched_wqueue_stop(${sched})`),
});
/** No run_job and no free_job from here on, and none under way; never from one of them (C5.6, C31). */
export const drm_sched_wqueue_stop = (sched: string): Block => [pauses(sched), works_cancelled(sched)];
/** The works go on. */
export const drm_sched_wqueue_start = instruction('drm_sched_wqueue_start', (sched: string) => ({ sched }), {
  text: ({ sched }) => `drm_sched_wqueue_start(${sched})`,
  touches: onSched,
  run: (kernel, _me, { sched }) => {
    schedulerRow(kernel, sched).pause_submit = null;
  },
});

const done_cb = (job: string, parent: string) => ({ routine: 'drm_sched_job_done_cb', vars: { job, parent } });
/** Take the callbacks off the hardware fences; what is over leaves the list to be freed (C5.6). */
const detaches = instruction('detaches', (sched: string, bad: string) => ({ sched, bad }), {
  text: ({ sched, bad }) => `drm_sched_stop(${sched}, ${bad})`,
  touches: ({ sched, bad }) => [['gpu_schedulers', sched], ...(bad === 'NULL' ? [] : [['sched_jobs', bad] as const])],
  waits: (kernel, me, { sched, bad }) => {
    for (const job of withBad(kernel, sched, bad)) {
      const { parent: fence } = jobRow(kernel, job);
      const { routine, vars } = done_cb(job, fence);
      const wait =
        fence === '' ? undefined : dma_fence_remove_callback.op.waits?.(kernel, me, { fence, routine, vars });
      if (wait) return wait;
    }
    return undefined;
  },
  run: (kernel, me, { sched, bad }) => {
    const row = schedulerRow(kernel, sched);
    const over: string[] = [];
    row.pending_list = withBad(kernel, sched, bad).filter((job) => {
      const stays = detach(kernel, me, job);
      if (!stays) over.push(job);
      return stays;
    });
    cancelTimeout(kernel, sched);
    // The last of the list is freed first: it is the last that is pushed.
    for (const job of over)
      if (job === bad) row.free_guilty = true;
      else
        pushCall(kernel, me, 'drm_sched_free_stopped', { ...jobRow(kernel, job).vars, hook: row.free_job, sched, job });
  },
});
function withBad(kernel: KernelState, sched: string, bad: string): readonly string[] {
  const { pending_list } = schedulerRow(kernel, sched);
  const ours = bad !== 'NULL' && jobRow(kernel, bad).sched === sched && !pending_list.includes(bad);
  return ours ? [bad, ...pending_list] : pending_list;
}
function detach(kernel: KernelState, me: string, job: string): boolean {
  const row = jobRow(kernel, job);
  if (row.parent === '' || !removeCallback(kernel, row.parent, done_cb(job, row.parent))) return false;
  row.parent = '';
  row.life = 'detached';
  schedulerRow(kernel, row.sched).credit_count -= row.credits;
  owesJob(kernel, job, me);
  return true;
}
/**
 * Stop a scheduler for recovery: the works stop, pending jobs are taken off their hardware fences and give their credits
 * back, jobs that are over are freed; `bad` goes back to the head of the list. 'NULL' when no job is to blame.
 */
export const drm_sched_stop = (sched: string, bad = 'NULL'): Block => [
  drm_sched_wqueue_stop(sched),
  detaches(sched, bad),
];

/** Each pending job takes its credits again, and is watched again, or ends (C5.7). */
const restarts = instruction('restarts', (sched: string, errno: string) => ({ sched, errno }), {
  text: ({ sched, errno }) => `drm_sched_start(${sched}, ${errno})`,
  touches: onSched,
  run: (kernel, me, { sched, errno }) => {
    const row = schedulerRow(kernel, sched);
    if (row.pause_submit === null) complain(kernel, me, 'C5.7', `${me} starts ${sched}, which is not stopped`);
    for (const job of row.pending_list.toReversed()) {
      const each = jobRow(kernel, job);
      if (each.life !== 'detached') {
        if (pending(kernel, job)) complain(kernel, me, 'S-C2', `${job} takes its credits of ${sched} twice`);
        continue;
      }
      each.life = 'pending';
      row.credit_count += each.credits;
      pushCall(kernel, me, 'drm_sched_watch_again', { job, parent: each.parent || 'NULL', errno });
    }
  },
});
const restarted = instruction('restarted', (sched: string) => ({ sched }), {
  text: () => '',
  local: true,
  run: (kernel, me, { sched }) => {
    startTimeout(kernel, sched);
    returns(kernel, me, '0');
  },
});
/** Start it again: jobs without a hardware fence end with `errno`, or '-ECANCELED' when that is '0' (C5.7). */
export const drm_sched_start = (sched: string, errno = '0'): Block => [
  restarts(sched, errno),
  restarted(sched),
  drm_sched_wqueue_start(sched),
];

/** Deprecated: run_job once more for every pending job, in the context of whoever recovers (C5.8, HC-6). */
export const drm_sched_resubmit_jobs = instruction('drm_sched_resubmit_jobs', (sched: string) => ({ sched }), {
  text: ({ sched }) => `drm_sched_resubmit_jobs(${sched})`,
  touches: onSched,
  run: (kernel, me, { sched }) => {
    const { pending_list, run_job, hang_limit } = schedulerRow(kernel, sched);
    const guilty = pending_list.find((job) => jobRow(kernel, job).karma > hang_limit);
    const condemned = guilty === undefined ? '' : jobRow(kernel, guilty).entity;
    for (const job of pending_list.toReversed()) {
      const row = jobRow(kernel, job);
      if (row.entity === condemned) fenceRow(kernel, job).error = '-ECANCELED';
      pushCall(kernel, me, 'drm_sched_resubmit_job', { ...row.vars, hook: run_job, sched, job });
    }
  },
});
const parent_set = instruction('parent_set', (job: string, parent: string) => ({ job, parent }), {
  text: ({ job, parent }) => `${job}->s_fence->parent = ${parent}`,
  run: (kernel, me, { job, parent }) => {
    if (parent.startsWith('-E')) fenceRow(kernel, job).error = parent;
    setsParent(kernel, me, job, parent);
  },
});

/** Blame a job: when its karma is over the limit, its entity is guilty; jobs of the kernel never are (C5.9). */
export const drm_sched_increase_karma = instruction('drm_sched_increase_karma', (job: string) => ({ job }), {
  text: ({ job }) => `drm_sched_increase_karma(${job})`,
  touches: ({ job }) => [['sched_jobs', job]],
  run: (kernel, me, { job }) => {
    const row = jobRow(kernel, job);
    if (row.sched === '') complain(kernel, me, 'C5.9', `${me} blames ${job}, which is ${row.life}`);
    if (row.sched === '' || row.s_priority === 'KERNEL') return;
    const { hang_limit, entities } = schedulerRow(kernel, row.sched);
    row.karma = Math.min(row.karma + 1, hang_limit + 1); // more than too much is not counted
    if (row.karma > hang_limit && entities.includes(row.entity)) entityRow(kernel, row.entity).guilty = true;
  },
});
export const schedTdr: KernelObject = {
  ops: [
    takes_timed_out,
    calls_timedout_job,
    timeout_ends,
    pauses,
    works_cancelled,
    drm_sched_wqueue_start,
    detaches,
    restarts,
    restarted,
    drm_sched_resubmit_jobs,
    parent_set,
    drm_sched_increase_karma,
  ],
  routines: {
    drm_sched_job_timedout: [
      takes_timed_out('$sched'),
      quietly_if_ret('NULL', [return_('0')]),
      set('job', 'ret'),
      calls_timedout_job('$sched', '$job'),
      set('status', 'ret'),
      timeout_ends('$sched', '$job', '$status'),
    ],
    drm_sched_free_stopped: [dma_fence_wait('$job'), call_hook('$hook')],
    drm_sched_watch_again: [
      if_var('parent', 'NULL', [drm_sched_job_ends('$job', '$errno', '-ECANCELED'), return_('0')]),
      watch('$errno'),
    ],
    drm_sched_resubmit_job: [call_hook('$hook'), set('parent', 'ret'), parent_set('$job', '$parent')],
  },
};
