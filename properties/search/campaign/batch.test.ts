import { describe, expect, test } from 'vitest';
import { boot } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { groupOf } from '../../circle-of-debts.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { Learned } from '../learned.ts';
import { kernelSystem } from '../system.ts';
import { type BatchDone, playBatch } from './batch.ts';
import { Chain } from './chain.ts';

const booted = boot(designs.find(({ name }) => name === 'notifier-waits-fence')!, { signaller_allocates: 'GFP_NOFS' });
const fresh = (): Learned => new Learned(kernelSystem(booted.machine));
const play = (seed: number, state = new Chain(), learned = fresh()): BatchDone =>
  playBatch(booted, learned, { seed, runs: 100, properties, state });

describe('a batch', () => {
  test('is a function of its seed and of the chain before it, whatever its machine had learned', () => {
    const learned = fresh();
    const first = play(1, new Chain(), learned);
    expect(play(1)).toEqual(first);
    play(7, new Chain(), learned);
    expect(play(1, new Chain(), learned)).toEqual(first);
    expect(play(2).cases).not.toEqual(first.cases);

    const chain = new Chain();
    chain.add(first);
    const second = play(2, chain, learned);
    expect(second).not.toEqual(play(2));
    expect(play(2, structuredClone<Chain>(chain))).toEqual(second);
  });

  test('says what is new to its chain, and nothing twice', () => {
    const chain = new Chain();
    const done = [1, 2, 3].map((seed) => {
      const batch = play(seed, chain);
      chain.add(batch);
      return batch;
    });
    const features = done.flatMap((batch) => batch.fresh.map(([feature]) => feature));
    expect(new Set(features).size).toBe(features.length);
    const groups = done.flatMap(({ found }) => found.map(({ group }) => group));
    expect(new Set(groups).size).toBe(groups.length);
    expect(groups.length).toBeGreaterThan(2);
    for (const { taken, offered, witnesses } of done.slice(1))
      for (const name of [...taken, ...offered, ...witnesses])
        expect(done[0]!.taken.includes(name) && done[0]!.offered.includes(name)).toBe(false);
    // A feature is either new in one of the batches or seen again, and is not counted beyond three times.
    expect(Math.max(...chain.seen.values())).toBe(3);
  });

  test('finds nothing that the judge, on plain objects, does not convict too', () => {
    const { found } = play(1);
    for (const { group, run } of found)
      expect(judge(booted, run, properties).verdicts.map(({ blame }) => groupOf(blame))).toContain(group);
  });

  test('every run that showed a feature first is there as a case, and no other', () => {
    const { fresh: features, cases } = play(3);
    expect(cases.map(({ run }) => run)).toEqual([...new Set(features.map(([, run]) => run))].sort((a, b) => a - b));
  });
});

describe('a chain', () => {
  test('is stale after ten batches without news, or half of all of its own, and not before', () => {
    const chain = new Chain();
    const silent = { ...play(1), fresh: [], again: [], cases: [], found: [] };
    chain.add(play(1));
    for (let quiet = 1; quiet < 10; quiet += 1) chain.add(silent);
    expect(chain.stale).toBe(false);
    chain.add(silent);
    expect(chain.stale).toBe(true);
    for (let more = 0; more < 19; more += 1) chain.add(silent);
    chain.add({ ...silent, fresh: [[1, 1, 1]] });
    for (let quiet = 1; quiet < 16; quiet += 1) chain.add(silent);
    expect(chain.stale).toBe(false);
  });
});
