/**
 * Timers: interrupts (or delayed work) that come by themselves, later (kernel/time/timer.c; CTX-S).
 *
 * Time is patient unless the search says otherwise: a timer fires only when nothing else can move. That models
 * timeouts that are long against everything else; it does not model a timeout set too short.
 */
import { type Block, type KernelObject, type KernelState, type ThreadSpec, instruction, note } from '../machine.ts';
import { type Kept, flag, table } from '../schema.ts';
import { atomic_enter, atomic_exit, might_sleep } from './context.ts';
import { forever, handler } from './flow.ts';
import { cancel_work_sync, queue_work } from './work.ts';

const fields = { timers: table({ armed: flag, running: flag }) };
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type TimerRow = Kept<typeof fields>['timers'][string];
const rowOf = (kernel: KernelState, timer: string): TimerRow => kernel.timers[timer] as TimerRow;
const onTimer = ({ timer }: { timer: string }): [['timers', string]] => [['timers', timer]];

/** Start the timer, or start it again. */
export const mod_timer = instruction('mod_timer', (timer: string) => ({ timer }), {
  text: ({ timer }) => `mod_timer(&${timer})`,
  touches: onTimer,
  run: (kernel, _me, { timer }) => {
    rowOf(kernel, timer).armed = true;
  },
});
/** Stop the timer without waiting for a handler that already runs. */
export const del_timer = instruction('del_timer', (timer: string) => ({ timer }), {
  text: ({ timer }) => `del_timer(&${timer})`,
  touches: onTimer,
  run: (kernel, _me, { timer }) => {
    rowOf(kernel, timer).armed = false;
  },
});
/** Stop the timer and wait for its handler. */
export const del_timer_sync = instruction('del_timer_sync', (timer: string) => ({ timer }), {
  text: ({ timer }) => `del_timer_sync(&${timer})`,
  touches: onTimer,
  waits: (kernel, _me, { timer }) =>
    rowOf(kernel, timer).running
      ? { on: 'timer', object: timer, owedBy: [timer], because: `the handler of ${timer} is running` }
      : undefined,
  run: (kernel, me, { timer }) => {
    might_sleep(kernel, me, `del_timer_sync(&${timer})`);
    rowOf(kernel, timer).armed = false;
  },
});

const timer_fires = instruction('timer_fires', (timer: string) => ({ timer }), {
  text: ({ timer }) => `${timer} fires`,
  time: true,
  waits: (kernel, _me, { timer }) =>
    rowOf(kernel, timer).armed
      ? undefined
      : { on: 'timer', object: timer, owedBy: [], because: `${timer} is not armed`, idle: true },
  run: (kernel, _me, { timer }) => {
    rowOf(kernel, timer).armed = false;
    rowOf(kernel, timer).running = true;
  },
});
const timer_done = instruction('timer_done', (timer: string) => ({ timer }), {
  text: ({ timer }) => `/* ${timer} is over */`,
  run: (kernel, me, { timer }) => {
    rowOf(kernel, timer).running = false;
    const thread = kernel.threads[me] as { ret: string; frames: { vars: Record<string, string> }[] };
    thread.ret = '0';
    (thread.frames[0] as { vars: Record<string, string> }).vars = { me };
    note(kernel, me, { kind: 'progress', what: `${timer} is over` });
  },
});

/** A timer handler: runs in interrupt context, may not sleep. */
export const timer = (body: Block): ThreadSpec => ({
  kind: 'timer',
  begins: 'must',
  program: [
    forever([timer_fires('$me'), atomic_enter('a timer'), handler(body), atomic_exit('a timer'), timer_done('$me')]),
  ],
  rows: (me) => ({ timers: { [me]: {} } }),
});
/** Delayed work: fires like a timer, then runs as a kernel worker that may sleep (the scheduler's TDR, HC-1). */
export const delayed_work = (body: Block): ThreadSpec => ({
  kind: 'timer',
  begins: 'must',
  program: [forever([timer_fires('$me'), handler(body), timer_done('$me')])],
  rows: (me) => ({ timers: { [me]: {} } }),
});

/**
 * The same on a queue: a timer that only queues the item. queue_delayed_work and mod_delayed_work start the timer; both
 * ways to stop it are needed, for it may have fired already (kernel/workqueue.c).
 */
export const delayed_work_timer = (item: string): ThreadSpec => timer([queue_work(item)]);
export const queue_delayed_work = (of: string): Block => [mod_timer(of)];
export const cancel_delayed_work_sync = (of: string, item: string): Block => [
  del_timer_sync(of),
  cancel_work_sync(item),
];

export const timerObject: KernelObject = {
  schema: fields,
  ops: [mod_timer, del_timer, del_timer_sync, timer_fires, timer_done],
};
