/**
 * `fenceproof check`: the exhaustive search of a design, setting by setting, held against what the design expects.
 *
 * An acquittal counts only when the whole bounded space was searched and the dangerous situations were seen in it; a
 * design without expectations passes when nothing is found.
 */
import { resolve } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { ensureWritable, saveEntry } from '../../corpus/store.ts';
import { type Booted, type Expectation, expected, showKnobs } from '../../model/design.ts';
import { type Property, signature } from '../../properties/property.ts';
import { DEFAULT_MAX_STATES } from '../../properties/search/sweep.ts';
import { type Setting, bootSetting, chooseDesigns, chooseProperties, chooseSettings, parseKnobs } from '../designs.ts';
import { asTyped, defaultOut } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { knobsOption, outOption, propertyOption, verboseOption, wholeNumber, workersOption } from '../options.ts';
import { type Pool, defaultWorkers, openPool } from '../pool.ts';
import { tables } from '../../reports/index.ts';
import { type Row, grouped, rowOf } from '../../reports/row.ts';
import { Progress, took } from '../progress.ts';
import { acquittedEntry, convictedEntry } from '../record.ts';
import { INTERRUPTED, heeding, oneLine, refusal } from '../refusal.ts';
import { storyOf } from '../retell.ts';
import { type SweepDone, caseAt, countOf } from '../tasks.ts';
import type { Terminal } from '../terminal.ts';

/** Words that shrinking one finding may play, and states that each proof of minimality may search. */
const SHRINK_STEPS = 400_000;
const PROOF_STATES = 500_000;

interface Options {
  readonly all: boolean;
  readonly knobs?: readonly string[];
  readonly property?: readonly string[];
  readonly maxStates: number;
  readonly verify: number;
  readonly timers: 'patient' | 'any';
  readonly save: boolean;
  readonly out?: string;
  readonly table?: string;
  readonly workers: number;
  readonly verbose: boolean;
}

export function addCheck(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('check')
    .summary('search every state of a design')
    .description(
      'Search every reachable state of a design, at every setting or the settings asked for, and compare the verdict with what the design expects. Ends with status 1 when they differ.',
    )
    .addArgument(new Argument('[design...]', 'names of designs, or files of your own like ./my-driver.ts'))
    .option('-a, --all', 'every design there is', false)
    .addOption(knobsOption())
    .addOption(propertyOption())
    .option(
      '--max-states <n>',
      'stop after this many states of a setting',
      wholeNumber(1, 100_000_000),
      DEFAULT_MAX_STATES,
    )
    .option('--verify <n>', 'replay every n-th state on plain objects and compare; 0 never', wholeNumber(0), 0)
    .addOption(
      new Option('--timers <when>', 'when timers may fire: when nothing fair can move, or at any time')
        .choices(['patient', 'any'])
        .default('patient'),
    )
    .option('--save', 'write every counterexample and every acquittal to the corpus', false)
    .addOption(outOption('where --save writes (default: the corpus)'))
    .addOption(
      new Option(
        '--table <format>',
        `print only a table of the verdicts: ${tables.map(({ name }) => name).join(' or ')}`,
      ),
    )
    .addOption(workersOption(defaultWorkers))
    .addOption(verboseOption('tell the story of every conviction, and list the witnesses'))
    .action(async (designs: readonly string[], options: Options) => finish(await checking(designs, options, terminal)));
}

async function checking(names: readonly string[], options: Options, terminal: Terminal): Promise<number> {
  if (names.length === 0 && !options.all) {
    const all = await chooseDesigns([]);
    throw refusal(
      `check what? Name a design or a file, or say --all; there are: ${all.map(({ design }) => design.name).join(', ')}`,
    );
  }
  const chosen = await chooseDesigns(names);
  const properties = chooseProperties(options.property ?? []);
  const settings = chooseSettings(chosen, parseKnobs(options.knobs ?? []));
  const table = options.table === undefined ? undefined : tables.find(({ name }) => name === options.table);
  if (options.table !== undefined && !table)
    throw refusal(
      `unknown table format "${oneLine(options.table)}"; there are: ${tables.map(({ name }) => name).join(', ')}`,
    );
  if (options.save && options.timers !== 'patient')
    throw refusal('--save keeps what holds in patient time; leave out --timers any');
  const out =
    options.out !== undefined ? resolve(options.out) : defaultOut(chosen.some(({ from }) => from !== undefined));
  if (options.save) heeding(() => ensureWritable(out));

  const pool = openPool(options.workers);
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn('stopped; the settings above are done, the others are not');
  });
  let finished = 0;
  const progress = new Progress(
    terminal,
    () => `checking: ${finished}/${settings.length} settings, ${grouped(countOf(pool.counters, 'states'))} states`,
  );
  let odd = 0;
  const rows: Row[] = [];
  try {
    const inOrder = new InOrder();
    await pool.each(settings.entries(), async ([at, setting]) => {
      const report = await checkOne(setting, {
        options,
        pool,
        properties,
        out,
        terminal,
        alone: settings.length === 1,
      });
      finished += 1;
      if (report.odd) odd += 1;
      inOrder.say(at, () => (table ? rows.push(report.row) : terminal.say(report.text)));
    });
  } catch (error) {
    if (!pool.stopped) throw error;
  } finally {
    interrupts.forget();
    progress.end();
    await pool.close();
  }
  if (interrupts.happened) return INTERRUPTED;
  if (table) terminal.say(table.render(rows, terminal.look).trimEnd());
  else if (settings.length > 1)
    terminal.say(`${settings.length} settings, ${settings.length - odd} as they should be, ${odd} not`);
  return odd > 0 ? 1 : 0;
}

/** Workers finish in any order; people read in one. */
class InOrder {
  private readonly waiting = new Map<number, () => void>();
  private next = 0;

  say(at: number, speak: () => void): void {
    this.waiting.set(at, speak);
    for (let ready = this.waiting.get(this.next); ready; ready = this.waiting.get(this.next)) {
      this.waiting.delete(this.next);
      this.next += 1;
      ready();
    }
  }
}

interface Checking {
  readonly options: Options;
  readonly pool: Pool;
  readonly properties: readonly Property[];
  readonly out: string;
  readonly terminal: Terminal;
  /** The only setting asked for: then its story is what was asked for. */
  readonly alone: boolean;
}

async function checkOne(setting: Setting, checking: Checking): Promise<{ odd: boolean; text: string; row: Row }> {
  const { options, pool, properties, terminal } = checking;
  const { paint } = terminal.look;
  const started = Date.now();
  const booted = await bootSetting(setting);
  const swept = await pool.run<'sweep'>({
    kind: 'sweep',
    setting,
    properties: properties.map(({ name }) => name),
    counters: pool.counters,
    maxStates: options.maxStates,
    verifyEvery: options.verify,
    patient: options.timers === 'patient',
  });
  const lines: string[] = [];
  const { verdict, oddities } = held(booted, swept, properties);
  const odd = oddities.length > 0;
  lines.push(
    `${paint('name', setting.design)} ${showKnobs(setting.knobs)}: ${paint(odd ? 'bad' : 'good', verdict)}  ${paint('dim', `${grouped(swept.states)} states, depth ${swept.depth}, ${swept.witnesses.length} witnesses, ${took(Date.now() - started)}`)}`,
  );
  for (const { blame, schedule, loop, confirmed } of swept.findings)
    lines.push(
      `  ${signature(blame)} in ${schedule.length}${loop ? ` + ${loop.length} for ever` : ''} words: ${blame.what}${confirmed ? '' : paint('bad', ' (the plain reducer does not say so: please report this)')}`,
    );
  for (const oddity of oddities) lines.push(`  ${paint('bad', oddity)}`);
  if (options.verbose) {
    lines.push(`  seen: ${swept.witnesses.join('; ') || 'nothing'}`);
    lines.push(`  learned: ${grouped(swept.learned)} combinations`);
    for (const name of swept.tooWide) lines.push(`  reads too widely to be learned in full: ${name}`);
  }
  if (checking.alone || options.verbose)
    for (const finding of swept.findings) {
      const run = caseAt(setting, booted.workload, finding);
      lines.push('', storyOf(booted, run, properties, finding.blame, terminal.look, options.timers === 'patient'), '');
    }
  if (options.save)
    for (const path of await save(setting, booted, swept, checking))
      lines.push(paint('dim', `  saved ${asTyped(path)}`));
  return { odd, text: lines.join('\n'), row: rowOf(booted, { ...swept, witnesses: new Set(swept.witnesses) }) };
}

/** The verdict in words, and everything that is not as it should be. */
function held(
  booted: Booted,
  swept: SweepDone,
  properties: readonly Property[],
): { verdict: string; oddities: string[] } {
  const expectation = expected(booted.design, booted.knobs);
  const judged = new Set<string>(properties.map(({ name }) => name));
  const found = new Set<string>(swept.findings.map(({ blame }) => blame.property));
  const oddities = swept.findings
    .filter(({ confirmed }) => !confirmed)
    .map(({ blame }) => `not confirmed: ${signature(blame)}`);
  const searched = swept.complete
    ? 'nothing found'
    : `nothing found so far: the search stopped at ${grouped(swept.states)} states`;
  const verdict = found.size > 0 ? `convicted` : searched;
  if (!expectation) {
    const without = booted.design.expect.length === 0;
    if (without && found.size > 0) return { verdict, oddities: [...oddities, 'something is broken'] };
    if (without && !swept.complete) oddities.push('not every state was searched');
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
): string[] {
  const { convicts = [], spares = [], acquits, witnesses = [] } = expectation;
  const acquitted = acquits === true || convicts.length === 0;
  return [
    ...convicts
      .filter((property) => judged.has(property) && !found.has(property))
      .map((property) => `${property} was expected and not found`),
    ...spares.filter((property) => found.has(property)).map((property) => `${property} was not expected`),
    ...(acquits ? [...found].map((property) => `nothing was expected, but ${property} is broken`) : []),
    ...(acquitted && found.size === 0 && !swept.complete
      ? ['not every state was searched, so nothing is acquitted']
      : []),
    ...witnesses
      .filter((witness) => !swept.witnesses.includes(witness))
      .map((witness) => `it was never seen that: ${witness}`),
  ];
}

/** Write every counterexample, shrunk where breadth first alone does not make it minimal, or the acquittal. */
async function save(
  setting: Setting,
  booted: Booted,
  swept: SweepDone,
  { pool, properties, out }: Checking,
): Promise<string[]> {
  if (swept.findings.length === 0)
    return swept.complete ? [heeding(() => saveEntry(out, acquittedEntry(booted, swept)))] : [];
  const paths: string[] = [];
  for (const finding of swept.findings) {
    const { blame } = finding;
    const shrunk = await pool.run<'shrink'>({
      kind: 'shrink',
      setting,
      properties: properties.map(({ name }) => name),
      counters: pool.counters,
      run: caseAt(setting, booted.workload, finding),
      want: { property: blame.property, kind: blame.kind },
      budget: SHRINK_STEPS,
      maxStates: PROOF_STATES,
    });
    const found = { by: 'sweep', shortest: shrunk.shortest } as const;
    paths.push(heeding(() => saveEntry(out, convictedEntry(booted, shrunk.run, blame, found))));
  }
  return paths;
}
