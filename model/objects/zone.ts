/**
 * Free pages, counted, for the designs whose argument is about how many there are (mm/page_alloc.c; A2.4, A2.5, A7).
 *
 * Elsewhere memory is not counted: any allocation may find it short (memory.ts). Here an ordinary allocation stops at the
 * reserve and must reclaim; only a task that reclaims already may go below, and when nothing is left it fails. What
 * is copied to shmem is still in memory, as a dirty page, until it has been written to the swap device (A7.3).
 */
import { type KernelObject, type KernelState, type ThreadSpec, instruction, note, returns } from '../machine.ts';
import { type Kept, constant, int, table } from '../schema.ts';
import { forever } from './flow.ts';

const MOST_PAGES = 15;
const fields = {
  zones: table({
    free: int(MOST_PAGES),
    /** Pages that only a task that reclaims may take. */
    reserve: constant<number>(0),
    /** Pages of shmem that are still to be written to the swap device. */
    dirty: int(MOST_PAGES),
  }),
};
type ZoneRow = Kept<typeof fields>['zones'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
const rowOf = (kernel: KernelState, zone: string): ZoneRow => kernel.zones[zone] as ZoneRow;
const onZone = ({ zone }: { zone: string }): [['zones', string]] => [['zones', zone]];

/** Take a page; `memalloc` is PF_MEMALLOC: down to the last one. ret '0' or '-ENOMEM', without reclaim. */
export const alloc_page = instruction('alloc_page', (zone: string, flags: '' | 'memalloc' = '') => ({ zone, flags }), {
  text: ({ flags }) => `alloc_page(${flags === '' ? 'GFP_KERNEL' : 'PF_MEMALLOC'})`,
  touches: onZone,
  run: (kernel, me, { zone, flags }) => {
    const row = rowOf(kernel, zone);
    if (row.free <= (flags === '' ? row.reserve : 0)) return returns(kernel, me, '-ENOMEM');
    row.free -= 1;
    returns(kernel, me, '0');
  },
});
/** Keeps ret. */
export const free_page = instruction('free_page', (zone: string) => ({ zone }), {
  text: () => 'free_page()',
  touches: onZone,
  run: (kernel, _me, { zone }) => {
    rowOf(kernel, zone).free += 1;
  },
});
/** A page of shmem has what it shall keep, and waits for the swap device. Keeps ret. */
export const set_page_dirty = instruction('set_page_dirty', (zone: string) => ({ zone }), {
  text: () => 'set_page_dirty()',
  touches: onZone,
  run: (kernel, _me, { zone }) => {
    rowOf(kernel, zone).dirty += 1;
  },
});
const write_page = instruction('write_page', (zone: string) => ({ zone }), {
  text: () => 'swap_writepage()',
  waits: (kernel, _me, { zone }) =>
    rowOf(kernel, zone).dirty === 0
      ? { on: 'dirty page', object: zone, owedBy: [], because: 'no page is dirty', idle: true }
      : undefined,
  touches: onZone,
  run: (kernel, me, { zone }) => {
    const row = rowOf(kernel, zone);
    row.dirty -= 1;
    row.free += 1;
    note(kernel, me, { kind: 'progress', what: 'a page is on the swap device' });
  },
});
/** Writes dirty pages out and frees them, as long as there are any. */
export const writeback = (zone: string): ThreadSpec => ({
  kind: 'kernel',
  begins: 'must',
  program: [forever([write_page(zone)])],
});

export const zone: KernelObject = {
  schema: fields,
  one: { memory: undefined },
  ops: [alloc_page, free_page, set_page_dirty, write_page],
};
