/** ww_mutex: the calls, for mutexes of any class (kernel/locking/mutex.c; ww-ticket.ts and ww-lock.ts have the rules). */
import { type KernelObject, type KernelState, instruction } from '../machine.ts';
import {
  type Context,
  type Taking,
  interruptible,
  lockStep,
  lockWait,
  slowPath,
  tryStep,
  unlockStep,
} from './ww-lock.ts';
import { RESERVATION } from './ww-ticket.ts';

const taking = (kernel: KernelState, lock: string, ctx: Context): Taking => {
  const of = kernel.ww_mutexes[lock]?.class ?? '';
  const classes = Object.keys(kernel.ww_classes).filter((each) => each !== RESERVATION);
  if (!classes.includes(of))
    throw new Error(`the ww_mutex ${lock} needs a class; there are: ${classes.join(', ') || 'none'}`);
  return { lock, class: of, ctx };
};
const shown = (ctx: Context): string => (ctx === 'ticket' ? '&ticket' : 'NULL');
const onLock = ({ lock }: { lock: string }): [['ww_mutexes', string]] => [['ww_mutexes', lock]];

/** Lock: ret '0', '-EALREADY', or '-EDEADLK' when this transaction must back off (W-10..W-16); without a ticket, '0'. */
export const ww_mutex_lock = instruction('ww_mutex_lock', (lock: string, ctx: Context) => ({ lock, ctx }), {
  text: ({ lock, ctx }) => `ww_mutex_lock(&${lock}, ${shown(ctx)})`,
  strong: true,
  touches: onLock,
  waits: (kernel, me, { lock, ctx }) => lockWait(kernel, me, taking(kernel, lock, ctx), 'ww_mutex'),
  run: (kernel, me, { lock, ctx }) => lockStep(kernel, me, taking(kernel, lock, ctx), 'ww_mutex_lock', ''),
});
/** The same, but a signal to the process ends the wait: ret '-EINTR' (W-16). */
export const ww_mutex_lock_interruptible = instruction(
  'ww_mutex_lock_interruptible',
  (lock: string, ctx: Context) => ({ lock, ctx }),
  {
    text: ({ lock, ctx }) => `ww_mutex_lock_interruptible(&${lock}, ${shown(ctx)})`,
    strong: true,
    touches: onLock,
    waits: (kernel, me, { lock, ctx }) => interruptible(lockWait(kernel, me, taking(kernel, lock, ctx), 'ww_mutex')),
    run: (kernel, me, { lock, ctx }, outcome) =>
      lockStep(kernel, me, taking(kernel, lock, ctx), 'ww_mutex_lock_interruptible', outcome),
  },
);
/** After -EDEADLK, and holding nothing, it cannot die: wait for the contended lock (W-24, W-25). */
export const ww_mutex_lock_slow = instruction('ww_mutex_lock_slow', (lock: string) => ({ lock }), {
  text: ({ lock }) => `ww_mutex_lock_slow(&${lock}, &ticket)`,
  strong: true,
  touches: onLock,
  waits: (kernel, me, { lock }) => lockWait(kernel, me, taking(kernel, lock, 'ticket'), 'ww_mutex'),
  run: (kernel, me, { lock }) => {
    slowPath(kernel, me, taking(kernel, lock, 'ticket'));
    lockStep(kernel, me, taking(kernel, lock, 'ticket'), 'ww_mutex_lock_slow', '');
  },
});
/** Take it if it is free: ret '1' or '0'; knows no deadlock (W-22). */
export const ww_mutex_trylock = instruction('ww_mutex_trylock', (lock: string, ctx: Context) => ({ lock, ctx }), {
  text: ({ lock, ctx }) => `ww_mutex_trylock(&${lock}, ${shown(ctx)})`,
  touches: onLock,
  run: (kernel, me, { lock, ctx }) => tryStep(kernel, me, taking(kernel, lock, ctx)),
});
export const ww_mutex_unlock = instruction('ww_mutex_unlock', (lock: string) => ({ lock }), {
  text: ({ lock }) => `ww_mutex_unlock(&${lock})`,
  touches: onLock,
  run: (kernel, me, { lock }) => {
    unlockStep(kernel, me, taking(kernel, lock, 'NULL').class, lock, lock);
  },
});

export const wwMutex: KernelObject = {
  ops: [ww_mutex_lock, ww_mutex_lock_interruptible, ww_mutex_lock_slow, ww_mutex_trylock, ww_mutex_unlock],
  leftovers: (kernel) =>
    Object.entries(kernel.ww_mutexes).flatMap(([each, { owner }]) =>
      owner === null ? [] : [`${owner} still holds ${each}`],
    ),
};
