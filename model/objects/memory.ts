/**
 * Allocation: what it may wait for (mm/page_alloc.c; rules A1, G-5, L-23, L-24).
 *
 * Memory is not counted. Every allocation may find memory short: the outcome is part of the schedule, so pressure is
 * wherever the search wants it. A small allocation with direct reclaim then succeeds, unless the design has processes
 * to kill for their memory (A1.2, oom.ts); one without reclaim may fail at any time, and so may one of a task that is
 * already reclaiming (A2.4).
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, note, returns } from '../machine.ts';
import { holdsKind, might_sleep } from './context.ts';
import { type Gfp, alreadyReclaiming, mightAlloc, reclaims, scoped } from './gfp.ts';
import { isOomVictim, noProgress, outOfMemory } from './oom.ts';
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
 * What more a mask may say (A1.2..A1.5): one light pass of reclaim, as long as there is progress, or never give up. An
 * order above 3 is none of the masks, but gives up in the same way.
 */
export type GfpFlag = '__GFP_NORETRY' | '__GFP_RETRY_MAYFAIL' | '__GFP_NOFAIL' | 'order > 3';
const givesUp = (flag: GfpFlag | undefined): boolean => flag !== undefined && flag !== '__GFP_NOFAIL';

/**
 * Allocate: ret '0', or '-ENOMEM' when the mask forbids direct reclaim and there is no memory, or allows giving up, or
 * the OOM killer chose this very task. `what`, as a comment, says what for. The mask 'never' allocates nothing: a knob
 * may say so.
 */
const kmalloc_op = instruction('kmalloc', (gfp: Gfp, what: string, flag?: GfpFlag) => ({ gfp, what, flag }), {
  text: ({ gfp, what, flag }) => `${what} = kmalloc(${gfp}${flag === undefined ? '' : ` | ${flag}`})`,
  outcomes: (kernel, me, { gfp, flag }) => {
    const mask = scoped(kernel, me, gfp);
    if (!reclaims(mask) || alreadyReclaiming(kernel, me)) return ['ok', 'fails'];
    if (givesUp(flag) || (flag === undefined && isOomVictim(kernel, me)))
      return ['ok', ...victims(kernel, mask), 'fails'];
    return ['ok', ...victims(kernel, mask), ...noProgress(kernel, me, mask)];
  },
  run: (kernel, me, { gfp, what, flag }, outcome) => {
    const mask = scoped(kernel, me, gfp);
    const direct = reclaims(mask) && !alreadyReclaiming(kernel, me);
    if (reclaims(mask)) might_sleep(kernel, me, `kmalloc(${gfp})`);
    if (flag === '__GFP_NOFAIL' && !direct)
      complain(kernel, me, 'A1.5', `${me} asks for ${what} without fail, and may not reclaim: it can only loop`);
    mightAlloc(kernel, me, mask);
    note(kernel, me, { kind: 'allocates', gfp: mask, direct, signalling: inSection(kernel, me), what });
    returns(kernel, me, outcome === 'fails' ? '-ENOMEM' : '0');
    if (outcome === 'ok' || outcome === 'fails') return;
    if (outcome.startsWith('shrinks ') || outcome.startsWith('unmaps '))
      reclaim(kernel, me, mask, outcome, givesUp(flag) ? 'fails' : 'goes round again');
    else outOfMemory(kernel, me, mask, flag === '__GFP_NOFAIL', outcome);
  },
});
export const kmalloc = (gfp: Gfp | 'never', what = 'p', flag?: GfpFlag): Block =>
  gfp === 'never' ? [] : [kmalloc_op(gfp, what, flag)];

/**
 * An array of pages that is contiguous only in its page tables, which are allocated with GFP_KERNEL whatever the mask:
 * NOFS and NOIO must be a scope to mean anything here (A1.8; since 5.17 vmalloc opens that scope itself).
 */
export const vmalloc = (gfp: Gfp, what = 'p'): Block => [kmalloc_op(gfp, what), kmalloc_op('GFP_KERNEL', 'page table')];

export const memory: KernelObject = { ops: [kmalloc_op] };
