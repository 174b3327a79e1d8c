import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../model/design.ts';
import type { Block } from '../../../model/machine.ts';
import { if_ret, may_go, mutex_lock, mutex_unlock, return_, work_a_while } from '../../../model/objects/index.ts';
import { bootKernel } from '../../../model/stage.ts';
import { noDeadlock } from '../../no-deadlock.ts';
import { properties } from '../../index.ts';
import { threads } from '../../trial.ts';
import { playBatch } from '../campaign/batch.ts';
import { Chain } from '../campaign/chain.ts';
import { deadlocksOf } from '../campaign/realised.ts';
import { Hunt } from '../hunt.ts';
import { Learned } from '../learned.ts';
import { Random } from '../random.ts';
import { kernelSystem } from '../system.ts';
import { portfolio } from './index.ts';
import type { Lore } from './lore.ts';
import { UniformScheduler } from './uniform.ts';

const RUNS = 400;
const STEPS = 60;

/** In how many of 400 runs of this strategy somebody deadlocks. */
function deadlocks(
  kernel: Kernel,
  name: string,
  lore: Partial<Lore> | ((random: Random) => Partial<Lore>) = {},
): number {
  const booted = bootKernel(kernel);
  const learned = new Learned(kernelSystem(booted.machine));
  const hunt = new Hunt(booted, learned, [noDeadlock]);
  const strategy = portfolio.find((each) => each.name === name)!;
  const sums = new Float64Array(learned.threads.length);
  let hits = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const random = new Random(Math.imul(run + 1, 0x9e3779b1));
    const more = typeof lore === 'function' ? lore(random) : lore;
    const paces = run === 0 ? sums.map(() => 1) : sums.map((sum) => sum / run);
    hunt.found.clear();
    const picker = strategy.begin(random, learned.threads.length, STEPS, { learned, rough: 0, paces, ...more });
    hunt.play({ workload: {}, strategy: name, picker, steps: STEPS });
    for (const { threadAt } of hunt.walker.taken) sums[threadAt]! += 1;
    if (hunt.found.size > 0) hits += 1;
  }
  return hits;
}
/** Does a batch of the campaign find a deadlock, with this strategy alone? */
const batchFinds = (kernel: Kernel, name: string): boolean => {
  const booted = bootKernel(kernel);
  const learned = new Learned(kernelSystem(booted.machine));
  const state = new Chain();
  for (let seed = 0; seed < 4; seed += 1)
    state.add(playBatch(booted, learned, { seed, runs: 500, properties, strategies: [name], state }));
  return [...state.groups].some((group) => group.startsWith('no-deadlock'));
};

const nest = (first: string, second: string): Block => [
  mutex_lock(first),
  mutex_lock(second),
  mutex_unlock(second),
  mutex_unlock(first),
];
const idle = (steps: number): Block => Array.from({ length: steps }, (_, at) => work_a_while(`work ${at}`));
/** Two locks in opposite order, or in one. */
const abba = (wrong: boolean, late = 0): Kernel =>
  threads({ early: wrong ? nest('b', 'a') : nest('a', 'b'), late: [idle(late), nest('a', 'b')] });

describe('random walk', () => {
  test('hits a circle of two at its first chance in every second run, and never its tame twin', () => {
    // Whoever begins, the other must come next: exactly 1/2. Outside 160 … 240 of 400 with probability 6·10⁻⁵.
    const hits = deadlocks(abba(true), 'random');
    expect(hits).toBeGreaterThan(160);
    expect(hits).toBeLessThan(240);
    expect(deadlocks(abba(false), 'random')).toBe(0);
  });
});

describe('uniform random walk', () => {
  test('makes all 20 interleavings of three and three steps equally often; a random walk does not', () => {
    const sample = (uniform: boolean): number[] => {
      const counts = new Map<string, number>();
      const random = new Random(7);
      for (let run = 0; run < 20_000; run += 1) {
        const scheduler = new UniformScheduler(Float64Array.of(3, 3));
        const left = [3, 3];
        let trace = '';
        while (left[0]! + left[1]! > 0) {
          const enabled = [0, 1].filter((thread) => left[thread]! > 0);
          const thread = uniform ? scheduler.next(enabled, random) : enabled[random.below(enabled.length)]!;
          left[thread]! -= 1;
          trace += thread;
        }
        counts.set(trace, (counts.get(trace) ?? 0) + 1);
      }
      return [...counts.values()].sort((a, b) => a - b);
    };
    // 1,000 of each are expected, with a standard deviation of 31; one of 20 is 5 of them away with probability 10⁻⁵.
    const uniform = sample(true);
    expect(uniform).toHaveLength(20);
    expect(uniform[0]).toBeGreaterThan(845);
    expect(uniform.at(-1)).toBeLessThan(1155);
    // A random walk takes all of one thread first in 1/8 of its runs, and most other orders in 1/32.
    expect(sample(false).at(-1)).toBeGreaterThan(2300);
  });

  test('hits a circle whose other half comes thirteen steps late in about one run of 17; a random walk in one of a thousand', () => {
    // 13·20 + 35/2 of the 4,845 interleavings: 5.7 %, 23 of 400; fewer than 6 with probability 10⁻⁵.
    expect(deadlocks(abba(true, 12), 'uniform')).toBeGreaterThanOrEqual(6);
    // About 14/2¹⁴ + …: 0.1 %; more than 4 of 400 with probability 10⁻⁴.
    expect(deadlocks(abba(true, 12), 'random')).toBeLessThanOrEqual(4);
    expect(deadlocks(abba(false, 12), 'uniform')).toBe(0);
  });
});

describe('partial order sampling', () => {
  test('hits the late circle too, because steps that race with nothing leave the other thread where it is', () => {
    // The early thread stays behind thirteen fresh priorities in about 1 of 14 orders, and must then come in time: 4 %.
    // Fewer than 5 of 400 with probability 4·10⁻⁴.
    const hits = deadlocks(abba(true, 12), 'pos');
    expect(hits).toBeGreaterThanOrEqual(5);
    expect(deadlocks(abba(false, 12), 'pos')).toBe(0);
  });
});

describe('PCT', () => {
  // Promised is 1/(2·60) for a run of depth 2 and 60 steps; most runs are far better: 2.5 %, fewer than the 4 promised with probability 1 %.
  test('hits the late circle with its one change point as often as was promised, and never the tame twin', () => {
    const hits = deadlocks(abba(true, 12), 'pct');
    expect(hits).toBeGreaterThanOrEqual(RUNS / (2 * STEPS));
    expect(deadlocks(abba(false, 12), 'pct')).toBe(0);
  });
});

describe('swarm', () => {
  /** Ten times all must go well for it to come to a self-deadlock, in weather in which nine of ten do not. */
  const lucky = (wrong: boolean): Kernel =>
    threads({
      one: [
        Array.from({ length: 10 }, (_, at) => [
          may_go(`try ${at}`, ['well', 'badly']),
          if_ret('badly', [return_('0')]),
        ]),
        mutex_lock('a'),
        wrong ? mutex_lock('a') : [],
      ],
    });
  const masked = (random: Random): Partial<Lore> => ({
    rough: 0.9,
    mask: { threads: new Set(), coin: random.below(0x7fffffff) },
  });
  test('hits what needs a fault not to happen ten times in a row in every second run; a random walk never does', () => {
    // The fault is switched off by the toss of a coin: 1/2. With it, 10⁻¹⁰.
    const hits = deadlocks(lucky(true), 'swarm', masked);
    expect(hits).toBeGreaterThan(160);
    expect(hits).toBeLessThan(240);
    expect(deadlocks(lucky(true), 'random', { rough: 0.9 })).toBe(0);
    expect(deadlocks(lucky(false), 'swarm', masked)).toBe(0);
  });
  test('has half of its runs with everything: what needs both ways is not lost to it', () => {
    expect(deadlocks(lucky(true), 'swarm', { rough: 0 })).toBe(RUNS);
  });
});

describe('mutation guided by features', () => {
  /** A stair of gates, each of which opens in fewer than half of the tries even in the roughest weather. */
  const stair = (wrong: boolean): Kernel =>
    threads({
      one: [
        Array.from({ length: 18 }, (_, at) => [
          may_go(`gate ${at}`, ['shut', 'ajar', 'open']),
          if_ret(['shut', 'ajar'], [return_('0')]),
        ]),
        mutex_lock('a'),
        wrong ? mutex_lock('a') : [],
      ],
    });
  test('climbs a stair of 18 gates within 2,000 runs; a random walk does not, and nobody finds what is not there', () => {
    // A gate is open in at most 0.45 of the tries: 18 of them in 6·10⁻⁷ of the runs, 0.1 % in 2,000. A step is new, so the
    // way to it is kept, and the next is tried from there some dozens of times.
    expect(batchFinds(stair(true), 'guided')).toBe(true);
    expect(batchFinds(stair(true), 'random')).toBe(false);
    expect(batchFinds(stair(false), 'guided')).toBe(false);
  });
});

describe('directed search', () => {
  const circle = [
    { held: 'a', taken: 'b' },
    { held: 'b', taken: 'a' },
  ];
  /** The same under one lock that guards both. */
  const guarded = threads(
    {
      early: [mutex_lock('guard'), nest('b', 'a'), mutex_unlock('guard')],
      late: [idle(12), mutex_lock('guard'), nest('a', 'b'), mutex_unlock('guard')],
    },
    { objects: { locks: { a: {}, b: {}, guard: {} } } },
  );
  test('makes a predicted circle real in every second run, which a random walk meets in one of a thousand', () => {
    const hits = deadlocks(abba(true, 12), 'directed', { circle });
    // Early is held back until late stands there too, unless patience ends before: 0.95 for each of up to 16 steps, 0.44, or better.
    // Fewer than 160 of 400 with probability 5 % at that; 73 % were seen.
    expect(hits).toBeGreaterThan(160);
  });
  test('misses it where a guard forbids it, and every state says that it must', () => {
    expect(deadlocks(guarded, 'directed', { circle })).toBe(0);
    expect(deadlocksOf(bootKernel(guarded), 10_000)).toMatchObject({ complete: true, deadlocks: [] });
    expect(deadlocksOf(bootKernel(abba(true, 12)), 10_000).deadlocks.map(({ classes }) => classes)).toEqual([
      ['a', 'b'],
    ]);
  });
  test('is what a batch comes to by itself: predicted by lock-order, then aimed at', () => {
    expect(batchFinds(abba(true, 12), 'directed')).toBe(true);
    expect(batchFinds(guarded, 'directed')).toBe(false);
  });
});
