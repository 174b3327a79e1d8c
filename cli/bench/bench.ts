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
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { Command } from 'commander';
import { objects } from '../../model/objects/index.ts';
import { panSays } from '../../properties/search/promela.ts';
import { EXACT, HOW_TO_INSTALL, inFolder, spinVersion, verifierOf } from '../spin.ts';
import { type Chosen, biggerWorkload, largestSetting } from './chosen.ts';
import { type Measured, type Measure, measuring } from './measured.ts';
import { saved, tableOfSaved } from './reductions.ts';
import { twoPhaseCommitInPromela } from './promela-twin.ts';
import type { Task, Told } from './side.ts';
import { largestStates, neededObjects } from './size.ts';

/** What one run of one side came to. */
interface Run {
  /** What must be equal on both sides. */
  readonly counted: string;
  /** States or steps: what a rate counts. */
  readonly amount: number;
  readonly transitions: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}
interface Side {
  readonly name: string;
  readonly run: (round: number) => Run;
}
/** Sides that take turns, and what is asked of two of them. */
interface Match {
  readonly what: string;
  readonly unit: 'states' | 'steps';
  readonly sides: Readonly<Record<string, Side>>;
  readonly rows: readonly {
    readonly ours: string;
    readonly theirs: string;
    /** How many times as fast at least; nothing when no goal was set. */
    readonly goal?: number;
    /** The part of their bytes that ours may take at most. */
    readonly memoryGoal?: number;
  }[];
  /** The sides draw their own walks: there is nothing to be equal. */
  readonly drawn?: true;
}

/** Medians over the rounds. */
interface Cost {
  readonly perCpuSecond: number;
  readonly perWallSecond: number;
  readonly transitionsPerCpuSecond: number;
  readonly peakBytes: number;
  readonly bytesPer: number;
}
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly theirs: string;
  readonly unit: 'states' | 'steps';
  readonly amount: number;
  readonly costs?: { readonly ours: Cost; readonly theirs: Cost };
  readonly ratio?: { readonly cpu: number; readonly wall: number; readonly memory: number };
  readonly goal?: number;
  readonly memoryGoal?: number;
  /** Why there is no ratio. */
  readonly refused?: string;
}

const ROUNDS = 5;
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

function play({ what, unit, sides, rows, drawn }: Match, say: (line: string) => void): Row[] {
  const runs: Record<string, Run[]> = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    // There and back again, so that no side always finds the machine as the same other one left it.
    const order = round % 2 === 0 ? Object.entries(sides) : Object.entries(sides).reverse();
    for (const [name, side] of order) {
      say(`${what}: round ${round + 1} of ${ROUNDS}: ${side.name}`);
      runs[name]?.push(side.run(round));
    }
  }
  const cost = (of: readonly Run[]): Cost => ({
    perCpuSecond: median(of.map(({ amount, cpuSeconds }) => amount / cpuSeconds)),
    perWallSecond: median(of.map(({ amount, wallSeconds }) => amount / wallSeconds)),
    transitionsPerCpuSecond: median(of.map(({ transitions, cpuSeconds }) => transitions / cpuSeconds)),
    peakBytes: median(of.map(({ peakBytes }) => peakBytes)),
    bytesPer: median(of.map(({ amount, peakBytes }) => peakBytes / amount)),
  });
  return rows.map(({ ours, theirs, ...goals }): Row => {
    const mine = runs[ours] as Run[];
    const other = runs[theirs] as Run[];
    const row = {
      what,
      ours: sides[ours]?.name ?? ours,
      theirs: sides[theirs]?.name ?? theirs,
      unit,
      amount: median(mine.map(({ amount }) => amount)),
      ...goals,
    };
    const odd = mine.findIndex(({ counted }, round) => counted !== other[round]?.counted);
    if (odd >= 0 && !drawn)
      return {
        ...row,
        refused: `they count differently: ${mine[odd]?.counted} here, ${other[odd]?.counted} there`,
      };
    const ratio = (pick: (run: Run) => number): number =>
      median(mine.map((run, round) => pick(run) / pick(other[round] as Run)));
    return {
      ...row,
      costs: { ours: cost(mine), theirs: cost(other) },
      ratio: {
        cpu: ratio(({ amount, cpuSeconds }) => amount / cpuSeconds),
        wall: ratio(({ amount, wallSeconds }) => amount / wallSeconds),
        memory: ratio(({ amount, peakBytes }) => peakBytes / amount),
      },
    };
  });
}

/** A process of ours, the start of Node included when `whole`: as Spin's verifier is measured. */
function ourSide(
  measure: Measure,
  name: string,
  side: string,
  task: Task | ((round: number) => Task),
  whole = false,
): Side {
  const program = join(dirname(fileURLToPath(import.meta.url)), 'side.js');
  return {
    name,
    run(round) {
      const what = JSON.stringify(typeof task === 'function' ? task(round) : task);
      const measured = measure(process.execPath, program, side, what);
      const told = JSON.parse(measured.output) as Told;
      const { wallSeconds, cpuSeconds } = whole ? measured : told;
      const { states, transitions, found } = told;
      return {
        counted: `${states} states, ${transitions} transitions${found ? `, ${found.join(', ') || 'nothing found'}` : ''}`,
        amount: told.states ?? told.steps ?? 0,
        transitions: transitions ?? told.steps ?? 0,
        wallSeconds,
        cpuSeconds,
        peakBytes: measured.peakBytes,
      };
    },
  };
}
function spinSide(measure: Measure, name: string, program: string): Side {
  return {
    name,
    run() {
      const measured: Measured = measure(program, '-c0', '-n');
      const { states, transitions } = panSays(measured.output);
      return { ...measured, counted: `${states} states, ${transitions} transitions`, amount: states, transitions };
    },
  };
}

/** The same design booted out of all objects, and out of those that it needs. */
function unusedObjects(measure: Measure, { booted, workload }: Chosen): Match {
  const { design, knobs } = booted;
  const needed = neededObjects(design, knobs).map((object) => objects.indexOf(object));
  const task = { design: design.name, knobs, workload };
  return {
    what: `${design.name}, ${UNUSED}`,
    unit: 'states',
    sides: {
      all: ourSide(measure, `all ${objects.length} objects`, 'learned', task),
      needed: ourSide(measure, `the ${needed.length} that it needs`, 'learned', { ...task, objects: needed }),
    },
    rows: [{ ours: 'all', theirs: 'needed' }],
  };
}
const UNUSED = 'with objects that it does not use';

function matches(measure: Measure, folder: string, quick: boolean, chosen: Chosen, bigger: Chosen): Match[] {
  const n = quick ? 8 : 9;
  const twin = twoPhaseCommitInPromela(n);
  const reduction = EXACT.filter((flag) => flag !== '-DNOREDUCE');
  const { name } = chosen.booted.design;
  const task = (of: Chosen): Task => ({ design: name, knobs: of.booted.knobs, workload: of.workload });
  const named = ({ states }: Chosen): string => `${name}, ${grouped(states)} states, properties on`;
  const learned = (of: Chosen): Side => ourSide(measure, 'learned', 'learned', task(of));
  const immer = (of: Chosen): Side => ourSide(measure, 'immer + JSON keys', 'immer', task(of));
  return [
    {
      what: `two-phase commit N = ${n}, exhaustive`,
      unit: 'states',
      sides: {
        lean: ourSide(measure, 'fingerprints', 'lean', { n }, true),
        full: ourSide(measure, 'full states', 'full', { n }, true),
        pan: spinSide(measure, 'pan -O2, full storage', verifierOf(twin, folder, 'pan_full', EXACT)),
        reduced: spinSide(measure, "pan -O2, Spin's reduction", verifierOf(twin, folder, 'pan_reduced', reduction)),
      },
      rows: [
        { ours: 'lean', theirs: 'pan', goal: 4, memoryGoal: 1 / 3 },
        { ours: 'lean', theirs: 'reduced' },
        { ours: 'full', theirs: 'pan', goal: 1.5 },
      ],
    },
    {
      what: named(chosen),
      unit: 'states',
      sides: {
        learned: learned(chosen),
        immer: immer(chosen),
        plain: ourSide(measure, 'plain sweep (the oracle)', 'plain', task(chosen)),
      },
      rows: [
        { ours: 'learned', theirs: 'immer', goal: 100 },
        { ours: 'learned', theirs: 'plain' },
      ],
    },
    ...(quick || bigger.states === chosen.states
      ? []
      : [
          {
            what: named(bigger),
            unit: 'states' as const,
            sides: { learned: learned(bigger), immer: immer(bigger) },
            rows: [{ ours: 'learned', theirs: 'immer', goal: 100 }],
          },
        ]),
    {
      what: `fuzzing ${name}, properties on`,
      unit: 'steps',
      sides: {
        walks: ourSide(measure, 'walks', 'walks', (round) => ({ ...task(chosen), seed: round + 1, steps: 4_000_000 })),
        commands: ourSide(measure, 'fc.commands + immer', 'commands', (round) => ({
          ...task(chosen),
          seed: round + 1,
          runs: 600,
        })),
      },
      rows: [{ ours: 'walks', theirs: 'commands', goal: 40 }],
      drawn: true,
    },
  ];
}

const grouped = (count: number): string => Math.round(count).toLocaleString('en-US');
const times = (ratio: number): string => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)}×`;
function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['what', 'ours / against', 'per CPU second', 'transitions', 'B/state', 'CPU', 'wall', 'goal', ''],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [24, 25, 14, 14, 9, 8, 8, 7, 13],
  });
  for (const { what, ours, theirs, unit, costs, ratio, goal, memoryGoal, refused } of rows) {
    if (!costs || !ratio) {
      table.push([what, `${ours} / ${theirs}`, { colSpan: 7, content: `no ratio: ${refused}` }]);
      continue;
    }
    const bytes = unit === 'states' ? `${costs.ours.bytesPer.toFixed(0)} / ${costs.theirs.bytesPer.toFixed(0)}` : '';
    const verdict = goal === undefined ? '' : ratio.cpu >= goal ? 'reached' : 'not reached';
    table.push([
      what,
      `${ours} / ${theirs}`,
      `${grouped(costs.ours.perCpuSecond)} / ${grouped(costs.theirs.perCpuSecond)}`,
      unit === 'steps'
        ? ''
        : `${grouped(costs.ours.transitionsPerCpuSecond)} / ${grouped(costs.theirs.transitionsPerCpuSecond)}`,
      bytes,
      times(ratio.cpu),
      times(ratio.wall),
      goal === undefined ? '' : `${goal}×`,
      verdict,
    ]);
    if (memoryGoal !== undefined)
      table.push([
        what,
        'bytes per state',
        '',
        '',
        bytes,
        { colSpan: 2, content: `${ratio.memory.toFixed(2)} of theirs` },
        memoryGoal.toFixed(2),
        ratio.memory <= memoryGoal ? 'reached' : 'not reached',
      ]);
  }
  return table.toString();
}

function sizesOf(sizes: ReturnType<typeof largestStates>): string {
  const table = new Table({ head: ['design', 'settings', 'bytes'], style: { head: [], border: [] } });
  for (const { design, settings, bytes } of sizes) table.push([design, settings, bytes]);
  return table.toString();
}

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

/** These need no rival. */
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
  say('looking for the largest setting of all designs');
  const chosen = largestSetting();
  const bigger = biggerWorkload(chosen);
  const rows = inFolder((folder) => {
    const measure = measuring(folder);
    const all = matches(measure, folder, quick, chosen, bigger).filter(({ what }) => what.includes(only));
    if (UNUSED.includes(only)) {
      say(`looking for the objects that ${chosen.booted.design.name} needs`);
      all.push(unusedObjects(measure, chosen));
    }
    return all.flatMap((each) => play(each, say));
  });
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, spin };
  const design = { name: chosen.booted.design.name, knobs: chosen.booted.knobs, ...chosen.size };
  const sizes = largestStates();
  if (json) {
    console.log(JSON.stringify({ machine, design, rounds: ROUNDS, rows, sizes }, null, 2));
    return;
  }
  console.log(
    `${machine.cpu}, ${machine.cores} cores; Node ${machine.node}; ${machine.spin}; medians of ${ROUNDS} rounds`,
  );
  console.log(
    `${design.name} ${chosen.title}: ${Object.entries(chosen.size)
      .map(([what, n]) => `${what}: ${n}`)
      .join(', ')}`,
  );
  console.log(tableOf(rows));
  console.log('The largest packed state of each design:');
  console.log(sizesOf(sizes));
}

const program = new Command('bench')
  .description('Measure the engine against Spin and against doing without an engine.')
  .option('--quick', 'smaller systems: two-phase commit with 8, and no bigger workload', false)
  .option(
    '--only <words>',
    `only the comparisons that have these words in their name; "${REDUCTIONS}": full and reduced search of every design`,
    '',
  )
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
