/**
 * Who gives way when memory is short: the buffer that memory management has chosen, and whether an idle one would have
 * done (E1.3; dri-devel 2019-07-02).
 *
 * A process that fills its own queues is stopped so that one of its buffers can go. Whether that was worth it is decided
 * when the buffer is chosen, by what is true then, not by what memory management can know: a buffer that nobody uses
 * costs nothing. Only buffers with a row here are judged.
 */
import { type KernelObject, type KernelState, instruction } from '../machine.ts';
import { type Kept, table, whole } from '../schema.ts';
import { busyWith } from './buffer.ts';
import { resvOf } from './ttm.ts';

const fields = {
  evictions: table({
    /** Nobody wants its memory: null. Chosen: the buffers that were idle then and would have done. */
    instead: whole<readonly string[] | null>(null),
  }),
};
type EvictionRow = Kept<typeof fields>['evictions'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
const rowOf = (kernel: KernelState, bo: string): EvictionRow => kernel.evictions[bo] as EvictionRow;
const onEviction = ({ bo }: { bo: string }): [['evictions', string]] => [['evictions', bo]];

/** Nobody works with it, nobody has it locked, and no process that runs may use it. */
function idle(kernel: KernelState, bo: string): boolean {
  const locked = (kernel.resvs[resvOf(kernel, bo)]?.owner ?? null) !== null;
  if (locked || busyWith(kernel, bo).length > 0) return false;
  return !Object.values(kernel.user_queues).some(({ mapped, uses }) => mapped && uses.includes(bo));
}
/** Memory management has chosen this buffer: its memory is needed elsewhere. */
export const evict_begin = instruction('evict_begin', (bo: string) => ({ bo }), {
  text: ({ bo }) => `/* the memory of ${bo} is wanted */`,
  touches: onEviction,
  run: (kernel, _me, { bo }) => {
    const others = Object.keys(kernel.evictions).filter(
      (other) =>
        other !== bo && rowOf(kernel, other).instead === null && kernel.bos[other]?.place === kernel.bos[bo]?.place,
    );
    rowOf(kernel, bo).instead = others.filter((other) => idle(kernel, other));
  },
});
/** It has moved, or it stays. */
export const evict_end = instruction('evict_end', (bo: string) => ({ bo }), {
  text: ({ bo }) => `/* the memory of ${bo} is not wanted any more */`,
  touches: onEviction,
  run: (kernel, _me, { bo }) => {
    rowOf(kernel, bo).instead = null;
  },
});

/** Why it was no use to stop the process that has these buffers, or nothing; nothing either when none of them is judged. */
export function stoppedInVain(kernel: KernelState, buffers: readonly string[]): string | null {
  if (!buffers.some((bo) => kernel.evictions[bo])) return null;
  const chosen = buffers.filter((bo) => (kernel.evictions[bo]?.instead ?? null) !== null);
  if (chosen.length === 0) return `nobody wants the memory of ${buffers.join(' or ')}`;
  if (chosen.some((bo) => rowOf(kernel, bo).instead?.length === 0)) return null;
  const instead = chosen.flatMap((bo) => rowOf(kernel, bo).instead ?? []);
  return `${[...new Set(instead)].join(' or ')} was idle and would have done instead of ${chosen.join(' and ')}`;
}

export const eviction: KernelObject = { schema: fields, ops: [evict_begin, evict_end] };
