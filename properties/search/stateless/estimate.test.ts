import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boot, settings, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { philosophers } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { type ExploreOptions, explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { lean } from '../lean.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { breadthFirst } from '../storage/breadth.ts';
import { type System, kernelSystem } from '../system.ts';
import { allSchedules } from './all-schedules.ts';
import { estimateSchedules, pace } from './estimate-schedules.ts';
import { Foresight, continued, estimateStates, falling } from './estimate-states.ts';
import { schedules } from './schedules.ts';
import { type Tiny, tinySystem, tinySystems } from './tiny-systems.ts';

interface Subject {
  readonly learned: Learned<any, any>;
  readonly from: Uint16Array;
}
function subject<S extends object, F>(system: System<S, F>, state: S = system.boot): Subject {
  const learned = new Learned(system);
  return { learned, from: learned.packing.pack(state) };
}
const ofDesigns = (most: number): Subject[] =>
  designs.flatMap((design) =>
    settings(design)
      .slice(0, most)
      .map((knobs) => {
        const booted = boot(design, knobs);
        return subject(kernelSystem(booted.machine), start(booted, booted.workload));
      }),
  );
const ofSmallKernels = (numRuns: number, retries: boolean): Subject[] =>
  fc.sample(recipes, { numRuns, seed: 3 }).map((recipe) => {
    const booted = boot(smallDesign({ ...recipe, retries: recipe.retries && retries }));
    return subject(kernelSystem(booted.machine), start(booted, booted.workload));
  });

const PATIENT = { patient: true, seed: 1 };
const LIMITS = { patient: true, maxDepth: 2_000, maxSteps: 300_000 };

describe('how many schedules', () => {
  const one = (cell: number): Tiny[number] => [{ asks: [], outcomes: [[[cell, 1]]], nature: 'owed' }];
  test('where nothing is shared every walk says one', () => {
    const { learned, from } = subject(tinySystem([one(0), one(1), one(2)]));
    expect(estimateSchedules(learned, from, PATIENT)).toMatchObject({ estimate: 1, low: 1, high: 1 });
  });
  test('where all meet in one cell, it is who comes first', () => {
    const all = subject(tinySystem([one(0), one(0), one(0), one(0)].map(([line]) => [{ ...line!, asks: [WRITTEN] }])));
    expect(allSchedules(all.learned, all.from, { patient: true }).sorts.size).toBe(4);
    const { estimate, low, high } = estimateSchedules(all.learned, all.from, PATIENT);
    expect(low).toBeLessThanOrEqual(4);
    expect(high).toBeGreaterThanOrEqual(4);
    expect(estimate).toBeGreaterThanOrEqual(3);
    expect(estimate).toBeLessThanOrEqual(5);
  });
  const WRITTEN = { cell: 0, is: 2, else: 'enough' as const, writes: 1 };

  // Of small populations the mean over many seeds must come near the truth, or the estimate is biased: 300 rounds of 8
  // walks are within 10 % in 20 systems of 20 with these seeds.
  test('is told without bias', () => {
    fc.assert(
      fc.property(tinySystems(true), (tiny) => {
        const { learned, from } = subject(tinySystem(tiny));
        const { executions } = schedules(learned, from, LIMITS);
        if (executions > 60) return;
        const { estimate } = estimateSchedules(learned, from, { ...PATIENT, rounds: 300, walks: 8 });
        expect(Math.abs(estimate - executions)).toBeLessThanOrEqual(Math.max(1, executions * 0.1));
      }),
      { numRuns: 20, seed: 5 },
    );
  });

  /** How many of those with at least 100 schedules, how near, and how many intervals hold the truth. */
  const calibrated = (subjects: readonly Subject[], rests: boolean) => {
    const told = subjects.flatMap(({ learned, from }) => {
      const { executions, steps, complete } = schedules(learned, from, { ...LIMITS, rests });
      if (!complete || executions < 100) return [];
      const { estimate, low, high, searchSteps } = estimateSchedules(learned, from, { ...PATIENT, rests });
      return [
        { off: estimate / executions, holds: low <= executions && executions <= high, more: searchSteps / (steps + 1) },
      ];
    });
    return {
      systems: told.length,
      within2: told.filter(({ off }) => off >= 0.5 && off <= 2).length,
      hold: told.filter(({ holds }) => holds).length,
      stepsWithin5: told.filter(({ more }) => more >= 0.2 && more <= 5).length,
    };
  };
  test('on two-phase commit', () => {
    const { learned, from } = subject(twoPhaseCommit(4));
    const { executions } = schedules(learned, from, LIMITS);
    expect(executions).toBe(1297);
    const { estimate, low, high } = estimateSchedules(learned, from, PATIENT);
    expect([low < 1297, 1297 < high, Math.abs(estimate - 1297) < 130]).toEqual([true, true, true]);
  });
  // Seeds are fixed, but designs come and go. Of 57 there were, all estimates were within 2 and all but two or three
  // intervals held; the steps were told within 5 for all but one.
  test('on designs and small kernels', { tags: ['long', 'overnight'] }, () => {
    for (const rests of [false, true]) {
      const { systems, within2, hold, stepsWithin5 } = calibrated(
        [...ofDesigns(4), ...ofSmallKernels(60, false)],
        rests,
      );
      expect(systems).toBeGreaterThan(10);
      expect(within2 / systems).toBeGreaterThanOrEqual(0.9);
      expect(hold / systems).toBeGreaterThanOrEqual(0.9);
      expect(stepsWithin5 / systems).toBeGreaterThanOrEqual(0.9);
    }
  });
  test('a workload that may not end has no upper end', () => {
    const { learned, from } = subject(philosophers(3));
    const told = estimateSchedules(learned, from, { ...PATIENT, rounds: 2, walks: 32, maxDepth: 20 });
    expect(told).toMatchObject({ estimate: Infinity, low: 1, high: Infinity, searchSteps: Infinity });
    expect(told.how).toBe('of 32 random walks some are longer than 20 steps: the workload may not end');
  });
  test('played twice is the same', () => {
    const told = (): unknown => {
      const { learned, from } = subject(twoPhaseCommit(3));
      return estimateSchedules(learned, from, PATIENT);
    };
    expect(told()).toEqual(told());
  });
});

describe('how fast', () => {
  test('is what a short run of the search does in the time that passes', () => {
    const { learned, from } = subject(twoPhaseCommit(3));
    const { steps } = schedules(learned, from, LIMITS);
    let now = 1_000;
    const clock = (): number => (now += 250);
    expect(pace(learned, from, LIMITS, clock)).toBe(steps * 4);
  });
});

const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true } as const;

describe('how many states', () => {
  test('is exact when the budget is enough, and says so', () => {
    const { learned, from } = subject(twoPhaseCommit(3));
    expect(estimateStates(learned, from, PATIENT)).toMatchObject({
      ...{ estimate: 288, low: 288, high: 288, found: 288 },
      how: 'all states were counted',
    });
    expect(estimateStates(learned, from, { ...PATIENT, budget: 100 }).how).toMatch(
      /^\d levels with \d+ states, continued$/,
    );
  });
  test('of n things that each happen once, half of it seen, is told within a quarter', () => {
    const choose = (n: number): number[] => {
      const row = [1];
      for (let k = 0; k < n; k += 1) row.push(((row[k] as number) * (n - k)) / (k + 1));
      return row;
    };
    for (const n of [8, 12, 16, 20]) {
      const seen = choose(n).slice(0, n / 2 + 1);
      expect(continued(seen) / 2 ** n).toBeCloseTo(1, 0);
      expect(falling(seen, n) / 2 ** n).toBeGreaterThan(0.75);
      expect(falling(seen, n) / 2 ** n).toBeLessThan(1.25);
    }
  });
  test('levels that double for ever have no end', () => {
    expect(continued([1, 2, 4, 8, 16, 32])).toBeGreaterThan(1e12);
  });

  const calibrated = (subjects: readonly Subject[], part: number) => {
    const told = subjects.flatMap(({ learned, from }) => {
      const { states, exhausted } = lean(learned, from, { maxStates: 100_000, patient: true });
      if (!exhausted || states < 400) return [];
      const { estimate, low, high } = estimateStates(learned, from, { ...PATIENT, budget: Math.floor(states / part) });
      return [{ off: estimate / states, holds: low <= states && states <= high }];
    });
    return {
      systems: told.length,
      within2: told.filter(({ off }) => off >= 0.5 && off <= 2).length,
      hold: told.filter(({ holds }) => holds).length,
    };
  };
  test('is told within the interval for the classics, a tenth of them seen', () => {
    expect(calibrated([subject(twoPhaseCommit(4)), subject(twoPhaseCommit(5)), subject(philosophers(9))], 10)).toEqual({
      ...{ systems: 3, within2: 2, hold: 3 },
    });
  });
  test('is told while the search is under way, after every level, whoever searches', () => {
    const { learned, from } = subject(twoPhaseCommit(6));
    for (const search of [
      (progress: ExploreOptions<never>['progress']) =>
        explore(learned, from, { ...EVERYTHING, edges: false, ...(progress ? { progress } : {}) }),
      (progress: ExploreOptions<never>['progress']) =>
        breadthFirst(learned, from, { ...EVERYTHING, edges: false, mode: 'tree', ...(progress ? { progress } : {}) }),
    ]) {
      const foresight = new Foresight(
        () => learned as never,
        () => from,
        PATIENT,
      );
      const guesses: string[] = [];
      search((states, _expanded, depth) => {
        foresight.note(states, depth);
        const guess = foresight.guess();
        if (guess) guesses.push(`${depth} ${guess.estimate} ${guess.low <= 50_816 && 50_816 <= guess.high}`);
      });
      const after = [...new Set(guesses)];
      expect(after.length).toBeGreaterThan(5);
      expect(after.filter((guess) => !guess.endsWith('true'))).toEqual([]);
    }
  });
  // Of 99 systems, 61 of them designs: 90 intervals held and 49 were within 2 with a tenth seen; 96 and 69 with a third.
  test('is told within the interval for designs and small kernels', { tags: ['long', 'overnight'] }, () => {
    const subjects = [...ofDesigns(8), ...ofSmallKernels(100, true)];
    const tenth = calibrated(subjects, 10);
    const third = calibrated(subjects, 3);
    expect(tenth.systems).toBeGreaterThan(50);
    expect(tenth.hold / tenth.systems).toBeGreaterThanOrEqual(0.8);
    expect(tenth.within2 / tenth.systems).toBeGreaterThanOrEqual(0.35);
    expect(third.hold / third.systems).toBeGreaterThanOrEqual(0.9);
    expect(third.within2 / third.systems).toBeGreaterThanOrEqual(0.55);
  });
});
