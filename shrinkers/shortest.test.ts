import { describe, expect, test } from 'vitest';
import type { Case } from '../model/case.ts';
import { type Design, design, ioctl, must } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { forever, if_ret, may_go, mutex_lock, mutex_unlock, user, work_a_while } from '../model/objects/index.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { type Blame, signature } from '../properties/property.ts';
import { booting } from './booting.ts';
import { type Want, shrink } from './shrink.ts';
import { shortest, shrinkAndProve } from './shortest.ts';

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

describe('the shortest schedule', () => {
  test('is found for a bug that is there', () => {
    expect(shortest({ booted: opposite, want: DEADLOCK, properties, maxStates: PLENTY })).toMatchObject({
      kind: 'found',
      schedule: ['one', 'two'],
      proved: true,
    });
  });
  test('is not found where there is no such bug, after all states', () => {
    const tame = booting(abba)({ order: 'same' });
    const none = shortest({ booted: tame, want: DEADLOCK, properties, maxStates: PLENTY });
    expect(none).toMatchObject({ kind: 'none', searched: 16 });
    expect(none.because).toBe('none of the 16 states of order=same has it');
  });
  test('is not settled when the states ran out first, and says how many were searched', () => {
    const none = shortest({ booted: opposite, want: DEADLOCK, properties, maxStates: 2 });
    expect(none.kind).toBe('none');
    expect(none.because).toMatch(/^not settled in \d states/);
  });
  test('is looked for in the workload of the case, not in that of the design', () => {
    const calling = design({
      name: 'calling',
      title: 'A call that does what two processes must not do at once',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, b: {} } },
        threads: { user0: user(), one: must([mutex_lock('b'), mutex_lock('a')]) },
        calls: { take: ioctl({}, [mutex_lock('a'), mutex_lock('b'), mutex_unlock('b'), mutex_unlock('a')]) },
      }),
      expect: [],
    });
    const ask = { booted: booting(calling)({}), want: DEADLOCK, properties, maxStates: PLENTY };
    expect(shortest(ask).kind).toBe('none');
    expect(shortest({ ...ask, workload: { user0: ['take()'] } })).toMatchObject({ kind: 'found', proved: true });
  });
});

describe('a shrunk case', () => {
  test('is proved when the search knows nothing shorter', () => {
    expect(proving(DEADLOCK)).toMatchObject({ proved: true, complete: true, case: { schedule: ['one', 'two'] } });
    expect(proving(DEADLOCK).because).toMatch(/no schedule of fewer than 2 words/);
  });
  test('is not called proved when the search was too small', () => {
    expect(proving(DEADLOCK, 2)).toMatchObject({ proved: false, case: { schedule: ['one', 'two'] } });
  });
  test('is not called proved when it rests on several runs', () => {
    expect(proving(LOCK_ORDER)).toMatchObject({
      proved: false,
      because: expect.stringMatching(/several runs/) as string,
    });
  });
  test('is not called proved when it is a loop', () => {
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
    expect(shrinkAndProve(request)).toMatchObject({ proved: false, case: { schedule: ['one'], loop: ['one'] } });
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
