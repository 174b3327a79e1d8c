/**
 * Buffer objects: where the contents are, who may still reach the old memory, and what is in it.
 *
 * Contents are a tag, the name of the last writer, not bytes. A buffer has up to three memories: the pages of its tt,
 * VRAM, and the copy in swap; a move says which of them the data went to. The tt has the three states of the 2021
 * discussion: limbo (no pages yet), populated, swapped (drivers/gpu/drm/ttm/ttm_tt.c; B2..B4, B12, B18), and two that
 * came with ttm-tt.ts: none at all, and page by page in backup. A device
 * reaches a buffer through page tables that were made once: it does not notice that the memory behind them is gone. Nor
 * does it notice that they were changed, where a TLB remembers what they said (vm.ts).
 * Its pages are in buffer-pages.ts, its moves in buffer-move.ts.
 */
import { type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { type Kept, constant, fixedName, maybe, oneOf, table, whole } from '../schema.ts';
import { pendingFences } from './resv.ts';
import { PLACES, inconsistent, resvOf, ttmRow, ttmsOwn, usesTt } from './ttm.ts';

/** The memory that an entry of the device's page tables leads to: 'freed' once it was taken away behind the device's back,
 * 'old' while the buffer is on its way out of it and jobs from before may still use it (B11.1). */
const LEADS = ['pages', 'VRAM', 'freed', 'old'] as const;
type Leads = (typeof LEADS)[number];
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
    /** What the device's page tables say. */
    mapped: maybe(oneOf(...LEADS)),
    /** New pages are cleared; otherwise they hold what another process left in them (TTM_TT_FLAG_ZERO_ALLOC, B4.2). */
    zero_alloc: constant<boolean>(true),
    /** May work of the device be under way while the buffer is in SYSTEM: i915 and xe say yes, vmwgfx and amdgpu no (B18.6). */
    busy_in_system: constant<boolean>(false),
    size: constant<number>(1),
  }),
  /** What a TLB remembers of the page-table entry of one buffer, and of which TLB; a buffer without a row is reached
   * through the page tables alone. */
  tlb_entries: table({ tlb: fixedName('tlbs'), leads_to: maybe(oneOf(...LEADS)) }),
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
    /** Pages were allocated for a buffer; `needless` says why nobody will read what is in them. */
    populated: { bo: string; pages: number; needless: string | null };
    moved: { bo: string; from: string; to: string };
  }
}
export const boRow = (kernel: KernelState, bo: string): BoRow => kernel.bos[bo] as BoRow;
export const onBo = ({ bo }: { bo: string }): [['bos', string]] => [['bos', bo]];
/** Are the contents in memory of the device, not in pages (B5.4)? */
export function onDevice(kernel: KernelState, bo: string): boolean {
  const { place } = boRow(kernel, bo);
  return place !== null && !usesTt(kernel, bo, place);
}

/** Fences on its reservation that have not signalled: somebody still works with the buffer. */
export const busyWith = (kernel: KernelState, bo: string): string[] =>
  kernel.resvs[bo] ? pendingFences(kernel, resvOf(kernel, bo), 'BOOKKEEP') : [];

/** Where an access of the device ends: what its TLB remembers goes before what the page tables say now. */
export const translation = (kernel: KernelState, bo: string): Leads | null =>
  kernel.tlb_entries[bo]?.leads_to ?? boRow(kernel, bo).mapped;
/** Whatever led to this memory, the page table or a TLB that remembers it, leads elsewhere from here on. */
export function redirect(kernel: KernelState, bo: string, from: readonly Leads[], to: Leads): void {
  const row = boRow(kernel, bo);
  if (row.mapped !== null && from.includes(row.mapped)) row.mapped = to;
  const entry = kernel.tlb_entries[bo];
  if (entry && entry.leads_to !== null && from.includes(entry.leads_to)) entry.leads_to = to;
}
/** Why a device that reaches the buffer through its page tables, or its TLB, reaches the wrong memory, or nothing. */
export function staleReason(kernel: KernelState, bo: string): string | null {
  const leads = translation(kernel, bo);
  const its = kernel.tlb_entries[bo]?.leads_to ? 'what its TLB remembers' : 'its mapping';
  if (leads === null) return `${bo} is not mapped any more`;
  if (leads === 'freed') return `the memory behind ${its} of ${bo} was taken away`;
  if (leads === 'pages' && onDevice(kernel, bo))
    return `${bo} has moved to VRAM and ${its} still leads to the old pages`;
  return null;
}
/** Why the CPU finds nothing there, or nothing. */
export const absentReason = (kernel: KernelState, bo: string): string | null => {
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
export const memoryOf = (kernel: KernelState, bo: string): 'vram' | 'pages' =>
  onDevice(kernel, bo) ? 'vram' : 'pages';
/** What is in the memory that the device's mapping leads to: the old one, while the buffer is on its way out of it. */
const mappedContents = (kernel: KernelState, bo: string): string => {
  const { vram, pages } = boRow(kernel, bo);
  const leads = translation(kernel, bo);
  return leads === 'old' ? tagOf(ttmRow(kernel, bo).moving[0] ?? 'stale') : leads === 'VRAM' ? vram : pages;
};
function writeMapped(kernel: KernelState, bo: string, tag: string): void {
  const row = boRow(kernel, bo);
  const leads = translation(kernel, bo);
  const into = (copy: string): string => copy.slice(0, copy.indexOf(':') + 1) + tag;
  if (leads === 'old') ttmRow(kernel, bo).moving = ttmRow(kernel, bo).moving.map(into);
  else row[leads === 'VRAM' ? 'vram' : 'pages'] = tag;
}

/** The device touches the buffer: is it the right memory, and is it the device's to touch (B18.1)? Its TLB remembers the way. */
export function deviceTouches(kernel: KernelState, me: string, bo: string): boolean {
  const { place, busy_in_system } = boRow(kernel, bo);
  const entry = kernel.tlb_entries[bo];
  if (entry) entry.leads_to ??= boRow(kernel, bo).mapped;
  const stale = staleReason(kernel, bo);
  note(kernel, me, { kind: 'accesses', bo, by: me, stale });
  if (place === ttmsOwn(kernel, bo) && !busy_in_system)
    inconsistent(
      kernel,
      me,
      bo,
      'B18.1',
      `${me} uses ${bo} while it is in ${place}, where TTM may take its pages at any time`,
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
    if (stale === null) read(kernel, me, bo, boRow(kernel, bo)[memoryOf(kernel, bo)]);
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
    row[memoryOf(kernel, bo)] = tag;
  },
});

/** Where is the buffer, if anywhere? ret the place, or 'NULL' when it has no resource (B2.1). */
export const ttm_bo_place = instruction('ttm_bo_place', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->resource->mem_type`,
  touches: onBo,
  run: (kernel, me, { bo }) => returns(kernel, me, boRow(kernel, bo).place ?? 'NULL'),
});

/** The same, by somebody who takes it for granted that there is a resource: ret the place, or 'NULL' after the oops (B2.1). */
export const resource_mem_type = instruction('resource_mem_type', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->resource->mem_type /* unchecked */`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const { place } = boRow(kernel, bo);
    if (place === null) inconsistent(kernel, me, bo, 'B2.1', `${me} follows ${bo}->resource, which is NULL`);
    returns(kernel, me, place ?? 'NULL');
  },
});

/** What a copy that the device has yet to do will bring. */
export const tagOf = (copy: string): string => copy.slice(copy.indexOf(':') + 1);

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
    ttm_bo_place,
    resource_mem_type,
  ],
};
