import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Case, REBOOT, choices, follow, identity, word } from '../../model/case.ts';
import { type Booted, type Workload, boot, design, ioctl, must, start } from '../../model/design.ts';
import type { Block, Instruction } from '../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  forever,
  goto,
  if_ret,
  label,
  may_go,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  sync_file_install,
  user,
  work_a_while,
} from '../../model/objects/index.ts';
import { bootKernel } from '../../model/stage.ts';
import { properties } from '../index.ts';
import { judge } from '../judge.ts';
import { type Property, signature } from '../property.ts';
import { type NearestRequest, nearest } from './nearest.ts';
import { nearestCircle } from './nearest-circle.ts';
import { sweep } from './sweep.ts';

const SEED = 60_606;
const PLENTY = 200_000;

const named = (name: string): Property => properties.find((each) => each.name === name) as Property;
const asking = (booted: Booted, [name, kind]: readonly [string, string], more: Partial<NearestRequest> = {}) => ({
  ...{ booted, property: named(name), want: { property: named(name).name, kind } },
  ...{ fewerThan: 100, reboots: 0, maxStates: PLENTY, patient: true, ...more },
});
const locked = (...locks: readonly string[]): Block => [
  ...locks.map((lock) => mutex_lock(lock)),
  ...locks.toReversed().map((lock) => mutex_unlock(lock)),
];

describe('brute force: every case of a few words, played on the plain kernel, finds none that is shorter', () => {
  const lines: fc.Arbitrary<Block | Instruction> = fc.oneof(
    fc.constantFrom('a', 'b').map((lock) => mutex_lock(lock)),
    fc.constantFrom('a', 'b').map((lock) => mutex_unlock(lock)),
    fc.constantFrom('a', 'b').map((lock) => mutex_trylock(lock)),
    fc.constant(work_a_while('thinks')),
    fc.constant(if_ret('0', [mutex_lock('b')])),
    fc.constant(may_go('which way', ['this', 'that'])),
    fc.constant([dma_fence_init('f', '$me'), sync_file_install('f')]),
    fc.constantFrom(dma_fence_signal('f'), dma_fence_wait('f')),
  );
  const body = fc.array(lines, { minLength: 1, maxLength: 4 });
  const threads = fc.tuple(body, body, fc.boolean()).map(([first, round, rounds]): Block => {
    return rounds ? [first, forever([round, work_a_while('goes on')])] : [first, round];
  });
  const machines = fc.record({ one: threads, two: threads, calls: fc.tuple(body, body), called: fc.boolean() });
  const bootOf = ({ one, two, calls, called }: typeof machines extends fc.Arbitrary<infer M> ? M : never): Booted =>
    bootKernel({
      objects: { locks: { a: {}, b: {} }, fences: { f: {} } },
      threads: { one: must(one), ...(called ? { app: user() } : { two: must(two) }) },
      calls: called ? { first: ioctl({}, calls[0]), second: ioctl({}, calls[1]) } : {},
    });
  const workloads: readonly Workload[] = [
    ...[[], ['first()'], ['second()'], ['first()', 'first()'], ['first()', 'second()'], ['second()', 'first()']],
    ...[['second()', 'second()']],
  ].map((app) => ({ app }));

  /** The fewest words for each signature, by reboots: all words, as a path of choices, until `longest`. */
  function brute(booted: Booted, workload: Workload, longest: number): Map<string, number> {
    const fewest = new Map<string, number>();
    const tell = (run: Case, words: number): void => {
      const boots = run.schedule.filter((text) => text === REBOOT).length;
      for (const { blame, after } of judge(booted, run, properties).verdicts) {
        if (run.loop && after <= run.schedule.length) continue;
        const key = `${signature(blame)} ${boots}`;
        fewest.set(key, Math.min(fewest.get(key) ?? Infinity, run.loop ? words : after));
      }
    };
    const walk = (path: readonly string[], states: readonly string[], boots: number): void => {
      const run: Case = { design: 'stage', knobs: {}, workload, schedule: path };
      const kernel = start(booted, workload);
      for (const text of path.slice(path.lastIndexOf(REBOOT) + 1)) follow(booted.machine, kernel, text);
      const here = identity(kernel);
      states.forEach((state, at) => {
        if (state === here && boots === 0 && at < path.length)
          tell({ ...run, schedule: path.slice(0, at), loop: path.slice(at) }, path.length);
      });
      const all = choices(booted.machine, kernel).map(word);
      if (path.length === longest || all.length === 0) tell(run, path.length);
      if (path.length === longest) return;
      for (const text of all) walk([...path, text], [...states, here], boots);
      if (boots === 0 && path.length > 0) walk([...path, REBOOT], [], 1);
    };
    walk([], [], 0);
    return fewest;
  }

  /** Every case of so many words, of so many machines. @returns the properties of the verdicts met */
  function compared(numRuns: number, longest: number): ReadonlySet<string> {
    const met = new Set<string>();
    fc.assert(
      fc.property(machines, (machine) => {
        const booted = bootOf(machine);
        const fewest = new Map<string, number>();
        for (const workload of machine.called ? workloads : [{}])
          for (const [key, words] of brute(booted, workload, longest))
            fewest.set(key, Math.min(fewest.get(key) ?? 9, words));
        const wants = new Set([...fewest.keys()].map((key) => key.slice(0, -2)));
        for (const want of [...wants, 'no-deadlock (circle of mutex)', 'lock-order (circular dependency)']) {
          const [, name, kind] = /^(\S+) \((.*)\)$/.exec(want) as unknown as [string, string, string];
          if (fewest.has(`${want} 0`)) met.add(name);
          const request = asking(booted, [name, kind], { fewerThan: longest + 1 });
          const circling = /no progress|finite/.test(kind);
          const near = circling ? nearestCircle(request) : nearest(request);
          const found = near.found && { loop: [], ...near.found };
          const words = found && found.schedule.length + found.loop.length;
          expect(words ?? Infinity, `${want} of ${JSON.stringify(machine)}`).toBe(fewest.get(`${want} 0`) ?? Infinity);
          expect(near.cleared).toBeGreaterThanOrEqual(Math.min(longest, (words ?? Infinity) - 1));
          if (found) {
            const { loop, ...rest } = found;
            const run = { design: 'stage', knobs: {}, ...rest, ...(loop.length > 0 ? { loop } : {}) };
            expect(judge(booted, run, properties).verdicts.map(({ blame }) => signature(blame))).toContain(want);
          }
          if (name !== 'lock-order') continue;
          const again = nearest({ ...request, reboots: 1 }).found?.schedule;
          if (again?.includes(REBOOT)) expect(again.length).toBe(fewest.get(`${want} 1`));
          else expect(again?.length ?? Infinity).toBeGreaterThanOrEqual(fewest.get(`${want} 0`) ?? longest + 1);
        }
      }),
      { numRuns, seed: SEED },
    );
    return met;
  }
  test('of random machines, with locks, fences, calls, circles and reboots', () => {
    expect([...compared(6, 4)]).toEqual(expect.arrayContaining(['no-deadlock', 'no-leak', 'api-contract']));
  });
  test('of many more of them', { tags: ['long'] }, () => {
    expect([...compared(60, 5)]).toEqual(expect.arrayContaining(['no-deadlock', 'no-leak', 'no-livelock']));
  });
});

describe('the nearest case', () => {
  const calling = design({
    name: 'calling',
    title: 'A call that takes two locks the other way round than a thread',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { a: {}, b: {} } },
      threads: { app: user(), one: must(locked('b', 'a')) },
      calls: {
        slow: ioctl({}, [work_a_while('copies'), locked('a', 'b')]),
        quick: ioctl({ bo: ['bo0', 'bo1'] }, locked('a', 'b')),
      },
      workload: { app: ['slow()'] },
    }),
    expect: [],
  });
  const booted = boot(calling, {});
  const DEADLOCK = ['no-deadlock', 'circle of mutex'] as const;

  test('is looked for among all calls, not among those of one workload', () => {
    expect(nearest(asking(booted, DEADLOCK)).found).toEqual({
      workload: { app: ['quick(bo0)'] },
      schedule: ['one', 'app/quick', 'app'],
    });
    const own = sweep(booted, properties).findings.find(({ blame }) => blame.kind === DEADLOCK[1]);
    expect(own?.schedule).toHaveLength(4);
  });
  test('is not looked for beyond the bound, and up to it there is none', () => {
    expect(nearest(asking(booted, DEADLOCK, { fewerThan: 3 }))).toMatchObject({ cleared: 2 });
    expect(nearest(asking(booted, DEADLOCK, { fewerThan: 3 })).found).toBeUndefined();
  });
  test('is not settled when the states run out, and says how far there is none', () => {
    const { found, cleared, searched } = nearest(asking(booted, DEADLOCK, { maxStates: 5 }));
    expect(found).toBeUndefined();
    expect(cleared).toBeLessThan(2);
    expect(searched).toBeLessThan(10);
  });
  test('is not there when it cannot be, however many words it may have', () => {
    const tame = bootKernel({ objects: { locks: { a: {}, b: {} } }, threads: { one: must(locked('a', 'b')) } });
    expect(nearest(asking(tame, DEADLOCK, { fewerThan: Infinity }))).toMatchObject({ cleared: Infinity });
  });
  test('of what several runs are needed for has a reboot, if that is allowed', () => {
    const either: Block = [may_go('which', ['ab', 'ba']), if_ret('ab', [locked('a', 'b')], [locked('b', 'a')])];
    const twice = bootKernel({ objects: { locks: { a: {}, b: {} } }, threads: { one: must(either) } });
    const order = ['lock-order', 'circular dependency'] as const;
    expect(nearest(asking(twice, order)).found).toBeUndefined();
    expect(nearest(asking(twice, order, { reboots: 1 })).found?.schedule).toEqual(
      'one/ab one one reboot one/ba one one'.split(' '),
    );
  });
});

describe('the nearest circle', () => {
  const polite = (mine: string, other: string): Block => [
    label('again'),
    mutex_lock(mine),
    mutex_trylock(other),
    if_ret('0', [mutex_unlock(mine), goto('again')]),
    mutex_unlock(other),
    mutex_unlock(mine),
  ];
  const both = bootKernel({
    objects: { locks: { a: {}, b: {} } },
    threads: { one: must([work_a_while('wakes up'), polite('a', 'b')]), two: must(polite('b', 'a')) },
  });
  const LIVELOCK = ['no-livelock', 'no progress'] as const;

  test('leads to two that back off from each other, and once round', () => {
    const { found } = nearestCircle(asking(both, LIVELOCK));
    expect(found).toMatchObject({ workload: {}, schedule: ['one'] });
    expect(found?.loop).toHaveLength(6);
    const run = { design: 'stage', knobs: {}, workload: {}, schedule: ['one'], loop: found?.loop ?? [] };
    expect(judge(both, run, properties).verdicts.map(({ blame }) => blame.property)).toContain('no-livelock');
  });
  test('has no fewer words, and nobody claims so who has not seen all walks', () => {
    const none = nearestCircle(asking(both, LIVELOCK, { fewerThan: 7 }));
    expect(none).toMatchObject({ cleared: 6 });
    expect(none.found).toBeUndefined();
    expect(nearestCircle(asking(both, LIVELOCK, { fewerThan: 7, maxStates: 20 })).cleared).toBeLessThan(6);
  });
  test('is none of calls: a process that calls has one call less to make', () => {
    const calling = bootKernel({
      objects: { locks: { a: {} } },
      threads: { app: user(), one: must([mutex_lock('a'), forever([work_a_while('spins')])]) },
      calls: { lock: ioctl({}, [mutex_trylock('a'), if_ret('1', [mutex_unlock('a')])]) },
    });
    expect(nearestCircle(asking(calling, LIVELOCK)).found).toMatchObject({ loop: ['one'] });
    const idle = bootKernel({ objects: {}, threads: { app: user() }, calls: { nothing: ioctl({}, []) } });
    expect(nearestCircle(asking(idle, LIVELOCK, { fewerThan: 8 })).found).toBeUndefined();
  });
});
