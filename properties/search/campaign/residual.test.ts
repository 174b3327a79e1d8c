import { describe, expect, test } from 'vitest';
import { boot, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { properties } from '../../index.ts';
import { Learned, type Turn, apply } from '../learned.ts';
import { kernelSystem } from '../system.ts';
import { playBatch } from './batch.ts';
import { Chain } from './chain.ts';
import { placeOf } from './features.ts';
import { Sightings, residual } from './residual.ts';

describe('the chance that one more run shows something new', () => {
  test('is the share of runs that showed something no other did, within an interval that never vanishes', () => {
    expect(residual(0, 0, 0)).toEqual({ chance: 1, low: 0, high: 1 });
    const none = residual(1000, 0, 0);
    expect([none.chance, none.low]).toEqual([0, 0]);
    expect(none.high).toBeCloseTo(0.00384, 5); // a rule of nearly four
    const some = residual(1000, 50, 20);
    expect(some.chance).toBe(0.05);
    expect([some.low, some.high].map((each) => each.toFixed(3))).toEqual(['0.033', '0.071']);
  });

  test('counts a feature over all batches: once in each of two is twice', () => {
    const all = new Sightings(30);
    all.add('0.0', {
      fresh: [
        [1, 3, 1],
        [2, 3, 1],
        [3, 4, 2],
      ],
      again: [],
    });
    expect([all.runsWith(1), all.runsWith(2)]).toEqual([1, 1]);
    all.add('1.0', { fresh: [[1, 5, 1]], again: [] });
    all.add('0.1', { fresh: [], again: [[2, 2]] });
    expect([all.count, all.runsWith(1), all.runsWith(2), all.runsWith(3)]).toEqual([3, 0, 2, 1]);
  });
});

/** Strategies without memory: for them one run is like another. */
const FREE = ['random', 'uniform', 'pct', 'pos', 'swarm'];
const settings = [
  ['notifier-waits-fence', { signaller_allocates: 'GFP_NOFS' }],
  ['userptr-mn-lock', { under_mn_lock: 'GFP_KERNEL', recursion: 'yes' }],
] as const;

describe('calibrated', () => {
  test('the estimate is right on average within a tenth, and its interval holds the truth in nine of ten campaigns', {
    tags: ['long'],
  }, () => {
    const CAMPAIGNS = 40;
    const MORE = 400;
    let [held, estimated, true_, twice] = [0, 0, 0, 0];
    for (const [name, knobs] of settings) {
      const booted = boot(designs.find((each) => each.name === name)!, knobs);
      const learned = new Learned(kernelSystem(booted.machine));
      const play = (seed: number, runs: number, state: Chain) =>
        playBatch(booted, learned, { seed, runs, properties, strategies: FREE, state });
      for (let campaign = 0; campaign < CAMPAIGNS; campaign += 1) {
        const chain = new Chain();
        const done = play(Math.imul(campaign + 1, 0x9e3779b1), 60 * 2 ** (campaign % 4), chain);
        chain.add(done);
        const sightings = new Sightings(done.runs);
        sightings.add('only', done);
        const { chance, low, high } = sightings.residual();
        // The truth: runs that come next, each of them by itself.
        let news = 0;
        const worth = { ...chain.worth };
        for (let next = 0; next < MORE; next += 1) {
          chain.worth = {}; // the next run is made like those before
          if (play(Math.imul(campaign * MORE + next + 7, 0x85ebca6b), 1, chain).fresh.length > 0) news += 1;
        }
        chain.worth = worth;
        const truth = news / MORE;
        const error = 2 * Math.sqrt((truth * (1 - truth) + 1 / MORE) / MORE);
        if (truth >= low - error && truth <= high + error) held += 1;
        estimated += chance;
        true_ += truth;
        twice += sightings.runsWith(2) / done.runs;
      }
    }
    // 80 campaigns: at a true 95 %, fewer than 72 with probability 4 %; the sum of 80 truths is known within 4 %.
    expect(held).toBeGreaterThanOrEqual(72);
    expect(estimated / true_).toBeGreaterThan(0.9);
    expect(estimated / true_).toBeLessThan(1.1);
    // Its opposite: what was seen twice is another number, and would be found out.
    expect(Math.abs(twice / true_ - 1)).toBeGreaterThan(0.1);
  });

  test('where a sweep says that nothing is left to be seen, it says so too; before, it does not', () => {
    const booted = boot(designs.find(({ name }) => name === 'canary-abba')!, { order: 'opposite' });
    const learned = new Learned(kernelSystem(booted.machine));
    const all = everyWay(learned, learned.packing.pack(start(booted, booted.workload)));
    const chain = new Chain();
    const few = playBatch(booted, learned, { seed: 1, runs: 1, properties, strategies: FREE, state: chain });
    expect(few.taken.length).toBeLessThan(all.size);
    const first = new Sightings(few.runs);
    first.add('0.0', few);
    expect(first.residual().chance).toBe(1);

    const done = playBatch(booted, learned, { seed: 1, runs: 500, properties, strategies: FREE, state: chain });
    expect(new Set(done.taken)).toEqual(all);
    const later = new Sightings(done.runs);
    later.add('0.0', done);
    expect(later.residual().low).toBe(0);
    expect(later.residual().high).toBeLessThan(0.01);
  });
});

/** Every way that any state offers, from a complete search. */
function everyWay(learned: Learned, from: Uint16Array): Set<string> {
  const seen = new Set([from.join()]);
  const queue = [from];
  const ways = new Set<string>();
  for (const words of queue) {
    const turns: Turn[] = learned.threads.map((_, thread) => learned.turn(thread, words, 0));
    const owed = turns.some((turn) => turn.owed);
    for (const way of turns.flatMap((turn) => turn.ways)) {
      if (owed && way.nature === 'time') continue;
      ways.add(`${placeOf(way.line)}${way.outcome === '' ? '' : `/${way.outcome}`}`);
      const next = words.slice();
      apply(way, next, 0);
      if (seen.has(next.join())) continue;
      seen.add(next.join());
      queue.push(next);
    }
  }
  return ways;
}
