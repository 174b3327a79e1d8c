/** The pages of a buffer: populate, give up, swap out and back in (drivers/gpu/drm/ttm/ttm_tt.c; B3, B4, B12). */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  instruction,
  note,
  returns,
} from '../machine.ts';
import { boRow, busyWith, onBo, onDevice, redirect } from './buffer.ts';
import { poolAlloc, poolFree } from './page-pool.ts';
import { inconsistent, isTtm, placeIn, ttPages, ttmRow, ttmsOwn, usesTt } from './ttm.ts';

/** New pages are cleared, or hold what another process left in them (B4.2). */
export const freshContents = (kernel: KernelState, bo: string): string =>
  (isTtm(kernel, bo) ? ttmRow(kernel, bo).zero_alloc : boRow(kernel, bo).zero_alloc) ? 'zero' : 'stale';

/** Which of the three states is the tt in? ret 'limbo', 'populated' or 'swapped' (B3). */
export const ttm_tt_state = instruction('ttm_tt_state', (bo: string) => ({ bo }), {
  text: ({ bo }) => `the state of ${bo}->ttm`,
  touches: onBo,
  run: (kernel, me, { bo }) => returns(kernel, me, boRow(kernel, bo).tt),
});

/** The pages of this tt are counted, or not any more; those of others (type sg) are not TTM's to count (B3.2, B19.3). */
export function countPages(kernel: KernelState, bo: string, how: 'more' | 'less'): void {
  const all = kernel.ttm_globals['ttm'];
  if (!all || !isTtm(kernel, bo) || ttmRow(kernel, bo).type === 'sg') return;
  all.pages_allocated += how === 'more' ? ttPages(kernel, bo) : -ttPages(kernel, bo);
}
/**
 * Why nobody will read what is in new pages, or nothing (B4.6). A buffer that holds nothing needs none while it moves to
 * a place that does not use them, be it that TTM brings them for the hop or the driver on its own.
 */
function readByNobody(kernel: KernelState, me: string, bo: string): string | null {
  const { frames } = kernel.threads[me] as Thread;
  const asked = frames.findLast(({ routine, vars }) => routine === 'ttm_bo_handle_move_mem' && vars['bo'] === bo)?.vars[
    'mem'
  ];
  if (asked === undefined || boRow(kernel, bo).swap !== null || onDevice(kernel, bo)) return null;
  if (asked.endsWith('|TEMPORARY')) return `it only passes through ${placeIn(asked)} on its way`;
  return usesTt(kernel, bo, placeIn(asked)) ? null : `it is on its way to ${placeIn(asked)}`;
}
/** Get all pages at once, from swap with their contents. */
export function populate(kernel: KernelState, me: string, bo: string): void {
  const row = boRow(kernel, bo);
  if (row.tt === 'populated') return;
  const needless = readByNobody(kernel, me, bo);
  countPages(kernel, bo, 'more');
  poolAlloc(kernel, bo);
  if (isTtm(kernel, bo)) ttmRow(kernel, bo).backed_up = 0;
  Object.assign(row, { pages: row.swap ?? freshContents(kernel, bo), swap: null, tt: 'populated' });
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
    inconsistent(kernel, me, bo, 'S-B2', `${me} frees the pages of ${bo} before ${busy.join(' and ')} signalled`);
  redirect(kernel, bo, ['pages'], 'freed');
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
  if (row.place !== ttmsOwn(kernel, bo))
    inconsistent(kernel, me, bo, 'B12.3', `${bo} is swapped out although it is in ${row.place ?? 'no place'}`);
  if (row.mapped !== null)
    inconsistent(kernel, me, bo, 'B18.6', `${me} swaps ${bo} out while the device still maps its pages`);
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

export const bufferPages: KernelObject = {
  ops: [ttm_tt_state, ttm_tt_populate, ttm_tt_unpopulate, ttm_tt_swap_copy, swap_free],
};
