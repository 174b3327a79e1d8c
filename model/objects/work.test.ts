import { describe, expect, test } from 'vitest';
import { type Kernel, must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  cancel_work,
  cancel_work_sync,
  flush_work,
  flush_workqueue,
  kmalloc,
  mutex_lock,
  mutex_unlock,
  queue_work,
  return_,
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

/** A task that queues all these items, in this order, and items that begin and end. */
const queued = (
  row: Record<string, unknown>,
  bodies: Record<string, Block>,
  more: { threads?: Record<string, ThreadSpec>; objects?: Kernel['objects'] } = {},
) =>
  stage({
    objects: { workqueues: { q: row }, locks: { a: {} }, ...more.objects },
    threads: {
      task: must([...Object.keys(bodies).map((item) => queue_work(item)), STEP]),
      ...Object.fromEntries(Object.entries(bodies).map(([item, lines]) => [item, work(lines, 'q')])),
      ...more.threads,
    },
  });
const threeOf = (row: Record<string, unknown>) => {
  const at = queued(row, { a: body('a'), b: body('b'), c: body('c') });
  at.runs('task');
  return at;
};

describe('a bounded queue', () => {
  test('runs so many items at a time: the next begins when one of them ends', () => {
    const at = threeOf({ max_active: 2 });
    at.plays('b', 'a');
    expect(at.open('c')).toMatchObject({
      kind: 'blocked',
      wait: { owedBy: ['a', 'b'], any: true, because: 'q runs 2 items at a time, and a, b come first' },
    });
    at.runs('b');
    expect(at.open('c').kind).toBe('ready');
  });
  test('an ordered one waits for the first only', () => {
    expect(threeOf({}).open('c')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['a'] } });
  });
  test('an item that sleeps does not stall those that still fit', () => {
    const at = queued(
      { max_active: 2 },
      { a: [mutex_lock('a'), mutex_unlock('a')], b: body('b') },
      {
        threads: { holder: must([mutex_lock('a'), STEP]) },
      },
    );
    at.plays('holder');
    at.runs('task');
    at.plays('a');
    expect(at.because('a')).toBe('holder holds a');
    expect(at.open('b').kind).toBe('ready');
  });
});

describe('a queue without WQ_MEM_RECLAIM', () => {
  const NO_RESCUER = { mem_reclaim: false };
  const one = (row: Record<string, unknown>) => {
    const at = queued(row, { w: body('w') }, { objects: { shrinkers: { slab: { scan: '' } } } });
    at.runs('task');
    return at;
  };
  test('C33: may need a worker, which is made with GFP_KERNEL before the item begins', () => {
    const at = one(NO_RESCUER);
    expect(at.ways('w')).toEqual(['', 'needs a worker']);
    at.plays('w/needs a worker');
    expect(at.ways('w')).toEqual(['ok', 'shrinks slab']);
    expect(at.plays('w/ok')).toContainEqual(
      expect.objectContaining({ kind: 'allocates', gfp: 'GFP_KERNEL', direct: true }),
    );
    expect(witnessed(at.plays('w'))).toEqual(['w begins']);
  });
  test('a rescuer is there before memory is short', () => {
    expect(one({}).ways('w')).toEqual(['']);
    expect(one({ mem_reclaim: true }).ways('w')).toEqual(['']);
  });
  test('an item that is cancelled while its worker is being made does not run', () => {
    const at = queued(NO_RESCUER, { w: body('w') }, { threads: { cancels: must(cancel_work_sync('w')) } });
    at.runs('task');
    at.plays('w/needs a worker', 'cancels', 'cancels');
    at.plays('w/ok');
    expect(at.open('w').kind).toBe('idle');
  });
  test('a worker that was made for nothing serves the next time', () => {
    const at = queued(NO_RESCUER, { w: body('w') }, { threads: { again: must([cancel_work('w'), queue_work('w')]) } });
    at.runs('task');
    at.plays('w/needs a worker', 'again', 'w/ok', 'again');
    expect(at.ways('w')).toEqual(['']);
  });
});

describe('a rescuer is one worker', () => {
  test('while it runs an item no other begins: memory is too short for a second worker', () => {
    const at = threeOf({ max_active: 2 });
    expect(at.ways('a')).toEqual(['', 'is rescued']);
    at.plays('a/is rescued');
    expect(at.because('b')).toBe('there is no memory for a worker, and the rescuer of q runs a');
    at.runs('a');
    expect(at.ways('b')).toEqual(['', 'is rescued']);
  });
  test('what had begun goes on', () => {
    const at = threeOf({ max_active: 3 });
    at.plays('b', 'a/is rescued');
    expect(witnessed(at.runs('b'))).toEqual(['b ends']);
    expect(at.open('c').kind).toBe('blocked');
  });
  test('so two items of one queue that wait for each other need a queue each', () => {
    const at = queued({ max_active: 2 }, { a: [flush_work('b')], b: body('b') });
    at.runs('task');
    at.plays('a/is rescued');
    expect(at.open('a')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['b'] } });
    expect(at.open('b')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['a'] } });
  });
});

describe('flush_workqueue', () => {
  const flushed = (more: Block = []) => {
    const at = queued(
      {},
      { a: body('a'), b: body('b') },
      {
        threads: { flusher: must([flush_workqueue('q'), STEP]), later: must([more, STEP]) },
      },
    );
    at.runs('task');
    at.plays('a', 'flusher');
    return at;
  };
  test('waits for all that is queued or running when it comes', () => {
    const at = flushed();
    expect(at.because('flusher')).toBe('a, b of q is not done');
    at.runs('a');
    expect(at.because('flusher')).toBe('b of q is not done');
    at.runs('b');
    expect(at.open('flusher').kind).toBe('ready');
  });
  test('does not wait for what is queued after it, not even for the same item again', () => {
    const at = flushed([queue_work('a')]);
    at.plays('later');
    at.runs('a');
    expect(at.kernel.workqueues['q']?.items).toEqual(['b', 'a']);
    at.runs('b');
    expect(at.open('flusher').kind).toBe('ready');
  });
  test('does not wait for an item that is cancelled; of one that runs only the run that was queued behind it is gone', () => {
    const at = flushed([queue_work('a'), cancel_work('a'), cancel_work('b')]);
    at.plays('later', 'later', 'later');
    expect(at.because('flusher')).toBe('a of q is not done');
    at.runs('a');
    expect(at.open('flusher').kind).toBe('ready');
  });
  test('of an empty queue it does not wait', () => {
    const at = queued({}, {}, { threads: { flusher: must(flush_workqueue('q')) } });
    at.runs('flusher');
    expect(at.open('flusher').kind).toBe('finished');
  });
  test('C31: an item that flushes its own queue waits for itself', () => {
    const at = queued({}, { w: flush_workqueue('q') });
    at.runs('task');
    at.plays('w', 'w');
    expect(at.open('w')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['w'] } });
  });
  test('two may flush at the same time', () => {
    const at = queued(
      {},
      { w: body('w') },
      { threads: { one: must(flush_workqueue('q')), two: must(flush_workqueue('q')) } },
    );
    at.runs('task');
    at.plays('two', 'one');
    at.runs('w');
    at.plays('one', 'two');
    expect(at.kernel.workqueues['q']?.flushers).toEqual([]);
  });
});

describe('who may flush a queue without a rescuer', () => {
  const broken = (flusher: Block, row: Record<string, unknown>, mine: Record<string, unknown>) => {
    const at = stage({
      objects: { workqueues: { q: row, mine }, shrinkers: { slab: { scan: 'scan' } } },
      routines: { scan: [flusher, return_('0')] },
      threads: {
        task: must([queue_work('mine_work'), kmalloc('GFP_KERNEL')]),
        mine_work: work(flusher, 'mine'),
        w: work([], 'q'),
      },
    });
    const worker = misuses([...at.plays('task'), ...at.runs('mine_work')]);
    return { worker, reclaim: misuses([...at.plays('task/shrinks slab'), ...at.runs('task')]) };
  };
  const RULE = 'CTX_WORK_RECLAIM';
  const [NO, YES] = [{ mem_reclaim: false }, { mem_reclaim: true }];
  test('not an item of a queue with one, and not a task that reclaims', () => {
    for (const flusher of [[flush_work('w')], flush_workqueue('q')])
      expect(broken(flusher, NO, YES)).toEqual({ worker: [RULE], reclaim: [RULE] });
  });
  test('an item of a queue without one may', () => {
    expect(broken([flush_work('w')], NO, NO).worker).toEqual([]);
  });
  test('a queue with a rescuer anybody may flush', () => {
    for (const mine of [NO, YES]) expect(broken(flush_workqueue('q'), YES, mine)).toEqual({ worker: [], reclaim: [] });
  });
  test('cancelling is allowed: what is cancelled needs no worker', () => {
    expect(broken(cancel_work_sync('w'), NO, YES)).toEqual({ worker: [], reclaim: [] });
  });
});
