import { describe, expect, test } from 'vitest';
import type { Case } from '../model/case.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { signature } from '../properties/property.ts';
import { type CommandShrunk, commandShrink } from './command-shrinker.ts';
import { isOneMinimal } from './one-minimal.ts';
import { type Planted, plantedSet } from './planted.ts';
import { type Proved, shrinkAndProve } from './shortest.ts';
import { type Shrunk, shrink } from './shrink.ts';
import { wordsOf } from './words.ts';

const BUGS = 60;
const BUDGET = 10_000_000;
const MAX_STATES = 1_000_000;
/** Seconds of processor time in which a bug is to be shrunk and proved. */
const SECONDS = 10;
/** fast-check is stopped at so many times the runs of all our passes: its count is then a lower bound. */
const STOPPED_AT = 3;

interface Measured {
  readonly planted: Planted;
  readonly proved: Proved;
  readonly seconds: number;
  /** All passes and no search. */
  readonly passes: Shrunk;
  readonly theirs: CommandShrunk;
}

/** The same case and the same verdict put to both shrinkers, one after the other. */
function measured(planted: Planted): Measured {
  const { booted, run, want } = planted;
  const request = { bootAt: () => booted, run, want, properties, budget: BUDGET };
  const before = process.cpuUsage();
  const proved = shrinkAndProve({ ...request, maxStates: MAX_STATES });
  const seconds = process.cpuUsage(before).user / 1e6;
  const passes = shrink(request);
  const theirs = commandShrink(booted, run, want, properties, STOPPED_AT * passes.runs);
  return { planted, proved, seconds, passes, theirs };
}
const first = (count: number): Measured[] => {
  const all: Measured[] = [];
  for (const planted of plantedSet()) if (all.push(measured(planted)) === count) break;
  return all;
};

const told = ({ planted: { booted, want } }: Measured): string =>
  `${booted.design.name} ${JSON.stringify(booted.knobs)}: ${signature(want)}`;
const failing = (all: readonly Measured[], holds: (each: Measured) => boolean): string[] =>
  all.filter((each) => !holds(each)).map(told);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const breaks = ({ planted: { booted, want } }: Measured, run: Case): boolean =>
  judge(booted, run, properties).verdicts.some(({ blame }) => signature(blame) === signature(want));
const minimal = ({ planted: { booted, want } }: Measured, run: Case): boolean =>
  isOneMinimal({ bootAt: () => booted, run, want, properties });

const theirRuns = (all: readonly Measured[]): number => sum(all.map(({ theirs }) => theirs.runs));

/** What must hold of every planted bug, and of all of them together. */
function promised(all: readonly Measured[]): void {
  const lengths = all.map(({ planted: { run } }) => wordsOf(run).length);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(200);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2_000);
  expect(new Set(all.map(told)).size).toBe(all.length);

  expect(failing(all, (each) => breaks(each, each.proved.case) && breaks(each, each.passes.case))).toEqual([]);
  expect(failing(all, (each) => minimal(each, each.proved.case) && minimal(each, each.passes.case))).toEqual([]);
  const unproved = failing(all, ({ proved: { proved }, seconds }) => proved && seconds <= SECONDS);
  expect(unproved.length, unproved.join('\n')).toBeLessThanOrEqual(all.length / 10);
  // What is proved is no longer than what anybody found.
  const longer = failing(all, ({ proved, passes, theirs }) => {
    const others = [passes.case, theirs.case].map((each) => wordsOf(each).length);
    return !proved.proved || wordsOf(proved.case).length <= Math.min(...others);
  });
  expect(longer).toEqual([]);

  expect(2 * sum(all.map(({ proved }) => proved.runs))).toBeLessThanOrEqual(theirRuns(all));
  const dearer = failing(all, (each) => 2 * each.proved.runs <= each.theirs.runs);
  expect(dearer.length, dearer.join('\n')).toBeLessThanOrEqual(all.length / 10);
}

describe('planted bugs, in cases of 200 to 2,000 words that a random walk really took', () => {
  test('shrink to 1-minimal cases, proved shortest, with half of the runs of fast-check or fewer', () => {
    const all = first(3);
    expect(all).toHaveLength(3);
    promised(all);
  });
  test(`all ${BUGS} of them, machines and designs, lassos included`, { tags: ['long'] }, () => {
    const all = first(BUGS);
    expect(all).toHaveLength(BUGS);
    expect(all.filter(({ planted }) => planted.run.loop !== undefined).length).toBeGreaterThanOrEqual(5);
    promised(all);
    // The passes alone, without any search, take half of the runs in all, though not for every bug.
    expect(2 * sum(all.map(({ passes }) => passes.runs))).toBeLessThanOrEqual(theirRuns(all));
  });
});

describe('the yardstick', () => {
  const [one] = [...first(1)];
  const { planted, theirs } = one as Measured;
  test('is a shrinker that keeps the verdict and takes most of the words away', () => {
    expect(breaks(one as Measured, theirs.case)).toBe(true);
    expect(wordsOf(theirs.case).length).toBeLessThan(wordsOf(planted.run).length / 10);
    expect(theirs.complete).toBe(true);
  });
  test('counts no more runs than it is allowed, and says so', () => {
    const { booted, run, want } = planted;
    expect(commandShrink(booted, run, want, properties, 5)).toMatchObject({ runs: 5, complete: false });
  });
  test('is not put to a case without the verdict', () => {
    const { booted, run, want } = planted;
    const innocent = { ...run, schedule: run.schedule.slice(0, 1) };
    expect(() => commandShrink(booted, innocent, want, properties, 5)).toThrow(/does not break/);
  });
});
