import { describe, expect, test } from 'vitest';
import {
  if_ret,
  may_go,
  mutex_lock,
  mutex_unlock,
  return_,
  witness,
  work_a_while,
} from '../../../model/objects/index.ts';
import { bootKernel } from '../../../model/stage.ts';
import { properties } from '../../index.ts';
import { threads } from '../../trial.ts';
import { Learned } from '../learned.ts';
import { kernelSystem } from '../system.ts';
import { playBatch } from './batch.ts';
import { Chain } from './chain.ts';
import { pctOdds } from './pct-odds.ts';
import { unseen } from './unseen.ts';

/** `may` it go badly? If not, all that follows from it is never seen. */
const booted = (may: boolean) =>
  bootKernel(
    threads({
      one: [
        may_go('ask', may ? ['well', 'badly'] : ['well']),
        if_ret('badly', [work_a_while('mend'), witness('it went badly'), return_('0')], [work_a_while('go on')]),
        mutex_lock('a'),
        mutex_unlock('a'),
      ],
    }),
  );
const seenBy = (may: boolean, runs: number) => {
  const machine = booted(may);
  const chain = new Chain();
  const learned = new Learned(kernelSystem(machine.machine));
  chain.add(playBatch(machine, learned, { seed: 1, runs, properties, state: chain }));
  return unseen(machine, chain).map(
    ({ kind, what, near }) => `${kind} ${what}${near === undefined ? '' : ` near ${near}`}`,
  );
};

describe('what was never seen', () => {
  test('are the action, the branch and the witness behind an answer that never comes, each near the question', () => {
    expect(seenBy(false, 200)).toEqual([
      'branch one: if (ret == badly) then near one:0',
      'action one: mend near one:0',
      'witness it went badly near one:0',
    ]);
  });
  test('is nothing where the answer does come', () => {
    expect(seenBy(true, 200)).toEqual([]);
  });
  test('is a way that was open and not gone, after a single run that went well', () => {
    const machine = booted(true);
    const none = { offered: new Set(['one:0/well', 'one:0/badly']), witnesses: new Set<string>() };
    const went = unseen(machine, { ...none, taken: new Set(['one:0/well', 'one:4']) });
    expect(went.map(({ kind, what }) => `${kind} ${what}`)).toContain('outcome one: ask badly');
  });
});

describe('the odds of PCT', () => {
  test('are those of the paper, and longer runs count for shorter bugs', () => {
    const [two20, two60] = pctOdds(
      3,
      new Map([
        ['2 20', 60],
        ['2 60', 180],
      ]),
    );
    expect(two60).toMatchObject({ depth: 2, steps: 60, runs: 180 });
    expect(two60?.missed).toBeCloseTo((1 - 1 / 180) ** 180, 10);
    expect(two20?.missed).toBeCloseTo((1 - 1 / 60) ** 60 * (1 - 1 / 180) ** 180, 10);
    expect(pctOdds(3, new Map())).toEqual([]);
    const some: [string, number][] = [20, 60, 200].flatMap((steps) => [
      [`2 ${steps}`, steps + 7],
      [`3 ${steps}`, 54],
    ]);
    expect(pctOdds(7, new Map(some.toReversed()))).toEqual(pctOdds(7, new Map(some)));
  });
});
