/** What the kernel's user-space tests assert of waits (igt-gpu-tools tests/syncobj_wait.c), one claim a test. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { type Stage, misuses, stage } from '../stage.ts';
import { BAD_HANDLE, drm_syncobj_signal, drm_syncobj_wait, return_, set, work_a_while } from './index.ts';
import {
  ALL,
  AVAILABLE,
  OBJS,
  SUBMIT,
  follows_the_table,
  kernel,
  last,
  mixtures,
  reset,
  run,
  signal,
  submit,
  table,
  three,
  wait,
} from '../syncobj-stage.ts';

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
