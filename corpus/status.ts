/**
 * What became of an entry: it is played again on the design as it is now, and the answer is never just pass or fail.
 *
 * A counterexample that no longer convicts may have been fixed, or its words may no longer mean anything; an
 * acquittal may rest on a smaller search than it used to. These are different news, so they have different names.
 */
import type { Booted, Design } from '../model/design.ts';
import { boot } from '../model/design.ts';
import { type Judgement, judge } from '../properties/judge.ts';
import { type Property, signature } from '../properties/property.ts';
import { type Sweep, sweep } from '../properties/search/sweep.ts';
import { type Acquitted, type Convicted, type Entry, caseOf, changes, programsOf } from './entry.ts';

/** What happened when it was played. */
export type Played = 'reproduces' | 'different' | 'passes' | 'vacuous' | 'cannot be played';
export interface Status {
  readonly status: 'reproduces' | 'different' | 'passes' | 'vacuous' | 'stale';
  readonly played: Played;
  /** What happened, in a sentence. */
  readonly says: string;
  /** What changed in the design since the entry was recorded; not empty means stale. */
  readonly changed: readonly string[];
  /** The words that could not be followed, by place in the schedule. */
  readonly skipped: readonly number[];
}

/** An acquittal is searched again at most this many times as far as it was recorded. */
const FARTHER = 4;
const LEAST_STATES = 100_000;

/** Play an entry on this design, which has the name that the entry asks for. */
export function statusOf(entry: Entry, design: Design, properties: readonly Property[]): Status {
  const changed: string[] = [];
  let booted: Booted;
  try {
    booted = bootNow(entry, design, changed);
  } catch (error) {
    const why = (error as Error).message;
    return { status: 'stale', played: 'cannot be played', says: 'cannot be played', changed: [why], skipped: [] };
  }
  changed.push(...changes(entry.programs, programsOf(booted)));
  try {
    const { played, says, skipped } =
      entry.expect.verdict === 'convicted'
        ? convictedNow(entry.expect, judge(booted, caseOf(entry), properties), entry)
        : acquittedNow(
            entry.expect,
            sweep(booted, properties, { workload: entry.workload, maxStates: bound(entry.expect) }),
          );
    if (changed.length > 0 || played === 'cannot be played') return { status: 'stale', played, says, changed, skipped };
    return { status: played, played, says, changed, skipped };
  } catch (error) {
    const why = (error as Error).message;
    return {
      status: 'stale',
      played: 'cannot be played',
      says: 'cannot be played',
      changed: [...changed, why],
      skipped: [],
    };
  }
}

const bound = ({ states }: Acquitted): number => Math.max(LEAST_STATES, FARTHER * states);

/** A knob that is newer than the entry stands at its tamest value, and that is worth saying. */
function bootNow(entry: Entry, design: Design, changed: string[]): Booted {
  const booted = boot(design, entry.knobs);
  for (const [knob, value] of Object.entries(booted.knobs))
    if (!Object.hasOwn(entry.knobs, knob)) changed.push(`knob ${knob} is new and stands at ${value}`);
  return booted;
}

type Outcome = Pick<Status, 'played' | 'says' | 'skipped'>;

function convictedNow({ property, kind }: Convicted, judged: Judgement, { schedule }: Entry): Outcome {
  const { skipped, verdicts } = judged;
  const wanted = verdicts.find(({ blame }) => blame.property === property && blame.kind === kind);
  const lost = skipped.length === 0 ? '' : `; ${wordsSkipped(skipped, schedule)}`;
  if (wanted) return { played: 'reproduces', says: `${wanted.blame.what}${lost}`, skipped };
  if (verdicts.length > 0) {
    const instead = verdicts.map(({ blame }) => signature(blame)).join(', ');
    return { played: 'different', says: `breaks ${instead} instead of ${property} (${kind})${lost}`, skipped };
  }
  if (skipped.length > 0)
    return { played: 'vacuous', says: `breaks nothing, but ${wordsSkipped(skipped, schedule)}`, skipped };
  return { played: 'passes', says: `every word could be followed and nothing is broken any more`, skipped };
}

function wordsSkipped(skipped: readonly number[], schedule: readonly string[]): string {
  const first = skipped[0] as number;
  return `${skipped.length} of ${schedule.length} words could not be followed, the first is number ${first + 1}, "${schedule[first]}"`;
}

function acquittedNow(expect: Acquitted, swept: Sweep): Outcome {
  const skipped: readonly number[] = [];
  if (swept.findings.length > 0) {
    const found = swept.findings.map(({ blame }) => signature(blame)).join(', ');
    return { played: 'different', says: `is convicted of ${found} instead of acquitted`, skipped };
  }
  if (!swept.complete)
    return {
      played: 'different',
      says: `the search did not end within ${swept.states} states instead of ${expect.states}`,
      skipped,
    };
  const missing = expect.witnesses.filter((witness) => !swept.witnesses.has(witness));
  if (missing.length > 0)
    return { played: 'vacuous', says: `nothing is broken, but it was never seen that: ${missing.join('; ')}`, skipped };
  const drifted = (['states', 'transitions', 'depth'] as const)
    .filter((number) => swept[number] !== expect[number])
    .map((number) => `${swept[number]} ${number} instead of ${expect[number]}`);
  if (drifted.length > 0) return { played: 'different', says: `nothing is broken, but ${drifted.join(', ')}`, skipped };
  return {
    played: 'reproduces',
    says: `nothing is broken in ${swept.states} states, ${expect.witnesses.length} witnesses seen`,
    skipped,
  };
}
