/** How to search, as data: what may be chosen for a search without changing what it finds. */
import type { Fact } from '../../../model/machine.ts';
import type { SweepSearch } from '../sweep.ts';
import { type BreadthOptions, breadthFirst } from './breadth.ts';
import { depthFirst } from './depth.ts';
import type { Mode } from './seen.ts';

export const ORDERS = ['breadth', 'depth'] as const;
export interface How {
  /** How states are remembered. */
  readonly storage: Mode;
  /** Breadth first gives the shortest counterexamples; depth first keeps only the way on which it stands. */
  readonly order: (typeof ORDERS)[number];
  /** Bytes that the search may hold. */
  readonly maxBytes?: number;
}

/** @param more checkpoints, which only breadth first has */
export const searchBy =
  ({ storage: mode, order, maxBytes }: How, more: Pick<BreadthOptions<Fact>, 'between' | 'resume'> = {}): SweepSearch =>
  (learned, from, visitors) => {
    const limited = { ...visitors, mode, ...(maxBytes === undefined ? {} : { maxBytes }) };
    return order === 'depth'
      ? depthFirst(learned, from, limited)
      : breadthFirst(learned, from, { ...limited, ...more, edges: visitors.edges && mode === 'full' });
  };
