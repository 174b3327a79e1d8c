/**
 * What the search engine knows: any transition system of schema-packed state. A booted design is one kind; the classic
 * systems with published sizes, against which the engine is tested, are others.
 */
import { type Fact, type KernelState, type Machine, type Open, open, reduce } from '../../model/machine.ts';
import type { Schema } from '../../model/schema.ts';
import { lineOf } from '../lasso.ts';

/** `S` is the state as readable code sees it; `F` what may be said of a step. */
export interface System<S extends object, F> {
  readonly schema: Schema;
  /** One state, for the layout: which rows exist, and the constants. */
  readonly boot: S;
  readonly processes: readonly string[];
  /** What one process can do now; reads only what decides that, and never writes. */
  open(state: S, process: string): Open;
  /** Take one step, assigning to `state`; the answer is what is to be said of it. */
  step(state: S, process: string, outcome: string): readonly F[];
  /** Where the process stands, as a text that is equal for the same instruction. */
  line(state: S, process: string): string;
}

/** A machine as a system of threads. */
export const kernelSystem = (machine: Machine): System<KernelState, Fact> => ({
  schema: machine.schema,
  boot: machine.boot,
  processes: Object.keys(machine.threads),
  open: (kernel, thread) => open(machine, kernel, thread),
  step: (kernel, thread, outcome) => {
    reduce(machine, kernel, { thread, outcome });
    return kernel.facts;
  },
  line: lineOf,
});
