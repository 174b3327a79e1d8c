import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  cancel_work_sync,
  flush_work,
  mutex_lock,
  mutex_unlock,
  queue_work,
  spin_lock,
  spin_unlock,
  witness,
  work,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('works');
const body = (name: string): Block => [witness(`${name} begins`), STEP, witness(`${name} ends`)];
const on = (threads: Record<string, ThreadSpec>, queues: string[] = []) =>
  stage({ objects: { workqueues: Object.fromEntries(queues.map((queue) => [queue, {}])), locks: { a: {} } }, threads });

describe('a work item', () => {
  test('sleeps until it is queued, runs once, and sleeps again', () => {
    const at = on({ task: must([queue_work('w')]), w: work(body('w')) });
    expect(at.open('w')).toMatchObject({ kind: 'idle', wait: { because: 'w is not queued' } });
    at.plays('task');
    expect(witnessed(at.runs('w'))).toEqual(['w begins', 'w ends']);
    expect(at.open('w').kind).toBe('idle');
  });
  test('queued twice before it ran, it runs once; the second queue_work returns 0', () => {
    const at = on({ task: must([queue_work('w'), queue_work('w'), STEP]), w: work(body('w')) });
    at.plays('task');
    expect(at.ret('task')).toBe('1');
    at.plays('task');
    expect(at.ret('task')).toBe('0');
    expect(witnessed(at.runs('w'))).toEqual(['w begins', 'w ends']);
  });
  test('queued again while it runs, it runs again', () => {
    const at = on({ task: must([queue_work('w'), queue_work('w'), STEP]), w: work(body('w')) });
    at.plays('task', 'w', 'task');
    expect(at.ret('task')).toBe('1');
    expect(witnessed(at.runs('w'))).toEqual(['w ends', 'w begins', 'w ends']);
  });
  test('queue_work is allowed in atomic context', () => {
    const at = on({ task: must([spin_lock('a'), queue_work('w'), spin_unlock('a')]), w: work([]) });
    expect(misuses(at.runs('task'))).toEqual([]);
  });
  test('an item that ends holding a lock is a misuse; one that unlocks is not (I-16)', () => {
    const at = (lines: Block) => {
      const it = on({ task: must([queue_work('w')]), w: work(lines) });
      it.runs('task');
      return misuses(it.runs('w'));
    };
    expect(at([mutex_lock('a')])).toEqual(['I-16']);
    expect(at([mutex_lock('a'), mutex_unlock('a')])).toEqual([]);
  });
});

describe('an ordered queue', () => {
  const both = (second: string) =>
    on({ task: must([queue_work('b'), queue_work('a')]), a: work(body('a'), 'q'), b: work(body('b'), second) }, [
      'q',
      'r',
    ]);
  test('runs one item at a time, in the order of queueing', () => {
    const at = both('q');
    at.plays('task', 'task', 'b');
    expect(at.open('a')).toMatchObject({
      kind: 'blocked',
      wait: { owedBy: ['b'], because: 'q is ordered and b runs first' },
    });
    expect([...witnessed(at.runs('b')), ...witnessed(at.runs('a'))]).toEqual(['b ends', 'a begins', 'a ends']);
  });
  test('L-11: an item that sleeps stalls every item behind it', () => {
    const at = on(
      {
        task: must([mutex_lock('a'), queue_work('sleeps'), queue_work('behind'), STEP, mutex_unlock('a')]),
        sleeps: work([mutex_lock('a'), mutex_unlock('a')], 'q'),
        behind: work([], 'q'),
      },
      ['q'],
    );
    at.plays('task', 'task', 'task', 'sleeps');
    expect(at.because('sleeps')).toBe('task holds a');
    expect(at.because('behind')).toBe('q is ordered and sleeps runs first');
  });
  test('items on two queues do not wait for each other', () => {
    const at = both('r');
    at.plays('task', 'task', 'b');
    expect(at.open('a').kind).toBe('ready');
  });
  test('an item queued again while it runs goes behind the others', () => {
    const at = on(
      {
        task: must([queue_work('a'), queue_work('b'), queue_work('a')]),
        a: work(body('a'), 'q'),
        b: work(body('b'), 'q'),
      },
      ['q'],
    );
    at.plays('task', 'a', 'task', 'task');
    expect(witnessed(at.runs('a'))).toEqual(['a ends']);
    expect(at.because('a')).toBe('q is ordered and b runs first');
    expect([...witnessed(at.runs('b')), ...witnessed(at.runs('a'))]).toEqual([
      'b begins',
      'b ends',
      'a begins',
      'a ends',
    ]);
    expect(at.kernel.workqueues['q']?.items).toEqual([]);
  });
});

describe('flush and cancel', () => {
  test('flush_work waits for a queued item and for a running one, and ends with it', () => {
    const at = on({ task: must([queue_work('w'), flush_work('w')]), w: work(body('w')) });
    at.plays('task');
    expect(at.because('task')).toBe('w is queued');
    at.plays('w');
    expect(at.because('task')).toBe('w is running');
    at.runs('w');
    expect(at.open('task').kind).toBe('ready');
  });
  test('C31: an item that flushes itself waits for ever', () => {
    const at = on({ task: must([queue_work('w')]), w: work([flush_work('w')]) });
    at.plays('task', 'w');
    expect(at.open('w')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['w'] } });
  });
  test('cancel_work_sync takes a queued item off: it does not run', () => {
    const at = on({ task: must([queue_work('w'), cancel_work_sync('w')]), w: work(body('w'), 'q') }, ['q']);
    at.runs('task');
    expect(at.open('w').kind).toBe('idle');
    expect(at.kernel.workqueues['q']?.items).toEqual([]);
  });
  test('cancel_work_sync waits for a run that is under way', () => {
    const at = on({ task: must([queue_work('w'), cancel_work_sync('w')]), w: work(body('w')) });
    at.plays('task', 'w', 'task');
    expect(at.because('task')).toBe('w is running');
    at.runs('w');
    expect(at.open('task').kind).toBe('ready');
  });
  test('cancel_work_sync during a run takes away the run that was queued behind it, and only that one', () => {
    const at = on(
      {
        task: must([queue_work('w'), queue_work('other'), queue_work('w'), cancel_work_sync('w')]),
        w: work(body('w'), 'q'),
        other: work(body('other'), 'q'),
      },
      ['q'],
    );
    at.plays('task', 'w', 'task', 'task', 'task');
    expect(at.because('other')).toBe('q is ordered and w runs first');
    expect([...witnessed(at.runs('w')), ...witnessed(at.runs('other'))]).toEqual([
      'w ends',
      'other begins',
      'other ends',
    ]);
    expect(at.open('w').kind).toBe('idle');
    expect(at.kernel.workqueues['q']?.items).toEqual([]);
  });
  test('CTX-A: both may sleep, so neither is for atomic context', () => {
    for (const lines of [flush_work('w'), cancel_work_sync('w')]) {
      const at = on({ task: must([spin_lock('a'), [lines].flat(), spin_unlock('a')]), w: work([]) });
      expect(misuses(at.runs('task'))).toEqual(['CTX-A']);
    }
  });
});

describe('boot', () => {
  test('an unknown work item lists the items there are', () => {
    expect(() => on({ task: must([queue_work('x')]), w: work([]) })).toThrow(/unknown works "x"; there are: w/);
  });
  test('an unknown queue lists the queues there are', () => {
    expect(() => on({ w: work([], 'p') }, ['q'])).toThrow(/works\.w\.queue: unknown workqueues "p"; there are: q/);
  });
  test('a thread is no work item', () => {
    expect(() => alone([flush_work('task')])).toThrow(/unknown works "task"; there are: none/);
  });
});
