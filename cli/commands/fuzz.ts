/**
 * `fenceproof fuzz`: every design at every setting, for a bounded number of steps, without being told anything.
 *
 * A finding is written to disk before it is shrunk, so that nothing that happens later can lose it. What the corpus
 * knows already is no news; what it knows and this run did not find again is, for then the fuzz has become weaker.
 */
import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import { ensureWritable, saveEntry } from '../../corpus/store.ts';
import type { Case } from '../../model/case.ts';
import { type Booted, showKnobs } from '../../model/design.ts';
import { canonical } from '../../model/schema.ts';
import { type Blame, type Property, signature } from '../../properties/property.ts';
import type { FuzzFinding } from '../../properties/search/fuzz.ts';
import { strategies } from '../../properties/search/strategies/index.ts';
import {
  type Setting,
  bootSetting,
  chooseDesigns,
  chooseProperties,
  chooseSettings,
  chooseStrategies,
  parseKnobs,
} from '../designs.ts';
import { pairsOf } from '../meeting.ts';
import { asTyped, defaultOut } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { type Corpus, type Known, readCorpus } from '../known.ts';
import {
  designOption,
  duration,
  jsonOption,
  knobsOption,
  outOption,
  propertyOption,
  quietOption,
  strategyOption,
  verboseOption,
  wholeNumber,
  workersOption,
} from '../options.ts';
import { type Pool, defaultWorkers, openPool } from '../pool.ts';
import type { Found, Result } from '../../reports/result.ts';
import { grouped } from '../../reports/row.ts';
import { tell } from '../../reports/telling.ts';
import { Progress, took } from '../progress.ts';
import { convictedEntry } from '../record.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { replayCommand, storyOf } from '../retell.ts';
import { RunFormats, formatOption } from '../run-formats.ts';
import { type Terminal, print, quietly } from '../terminal.ts';
import type { FuzzDone } from '../tasks/fuzz.ts';
import { countOf } from '../tasks/task.ts';
import { type Searched, fuzzTable } from '../verdicts.ts';

/** Steps of all settings together: about a minute on two cores, however many designs there are. */
const STEPS = 25_000_000;
/** What one task may take before its findings must be on disk; a larger budget is several rounds. */
const STEPS_A_TASK = 500_000;
const RUNS_A_TASK = 20_000;
/** When only time bounds the search, settings take short turns, so that each gets some. */
const STEPS_A_TURN = 100_000;
const SEED = 1;
/** Words that shrinking one finding may play, and states that each proof of minimality may search. */
const SHRINK_STEPS = 400_000;
const PROOF_STATES = 100_000;

interface Options {
  readonly runs?: number;
  readonly steps?: number;
  readonly seed: number;
  readonly time?: number;
  readonly design?: readonly string[];
  readonly knobs?: readonly string[];
  readonly all: boolean;
  readonly pairs: boolean;
  readonly property?: readonly string[];
  readonly strategy?: readonly string[];
  readonly out?: string;
  readonly format?: readonly string[];
  readonly workers: number;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

export function addFuzz(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('fuzz')
    .summary('fuzz every design and keep, shrink and tell what breaks')
    .description(
      'Fuzz every design at every setting with every property. What breaks is saved, shrunk, told as a story, and saved again. Ends with status 1 when something new was found or something known was not found again.',
    )
    .option('-r, --runs <n>', 'runs of each setting, however many steps they take', wholeNumber(1))
    .option('-s, --steps <n>', `steps of all settings together (default: ${grouped(STEPS)})`, wholeNumber(1))
    .option('--seed <n>', 'what all chance comes from', wholeNumber(-(2 ** 31), 2 ** 31 - 1), SEED)
    .option('-t, --time <duration>', 'go on with fresh seeds until this time is over, like 90s, 10m or 8h', duration)
    .addOption(designOption('fuzz these designs only: names, names on one machine like a+b, or files of your own'))
    .option('-a, --all', 'every design there is, which is what it does without a design', false)
    .option('--pairs', 'fuzz each clean design on one machine with each other one', false)
    .addOption(knobsOption())
    .addOption(propertyOption())
    .addOption(strategyOption())
    .addOption(outOption('where findings go (default: the corpus)'))
    .addOption(formatOption())
    .addOption(workersOption(defaultWorkers))
    .addOption(verboseOption('tell the story of known findings too'))
    .addOption(quietOption())
    .addOption(jsonOption('finding'))
    .action(async (options: Options) => finish(await fuzzing(options, terminal)));
}

interface News {
  readonly setting: Setting;
  readonly blame: Blame;
  readonly path: string;
  words: number;
}

async function fuzzing(options: Options, whole: Terminal): Promise<number> {
  const formats = new RunFormats(options.format ?? []);
  if (formats.alone && options.json)
    throw refusal('--format and --json are two ways to print the same; choose one, or write the format to a file');
  const quiet = quietly(whole, options.quiet);
  const silent = { ...quiet, say: () => undefined, data: quiet.data ?? quiet.say };
  const terminal = formats.alone || options.json ? silent : quiet;
  if (options.all && options.design)
    throw refusal('--all is every design there is, and --design some of them; choose one');
  const chosen = await chooseDesigns(options.design ?? []);
  const properties = chooseProperties(options.property ?? []);
  const chosenStrategies = chooseStrategies(strategies, options.strategy);
  if (options.pairs && options.knobs) throw refusal('--pairs takes designs as tame as they get, so no --knobs');
  const settings = options.pairs ? pairsOf(chosen) : chooseSettings(chosen, parseKnobs(options.knobs ?? []));
  if (settings.length === 0) throw refusal('there is no pair: --pairs wants two designs with a clean setting each');
  const out =
    options.out !== undefined ? resolve(options.out) : defaultOut(chosen.some(({ from }) => from !== undefined));
  heeding(() => ensureWritable(out));
  const corpus = readCorpus(out, terminal);

  const pool = openPool(options.workers);
  const session = new Session(options, pool, corpus, properties, chosenStrategies, out, terminal, settings, formats);
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn('stopping; what was found is kept');
  });
  try {
    await session.search();
  } finally {
    interrupts.forget();
    terminal.progress('');
    await pool.close();
  }
  const status = session.conclude(interrupts.happened);
  formats.write(session.results(), whole);
  return status;
}

/** One session of fuzzing: what was found so far, and what becomes of the next finding. */
class Session {
  private readonly searched: ReadonlyMap<Setting, Searched>;
  private readonly news: News[] = [];
  private readonly progress: Progress;
  /** Settings that this round is through with. */
  private readonly done = new Set<Searched>();
  /** What formats for other programs tell of a setting, and where its design is. */
  private readonly told = new Map<Setting, Found[]>();
  private readonly places = new Map<Setting, Pick<Result, 'site'>>();
  private tasksDone = 0;
  private readonly started = Date.now();

  private readonly options: Options;
  private readonly pool: Pool;
  private readonly corpus: Corpus;
  private readonly properties: readonly Property[];
  private readonly strategies: readonly string[];
  private readonly out: string;
  private readonly terminal: Terminal;
  private readonly formats: RunFormats;

  constructor(
    options: Options,
    pool: Pool,
    corpus: Corpus,
    properties: readonly Property[],
    strategies: readonly string[],
    out: string,
    terminal: Terminal,
    settings: readonly Setting[],
    formats: RunFormats,
  ) {
    this.options = options;
    this.pool = pool;
    this.corpus = corpus;
    this.properties = properties;
    this.strategies = strategies;
    this.out = out;
    this.terminal = terminal;
    this.formats = formats;
    this.searched = new Map(
      settings.map((setting) => [
        setting,
        { setting, findings: new Map<string, 'known' | 'new'>(), witnesses: new Set<string>(), runs: 0, steps: 0 },
      ]),
    );
    this.progress = new Progress(terminal, () => this.line());
  }

  async search(): Promise<void> {
    const { time } = this.options;
    const deadline = time === undefined ? undefined : setTimeout(() => this.pool.stop(), time);
    const { rounds } = this.budget();
    try {
      for (let round = 0; round < rounds && !this.pool.stopped; round += 1) {
        this.done.clear();
        await this.pool.each(this.searched.values(), (each) => this.fuzz(each, round));
      }
    } finally {
      clearTimeout(deadline);
      this.progress.end();
    }
  }

  private async fuzz(searched: Searched, round: number): Promise<void> {
    const { setting } = searched;
    const { seed } = this.options;
    const { runs, steps } = this.budget();
    const done: FuzzDone = await this.pool.run<'fuzz'>({
      kind: 'fuzz',
      setting,
      properties: this.properties.map(({ name }) => name),
      counters: this.pool.counters,
      seed: seedOf(seed, round, setting),
      runs,
      steps,
      strategies: this.strategies,
    });
    searched.runs += done.runs;
    searched.steps += done.steps;
    for (const witness of done.witnesses) searched.witnesses.add(witness);
    const booted = await bootSetting(setting);
    for (const finding of done.findings) await this.meet(searched, booted, finding);
    this.done.add(searched);
    this.tasksDone += 1;
  }

  /** A finding comes in: known, or new and then kept, shrunk, kept again and told. */
  private async meet(searched: Searched, booted: Booted, { blame, run, found }: FuzzFinding): Promise<void> {
    const { setting, findings } = searched;
    if (findings.has(signature(blame))) return;
    const known = this.corpus.of(setting, blame);
    findings.set(signature(blame), known ? 'known' : 'new');
    if (known && (this.options.out === undefined || dirname(known.path) === this.out))
      return this.recall(known, booted, blame, searched);

    const record = (run: Case, shortest: string): string =>
      heeding(() =>
        saveEntry(
          this.out,
          convictedEntry(booted, run, blame, { by: 'fuzz', ...found, seed: this.options.seed, shortest }),
        ),
      );
    const path = record(run, 'not proved: not shrunk yet');
    const news: News = { setting, blame, path, words: run.schedule.length + (run.loop?.length ?? 0) };
    if (!known) this.news.push(news);
    if (!known) this.event('new', setting, signature(blame), path);
    const shrunk = this.pool.stopped ? undefined : await this.shrink(setting, run, blame);
    if (!shrunk) return this.keep(searched, booted, run, blame, known !== undefined);
    record(shrunk.run, shrunk.shortest);
    news.words = shrunk.run.schedule.length + (shrunk.run.loop?.length ?? 0);
    if (known) this.recall(known, booted, blame, searched);
    else {
      this.keep(searched, booted, shrunk.run, blame, false);
      this.terminal.say(`${storyOf(booted, shrunk.run, this.properties, blame, this.terminal.look)}\n`);
    }
    for (const other of shrunk.others) await this.meet(searched, booted, { blame: other.blame, run: other.run, found });
  }

  /** Remember a finding for the formats that tell of it. */
  private keep({ setting }: Searched, booted: Booted, run: Case, blame: Blame, expected: boolean): void {
    if (!this.formats.wanted) return;
    const telling = tell(booted, run, this.properties, blame, true, this.formats.siteOf);
    this.told.set(setting, [...(this.told.get(setting) ?? []), { telling, expected }]);
    this.places.set(setting, this.formats.siteOfDesign(booted));
  }

  /** One line of JSON about what was found, or missed. */
  private event(news: 'new' | 'known' | 'missed', { design, knobs }: Setting, what: string, path: string): void {
    if (this.options.json && !(this.options.quiet && news === 'known'))
      print(this.terminal, JSON.stringify({ event: 'finding', news, design, knobs, what, path: asTyped(path) }));
  }

  private recall({ path, entry }: Known, booted: Booted, blame: Blame, searched: Searched): void {
    this.event('known', searched.setting, signature(blame), path);
    this.keep(searched, booted, { ...caseOf(entry), knobs: booted.knobs }, blame, true);
    if (this.options.quiet) return;
    const { paint } = this.terminal.look;
    this.terminal.say(
      `${paint('dim', 'known')}  ${entry.design} ${showKnobs(entry.knobs)}: ${signature(blame)}  ${paint('dim', asTyped(path))}`,
    );
    if (this.options.verbose)
      this.terminal.say(`${storyOf(booted, caseOf(entry), this.properties, blame, this.terminal.look)}\n`);
  }

  /** Shrunk, or nothing when the session was stopped in the middle of it. */
  private async shrink(setting: Setting, run: Case, want: Blame) {
    try {
      return await this.pool.run<'shrink'>({
        kind: 'shrink',
        setting,
        properties: this.properties.map(({ name }) => name),
        counters: this.pool.counters,
        run,
        want: { property: want.property, kind: want.kind },
        budget: SHRINK_STEPS,
        maxStates: PROOF_STATES,
      });
    } catch (error) {
      if (this.pool.stopped) return undefined;
      throw error;
    }
  }

  /** How often every setting is gone through, and what one task may take. A run may be without a step. */
  private budget(): { rounds: number; runs: number; steps: number } {
    const { runs, steps, time } = this.options;
    const share = Math.ceil((steps ?? STEPS) / this.searched.size);
    if (steps === undefined && runs === undefined) {
      const most = Math.min(share, time === undefined ? STEPS_A_TASK : STEPS_A_TURN);
      return { rounds: time === undefined ? 1 : Number.POSITIVE_INFINITY, runs: most, steps: most };
    }
    const bySteps = steps === undefined ? 1 : Math.ceil(share / STEPS_A_TASK);
    const byRuns = runs === undefined ? 1 : Math.ceil(runs / RUNS_A_TASK);
    const rounds = Math.max(bySteps, byRuns);
    const most = steps === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(share / rounds);
    return { rounds, runs: runs === undefined ? most : Math.ceil(runs / rounds), steps: most };
  }

  private line(): string {
    const { time } = this.options;
    const { rounds, runs, steps } = this.budget();
    const { counters } = this.pool;
    const all = [...this.searched.values()];
    const [ran, stepped] = [countOf(counters, 'runs'), countOf(counters, 'steps')];
    const elapsed = Date.now() - this.started;
    const tasks = all.length * rounds;
    const share =
      time === undefined
        ? Math.max(ran / (tasks * runs), stepped / (tasks * steps), this.tasksDone / tasks)
        : elapsed / time;
    const designs = new Set(all.map(({ setting }) => setting.design)).size;
    const undone = new Set(all.filter((each) => !this.done.has(each)).map(({ setting }) => setting.design)).size;
    const left = share > 0.02 ? `, ${took(Math.max(0, (elapsed / share) * (1 - share)))} left` : '';
    const found = all.reduce((sum, { findings }) => sum + findings.size, 0);
    return `fuzzing: ${designs - undone}/${designs} designs, ${this.done.size}/${all.length} settings, ${grouped(ran)} runs, ${grouped(stepped)} steps (${grouped(Math.round((stepped * 1000) / Math.max(1, elapsed)))}/s), ${found} findings, ${this.news.length} new${left}`;
  }

  /** What the corpus knows of a setting and this run did not find. */
  private missed({ setting, findings }: Searched): readonly Known[] {
    const wanted = new Set<string>(this.properties.map(({ name }) => name));
    return this.corpus
      .at(setting)
      .filter(
        ({ entry: { expect } }) =>
          expect.verdict === 'convicted' && wanted.has(expect.property) && !findings.has(signature(expect)),
      );
  }

  /** The session for other programs. A setting has no time of its own, for all share the threads. */
  results(): Result[] {
    return [...this.searched.values()]
      .filter(({ runs }) => runs > 0)
      .map((each) => ({
        design: each.setting.design,
        knobs: showKnobs(each.setting.knobs),
        found: this.told.get(each.setting) ?? [],
        oddities: this.missed(each).map(({ entry: { expect } }) =>
          expect.verdict === 'convicted' ? `${signature(expect)} was not found again` : '',
        ),
        seconds: 0,
        ...this.places.get(each.setting),
      }));
  }

  /** The table, the new findings with the commands that show them again, and what was missed. */
  conclude(interrupted: boolean): number {
    const { say, look } = this.terminal;
    const { paint } = look;
    const all = [...this.searched.values()];
    const reached = all.filter(({ runs }) => runs > 0);
    const missed = all.flatMap((each) => this.missed(each));
    // Of hundreds of pairs, those that say something.
    const shown = this.options.pairs ? reached.filter(({ findings }) => findings.size > 0) : reached;
    if (shown.length > 0 && !this.options.quiet) say(`${fuzzTable(shown, look)}\n`);
    for (const { setting, blame, path, words } of this.news)
      say(
        `${paint('bad', 'new')}    ${setting.design} ${showKnobs(setting.knobs)}: ${signature(blame)} in ${words} words\n       ${replayCommand(path, setting.from)}`,
      );
    const excuse = interrupted ? 'not found before it was stopped' : 'not found again';
    for (const { path, entry } of missed)
      if (!interrupted) {
        const { expect } = entry;
        this.event('missed', entry, expect.verdict === 'convicted' ? signature(expect) : '', path);
        say(
          `${paint('bad', 'missed')} ${entry.design} ${showKnobs(entry.knobs)}: ${entry.expect.verdict === 'convicted' ? `${entry.expect.property} (${entry.expect.kind})` : ''} ${excuse}: ${replayCommand(path)}`,
        );
      }
    const known = all.reduce(
      (sum, { findings }) => sum + [...findings.values()].filter((each) => each === 'known').length,
      0,
    );
    const sum = (of: 'runs' | 'steps'): number => all.reduce((so, each) => so + each[of], 0);
    const total = (of: 'runs' | 'steps'): string => grouped(sum(of));
    const counts = { settings: reached.length, runs: sum('runs'), steps: sum('steps') };
    if (this.options.json)
      print(
        this.terminal,
        JSON.stringify({ event: 'done', ...counts, new: this.news.length, known, missed: missed.length }),
      );
    const well = this.news.length === 0 && missed.length === 0 && !interrupted;
    if (this.options.quiet && well) return 0;
    say(
      `${grouped(reached.length)} of ${all.length} settings, ${total('runs')} runs, ${total('steps')} steps in ${took(Date.now() - this.started)}: ${this.news.length} new, ${known} known, ${missed.length} ${excuse} (seed ${this.options.seed})`,
    );
    if (interrupted) return INTERRUPTED;
    return this.news.length > 0 || missed.length > 0 ? 1 : 0;
  }
}

/** The seed of a setting comes from its names, so neither order nor number of workers matters. */
function seedOf(seed: number, round: number, { design, knobs }: Setting): number {
  return createHash('sha256')
    .update(canonical([seed, round, design, knobs]))
    .digest()
    .readInt32LE(0);
}
