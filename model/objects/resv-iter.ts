/**
 * Iterations over a reservation's fences: with the lock, every slot; without it, every unsignalled one, begun again when
 * the list is replaced meanwhile (drivers/dma-buf/dma-resv.c; R-26..R-29, F-55).
 */
import { type Block, type Frame, type KernelObject, type KernelState, type Thread, instruction } from '../machine.ts';
import { holds } from './context.ts';
import { dma_fence_set_deadline } from './fence-deadline.ts';
import { PAST } from './fence.ts';
import { while_var } from './flow.ts';
import { type Iteration, type ResvFence, type Usage, matches, mustHold, onResv, resvRow, standing } from './resv.ts';

/** Where an iteration is: the slot after the one it is at, and the slots that it saw when it (re)started. */
interface Cursor {
  readonly at: number;
  readonly num: number;
  readonly fence: string;
}
export const frameOf = (kernel: KernelState, me: string): Frame =>
  (kernel.threads[me] as Thread).frames.at(-1) as Frame;
const depthOf = (kernel: KernelState, me: string): number => (kernel.threads[me] as Thread).frames.length;
export function cursorOf(kernel: KernelState, me: string, variable: string): Cursor | undefined {
  const [at, num, fence] = frameOf(kernel, me).vars[variable]?.split(' ') ?? [];
  return fence === undefined ? undefined : { at: Number(at), num: Number(num), fence };
}
const mine =
  (kernel: KernelState, me: string) =>
  (each: Iteration): boolean =>
    each.by === me && each.frame === depthOf(kernel, me);

/**
 * One step of an iteration without the lock: the next unsignalled slot of this usage, or nothing. A list that was
 * replaced meanwhile begins again from its first slot (R-27..R-29). Who holds the lock need not be told of that.
 */
export function walkSlots(
  kernel: KernelState,
  me: string,
  resv: string,
  usage: Usage,
  from: Cursor | undefined,
): { cursor: Cursor; slot: ResvFence; restarted: boolean } | undefined {
  const row = resvRow(kernel, resv);
  const registered = row.iterations.find(mine(kernel, me));
  const restarted = from === undefined || registered?.stale === true;
  const num = restarted ? row.fences.length : Math.min(from.num, row.fences.length);
  const at = row.fences.findIndex(
    (slot, place) =>
      place >= (restarted ? 0 : from.at) && place < num && matches(usage, slot) && standing(kernel, slot.fence),
  );
  const slot = row.fences[at];
  const others = registered ? row.iterations.filter((each) => each !== registered) : row.iterations;
  if (slot && !holds(kernel, me, resv)) {
    if (!registered || registered.stale)
      row.iterations = [...others, { by: me, frame: depthOf(kernel, me), stale: false }].sort((a, b) =>
        a.by === b.by ? a.frame - b.frame : a.by < b.by ? -1 : 1,
      );
  } else if (registered) row.iterations = others;
  return slot && { cursor: { at: at + 1, num, fence: slot.fence }, slot, restarted };
}
/** Leave an iteration early: nobody needs to tell it anything any more (dma_resv_iter_end). */
export function endWalk(kernel: KernelState, me: string, resv: string): void {
  const row = resvRow(kernel, resv);
  if (row.iterations.some(mine(kernel, me))) row.iterations = row.iterations.filter((each) => !mine(kernel, me)(each));
}
export const spelled = ({ at, num, fence }: Cursor): string => `${at} ${num} ${fence}`;

/** Set or clear what the loop body may ask of the slot it is at. */
function setLoop(
  kernel: KernelState,
  me: string,
  variable: string,
  found: { cursor: Cursor; slot: ResvFence; restarted: boolean } | undefined,
): void {
  const { vars } = frameOf(kernel, me);
  if (found) {
    vars[variable] = found.slot.fence;
    vars[`${variable}.usage`] = found.slot.usage;
    vars[`${variable}.restarted`] = String(found.restarted);
    vars[`${variable}.cursor`] = spelled(found.cursor);
  } else for (const name of ['', '.usage', '.restarted', '.cursor']) delete vars[variable + name];
}
const iter_unlocked = instruction(
  'dma_resv_iter_unlocked',
  (resv: string, usage: Usage, variable: string) => ({ resv, usage, variable }),
  {
    text: ({ resv, usage, variable }) => `${variable} = dma_resv_iter_next_unlocked(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, variable }) =>
      setLoop(kernel, me, variable, walkSlots(kernel, me, resv, usage, cursorOf(kernel, me, `${variable}.cursor`))),
  },
);
const iter_locked = instruction(
  'dma_resv_iter_locked',
  (resv: string, usage: Usage, variable: string) => ({ resv, usage, variable }),
  {
    text: ({ resv, usage, variable }) => `${variable} = dma_resv_iter_next(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, variable }) => {
      mustHold(kernel, me, resv, 'dma_resv_for_each_fence', 'R-26');
      const from = cursorOf(kernel, me, `${variable}.cursor`);
      const { fences } = resvRow(kernel, resv);
      const at = fences.findIndex(
        (slot, place) => place >= (from?.at ?? 0) && slot.fence !== PAST && matches(usage, slot),
      );
      const slot = fences[at];
      const cursor = { at: at + 1, num: fences.length, fence: slot?.fence ?? '' };
      setLoop(kernel, me, variable, slot && { cursor, slot, restarted: from === undefined });
    },
  },
);
const loop = (next: Block, variable: string, body: Block): Block => [
  next,
  while_var(`${variable}.restarted`, ['true', 'false'], [body, next]),
];
/**
 * Every slot of this usage and stronger, signalled ones too; the lock must be held all the time. In the body
 * '$fence' is the fence, '$fence.usage' its usage and 'fence.restarted' says 'true' the first time round.
 */
export const dma_resv_for_each_fence = (resv: string, usage: Usage, variable: string, body: Block): Block =>
  loop([iter_locked(resv, usage, variable)], variable, body);
/** Every unsignalled one, without the lock: the body may sleep, and must begin anew when 'fence.restarted' is 'true'. */
export const dma_resv_for_each_fence_unlocked = (resv: string, usage: Usage, variable: string, body: Block): Block =>
  loop([iter_unlocked(resv, usage, variable)], variable, body);
/** Break out of a loop without the lock; forgetting it leaves the iteration open (dma_resv_iter_end). */
export const dma_resv_iter_end = instruction(
  'dma_resv_iter_end',
  (resv: string, variable: string) => ({ resv, variable }),
  {
    text: ({ resv }) => `dma_resv_iter_end(${resv}->resv)`,
    touches: onResv,
    run: (kernel, me, { resv, variable }) => {
      endWalk(kernel, me, resv);
      setLoop(kernel, me, variable, undefined);
    },
  },
);

/** Hand a deadline hint to every unsignalled fence of this usage; no lock needed (F-55). */
export const dma_resv_set_deadline = (resv: string, usage: Usage, deadline: string): Block =>
  dma_resv_for_each_fence_unlocked(resv, usage, 'hinted', [dma_fence_set_deadline('$hinted', deadline)]);

export const resvIter: KernelObject = { ops: [iter_unlocked, iter_locked, dma_resv_iter_end] };
