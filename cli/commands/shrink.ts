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
import { designOption, jsonOption, outOption, quietOption, wholeNumber, workersOption } from '../options.ts';
import { defaultWorkers, openPool } from '../pool.ts';
import { Progress } from '../progress.ts';
import { convictedEntry } from '../record.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { replayCommand, storyOf } from '../retell.ts';
import { type Shrunk, briefOf, jsonOf, textOf } from '../shrunk.ts';
import { type Terminal, print, quietly } from '../terminal.ts';

const STEPS = 2_000_000;
const STATES = 1_000_000;

interface Options {
  readonly design?: readonly string[];
  readonly out?: string;
  readonly steps: number;
  readonly maxStates: number;
  readonly workers: number;
  readonly quiet: boolean;
  readonly json: boolean;
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
    .addOption(quietOption('print one line of what became of it, and what is not as it should be'))
    .addOption(jsonOption('counterexample'))
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
  const progress = new Progress(quietly(terminal, options.quiet), () => `shrinking ${run.schedule.length} words`);
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
    const others = shrunk.others.map((other) => {
      const found = { ...entry.found, shortest: 'not proved: met while shrinking something else' };
      const keep = (to: string): string => saveEntry(to, convictedEntry(booted, other.run, other.blame, found));
      return { blame: other.blame, path: out === undefined ? null : asTyped(heeding(() => keep(out))) };
    });
    const again = replayCommand(written, chosen.from);
    const done: Shrunk = { run, blame: verdict.blame, shrunk, path: asTyped(written), again, others };
    if (options.json) for (const line of jsonOf(done)) print(terminal, line);
    else if (options.quiet) terminal.say(briefOf(done, terminal.look));
    else {
      terminal.say(`${storyOf(booted, shrunk.run, properties, verdict.blame, terminal.look)}\n`);
      terminal.say(textOf(done));
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
