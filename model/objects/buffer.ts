/**
 * Buffer objects: where the contents are, who may still reach the old memory, and what is in it.
 *
 * Contents are a tag, the name of the last writer, not bytes. A buffer has up to three memories: the pages of its tt,
 * VRAM, and the copy in swap; a move says which of them the data went to. The tt has the three states of the 2021
 * discussion: limbo (no pages yet), populated, swapped (drivers/gpu/drm/ttm/ttm_tt.c; B2..B4, B12, B18), and two that
 * came with ttm-tt.ts: none at all, and page by page in backup. A device
 * reaches a buffer through page tables that were made once: it does not notice that the memory behind them is gone.
 */
import { type Block, type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { type Kept, constant, maybe, oneOf, table, whole } from '../schema.ts';
import { poolAlloc, poolFree } from './page-pool.ts';
import { pendingFences } from './resv.ts';
import { PLACES, type Place, complain, isTtm, resvOf, ttPages, ttmRow, usesTt } from './ttm.ts';
import { installResource } from './ttm-resource.ts';

const fields = {
  bos: table({
    /** No place at all is `bo->resource == NULL`: just created, or gutted (B2.1). */
    place: maybe(oneOf(...PLACES)),
    /** 'none' is `bo->ttm == NULL`; 'backed_up': some or all pages are in backup, one by one (B3). */
    tt: oneOf('limbo', 'populated', 'swapped', 'none', 'backed_up'),
    /** Who wrote last what is in the pages; means something only while they are populated. */
    pages: whole<string>('zero'),
    /** The same for the memory of the device, while the buffer is there. */
    vram: whole<string>('zero'),
    /** The copy in swap; kept until the pages have come back (B3.5, B3.6). */
    swap: whole<string | null>(null),
    /** What a reader must find: the last write that was ordered before. */
    expected: whole<string>('zero'),
    /** The memory that the device's page tables point to: 'freed' once it was taken away behind the device's back, 'old'
     * while the buffer is on its way out of it and jobs from before may still use it (B11.1). */
    mapped: maybe(oneOf('pages', 'VRAM', 'freed', 'old')),
    /** New pages are cleared; otherwise they hold what another process left in them (TTM_TT_FLAG_ZERO_ALLOC, B4.2). */
    zero_alloc: constant<boolean>(true),
    /** May work of the device be under way while the buffer is in SYSTEM: i915 and xe say yes, vmwgfx and amdgpu no (B18.6). */
    busy_in_system: constant<boolean>(false),
    size: constant<number>(1),
  }),
};
type BoRow = Kept<typeof fields>['bos'][string];
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
  interface Facts {
    /** Somebody touched the memory of a buffer; `stale` says why it may not have. */
    accesses: { bo: string; by: string; stale: string | null };
    /** Somebody read a buffer, and what it found. */
    reads: { bo: string; by: string; got: string; expected: string };
    /** Placement, resource, tt state and accounting do not fit together. */
    inconsistent: { bo: string; rule: string; what: string };
    /** Pages were allocated for a buffer. */
    populated: { bo: string; pages: number; needless: boolean };
    moved: { bo: string; from: string; to: string };
  }
}
export const boRow = (kernel: KernelState, bo: string): BoRow => kernel.bos[bo] as BoRow;
const onBo = ({ bo }: { bo: string }): [['bos', string]] => [['bos', bo]];
/** Are the contents in memory of the device, not in pages (B5.4)? */
export function onDevice(kernel: KernelState, bo: string): boolean {
  const { place } = boRow(kernel, bo);
  return place !== null && !usesTt(kernel, bo, place);
}

/** Fences on its reservation that have not signalled: somebody still works with the buffer. */
const busyWith = (kernel: KernelState, bo: string): string[] =>
  kernel.resvs[bo] ? pendingFences(kernel, resvOf(kernel, bo), 'BOOKKEEP') : [];
/** New pages are cleared, or hold what another process left in them (B4.2). */
const fresh = (kernel: KernelState, bo: string): string =>
  (isTtm(kernel, bo) ? ttmRow(kernel, bo).zero_alloc : boRow(kernel, bo).zero_alloc) ? 'zero' : 'stale';

/** Why a device that reaches the buffer through its page tables reaches the wrong memory, or nothing. */
export function staleReason(kernel: KernelState, bo: string): string | null {
  const row = boRow(kernel, bo);
  if (row.mapped === null) return `${bo} is not mapped any more`;
  if (row.mapped === 'freed') return `the memory behind its mapping of ${bo} was taken away`;
  if (row.mapped === 'pages' && onDevice(kernel, bo))
    return `${bo} has moved to VRAM and its mapping still leads to the old pages`;
  return null;
}
/** Why the CPU finds nothing there, or nothing. */
const absentReason = (kernel: KernelState, bo: string): string | null => {
  const { tt } = boRow(kernel, bo);
  if (onDevice(kernel, bo) || tt === 'populated') return null;
  return `${bo} has no pages: they are ${tt === 'swapped' ? 'swapped out' : tt === 'backed_up' ? 'in backup' : 'not there yet'}`;
};

/** Map the buffer for the device where it is now. Pages that do not exist cannot be mapped. */
export const device_map = instruction('device_map', (bo: string) => ({ bo }), {
  text: ({ bo }) => `bind(${bo})`,
  touches: onBo,
  run: (kernel, _me, { bo }) => {
    const row = boRow(kernel, bo);
    row.mapped = onDevice(kernel, bo) ? 'VRAM' : row.tt === 'populated' ? 'pages' : 'freed';
  },
});
/** Take the mapping away: a later device access faults instead of reaching old memory. */
export const device_unmap = instruction('device_unmap', (bo: string) => ({ bo }), {
  text: ({ bo }) => `unbind(${bo})`,
  touches: onBo,
  run: (kernel, _me, { bo }) => {
    boRow(kernel, bo).mapped = null;
  },
});
/** Has the driver mapped it, and not unmapped it since? What became of the memory behind, it does not see. ret '1' or '0'. */
export const device_is_mapped = instruction('device_is_mapped', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo} is bound`,
  touches: onBo,
  run: (kernel, me, { bo }) => returns(kernel, me, boRow(kernel, bo).mapped === null ? '0' : '1'),
});

/** The memory that the buffer is in. */
const memory = (kernel: KernelState, bo: string): 'vram' | 'pages' => (onDevice(kernel, bo) ? 'vram' : 'pages');
/** What is in the memory that the device's mapping leads to: the old one, while the buffer is on its way out of it. */
const mappedContents = (kernel: KernelState, bo: string): string => {
  const { mapped, vram, pages } = boRow(kernel, bo);
  return mapped === 'old' ? tagOf(ttmRow(kernel, bo).moving[0] ?? 'stale') : mapped === 'VRAM' ? vram : pages;
};
function writeMapped(kernel: KernelState, bo: string, tag: string): void {
  const row = boRow(kernel, bo);
  const into = (copy: string): string => copy.slice(0, copy.indexOf(':') + 1) + tag;
  if (row.mapped === 'old') ttmRow(kernel, bo).moving = ttmRow(kernel, bo).moving.map(into);
  else row[row.mapped === 'VRAM' ? 'vram' : 'pages'] = tag;
}

/** The device touches the buffer: is it the right memory, and is it the device's to touch (B18.1)? */
function deviceTouches(kernel: KernelState, me: string, bo: string): boolean {
  const { place, busy_in_system } = boRow(kernel, bo);
  const stale = staleReason(kernel, bo);
  note(kernel, me, { kind: 'accesses', bo, by: me, stale });
  if (place === 'SYSTEM' && !busy_in_system)
    complain(
      kernel,
      me,
      bo,
      'B18.1',
      `${me} uses ${bo} while it is in SYSTEM, where TTM may take its pages at any time`,
    );
  return stale === null;
}
/** The device writes through its mapping. A write that went astray was still ordered: readers will miss it. */
export const device_write = instruction('device_write', (bo: string, tag: string) => ({ bo, tag }), {
  text: ({ bo }) => `device writes ${bo}`,
  touches: onBo,
  run: (kernel, me, { bo, tag }) => {
    const row = boRow(kernel, bo);
    const reached = deviceTouches(kernel, me, bo);
    row.expected = tag;
    if (reached) writeMapped(kernel, bo, tag);
  },
});

const read = (kernel: KernelState, me: string, bo: string, got: string): void =>
  note(kernel, me, { kind: 'reads', bo, by: me, got, expected: boRow(kernel, bo).expected });
/** The device reads through its mapping. */
export const device_read = instruction('device_read', (bo: string) => ({ bo }), {
  text: ({ bo }) => `device reads ${bo}`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    if (deviceTouches(kernel, me, bo)) read(kernel, me, bo, mappedContents(kernel, bo));
  },
});
/** The CPU reads the buffer where it is; its fault handler must have brought the pages back before. */
export const cpu_read = instruction('cpu_read', (bo: string) => ({ bo }), {
  text: ({ bo }) => `read(${bo})`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const stale = absentReason(kernel, bo);
    note(kernel, me, { kind: 'accesses', bo, by: me, stale });
    if (stale === null) read(kernel, me, bo, boRow(kernel, bo)[memory(kernel, bo)]);
  },
});
/** The CPU writes the buffer. */
export const cpu_write = instruction('cpu_write', (bo: string, tag: string) => ({ bo, tag }), {
  text: ({ bo }) => `write(${bo})`,
  touches: onBo,
  run: (kernel, me, { bo, tag }) => {
    const row = boRow(kernel, bo);
    const stale = absentReason(kernel, bo);
    note(kernel, me, { kind: 'accesses', bo, by: me, stale });
    row.expected = tag;
    if (stale !== null) return;
    row[memory(kernel, bo)] = tag;
  },
});

/** Which of the three states is the tt in? ret 'limbo', 'populated' or 'swapped' (B3). */
export const ttm_tt_state = instruction('ttm_tt_state', (bo: string) => ({ bo }), {
  text: ({ bo }) => `the state of ${bo}->ttm`,
  touches: onBo,
  run: (kernel, me, { bo }) => returns(kernel, me, boRow(kernel, bo).tt),
});
/** Where is the buffer? ret the place, or 'NULL' when it has no resource (B2.1). */
export const ttm_bo_place = instruction('ttm_bo_place', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->resource->mem_type`,
  touches: onBo,
  run: (kernel, me, { bo }) => returns(kernel, me, boRow(kernel, bo).place ?? 'NULL'),
});

/** The pages of this tt are counted, or not any more; those of others (type sg) are not TTM's to count (B3.2, B19.3). */
export function countPages(kernel: KernelState, bo: string, how: 'more' | 'less'): void {
  const all = kernel.ttm_globals['ttm'];
  if (!all || !isTtm(kernel, bo) || ttmRow(kernel, bo).type === 'sg') return;
  all.pages_allocated += how === 'more' ? ttPages(kernel, bo) : -ttPages(kernel, bo);
}
/** Get all pages at once, from swap with their contents. `needless`: nobody will read what is in them (B4.6). */
export function populate(kernel: KernelState, me: string, bo: string, needless = false): void {
  const row = boRow(kernel, bo);
  if (row.tt === 'populated') return;
  countPages(kernel, bo, 'more');
  poolAlloc(kernel, bo);
  if (isTtm(kernel, bo)) ttmRow(kernel, bo).backed_up = 0;
  Object.assign(row, { pages: row.swap ?? fresh(kernel, bo), swap: null, tt: 'populated' });
  note(kernel, me, { kind: 'populated', bo, pages: row.size, needless });
}
/** Give the buffer pages: limbo gets fresh ones, swapped pages come back with their contents (B3.2, B3.6). ret '-EINVAL' without a tt. */
export const ttm_tt_populate = instruction('ttm_tt_populate', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_populate(${bo}->ttm)`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const { tt } = boRow(kernel, bo);
    if (tt !== 'none') populate(kernel, me, bo);
    returns(kernel, me, tt === 'none' ? '-EINVAL' : '0');
  },
});

/** The pages go back to the pool, whoever still points to them (S-B2). */
export function freePages(kernel: KernelState, me: string, bo: string, tt: 'limbo' | 'swapped' | 'backed_up'): void {
  const row = boRow(kernel, bo);
  const busy = busyWith(kernel, bo);
  if (busy.length > 0)
    complain(kernel, me, bo, 'S-B2', `${me} frees the pages of ${bo} before ${busy.join(' and ')} signalled`);
  if (row.mapped === 'pages') row.mapped = 'freed';
  if (row.tt === 'populated') countPages(kernel, bo, 'less');
  poolFree(kernel, bo);
  Object.assign(row, { tt, pages: 'zero' });
}
/** Give the pages up without a copy: their contents are gone (B3.4). */
export const ttm_tt_unpopulate = instruction('ttm_tt_unpopulate', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_unpopulate(${bo}->ttm)`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    if (boRow(kernel, bo).tt === 'populated') freePages(kernel, me, bo, 'limbo');
  },
});
/** Copy the pages to swap; they are still there, and written to if somebody does not know (B3.5, B12.4). */
function copyToSwap(kernel: KernelState, me: string, bo: string): void {
  const row = boRow(kernel, bo);
  if (row.place !== 'SYSTEM')
    complain(kernel, me, bo, 'B12.3', `${bo} is swapped out although it is in ${row.place ?? 'no place'}`);
  if (row.mapped !== null)
    complain(kernel, me, bo, 'B18.6', `${me} swaps ${bo} out while the device still maps its pages`);
  if (row.tt === 'populated') row.swap = row.pages;
}
export const ttm_tt_swap_copy = instruction('ttm_tt_swap_copy', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_swapout(${bo}->ttm) /* copies the pages */`,
  touches: onBo,
  outcomes: () => ['copied', 'fails'],
  run: (kernel, me, { bo }, outcome) => {
    if (outcome === 'copied') copyToSwap(kernel, me, bo);
    returns(kernel, me, outcome === 'fails' ? '-ENOMEM' : '0');
  },
});
const swap_free = instruction('ttm_tt_swap_free', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_unpopulate(${bo}->ttm) /* and keeps the copy */`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    // A copy that failed was dropped: the pages stay, with their contents.
    const { tt, swap } = boRow(kernel, bo);
    if (tt === 'populated' && swap !== null) freePages(kernel, me, bo, 'swapped');
  },
});
/** Copy the pages out, then free them: what is written in between is lost. ret '0', or '-ENOMEM' and nothing changed (B3.5). */
export const ttm_tt_swapout = (bo: string): Block => [ttm_tt_swap_copy(bo), swap_free(bo)];

/** The buffer is somewhere else from here on; a busy buffer does not become TTM's to swap (B18.6). */
function place(kernel: KernelState, me: string, bo: string, to: Place): void {
  const row = boRow(kernel, bo);
  const busy = busyWith(kernel, bo);
  // Fences from before it was gutted stand for the memory that its ghost has.
  const gutted = isTtm(kernel, bo) && row.place === null;
  if (to === 'SYSTEM' && row.place !== 'SYSTEM' && !gutted && !row.busy_in_system && busy.length > 0)
    complain(kernel, me, bo, 'B18.6', `${me} moves ${bo} to SYSTEM before ${busy.join(' and ')} signalled`);
  note(kernel, me, { kind: 'moved', bo, from: row.place ?? 'NULL', to });
  const was = onDevice(kernel, bo);
  if (was && usesTt(kernel, bo, to)) {
    if (row.mapped === 'VRAM') row.mapped = 'freed';
    row.vram = 'zero';
  }
  // What a buffer finds in memory that it never had is not its own (B4.2).
  if (isTtm(kernel, bo) && row.place === null && !usesTt(kernel, bo, to)) row.vram = 'stale';
  if (isTtm(kernel, bo)) installResource(kernel, me, bo, to);
  else row.place = to;
}
/** Has anybody put something in that a move must keep (B4.1, B4.7)? Pages that are not there hold nothing. */
export const hasContents = (kernel: KernelState, bo: string): boolean => {
  const { tt, swap } = boRow(kernel, bo);
  return !isTtm(kernel, bo) || onDevice(kernel, bo) || tt === 'populated' || swap !== null;
};
/** A copy that the device has yet to do: into which memory, and what. */
const copyOf = (to: 'vram' | 'pages', tag: string): string => `${to}:${tag}`;
const tagOf = (copy: string): string => copy.slice(copy.indexOf(':') + 1);
/**
 * The driver builds the job that will copy the buffer to this place; `device_copy` is what the device does then. Until
 * it has, nothing of the buffer is there, and jobs from before may still change what is copied (B11.1).
 */
export const copy_job_init = instruction('copy_job_init', (bo: string, to: Place) => ({ bo, to }), {
  text: ({ bo, to }) => `job = copy ${bo} to ${to}`,
  touches: onBo,
  run: (kernel, _me, { bo, to }) => {
    const row = boRow(kernel, bo);
    const { moving } = ttmRow(kernel, bo);
    const will = usesTt(kernel, bo, to) ? 'pages' : 'vram';
    const last = moving.at(-1);
    ttmRow(kernel, bo).moving = [...moving, copyOf(will, last === undefined ? row[memory(kernel, bo)] : tagOf(last))];
    if (will !== memory(kernel, bo)) row[will] = 'stale';
  },
});
/** The buffer is in its new place; what still leads to the old one is good until the copy is done. */
export function leaveBehind(kernel: KernelState, bo: string): void {
  const row = boRow(kernel, bo);
  if (row.mapped === 'pages' || row.mapped === 'VRAM')
    row.mapped = ttmRow(kernel, bo).moving.length > 0 ? 'old' : 'freed';
}
/** The copy engine does the oldest copy of this buffer; after the last one, what still maps the old memory is lost. */
export const device_copy = instruction('device_copy', (bo: string) => ({ bo }), {
  text: ({ bo }) => `copy engine moves ${bo}`,
  touches: onBo,
  run: (kernel, _me, { bo }) => {
    const row = boRow(kernel, bo);
    const [first, ...rest] = ttmRow(kernel, bo).moving;
    if (first === undefined) return;
    ttmRow(kernel, bo).moving = rest;
    if (rest.length === 0 && row.mapped === 'old') row.mapped = 'freed';
    row[first.startsWith('vram') ? 'vram' : 'pages'] = tagOf(first);
  },
});
/** Is what must be kept where it goes, too: there is nothing, or somebody copied it before? */
const isThereToo = (kernel: KernelState, bo: string, to: Place): boolean => {
  const row = boRow(kernel, bo);
  const copied = isTtm(kernel, bo) && row[usesTt(kernel, bo, to) ? 'pages' : 'vram'] === row[memory(kernel, bo)];
  return copied || !hasContents(kernel, bo);
};
/** Change only the placement: the same pages serve both, or there was no place before (B2.5, drivers/gpu/drm/ttm/tests/ttm_kunit_helpers.c). */
export const ttm_bo_move_null = instruction('ttm_bo_move_null', (bo: string, to: Place) => ({ bo, to }), {
  text: ({ bo, to }) => `ttm_bo_move_null(${bo}, ${to})`,
  touches: onBo,
  run: (kernel, me, { bo, to }) => {
    const row = boRow(kernel, bo);
    if (row.place !== null && onDevice(kernel, bo) === usesTt(kernel, bo, to) && !isThereToo(kernel, bo, to))
      complain(kernel, me, bo, 'B4.1', `${bo} goes from ${row.place} to ${to} and nobody copies its contents`);
    place(kernel, me, bo, to);
    returns(kernel, me, '0');
  },
});
/** Move with a copy by the CPU: knows limbo (clear the destination) and swapped (bring the pages back first) (B4.3, B4.9). */
export const ttm_bo_move_memcpy = instruction('ttm_bo_move_memcpy', (bo: string, to: Place) => ({ bo, to }), {
  text: ({ bo, to }) => `ttm_bo_move_memcpy(${bo}, ${to})`,
  touches: onBo,
  run: (kernel, me, { bo, to }) => {
    const row = boRow(kernel, bo);
    const was = onDevice(kernel, bo);
    returns(kernel, me, '0');
    if (was && usesTt(kernel, bo, to)) {
      populate(kernel, me, bo);
      row.pages = row.vram;
    } else if (!was && !usesTt(kernel, bo, to)) {
      if (row.swap !== null) populate(kernel, me, bo);
      // Without a tt there is nothing to copy, and the destination is cleared (B4.3).
      row.vram = row.tt === 'populated' ? row.pages : row.tt === 'none' ? 'zero' : fresh(kernel, bo);
      if (row.tt === 'populated') freePages(kernel, me, bo, 'limbo');
      if (isTtm(kernel, bo)) row.tt = 'none';
    }
    place(kernel, me, bo, to);
  },
});

export const buffer: KernelObject = {
  schema: fields,
  ops: [
    device_map,
    device_unmap,
    device_is_mapped,
    device_write,
    device_read,
    cpu_read,
    cpu_write,
    ttm_tt_state,
    ttm_bo_place,
    ttm_tt_populate,
    ttm_tt_unpopulate,
    ttm_tt_swap_copy,
    swap_free,
    ttm_bo_move_null,
    ttm_bo_move_memcpy,
    copy_job_init,
    device_copy,
  ],
};
