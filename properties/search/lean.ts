/**
 * The lean search: breadth first, but of the states seen it keeps only 64-bit fingerprints. Two different states with
 * one fingerprint would be taken for one: `omission` bounds how likely it is that this happened at all.
 */
import type { ExploreOptions } from './explore.ts';
import type { Learned } from './learned.ts';
import { breadthFirst } from './storage/breadth.ts';
import { omission } from './storage/fingerprint-seen.ts';

export interface Lean {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
  readonly exhausted: boolean;
  readonly bytes: number;
  /** An upper bound of the probability that any state was left out because of equal fingerprints. */
  readonly omission: number;
  schedule(state: number): string[];
}
export interface LeanOptions<F> extends Omit<ExploreOptions<F>, 'edges'> {
  /** States to make room for at once. */
  readonly expect?: number;
}

export function lean<S extends object, F>(learned: Learned<S, F>, from: Uint16Array, options: LeanOptions<F>): Lean {
  const found = breadthFirst(learned, from, { ...options, mode: 'fingerprints', edges: false });
  return { ...found, omission: omission(found.states) };
}
