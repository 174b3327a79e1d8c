/** What is compared with what, and what was set as a goal. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { objects } from '../../model/objects/index.ts';
import { panSays } from '../../properties/search/promela.ts';
import { grouped } from '../../reports/row.ts';
import { EXACT, verifierOf } from '../spin.ts';
import { type Chosen } from './chosen.ts';
import type { Measure, Measured } from './measured.ts';
import type { Match, Side } from './play.ts';
import { twoPhaseCommitInPromela } from './promela-twin.ts';
import { representative } from './representative.ts';
import type { Task, Told } from './side.ts';
import { neededObjects } from './size.ts';

/**
 * A process of ours, the start of Node included when `whole`: as Spin's verifier is measured. With `once` the search
 * counts, and not the states it takes; with `deep` the sides must agree in depth, too.
 */
function ourSide(
  measure: Measure,
  name: string,
  side: string,
  task: Task | ((round: number) => Task),
  { whole, once, deep }: { readonly whole?: true; readonly once?: true; readonly deep?: true } = {},
): Side {
  const program = join(dirname(fileURLToPath(import.meta.url)), 'side.js');
  return {
    name,
    run(round) {
      const what = JSON.stringify(typeof task === 'function' ? task(round) : task);
      const measured = measure(process.execPath, program, side, what);
      const told = JSON.parse(measured.output) as Told;
      const { wallSeconds, cpuSeconds } = whole ? measured : told;
      const { states, transitions, depth, found } = told;
      return {
        counted: `${states} states, ${transitions} transitions${deep ? `, ${depth} deep` : ''}${found ? `, ${found.join(', ') || 'nothing found'}` : ''}`,
        amount: once ? 1 : (told.states ?? told.steps ?? 0),
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

/** What the users of the representative design call: 184,492 states, and 755,086, for which immer takes five minutes. */
const SMALLER = { user0: ['submit(job0, bo0)'], user1: ['bind()', 'submit(job1, bo1)'], compositor: ['wait(bo0)'] };
const LARGER = { user0: ['submit(job0, bo0)'], user1: ['bind()'], compositor: ['move()', 'wait(bo0)'] };

export function matches(measure: Measure, folder: string, quick: boolean, chosen: () => Chosen): (() => Match)[] {
  const n = quick ? 8 : 9;
  const ours = (name: string, mode: Task['mode']): Side =>
    ourSide(measure, name, 'search', { n, ...(mode ? { mode } : {}) }, { whole: true });
  const members = (workers: number): Side =>
    ourSide(measure, workers === 1 ? 'one worker' : `${workers} workers`, 'together', { n, workers }, { deep: true });
  const fair = (name: string, constraints: number, strong: boolean): Side =>
    ourSide(measure, name, 'fairness', { constraints, strong }, { once: true });
  const taskOf = ({ booted, workload }: Chosen): Task => ({
    design: booted.design.name,
    knobs: booted.knobs,
    workload,
  });
  const representing: Task = {
    design: representative.name,
    knobs: { worker: 'allocates' },
    workload: quick ? SMALLER : LARGER,
  };
  const sweeps = (task: Task): { learned: Side; immer: Side } => ({
    learned: ourSide(measure, 'learned', 'learned', task),
    immer: ourSide(measure, 'immer + JSON keys', 'immer', task),
  });
  return [
    () => {
      const twin = twoPhaseCommitInPromela(n);
      const reduction = EXACT.filter((flag) => flag !== '-DNOREDUCE');
      return {
        what: `two-phase commit N = ${n}, exhaustive`,
        unit: 'states',
        sides: {
          packed: ours('packed states, lossless', 'packed'),
          fingerprints: ours('fingerprints', 'fingerprints'),
          tree: ours('trees, lossless', 'tree'),
          pan: spinSide(measure, 'pan -O2, full storage', verifierOf(twin, folder, 'pan_full', EXACT)),
          reduced: spinSide(measure, "pan -O2, Spin's reduction", verifierOf(twin, folder, 'pan_reduced', reduction)),
        },
        rows: [
          { ours: 'packed', theirs: 'pan', goal: 1.5, memoryGoal: 1 / 3 },
          { ours: 'fingerprints', theirs: 'pan', goal: 4, memoryGoal: 1 / 3 },
          { ours: 'tree', theirs: 'pan', goal: 1.5 },
          { ours: 'packed', theirs: 'reduced' },
        ],
      };
    },
    () => ({
      what: `second core, two-phase commit N = ${n}`,
      unit: 'states',
      sides: {
        two: members(2),
        one: members(1),
        alone: ourSide(measure, 'fingerprints, no workers', 'search', { n }, { deep: true }),
      },
      rows: [
        { ours: 'two', theirs: 'one', goal: 1.7, wall: true },
        { ours: 'two', theirs: 'alone', wall: true },
      ],
    }),
    () => ({
      what: `representative design, ${quick ? '184,492' : '755,086'} states, properties on`,
      unit: 'states',
      sides: sweeps(representing),
      rows: [{ ours: 'learned', theirs: 'immer', goal: 100 }],
    }),
    () => ({
      what: 'fairness, 28,672 states',
      unit: 'searches',
      sides: {
        one: fair('1 strong constraint', 1, true),
        weak: fair('12 weak constraints', 12, false),
        twelve: fair('12 strong constraints', 12, true),
        many: fair('64 strong constraints', 64, true),
      },
      rows: [
        { ours: 'weak', theirs: 'one', secondsGoal: 3 },
        { ours: 'twelve', theirs: 'one', secondsGoal: 3, goal: 1 / 12 },
        { ours: 'many', theirs: 'one', secondsGoal: 3, goal: 1 / 64 },
      ],
      different: true,
    }),
    () => ({
      what: 'symmetry, two-phase commit with 8 interchangeable managers',
      unit: 'searches',
      sides: {
        orbits: ourSide(measure, 'one state of each orbit', 'orbits', { n: 8 }, { once: true }),
        all: ourSide(measure, 'all states, packed', 'search', { n: 8, mode: 'packed' }, { once: true }),
      },
      rows: [{ ours: 'orbits', theirs: 'all', goal: 1 }],
      different: true,
    }),
    () => {
      const task = taskOf(chosen());
      return {
        what: `shipped design: ${task.design}, ${grouped(chosen().states)} states, properties on`,
        unit: 'states',
        sides: { ...sweeps(task), plain: ourSide(measure, 'plain sweep (the oracle)', 'plain', task) },
        rows: [
          { ours: 'learned', theirs: 'immer' },
          { ours: 'learned', theirs: 'plain' },
        ],
      };
    },
    () => {
      const task = taskOf(chosen());
      return {
        what: `fuzzing ${task.design}, properties on`,
        unit: 'steps',
        sides: {
          walks: ourSide(measure, 'walks', 'walks', (round) => ({ ...task, seed: round + 1, steps: 4_000_000 })),
          commands: ourSide(measure, 'fc.commands + immer', 'commands', (round) => ({
            ...task,
            seed: round + 1,
            runs: 600,
          })),
        },
        rows: [{ ours: 'walks', theirs: 'commands', goal: 40 }],
        different: true,
      };
    },
    // The same design booted out of all objects, and out of those that it needs.
    () => {
      const { booted } = chosen();
      const task = taskOf(chosen());
      const needed = neededObjects(booted.design, booted.knobs).map((object) => objects.indexOf(object));
      return {
        what: `unused objects: ${task.design}`,
        unit: 'states',
        sides: {
          all: ourSide(measure, `all ${objects.length} objects`, 'learned', task),
          needed: ourSide(measure, `the ${needed.length} that it needs`, 'learned', { ...task, objects: needed }),
        },
        rows: [{ ours: 'all', theirs: 'needed' }],
      };
    },
  ];
}

/** What a comparison is found by, without preparing it. */
export const TOPICS = [
  'two-phase commit',
  'second core',
  'representative design',
  'fairness',
  'symmetry',
  'shipped design',
  'fuzzing',
  'unused objects',
];
