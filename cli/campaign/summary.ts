/**
 * What a campaign has to say, as data: a function of its plan and the set of its records, and of the corpus it is held
 * against. Neither clock nor order nor the number of machines is in it, so parts that were played elsewhere add up.
 */
import {
  type CircleRow,
  type FindingRow,
  NEWS,
  type SettingRow,
  type StrategyRow,
  type Summary,
  type UnseenRow,
} from '../../reports/campaign.ts';
import { canonicalForm } from '../../corpus/canonical.ts';
import { caseOf, hashOf } from '../../corpus/entry.ts';
import type { Case } from '../../model/case.ts';
import type { Booted } from '../../model/design.ts';
import { groupOf } from '../../properties/circle-of-debts.ts';
import { judge } from '../../properties/judge.ts';
import { type Blame, type Property, signature } from '../../properties/property.ts';
import { standsAt } from '../../properties/search/campaign/features.ts';
import { pctOdds } from '../../properties/search/campaign/pct-odds.ts';
import { makesReal, touches } from '../../properties/search/campaign/realised.ts';
import { Sightings, residual } from '../../properties/search/campaign/residual.ts';
import { type Unseen, unseen } from '../../properties/search/campaign/unseen.ts';
import { type Setting, bootSetting } from '../designs.ts';
import type { Corpus, Known } from '../known.ts';
import type { BatchRecord, ProofRecord } from './journal.ts';
import { type Plan, settingOf } from './plan.ts';
import type { Records, Tally } from './records.ts';

/** Met by fewer of the batches of its setting than this, a finding is rare. */
const RARE = 1 / 20;

/** A finding as it came, before it is shrunk. */
export interface Raw {
  readonly group: string;
  readonly blame: Blame;
  readonly run: Case;
  readonly strategy: string;
  readonly seed: number;
  readonly runs: number;
  readonly steps: number;
  readonly classes: readonly string[];
}
/** What is said of whether a finding is shortest, before it is shrunk. */
export const UNSHRUNK = 'not proved: not shrunk yet';
/** The name by which a case is shrunk once. */
export const hashOfRaw = ({ group, run }: Pick<Raw, 'group' | 'run'>): string => hashOf([group, run]);

/** One of each group of findings at each setting: the first by chain and round, and what only shrinking came across. */
export function rawFindings(plan: Plan, records: Records): Map<number, Map<string, Raw>> {
  const found = new Map<number, Map<string, Raw>>();
  for (let setting = 0; setting < plan.settings.length; setting += 1) {
    const groups = new Map<string, Raw>();
    const add = (raw: Raw): void => {
      if (!groups.has(raw.group)) groups.set(raw.group, raw);
    };
    for (const { done } of records.news(setting))
      for (const { group, blame, run, strategy, runs, steps, classes } of done.found)
        add({ group, blame, run, strategy, seed: plan.seed, runs, steps, classes });
    for (const raw of groups.values())
      for (const { blame, run } of records.shrunk.get(hashOfRaw(raw))?.others ?? [])
        add({ ...raw, group: groupOf(blame), blame, run, classes: [] });
    if (groups.size > 0) found.set(setting, groups);
  }
  return found;
}

/** The groups of findings that the corpus has of a setting, with what becomes of each now. */
export interface Remembered {
  readonly known: Known;
  readonly group: string | undefined;
  readonly blame: Pick<Blame, 'property' | 'kind' | 'what'>;
}
export function remembered(booted: Booted, all: readonly Known[], props: readonly Property[]): Remembered[] {
  return all.flatMap((known) => {
    const { expect } = known.entry;
    if (expect.verdict !== 'convicted' || !props.some(({ name }) => name === expect.property)) return [];
    const verdict = judge(booted, caseOf(known.entry), props).verdicts.find(
      ({ blame }) => signature(blame) === signature(expect),
    );
    const blame = verdict?.blame ?? { ...expect, what: known.entry.title };
    return [{ known, group: verdict && groupOf(verdict.blame), blame }];
  });
}

/** What the corpus says of a finding at its setting: it has this circle of debts, or the verdict by another one. */
export function standingOf(
  { group, blame }: Pick<Raw, 'group' | 'blame'>,
  corpus: readonly Remembered[],
): { readonly known?: Remembered; readonly kin: boolean } {
  const known = corpus.find((each) => each.group === group);
  return { ...(known ? { known } : {}), kin: corpus.some((each) => signature(each.blame) === signature(blame)) };
}

export interface Against {
  readonly corpus: Corpus;
  readonly properties: readonly Property[];
}

export async function summaryOf(plan: Plan, records: Records, { corpus, properties }: Against): Promise<Summary> {
  const raws = rawFindings(plan, records);
  const findings: FindingRow[] = [];
  const settings: SettingRow[] = [];
  let [once, twice] = [0, 0];
  for (let number = 0; number < plan.settings.length; number += 1) {
    const setting = settingOf(plan, number);
    const tally = records.tally(number);
    if (!tally) continue;
    const own = records.news(number);
    const booted = await bootSetting(setting);
    const groups = raws.get(number) ?? new Map<string, Raw>();
    findings.push(
      ...findingRows(booted, setting, tally, groups, records, remembered(booted, corpus.at(setting), properties)),
    );
    const sightings = sightingsOf(own, tally.runs);
    settings.push(settingRow(booted, tally, own, sightings, groups, records.proofs.get(number)));
    once += sightings.runsWith(1);
    twice += sightings.runsWith(2);
  }
  const sum = (of: 'batches' | 'runs' | 'steps'): number => settings.reduce((all, each) => all + each[of], 0);
  return {
    seed: plan.seed,
    properties: plan.properties,
    batches: sum('batches'),
    runs: sum('runs'),
    steps: sum('steps'),
    features: settings.reduce((all, { features }) => all + features, 0),
    ...(records.canary ? { canary: records.canary.run } : {}),
    findings: findings.sort(byNews),
    strategies: strategyRows(plan, records),
    residual: residual(sum('runs'), once, twice),
    settings,
    broken: records.broken.map((record) => ({
      design: settingOf(plan, record.chain).design,
      knobs: settingOf(plan, record.chain).knobs,
      batch: `${record.chain}.${record.round}`,
      why: record.why,
    })),
  };
}

/** What a campaign that missed its planted bug ends with. */
export const WORTHLESS = 3;
/** The status with which a campaign ends that was not stopped by hand. */
export function endOf({ canary, broken, findings }: Summary): number {
  if (canary === 0) return WORTHLESS;
  return broken.length > 0 || findings.some(({ news }) => news === 'new' || news === 'resolved') ? 1 : 0;
}

const byNews = (a: FindingRow, b: FindingRow): number => NEWS.indexOf(a.news) - NEWS.indexOf(b.news);

function sightingsOf(news: readonly BatchRecord[], runs: number): Sightings {
  const sightings = new Sightings(runs);
  for (const { chain, round, done } of news) sightings.add(`${chain}.${round}`, done);
  return sightings;
}

function findingRows(
  booted: Booted,
  { design, knobs }: Setting,
  tally: Tally,
  groups: ReadonlyMap<string, Raw>,
  { shrunk }: Records,
  corpus: readonly Remembered[],
): FindingRow[] {
  const common = { design, knobs, of: tally.batches };
  const rows: FindingRow[] = [];
  /** Verdicts of the corpus that were met, by whatever circle. */
  const verdicts = new Set<string>();
  for (const [group, raw] of groups) {
    const { property, kind, what } = raw.blame;
    const small = shrunk.get(hashOfRaw(raw));
    const { known, kin } = standingOf(raw, corpus);
    if (kin) verdicts.add(signature(raw.blame));
    const met = tally.met.get(group) ?? 0;
    const shortened = small?.run ?? raw.run;
    rows.push({
      ...common,
      news: !known ? (kin ? 'variant' : 'new') : met < tally.batches * RARE ? 'rare' : 'known',
      property,
      kind,
      group,
      what,
      met,
      strategy: raw.strategy,
      words: shortened.schedule.length + (shortened.loop?.length ?? 0),
      shortest: small?.shortest ?? UNSHRUNK,
      ...(small ? { form: hashOf(canonicalForm(booted, small.run)) } : {}),
      ...(known ? { known: nameOfFile(known.known.path) } : {}),
    });
  }
  for (const { known, group, blame } of corpus) {
    if (group !== undefined && (groups.has(group) || verdicts.has(signature(blame)))) continue;
    const { property, kind, what } = blame;
    const words = known.entry.schedule.length + (known.entry.loop?.length ?? 0);
    rows.push({
      ...common,
      news: group === undefined ? 'resolved' : 'rare',
      property,
      kind,
      group: group ?? signature(blame),
      what,
      met: 0,
      words,
      known: nameOfFile(known.path),
    });
  }
  return rows;
}
const nameOfFile = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

function settingRow(
  booted: Booted,
  tally: Tally,
  own: readonly BatchRecord[],
  sightings: Sightings,
  groups: ReadonlyMap<string, Raw>,
  proof: ProofRecord | undefined,
): SettingRow {
  const seen = { taken: new Set<string>(), offered: new Set<string>(), witnesses: new Set<string>() };
  for (const { done } of own) {
    for (const name of done.taken) seen.taken.add(name);
    for (const name of done.offered) seen.offered.add(name);
    for (const name of done.witnesses) seen.witnesses.add(name);
  }
  return {
    design: booted.design.name,
    knobs: booted.knobs,
    batches: tally.batches,
    runs: tally.runs,
    steps: tally.steps,
    features: sightings.count,
    residual: sightings.residual(),
    pct: pctOdds(Object.keys(booted.machine.threads).length, tally.pct),
    unseen: unseen(booted, seen).map((each) => ({ ...each, ...almostOf(each, own) })),
    circles: circleRows(groups, proof),
  };
}

/** The case that was the first of its chain to come to the place nearest to what was never seen. */
function almostOf({ near }: Unseen, own: readonly BatchRecord[]): Pick<UnseenRow, 'almost'> {
  if (near === undefined) return {};
  const feature = standsAt(near);
  for (const { done } of own) {
    const fresh = done.fresh.find(([each]) => each === feature);
    const almost = fresh && done.cases.find(({ run }) => run === fresh[1]);
    if (almost) {
      const { strategy, workload, schedule } = almost;
      return { almost: { strategy, workload, schedule } };
    }
  }
  return {};
}

function circleRows(groups: ReadonlyMap<string, Raw>, proof: ProofRecord | undefined): CircleRow[] {
  const met = [...groups.values()].filter(({ blame }) => blame.property === 'no-deadlock');
  return [...groups.values()].flatMap(({ blame }): CircleRow[] => {
    if (blame.property !== 'lock-order') return [];
    const classes = blame.links.map(({ who }) => who);
    if (met.some((each) => makesReal(each, classes))) return [{ classes, says: 'real', states: 0 }];
    if (!proof) return [{ classes, says: 'open', states: 0 }];
    const { states, complete, deadlocks } = proof;
    if (deadlocks.some((each) => makesReal(each, classes))) return [{ classes, says: 'real', states }];
    const forbidden = complete && !deadlocks.some((each) => touches(each, classes));
    return [{ classes, says: forbidden ? 'forbidden' : 'open', states }];
  });
}

function strategyRows({ strategies, settings }: Plan, records: Records): StrategyRow[] {
  return strategies.map((name) => {
    const row = { name, runs: 0, steps: 0, fresh: 0, findings: 0 };
    for (let setting = 0; setting < settings.length; setting += 1) {
      const own = records.tally(setting)?.yields.get(name);
      row.runs += own?.runs ?? 0;
      row.steps += own?.steps ?? 0;
      row.fresh += own?.fresh ?? 0;
      for (const { done } of records.news(setting))
        row.findings += done.found.filter(({ strategy }) => strategy === name).length;
    }
    return row;
  });
}
