/**
 * The end of a scheduler (drivers/gpu/drm/scheduler/sched_main.c, drm_sched_fini; rules C7.1..C7.4, HC-8).
 *
 * Jobs that are still pending are cancelled from the last to the first, if the driver can; otherwise they leak, and
 * whoever waits for them waits for ever. That order is the kernel's: it lets two fences of one entity signal in the
 * wrong order, and the model says so (F-6).
 */
import { type Block, type KernelObject, complain, instruction, pushCall, returns } from '../machine.ts';
import { call_hook } from './fence-lock.ts';
import { entityRow, jobRow, schedulerRow } from './sched.ts';
import { drm_sched_wqueue_stop, worksWait } from './sched-tdr.ts';
import { del_timer_sync } from './timer.ts';

const onSched = ({ sched }: { sched: string }): [['gpu_schedulers', string]] => [['gpu_schedulers', sched]];

const entities_stop = instruction('entities_stop', (sched: string) => ({ sched }), {
  text: ({ sched }) => `/* every entity of ${sched} is stopped */`,
  touches: onSched,
  run: (kernel, _me, { sched }) => {
    for (const entity of schedulerRow(kernel, sched).entities) entityRow(kernel, entity).stopped = true;
  },
});
const timeout_cancelled = instruction('timeout_cancelled', (sched: string) => ({ sched }), {
  text: ({ sched }) => `cancel_delayed_work_sync(the timeout of ${sched})`,
  touches: onSched,
  waits: (kernel, me, { sched }) => {
    const { work_tdr: timer } = schedulerRow(kernel, sched);
    return timer === '' ? undefined : del_timer_sync.op.waits?.(kernel, me, { timer });
  },
  run: (kernel, me, { sched }) => {
    const { work_tdr: timer } = schedulerRow(kernel, sched);
    if (timer !== '') del_timer_sync.op.run(kernel, me, { timer }, '');
  },
});
const cancels = instruction('cancels', (sched: string) => ({ sched }), {
  text: ({ sched }) => `drm_sched_fini(${sched})`,
  touches: onSched,
  run: (kernel, me, { sched }) => {
    const { cancel_job, free_job, pending_list } = schedulerRow(kernel, sched);
    if (cancel_job === '') return;
    // The last of the list is cancelled first: it is the last that is pushed.
    for (const job of pending_list)
      pushCall(kernel, me, 'drm_sched_cancel_job', { ...jobRow(kernel, job).vars, cancel_job, free_job, sched, job });
  },
});
const unlinks = instruction('unlinks', (sched: string, job: string) => ({ sched, job }), {
  text: ({ job }) => `list_del(${job})`,
  local: true,
  run: (kernel, _me, { sched, job }) => {
    const row = schedulerRow(kernel, sched);
    row.pending_list = row.pending_list.filter((each) => each !== job);
  },
});
const torn_down = instruction('torn_down', (sched: string) => ({ sched }), {
  text: ({ sched }) => `destroy_workqueue(${sched}->submit_wq)`,
  touches: onSched,
  waits: (kernel, _me, { sched }) => worksWait(kernel, sched),
  run: (kernel, me, { sched }) => {
    const row = schedulerRow(kernel, sched);
    row.torn_down = true;
    row.entities = [];
    if (row.pending_list.length > 0)
      complain(kernel, me, 'C7.2', `${sched} is torn down while ${row.pending_list.join(', ')} is pending`);
    returns(kernel, me, '0');
  },
});
/** Tear the scheduler down. Before that, nobody pushes any more and the hardware has stopped (C7.3). */
export const drm_sched_fini = (sched: string): Block => [
  drm_sched_wqueue_stop(sched),
  entities_stop(sched),
  timeout_cancelled(sched),
  cancels(sched),
  torn_down(sched),
];

export const schedTeardown: KernelObject = {
  ops: [entities_stop, timeout_cancelled, cancels, unlinks, torn_down],
  routines: {
    drm_sched_cancel_job: [call_hook('$cancel_job'), unlinks('$sched', '$job'), call_hook('$free_job')],
  },
};
