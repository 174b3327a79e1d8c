/**
 * `fenceproof check`: the exhaustive search of a design, setting by setting, held against what the design expects.
 *
 * An acquittal counts only when the whole bounded space was searched and the dangerous situations were seen in it; a
 * design without expectations passes when nothing is found.
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { ensureWritable, saveEntry } from '../../corpus/store.ts';
import { caseAt } from '../../model/case.ts';
import { expected, showKnobs } from '../../model/design.ts';
import { type Property, signature } from '../../properties/property.ts';
import { MOST_DRAWN, stateSpace } from '../../properties/search/state-space.ts';
import { DEFAULT_MAX_STATES } from '../../properties/search/sweep.ts';
import { dot } from '../../reports/dot.ts';
import { tables } from '../../reports/index.ts';
import type { Result } from '../../reports/result.ts';
import type { Listed, ListedFinding } from '../../reports/html/listing.ts';
import type { Row } from '../../reports/row.ts';
import { type Checked, held, jsonOf, resultFor, rowFor, textOf } from '../checked.ts';
import { type Setting, bootSetting, chooseDesigns, chooseProperties, chooseSettings, parseKnobs } from '../designs.ts';
import { asTyped, defaultOut } from '../files.ts';
import { costText, endless, estimateText, schedulesText } from '../foreseen.ts';
import { Far } from '../far.ts';
import { InOrder } from '../in-order.ts';
import { hearInterrupts } from '../interrupt.ts';
import {
  jsonOption,
  knobsOption,
  outOption,
  quietOption,
  propertyOption,
  verboseOption,
  wholeNumber,
  workersOption,
} from '../options.ts';
import { type Pool, defaultWorkers, openPool } from '../pool.ts';
import { Progress } from '../progress.ts';
import { Pages, hrefOf } from '../pages.ts';
import { acquittedEntry, convictedEntry } from '../record.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { checkCommand, replayCommand } from '../retell.ts';
import { RunFormats, formatOption } from '../run-formats.ts';
import { searchedBy } from '../searched.ts';
import { type SearchOptions, addSearchOptions, insteadOf, refuseCombinations } from '../search-options.ts';
import type { SchedulesDone } from '../tasks/schedules.ts';
import type { ShrinkDone } from '../tasks/shrink.ts';
import type { SweepDone } from '../tasks/sweep.ts';
import { type Terminal, print, quietly } from '../terminal.ts';

/** Words that shrinking one finding may play, and states that each proof of minimality may search. */
const SHRINK_STEPS = 400_000;
const PROOF_STATES = 500_000;
const JSON_EVERY_MS = 1000;

const TABLES = tables.map(({ name }) => name);

interface Options extends SearchOptions {
  readonly all: boolean;
  readonly knobs?: readonly string[];
  readonly property?: readonly string[];
  readonly maxStates: number;
  readonly verify: number;
  readonly timers: 'patient' | 'any';
  readonly save: boolean;
  readonly out?: string;
  readonly format?: readonly string[];
  readonly dot?: true | string;
  readonly html?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly workers: number;
  readonly verbose: boolean;
}

export function addCheck(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  const command = program
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
      'stop after this many states of a setting; of schedules, after this many steps',
      wholeNumber(1, 1_000_000_000),
      DEFAULT_MAX_STATES,
    )
    .option('--verify <n>', 'replay every n-th state on plain objects and compare; 0 never', wholeNumber(0), 0)
    .addOption(
      new Option('--timers <when>', 'when timers may fire: when nothing fair can move, or at any time')
        .choices(['patient', 'any'])
        .default('patient'),
    );
  addSearchOptions(command)
    .option('--save', 'write every counterexample and every acquittal to the corpus', false)
    .addOption(outOption('where --save writes (default: the corpus)'))
    .addOption(formatOption(TABLES))
    .option('--html <directory>', 'write a page of every counterexample there, and an index of all settings')
    .addOption(
      new Option(
        '--dot [file]',
        `only draw the states of one setting for Graphviz, if there are at most ${MOST_DRAWN}`,
      ),
    )
    .addOption(jsonOption('setting and every second'))
    .addOption(quietOption())
    .addOption(workersOption(defaultWorkers))
    .addOption(verboseOption('tell the story of every conviction, and list the witnesses'))
    .action(async (designs: readonly string[], options: Options) => finish(await checking(designs, options, terminal)));
}

/** One run of the command. */
interface Run {
  readonly options: Options;
  readonly pool: Pool;
  readonly properties: readonly Property[];
  readonly out: string;
  readonly pages?: Pages;
  readonly terminal: Terminal;
  readonly formats: RunFormats;
  /** The only setting asked for: then its story is what was asked for, and all threads are for it. */
  readonly alone: boolean;
}
/** What came of one setting: a text to print, a row for a table, and whether it is as it should be. */
interface Came {
  readonly odd: boolean;
  readonly text: string;
  readonly row?: Row;
  readonly result?: Result;
  readonly listed?: Listed;
}

async function checking(names: readonly string[], options: Options, terminal: Terminal): Promise<number> {
  if (names.length === 0 && !options.all) {
    const all = await chooseDesigns([]);
    throw refusal(
      `check what? Name a design or a file, or say --all; there are: ${all.map(({ design }) => design.name).join(', ')}`,
    );
  }
  const asked = options.format ?? [];
  const table = tables.find(({ name }) => asked.includes(name));
  const formats = new RunFormats(
    asked.filter((text) => text !== table?.name),
    TABLES,
  );
  const chosen = await chooseDesigns(names);
  const properties = chooseProperties(options.property ?? []);
  const settings = chooseSettings(chosen, parseKnobs(options.knobs ?? []));
  if (options.dot !== undefined) return draw(settings, options, properties, terminal);
  if ((table || formats.alone) && options.json)
    throw refusal('--format and --json are two ways to print the same; choose one, or write the format to a file');
  if (table && formats.alone) throw refusal(`--format ${table.name} is printed already; write the other to a file`);
  const instead = insteadOf(options);
  if (formats.wanted && instead !== undefined)
    throw refusal(`--format tells what an exhaustive search found; leave out ${instead}`);
  if (options.save && options.timers !== 'patient')
    throw refusal('--save keeps what holds in patient time; leave out --timers any');
  if (options.save && options.property)
    throw refusal('--save keeps what every property says of a setting; leave out --property');
  refuseCombinations(options, { settings: settings.length, saves: options.save, verifies: options.verify > 0 });
  const out =
    options.out !== undefined ? resolve(options.out) : defaultOut(chosen.some(({ from }) => from !== undefined));
  if (options.save) heeding(() => ensureWritable(out));
  if (options.html !== undefined && instead !== undefined)
    throw refusal(`--html: its pages show counterexamples of a search of states; leave out ${instead}`);
  const pages = options.html === undefined ? undefined : new Pages(resolve(options.html));

  const pool = openPool(options.workers);
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn(
      options.checkpoint === undefined
        ? 'stopped; the settings above are done, the others are not'
        : `stopping at the end of this level; the same command goes on from ${asTyped(options.checkpoint)}`,
    );
  });
  let finished = 0;
  const what = options.schedules ? 'steps' : 'states';
  const far = new Far(pool.counters);
  const line = (): string => `checking: ${finished}/${settings.length} settings, ${far.text(what)}`;
  const event = (): string =>
    JSON.stringify({ event: 'progress', settings: settings.length, finished, ...far.numbers() });
  const progress = options.json
    ? new Progress({ ...terminal, progress: (text) => text && print(terminal, text) }, event, JSON_EVERY_MS)
    : new Progress(quietly(terminal, options.quiet), line);
  const alone = settings.length === 1;
  const run: Run = { options, pool, properties, out, terminal, formats, alone, ...(pages ? { pages } : {}) };
  let odd = 0;
  const rows: Row[] = [];
  const results: Result[] = [];
  const listed: Listed[] = [];
  try {
    const inOrder = new InOrder();
    await pool.each(settings.entries(), async ([at, setting]) => {
      const came = await oneOf(options)(setting, run);
      finished += 1;
      if (came.odd) odd += 1;
      inOrder.say(at, () => {
        if (came.row) rows.push(came.row);
        if (came.result) results.push(came.result);
        if (came.listed) listed.push(came.listed);
        if (table || formats.alone || (options.quiet && !came.odd)) return;
        if (options.json) print(terminal, came.text);
        else terminal.say(came.text);
      });
    });
  } catch (error) {
    if (!pool.stopped) throw error;
  } finally {
    interrupts.forget();
    progress.end();
    await pool.close();
  }
  formats.write(results, terminal);
  const index = pages?.writeIndex(
    interrupts.happened ? `The first ${listed.length} of ${settings.length} settings` : 'What was checked',
    listed,
  );
  if (index !== undefined && !options.json && !table && !formats.alone) terminal.say(`wrote ${asTyped(index)}`);
  if (interrupts.happened) return INTERRUPTED;
  const done = { settings: settings.length, odd };
  if (table) terminal.say(table.render(rows, terminal.look).trimEnd());
  else if (options.json) print(terminal, JSON.stringify({ event: 'done', ...done }));
  else if (settings.length > 1 && !options.estimate && !options.cost && !formats.alone && !(options.quiet && odd === 0))
    terminal.say(`${settings.length} settings, ${settings.length - odd} as they should be, ${odd} not`);
  return odd > 0 ? 1 : 0;
}

const oneOf = ({ estimate, cost, schedules }: Options): ((setting: Setting, run: Run) => Promise<Came>) =>
  estimate ? estimateOne : cost ? costOne : schedules ? scheduleOne : checkOne;

/** Draw one setting, and search nothing else. */
async function draw(
  settings: readonly Setting[],
  { dot: file, timers }: Options,
  properties: readonly Property[],
  terminal: Terminal,
): Promise<number> {
  const [setting, ...more] = settings;
  if (!setting || more.length > 0)
    throw refusal(`--dot: it draws one setting, and these are ${settings.length}; choose one with --knobs`);
  const booted = await bootSetting(setting);
  const space = heeding(() => stateSpace(booted, properties, timers === 'patient'), '--dot');
  const text = dot(space, `${setting.design} ${showKnobs(setting.knobs)}`.trim());
  if (typeof file === 'string') {
    heeding(() => writeFileSync(file, text), '--dot');
    terminal.say(`${space.states.length} states and ${space.steps.length} steps drawn in ${file}`);
  } else print(terminal, text.trimEnd());
  return 0;
}

async function checkOne(setting: Setting, run: Run): Promise<Came> {
  const { options, pool, properties, terminal, alone } = run;
  const started = Date.now();
  const booted = await bootSetting(setting);
  const patient = options.timers === 'patient';
  const common = { setting, properties: properties.map(({ name }) => name), counters: pool.counters, patient };
  const { storage, order, memory, reduce, checkpoint, maxStates } = options;
  const swept = await pool.run<'sweep'>({
    ...{ kind: 'sweep', ...common, maxStates, reduce, verifyEvery: options.verify },
    how: { storage, order, ...(memory === undefined ? {} : { maxBytes: memory }) },
    ...(checkpoint === undefined ? {} : { checkpoint: resolve(checkpoint) }),
    foresees: alone && order === 'breadth' && reduce === false,
    threads: alone ? pool.size : 1,
  });
  const repeatable = swept.expanded === swept.states;
  const audit =
    options.audit && repeatable
      ? await pool.run<'audit'>({ kind: 'audit', ...common, reduced: reduce !== false, verdict: swept })
      : undefined;
  const spin = options.spin !== undefined ? await pool.run<'spin'>({ kind: 'spin', ...common, maxStates }) : undefined;
  if (spin && typeof options.spin === 'string') heeding(() => writeFileSync(options.spin as string, spin.promela));
  const saved = options.save ? await save(setting, swept, run) : [];
  const checked: Checked = {
    ...{ setting, booted, swept, milliseconds: Date.now() - started },
    ...(audit ? { audit } : {}),
    ...(spin ? { spin } : {}),
    saved: saved.map(({ path }) => path),
  };
  const odd = held(checked, properties).oddities.length > 0 || (options.audit && !repeatable);
  const tells = alone || options.verbose;
  const text = options.json
    ? jsonOf(checked, properties)
    : textOf(checked, properties, { tells, verbose: options.verbose, patient }, terminal);
  const row = rowFor(checked);
  const result = run.formats.wanted ? { result: resultFor(checked, properties, run.formats, patient) } : {};
  return {
    odd,
    text,
    row,
    ...result,
    ...(run.pages ? { listed: await listedFor(checked, saved, row, run.pages, run) } : {}),
  };
}

/** The row of the index, once the pages that it leads to are written. */
async function listedFor(
  { setting, booted, swept }: Checked,
  saved: readonly Saved[],
  row: Row,
  pages: Pages,
  run: Run,
): Promise<Listed> {
  const { options, pool, properties } = run;
  const { design, knobs } = booted;
  const findings: ListedFinding[] = [];
  for (const [at, finding] of swept.findings.entries()) {
    const { blame } = finding;
    const { property, kind } = blame;
    const { shrunk, path: entry } = saved[at] ?? {};
    const path = pages.pathFor({ design: design.name, knobs, expect: { verdict: 'convicted', property, kind } });
    const { steps, what = blame.what } = await pool.run<'page'>({
      kind: 'page',
      setting,
      properties: properties.map(({ name }) => name),
      counters: pool.counters,
      run: shrunk?.run ?? caseAt(booted, booted.workload, finding),
      want: { property, kind },
      patient: options.timers === 'patient',
      path,
      again: entry === undefined ? checkCommand(setting) : replayCommand(entry, setting.from),
      ...(shrunk ? { shortest: shrunk.shortest } : {}),
    });
    findings.push({ signature: signature(blame), what, steps, href: hrefOf(path) });
  }
  const searched = searchedBy(booted, swept, properties, options.timers === 'patient');
  return { ...row, title: design.title, findings, searched };
}

async function estimateOne(setting: Setting, { options, pool, properties, terminal }: Run): Promise<Came> {
  const patient = options.timers === 'patient';
  const names = properties.map(({ name }) => name);
  const done = await pool.run<'estimate'>({
    kind: 'estimate',
    setting,
    properties: names,
    counters: pool.counters,
    patient,
  });
  const { design, knobs } = setting;
  const text = options.json
    ? JSON.stringify({ event: 'estimate', design, knobs, ...done })
    : estimateText(setting, done, terminal);
  return { odd: false, text };
}

async function costOne(setting: Setting, { options, pool, properties, terminal }: Run): Promise<Came> {
  const done = await pool.run<'cost'>({
    kind: 'cost',
    setting,
    properties: properties.map(({ name }) => name),
    counters: pool.counters,
    maxStates: options.maxStates,
    patient: options.timers === 'patient',
  });
  const { design, knobs } = setting;
  const text = options.json
    ? JSON.stringify({
        event: 'cost',
        design,
        knobs,
        costs: done.costs?.map(({ name, most }) => ({ name, most: endless(most) })),
      })
    : costText(setting, done, terminal);
  return { odd: done.costs === undefined, text };
}

async function scheduleOne(setting: Setting, { options, pool, properties, terminal }: Run): Promise<Came> {
  const patient = options.timers === 'patient';
  const names = properties.map(({ name }) => name);
  const done = await pool.run<'schedules'>({
    kind: 'schedules',
    maxSteps: options.maxStates,
    setting,
    properties: names,
    counters: pool.counters,
    patient,
  });
  const { design, knobs } = setting;
  const { finals, ...rest } = done;
  const text = options.json
    ? JSON.stringify({ event: 'schedules', design, knobs, finals: finals.size, ...rest })
    : schedulesText(setting, done, terminal);
  return { odd: await surprises(setting, done), text };
}
/** Does what these schedules show contradict what the design expects? What is not decided contradicts nothing. */
async function surprises(setting: Setting, { findings, decided }: SchedulesDone): Promise<boolean> {
  const { design, knobs } = await bootSetting(setting);
  const expectation = expected(design, knobs);
  const found = new Set<string>(findings.map(({ blame }) => blame.property));
  if (findings.some(({ confirmed }) => !confirmed)) return true;
  if (!expectation) return design.expect.length === 0 && found.size > 0;
  const { convicts = [], spares = [], acquits } = expectation;
  return (
    (acquits === true && found.size > 0) ||
    spares.some((name) => found.has(name)) ||
    convicts.some((name) => decided.includes(name) && !found.has(name))
  );
}

/** An entry that was written; of a counterexample, with the case that it keeps. */
interface Saved {
  readonly path: string;
  readonly shrunk?: ShrinkDone;
}
/** Write every counterexample, shrunk where breadth first alone does not make it minimal, or the acquittal. */
async function save(setting: Setting, swept: SweepDone, { pool, properties, out }: Run): Promise<Saved[]> {
  const booted = await bootSetting(setting);
  if (swept.findings.length === 0)
    return swept.complete ? [{ path: asTyped(heeding(() => saveEntry(out, acquittedEntry(booted, swept)))) }] : [];
  const saved: Saved[] = [];
  for (const finding of swept.findings) {
    const { blame } = finding;
    const shrunk = await pool.run<'shrink'>({
      kind: 'shrink',
      setting,
      properties: properties.map(({ name }) => name),
      counters: pool.counters,
      run: caseAt(booted, booted.workload, finding),
      want: { property: blame.property, kind: blame.kind },
      budget: SHRINK_STEPS,
      maxStates: PROOF_STATES,
    });
    const found = { by: 'sweep', shortest: shrunk.shortest } as const;
    const entry = convictedEntry(booted, shrunk.run, blame, found);
    saved.push({ path: asTyped(heeding(() => saveEntry(out, entry))), shrunk });
  }
  return saved;
}
