import { describe, expect, test } from 'vitest';
import { type Kernel, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  call,
  hmm_range_fault,
  if_var,
  invalidate_range_nonblockable,
  mmap,
  mmu_interval_notifier_insert,
  mmu_interval_notifier_insert_locked,
  mmu_interval_notifier_remove,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mmu_notifier_invalidate_range,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mutex_lock,
  mutex_unlock,
  return_,
  spin_lock,
  spin_unlock,
  witness,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('looks around');
const start = mmu_notifier_invalidate_range_start('heap');
const end = mmu_notifier_invalidate_range_end('heap');
const SETS: Block = [mutex_lock('update_lock'), mmu_interval_set_seq('u'), mutex_unlock('update_lock'), return_('0')];
const kernel = (
  how: { u?: object; other?: object; objects?: Kernel['objects']; routines?: Kernel['routines'] } = {},
) => ({
  objects: {
    locks: { ...mmap, update_lock: {}, spin: {} },
    userptrs: { u: {}, other: {} },
    mms: { mm: {}, stranger: {} },
    ranges: { heap: { mm: 'mm' }, stack: { mm: 'mm' }, elsewhere: { mm: 'stranger' } },
    interval_notifiers: {
      u: { range: 'heap', invalidate: 'invalidate', lock: 'update_lock', ...how.u },
      ...(how.other ? { other: how.other } : {}),
    },
    ...how.objects,
  } as NonNullable<Kernel['objects']>,
  routines: { invalidate: SETS, ...how.routines },
});
const on = (threads: Record<string, Block>, how: Parameters<typeof kernel>[0] = {}) =>
  stage({
    ...kernel(how),
    threads: Object.fromEntries(Object.entries(threads).map(([name, body]) => [name, must([body, STEP])])),
  });
const RETRY: Block = [
  mutex_lock('update_lock'),
  mmu_interval_read_retry('u', 'update_lock'),
  mutex_unlock('update_lock'),
];
const row = (at: ReturnType<typeof on>, userptr = 'u') => at.kernel.interval_notifiers[userptr];

describe('mmu_interval_read_begin', () => {
  /** An unmapper that stands between start and end, after the callback has set the sequence. */
  const between = (bodies: Record<string, Block>, how: Parameters<typeof kernel>[0] = {}) => {
    const at = on({ unmapper: [start, STEP, end], ...bodies }, how);
    at.plays('unmapper', 'unmapper', 'unmapper', 'unmapper');
    return at;
  };
  test('A10.5: waits while the interval is being invalidated, until the end, for whoever does it', () => {
    const at = between({ reader: [mmu_interval_read_begin('u')] });
    at.plays('reader');
    expect(at.because('reader')).toBe('unmapper is invalidating heap');
    expect(at.open('reader')).toMatchObject({ kind: 'blocked', wait: { on: 'invalidation', owedBy: ['unmapper'] } });
    at.plays('unmapper'); // the page tables change
    expect(at.open('reader').kind).toBe('blocked');
    at.runs('unmapper');
    expect(at.open('reader').kind).toBe('ready');
  });
  test('A10.5: does not wait when nobody invalidates it', () => {
    const at = on({ reader: [mmu_interval_read_begin('u')] });
    at.plays('reader', 'reader');
    expect(at.open('reader').kind).toBe('finished');
  });
  test('A10.1: does not wait for one of another interval of the address space', () => {
    const at = on({ unmapper: [mmu_notifier_invalidate_range('stack')], reader: [mmu_interval_read_begin('u')] });
    at.plays('reader', 'reader');
    expect(at.open('reader').kind).toBe('finished');
  });
  test('A10.4: but once it waits, it waits for all of the address space, whatever their interval', () => {
    const at = between({
      late: [mmu_notifier_invalidate_range_start('stack'), STEP, mmu_notifier_invalidate_range_end('stack')],
      reader: [mmu_interval_read_begin('u')],
    });
    at.plays('late', 'reader');
    at.runs('unmapper');
    expect(at.because('reader')).toBe('late is invalidating stack');
    at.runs('late');
    expect(at.open('reader').kind).toBe('ready');
  });
  test('A10.4: of another address space none counts', () => {
    const at = between({
      late: [mmu_notifier_invalidate_range_start('elsewhere'), STEP],
      reader: [mmu_interval_read_begin('u')],
    });
    at.plays('late', 'reader');
    at.runs('unmapper');
    expect(at.open('reader').kind).toBe('ready');
  });
  test('A10.5: before the callback has set the sequence there is nothing to wait for; the retry will tell', () => {
    const at = on({
      holder: [mutex_lock('update_lock'), STEP, mutex_unlock('update_lock')],
      unmapper: [start, end],
      reader: [mmu_interval_read_begin('u'), RETRY],
    });
    at.plays('holder', 'reader');
    at.runs('holder');
    at.runs('unmapper');
    at.plays('reader', 'reader');
    expect(at.ret('reader')).toBe('1');
  });
  test('A10.5: it returns what it read before it slept: an invalidation since then is not missed', () => {
    const at = between({ reader: [mmu_interval_read_begin('u'), RETRY], again: [start, end] });
    at.plays('reader');
    at.runs('unmapper');
    at.runs('again'); // the reader has been woken, and has not run yet
    at.plays('reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('1');
  });
  test('and without one the pages are good', () => {
    const at = between({ reader: [mmu_interval_read_begin('u'), RETRY] });
    at.plays('reader');
    at.runs('unmapper');
    at.plays('reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('0');
  });
  test('C28: between start and end it waits for itself', () => {
    const at = on({ task: [start, mmu_interval_read_begin('u'), end] });
    at.plays('task', 'task', 'task', 'task', 'task', 'task');
    expect(at.open('task')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['task'] } });
  });
  test('CTX-A: it may sleep', () => {
    const at = on({ task: [spin_lock('spin'), mmu_interval_read_begin('u'), spin_unlock('spin')] });
    expect(misuses(at.runs('task'))).toEqual(['CTX-A']);
  });
});

describe('mmu_interval_set_seq', () => {
  const sets = (invalidate: Block) =>
    misuses(on({ task: [mmu_notifier_invalidate_range('heap')] }, { routines: { invalidate } }).runs('task'));
  test('A10.2: without the update lock it is a misuse; with it, it is not', () => {
    expect(sets([mmu_interval_set_seq('u'), return_('0')])).toEqual(['A10.2']);
    expect(sets(SETS)).toEqual([]);
  });
  test('A10.2: so it is when nobody invalidates the interval', () => {
    expect(misuses(on({ task: [SETS] }).runs('task'))).toEqual(['A10.2']);
  });
  test('A10.1: two invalidations at a time set the same number: a reader that waits for the end of both is not misled', () => {
    const at = on({ one: [start, STEP, end], two: [start, STEP, end], reader: [mmu_interval_read_begin('u'), RETRY] });
    at.plays('one', 'one', 'one', 'one', 'reader', 'two', 'two', 'two');
    at.runs('one');
    expect(at.because('reader')).toBe('two is invalidating heap');
    at.runs('two');
    at.plays('reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('0');
  });
});

describe('hmm_range_fault', () => {
  test('A11: -EBUSY when an invalidation came since read_begin, and nothing is collected', () => {
    const at = on({ reader: [mmu_interval_read_begin('u'), hmm_range_fault('u')], unmapper: [start, end] });
    at.plays('reader');
    at.runs('unmapper');
    at.plays('reader', 'reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('-EBUSY');
    expect(at.kernel.userptrs['u']?.collected).toBe(false);
  });
  test('A11: without one it collects', () => {
    const at = on({ reader: [mmu_interval_read_begin('u'), hmm_range_fault('u')] });
    at.plays('reader', 'reader', 'reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('0');
    expect(at.kernel.userptrs['u']?.collected).toBe(true);
  });
  test('A11: with no read_begin there is no number to compare: it never collects', () => {
    const at = on({ reader: hmm_range_fault('u') });
    at.plays('reader', 'reader', 'reader', 'reader');
    expect(at.ret('reader')).toBe('-EBUSY');
  });
});

describe('insertion and removal', () => {
  const removed = { u: { state: 'removed' } };
  test('A10.11: the first of an address space allocates under mmap_lock, held for writing; the next one does not', () => {
    const first = on({ task: mmu_interval_notifier_insert('u') }, removed);
    const held = first
      .runs('task')
      .flatMap((fact) =>
        fact.kind === 'acquires' && fact.class === 'fs_reclaim' ? fact.over.map(({ object }) => object) : [],
      );
    expect(held).toEqual(['mmap_lock']);
    expect(row(first)?.state).toBe('inserted');
    const next = on(
      { task: mmu_interval_notifier_insert('u') },
      { ...removed, objects: { mms: { mm: { subscribed: true }, stranger: {} } } },
    );
    expect(next.runs('task').map(({ kind }) => kind)).not.toContain('allocates');
    expect(row(next)?.state).toBe('inserted');
  });
  test('A10.10: while an interval is being invalidated it is put off to the end; read_begin waits for that', () => {
    const at = on(
      { unmapper: [start, STEP, end], task: [mmu_interval_notifier_insert_locked('u'), mmu_interval_read_begin('u')] },
      { ...removed, other: { range: 'heap', invalidate: '' } },
    );
    at.plays('unmapper', 'task');
    expect(row(at)).toMatchObject({ state: 'to be inserted', invalidating: true });
    at.plays('task');
    expect(at.because('task')).toBe('unmapper is invalidating heap');
    at.runs('unmapper');
    expect(row(at)).toMatchObject({ state: 'inserted', invalidating: false });
    expect(at.open('task').kind).toBe('ready');
  });
  test('A10.10: with an invalidation that meets no interval it is inserted at once, and counts as invalidated', () => {
    const at = on({ unmapper: [start, STEP, end], task: [mmu_interval_notifier_insert_locked('u')] }, removed);
    at.plays('unmapper', 'task');
    expect(row(at)).toMatchObject({ state: 'inserted', invalidating: true });
    at.runs('unmapper');
    expect(row(at)?.invalidating).toBe(false);
  });
  test('A10.10: a fresh one does not make the first reader wait', () => {
    const at = on({ task: [mmu_interval_notifier_insert_locked('u'), mmu_interval_read_begin('u')] }, removed);
    at.runs('task');
    expect(at.open('task').kind).toBe('finished');
  });
  test('what is not inserted is not called', () => {
    const called = (state: string) =>
      witnessed(
        on(
          { task: mmu_notifier_invalidate_range('heap') },
          { u: { state }, routines: { invalidate: [witness('called'), return_('0')] } },
        ).runs('task'),
      );
    expect(called('removed')).toEqual([]);
    expect(called('inserted')).toEqual(['called']);
  });
  test('A10.12, N-7: removal waits for the invalidation that is under way, and the callback is not called after it', () => {
    const at = on({ unmapper: [start, STEP, end], remover: mmu_interval_notifier_remove('u') });
    at.plays('unmapper', 'unmapper', 'unmapper', 'remover');
    expect(at.because('remover')).toBe('unmapper is invalidating heap');
    at.runs('unmapper');
    at.plays('remover');
    expect(row(at)?.state).toBe('removed');
  });
  test('A10.12: without one it does not wait', () => {
    const at = on({ remover: mmu_interval_notifier_remove('u') });
    at.plays('remover');
    expect(row(at)?.state).toBe('removed');
    expect(at.open('remover').kind).toBe('ready');
  });
  test('A10.10: removed before it was inserted, it never is', () => {
    const at = on(
      {
        unmapper: [start, STEP, end],
        task: [mmu_interval_notifier_insert_locked('u'), mmu_interval_notifier_remove('u')],
      },
      { ...removed, other: { range: 'heap', invalidate: '' } },
    );
    at.plays('unmapper', 'task', 'task', 'task');
    at.runs('unmapper');
    expect(row(at)?.state).toBe('removed');
  });
  test('twice is a misuse, either way', () => {
    expect(misuses(on({ task: mmu_interval_notifier_insert('u') }).runs('task'))).toEqual(['A10.10']);
    expect(misuses(on({ task: mmu_interval_notifier_remove('u') }, removed).runs('task'))).toEqual(['A10.12']);
  });
});

describe('the callback', () => {
  const both = { other: { range: 'heap', invalidate: 'second' } };
  const calls = (body: Block, how: Parameters<typeof kernel>[0]) => on({ task: body }, how).runs('task');
  test('A10.1: every subscription of the range is called', () => {
    const facts = calls(mmu_notifier_invalidate_range('heap'), {
      ...both,
      routines: { invalidate: [witness('first')], second: [witness('second')] },
    });
    expect(witnessed(facts)).toEqual(['first', 'second']);
  });
  test('A10.13: every first pass comes before any second pass', () => {
    const facts = calls(mmu_notifier_invalidate_range('heap'), {
      u: { finish: 'finish' },
      other: { range: 'heap', invalidate: 'second', finish: 'finish' },
      routines: {
        invalidate: [witness('stops u'), return_('0')],
        second: [witness('stops other'), return_('0')],
        finish: [witness('waits'), return_('0')],
      },
    });
    expect(witnessed(facts)).toEqual(['stops u', 'stops other', 'waits', 'waits']);
  });
  test('A10.3, A9.7: a non-blockable one that refuses is the last that is asked, and nothing is unmapped', () => {
    const facts = calls([invalidate_range_nonblockable('heap')], {
      ...both,
      routines: { invalidate: [witness('refuses'), return_('-EAGAIN')], second: [witness('second'), return_('0')] },
    });
    expect(witnessed(facts)).toEqual(['refuses']);
    const at = on(
      { task: [invalidate_range_nonblockable('heap')] },
      { routines: { invalidate: [return_('-EAGAIN')] } },
    );
    at.plays('task');
    expect(at.ret('task')).toBe('-EAGAIN');
    expect(at.kernel.mms['mm']).toMatchObject({ invalidations: [], odd: false });
  });
  test('A10.3: one that does not refuse lets it go on', () => {
    const at = on(
      { task: [invalidate_range_nonblockable('heap')] },
      { routines: { invalidate: [if_var('blockable', 'false', [witness('asked')]), return_('0')] } },
    );
    expect(witnessed(at.plays('task'))).toEqual(['asked']);
    at.plays('task');
    expect(at.ret('task')).toBe('0');
  });
  test('N-2: a blockable one that refuses is a misuse, and is ignored', () => {
    expect(
      misuses(calls(mmu_notifier_invalidate_range('heap'), { routines: { invalidate: [return_('-EAGAIN')] } })),
    ).toEqual(['N-2']);
  });
  const older = (body: Block, refuses: boolean, invalidate_end = '') =>
    misuses(
      alone(body, {
        objects: { ranges: { heap: { invalidate: 'invalidate', invalidate_end } } },
        routines: { invalidate: [return_(refuses ? '-EAGAIN' : '0')], end: [] },
      }).facts,
    );
  test('A9.6: so it is with a notifier of the older kind', () => {
    expect(older(mmu_notifier_invalidate_range('heap'), true)).toEqual(['A9.6']);
    expect(older(mmu_notifier_invalidate_range('heap'), false)).toEqual([]);
  });
  test('A9.7: of that kind, one that can refuse may not have an end', () => {
    expect(older([call('invalidate_range_nonblockable', { range: 'heap' })], true, 'end')).toEqual(['A9.7']);
    expect(older([call('invalidate_range_nonblockable', { range: 'heap' })], true)).toEqual([]);
    expect(older([call('invalidate_range_nonblockable', { range: 'heap' })], false, 'end')).toEqual([]);
  });
});

describe('boot', () => {
  test('a subscription to a range of no address space says what there is', () => {
    const at = () => on({ task: mmu_interval_notifier_remove('u') }, { objects: { ranges: { heap: {} } } });
    expect(() => at().runs('task')).toThrow(
      /interval_notifiers.u watches "heap", which names no mm; there are: mm, stranger/,
    );
  });
  test('an unknown range lists the ranges there are', () => {
    expect(() => on({}, { u: { range: 'hoard' } })).toThrow(
      /unknown ranges "hoard"; there are: heap, stack, elsewhere/,
    );
  });
});
