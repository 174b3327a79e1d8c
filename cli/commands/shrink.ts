/** `fenceproof shrink`: make a saved counterexample as short as it gets, and keep what else is met on the way. */
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import { ensureWritable, saveEntry, writeWhole } from '../../corpus/store.ts';
import { writeEntry } from '../../corpus/entry.ts';
import { boot } from '../../model/design.ts';
import { judge } from '../../properties/judge.ts';
import { signature } from '../../properties/property.ts';
import { chooseProperties } from '../designs.ts';
import { readEntries } from '../entries.ts';
import { asTyped } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { designOption, outOption, wholeNumber, workersOption } from '../options.ts';
import { defaultWorkers, openPool } from '../pool.ts';
import { grouped } from '../../reports/row.ts';
import { Progress } from '../progress.ts';
import { convictedEntry } from '../record.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { replayCommand, storyOf } from '../retell.ts';
import type { Terminal } from '../terminal.ts';

const STEPS = 2_000_000;
const STATES = 1_000_000;

interface Options {
  readonly design?: readonly string[];
  readonly out?: string;
  readonly steps: number;
  readonly maxStates: number;
  readonly workers: number;
}

export function addShrink(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('shrink')
    .summary('make a saved counterexample as short as it gets')
    .description(
      'Shrink a saved counterexample without letting it become another bug, ask the exhaustive search whether anything shorter exists, and write the result over the file, or to --out. Other bugs met on the way go to --out as entries of their own.',
    )
    .argument('<file>', 'a counterexample')
    .addOption(designOption("where the design is found when it is a user's own: ./my-driver.ts"))
    .addOption(outOption('write here instead of over the file'))
    .option('-s, --steps <n>', 'words that may be played', wholeNumber(1), STEPS)
    .option('--max-states <n>', 'states that a proof of minimality may search', wholeNumber(1, 100_000_000), STATES)
    .addOption(workersOption(Math.min(1, defaultWorkers)))
    .action(async (file: string, options: Options) => finish(await shrinking(file, options, terminal)));
}

async function shrinking(file: string, options: Options, terminal: Terminal): Promise<number> {
  const [given] = await readEntries([file], options.design ?? []);
  if (!given) throw refusal(`${file}: holds no entry`);
  const { path, entry, chosen } = given;
  const { expect } = entry;
  if (expect.verdict !== 'convicted') throw refusal(`${path}: is an acquittal; there is no schedule to shrink`);
  const booted = heeding(() => boot(chosen.design, entry.knobs), path);
  const run = { ...caseOf(entry), knobs: booted.knobs };
  const properties = chooseProperties([]);
  const { verdicts } = heeding(() => judge(booted, run, properties), path);
  const verdict = verdicts.find(({ blame }) => signature(blame) === signature(expect));
  if (!verdict) {
    const instead = verdicts.map(({ blame }) => signature(blame)).join(', ') || 'nothing';
    throw refusal(
      `${path}: does not break ${signature(expect)} any more, so there is nothing to shrink; it breaks: ${instead}`,
    );
  }
  const out = options.out === undefined ? undefined : resolve(options.out);
  heeding(() => ensureWritable(out ?? dirname(resolve(path))));

  const pool = openPool(options.workers);
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn(`stopped; ${path} is as it was`);
  });
  const progress = new Progress(terminal, () => `shrinking ${run.schedule.length} words`);
  try {
    const from = chosen.from === undefined ? {} : { from: chosen.from };
    const shrunk = await pool.run<'shrink'>({
      kind: 'shrink',
      setting: { design: entry.design, knobs: booted.knobs, ...from },
      properties: properties.map(({ name }) => name),
      counters: pool.counters,
      run,
      want: { property: expect.property, kind: expect.kind },
      budget: options.steps,
      maxStates: options.maxStates,
    });
    progress.end();
    const fresh = convictedEntry(booted, shrunk.run, verdict.blame, { ...entry.found, shortest: shrunk.shortest });
    const smaller = {
      ...fresh,
      sources: entry.sources,
      title: entry.title,
      ...(entry.note === undefined ? {} : { note: entry.note }),
    };
    const written = heeding(() => {
      if (out !== undefined) return saveEntry(out, smaller);
      writeWhole(path, writeEntry(smaller));
      return path;
    });
    const words = (of: { schedule: readonly string[]; loop?: readonly string[] }): number =>
      of.schedule.length + (of.loop?.length ?? 0);
    terminal.say(`${storyOf(booted, shrunk.run, properties, verdict.blame, terminal.look)}\n`);
    terminal.say(
      `${words(run)} words became ${words(shrunk.run)} in ${grouped(shrunk.runs)} runs and ${grouped(shrunk.steps)} steps`,
    );
    const proof = shrunk.shortest === 'proved' ? 'proved' : 'not proved';
    terminal.say(`shortest, ${proof}: ${shrunk.because} (${grouped(shrunk.searched)} states searched)`);
    if (!shrunk.complete) terminal.say(`not minimal in everything else: ${shrunk.why}; --steps sets the budget`);
    terminal.say(`saved ${asTyped(written)}\n${replayCommand(written, chosen.from)}`);
    for (const other of shrunk.others) {
      const found = { ...entry.found, shortest: 'not proved: met while shrinking something else' };
      const kept =
        out === undefined
          ? undefined
          : heeding(() => saveEntry(out, convictedEntry(booted, other.run, other.blame, found)));
      terminal.say(
        `also met ${signature(other.blame)}${kept === undefined ? '; --out keeps it' : `: ${asTyped(kept)}`}`,
      );
    }
    return 0;
  } catch (error) {
    if (!pool.stopped) throw error;
    return INTERRUPTED;
  } finally {
    interrupts.forget();
    progress.end();
    await pool.close();
  }
}
