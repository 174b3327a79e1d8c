/**
 * Engines that several rings and user queues share (drivers/gpu/drm/xe/xe_hw_engine_group.c; E8, PF-3, PF-4).
 *
 * A queue that has run into a page fault and cannot be preempted there occupies its engine until the fault is repaired.
 * A job with a fence behind it then depends on that repair, and the repair may depend on memory, which may depend on
 * the fence. So on such an engine either fences are pending or such queues are on the hardware, never both (E8.8).
 * Hardware that preempts at any moment, an open fault included, may mix them (M-a of PF-4).
 */
import { type KernelObject, type KernelState, complain } from '../machine.ts';
import { table } from '../schema.ts';
import { pending } from './fence.ts';

const fields = {
  /** Named by the rings and queues that run on it; it has no state of its own. */
  engines: table({}),
};
declare module '../machine.ts' {
  interface Slices {
    engines: Record<string, Record<string, never>>;
  }
}

/** Queues of this engine that are on the hardware and cannot be preempted in a fault. */
const stalling = (kernel: KernelState, engine: string): string[] =>
  engine === ''
    ? []
    : Object.keys(kernel.user_queues).filter((queue) => {
        const row = kernel.user_queues[queue];
        return row?.engine === engine && row.fault_buffer !== '' && !row.preempts_on_fault && row.mapped;
      });
/** The queue that stands in a fault on this engine and keeps it, or nothing. */
export const occupiedBy = (kernel: KernelState, engine: string): string | undefined =>
  stalling(kernel, engine).find((queue) => kernel.user_queues[queue]?.faulting !== null);

/** Somebody runs a job with a fence here, or puts a queue on it: are both there now (E8.8)? */
export function engineShared(kernel: KernelState, me: string, engine: string): void {
  const [queue] = stalling(kernel, engine);
  if (queue === undefined) return;
  for (const ring of Object.values(kernel.rings))
    for (const { fence } of ring.engine === engine ? ring.jobs : [])
      if (pending(kernel, fence)) {
        complain(kernel, me, 'E8.8', `${fence} is pending on ${engine} while ${queue} may fault there`);
        return;
      }
}

export const engine: KernelObject = { schema: fields, ops: [] };
