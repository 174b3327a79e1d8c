/** What all tasks have in common: who is asked about, and the counters that whoever waits for them can read. */
import { caseAt } from '../../model/case.ts';
import type { Booted } from '../../model/design.ts';
import { judge } from '../../properties/judge.ts';
import { type Property, signature } from '../../properties/property.ts';
import type { Finding } from '../../properties/search/observer.ts';
import type { Setting } from '../designs.ts';

/**
 * Counters that all workers share with whoever waits for them. Of one search alone there are also its depth, and how many
 * states there may be in all, at least and at most; 0 says that nobody knows.
 */
const COUNTERS = ['stop', 'runs', 'steps', 'states', 'expanded', 'depth', 'all', 'low', 'high'] as const;
export type Counter = (typeof COUNTERS)[number];
export type Counters = BigInt64Array<SharedArrayBuffer>;
export const newCounters = (): Counters => new BigInt64Array(new SharedArrayBuffer(8 * COUNTERS.length));
export const countOf = (counters: Counters, counter: Counter): number =>
  Number(Atomics.load(counters, COUNTERS.indexOf(counter)));
export const add = (counters: Counters, counter: Counter, more: number): void => {
  Atomics.add(counters, COUNTERS.indexOf(counter), BigInt(more));
};
/** Set a counter of a search that is alone. */
export const set = (counters: Counters, counter: Counter, value: number): void => {
  Atomics.store(counters, COUNTERS.indexOf(counter), BigInt(Math.min(Math.round(value), Number.MAX_SAFE_INTEGER)));
};
/** Add to the common counters, given how many states of one search were found and expanded. */
export function counting(counters: Counters): (states: number, expanded?: number) => void {
  let counted = { states: 0, expanded: 0 };
  return (states, expanded = states) => {
    add(counters, 'states', states - counted.states);
    add(counters, 'expanded', expanded - counted.expanded);
    counted = { states, expanded };
  };
}

export interface Common {
  readonly setting: Setting;
  readonly properties: readonly string[];
  readonly counters: Counters;
}

/** A counterexample, and whether the plain reducer says the same of it. */
export type Confirmed = Finding & { readonly confirmed: boolean };
/** Each counterexample with the word of the plain reducer. */
export const confirmedBy = (
  booted: Booted,
  findings: readonly Finding[],
  props: readonly Property[],
  patient: boolean,
): readonly Confirmed[] =>
  findings.map((finding) => ({
    ...finding,
    confirmed: judge(booted, caseAt(booted, booted.workload, finding), props, patient).verdicts.some(
      ({ blame }) => signature(blame) === signature(finding.blame),
    ),
  }));
