/**
 * GPU page tables and the TLB, which are two things (drivers/gpu/drm/xe/xe_vm_doc.h; E5.1, E7.5, PF-7).
 *
 * The page tables are what buffer.ts keeps of a mapping: `device_map` and `device_unmap` write an entry at once, as the
 * CPU does; a bind job writes it when it runs. A TLB remembers an entry from the first access on, whatever becomes of
 * the page tables, until it is told to forget. Telling it is a request: the hardware acknowledges later, and signals the
 * fence of the request then. So memory is free to be used again only after the acknowledgement, not after the unmap.
 *
 * A TLB that forgets by itself could only be less stale, and one that fetches ahead finds nothing that an access at that
 * moment would not find: neither is modelled.
 */
import { type KernelObject, type KernelState, type ThreadSpec, instruction, note, pushCall } from '../machine.ts';
import { type Kept, table, whole } from '../schema.ts';
import { might_sleep } from './context.ts';
import { dma_fence_signal } from './fence-signal.ts';
import { passPromise, pending } from './fence.ts';
import { forever } from './flow.ts';
import { device_map, device_unmap } from './buffer.ts';
import { emit } from './ring.ts';

const fields = {
  /** Flushes that were asked for and not acknowledged yet, each with its fence, or '' when nobody gave one. */
  tlbs: table({ requests: whole<readonly string[]>([]) }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type TlbRow = Kept<typeof fields>['tlbs'][string];
const rowOf = (kernel: KernelState, tlb: string): TlbRow => kernel.tlbs[tlb] as TlbRow;

/** Let a job of this ring write the entry of the buffer: until it has run, the old one holds; `fence` says when (E5.1). */
export const vm_bind_job = (ring: string, bo: string, fence: string) =>
  emit(ring, fence, fence, 'vm_bind_done', { bo });
/** The same, to take the entry away. */
export const vm_unbind_job = (ring: string, bo: string, fence: string) =>
  emit(ring, fence, fence, 'vm_unbind_done', { bo });

/** Ask the TLB to forget all it knows: from here the hardware owes `fence`. Never sleeps. */
export const tlb_invalidate = instruction('tlb_invalidate', (tlb: string, fence: string = '') => ({ tlb, fence }), {
  text: ({ tlb, fence }) => `tlb_invalidate(${tlb}${fence === '' ? '' : `, ${fence}`})`,
  touches: ({ tlb, fence }) => [['tlbs', tlb], ...(fence === '' ? [] : [['fences', fence] as const])],
  run: (kernel, _me, { tlb, fence }) => {
    rowOf(kernel, tlb).requests = [...rowOf(kernel, tlb).requests, fence];
    if (fence !== '') passPromise(kernel, fence, tlb);
  },
});
/** Wait until every flush that was asked for has been acknowledged: the hardware does it in bounded time (E7.5). */
export const tlb_invalidate_wait = instruction('tlb_invalidate_wait', (tlb: string) => ({ tlb }), {
  text: ({ tlb }) => `tlb_invalidate_wait(${tlb})`,
  touches: ({ tlb }) => [['tlbs', tlb]],
  waits: (kernel, _me, { tlb }) =>
    rowOf(kernel, tlb).requests.length > 0
      ? { on: 'TLB', object: tlb, owedBy: [tlb], because: `${tlb} has yet to acknowledge a flush` }
      : undefined,
  run: (kernel, me, { tlb }) => might_sleep(kernel, me, `tlb_invalidate_wait(${tlb})`),
});

const tlb_acknowledges = instruction('tlb_acknowledges', (tlb: string) => ({ tlb }), {
  text: ({ tlb }) => `${tlb} forgets`,
  waits: (kernel, _me, { tlb }) =>
    rowOf(kernel, tlb).requests.length === 0
      ? { on: 'TLB', object: tlb, owedBy: [], because: `nobody asks ${tlb} to forget`, idle: true }
      : undefined,
  run: (kernel, me, { tlb }) => {
    const [fence = '', ...rest] = rowOf(kernel, tlb).requests;
    rowOf(kernel, tlb).requests = rest;
    for (const entry of Object.values(kernel.tlb_entries)) if (entry.tlb === tlb) entry.leads_to = null;
    note(kernel, me, { kind: 'progress', what: `${tlb} is flushed` });
    if (fence !== '') pushCall(kernel, me, 'tlb_invalidation_done', { fence });
  },
});

/** The TLB as a thread of hardware: it acknowledges flushes, in order, on a path of its own (E7.6). */
export const tlb = (): ThreadSpec => ({
  kind: 'hardware',
  begins: 'must',
  atomic: true,
  program: [forever([tlb_acknowledges('$me')])],
  rows: (me) => ({ tlbs: { [me]: {} } }),
});

export const vm: KernelObject = {
  schema: fields,
  ops: [tlb_invalidate, tlb_invalidate_wait, tlb_acknowledges],
  routines: {
    vm_bind_done: [device_map('$bo'), dma_fence_signal('$fence')],
    vm_unbind_done: [device_unmap('$bo'), dma_fence_signal('$fence')],
    tlb_invalidation_done: [dma_fence_signal('$fence')],
  },
  leftovers: (kernel) =>
    Object.entries(kernel.tlbs).flatMap(([each, { requests }]) =>
      requests.filter((fence) => fence !== '' && pending(kernel, fence)).map((fence) => `${fence} waits for ${each}`),
    ),
};
