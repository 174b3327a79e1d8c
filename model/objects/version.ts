/**
 * Which kernel this is: where two releases differ and a verdict depends on it (fence-core appendix 5).
 *
 * A design that says nothing gets the newer side of every switch. A switch is fixed at boot, so it is free to read and
 * no part of the state: `objects: { version: { switches: { begin_signalling_trylock: false } } }`.
 */
import type { KernelObject, KernelState } from '../machine.ts';
import { type Kept, constant, table } from '../schema.ts';

const fields = {
  version: table({
    /** Entering a signalling section is a trylock to lockdep, not an acquisition (L-4, LD-11). */
    begin_signalling_trylock: constant<boolean>(true),
    /** Waiting on a reservation with no time to wait is a poll, not a jiffy for each fence. */
    resv_wait_zero_timeout: constant<boolean>(true),
    /** Reserving no slot at all is refused with a warning. */
    resv_reserve_zero: constant<boolean>(true),
    /** Adding the very fence that stands in a slot overwrites it, not only a later one of its context. */
    resv_add_same_fence: constant<boolean>(true),
    /** A static importer pins and maps for each mapping, not once and for all when it attaches (B-18). */
    static_attach_maps_on_map: constant<boolean>(true),
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
export type Switch = keyof typeof fields.version.fields;

/** Does this kernel behave as newer releases do? */
export const newer = (kernel: KernelState, which: Switch): boolean => kernel.version['switches']?.[which] ?? true;

export const version: KernelObject = { schema: fields, one: { switches: undefined }, ops: [] };
