import { describe, expect, test } from 'vitest';
import type { Case } from '../model/case.ts';
import { type Kernel, ioctl, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import { forever, if_ret, may_go, mutex_lock, mutex_unlock, user, work_a_while } from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from '../properties/index.ts';
import { coneOf } from './cone.ts';
import { dropObjects } from './drop-objects.ts';
import { dropOutsideCone } from './drop-outside-cone.ts';
import { type Want, shrink } from './shrink.ts';

const locks = { a: {}, b: {}, c: {} };
const locked = (lock: string): Block => [mutex_lock(lock), mutex_unlock(lock)];
const caseOf = (schedule: string, workload: Case['workload'] = {}): Case => ({
  ...{ design: 'stage', knobs: {}, workload, schedule: schedule.split(' ') },
});
const cone = (kernel: Kernel, threads: readonly string[], schedule: string, trips = false): string => {
  const run = caseOf(schedule);
  const places = coneOf(bootKernel(kernel), run, threads, trips);
  return run.schedule.filter((_, place) => places.has(place)).join(' ');
};

describe('the cone of a thread', () => {
  const busy = must([forever([locked('a')])]);
  test('leaves out the words of others that changed nothing for it, though it reads what they wrote', () => {
    const kernel = { objects: { locks }, threads: { one: must(locked('a')), two: busy } };
    expect(cone(kernel, ['one'], 'two two two two one one')).toBe('one one');
  });
  test('keeps those without which it would go otherwise, and what these needed', () => {
    const kernel = {
      objects: { locks },
      threads: { holder: must([mutex_lock('a')]), one: must([may_go('how', ['x', 'y']), mutex_lock('b')]), two: busy },
    };
    const needs = { ...kernel, threads: { ...kernel.threads, one: must([mutex_lock('b'), mutex_lock('a')]) } };
    expect(cone(kernel, ['one'], 'two two holder one/x one')).toBe('one/x one');
    const opener: Kernel = {
      objects: { locks },
      threads: { opener: must([mutex_lock('c'), mutex_unlock('c')]), one: must([mutex_lock('c')]), two: busy },
    };
    expect(cone(opener, ['one'], 'opener two two opener one')).toBe('one');
    expect(cone(needs, ['one'], 'two two one one')).toBe('one one');
  });
  test('leaves out its own round trips, unless they are asked for', () => {
    const kernel = { objects: { locks }, threads: { two: busy } };
    expect(cone(kernel, ['two'], 'two two two two two')).toBe('two');
    expect(cone(kernel, ['two'], 'two two two two two', true)).toBe('two two two two two');
  });
  test('is that of the last run of the machine, and keeps a loop as it is', () => {
    const kernel = { objects: { locks }, threads: { one: must(locked('a')), two: busy } };
    expect(cone(kernel, ['one'], 'one one reboot two two one')).toBe('one');
    const lasso = { ...caseOf('two two two two'), loop: ['two', 'two'] };
    expect(coneOf(bootKernel(kernel), lasso, ['two'], false)).toEqual(new Set([4, 5]));
  });
});

describe('the passes of what did not matter', () => {
  const DEADLOCK: Want = { property: 'no-deadlock', kind: 'circle of mutex' };
  const booted = bootKernel({
    objects: { locks },
    threads: {
      ...{ app: user(), other: user() },
      one: must([mutex_lock('b'), mutex_lock('a')]),
      two: must([forever([locked('c')])]),
    },
    calls: {
      touch: ioctl({ bo: ['bo0', 'bo1'] }, [work_a_while('copies')]),
      take: ioctl({ bo: ['bo0', 'bo1'] }, [mutex_lock('a'), if_ret('0', [mutex_lock('b')]), mutex_lock('b')]),
    },
  });
  const ask = (run: Case) => ({ bootAt: () => booted, run, want: DEADLOCK, properties, budget: 10_000 });
  const workload = { app: ['touch(bo1)', 'take(bo0)', 'touch(bo0)'], other: ['touch(bo1)'] };
  const run = caseOf('two other/touch app/touch two app other one app/take two two app one', workload);

  test('drop in one run all that the blamed did not need, with the calls it belongs to', () => {
    const { case: left, runs } = shrink({ ...ask(run), passes: [dropOutsideCone] });
    expect(left.schedule.join(' ')).toBe('one app/take app');
    expect(left.workload).toEqual({ app: ['take(bo0)'], other: [] });
    expect(runs).toBe(2);
  });
  test('drop an object with every call that names it, and no other', () => {
    const { case: left } = shrink({ ...ask(run), passes: [dropObjects] });
    expect(left.workload).toEqual({ app: ['take(bo0)', 'touch(bo0)'], other: [] });
    expect(left.schedule).not.toContain('other/touch');
  });
  test('keep what the verdict needs', () => {
    const tight = caseOf('one app/take app', { app: ['take(bo0)'] });
    expect(shrink({ ...ask(tight), passes: [dropOutsideCone, dropObjects] }).case).toEqual(tight);
  });
});

describe('below a known minimum', () => {
  const kernel = { objects: { locks }, threads: { one: must(locked('a')), two: must([mutex_lock('b')]) } };
  const LEAK: Want = { property: 'api-contract', kind: 'I-16' };
  const request = {
    bootAt: () => bootKernel(kernel),
    run: caseOf('one one two two'),
    want: LEAK,
    properties,
    budget: 1e4,
  };
  test('proposals are refused unseen, those above it are not', () => {
    const free = shrink(request);
    const least = free.case.schedule.length;
    const known = shrink({ ...request, fewestWords: least });
    expect(known.case).toEqual(free.case);
    expect(known.runs).toBeLessThan(free.runs);
    expect(shrink({ ...request, fewestWords: 10 }).case).toEqual(shrink({ ...request, passes: [] }).case);
  });
});
