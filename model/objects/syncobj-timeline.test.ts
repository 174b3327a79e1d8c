/** What the kernel's user-space tests assert of timelines (igt-gpu-tools tests/syncobj_timeline.c), one claim a test. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answers } from '../answers.ts';
import type { Block } from '../machine.ts';
import { BAD_HANDLE, drm_syncobj_add_point, drm_syncobj_timeline_signal, drm_syncobj_transfer } from './index.ts';
import {
  ALL,
  AVAILABLE,
  count,
  follows_the_table,
  kernel,
  last,
  mixtures,
  query,
  run,
  settle,
  signal,
  table,
  three,
  wait,
  wait_points,
} from '../syncobj-stage.ts';

describe('timelines', () => {
  const add = (obj: string, point: number, fence: string, node: string): Block => [
    drm_syncobj_add_point(obj, node, fence, point),
  ];
  const value = (...lines: readonly Block[]): string | undefined => last(...lines, query('a'));

  test('IGT syncobj_timeline/table: the same table for points, in every mixture of three', () => {
    expect(follows_the_table(three, true)).toBe(27 * 8);
  });
  test('IGT syncobj_timeline/available: waiting for the submission only: a busy point is enough', () => {
    for (const states of mixtures(3))
      for (const all of [false, true]) {
        const done = states.split('').filter((state) => state !== 'u').length;
        const enough = all ? done === 3 : done > 0;
        expect(table(states, true, [AVAILABLE, ...(all ? [ALL] : [])], 'some')).toBe(enough ? '0' : '-ETIME');
      }
  });
  test('IGT syncobj_timeline/invalid-query: no handles are EINVAL, an illegal one is ENOENT', () => {
    expect(last(query())).toBe('-EINVAL');
    expect(last(query(BAD_HANDLE))).toBe('-ENOENT');
    expect(last(query('a', BAD_HANDLE))).toBe('-ENOENT');
  });
  test('IGT syncobj_timeline/invalid-signal: no handles are EINVAL, an illegal one is ENOENT and changes nothing', () => {
    expect(last(drm_syncobj_timeline_signal())).toBe('-EINVAL');
    const { rets } = run(drm_syncobj_timeline_signal(['a', 1], [BAD_HANDLE, 1]), query('a'));
    expect(rets).toEqual(['-ENOENT', '0']);
  });
  test('IGT syncobj_timeline/invalid-transfer: illegal handles are ENOENT, a point that does not exist is EINVAL', () => {
    expect(last(drm_syncobj_transfer(['b', 1], [BAD_HANDLE, 1]))).toBe('-ENOENT');
    expect(last(drm_syncobj_transfer([BAD_HANDLE, 1], ['a', 1]))).toBe('-ENOENT');
    expect(last(drm_syncobj_timeline_signal(['a', 1]), drm_syncobj_transfer(['b', 1], ['a', 2]))).toBe('-EINVAL');
  });
  test('IGT syncobj_timeline/signal-array: several objects and points in one call', () => {
    expect(last(drm_syncobj_timeline_signal(['a', 1], ['b', 5], ['c', 2]), query('a', 'b', 'c'))).toBe('1 5 2');
  });
  test('IGT syncobj_timeline/transfer-timeline-point: a point moved to another object, or to a binary one, keeps its state', () => {
    const made = add('a', 1, 'f0', 'n0');
    const moved = [made, drm_syncobj_transfer(['b', 4], ['a', 1]), drm_syncobj_transfer(['c', 0], ['a', 1])];
    expect(last(...moved, wait_points([['b', 4]]))).toBe('-ETIME');
    expect(last(...moved, wait(['c']))).toBe('-ETIME');
    expect(last(...moved, signal('f0'), wait_points([['b', 4]]))).toBe('0');
    expect(last(...moved, signal('f0'), wait(['c']))).toBe('0');
    expect(last(drm_syncobj_timeline_signal(['a', 1]), drm_syncobj_transfer(['b', 4], ['a', 1]), query('b'))).toBe('4');
  });
  test('IGT syncobj_timeline/signal-point-0: signalling point 0 acts as binary', () => {
    expect(last(drm_syncobj_timeline_signal(['a', 0]), wait(['a']))).toBe('0');
    expect(last(drm_syncobj_timeline_signal(['a', 0]), wait_points([['a', 0]]))).toBe('0');
  });
  test('IGT syncobj_timeline/host-signal-points: a hundred rises: the query follows, waits on the value and one less succeed', () => {
    const rises = fc.array(fc.integer({ min: 2, max: 1000 }), { minLength: 100, maxLength: 100 });
    fc.assert(
      fc.property(rises, (steps) => {
        let point = 0;
        const lines: Block[] = [];
        const answersDue: string[] = [];
        for (const step of steps) {
          point += step;
          lines.push(
            drm_syncobj_timeline_signal(['a', point]),
            query('a'),
            wait_points([['a', point]]),
            wait_points([['a', point - 1]]),
          );
          answersDue.push('0', `${point}`, '0', '0');
        }
        expect(answers(kernel(100), lines, settle).rets).toEqual(answersDue);
      }),
      { numRuns: 2, seed: 100 },
    );
  });
  const five = count(5).map((i) => add('a', i + 1, `f${i + 1}`, `n${i}`));
  test('IGT syncobj_timeline/device-signal-unordered: completed as 1, 3, 2, 5, 4: the value never falls, never below the unbroken prefix', () => {
    const values: number[] = [];
    const done = new Set<number>();
    const lines: Block[] = [...five];
    for (const i of [1, 3, 2, 5, 4]) {
      lines.push(signal(`f${i}`));
      done.add(i);
      const now = Number(value(...lines));
      expect(now).toBeGreaterThanOrEqual(values.at(-1) ?? 0);
      expect(now).toBeGreaterThanOrEqual([1, 2, 3, 4, 5].findIndex((each) => !done.has(each)));
      expect(last(...lines, wait_points([['a', now]]))).toBe('0');
      values.push(now);
    }
    expect(values.at(-1)).toBe(5);
  });
  test('IGT syncobj_timeline/device-submit-unordered: added as 1, 5, 3, 6, 7: after three completions the value is 5', () => {
    const lines: Block[] = [1, 5, 3, 6, 7].map((point, i) => add('a', point, `f${i}`, `n${i}`));
    const three_done = [...lines, signal('f0'), signal('f1'), signal('f2')];
    expect(value(...three_done)).toBe('5');
    expect(last(...three_done, wait_points([['a', 5]]))).toBe('0');
    expect(last(...three_done, wait_points([['a', 6]]))).toBe('-ETIME');
  });
  test('IGT syncobj_timeline/host-signal-ordered: three of five points done, then the host signals 8: held back until all are', () => {
    const lines = [...five, signal('f1'), signal('f2'), signal('f3')];
    expect(value(...lines)).toBe('3');
    expect(value(...lines, drm_syncobj_timeline_signal(['a', 8]))).toBe('3');
    expect(value(...lines, drm_syncobj_timeline_signal(['a', 8]), signal('f4'), signal('f5'))).toBe('8');
  });
  test('IGT syncobj_timeline/32bits-limit: across 2^31 the value never falls', () => {
    const base = 2 ** 31 - 3;
    const lines: Block[] = count(6).map((i) => add('a', base + i, `f${i}`, `n${i}`));
    let before = 0;
    for (const i of count(6)) {
      lines.push(signal(`f${i}`));
      const now = Number(value(...lines));
      expect(now).toBe(base + i);
      expect(now).toBeGreaterThan(before);
      before = now;
    }
  });
});
