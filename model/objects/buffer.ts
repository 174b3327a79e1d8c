/**
 * Buffer objects: where the contents are, who may still reach the old place, and what is in them.
 *
 * Contents are a tag, the name of the last writer, not bytes. A device reaches a buffer through a mapping that was
 * made for one place; it does not notice by itself that the buffer has moved. The tt has the three states of the
 * 2021 discussion: limbo (no pages yet), populated, swapped (drivers/gpu/drm/ttm/ttm_tt.c; B2..B4, B12, B18).
 */
import { type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { type Kept, constant, maybe, oneOf, table, whole } from '../schema.ts';

export const PLACES = ['SYSTEM', 'TT', 'VRAM', 'PRIV'] as const;
export type Place = (typeof PLACES)[number];
const fields = {
  bos: table({
    place: oneOf(...PLACES),
    tt: oneOf('limbo', 'populated', 'swapped'),
    /** Who wrote last what is in the pages or in VRAM; 'zero' after a clear, 'stale' after somebody else's use. */
    content: whole<string>('zero'),
    /** The copy in swap. */
    swap: whole<string | null>(null),
    /** What a reader must find: the last write that was ordered before. */
    expected: whole<string>('zero'),
    /** The place the device's page tables still point to. */
    mapped: maybe(oneOf(...PLACES)),
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

/** Why a device that reaches the buffer through its mapping reaches the wrong memory, or nothing. */
export function staleReason(kernel: KernelState, bo: string): string | null {
  const { place, tt, mapped } = boRow(kernel, bo);
  if (mapped === null) return `${bo} is not mapped any more`;
  if (mapped !== place) return `${bo} has moved from ${mapped} to ${place}`;
  if (place !== 'VRAM' && tt !== 'populated')
    return `the pages of ${bo} are ${tt === 'swapped' ? 'swapped out' : 'gone'}`;
  return null;
}

/** Map the buffer for the device where it is now. */
export const device_map = instruction('device_map', (bo: string) => ({ bo }), {
  text: ({ bo }) => `bind(${bo})`,
  touches: onBo,
  run: (kernel, _me, { bo }) => {
    boRow(kernel, bo).mapped = boRow(kernel, bo).place;
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
/** The device writes through its mapping. */
export const device_write = instruction('device_write', (bo: string, tag: string) => ({ bo, tag }), {
  text: ({ bo }) => `device writes ${bo}`,
  touches: onBo,
  run: (kernel, me, { bo, tag }) => {
    const stale = staleReason(kernel, bo);
    note(kernel, me, { kind: 'accesses', bo, by: me, stale });
    boRow(kernel, bo).expected = tag;
    if (stale === null) boRow(kernel, bo).content = tag;
  },
});

const read = (kernel: KernelState, me: string, bo: string): void => {
  const { content, expected } = boRow(kernel, bo);
  note(kernel, me, { kind: 'reads', bo, by: me, got: content, expected });
};
/** The device reads through its mapping. */
export const device_read = instruction('device_read', (bo: string) => ({ bo }), {
  text: ({ bo }) => `device reads ${bo}`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const stale = staleReason(kernel, bo);
    note(kernel, me, { kind: 'accesses', bo, by: me, stale });
    if (stale === null) read(kernel, me, bo);
  },
});
/** The CPU reads the buffer, wherever it is; swapped pages must have come back before. */
export const cpu_read = instruction('cpu_read', (bo: string) => ({ bo }), {
  text: ({ bo }) => `read(${bo})`,
  touches: onBo,
  run: (kernel, me, { bo }) => read(kernel, me, bo),
});
/** The CPU writes the buffer. */
export const cpu_write = instruction('cpu_write', (bo: string, tag: string) => ({ bo, tag }), {
  text: ({ bo }) => `write(${bo})`,
  touches: onBo,
  run: (kernel, _me, { bo, tag }) => {
    boRow(kernel, bo).content = tag;
    boRow(kernel, bo).expected = tag;
  },
});

/** Give the buffer pages: limbo becomes zeroed pages, swapped pages come back with their contents (B3.2, B3.6). */
export const ttm_tt_populate = instruction('ttm_tt_populate', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_populate(${bo}->ttm)`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const row = boRow(kernel, bo);
    returns(kernel, me, '0');
    if (row.tt === 'populated') return;
    row.content = row.tt === 'swapped' ? (row.swap ?? 'zero') : 'zero';
    row.swap = null;
    row.tt = 'populated';
    note(kernel, me, { kind: 'populated', bo, pages: row.size, needless: false });
  },
});
/** Copy the pages out and free them: first the copy, then the pages (B3.5). */
export const ttm_tt_swapout = instruction('ttm_tt_swapout', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_swapout(${bo}->ttm)`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const row = boRow(kernel, bo);
    if (row.place !== 'SYSTEM')
      note(kernel, me, {
        kind: 'inconsistent',
        bo,
        rule: 'B12.3',
        what: `${bo} is swapped out although it is in ${row.place}`,
      });
    if (row.tt !== 'populated') return;
    Object.assign(row, { swap: row.content, tt: 'swapped' });
  },
});
/** Is there anything to swap: populated, in SYSTEM? ret '1' or '0'. */
export const ttm_bo_swappable = instruction('ttm_bo_swappable', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo} is in SYSTEM and populated`,
  touches: onBo,
  run: (kernel, me, { bo }) =>
    returns(kernel, me, boRow(kernel, bo).place === 'SYSTEM' && boRow(kernel, bo).tt === 'populated' ? '1' : '0'),
});
/** Change the placement. The data must have been moved, or the pages be shared by both placements. */
export const ttm_bo_assign_place = instruction('ttm_bo_assign_place', (bo: string, place: Place) => ({ bo, place }), {
  text: ({ bo, place }) => `ttm_bo_assign_mem(${bo}, ${place})`,
  touches: onBo,
  run: (kernel, me, { bo, place }) => {
    const row = boRow(kernel, bo);
    note(kernel, me, { kind: 'moved', bo, from: row.place, to: place });
    row.place = place;
  },
});

export const buffer: KernelObject = {
  schema: fields,
  ops: [
    device_map,
    device_unmap,
    device_write,
    device_read,
    cpu_read,
    cpu_write,
    ttm_tt_populate,
    ttm_tt_swapout,
    ttm_bo_swappable,
    ttm_bo_assign_place,
  ],
};
