/**
 * What a search may leave out, each to be switched off by itself: they are compared with the full search one by one and
 * together (reductions.test.ts).
 */
import type { Reduction } from '../refuses.ts';

export interface Reductions {
  /** Of the orders of independent steps follow some (cluster.ts). */
  readonly partialOrder?: boolean;
  /** Do not keep states from which one step is followed. */
  readonly merge?: boolean;
  /** Leave out steps that commute with all that was taken since they were followed; it saves transitions, not states. */
  readonly sleep?: boolean;
  /** Of states that differ by an exchange of interchangeable members keep one (symmetry.ts). */
  readonly symmetry?: boolean;
  /** Of states that differ by a shift of a timeline's sequence numbers keep one (shift.ts); with none of the others. */
  readonly shift?: boolean;
}

const NAMES: Readonly<Record<keyof Reductions, Reduction>> = {
  partialOrder: 'persistent sets',
  merge: 'merged steps',
  sleep: 'sleep sets',
  symmetry: 'symmetry',
  shift: 'seqno shifting',
};

/** All that go together when just told to reduce; of those that are listed, what is listed. */
export const reductionsOf = (reduce: boolean | Reductions): Required<Reductions> => {
  const given = typeof reduce === 'boolean' ? undefined : reduce;
  const is = (name: keyof Reductions): boolean => (given ? given[name] === true : reduce === true);
  return {
    partialOrder: is('partialOrder'),
    merge: is('merge'),
    sleep: is('sleep'),
    symmetry: is('symmetry'),
    shift: given?.shift === true,
  };
};

/** Those that are switched on, as the field names them. */
export const namesOf = (reductions: Reductions): readonly Reduction[] =>
  (Object.keys(NAMES) as (keyof Reductions)[]).flatMap((name) => (reductions[name] ? [NAMES[name]] : []));
