/**
 * What the kernel's user-space tests assert of syncobjs (igt-gpu-tools tests/syncobj_{basic,wait,timeline,eventfd}.c),
 * one claim a test, and SO-1..SO-28.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answer, answers } from '../answers.ts';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { type Stage, misuses, stage } from '../stage.ts';
import {
  BAD_FD,
  BAD_HANDLE,
  type Patience,
  type Point,
  atomic_enter,
  atomic_exit,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_stub,
  drm_syncobj_add_point,
  drm_syncobj_create,
  drm_syncobj_destroy,
  drm_syncobj_eventfd,
  drm_syncobj_export_sync_file,
  drm_syncobj_find_fence,
  drm_syncobj_import_sync_file,
  drm_syncobj_query,
  drm_syncobj_replace_fence,
  drm_syncobj_reset,
  drm_syncobj_signal,
  drm_syncobj_timeline_signal,
  drm_syncobj_timeline_wait,
  drm_syncobj_transfer,
  drm_syncobj_wait,
  fence_arrays,
  fence_chain_nodes,
  irq_work,
  mutex_lock,
  mutex_unlock,
  return_,
  set,
  sync_file_fence,
  sync_file_poll,
  together,
  work_a_while,
} from './index.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const kernel = (nodes = 8) => ({
  objects: together(
    {
      fences: {
        stub: dma_fence_stub,
        ...Object.fromEntries(count(9).map((i) => [`f${i}`, { initialised: true, promisedBy: 'task' }])),
      },
      syncobjs: { a: {}, b: {}, c: {}, d: {} },
      sync_files: { file: {} },
      eventfds: { ev: {}, ev2: {} },
      locks: { lock: {} },
    },
    fence_chain_nodes(...count(nodes).map((i) => `n${i}`)),
    fence_arrays('arr'),
  ),
  threads: { irq_work: irq_work() },
});
const settle = ['irq_work'];
const run = (...lines: readonly Block[]) => answers(kernel(), lines, settle);
const last = (...lines: readonly Block[]): string | undefined => answer(kernel(), lines, settle);

const submit = (obj: string, fence: string): Block => [drm_syncobj_replace_fence(obj, fence)];
const signal = (fence: string): Block => [dma_fence_signal(fence)];
const reset = (...objs: readonly string[]): Block => [drm_syncobj_reset(...objs)];
const query = (...objs: readonly string[]): Block => [drm_syncobj_query(objs)];
const ALL = 'WAIT_ALL';
const SUBMIT = 'WAIT_FOR_SUBMIT';
const AVAILABLE = 'WAIT_AVAILABLE';
const wait = (objs: readonly string[], ...flags: readonly string[]): Block => drm_syncobj_wait(objs, flags, '0');
const wait_points = (points: readonly Point[], ...flags: readonly string[]): Block =>
  drm_syncobj_timeline_wait(points, flags, '0');

describe('handles', () => {
  test('IGT syncobj_basic/bad-destroy: destroying what is no handle is EINVAL', () => {
    expect(last([drm_syncobj_destroy(BAD_HANDLE)])).toBe('-EINVAL');
    expect(last([drm_syncobj_destroy('a')])).toBe('0');
    expect(last([drm_syncobj_destroy('a')], [drm_syncobj_destroy('a')])).toBe('-EINVAL');
  });
  test('IGT syncobj_basic/bad-create-flags: unknown flags are EINVAL', () => {
    expect(last([drm_syncobj_create('a', 'NONSENSE')])).toBe('-EINVAL');
  });
  test('IGT syncobj_basic/create-signaled: created signalled, a wait that only looks succeeds', () => {
    expect(last([drm_syncobj_create('a', 'SIGNALED')], wait(['a']))).toBe('0');
    expect(last([drm_syncobj_create('a')], wait(['a']))).toBe('-EINVAL');
  });
});

/** States of one object, by the letters of the table: unsubmitted, submitted, signalled. */
const bring = (obj: string, state: string, fence: string): Block =>
  state === 'u' ? reset(obj) : state === 'b' ? submit(obj, fence) : [drm_syncobj_signal(obj)];
const OBJS = ['a', 'b', 'c', 'd'];
function table(states: string, timeline: boolean, flags: readonly string[], timeout: Patience): string | undefined {
  const objs = OBJS.slice(0, states.length);
  const at = (obj: string, i: number): Block => {
    const state = states[i] as string;
    if (!timeline) return bring(obj, state, `f${i}`);
    if (state === 'u') return reset(obj);
    if (state === 's') return drm_syncobj_timeline_signal([obj, 3]);
    return [drm_syncobj_add_point(obj, `n${4 + i}`, `f${i}`, 3)];
  };
  const waits = timeline
    ? drm_syncobj_timeline_wait(
        objs.map((obj) => [obj, 3]),
        flags,
        timeout,
      )
    : drm_syncobj_wait(objs, flags, timeout);
  const lines = [...objs.map(at), waits];
  const { at: on, rets } = answers(kernel(), lines, settle);
  if (on.open('task').kind !== 'blocked') return rets.at(-1);
  const facts = on.plays('task/times out', ...[]);
  const back = [...facts, ...on.runs('task')].find(
    (fact) => fact.kind === 'returned' && fact.routine === `line${lines.length - 1}`,
  );
  return back?.kind === 'returned' ? back.ret : undefined;
}
/** What the table says. */
function expected(states: string, all: boolean, forSubmit: boolean): string {
  if (states.includes('u') && !forSubmit) return '-EINVAL';
  const done = states.split('').filter((state) => state === 's').length;
  return (all ? done === states.length : done > 0) ? '0' : '-ETIME';
}
const mixtures = (n: number): string[] =>
  n === 0 ? [''] : mixtures(n - 1).flatMap((rest) => ['u', 'b', 's'].map((state) => rest + state));
/** The whole table for some mixtures: with and without each flag, only looking and waiting a while. */
function follows_the_table(states: readonly string[], timeline: boolean): number {
  let cases = 0;
  for (const mixture of states)
    for (const all of [false, true])
      for (const forSubmit of [false, true])
        for (const timeout of ['0', 'some'] as const) {
          const flags = [...(all ? [ALL] : []), ...(forSubmit ? [SUBMIT] : [])];
          const ret = table(mixture, timeline, flags, timeout);
          expect(ret, `${mixture} ${flags.join(' ')} ${timeout}`).toBe(expected(mixture, all, forSubmit));
          cases += 1;
        }
  return cases;
}
const three = mixtures(3);

describe('waiting for binary objects', () => {
  test('IGT syncobj_wait/table-never-submitted: EINVAL, or with for-submit as busy', () => {
    expect(
      follows_the_table(
        three.filter((states) => states.includes('u')),
        false,
      ),
    ).toBe(19 * 8);
  });
  test('IGT syncobj_wait/table-any-one-signaled: wait-any with one signalled is 0', () => {
    expect(table('bsb', false, [], '0')).toBe('0');
    expect(table('bsb', false, [SUBMIT], 'some')).toBe('0');
  });
  test('IGT syncobj_wait/table-any-none-signaled: wait-any with none signalled is ETIME', () => {
    expect(table('bbb', false, [], '0')).toBe('-ETIME');
    expect(table('bbb', false, [SUBMIT], 'some')).toBe('-ETIME');
  });
  test('IGT syncobj_wait/table-all-one-missing: wait-all with one not signalled is ETIME', () => {
    expect(table('sbs', false, [ALL], '0')).toBe('-ETIME');
    expect(table('sbs', false, [ALL, SUBMIT], 'some')).toBe('-ETIME');
  });
  test('IGT syncobj_wait/table-all-signaled: wait-all with all signalled is 0, however long one would wait', () => {
    for (const timeout of ['0', 'some', 'MAX'] as const) expect(table('sss', false, [ALL], timeout)).toBe('0');
  });
  test('IGT syncobj_wait/invalid-wait-bad-flags: EINVAL', () => {
    expect(last(submit('a', 'f0'), wait(['a'], 'NONSENSE'))).toBe('-EINVAL');
    expect(last(submit('a', 'f0'), wait(['a'], AVAILABLE))).toBe('-EINVAL');
  });
  test('IGT syncobj_wait/wait-zero-handles: 0', () => {
    expect(last(wait([]))).toBe('0');
  });
  test('IGT syncobj_wait/invalid-wait-illegal-handle: ENOENT', () => {
    expect(last(wait([BAD_HANDLE]))).toBe('-ENOENT');
  });
  test('IGT syncobj_wait/invalid-reset: no handles are EINVAL, an illegal one is ENOENT', () => {
    expect(last(reset())).toBe('-EINVAL');
    expect(last(reset(BAD_HANDLE))).toBe('-ENOENT');
  });
  test('IGT syncobj_wait/invalid-signal: no handles are EINVAL, an illegal one is ENOENT', () => {
    expect(last(drm_syncobj_signal())).toBe('-EINVAL');
    expect(last(drm_syncobj_signal(BAD_HANDLE))).toBe('-ENOENT');
  });
  test('IGT syncobj_wait/one-illegal-handle: ENOENT, and nothing was changed', () => {
    const { rets } = run(
      submit('a', 'f0'),
      submit('b', 'f1'),
      reset('a', BAD_HANDLE, 'b'),
      drm_syncobj_signal('a', BAD_HANDLE, 'b'),
      wait(['a']),
      wait(['b']),
    );
    expect(rets.slice(2)).toEqual(['-ENOENT', '-ENOENT', '-ETIME', '-ETIME']);
  });
  test('IGT syncobj_wait/single-wait: the table with one object', () => {
    expect(follows_the_table(mixtures(1), false)).toBe(24);
  });
  test('IGT syncobj_wait/multi-wait: the table with three objects in every mixture', () => {
    expect(follows_the_table(three, false)).toBe(27 * 8);
  });
  /** A waiter, and somebody who does these lines once it sleeps. */
  const meanwhile = (waiting: Block, ...lines: readonly Block[]): { at: Stage; ret: string; first: string } => {
    const base = kernel();
    const at = stage({
      ...base,
      threads: {
        ...base.threads,
        waiter: must([waiting, set('result', 'ret'), work_a_while('looks at what it got'), return_('$result')]),
        task: must([lines]),
      },
    });
    at.runs('waiter');
    expect(at.open('waiter').kind).toBe('blocked');
    const mid = at.runs('task');
    expect(misuses(mid)).toEqual([]);
    at.runs('irq_work');
    const first = (): string => at.kernel.threads['waiter']?.frames.at(-1)?.vars['first_signaled'] ?? '';
    let seen = '';
    let ret = '';
    while (at.open('waiter').kind === 'ready') {
      for (const fact of at.plays('waiter')) if (fact.kind === 'returned' && fact.to === 'nobody') ret = fact.ret;
      seen = first() || seen;
    }
    return { at, ret, first: seen };
  };
  const given = (objs: readonly string[], fences: readonly string[]): Block =>
    objs.map((obj, i) => submit(obj, fences[i] as string));
  test('IGT syncobj_wait/wait-delayed-signal: signalled later, the wait succeeds', () => {
    expect(meanwhile([submit('a', 'f0'), drm_syncobj_wait(['a'], [], 'some')], signal('f0')).ret).toBe('0');
  });
  test('IGT syncobj_wait/wait-for-submit-delayed-submit: submitted later and signalled, the wait succeeds', () => {
    const waits = drm_syncobj_wait(['a'], [SUBMIT], 'some');
    expect(meanwhile(waits, submit('a', 'f0'), signal('f0')).ret).toBe('0');
    expect(meanwhile(waits, submit('a', 'f0')).ret).toBe('');
  });
  test('IGT syncobj_wait/wait-all-delayed: all of them, submitted and signalled later', () => {
    const waits = drm_syncobj_wait(['a', 'b'], [ALL, SUBMIT], 'some');
    const submits = [submit('a', 'f0'), submit('b', 'f1')];
    expect(meanwhile(waits, ...submits, signal('f0')).ret).toBe('');
    expect(meanwhile(waits, ...submits, signal('f0'), signal('f1')).ret).toBe('0');
    expect(
      meanwhile(
        [given(['a', 'b'], ['f0', 'f1']), drm_syncobj_wait(['a', 'b'], [ALL], 'MAX')],
        signal('f0'),
        signal('f1'),
      ).ret,
    ).toBe('0');
  });
  test('IGT syncobj_wait/reset-unsignaled: after the reset a plain wait is EINVAL', () => {
    expect(run(submit('a', 'f0'), wait(['a']), reset('a'), wait(['a'])).rets.slice(1)).toEqual([
      '-ETIME',
      '0',
      '-EINVAL',
    ]);
  });
  test('IGT syncobj_wait/reset-signaled: the same', () => {
    expect(run(drm_syncobj_signal('a'), wait(['a']), reset('a'), wait(['a'])).rets.slice(1)).toEqual([
      '0',
      '0',
      '-EINVAL',
    ]);
  });
  test('IGT syncobj_wait/reset-multiple-signaled: the same for several', () => {
    const { rets } = run(
      drm_syncobj_signal('a', 'b', 'c'),
      wait(['a', 'b', 'c'], ALL),
      reset('a', 'b', 'c'),
      wait(['a']),
      wait(['b']),
      wait(['c']),
    );
    expect(rets).toEqual(['0', '0', '0', '-EINVAL', '-EINVAL', '-EINVAL']);
  });
  test('IGT syncobj_wait/reset-during-wait-for-submit: a reset while somebody waits changes nothing; the later submission wakes it', () => {
    const waits = drm_syncobj_wait(['a'], [SUBMIT], 'MAX');
    expect(meanwhile(waits, reset('a')).ret).toBe('');
    expect(meanwhile(waits, reset('a'), submit('a', 'f0'), signal('f0')).ret).toBe('0');
  });
  test('IGT syncobj_wait/signal: unsubmitted is EINVAL or ETIME; after the host signal both are 0', () => {
    const { rets } = run(wait(['a']), wait(['a'], SUBMIT), drm_syncobj_signal('a'), wait(['a']), wait(['a'], SUBMIT));
    expect(rets).toEqual(['-EINVAL', '-ETIME', '0', '0', '0']);
  });
  test('IGT syncobj_wait/wait-snapshot: a waiter keeps the fence it saw first, whatever happens to the object', () => {
    const never = submit('a', 'f8');
    const start = given(['a', 'b'], ['f0', 'f1']);
    const any = meanwhile([start, drm_syncobj_wait(['a', 'b'], [], 'MAX')], reset('a'), never, signal('f1'));
    expect(any).toMatchObject({ ret: '0', first: '1' });
    const all = meanwhile(
      [start, drm_syncobj_wait(['a', 'b'], [ALL], 'MAX')],
      reset('a'),
      never,
      signal('f1'),
      signal('f0'),
    );
    expect(all.ret).toBe('0');
    const forSubmit = drm_syncobj_wait(['a', 'b'], [ALL, SUBMIT], 'MAX');
    expect(meanwhile(forSubmit, start, reset('a'), never, signal('f1'), signal('f0')).ret).toBe('0');
    expect(meanwhile(forSubmit, reset('a'), never, submit('b', 'f1'), signal('f1'), signal('f0')).ret).toBe('');
  });
  test('IGT syncobj_wait/wait-complex: objects submitted, signalled, reset and submitted again in any shuffle', () => {
    const moves = fc.array(fc.tuple(fc.constantFrom('submit', 'signal', 'reset'), fc.nat(1), fc.nat(7)), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(moves, fc.boolean(), (shuffle, all) => {
        const lines: Block[] = [];
        const holds: (string | null)[] = [null, null];
        const over = new Set<string>();
        for (const [what, i, fence] of shuffle) {
          const obj = OBJS[i] as string;
          if (what === 'submit') {
            lines.push(submit(obj, `f${fence}`));
            holds[i] = `f${fence}`;
          } else if (what === 'signal') {
            lines.push(signal(`f${fence}`));
            over.add(`f${fence}`);
          } else {
            lines.push(reset(obj));
            holds[i] = null;
          }
        }
        const done = holds.map((fence) => fence !== null && over.has(fence));
        const enough = all ? done.every(Boolean) : done.some(Boolean);
        const ret = last(...lines, wait(['a', 'b'], SUBMIT, ...(all ? [ALL] : [])));
        expect(ret).toBe(enough ? '0' : '-ETIME');
      }),
      { numRuns: 60, seed: 8 },
    );
  });
  test('IGT syncobj_wait/wait-interrupted: signals end the call, it is made again, and still times out', () => {
    for (const flags of [[], [ALL]]) {
      const again = [drm_syncobj_wait(['a', 'b'], flags, 'some'), drm_syncobj_wait(['a', 'b'], flags, 'some')];
      const base = kernel();
      const at = stage({ ...base, threads: { task: must([given(['a', 'b'], ['f0', 'f1']), again, return_('ret')]) } });
      at.runs('task');
      at.plays('task/interrupted');
      expect(at.ret('task')).toBe('-ERESTARTSYS');
      at.runs('task');
      expect(at.plays('task/times out')).toContainEqual(expect.objectContaining({ kind: 'returned', ret: '-ETIME' }));
      expect(at.kernel.syncobjs['a']?.waiters).toEqual([]);
    }
  });
});

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

describe('eventfds', () => {
  const eventfd = (obj: string, point: number, fd = 'ev', flags?: string): Block => [
    drm_syncobj_eventfd(obj, point, fd, flags),
  ];
  const fired = (...lines: readonly Block[]): boolean => run(...lines).at.kernel.eventfds['ev']?.fired ?? false;
  const point = (obj = 'a'): Block => [drm_syncobj_add_point(obj, 'n0', 'f0', 1)];
  test('IGT syncobj_eventfd/invalid-bad-flags: EINVAL', () => {
    expect(last(eventfd('a', 0, 'ev', 'NONSENSE'))).toBe('-EINVAL');
  });
  test('IGT syncobj_eventfd/invalid-illegal-handle: ENOENT', () => {
    expect(last(eventfd(BAD_HANDLE, 0))).toBe('-ENOENT');
  });
  test('IGT syncobj_eventfd/invalid-illegal-eventfd: EINVAL', () => {
    expect(last(eventfd('a', 0, BAD_FD))).toBe('-EINVAL');
  });
  test('IGT syncobj_eventfd/wait: a fence is there: "available" fires at once, the other on the signal', () => {
    for (const [given, at] of [
      [submit('a', 'f0'), 0],
      [point(), 1],
    ] as const) {
      expect(fired(given, eventfd('a', at, 'ev', AVAILABLE))).toBe(true);
      expect(fired(given, eventfd('a', at))).toBe(false);
      expect(fired(given, eventfd('a', at), signal('f0'))).toBe(true);
    }
  });
  test('IGT syncobj_eventfd/wait-before-signal: none fires before the fence exists', () => {
    for (const flags of [AVAILABLE, '0']) {
      expect(fired(eventfd('a', 1, 'ev', flags))).toBe(false);
      expect(fired(eventfd('a', 1, 'ev', flags), point())).toBe(flags === AVAILABLE);
      expect(fired(eventfd('a', 1, 'ev', flags), point(), signal('f0'))).toBe(true);
      expect(fired(eventfd('a', 0, 'ev', flags), submit('a', 'f0'), signal('f0'))).toBe(true);
    }
  });
  test('IGT syncobj_eventfd/wait-signaled: both fire at once', () => {
    for (const flags of [AVAILABLE, '0'])
      expect(fired(drm_syncobj_signal('a'), eventfd('a', 0, 'ev', flags))).toBe(true);
  });
});

describe('rules', () => {
  const find = (obj: string, point = 0, flags?: string): Block => drm_syncobj_find_fence(obj, point, flags);
  test('SO-13, SO-15: a job cannot depend on what is not there; flags and handles are checked', () => {
    expect(last(find('a', 0, 'NONSENSE'))).toBe('-EINVAL');
    expect(last(find(BAD_HANDLE))).toBe('-ENOENT');
    expect(last(find('a'))).toBe('-EINVAL');
    expect(last(submit('a', 'f0'), find('a'))).toBe('f0');
  });
  test('SO-14: a point that is over already is a stub', () => {
    const made: Block[] = [[drm_syncobj_add_point('a', 'n0', 'f0', 1)], [drm_syncobj_add_point('a', 'n1', 'f1', 2)]];
    expect(last(...made, find('a', 1))).toBe('n0');
    expect(last(...made, signal('f0'), find('a', 1))).toBe('stub');
    expect(last(...made, find('a', 3))).toBe('-EINVAL');
  });
  const sleeps = (lines: Block, how: string) => {
    const base = kernel();
    const at = stage({ ...base, threads: { task: must([lines, return_('ret')]), other: may([submit('a', 'f0')]) } });
    const before = at.runs('task');
    if (how === 'other') at.runs('other');
    const facts = [...before, ...(how === 'other' ? at.runs('task') : at.plays(how))];
    const end = facts.find((fact) => fact.kind === 'returned' && fact.routine === 'task');
    return { ret: end?.kind === 'returned' ? end.ret : undefined, rules: misuses(facts) };
  };
  const waits_for_submit = drm_syncobj_find_fence('a', 0, SUBMIT);
  test('SO-16: waiting for the submission is bounded, interruptible, and ends with it', () => {
    expect(sleeps(waits_for_submit, 'task/times out').ret).toBe('-ETIME');
    expect(sleeps(waits_for_submit, 'task/interrupted').ret).toBe('-ERESTARTSYS');
    expect(sleeps(waits_for_submit, 'other').ret).toBe('f0');
  });
  test('SO-16: waiting for a submission with any lock held is warned of, whether or not anything is missing', () => {
    const locked = (lines: Block): Block => [mutex_lock('lock'), lines, mutex_unlock('lock')];
    expect(sleeps(locked(waits_for_submit), 'other').rules).toEqual(['SO-16']);
    expect(sleeps(waits_for_submit, 'other').rules).toEqual([]);
    expect(run(submit('a', 'f0'), locked(waits_for_submit)).rules).toEqual(['SO-16']);
    expect(run(submit('a', 'f0'), locked(drm_syncobj_find_fence('a'))).rules).toEqual([]);
  });
  test('SO-23: so it is for the host waits that wait for submission, and not for those that do not', () => {
    const locked = (lines: Block): Block => [mutex_lock('lock'), lines, mutex_unlock('lock')];
    expect(run(submit('a', 'f0'), locked(wait(['a'], SUBMIT))).rules).toEqual(['SO-16']);
    expect(run(locked(wait_points([['a', 1]], AVAILABLE))).rules).toEqual(['SO-16']);
    expect(run(submit('a', 'f0'), locked(wait(['a']))).rules).toEqual([]);
  });
  test('SO-1: an object may not be changed from an interrupt', () => {
    const inside: Block = [atomic_enter('a fence callback'), submit('a', 'f0'), atomic_exit('a fence callback')];
    expect(run(inside).rules).toEqual(['SO-1']);
    expect(run(submit('a', 'f0')).rules).toEqual([]);
  });
  test('SO-4: destroying the handle does not disturb who waits', () => {
    const at = stage({
      ...kernel(),
      threads: {
        waiter: must([drm_syncobj_wait(['a'], [SUBMIT], 'MAX')]),
        task: must([submit('a', 'f0'), drm_syncobj_destroy('a'), dma_fence_signal('f0')]),
      },
    });
    at.runs('waiter');
    at.runs('task');
    expect(misuses(at.runs('waiter'))).toEqual([]);
    expect(at.open('waiter').kind).toBe('finished');
    expect(last([drm_syncobj_destroy('a')], wait(['a']))).toBe('-ENOENT');
  });
  test('SO-9: a point that is not later than the last: the value may be 0 again, the order holds', () => {
    const made: Block[] = [drm_syncobj_timeline_signal(['a', 5]), [drm_syncobj_add_point('a', 'n7', 'f0', 3)]];
    expect(last(...made, query('a'))).toBe('0');
    expect(last(...made, wait_points([['a', 5]]))).toBe('-ETIME');
    expect(last(...made, signal('f0'), query('a'))).toBe('5');
  });
  test('SO-10: without nodes for all of them nothing is signalled', () => {
    const { rets } = answers(kernel(1), [drm_syncobj_timeline_signal(['a', 1], ['b', 1]), query('a', 'b')]);
    expect(rets).toEqual(['-ENOMEM', '0 0']);
  });
  test('SO-12: an export is a snapshot, an import replaces or adds', () => {
    const exported = [submit('a', 'f0'), drm_syncobj_export_sync_file('a', 'file')];
    expect(last(drm_syncobj_export_sync_file('a', 'file'))).toBe('-EINVAL');
    expect(last(...exported, reset('a'), [sync_file_fence('file')])).toBe('f0');
    expect(last(...exported, drm_syncobj_import_sync_file('b', 'file'), wait(['b']))).toBe('-ETIME');
    expect(last(...exported, drm_syncobj_import_sync_file('b', 'file', 2), signal('f0'), query('b'))).toBe('2');
    expect(last(...exported, signal('f0'), [sync_file_poll('file')])).toBe('1');
  });
  test('SO-19: first_signaled is the lowest index found done', () => {
    const at = (states: string): string | undefined => {
      const lines = states.split('').map((state, i) => bring(OBJS[i] as string, state, `f${i}`));
      return last(...lines, [wait(OBJS.slice(0, states.length), SUBMIT), return_('$first_signaled')]);
    };
    expect([at('sbb'), at('usb'), at('bus'), at('sss')]).toEqual(['0', '1', '2', '0']);
  });
  test('SO-20, SO-22: waiting asks a chain for its signal, and a poll alone finds out too', () => {
    const made: Block[] = [[drm_syncobj_add_point('a', 'n0', 'f0', 1)], wait_points([['a', 1]])];
    expect(run(...made).at.kernel.fences['n0']?.enabled).toBe(true);
    expect(last([drm_syncobj_add_point('a', 'n0', 'f0', 1)], signal('f0'), [dma_fence_is_signaled('n0')])).toBe('1');
  });
  test('SO-28: nobody in particular owes a wait for a submission; a fence that is there is owed by its signaller', () => {
    const open = (waiting: Block) => {
      const at = stage({ ...kernel(), threads: { waiter: must([waiting]), task: must([dma_fence_init('f1')]) } });
      at.runs('waiter');
      const now = at.open('waiter');
      return now.kind === 'blocked' ? { owedBy: now.wait.owedBy, any: now.wait.any } : now.kind;
    };
    expect(open(drm_syncobj_wait(['a'], [SUBMIT]))).toEqual({ owedBy: [], any: true });
    expect(open([submit('a', 'f0'), drm_syncobj_wait(['a', 'b'], [SUBMIT])])).toEqual({ owedBy: [], any: true });
    expect(open([submit('a', 'f0'), drm_syncobj_wait(['a', 'b'], [ALL, SUBMIT])])).toEqual({
      owedBy: ['task'],
      any: undefined,
    });
  });
});
