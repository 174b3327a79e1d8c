/**
 * `fenceproof campaign`: the long run, for hours or days, on all cores; stopped and taken up again at will.
 *
 * The same command goes on where it was stopped. What is said at the end follows from the batches in the journal alone;
 * how long it took and why it ended is said besides.
 */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { signature } from '../../properties/property.ts';
import { portfolio } from '../../properties/search/strategies/index.ts';
import { campaignReport } from '../../reports/campaign.ts';
import { grouped } from '../../reports/row.ts';
import { keep, journalIn, lock, planIn, settle } from '../campaign/directory.ts';
import { Engine, type Shard, type Until } from '../campaign/engine.ts';
import { Journal } from '../campaign/journal.ts';
import { type Plan, programsHash, corpusFor, settingOf } from '../campaign/plan.ts';
import { inPool, playCanary, playerOf } from '../campaign/player.ts';
import { Screen } from '../campaign/screen.ts';
import { type Raw, type Remembered, endOf, remembered, standingOf, summaryOf } from '../campaign/summary.ts';
import {
  bootSetting,
  chooseDesigns,
  chooseProperties,
  chooseSettings,
  chooseStrategies,
  parseKnobs,
} from '../designs.ts';
import { asTyped, quoted } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { readCorpus } from '../known.ts';
import {
  designOption,
  duration,
  jsonOption,
  knobsOption,
  patienceOption,
  propertyOption,
  queueOption,
  quietOption,
  strategyOption,
  wholeNumber,
  workersOption,
} from '../options.ts';
import { defaultWorkers, openPool } from '../pool.ts';
import { took } from '../progress.ts';
import { INTERRUPTED, heeding, oneLine, refusal } from '../refusal.ts';
import { replayCommand } from '../retell.ts';
import type { ShrinkDone } from '../tasks/shrink.ts';
import { countOf } from '../tasks/task.ts';
import { type Terminal, quietly } from '../terminal.ts';

const OUT = 'fenceproof-campaign';
const SEED = 1;
const RUNS = 500;
/** Chains that there are at least, so that there is something to do for many workers and shards. */
const CHAINS = 32;
/** Pieces of work that are given to a queue at a time. */
const HANDED_OUT = 64;

interface Options {
  readonly out: string;
  readonly until: Until;
  readonly shard: Shard;
  readonly batch?: number;
  readonly lanes?: number;
  readonly seed?: number;
  readonly design?: readonly string[];
  readonly knobs?: readonly string[];
  readonly property?: readonly string[];
  readonly strategy?: readonly string[];
  readonly patience: number;
  readonly queue?: string;
  readonly quiet: boolean;
  readonly json: boolean;
  readonly workers: number;
}

export function addCampaign(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('campaign')
    .summary('fuzz for hours or days: stop, resume, shard, merge; says what it did not see')
    .description(
      'Run a campaign, or go on with the one in the directory. Ends with status 1 when something new or resolved was found or the harness failed somewhere, 3 when the planted bug was missed, 130 after Ctrl-C.',
    )
    .option('-o, --out <directory>', 'the directory of the campaign; nothing is written elsewhere', OUT)
    .addOption(
      new Option('-u, --until <end>', 'until nothing new comes; a time like 8h; or a number of runs like 1_000_000runs')
        .argParser(until)
        .default({ kind: 'stale' }, 'stale'),
    )
    .addOption(
      new Option('--shard <i/n>', 'play part i of n only; fenceproof merge puts the parts together')
        .argParser(shard)
        .default({ at: 1, of: 1 }, '1/1'),
    )
    .option('--batch <runs>', `runs of a batch, 100 to 1000 (default: ${RUNS})`, wholeNumber(100, 1000))
    .option(
      '--lanes <n>',
      'chains of batches a setting (default: as many as it takes to have 32)',
      wholeNumber(1, 10_000),
    )
    .option('--seed <n>', `what all chance comes from (default: ${SEED})`, wholeNumber(-(2 ** 31), 2 ** 31 - 1))
    .addOption(designOption('these designs only: names, or files of your own'))
    .addOption(knobsOption())
    .addOption(propertyOption())
    .addOption(strategyOption())
    .addOption(patienceOption())
    .addOption(queueOption('hand the work out to fenceproof work, over this queue'))
    .addOption(quietOption())
    .addOption(jsonOption('event, and at last for the report'))
    .addOption(workersOption(defaultWorkers))
    .action(async (options: Options) => finish(await campaigning(options, terminal)));
}

function until(text: string): Until {
  if (text === 'stale') return { kind: 'stale' };
  const [, runs] = /^([\d_]+) ?runs$/.exec(text) ?? [];
  if (runs !== undefined) return { kind: 'runs', runs: wholeNumber(1)(runs) };
  if (/^\d+(?:\.\d+)?[smh]$/.test(text)) return { kind: 'time', ms: duration(text) };
  throw new InvalidArgumentError('it must be stale, a time like 90s, 10m or 8h, or a number of runs like 100000runs');
}
function shard(text: string): Shard {
  const [, at, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (at === undefined || Number(at) < 1 || Number(at) > Number(of))
    throw new InvalidArgumentError('it must be a part of the whole, like 1/4 to 4/4');
  return { at: Number(at), of: Number(of) };
}

/** The plan that the options ask for. @throws when a name in them is unknown */
async function planOf(options: Options): Promise<Plan> {
  const chosen = await chooseDesigns(options.design ?? []);
  const settings = chooseSettings(chosen, parseKnobs(options.knobs ?? []));
  return {
    format: 1,
    seed: options.seed ?? SEED,
    runs: options.batch ?? RUNS,
    lanes: options.lanes ?? Math.ceil(Math.max(CHAINS, options.shard.of) / settings.length),
    properties: chooseProperties(options.property ?? []).map(({ name }) => name),
    strategies: [...chooseStrategies(portfolio, options.strategy)],
    settings: await Promise.all(
      settings.map(async (setting) => ({
        ...setting,
        knobs: { ...setting.knobs },
        programs: await programsHash(setting),
      })),
    ),
  };
}
/** The plan that stands in the directory, with the designs as they are now. */
async function planAgain(plan: Plan): Promise<Plan> {
  const settings = await Promise.all(
    plan.settings.map(async (setting, at) => ({ ...setting, programs: await programsHash(settingOf(plan, at)) })),
  );
  return { ...plan, settings };
}
const asks = ({ batch, lanes, seed, design, knobs, property, strategy }: Options): boolean =>
  [batch, lanes, seed, design, knobs, property, strategy].some((option) => option !== undefined);

async function campaigning(options: Options, terminal: Terminal): Promise<number> {
  const out = resolve(options.out);
  const there = planIn(out);
  const plan = there && !asks(options) ? await planAgain(there) : await planOf(options);
  settle(out, plan);
  const chains = plan.settings.length * plan.lanes;
  if (options.shard.of > chains)
    throw refusal(`--shard: there are ${chains} chains of batches only; ask for more with --lanes`);
  const release = lock(out);
  try {
    return await underLock(out, plan, options, terminal);
  } finally {
    release();
  }
}

async function underLock(out: string, plan: Plan, options: Options, terminal: Terminal): Promise<number> {
  const chains = plan.settings.length * plan.lanes;
  const pool = openPool(options.workers);
  const remote =
    options.queue === undefined
      ? undefined
      : await (await import('../campaign/queue.ts')).overQueue(options.queue, plan);
  const perform = remote?.perform ?? inPool(pool, options.patience);
  const width = remote ? Math.min(HANDED_OUT, chains) : Math.max(1, pool.size);
  let handedIn = 0;
  const screen = new Screen(quietly(terminal, options.quiet), plan, options.until, options.json, () =>
    remote ? handedIn : countOf(pool.counters, 'runs'),
  );
  const corpus = readCorpus(corpusFor(plan), terminal);
  const properties = chooseProperties(plan.properties);

  const asked = new Map<number, Promise<readonly Remembered[]>>();
  const rememberedAt = (setting: number): Promise<readonly Remembered[]> => {
    const known = asked.get(setting) ?? ask(setting);
    asked.set(setting, known);
    return known;
  };
  const ask = async (setting: number): Promise<readonly Remembered[]> => {
    const named = settingOf(plan, setting);
    return remembered(await bootSetting(named), corpus.at(named), properties);
  };
  const found = async (setting: number, raw: Raw, shrunk?: ShrinkDone): Promise<void> => {
    const named = settingOf(plan, setting);
    const { known, kin } = standingOf(raw, await rememberedAt(setting));
    if (known && options.quiet) return;
    const path = known ? undefined : keep(out, await bootSetting(named), raw, shrunk);
    screen.found({
      news: known ? 'known' : kin ? 'variant' : 'new',
      shrunk: shrunk !== undefined,
      design: named.design,
      knobs: named.knobs,
      signature: signature(raw.blame),
      what: raw.blame.what,
      words: (shrunk?.run ?? raw.run).schedule.length,
      ...(path === undefined ? {} : { path: asTyped(path), replay: replayCommand(path, named.from) }),
    });
  };

  const engine = new Engine(
    {
      plan,
      shard: options.shard,
      until: options.until,
      append: (record) => {
        heeding(() => journal.append(record));
        if (record.kind === 'batch') handedIn += record.done.runs;
        screen.note(record);
      },
      known: async (setting, raw) => standingOf(raw, await rememberedAt(setting)).known !== undefined,
      found,
      warn: (line) => terminal.warn(oneLine(line)),
    },
    playerOf(plan, width, perform),
  );
  const journal = new Journal(journalIn(out), (record) => engine.recall(record));
  const interrupts = hearInterrupts(() => {
    engine.stop();
    void remote?.cancel();
    terminal.warn('stopping after the batches under way; everything is saved');
  });
  const deadline = options.until.kind === 'time' ? setTimeout(() => engine.enough(), options.until.ms) : undefined;
  try {
    const { records } = engine;
    if (records.canary === undefined) engine.append(await playCanary(plan, perform));
    screen.begin(engine);
    if (records.canary?.run !== 0) await engine.run();
  } finally {
    clearTimeout(deadline);
    interrupts.forget();
    screen.end();
    journal.close();
    await remote?.close();
    await pool.close();
  }

  const summary = await summaryOf(plan, engine.records, { corpus, properties });
  const again = `fenceproof campaign --out ${quoted(asTyped(out))}`;
  const lasted = `${grouped(screen.batches)} batches in ${took(screen.elapsed)}`;
  const [status, why] =
    summary.canary === 0
      ? [endOf(summary), 'the planted bug was missed: this campaign would find nothing, and its result is worthless']
      : interrupts.happened
        ? [INTERRUPTED, `stopped by hand after ${lasted}; go on with: ${again}`]
        : [endOf(summary), `${reasonOf(options.until, engine)}, after ${lasted}; go on with: ${again} --until …`];
  if (options.quiet && !options.json && status === 0) return status;
  screen.report(summary, campaignReport(summary, terminal.look));
  screen.over(why);
  return status;
}

/** Why a campaign is over. */
function reasonOf(end: Until, { chains }: Engine): string {
  switch (end.kind) {
    case 'stale': {
      const all = [...chains.values()];
      const quiet = Math.min(...all.map(({ rounds, lastNews }) => rounds - lastNews));
      return `nothing new at any setting for ${quiet} batches or more in a row, and half of all of its batches`;
    }
    case 'runs':
      return `${grouped(end.runs)} runs were asked for and made`;
    case 'time':
      return `${took(end.ms)} were asked for and are over`;
  }
}
