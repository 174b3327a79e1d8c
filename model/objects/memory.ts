/**
 * Allocation: what it may wait for (mm/page_alloc.c; rules A1, G-5, L-23, L-24).
 *
 * Memory is not counted. Every allocation may find memory short: the outcome is part of the schedule, so pressure is
 * wherever the search wants it. A small allocation with direct reclaim then succeeds (A1.2); one without reclaim may
 * fail at any time, and so may one of a task that is already reclaiming (A2.4).
 */
import { type Block, type KernelObject, type KernelState, instruction, note, returns } from '../machine.ts';
import { holdsKind, might_sleep } from './context.ts';
import { type Gfp, alreadyReclaiming, mightAlloc, reclaims, scoped } from './gfp.ts';
import { reclaim, victims } from './reclaim.ts';

declare module '../machine.ts' {
  interface Facts {
    /** Memory was asked for. `direct`: it may enter direct reclaim, and so wait for anything reclaim waits for.
     * `signalling`: it was asked for inside a signalling section, which may be over when the step is. */
    allocates: { gfp: Gfp; direct: boolean; signalling: boolean; what: string };
  }
}

export const inSection = (kernel: KernelState, me: string): boolean =>
  holdsKind(kernel, me, 'signalling') !== undefined;

/**
 * Allocate: ret '0', or '-ENOMEM' when the mask forbids direct reclaim and there is no memory. `into`, as a comment,
 * says what for. The mask 'never' allocates nothing: a knob may say so.
 */
const kmalloc_op = instruction('kmalloc', (gfp: Gfp, what: string) => ({ gfp, what }), {
  text: ({ gfp, what }) => `${what} = kmalloc(${gfp})`,
  outcomes: (kernel, me, { gfp }) => {
    const mask = scoped(kernel, me, gfp);
    if (!reclaims(mask) || alreadyReclaiming(kernel, me)) return ['ok', 'fails'];
    return ['ok', ...victims(kernel, mask)];
  },
  run: (kernel, me, { gfp, what }, outcome) => {
    const mask = scoped(kernel, me, gfp);
    const direct = reclaims(mask) && !alreadyReclaiming(kernel, me);
    if (reclaims(mask)) might_sleep(kernel, me, `kmalloc(${gfp})`);
    mightAlloc(kernel, me, mask);
    note(kernel, me, { kind: 'allocates', gfp: mask, direct, signalling: inSection(kernel, me), what });
    returns(kernel, me, outcome === 'fails' ? '-ENOMEM' : '0');
    if (outcome !== 'ok' && outcome !== 'fails') reclaim(kernel, me, mask, outcome);
  },
});
export const kmalloc = (gfp: Gfp | 'never', what = 'p'): Block => (gfp === 'never' ? [] : [kmalloc_op(gfp, what)]);

export const memory: KernelObject = { ops: [kmalloc_op] };
