import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import {
  mutex_lock,
  mutex_unlock,
  user_fence_reached,
  wait_user_fence,
  wait_user_fence_in_worker,
  write_user_fence,
} from './index.ts';

describe('a user fence', () => {
  const on = (threads: Record<string, Block>) =>
    stage({
      objects: { user_fences: { memory: {} }, locks: { a: {} } },
      threads: Object.fromEntries(Object.entries(threads).map(([name, body]) => [name, must(body)])),
    });
  test('G1.3: whoever writes the value first, it counts, and it may go back', () => {
    const at = on({
      task: [write_user_fence('memory', 2), user_fence_reached('memory', 2), write_user_fence('memory', 0)],
    });
    at.plays('task', 'task');
    expect(at.ret('task')).toBe('1');
    at.plays('task');
    expect(at.kernel.user_fences['memory']?.value).toBe(0);
  });
  test('a wait for it names no debtor, and a signal ends it; with a timeout, time does, too', () => {
    const at = on({ task: wait_user_fence('memory', 1), timed: wait_user_fence('memory', 1, 'HZ') });
    at.runs('task');
    at.runs('timed');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { owedBy: [] }, outcomes: ['interrupted'] });
    expect(at.open('timed')).toMatchObject({ kind: 'blocked', outcomes: ['times out', 'interrupted'] });
  });
  test('no signal reaches a worker that waits for it, and it may not hold a lock either', () => {
    const at = on({
      worker: wait_user_fence_in_worker('memory', 1),
      timed: wait_user_fence_in_worker('memory', 1, 'HZ'),
      locked: [mutex_lock('a'), wait_user_fence_in_worker('memory', 1)],
    });
    at.runs('worker');
    at.runs('timed');
    expect(at.open('worker')).toMatchObject({ kind: 'blocked', wait: { owedBy: [] }, outcomes: [] });
    expect(at.open('timed')).toMatchObject({ kind: 'blocked', outcomes: ['times out'] });
    expect(misuses(at.runs('locked'))).toEqual(['T-14']);
  });
  test('T-14: holding a lock over the wait is a misuse, even when the value is there; without one it is not', () => {
    const wait: Block = [write_user_fence('memory', 1), wait_user_fence('memory', 1)];
    expect(misuses(on({ task: [mutex_lock('a'), wait, mutex_unlock('a')] }).runs('task'))).toEqual(['T-14']);
    expect(misuses(on({ task: wait }).runs('task'))).toEqual([]);
  });
});
