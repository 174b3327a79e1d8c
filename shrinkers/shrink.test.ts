import { describe, expect, test } from 'vitest';
import { type Case, REBOOT } from '../model/case.ts';
import { type Design, design, ioctl, must } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import {
  goto,
  if_ret,
  kmalloc,
  label,
  may_go,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  user,
  work_a_while,
} from '../model/objects/index.ts';
import type { Block } from '../model/machine.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { signature } from '../properties/property.ts';
import { sweep } from '../properties/search/sweep.ts';
import { booting } from './booting.ts';
import type { Pass } from './pass.ts';
import { type ShrinkRequest, type Shrunk, type Want, shrink } from './shrink.ts';
import { handovers, withWords, wordsOf } from './words.ts';

const DEADLOCK: Want = { property: 'no-deadlock', kind: 'circle of mutex' };
const LOCK_ORDER: Want = { property: 'lock-order', kind: 'circular dependency' };
const LIVELOCK: Want = { property: 'no-livelock', kind: 'no progress' };
const BUDGET = 100_000;

const named = (name: string): Design => designs.find((each) => each.name === name) as Design;
const locked = (...locks: readonly string[]): Block => [
  ...locks.map((lock) => mutex_lock(lock)),
  ...locks.toReversed().map((lock) => mutex_unlock(lock)),
];

/** A deadlock of two words behind a leak of one, and three processes that get in the way. */
const twoBugs = design({
  name: 'two-bugs',
  title: 'A deadlock, and a lock that is never given back',
  sources: [],
  knobs: { noise: ['none', 'some'], order: ['same', 'opposite'] },
  kernel: ({ noise, order }) => ({
    objects: { locks: { a: {}, b: {}, c: {} } },
    threads: {
      one: must(locked('a', 'b')),
      two: must(order === 'same' ? locked('a', 'b') : locked('b', 'a')),
      forgetful: must([work_a_while('thinks'), mutex_lock('c')]),
      noisy: must(noise === 'some' ? [work_a_while('hums'), work_a_while('hums')] : []),
    },
    calls: {},
  }),
  expect: [],
});
const WILD = { noise: 'some', order: 'opposite' };
const ask = (of: Design, run: Omit<Case, 'design'>, want: Want, more: Partial<ShrinkRequest> = {}): ShrinkRequest => ({
  bootAt: booting(of),
  run: { design: of.name, ...run },
  want,
  properties,
  budget: BUDGET,
  ...more,
});
const BOTH = ['noisy', 'forgetful', 'two', 'noisy', 'forgetful', 'one', 'two', 'one'];
const both = (more: Partial<ShrinkRequest> = {}): ShrinkRequest =>
  ask(twoBugs, { knobs: WILD, workload: {}, schedule: BOTH }, DEADLOCK, more);
const verdictsOn = ({ bootAt }: ShrinkRequest, run: Case): string[] =>
  judge(bootAt(run.knobs), run, properties).verdicts.map(({ blame }) => signature(blame));
const words = (request: ShrinkRequest): string => wordsOf(shrink(request).case).join(' ');

describe('known minima', () => {
  test('two words make the deadlock of two', () => {
    const schedule = ['two', 'nobody', 'two/no such way', 'reboot', 'two', 'one', 'one', 'two', 'two'];
    const run = { knobs: { order: 'opposite' }, workload: {}, schedule };
    expect(words(ask(named('canary-abba'), run, DEADLOCK))).toBe('one two');
  });
  test('six words forget a signal, seven leak it', () => {
    const of = named('canary-signal-forgotten');
    const findings = sweep(booting(of)({ on_error: 'forgets' }), properties).findings;
    const lengths = findings.map(({ blame, schedule }) => {
      const padded = schedule.flatMap((word) => [word, 'waiter', 'nobody', 'ioctl/fails']);
      const run = {
        knobs: { on_error: 'forgets' },
        workload: {},
        schedule: [...padded, 'waiter', 'job_work', 'waiter'],
      };
      return [blame.property, wordsOf(shrink(ask(of, run, blame)).case).length];
    });
    expect(Object.fromEntries(lengths)).toMatchObject({ 'fence-signals': 6, 'no-leak': 7 });
  });
});

describe('a shrink is pinned', () => {
  /** What a shrinker must not be: any failure will do. */
  const slippery = ({ bootAt, run }: ShrinkRequest): Case => {
    let now = run;
    for (let at = run.schedule.length - 1; at >= 0; at -= 1) {
      const next = withWords(now, now.schedule.toSpliced(at, 1));
      if (judge(bootAt(run.knobs), next, properties).verdicts.length > 0) now = next;
    }
    return now;
  };
  const slips = (request: ShrinkRequest, shrunk: Case): boolean =>
    !verdictsOn(request, shrunk).includes(signature(request.want));

  test('it never changes the verdict, though an easier bug is on the way', () => {
    expect(slips(both(), shrink(both()).case)).toBe(false);
    expect(words(both())).toBe('one two');
  });
  test('a shrinker that accepts any failure is caught slipping', () => {
    expect(slips(both(), slippery(both()))).toBe(true);
  });
  test('the easier bug is a finding of its own, with the shortest case seen', () => {
    const first: Pass = {
      name: 'first',
      says: 'drops the first word',
      *proposals({ now }) {
        yield withWords(now, now.schedule.slice(1));
      },
    };
    const { others } = shrink(both({ passes: [first] }));
    const leak = others.find(({ blame }) => blame.property !== 'no-deadlock' && blame.property !== 'lock-order');
    expect(verdictsOn(both(), leak?.case as Case)).toContain(signature(leak?.blame as Want));
    expect(leak?.case.schedule.length).toBeLessThan(BOTH.indexOf('forgetful', 2) + 1);
  });
  test('a pass that proposes another bug is refused and the bug kept', () => {
    const answers: boolean[] = [];
    const wrong: Pass = {
      name: 'wrong',
      says: 'proposes another bug',
      *proposals({ now }) {
        answers.push(yield withWords(now, ['forgetful', 'forgetful']));
      },
    };
    const { case: kept, others } = shrink(both({ passes: [wrong] }));
    expect(answers).toEqual([false]);
    expect(kept.schedule).toContain('two');
    expect(others.some(({ case: { schedule } }) => schedule.join(' ') === 'forgetful forgetful')).toBe(true);
  });
  test('a pass that proposes the same bug in more words is refused, in fewer accepted', () => {
    const answers: boolean[] = [];
    const proposing = (...schedule: string[]): Pass => ({
      name: 'planted',
      says: 'proposes these words',
      *proposals({ now }) {
        answers.push(yield withWords(now, schedule));
      },
    });
    const short = { ...both().run, schedule: ['noisy', 'one', 'two'] };
    shrink(both({ run: short, passes: [proposing('noisy', 'noisy', 'one', 'two')] }));
    expect(answers).toEqual([false]);
    shrink(both({ run: short, passes: [proposing('one', 'two')] }));
    expect(answers).toEqual([false, true, false]);
  });
  test('a case without the wanted verdict is an error that says what it does break', () => {
    expect(() => shrink(both({ want: LIVELOCK }))).toThrow(/does not break no-livelock .*; it breaks: .*no-deadlock/);
    const tame = ask(twoBugs, { knobs: {}, workload: {}, schedule: ['one'] }, DEADLOCK);
    expect(() => shrink(tame)).toThrow(/it breaks: nothing/);
  });
});

describe('limits', () => {
  test('it says when the budget ran out, and has not gone beyond it', () => {
    const { complete, why, steps, case: left } = shrink(both({ budget: 12 }));
    expect(complete).toBe(false);
    expect(why).toMatch(/^the budget of 12 steps ran out in \S+$/);
    expect(steps).toBeLessThanOrEqual(12);
    expect(verdictsOn(both(), left)).toContain(signature(DEADLOCK));
  });
  test('it says when nothing is left to do', () => {
    expect(shrink(both())).toMatchObject({ complete: true, why: expect.stringContaining('nothing more') as string });
  });
  test('the same shrink twice is the same, step by step', () => {
    const { runs, steps, case: shrunk } = shrink(both());
    expect(shrink(both())).toMatchObject({ runs, steps, case: shrunk });
  });
});

describe('knobs', () => {
  test('stay as they are unless asked', () => {
    expect(shrink(both()).case.knobs).toEqual(WILD);
  });
  test('are tamed when asked, except those that the verdict needs', () => {
    expect(shrink(both({ knobs: 'tame' })).case.knobs).toEqual({ noise: 'none', order: 'opposite' });
  });
});

describe('calls and processes', () => {
  const calling = design({
    name: 'calling',
    title: 'Two processes whose calls take two locks in either order',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { a: {}, b: {} } },
      threads: { user0: user(), user1: user(), user2: user() },
      calls: {
        idle: ioctl({}, [work_a_while('looks around')]),
        take: ioctl({ bo: ['bo0', 'bo1'], way: ['up', 'down'] }, [
          work_a_while('copies the arguments'),
          may_go('an odd way out', ['no', 'yes']),
          if_ret('no', locked('a', 'b')),
        ]),
        grab: ioctl({}, locked('b', 'a')),
      },
    }),
    expect: [],
  });
  const workload = {
    user0: ['idle()', 'take(bo1, down)', 'idle()'],
    user1: ['take(bo0, up)', 'grab()'],
    user2: ['idle()'],
  };
  const schedule = [
    ...['user0/idle', 'user2/idle', 'user0', 'user1/take', 'user1', 'user1/yes', 'user0/take', 'user2', 'user0'],
    ...['user1/grab', 'user0/no', 'user1', 'user0', 'user1', 'user0'],
  ];
  const request = ask(calling, { knobs: {}, workload, schedule }, DEADLOCK);

  test('those that do not matter go, arguments become the first declared', () => {
    expect(shrink(request).case.workload).toEqual({ user0: ['take(bo0, up)'], user1: ['grab()'] });
  });
  test('the words of the calls that stay stay, in as few segments as can be', () => {
    expect(words(request)).toBe('user0/take user0 user0/no user0 user1/grab user1');
  });
});

describe('several runs', () => {
  const abba = named('canary-abba');
  const twice = { knobs: { order: 'opposite' }, workload: {}, schedule: ['two', 'two', REBOOT, 'one', 'one'] };
  test('become one when one can do it', () => {
    const shrunk = shrink(ask(abba, twice, LOCK_ORDER)).case;
    expect(shrunk.schedule).not.toContain(REBOOT);
    expect(handovers(shrunk.schedule)).toBe(1);
  });
  test('stay several when one cannot: a thread goes only one way in a run', () => {
    const either = design({
      name: 'either-order',
      title: 'One thread that takes two locks in one order or the other',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, b: {} } },
        threads: { one: must([may_go('which', ['ab', 'ba']), if_ret('ab', locked('a', 'b'), locked('b', 'a'))]) },
      }),
      expect: [],
    });
    const schedule = ['one/ab', 'one', 'one', 'one', 'one', REBOOT, 'one/ba', 'one', 'one', 'one'];
    const run = { knobs: {}, workload: {}, schedule };
    expect(words(ask(either, run, LOCK_ORDER))).toBe('one/ab one one reboot one/ba one one');
  });
});

describe('weather', () => {
  const weather = design({
    name: 'weather',
    title: 'A lock forgotten on an error path',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { a: {} } },
      threads: {
        one: must([
          kmalloc('GFP_NOWAIT', 'a page'),
          mutex_lock('a'),
          kmalloc('GFP_NOWAIT', 'an entry'),
          if_ret('-ENOMEM', [goto('out')]),
          mutex_unlock('a'),
          label('out'),
        ]),
      },
    }),
    expect: [],
  });
  test('that the verdict needs stays, other weather clears up', () => {
    const run = { knobs: {}, workload: {}, schedule: ['one/fails', 'one', 'one/fails'] };
    const found = judge(booting(weather)({}), { design: 'weather', ...run }, properties).verdicts[0]?.blame as Want;
    expect(words(ask(weather, run, found))).toBe('one/ok one one/fails');
  });
});

describe('a loop', () => {
  const polite = (mine: string, other: string): Block => [
    work_a_while('wakes up'),
    label('again'),
    mutex_lock(mine),
    mutex_trylock(other),
    if_ret('0', [mutex_unlock(mine), goto('again')]),
    mutex_unlock(other),
    mutex_unlock(mine),
  ];
  const circle = design({
    name: 'polite',
    title: 'Two threads that back off from each other',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { a: {}, b: {} } },
      threads: { one: must(polite('a', 'b')), two: must(polite('b', 'a')), three: must([work_a_while('ends')]) },
    }),
    expect: [],
  });
  const found = sweep(booting(circle)({}), properties).findings.find(({ loop }) => loop);
  const { schedule = [], loop = [] } = found ?? {};
  const shrunk = (stem: readonly string[], round: readonly string[]): Shrunk =>
    shrink(ask(circle, { knobs: {}, workload: {}, schedule: stem, loop: round }, LIVELOCK));

  test('that goes round three times, entered late and in the middle, becomes one round entered early', () => {
    const late = shrunk(
      [...schedule, ...loop, ...loop.slice(0, 1)],
      [...loop.slice(1), ...loop, ...loop, ...loop.slice(0, 1)],
    ).case;
    const plain = shrunk(schedule, loop).case;
    expect(late.loop?.length).toBe(plain.loop?.length);
    expect(late.schedule.length).toBe(plain.schedule.length);
    expect(late.schedule.length).toBeLessThanOrEqual(schedule.length);
    expect(late.loop?.length).toBeLessThanOrEqual(loop.length);
  });
  test('is not given up for the words before it, which break nothing', () => {
    const { case: left, complete } = shrunk(schedule, loop);
    expect(complete).toBe(true);
    expect(left.loop?.length).toBeGreaterThan(0);
  });
});

describe('one bug', () => {
  test('found in eight ways is one text after shrinking, two if not put in order', () => {
    const ways = [
      ...['one two', 'two one', 'noisy two one', 'two noisy one', 'forgetful one two', 'one noisy two'],
      ...['two forgetful one noisy', 'noisy one noisy two forgetful'],
    ].map((text) => text.split(' '));
    const texts = (more: Partial<ShrinkRequest>): Set<string> =>
      new Set(ways.map((schedule) => words(ask(twoBugs, { knobs: WILD, workload: {}, schedule }, DEADLOCK, more))));
    expect([...texts({})]).toEqual(['one two']);
    const dropping: Pass = {
      name: 'dropping',
      says: 'drops single words',
      *proposals(bench) {
        for (let at = bench.now.schedule.length - 1; at >= 0; at -= 1)
          yield withWords(bench.now, bench.now.schedule.toSpliced(at, 1));
      },
    };
    expect(texts({ passes: [dropping] }).size).toBe(2);
  });
});
