/**
 * How fences come to a reservation: reserve slots, which may fail, then add, which may not; or replace those of a context
 * (drivers/dma-buf/dma-resv.c; R-9..R-20).
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, returns } from '../machine.ts';
import { holds } from './context.ts';
import { isContainer } from './fence-container.ts';
import { PAST, contextOf, publish, seqnoOf } from './fence.ts';
import { quietly_if_ret } from './flow.ts';
import { kmalloc } from './memory.ts';
import {
  type ResvFence,
  type Usage,
  getFence,
  mustHold,
  onResv,
  putSlot,
  rank,
  replaceList,
  resvRow,
  standing,
} from './resv.ts';
import { newer } from './version.ts';

/** Fence slots that can be asked for at once; more is a design that never adds what it reserves. */
const MOST_ASKED = 16;

/** Bytes before the slots of a list, bytes of a slot, and the sizes that kmalloc has (drivers/dma-buf/dma-resv.c, mm/slab_common.c). */
const HEADER = 24;
const SLOT = 8;
const SIZES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096];
/** The slots that a list has when this many are asked for: all that fit into what the allocator gives. */
export const listOf = (slots: number): number =>
  ((SIZES.find((size) => size >= HEADER + slots * SLOT) as number) - HEADER) / SLOT;
/** The slots of the list that grows because n more are wanted: at least twice as many, and no less than four. */
export const grown = (num: number, max: number, n: number): number =>
  listOf(max > 0 ? Math.max(num + n, 2 * max) : Math.max(4, 2 ** Math.ceil(Math.log2(n))));

const reserve_check = instruction('dma_resv_reserve_check', (resv: string, n: number | string) => ({ resv, n }), {
  text: () => '',
  local: true,
  touches: onResv,
  run: (kernel, me, { resv, n: asked }) => {
    const n = Number(asked);
    const row = resvRow(kernel, resv);
    const held = mustHold(kernel, me, resv, 'dma_resv_reserve_fences', 'R-9');
    const refuses = n === 0 && newer(kernel, 'resv_reserve_zero');
    if (refuses) complain(kernel, me, 'R-10', `${me} reserves no slot at all on ${resv}`);
    const fits = held && row.fences.length + n <= row.max;
    if (fits && n > row.reserved) row.reserved = n;
    returns(kernel, me, refuses ? '-EINVAL' : fits || n === 0 ? '0' : 'grow');
  },
});
const dma_resv_reserve_slots = instruction(
  'dma_resv_reserve_slots',
  (resv: string, n: number | string) => ({ resv, n }),
  {
    text: ({ resv, n }) => `dma_resv_reserve_fences(${resv}->resv, ${n})`,
    touches: onResv,
    run: (kernel, me, { resv, n: asked }) => {
      const n = Number(asked);
      const row = resvRow(kernel, resv);
      if (holds(kernel, me, resv)) {
        const max = grown(row.fences.length, row.max, n);
        replaceList(
          row,
          row.fences.filter(({ fence }) => standing(kernel, fence)),
          max,
        );
        row.reserved = n;
      }
      returns(kernel, me, '0');
    },
  },
);

/**
 * Guarantee n free slots, counted from now, not on top of earlier ones: ret '0', or '-ENOMEM'. A list that is full
 * grows, and the allocation is GFP_KERNEL; what has signalled is not copied (R-9..R-11).
 */
export function dma_resv_reserve_fences(resv: string, n: number | `$${string}` = 1): Block {
  if (typeof n === 'number' && n > MOST_ASKED)
    throw new Error(`dma_resv_reserve_fences(${resv}, ${n}): at most ${MOST_ASKED} can be asked for`);
  return [
    reserve_check(resv, n),
    quietly_if_ret('grow', [
      kmalloc('GFP_KERNEL', `${resv.replace('$', '')}->resv->slots`),
      quietly_if_ret('0', [dma_resv_reserve_slots(resv, n)]),
    ]),
  ];
}

/** May the fence take the slot of this one? */
function supersedes(kernel: KernelState, fence: string, usage: Usage, old: ResvFence): boolean {
  if (!standing(kernel, old.fence)) return true;
  const sameContext = contextOf(kernel, old.fence) === contextOf(kernel, fence);
  if (!sameContext || rank(old.usage) < rank(usage)) return false;
  const later = seqnoOf(kernel, fence) - seqnoOf(kernel, old.fence);
  return later > 0 || (later === 0 && newer(kernel, 'resv_add_same_fence'));
}

/** Put a fence on the buffer: cannot fail, needs the lock and a slot, and publishes the fence (R-12..R-16, F-9). */
export const dma_resv_add_fence = instruction(
  'dma_resv_add_fence',
  (resv: string, fence: string, usage: Usage) => ({ resv, fence, usage }),
  {
    text: ({ resv, fence, usage }) => `dma_resv_add_fence(${resv}->resv, ${fence}, ${usage})`,
    touches: ({ resv, fence }) => [
      ['resvs', resv],
      ['fences', fence],
    ],
    run: (kernel, me, { resv, fence, usage }) => {
      mustHold(kernel, me, resv, 'dma_resv_add_fence', 'R-12');
      if (isContainer(kernel, fence))
        complain(
          kernel,
          me,
          'R-14',
          `${me} puts ${fence} on ${resv}, which stands for other fences: add each of those`,
        );
      addFence(kernel, me, resv, fence, usage);
      publish(kernel, me, fence);
    },
  },
);
export function addFence(kernel: KernelState, me: string, resv: string, fence: string, usage: Usage): void {
  const row = resvRow(kernel, resv);
  const slot = { fence, usage };
  const at = row.fences.findIndex((old) => supersedes(kernel, fence, usage, old));
  if (at >= 0) {
    const old = row.fences[at] as ResvFence;
    getFence(kernel, fence);
    row.fences = row.fences.with(at, slot); // one slot only
    putSlot(kernel, me, old);
    return;
  }
  if (row.fences.length >= row.max) {
    complain(kernel, me, 'R-13', `dma_resv_add_fence on ${resv} without a reserved slot`);
    return;
  }
  if (row.reserved === 0)
    complain(kernel, me, 'R-9', `${me} adds more fences to ${resv} than it reserved slots; it fits by luck`);
  else row.reserved -= 1;
  getFence(kernel, fence);
  row.fences = [...row.fences, slot];
}

/** Replace every fence of a context by another; legal only if the old work can no longer touch the memory. */
export const dma_resv_replace_fences = instruction(
  'dma_resv_replace_fences',
  (resv: string, context: string, fence: string, usage: Usage) => ({ resv, context, fence, usage }),
  {
    text: ({ resv, context, fence, usage }) => `dma_resv_replace_fences(${resv}->resv, ${context}, ${fence}, ${usage})`,
    touches: ({ resv, fence }) => [
      ['resvs', resv],
      ['fences', fence],
    ],
    run: (kernel, me, { resv, context, fence, usage }) => {
      mustHold(kernel, me, resv, 'dma_resv_replace_fences', 'R-19');
      const row = resvRow(kernel, resv);
      const theirs = (slot: ResvFence): boolean => slot.fence !== PAST && contextOf(kernel, slot.fence) === context;
      const replaced = row.fences.filter(theirs);
      if (replaced.length === 0) return;
      row.fences = row.fences.map((slot) => (theirs(slot) ? { fence, usage } : slot));
      publish(kernel, me, fence);
      for (const slot of replaced) {
        getFence(kernel, fence);
        putSlot(kernel, me, slot);
      }
    },
  },
);

export const resvFences: KernelObject = {
  ops: [reserve_check, dma_resv_reserve_slots, dma_resv_add_fence, dma_resv_replace_fences],
};
