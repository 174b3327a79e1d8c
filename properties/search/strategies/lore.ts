/**
 * What a strategy may know of a run before it begins, and of the runs before it. Nobody has to use it; a strategy that
 * uses none of it is free of memory.
 */
import type { Blame } from '../../property.ts';
import type { Learned } from '../learned.ts';

/** What is switched off for one run: threads that need not begin, and about half of the ways that are not the tamest. */
export interface Mask {
  readonly threads: ReadonlySet<string>;
  /** Decides of each outcome, by its name, whether it is off. */
  readonly coin: number;
}
/** An edge of a circle in the order of locks: this class is taken while that one is held. */
export interface Order {
  readonly held: string;
  readonly taken: string;
}
/** The circle that a finding in the order of locks predicts. */
export const ordersOf = ({ links }: Blame): readonly Order[] =>
  links.map(({ who, wait }) => ({ held: who, taken: wait.object }));

export interface Lore {
  readonly learned: Learned;
  /** How often an instruction goes another than its tamest way: 0 in calm weather. */
  readonly rough: number;
  /** Steps that each thread took in runs of this workload so far, on average; 1 where nobody knows. */
  readonly paces: Float64Array;
  /** Of a run that switches things off. */
  readonly mask?: Mask;
  /** The words of a case that was interesting, to be followed as far as they can be. */
  readonly script?: readonly string[];
  /** Circles of lock classes that were predicted, one of which is to be made real. */
  readonly circle?: readonly Order[];
}
