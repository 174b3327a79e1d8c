/**
 * The final report of a campaign: what is new comes first, and then what to make of the silence. A function of the data
 * alone, so that the same batches give the same text wherever they were played.
 */
import { type Knobs, showKnobs } from '../model/design.ts';
import type { Interesting } from '../properties/search/campaign/chain.ts';
import type { PctOdds } from '../properties/search/campaign/pct-odds.ts';
import type { Residual } from '../properties/search/campaign/residual.ts';
import type { Unseen } from '../properties/search/campaign/unseen.ts';
import type { Look, Style } from './reporter.ts';
import { grouped } from './row.ts';
import { padded, wrap } from './wrap.ts';

/** A variant is a known verdict of its setting by another circle of debts. */
export type News = 'new' | 'variant' | 'known' | 'rare' | 'resolved';
export interface FindingRow {
  readonly news: News;
  readonly design: string;
  readonly knobs: Knobs;
  readonly property: string;
  readonly kind: string;
  /** Property, kind and circle of debts. */
  readonly group: string;
  readonly what: string;
  /** Batches of this setting that met it, and how many there were. */
  readonly met: number;
  readonly of: number;
  /** How it was met first in its chain. */
  readonly strategy?: string;
  readonly words?: number;
  /** 'proved', or 'not proved: ' and why. */
  readonly shortest?: string;
  /** A hash of the canonical form of the shrunk case: equal forms are one bug, at whatever settings. */
  readonly form?: string;
  /** Of a finding that the corpus has: the name of the file. */
  readonly known?: string;
}
export interface StrategyRow {
  readonly name: string;
  readonly runs: number;
  readonly steps: number;
  /** Features and groups of findings that it was the first to show in a chain. */
  readonly fresh: number;
  readonly findings: number;
}
export interface UnseenRow extends Unseen {
  /** The case that almost did: the first that came to the nearest place. */
  readonly almost?: Pick<Interesting, 'strategy' | 'workload' | 'schedule'>;
}
/** A circle in the order of locks that was predicted, and whether it can be made real. */
export interface CircleRow {
  readonly classes: readonly string[];
  readonly says: 'real' | 'forbidden' | 'open';
  /** The states that were searched for the answer; 0 when a run was the answer, or nobody asked yet. */
  readonly states: number;
}
export interface SettingRow {
  readonly design: string;
  readonly knobs: Knobs;
  readonly batches: number;
  readonly runs: number;
  readonly steps: number;
  readonly features: number;
  readonly residual: Residual;
  readonly pct: readonly PctOdds[];
  readonly unseen: readonly UnseenRow[];
  readonly circles: readonly CircleRow[];
}
export interface Summary {
  readonly seed: number;
  readonly properties: readonly string[];
  readonly batches: number;
  readonly runs: number;
  readonly steps: number;
  readonly features: number;
  /** In which run the planted bug was found; 0 when it was missed; nothing when it was not played. */
  readonly canary?: number;
  readonly findings: readonly FindingRow[];
  readonly strategies: readonly StrategyRow[];
  readonly residual: Residual;
  readonly settings: readonly SettingRow[];
  /** Batches that the harness could not play. */
  readonly broken: readonly {
    readonly design: string;
    readonly knobs: Knobs;
    readonly batch: string;
    readonly why: string;
  }[];
}

/** Of what a list has more, so many lines are shown; the rest is counted, and all of it is in the JSON. */
const SHOWN = 12;
const LABELS: Readonly<Record<News, readonly [label: string, style: Style]>> = {
  new: ['NEW', 'bad'],
  resolved: ['RESOLVED', 'good'],
  rare: ['RARE', 'wait'],
  variant: ['variant', 'dim'],
  known: ['known', 'dim'],
};
/** What is most worth reading first. */
export const NEWS = Object.keys(LABELS) as readonly News[];
const INDENT = '  ';

export function campaignReport(summary: Summary, look: Look): string {
  return [
    heading(summary, look),
    findingsPart(summary, look),
    brokenPart(summary, look),
    strategiesPart(summary, look),
    silencePart(summary, look),
    circlesPart(summary, look),
    unseenPart(summary, look),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function heading({ settings, batches, runs, steps, features, canary, seed }: Summary, { paint }: Look): string {
  const planted =
    canary === undefined
      ? paint('bad', 'the planted bug was not played: this says nothing about the harness')
      : canary === 0
        ? paint('bad', 'the planted bug was MISSED: whatever else stands here is worthless')
        : `the planted bug was found in run ${canary}`;
  const told = `${grouped(settings.length)} settings, ${grouped(batches)} batches, ${grouped(runs)} runs, ${grouped(steps)} steps, ${grouped(features)} features (seed ${seed})`;
  return `${paint('title', told)}\n${planted}`;
}

/** Findings with the same group and the same canonical form, at any settings of one design. */
function alike(rows: readonly FindingRow[]): FindingRow[][] {
  const bugs = new Map<string, FindingRow[]>();
  for (const row of rows) {
    const key = [row.news, row.design, row.group, row.form ?? ''].join('\n');
    bugs.set(key, [...(bugs.get(key) ?? []), row]);
  }
  return [...bugs.values()];
}

function findingsPart({ findings }: Summary, { paint, width }: Look): string {
  if (findings.length === 0) return `${paint('heading', 'findings')}\n${INDENT}none; only a complete search acquits`;
  const counts = NEWS.map((news) => `${findings.filter((row) => row.news === news).length} ${news}`);
  const lines = alike(findings).flatMap((rows) => {
    const [row] = rows as [FindingRow, ...FindingRow[]];
    const [label, style] = LABELS[row.news];
    const how =
      row.news === 'resolved'
        ? `${row.known} does not show it any more`
        : row.met === 0
          ? `not met; ${row.known} still shows it in ${row.words} words`
          : `${row.strategy} met it first; in ${rows.map(({ met, of }) => `${met} of ${of}`).join(', ')} batches; ${row.known ?? `${row.words} words, ${row.shortest}`}`;
    return [
      `${paint(style, padded(label, 9))}${paint('name', row.design)}: ${row.property} (${row.kind})`,
      ...wrap(rows.map(({ knobs }) => showKnobs(knobs) || 'no knobs').join(' · '), width - 9, '').map(indented),
      ...wrap(row.what, width - 9, '').map(indented),
      ...wrap(how, width - 9, '').map((line) => paint('dim', indented(line))),
    ];
  });
  return [`${paint('heading', 'findings')}  ${counts.join(', ')}`, ...lines].join('\n');
}
const indented = (line: string): string => ' '.repeat(9) + line;

function brokenPart({ broken }: Summary, { paint }: Look): string {
  if (broken.length === 0) return '';
  const lines = broken.map(
    ({ design, knobs, batch, why }) => `${INDENT}${at({ design, knobs })}: batch ${batch}: ${why}`,
  );
  return [paint('bad', 'findings against the harness'), ...shortened(lines)].join('\n');
}

function strategiesPart({ strategies }: Summary, { paint }: Look): string {
  const rows = strategies.map(({ name, runs, steps, fresh, findings }) => [
    name,
    grouped(runs),
    grouped(steps),
    grouped(fresh),
    steps === 0 ? '-' : ((fresh * 1000) / steps).toFixed(2),
    grouped(findings),
  ]);
  return [
    paint('heading', 'what each strategy brought'),
    ...table([['strategy', 'runs', 'steps', 'first to show', 'a thousand steps', 'findings'], ...rows]),
  ].join('\n');
}

function silencePart({ residual, settings, runs }: Summary, { paint, width }: Look): string {
  const lines = [
    `Chance that one more run shows a feature never seen: ${percent(residual.chance)} (95 %: ${percent(residual.low)} to ${percent(residual.high)}), by Good and Turing over ${grouped(runs)} runs; it supposes that the next run is made like those before.`,
  ];
  const worst = settings.toSorted((a, b) => b.residual.high - a.residual.high).slice(0, 3);
  if (settings.length > 1)
    lines.push(
      `Highest at: ${worst.map(({ design, knobs, residual: { chance, high } }) => `${at({ design, knobs })} ${percent(chance)} (up to ${percent(high)})`).join('; ')}.`,
    );
  for (const { depth, steps, missed } of weakest(settings))
    lines.push(
      `A bug of depth ${depth} within ${steps} steps of a design's own workload, in calm weather, would have been missed with probability at most ${percent(missed)} (PCT, the worst of all settings).`,
    );
  return [
    paint('heading', 'what the silence is worth'),
    ...lines.flatMap((line) => wrap(line, width - 2).map((each) => INDENT + each)),
  ].join('\n');
}
/** Of every depth and length, the setting at which a bug is missed most easily. */
function weakest(settings: readonly SettingRow[]): PctOdds[] {
  const worst = new Map<string, PctOdds>();
  for (const { pct } of settings)
    for (const odds of pct) {
      const key = `${odds.depth} ${odds.steps}`;
      const known = worst.get(key);
      if (!known || odds.missed > known.missed) worst.set(key, odds);
    }
  return [...worst.values()].filter(
    ({ steps }) => steps === Math.min(...[...worst.values()].map((each) => each.steps)),
  );
}

function circlesPart({ settings }: Summary, { paint, width }: Look): string {
  const lines = settings.flatMap(({ design, knobs, circles }) =>
    circles.map(({ classes, says, states }) => {
      const verdict = {
        real: 'is real: it became a deadlock',
        forbidden: `cannot become a deadlock: guards forbid it in all ${grouped(states)} states of the design's own workload`,
        open:
          states === 0
            ? 'has not become a deadlock yet'
            : `did not become a deadlock in ${grouped(states)} states; guards are not proved to forbid it`,
      }[says];
      return `${at({ design, knobs })}: ${classes.join(' > ')} ${verdict}`;
    }),
  );
  if (lines.length === 0) return '';
  return [
    paint('heading', 'predicted circles in the order of locks'),
    ...shortened(lines).flatMap((line) => wrap(line, width - 2, INDENT).map((each) => INDENT + each)),
  ].join('\n');
}

function unseenPart({ settings }: Summary, { paint, width }: Look): string {
  const lines = settings.flatMap(({ design, knobs, unseen }) =>
    unseen.map(({ kind, what, near, almost }) => {
      const nearest =
        almost === undefined
          ? near === undefined
            ? 'nothing came near'
            : `reached ${near}`
          : `nearest: ${near}, after ${almost.schedule.length} words of ${almost.strategy}`;
      return `${at({ design, knobs })}: ${kind} ${what} (${nearest})`;
    }),
  );
  if (lines.length === 0)
    return `${paint('heading', 'never seen')}\n${INDENT}nothing: every action, branch, outcome and witness was reached`;
  return [
    `${paint('heading', 'never seen')}  ${grouped(lines.length)} actions, branches, outcomes and witnesses`,
    ...shortened(lines).flatMap((line) => wrap(line, width - 2, INDENT).map((each) => INDENT + each)),
  ].join('\n');
}

const shortened = (lines: readonly string[]): string[] =>
  lines.length <= SHOWN
    ? [...lines]
    : [...lines.slice(0, SHOWN), `and ${lines.length - SHOWN} more; --json has them all`];

const at = ({ design, knobs }: Pick<SettingRow, 'design' | 'knobs'>): string => `${design} ${showKnobs(knobs)}`.trim();

/** Small probabilities as people write them. */
export const percent = (value: number): string =>
  value === 0 || value >= 0.1
    ? `${Math.round(value * 100)} %`
    : value >= 0.001
      ? `${(value * 100).toPrecision(2)} %`
      : value.toExponential(1);

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    (
      INDENT +
      row
        .map((cell, column) => (column === 0 ? padded(cell, widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
    ).trimEnd(),
  );
}
