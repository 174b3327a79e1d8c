import { describe, expect, test } from 'vitest';
import { type Kernel, ioctl } from '../design.ts';
import { bootKernel, misuses, stage, witnessed } from '../stage.ts';
import { in_user_space, mutex_lock, mutex_unlock, user, witness, work_a_while } from './index.ts';

const STEP = work_a_while('works');
const kernel = (calls: readonly string[], exit = ''): Kernel => ({
  objects: { locks: { a: {} } },
  routines: { do_exit: [witness('do_exit'), STEP] },
  threads: { u: user({ exit }) },
  calls: {
    submit: ioctl({ bo: ['bo0', 'bo1'] }, [witness('$bo'), STEP, STEP]),
    lock: ioctl({}, [mutex_lock('a')]),
    unlock: ioctl({}, [mutex_unlock('a')]),
    pause: ioctl({}, [STEP, in_user_space('thinks'), STEP]),
  },
  workload: { u: calls },
});

describe('a user process', () => {
  test('makes its calls in the order of the workload, with their arguments', () => {
    expect(witnessed(stage(kernel(['submit(bo1)', 'submit(bo0)', 'submit(bo1)'])).runs('u'))).toEqual([
      'bo1',
      'bo0',
      'bo1',
    ]);
  });
  test('owes nobody its next call, and owes its steps while it is in the kernel', () => {
    const at = stage(kernel(['submit(bo0)']));
    expect(at.open('u')).toMatchObject({ kind: 'ready', nature: 'may' });
    at.plays('u');
    expect(at.open('u')).toMatchObject({ kind: 'ready', nature: 'owed' });
    at.plays('u', 'u');
    expect(at.open('u')).toMatchObject({ kind: 'idle', wait: { because: 'u has no more calls to make' } });
  });
  test('owes nobody what it does between two calls that belong together', () => {
    const at = stage(kernel(['pause()']));
    at.plays('u', 'u');
    expect(at.open('u')).toMatchObject({ kind: 'ready', nature: 'may' });
  });
  test('killed, it runs its exit routine and makes no more calls', () => {
    const at = stage(kernel(['submit(bo0)', 'submit(bo1)', 'submit(bo1)'], 'do_exit'));
    at.plays('u/submit', 'u', 'u');
    const facts = [...at.plays('u/killed'), ...at.runs('u')];
    expect(witnessed(facts)).toEqual(['do_exit']);
    expect(at.open('u').kind).toBe('idle');
  });
  test('cannot be killed when that would change nothing', () => {
    expect(stage(kernel(['submit(bo0)'])).ways('u')).toEqual(['submit']);
    expect(stage(kernel(['submit(bo0)'], 'do_exit')).ways('u')).toEqual(['submit', 'killed']);
  });
  test('returning to user space with a lock held is a misuse; within one call it is not (I-16)', () => {
    expect(misuses(stage(kernel(['lock()'])).runs('u'))).toEqual(['I-16']);
    expect(misuses(stage(kernel(['pause()'])).runs('u'))).toEqual([]);
  });
});

describe('a workload is parsed, not trusted', () => {
  const boots = (call: string) => () => bootKernel(kernel([call]));
  test('an unknown call lists the calls there are', () => {
    expect(boots('munmap(bo0)')).toThrow(/no call "munmap"; there are: submit, lock, unlock, pause/);
  });
  test('an unknown value lists the values it can have', () => {
    expect(boots('submit(bo7)')).toThrow(/bo cannot be "bo7"; it can be: bo0, bo1/);
  });
  test('a wrong number of arguments names the parameters', () => {
    expect(boots('submit()')).toThrow(/submit takes 1 arguments \(bo\), not 0/);
  });
  test('what is not a call says what a call looks like', () => {
    expect(boots('submit bo0')).toThrow(/"submit bo0" is not a call like submit\(bo0\)/);
  });
  test('an unknown user lists the users there are', () => {
    expect(() => bootKernel({ ...kernel([]), workload: { v: [] } })).toThrow(/unknown user "v"; there are: u/);
  });
  test('an unknown exit routine lists the routines there are', () => {
    expect(() => bootKernel(kernel([], 'leave'))).toThrow(/users\.u\.exit: unknown routines "leave"; .*do_exit/);
  });
});
