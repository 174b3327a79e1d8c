/**
 * A buffer changes its place: with nothing to copy, with a copy by the CPU, or with one that the device has yet to do
 * (drivers/gpu/drm/ttm/ttm_bo_util.c; B2, B4, B11, B18).
 */
import { type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { freePages, freshContents, populate } from './buffer-pages.ts';
import { absentReason, boRow, busyWith, memoryOf, onBo, onDevice, redirect, tagOf } from './buffer.ts';
import { installResource } from './ttm-resource.ts';
import { type Place, inconsistent, isTtm, ttmRow, ttmsOwn, usesTt } from './ttm.ts';

/** The buffer is somewhere else from here on; a busy buffer does not become TTM's to swap (B18.6). */
function place(kernel: KernelState, me: string, bo: string, to: Place): void {
  const row = boRow(kernel, bo);
  const busy = busyWith(kernel, bo);
  // Fences from before it was gutted stand for the memory that its ghost has.
  const gutted = isTtm(kernel, bo) && row.place === null;
  const enters = to === ttmsOwn(kernel, bo) && row.place !== to;
  if (enters && !gutted && !row.busy_in_system && busy.length > 0)
    inconsistent(kernel, me, bo, 'B18.6', `${me} moves ${bo} to ${to} before ${busy.join(' and ')} signalled`);
  note(kernel, me, { kind: 'moved', bo, from: row.place ?? 'NULL', to });
  const was = onDevice(kernel, bo);
  if (was && usesTt(kernel, bo, to)) {
    redirect(kernel, bo, ['VRAM'], 'freed');
    row.vram = 'zero';
  }
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
    ttmRow(kernel, bo).moving = [...moving, copyOf(will, last === undefined ? row[memoryOf(kernel, bo)] : tagOf(last))];
    if (will !== memoryOf(kernel, bo)) row[will] = 'stale';
  },
});
/** The buffer is in its new place; what still leads to the old one is good until the copy is done. */
export function leaveBehind(kernel: KernelState, bo: string): void {
  redirect(kernel, bo, ['pages', 'VRAM'], ttmRow(kernel, bo).moving.length > 0 ? 'old' : 'freed');
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
    if (rest.length === 0) redirect(kernel, bo, ['old'], 'freed');
    row[first.startsWith('vram') ? 'vram' : 'pages'] = tagOf(first);
  },
});
/** The driver copies the pages to VRAM by itself, before it says that the buffer is there. It takes them to be there. */
export const copy_pages_to_vram = instruction('copy_pages_to_vram', (bo: string) => ({ bo }), {
  text: ({ bo }) => `memcpy_toio(vram, ${bo}->ttm->pages)`,
  touches: onBo,
  run: (kernel, me, { bo }) => {
    const row = boRow(kernel, bo);
    const stale = absentReason(kernel, bo);
    note(kernel, me, { kind: 'accesses', bo, by: me, stale });
    row.vram = stale === null ? row.pages : 'stale';
  },
});
/** The device fills the buffer with zeroes, by address and not through anybody's mapping (B4.7). */
export const device_fill = instruction('device_fill', (bo: string) => ({ bo }), {
  text: ({ bo }) => `copy engine fills ${bo} with 0`,
  touches: onBo,
  run: (kernel, _me, { bo }) => {
    boRow(kernel, bo)[memoryOf(kernel, bo)] = 'zero';
  },
});
/** Is what must be kept where it goes, too: there is nothing, or somebody copied it before? */
const isThereToo = (kernel: KernelState, bo: string, to: Place): boolean => {
  const row = boRow(kernel, bo);
  const kept = !onDevice(kernel, bo) && row.tt !== 'populated' ? row.swap : row[memoryOf(kernel, bo)];
  const copied = isTtm(kernel, bo) && row[usesTt(kernel, bo, to) ? 'pages' : 'vram'] === kept;
  return copied || !hasContents(kernel, bo);
};
/** Change only the placement: the same pages serve both, or there was no place before (B2.5, drivers/gpu/drm/ttm/tests/ttm_kunit_helpers.c). */
export const ttm_bo_move_null = instruction('ttm_bo_move_null', (bo: string, to: Place) => ({ bo, to }), {
  text: ({ bo, to }) => `ttm_bo_move_null(${bo}, ${to})`,
  touches: onBo,
  run: (kernel, me, { bo, to }) => {
    const row = boRow(kernel, bo);
    if (row.place !== null && onDevice(kernel, bo) === usesTt(kernel, bo, to) && !isThereToo(kernel, bo, to))
      inconsistent(kernel, me, bo, 'B4.1', `${bo} goes from ${row.place} to ${to} and nobody copies its contents`);
    // What a buffer finds in memory that it never had is not its own, until somebody clears it (B4.2, B4.7).
    const new_to_it = isTtm(kernel, bo) && (row.place === null || !hasContents(kernel, bo));
    if (new_to_it && !usesTt(kernel, bo, to)) row.vram = 'stale';
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
      row.vram = row.tt === 'populated' ? row.pages : row.tt === 'none' ? 'zero' : freshContents(kernel, bo);
      if (row.tt === 'populated') freePages(kernel, me, bo, 'limbo');
      if (isTtm(kernel, bo)) row.tt = 'none';
    }
    place(kernel, me, bo, to);
  },
});

export const bufferMove: KernelObject = {
  ops: [ttm_bo_move_null, ttm_bo_move_memcpy, copy_job_init, device_copy, copy_pages_to_vram, device_fill],
};
