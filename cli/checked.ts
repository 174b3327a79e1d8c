/** One setting of a design, checked: what was asked of the workers, what they answered, and whether it is as it should be. */
import { caseAt } from '../model/case.ts';
import { type Booted, type Expectation, expected, showKnobs } from '../model/design.ts';
import { type Property, signature } from '../properties/property.ts';
import type { Audit } from '../properties/search/audit.ts';
import { partialVerdict } from '../properties/search/storage/limits.ts';
import type { Result } from '../reports/result.ts';
import { type Row, grouped, rowOf } from '../reports/row.ts';
import { tell } from '../reports/telling.ts';
import type { Setting } from './designs.ts';
import { took } from './progress.ts';
import { lineOf, storyOf } from './retell.ts';
import type { RunFormats } from './run-formats.ts';
import type { SpinDone } from './tasks/spin.ts';
import type { SweepDone } from './tasks/sweep.ts';
import type { Terminal } from './terminal.ts';

/** All that came of one setting. */
export interface Checked {
  readonly setting: Setting;
  readonly booted: Booted;
  readonly swept: SweepDone;
  readonly audit?: Audit;
  readonly spin?: SpinDone;
  readonly milliseconds: number;
  /** Paths of corpus entries that were written. */
  readonly saved: readonly string[];
}

/** Something that is not as it should be; `broken` names the property when a counterexample of it is at hand. */
export interface Oddity {
  readonly says: string;
  readonly broken?: string;
}
const odd = (says: string): Oddity => ({ says });

/** The verdict in words, and everything that is not as it should be. */
export function held(
  { booted, swept, audit, spin }: Checked,
  properties: readonly Property[],
): { verdict: string; oddities: Oddity[] } {
  const expectation = expected(booted.design, booted.knobs);
  const judged = new Set<string>(properties.map(({ name }) => name));
  const found = new Set<string>(swept.findings.map(({ blame }) => blame.property));
  const oddities: Oddity[] = [
    ...swept.findings
      .filter(({ confirmed }) => !confirmed)
      .map(({ blame }) => odd(`not confirmed: ${signature(blame)}`)),
    ...(audit?.differences ?? []).map((what) => odd(`the audit says otherwise: ${what}`)),
    ...(spin?.difference === undefined ? [] : [odd(`Spin says otherwise: ${spin.difference}`)]),
  ];
  const searched = swept.complete ? 'nothing found' : partialVerdict(swept);
  const verdict = found.size > 0 ? `convicted${swept.complete ? '' : ` (not exhaustive: ${swept.why})`}` : searched;
  if (!expectation) {
    const without = booted.design.expect.length === 0;
    if (without && found.size > 0)
      return {
        verdict,
        oddities: [...oddities, ...[...found].map((broken) => ({ says: `${broken} is broken`, broken }))],
      };
    if (without && !swept.complete) oddities.push(odd('not everything was searched'));
    return { verdict: without ? verdict : `${verdict} (an open question)`, oddities };
  }
  oddities.push(...differences(expectation, swept, found, judged));
  return { verdict: `${verdict}, ${oddities.length === 0 ? 'as expected' : 'NOT as expected'}`, oddities };
}

function differences(
  expectation: Expectation,
  swept: SweepDone,
  found: ReadonlySet<string>,
  judged: ReadonlySet<string>,
): Oddity[] {
  const { convicts = [], spares = [], acquits, witnesses = [] } = expectation;
  const acquitted = acquits === true || convicts.length === 0;
  return [
    ...convicts
      .filter((property) => judged.has(property) && !found.has(property))
      .map((property) => odd(`${property} was expected and not found`)),
    ...spares
      .filter((property) => found.has(property))
      .map((broken) => ({ says: `${broken} was not expected`, broken })),
    ...(acquits ? [...found].map((broken) => ({ says: `nothing was expected, but ${broken} is broken`, broken })) : []),
    ...(acquitted && found.size === 0 && !swept.complete
      ? [odd('not everything was searched, so nothing is acquitted')]
      : []),
    ...witnesses
      .filter((witness) => !swept.witnesses.includes(witness))
      .map((witness) => odd(`it was never seen that: ${witness}`)),
  ];
}

/** The setting as a row of a table. */
export const rowFor = ({ booted, swept }: Checked): Row =>
  rowOf(booted, { ...swept, witnesses: new Set(swept.witnesses) });

/** The setting for other programs, with every counterexample told. */
export function resultFor(
  checked: Checked,
  properties: readonly Property[],
  formats: RunFormats,
  patient: boolean,
): Result {
  const { setting, booted, swept, milliseconds } = checked;
  const { oddities } = held(checked, properties);
  const unexpected = new Set(oddities.map(({ broken }) => broken));
  return {
    design: setting.design,
    knobs: showKnobs(setting.knobs),
    oddities: oddities.filter(({ broken }) => broken === undefined).map(({ says }) => says),
    found: swept.findings.map((finding) => ({
      telling: tell(
        booted,
        caseAt(booted, booted.workload, finding),
        properties,
        finding.blame,
        patient,
        formats.siteOf,
      ),
      expected: !unexpected.has(finding.blame.property),
    })),
    seconds: milliseconds / 1000,
    ...formats.siteOfDesign(booted),
  };
}

/** The setting as text for people. @param tells with the story of every finding */
export function textOf(
  checked: Checked,
  properties: readonly Property[],
  { tells, verbose, patient }: { readonly tells: boolean; readonly verbose: boolean; readonly patient: boolean },
  { look }: Pick<Terminal, 'look'>,
): string {
  const { setting, booted, swept, audit, spin, milliseconds, saved } = checked;
  const { paint } = look;
  const { verdict, oddities } = held(checked, properties);
  const sizes = `${grouped(swept.states)} states, depth ${swept.depth}, ${swept.witnesses.length} witnesses, ${took(milliseconds)}`;
  const lines = [
    `${paint('name', setting.design)} ${showKnobs(setting.knobs)}: ${paint(oddities.length > 0 ? 'bad' : 'good', verdict)}  ${paint('dim', sizes)}`,
    ...swept.findings.map((finding) => `  ${lineOf(finding, look)}`),
    ...oddities.map(({ says }) => `  ${paint('bad', says)}`),
    ...swept.warnings.map((warning) => `  ${paint('wait', warning)}`),
    ...(swept.doubt !== undefined && swept.doubt !== swept.why ? [`  ${paint('dim', swept.doubt)}`] : []),
    ...(audit && audit.differences.length === 0
      ? [`  ${paint('dim', `audited: the same ${audit.compared.join(', ')}`)}`]
      : []),
    ...(spin && spin.difference === undefined
      ? [`  ${paint('dim', `Spin counts the same ${grouped(spin.states)} states, steps, stuck and resting states`)}`]
      : []),
  ];
  if (verbose)
    lines.push(
      `  seen: ${swept.witnesses.join('; ') || 'nothing'}`,
      `  learned: ${grouped(swept.learned)} combinations`,
      ...swept.tooWide.map((name) => `  reads too widely to be learned in full: ${name}`),
    );
  if (tells)
    for (const finding of swept.findings) {
      const run = caseAt(booted, booted.workload, finding);
      lines.push('', storyOf(booted, run, properties, finding.blame, look, patient), '');
    }
  return [...lines, ...saved.map((path) => paint('dim', `  saved ${path}`))].join('\n');
}

/** The setting as one line of JSON for machines. */
export function jsonOf(checked: Checked, properties: readonly Property[]): string {
  const { setting, booted, swept, audit, spin, milliseconds, saved } = checked;
  const { oddities } = held(checked, properties);
  const { findings, ...rest } = swept;
  return JSON.stringify({
    event: 'setting',
    design: setting.design,
    knobs: setting.knobs,
    verdict: rowFor(checked).verdict,
    asExpected: expected(booted.design, booted.knobs) ? oddities.length === 0 : null,
    oddities: oddities.map(({ says }) => says),
    findings: findings.map(({ blame, schedule, loop, confirmed }) => ({
      ...{ property: blame.property, kind: blame.kind, what: blame.what, rules: blame.rules },
      ...{ schedule, loop: loop ?? null, confirmed },
    })),
    ...rest,
    ...(audit ? { audit } : {}),
    ...(spin ? { spin: { states: spin.states, difference: spin.difference ?? null } } : {}),
    milliseconds,
    saved,
  });
}
