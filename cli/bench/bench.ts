#!/usr/bin/env node
/**
 * `npm run bench`: how fast the engine is, as ratios within one run against Spin and against doing without an engine.
 *
 * The sides of a comparison take turns, round after round, so that a busy machine is busy for all of them; shown are
 * medians over the rounds, and the median of each round's own ratio. Both sides must have counted the same, or no ratio
 * is printed. Every number is measured here and now.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { Command } from 'commander';
import { HOW_TO_INSTALL, inFolder, spinVersion } from '../spin.ts';
import { type Chosen, largestSetting } from './chosen.ts';
import { TOPICS, matches } from './comparisons.ts';
import { measuring } from './measured.ts';
import { ROUNDS, play } from './play.ts';
import { saved, tableOfSaved } from './reductions.ts';
import { largestStates } from './size.ts';
import { sizesOf, tableOf } from './tables.ts';

/** Spin from the distribution's packages, where that is possible. @throws saying what to install otherwise */
function needSpin(say: (line: string) => void): string {
  const there = spinVersion();
  if (there !== undefined) return there;
  if (process.getuid?.() !== 0) throw new Error(HOW_TO_INSTALL);
  say('installing spin with apt-get');
  spawnSync('apt-get', ['install', '-y', '-q', 'spin', 'gcc', 'libc6-dev'], { stdio: ['ignore', 2, 2] });
  const now = spinVersion();
  if (now === undefined) throw new Error(HOW_TO_INSTALL);
  return now;
}

/** Full and reduced search of every design: these need no rival. */
const REDUCTIONS = 'reductions';

interface Options {
  readonly quick: boolean;
  readonly json: boolean;
  readonly only: string;
}
function bench({ quick, json, only }: Options): void {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  if (only === REDUCTIONS) {
    const rows = saved();
    console.log(json ? JSON.stringify(rows, null, 2) : tableOfSaved(rows));
    return;
  }
  const spin = needSpin(say);
  let found: Chosen | undefined;
  const chosen = (): Chosen => {
    if (!found) say('looking for the largest setting of all designs');
    return (found ??= largestSetting());
  };
  const rows = inFolder((folder) =>
    matches(measuring(folder), folder, quick, chosen)
      .filter((_, at) => TOPICS[at]?.includes(only))
      .flatMap((match) => play(match(), say)),
  );
  if (rows.length === 0)
    throw new Error(`nothing is measured about "${only}"; there are: ${[...TOPICS, REDUCTIONS].join(', ')}`);
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, spin };
  const sizes = largestStates();
  if (json) {
    console.log(JSON.stringify({ machine, rounds: ROUNDS, rows, sizes }, null, 2));
    return;
  }
  console.log(
    `${machine.cpu}, ${machine.cores} cores; Node ${machine.node}; ${machine.spin}; medians of ${ROUNDS} rounds`,
  );
  console.log(tableOf(rows));
  console.log('The largest packed state of each design:');
  console.log(sizesOf(sizes));
}

const program = new Command('bench')
  .description('Measure the engine against Spin and against doing without an engine.')
  .option('--quick', 'smaller systems: two-phase commit with 8, and a smaller workload', false)
  .option('--only <words>', `only the comparisons with these words: ${[...TOPICS, REDUCTIONS].join(', ')}`, '')
  .option('--json', 'print numbers for machines', false)
  .action((options: Options) => {
    try {
      bench(options);
    } catch (error) {
      process.stderr.write(`bench: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  });
program.parse();
