/**
 * What stands on a reservation, for somebody else to keep: another reservation, a list, one fence for all, or only whether
 * anything is pending (drivers/dma-buf/dma-resv.c; ).
 */
import { type Block, type KernelObject, complain, instruction, returns } from '../machine.ts';
import { arrayInit, freeArray } from './fence-array.ts';
import { if_ret } from './flow.ts';
import { kmalloc } from './memory.ts';
import { listOf } from './resv-fences.ts';
import { frameOf } from './resv-iter.ts';
import {
  type Usage,
  getFence,
  matches,
  mustHold,
  onResv,
  pendingFences,
  putSlot,
  replaceList,
  resvRow,
  standing,
} from './resv.ts';

const copy_slots = instruction('dma_resv_copy_slots', (to: string, from: string) => ({ to, from }), {
  text: ({ to, from }) => `dma_resv_copy_fences(${to}->resv, ${from}->resv)`,
  touches: ({ to, from }) => [
    ['resvs', to],
    ['resvs', from],
  ],
  run: (kernel, me, { to, from }) => {
    mustHold(kernel, me, to, 'dma_resv_copy_fences', 'R-21');
    const copied = resvRow(kernel, from).fences.filter(({ fence }) => standing(kernel, fence));
    const lost = pendingFences(kernel, to, 'BOOKKEEP').filter((fence) => !copied.some((slot) => slot.fence === fence));
    if (lost.length > 0)
      complain(kernel, me, 'R-21', `${me} copies over ${lost.join(', ')} on ${to}, which nobody can wait for any more`);
    const max = copied.length > 0 ? listOf(resvRow(kernel, from).fences.length) : 0;
    const before = resvRow(kernel, to).fences;
    replaceList(resvRow(kernel, to), copied, max);
    resvRow(kernel, to).reserved = 0;
    returns(kernel, me, '0');
    for (const { fence } of copied) getFence(kernel, fence);
    for (const slot of before) putSlot(kernel, me, slot);
  },
});
/** Give `to` the unsignalled fences of `from`, whose lock is not needed; what stood on `to` is gone. ret '0' or '-ENOMEM'. */
export const dma_resv_copy_fences = (to: string, from: string): Block => [
  kmalloc('GFP_KERNEL', `${to.replace('$', '')}->resv->slots`),
  if_ret('0', [copy_slots(to, from)]),
];

/** Nothing pending of this usage or stronger: ret '1', else '0'. */
export const dma_resv_test_signaled = instruction(
  'dma_resv_test_signaled',
  (resv: string, usage: Usage) => ({ resv, usage }),
  {
    text: ({ resv, usage }) => `dma_resv_test_signaled(${resv}->resv, ${usage})`,
    touches: onResv,
    run: (kernel, me, { resv, usage }) =>
      returns(kernel, me, pendingFences(kernel, resv, usage).length === 0 ? '1' : '0'),
  },
);

const get_slots = instruction(
  'dma_resv_get_slots',
  (resv: string, usage: Usage, into: string) => ({ resv, usage, into }),
  {
    text: ({ resv, usage, into }) => `dma_resv_get_fences(${resv}->resv, ${usage}, &${into})`,
    touches: onResv,
    run: (kernel, me, { resv, usage, into }) => {
      const slots = resvRow(kernel, resv).fences.filter((slot) => matches(usage, slot) && standing(kernel, slot.fence));
      for (const { fence } of slots) getFence(kernel, fence);
      frameOf(kernel, me).vars[into] = slots.map(({ fence }) => fence).join(' ');
      returns(kernel, me, '0');
    },
  },
);
/** Collect the unsignalled fences of this usage into a variable, their names in a row, each with a reference: ret '0' or '-ENOMEM'. */
export const dma_resv_get_fences = (resv: string, usage: Usage, into: string): Block => [
  kmalloc('GFP_KERNEL', into),
  if_ret('0', [get_slots(resv, usage, into)]),
];
const make_singleton = instruction('dma_resv_make_singleton', (resv: string, names: string) => ({ resv, names }), {
  text: ({ resv }) => `dma_resv_get_singleton(${resv}->resv)`,
  touches: onResv,
  run: (kernel, me, { names }) => {
    const fences = names.split(' ').filter((each) => each !== '');
    const array = fences.length > 1 ? freeArray(kernel) : undefined;
    if (array !== undefined) arrayInit(kernel, array, fences, 'all');
    returns(kernel, me, fences.length > 1 ? (array ?? '-ENOMEM') : (fences[0] ?? 'NULL'));
  },
});
/** One fence for all of them: ret is its name, 'NULL' for none at all, a new array for several, or '-ENOMEM'. */
export const dma_resv_get_singleton = (resv: string, usage: Usage): Block => [
  dma_resv_get_fences(resv, usage, 'singleton'),
  if_ret('0', [make_singleton(resv, '$singleton')]),
];

export const resvCopy: KernelObject = { ops: [copy_slots, dma_resv_test_signaled, get_slots, make_singleton] };
