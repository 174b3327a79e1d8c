import { describe, expect, test } from 'vitest';
import type { Case } from '../model/case.ts';
import { type Design, design, ioctl, must } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { forever, if_ret, may_go, mutex_lock, user, work_a_while } from '../model/objects/index.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { type Blame, signature } from '../properties/property.ts';
import { booting } from './booting.ts';
import { type Want, shrink } from './shrink.ts';
import { shorter, shrinkAndProve } from './shortest.ts';

const DEADLOCK: Want = { property: 'no-deadlock', kind: 'circle of mutex' };
const LOCK_ORDER: Want = { property: 'lock-order', kind: 'circular dependency' };
const BUDGET = 100_000;
const PLENTY = 10_000;

const abba = designs.find(({ name }) => name === 'canary-abba') as Design;
const opposite = booting(abba)({ order: 'opposite' });
const padded: Case = {
  design: abba.name,
  knobs: { order: 'opposite' },
  workload: {},
  schedule: ['two', 'two', 'reboot', 'one', 'one', 'reboot', 'two', 'one', 'two', 'one'],
};
const proving = (want: Want, maxStates = PLENTY) =>
  shrinkAndProve({ bootAt: booting(abba), run: padded, want, properties, budget: BUDGET, maxStates });

const LONG: Case = { design: abba.name, knobs: { order: 'opposite' }, workload: {}, schedule: ['one', 'one', 'two'] };

describe('a shorter case', () => {
  const ask = { booted: opposite, run: LONG, want: DEADLOCK, properties, maxStates: PLENTY };
  test('is found where there is one, and is a shortest', () => {
    expect(shorter(ask)).toMatchObject({ case: { schedule: ['one', 'two'] }, words: { least: 2, most: 2 } });
  });
  test('is not found where there is none, after all that are shorter', () => {
    const run = { ...LONG, schedule: ['one', 'two'] };
    expect(shorter({ ...ask, run })).toMatchObject({ words: { least: 2, most: 2 } });
    expect(shorter({ ...ask, run }).case).toBeUndefined();
  });
  test('is between what was searched and what is given when the states ran out first', () => {
    expect(shorter({ ...ask, maxStates: 1 })).toMatchObject({ words: { least: 1, most: 3 } });
  });
  test('makes calls that the case given does not make, if they are quicker', () => {
    const calling = design({
      name: 'calling',
      title: 'Two calls that do what a thread does the other way round',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, b: {} } },
        threads: { user0: user(), one: must([mutex_lock('b'), mutex_lock('a')]) },
        calls: {
          slow: ioctl({}, [work_a_while('copies'), mutex_lock('a'), mutex_lock('b')]),
          quick: ioctl({}, [mutex_lock('a'), mutex_lock('b')]),
        },
      }),
      expect: [],
    });
    const run = { design: 'calling', knobs: {}, workload: { user0: ['slow()'] }, schedule: [] };
    const given = { ...run, schedule: ['user0/slow', 'user0', 'one', 'user0'] };
    expect(shorter({ ...ask, booted: booting(calling)({}), run: given }).case).toMatchObject({
      workload: { user0: ['quick()'] },
    });
  });
  test('cannot be looked for when nobody can judge it', () => {
    expect(() => shorter({ ...ask, properties: [] })).toThrow(/no-deadlock is not among/);
  });
});

describe('a shrunk case', () => {
  test('is proved when the search knows nothing shorter', () => {
    expect(proving(DEADLOCK)).toMatchObject({ proved: true, complete: true, case: { schedule: ['one', 'two'] } });
    expect(proving(DEADLOCK).because).toMatch(/^no case of fewer than 2 words does it/);
  });
  test('is not called proved when the search was too small', () => {
    expect(proving(DEADLOCK, 2)).toMatchObject({ proved: false, case: { schedule: ['one', 'two'] } });
  });
  test('says between what the shortest lies when that is not settled', () => {
    const { words, because } = proving(DEADLOCK, 2);
    expect(words).toEqual({ least: 1, most: 2 });
    expect(because).toBe('the shortest case has 1 to 2 words, as far as was searched');
  });
  test('is proved although it was pieced together from several runs', () => {
    expect(proving(LOCK_ORDER)).toMatchObject({
      proved: true,
      case: { schedule: 'one one one one two two'.split(' ') },
    });
  });
  test('is proved when it is a loop', () => {
    const spin = design({
      name: 'spin',
      title: 'A thread that goes round for ever',
      sources: [],
      knobs: {},
      kernel: () => ({ threads: { one: must([work_a_while('begins'), forever([work_a_while('spins')])]) } }),
      expect: [],
    });
    const run = { design: 'spin', knobs: {}, workload: {}, schedule: ['one', 'one'], loop: ['one', 'one'] };
    const want: Want = { property: 'no-livelock', kind: 'no progress' };
    const request = { bootAt: booting(spin), run, want, properties, budget: BUDGET, maxStates: PLENTY };
    expect(shrinkAndProve(request)).toMatchObject({ proved: true, case: { schedule: ['one'], loop: ['one'] } });
  });
  test('gives way to another story that is shorter, which dropping words cannot find', () => {
    const detour = design({
      name: 'detour',
      title: 'A lock kept for ever, by the gentle way in five steps, by the rough way in two',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {} } },
        threads: {
          one: must([
            may_go('which way', ['gently', 'roughly']),
            if_ret('gently', [work_a_while('looks'), work_a_while('thinks'), work_a_while('asks')]),
            mutex_lock('a'),
          ]),
        },
      }),
      expect: [],
    });
    const schedule = ['one/gently', 'one', 'one', 'one', 'one'];
    const run: Case = { design: 'detour', knobs: {}, workload: {}, schedule };
    const bootAt = booting(detour);
    const want = judge(bootAt({}), run, properties).verdicts.find(({ blame }) => blame.property === 'no-leak')
      ?.blame as Blame;
    const request = { bootAt, run, want, properties, budget: BUDGET, maxStates: PLENTY };
    expect(shrink(request).case.schedule).toEqual(schedule);
    const proved = shrinkAndProve(request);
    expect(proved).toMatchObject({ proved: true, case: { schedule: ['one/roughly', 'one'] } });
    expect(judge(bootAt({}), proved.case, properties).verdicts.map(({ blame }) => signature(blame))).toContain(
      signature(want),
    );
  });
});
