/**
 * From what a search found to an entry of the corpus.
 */
import { type Entry, FORMAT, programsOf } from '../corpus/entry.ts';
import type { Case } from '../model/case.ts';
import type { Booted } from '../model/design.ts';
import type { Blame } from '../properties/property.ts';
import type { SweepDone } from './tasks/sweep.ts';

const common = (booted: Booted) => ({
  format: FORMAT as 1,
  design: booted.design.name,
  knobs: { ...booted.knobs },
  sources: [...booted.design.sources],
  programs: programsOf(booted),
});

/** A counterexample: the case, what it breaks, and how it was come by. */
export function convictedEntry(booted: Booted, run: Case, blame: Blame, found: Entry['found']): Entry {
  const { property, kind, what } = blame;
  const text = `${booted.design.name}: ${what}`;
  return {
    ...common(booted),
    title: text.length <= 500 ? text : `${text.slice(0, 499)}…`,
    workload: Object.fromEntries(Object.entries(run.workload).map(([user, calls]) => [user, [...calls]])),
    schedule: [...run.schedule],
    ...(run.loop ? { loop: [...run.loop] } : {}),
    expect: { verdict: 'convicted', property, kind },
    found,
  };
}

/** An acquittal: the whole of the bounded state space was searched, and this was seen there. */
export function acquittedEntry(booted: Booted, swept: SweepDone): Entry {
  const { states, transitions, depth, witnesses } = swept;
  return {
    ...common(booted),
    title: `${booted.design.name}: nothing is broken in any of ${states} states`,
    workload: Object.fromEntries(Object.entries(booted.workload).map(([user, calls]) => [user, [...calls]])),
    schedule: [],
    expect: { verdict: 'acquitted', states, transitions, depth, witnesses: [...witnesses], time: 'patient' },
    found: { by: 'sweep' },
  };
}
