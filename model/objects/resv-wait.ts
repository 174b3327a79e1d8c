/**
 * Waits for the fences of a reservation: an iteration without the lock that waits at each fence, one after the other
 * (drivers/dma-buf/dma-resv.c; R-31..R-33).
 */
import { type KernelObject, type KernelState, type Wait, instruction, returns, stay } from '../machine.ts';
import { might_sleep } from './context.ts';
import { PAST, fencesWait } from './fence.ts';
import { armFirst } from './fence-callback.ts';
import { mightWait } from './fence-wait.ts';
import { cursorOf, endWalk, frameOf, spelled, walkSlots } from './resv-iter.ts';
import { type Usage, matches, onResv, resvRow, standing } from './resv.ts';
import { newer } from './version.ts';

/** The wait that is under way in this frame; one at a time. */
const WAIT = 'dma_resv_wait';
interface Waiting {
  readonly how: Partial<Wait>;
  readonly ends: Readonly<Record<string, string>>;
}
/** How long there is, and how the wait may end: for ever, until a signal, for a time, or not at all. */
const KINDS = {
  forever: { how: {}, ends: {} },
  interruptible: { how: { interruptible: 'interrupted' }, ends: { interrupted: '-ERESTARTSYS' } },
  'a while': { how: { bounded: 'times out' }, ends: { 'times out': '-EBUSY' } },
  'a while, interruptible': {
    how: { bounded: 'times out', interruptible: 'interrupted' },
    ends: { 'times out': '-EBUSY', interrupted: '-ERESTARTSYS' },
  },
  HZ: { how: { bounded: 'times out' }, ends: { '': '1', 'times out': '0' } },
  '0': { how: {}, ends: { '': '1' } },
} as const satisfies Record<string, Waiting>;
/** Older kernels give each fence a jiffy when there is no time at all (R-32). */
const waiting = (kernel: KernelState, kind: Kind): Waiting =>
  KINDS[kind === '0' && !newer(kernel, 'resv_wait_zero_timeout') ? 'HZ' : kind];

/** One fence after the other, each asked to signal when it is its turn (R-31): begin, go on, or end. */
function waitStep(
  kernel: KernelState,
  me: string,
  { resv, usage, kind }: { resv: string; usage: Usage; kind: Kind },
  outcome: string,
): void {
  might_sleep(kernel, me, 'dma_resv_wait_timeout');
  const { vars } = frameOf(kernel, me);
  const before = cursorOf(kernel, me, WAIT);
  const end = (ret: string): void => {
    delete vars[WAIT];
    endWalk(kernel, me, resv);
    returns(kernel, me, ret);
  };
  const { ends } = waiting(kernel, kind);
  if (outcome !== '') return end(ends[outcome] ?? '0');
  if (!before) sayWait(kernel, me, resv, usage);
  else if (armFirst(kernel, me, [before.fence])) return;
  else if (onlyPolls(kernel, kind) && standing(kernel, before.fence)) return end('0');
  const found = walkSlots(kernel, me, resv, usage, before);
  if (!found) return end(ends[''] ?? '0');
  vars[WAIT] = spelled(found.cursor);
  if (armFirst(kernel, me, [found.cursor.fence])) return;
  if (onlyPolls(kernel, kind)) return end('0');
  stay(kernel, me);
}
/** To lockdep this waits for whatever stands there, signalled or not: the next time it may not be. */
function sayWait(kernel: KernelState, me: string, resv: string, usage: Usage): void {
  const slots = resvRow(kernel, resv).fences.filter((slot) => slot.fence !== PAST && matches(usage, slot));
  const fences = slots.map(({ fence }) => fence);
  if (fences.length > 0) mightWait(kernel, me, fences, 'dma_resv_wait_timeout');
}
const onlyPolls = (kernel: KernelState, kind: Kind): boolean => kind === '0' && newer(kernel, 'resv_wait_zero_timeout');

type Kind = keyof typeof KINDS;
const waitOp = (opName: string, kind: Kind) =>
  instruction(
    opName,
    (resv: string, usage: Usage, timeout?: '0' | 'HZ') =>
      ({ resv, usage, timeout }) as { resv: string; usage: Usage; timeout?: '0' | 'HZ' },
    {
      text: ({ resv, usage, timeout }) =>
        `${opName}(${resv}->resv, ${usage}${timeout === undefined ? '' : `, ${timeout}`})`,
      touches: onResv,
      waits: (kernel, me, { timeout }) => {
        const at = cursorOf(kernel, me, WAIT);
        return at && !onlyPolls(kernel, timeout ?? kind) && standing(kernel, at.fence)
          ? fencesWait(kernel, [at.fence], waiting(kernel, timeout ?? kind).how)
          : undefined;
      },
      run: (kernel, me, { resv, usage, timeout }, outcome) =>
        waitStep(kernel, me, { resv, usage, kind: timeout ?? kind }, outcome),
    },
  );
/**
 * Wait for every fence of this usage and stronger that stands there; no lock needed, holding the lock is allowed (R-31,
 * L-22). Fences that come while it waits may be missed (R-33).
 */
export const dma_resv_wait = waitOp('dma_resv_wait', 'forever');
export const dma_resv_wait_interruptible = waitOp('dma_resv_wait_interruptible', 'interruptible');
/**
 * The same, but it gives up after a time. With a timeout ret is the kernel's: '0', or the time left, '1'; a timeout of 0
 * only looks, and may sleep all the same (R-31, R-32). Without one ret is what drivers make of it: '-EBUSY', or '0'.
 */
export const dma_resv_wait_timeout = waitOp('dma_resv_wait_timeout', 'a while');
export const dma_resv_wait_timeout_interruptible = waitOp(
  'dma_resv_wait_timeout_interruptible',
  'a while, interruptible',
);

export const resvWait: KernelObject = {
  ops: [dma_resv_wait, dma_resv_wait_interruptible, dma_resv_wait_timeout, dma_resv_wait_timeout_interruptible],
};
