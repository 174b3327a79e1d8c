/**
 * What a packed state costs, and what an object costs that a design does not use: nothing, in bytes or in time.
 *
 * Which objects a design needs is found by leaving them out, not from a list: those without which it does not boot, or a
 * sweep says something else.
 */
import { type Booted, type Design, type Knobs, boot, libraryOf, settings } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import type { KernelObject } from '../../model/machine.ts';
import { objects } from '../../model/objects/index.ts';
import { properties } from '../../properties/index.ts';
import { Packing } from '../../properties/search/packed.ts';
import { sweep } from '../../properties/search/sweep.ts';

/** A slot is a number of 16 bits. */
const SLOT_BYTES = 2;
export const packingOf = ({ machine }: Booted): Packing => new Packing(machine.schema, machine.boot);
export const packedBytes = (booted: Booted): number => packingOf(booted).width * SLOT_BYTES;

/** The setting of each design whose states are the largest. */
export const largestStates = (): { readonly design: string; readonly settings: number; readonly bytes: number }[] =>
  designs.map((design) => {
    const all = settings(design).map((knobs) => packedBytes(boot(design, knobs)));
    return { design: design.name, settings: all.length, bytes: Math.max(...all) };
  });

/** All that a sweep of this setting says, with these objects. */
export function said(design: Design, knobs: Knobs, from: readonly KernelObject[]): string {
  const { states, transitions, depth, resting, learned, findings, witnesses, why } = sweep(
    boot(design, knobs, libraryOf(from)),
    properties,
  );
  return JSON.stringify([states, transitions, depth, resting, learned, findings, [...witnesses].sort(), why]);
}

/** The objects without which this setting does not boot, or a sweep of it says something else. */
export function neededObjects(design: Design, knobs: Knobs): readonly KernelObject[] {
  const expected = said(design, knobs, objects);
  const goesWith = (from: readonly KernelObject[]): boolean => {
    try {
      return said(design, knobs, from) === expected;
    } catch {
      return false; // it names, reads or writes something that is not there
    }
  };
  /** Leave as many of these out as can be, of what is kept so far: all at once, or half by half. */
  const without = (kept: readonly KernelObject[], these: readonly KernelObject[]): readonly KernelObject[] => {
    const rest = kept.filter((object) => !these.includes(object));
    if (goesWith(rest)) return rest;
    if (these.length === 1) return kept;
    const half = these.length >> 1;
    return without(without(kept, these.slice(0, half)), these.slice(half));
  };
  return without(objects, objects);
}
