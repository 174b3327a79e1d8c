/**
 * The audit: a verdict is worth as much as the search behind it, so it is repeated by searches that have as little as
 * possible in common with it, and nothing may differ.
 *
 * - breadth first in full states by the simple loop of explore.ts, with another hash, without reductions, fair circles and
 *   all, where every so many states are played again on plain objects;
 * - without loss and without any hash at all, in a tree of shared pairs (storage/tree.ts), also with another hash beneath;
 * - depth first, by fingerprints of yet another hash;
 * - where the system is small enough, on plain objects, by the oracle that has learned nothing (plain-sweep.ts);
 * - and every counterexample is played by the plain reducer.
 *
 * Counterexamples may differ from search to search; their number, their signatures and, breadth first, their lengths may not.
 */
import { REBOOT, caseAt } from '../../model/case.ts';
import type { Booted } from '../../model/design.ts';
import { judge } from '../judge.ts';
import { type Property, signature } from '../property.ts';
import { explore } from './explore.ts';
import type { Finding } from './observer.ts';
import { plainSweep } from './plain-sweep.ts';
import { searchBy } from './storage/how.ts';
import { grouped } from './storage/limits.ts';
import { type Sweep, type SweepOptions, type SweepSearch, sweep } from './sweep.ts';

export interface AuditOptions extends Pick<SweepOptions, 'patient' | 'workload' | 'progress'> {
  /** The verdict rests on a search that left states out. */
  readonly reduced: boolean;
  /** States that may be repeated on plain objects; more are not. */
  readonly mostPlain?: number;
}
export interface Audit {
  /** The searches that were compared with the verdict, in words. */
  readonly compared: readonly string[];
  /** In what they differ from it; nothing is as it should be. */
  readonly differences: readonly string[];
}

const MOST_PLAIN = 20_000;
/** Of a larger system, about this many states are played again on plain objects. */
const VERIFIED = 5_000;

/** @param verdict of a search that came to its end */
export function audit(booted: Booted, props: readonly Property[], verdict: Sweep, options: AuditOptions): Audit {
  const { patient = true, workload = booted.workload, reduced, mostPlain = MOST_PLAIN, progress } = options;
  const compared: string[] = [];
  const differences: string[] = [];
  const repeat = (name: string, alike: Alike, run: () => Outcome): void => {
    compared.push(name);
    try {
      for (const what of differ(outcomeOf(verdict), run(), alike)) differences.push(`${name}: ${what}`);
    } catch (error) {
      differences.push(`${name}: ${(error as Error).message}`);
    }
  };
  const by = (search: SweepSearch, salt: number, verifyEvery = 0): Outcome => {
    const usual = { patient, workload, maxStates: Number.MAX_SAFE_INTEGER, ...(progress ? { progress } : {}) };
    return outcomeOf(sweep(booted, props, { ...usual, salt, verifyEvery, search }));
  };

  const verifyEvery = Math.max(1, Math.floor(verdict.states / VERIFIED));
  const all: Alike = { counts: !reduced, lengths: !reduced, circles: true };
  const straight: Alike = { ...all, circles: false };
  repeat('in full states with another hash', all, () => by(simply, 1, verifyEvery));
  repeat('in a tree of pairs', straight, () => by(searchBy({ storage: 'tree', order: 'breadth' }), 2));
  repeat('depth first by fingerprints', { ...straight, lengths: false }, () =>
    by(searchBy({ storage: 'fingerprints', order: 'depth' }), 3),
  );
  if (verdict.states <= mostPlain && patient)
    repeat('on plain objects', straight, () => plainSweep(booted, props, workload, 100 * mostPlain));
  compared.push('by the plain reducer');
  for (const finding of verdict.findings) {
    const { verdicts } = judge(booted, caseAt(booted, workload, finding), props, patient);
    if (!verdicts.some(({ blame }) => signature(blame) === signature(finding.blame)))
      differences.push(`by the plain reducer: its counterexample does not show ${signature(finding.blame)}`);
  }
  return { compared, differences };
}

/** The loop that shares nothing with the fast ones. */
const simply: SweepSearch = (learned, from, visitors) => {
  const graph = explore(learned, from, visitors);
  return { ...graph, states: graph.store.count, bytes: graph.store.bytes, ...(visitors.edges ? { graph } : {}) };
};

/** What two searches may be compared in. */
interface Outcome extends Pick<Sweep, 'states' | 'transitions' | 'depth' | 'resting' | 'witnesses'> {
  /** Length of a counterexample by signature; -1 of one that goes round for ever, or was put together of several. */
  readonly found: ReadonlyMap<string, number>;
  readonly circles?: ReadonlySet<string>;
}
/** In what they must be alike, besides signatures, witnesses and states at rest. */
interface Alike {
  readonly counts: boolean;
  /** Lengths of counterexamples, and the depth. */
  readonly lengths: boolean;
  readonly circles: boolean;
}

function outcomeOf(swept: Sweep): Outcome {
  const { findings } = swept;
  const length = ({ schedule, loop }: Finding): number => (loop || schedule.includes(REBOOT) ? -1 : schedule.length);
  return {
    ...swept,
    found: new Map(findings.map((finding) => [signature(finding.blame), length(finding)])),
    circles: new Set(findings.flatMap(({ blame, loop }) => (loop ? [signature(blame)] : []))),
  };
}

function differ(before: Outcome, now: Outcome, { counts, lengths, circles }: Alike): string[] {
  const numbers = [
    ...(counts ? (['states', 'transitions'] as const) : []),
    ...(lengths ? (['depth'] as const) : []),
    'resting',
  ] as const;
  const unlike = (what: string, here: ReadonlySet<string>, there: ReadonlySet<string>): string[] => [
    ...[...here].filter((each) => !there.has(each)).map((each) => `${what} is gone: ${each}`),
    ...[...there].filter((each) => !here.has(each)).map((each) => `${what} is new: ${each}`),
  ];
  const names = ({ found, circles: loops }: Outcome): Set<string> =>
    new Set([...found.keys()].filter((name) => circles || !loops?.has(name)));
  return [
    ...numbers
      .filter((what) => before[what] !== now[what])
      .map((what) => `${what}: ${grouped(before[what])} before, ${grouped(now[what])} now`),
    ...unlike('a finding', names(before), names(now)),
    ...unlike('a witness', before.witnesses, now.witnesses),
    ...[...before.found]
      .filter(
        ([name, length]) =>
          lengths && length >= 0 && (now.found.get(name) ?? -1) >= 0 && now.found.get(name) !== length,
      )
      .map(([name, length]) => `the shortest way to ${name}: ${length} before, ${now.found.get(name)} now`),
  ];
}
