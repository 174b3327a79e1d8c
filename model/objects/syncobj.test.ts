/** What the kernel's user-space tests assert of syncobjs (igt-gpu-tools tests/syncobj_basic.c), and SO-1..SO-28. */
import { describe, expect, test } from 'vitest';
import { answers } from '../answers.ts';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import {
  BAD_HANDLE,
  atomic_enter,
  atomic_exit,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  drm_syncobj_add_point,
  drm_syncobj_create,
  drm_syncobj_destroy,
  drm_syncobj_export_sync_file,
  drm_syncobj_find_fence,
  drm_syncobj_import_sync_file,
  drm_syncobj_timeline_signal,
  drm_syncobj_wait,
  mutex_lock,
  mutex_unlock,
  return_,
  sync_file_fence,
  sync_file_poll,
} from './index.ts';
import {
  ALL,
  AVAILABLE,
  OBJS,
  SUBMIT,
  bring,
  kernel,
  last,
  query,
  reset,
  run,
  signal,
  submit,
  wait,
  wait_points,
} from '../syncobj-stage.ts';

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
