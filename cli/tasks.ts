/**
 * The work that takes long, as data in and data out: the same in a worker and in this process.
 *
 * A task names its design and properties, because programs and functions do not cross into a worker. What must be
 * known while it runs (how far it is, whether to stop) crosses through a few shared counters.
 */
import type { Case } from '../model/case.ts';
import { boot } from '../model/design.ts';
import type { Entry } from '../corpus/entry.ts';
import { type Status, statusOf } from '../corpus/status.ts';
import { judge } from '../properties/judge.ts';
import { type Blame, signature } from '../properties/property.ts';
import { type FuzzFinding, fuzz } from '../properties/search/fuzz.ts';
import type { Finding } from '../properties/search/observer.ts';
import { type Sweep, sweep } from '../properties/search/sweep.ts';
import type { Want } from '../shrinkers/shrink.ts';
import { shrinkAndProve } from '../shrinkers/shortest.ts';
import { type Setting, bootSetting, chooseProperties, chosenBy } from './designs.ts';

/** Counters that all workers share with whoever waits for them. */
const COUNTERS = ['stop', 'runs', 'steps', 'states'] as const;
export type Counter = (typeof COUNTERS)[number];
export type Counters = BigInt64Array<SharedArrayBuffer>;
export const newCounters = (): Counters => new BigInt64Array(new SharedArrayBuffer(8 * COUNTERS.length));
export const countOf = (counters: Counters, counter: Counter): number =>
  Number(Atomics.load(counters, COUNTERS.indexOf(counter)));
export const add = (counters: Counters, counter: Counter, more: number): void => {
  Atomics.add(counters, COUNTERS.indexOf(counter), BigInt(more));
};

interface Common {
  readonly setting: Setting;
  readonly properties: readonly string[];
  readonly counters: Counters;
}
export interface FuzzTask extends Common {
  readonly kind: 'fuzz';
  readonly seed: number;
  readonly runs: number;
  readonly steps: number;
  readonly strategies?: readonly string[];
}
export interface SweepTask extends Common {
  readonly kind: 'sweep';
  readonly maxStates: number;
  readonly verifyEvery: number;
  readonly patient: boolean;
}
export interface ShrinkTask extends Common {
  readonly kind: 'shrink';
  readonly run: Case;
  readonly want: Want;
  /** Words that may be played, and states that each proof of minimality may search. */
  readonly budget: number;
  readonly maxStates: number;
}
export interface StatusTask {
  readonly kind: 'status';
  readonly entry: Entry;
  readonly from?: string;
}
export type Task = FuzzTask | SweepTask | ShrinkTask | StatusTask;

export interface FuzzDone {
  readonly findings: readonly FuzzFinding[];
  readonly runs: number;
  readonly steps: number;
  readonly witnesses: readonly string[];
}
export interface SweepDone extends Omit<Sweep, 'findings' | 'witnesses'> {
  readonly findings: readonly (Finding & { /** The plain reducer says the same. */ readonly confirmed: boolean })[];
  readonly witnesses: readonly string[];
}
export interface ShrinkDone {
  readonly run: Case;
  readonly runs: number;
  readonly steps: number;
  readonly complete: boolean;
  /** 'proved', or 'not proved: ' and why. */
  readonly shortest: string;
  readonly others: readonly { readonly blame: Blame; readonly run: Case }[];
}
export interface Results {
  readonly fuzz: FuzzDone;
  readonly sweep: SweepDone;
  readonly shrink: ShrinkDone;
  readonly status: Status;
}

/** Do one task. @throws when a name in it is unknown, listing what exists */
export async function work(task: Task): Promise<Results[Task['kind']]> {
  switch (task.kind) {
    case 'fuzz':
      return fuzzing(task);
    case 'sweep':
      return sweeping(task);
    case 'shrink':
      return shrinking(task);
    case 'status':
      return statusOf(task.entry, (await chosenBy(task.entry.design, task.from)).design, chooseProperties([]));
  }
}

async function fuzzing({
  setting,
  properties,
  counters,
  seed,
  runs: mostRuns,
  steps: mostSteps,
  strategies,
}: FuzzTask): Promise<FuzzDone> {
  const booted = await bootSetting(setting);
  let counted = { runs: 0, steps: 0 };
  const count = (runs: number, steps: number): void => {
    add(counters, 'runs', runs - counted.runs);
    add(counters, 'steps', steps - counted.steps);
    counted = { runs, steps };
  };
  const { findings, runs, steps, witnesses } = fuzz(booted, {
    seed,
    runs: mostRuns,
    steps: mostSteps,
    ...(strategies ? { strategies } : {}),
    properties: chooseProperties(properties),
    enough: () => countOf(counters, 'stop') > 0,
    progress: count,
  });
  count(runs, steps);
  return { findings, runs, steps, witnesses };
}

async function sweeping({
  setting,
  properties,
  counters,
  maxStates,
  verifyEvery,
  patient,
}: SweepTask): Promise<SweepDone> {
  const booted = await bootSetting(setting);
  const props = chooseProperties(properties);
  let counted = 0;
  const count = (states: number): void => {
    add(counters, 'states', states - counted);
    counted = states;
  };
  const swept = sweep(booted, props, { maxStates, verifyEvery, patient, progress: count });
  count(swept.states);
  const confirmed = (finding: Finding): boolean =>
    judge(booted, caseAt(setting, booted.workload, finding), props, patient).verdicts.some(
      ({ blame }) => signature(blame) === signature(finding.blame),
    );
  return {
    ...swept,
    findings: swept.findings.map((finding) => ({ ...finding, confirmed: confirmed(finding) })),
    witnesses: [...swept.witnesses].sort(),
  };
}

/** What a search found at a setting, as a case. */
export const caseAt = (
  { design, knobs }: Pick<Setting, 'design' | 'knobs'>,
  workload: Case['workload'],
  { schedule, loop }: Pick<Finding, 'schedule' | 'loop'>,
): Case => ({ design, knobs, workload, schedule, ...(loop ? { loop } : {}) });

async function shrinking({ setting, properties, run, want, budget, maxStates }: ShrinkTask): Promise<ShrinkDone> {
  const booted = await bootSetting(setting);
  const request = { run, want, properties: chooseProperties(properties), budget, maxStates };
  const bootAt = (knobs: Case['knobs']) => (knobs === run.knobs ? booted : boot(booted.design, knobs));
  const shrunk = shrinkAndProve({ ...request, bootAt });
  return {
    run: shrunk.case,
    runs: shrunk.runs,
    steps: shrunk.steps,
    complete: shrunk.complete,
    shortest: shrunk.proved
      ? 'proved'
      : `not proved: ${[shrunk.complete ? '' : shrunk.why, shrunk.because].filter((each) => each !== '').join('; ')}`,
    others: shrunk.others.map(({ blame, case: run }) => ({ blame, run })),
  };
}
