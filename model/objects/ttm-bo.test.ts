/** What the kernel's own tests of reserve, LRU, pin and put assert (drivers/gpu/drm/ttm/tests/ttm_bo_test.c). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Instruction } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  recount,
  ttm_bo_pin,
  ttm_bo_put,
  ttm_bo_reserve,
  ttm_bo_set_bulk_move,
  ttm_bo_unpin,
  ttm_bo_unreserve,
  ttm_delayed_delete,
  ttm_lru_bulk_move_tail,
  work_a_while,
  ww_acquire_init,
} from './index.ts';

const two: Setup = { bos: { a: { place: 'SYSTEM' }, b: { place: 'SYSTEM' } } };
const run = (body: Block | Instruction, setup: Setup = two) => {
  const done = ttmAlone(body, setup);
  expect([...inconsistencies(done.facts), ...recount(done.at.kernel)]).toEqual([]);
  const { bos, managers, ttm_bos, bulk_moves, ttm_devices } = done.at.kernel;
  return { ...done, bos, managers, ttm_bos, bulk_moves, unevictable: ttm_devices['bdev']?.unevictable };
};
const under = (bo: string, ...body: (Block | Instruction)[]): Block => [ttm_bo_reserve(bo), body, ttm_bo_unreserve(bo)];

describe('reserve', () => {
  const ways = [{}, { interruptible: true }, { no_wait: true }, { interruptible: true, no_wait: true }] as const;
  test('KUNIT-1: a free buffer is reserved, interruptibly or not, waiting or not', () => {
    for (const way of ways) {
      const { ret, at } = ttmAlone(ttm_bo_reserve('a', way), two);
      expect([ret, at.kernel.resvs['a']?.owner]).toEqual(['0', 'task']);
    }
  });
  /** `task` tries while `other` has the lock. */
  const contended = (body: Block, ticketed = false) => {
    const holder = [
      ticketed ? ww_acquire_init() : [],
      ttm_bo_reserve('a', ticketed ? { ticket: true } : {}),
      work_a_while('holds it'),
    ];
    const at = stage({
      ...ttmKernel(two),
      threads: { other: must([holder, work_a_while('still')]), task: must(body) },
    });
    at.plays(...(ticketed ? ['other', 'other'] : ['other']));
    return at;
  };
  test('KUNIT-2: a locked one that may not be waited for: -EBUSY', () => {
    const at = contended([ttm_bo_reserve('a', { no_wait: true }), work_a_while('')]);
    at.plays('task');
    expect([at.ret('task'), at.kernel.resvs['a']?.owner]).toEqual(['-EBUSY', 'other']);
  });
  test('KUNIT-3: not waiting with a ticket makes no sense: -EBUSY, a warning, and the lock as it was', () => {
    const { facts, at } = ttmAlone(
      [ww_acquire_init(), ttm_bo_reserve('a', { no_wait: true, ticket: true }), work_a_while('')],
      two,
    );
    expect(misuses(facts)).toContain('B15.2');
    expect(at.kernel.resvs['a']?.owner).toBeNull();
    const held = contended([ww_acquire_init(), ttm_bo_reserve('a', { no_wait: true, ticket: true }), work_a_while('')]);
    held.plays('task', 'task');
    expect([held.ret('task'), held.kernel.resvs['a']?.owner]).toEqual(['-EBUSY', 'other']);
  });
  test('KUNIT-4: twice with one ticket: -EALREADY', () => {
    const body = [ww_acquire_init(), ttm_bo_reserve('a', { ticket: true }), ttm_bo_reserve('a', { ticket: true })];
    expect(ttmAlone(body, two).ret).toBe('-EALREADY');
  });
  test('KUNIT-5: the younger of two tickets in opposite order: -EDEADLK; the older waits', () => {
    const both = (first: string, second: string): Block => [
      ww_acquire_init(),
      ttm_bo_reserve(first, { ticket: true }),
      ttm_bo_reserve(second, { ticket: true }),
      work_a_while(''),
    ];
    const at = stage({ ...ttmKernel(two), threads: { older: must(both('a', 'b')), younger: must(both('b', 'a')) } });
    at.plays('older', 'older', 'younger', 'younger');
    at.runs('older');
    expect(at.because('older')).toMatch(/younger holds/);
    at.plays('younger');
    expect(at.ret('younger')).toBe('-EDEADLK');
  });
  test('KUNIT-6: a signal ends an interruptible wait: -ERESTARTSYS; another wait it does not end', () => {
    const at = contended([ttm_bo_reserve('a', { interruptible: true }), work_a_while('')]);
    at.plays('task/interrupted');
    expect(at.ret('task')).toBe('-ERESTARTSYS');
    expect(() => contended([ttm_bo_reserve('a')]).plays('task/interrupted')).toThrow(/cannot be taken/);
  });
});

describe('the lists', () => {
  test('KUNIT-7: unreserve puts the buffer at the tail of its priority', () => {
    expect(run(under('a')).managers['bdev.SYSTEM']?.lru).toEqual(['b', 'a']);
    const three: Setup = {
      bos: { a: { place: 'SYSTEM' }, b: { place: 'SYSTEM' }, high: { place: 'SYSTEM', priority: 3 } },
    };
    expect(run(under('a'), three).managers['bdev.SYSTEM']?.lru).toEqual(['b', 'a', 'high']);
  });
  test('KUNIT-8: unreserve puts a pinned one at the tail of the unevictable list', () => {
    const body = [under('a', ttm_bo_pin('a')), under('b', ttm_bo_pin('b')), under('a')];
    const { unevictable, managers } = run(body);
    expect([unevictable, managers['bdev.SYSTEM']?.lru]).toEqual([['b', 'a'], []]);
  });
  const shared: Setup = {
    bos: { a: { place: 'SYSTEM', shares: 'vm' }, b: { place: 'SYSTEM', shares: 'vm' }, c: { place: 'SYSTEM' } },
    bulk_moves: ['bulk'],
  };
  const join = [under('a', ttm_bo_set_bulk_move('a', 'bulk')), under('b', ttm_bo_set_bulk_move('b', 'bulk'))];
  const positions = (done: ReturnType<typeof run>) => done.bulk_moves['bulk']?.positions['bdev.SYSTEM/0'];
  test('KUNIT-9: of two in a bulk move, the first becomes the last when it is unreserved', () => {
    expect(positions(run(join, shared))).toEqual({ first: 'a', last: 'b' });
    const done = run([join, under('a')], shared);
    expect([positions(done), done.managers['bdev.SYSTEM']?.lru]).toEqual([{ first: 'b', last: 'a' }, ['b', 'a', 'c']]);
  });
  test('B8.4: a bulk move goes to the tail as one, and only with one reservation', () => {
    const tail = [join, dma_resv_lock('vm'), ttm_lru_bulk_move_tail('bulk'), dma_resv_unlock('vm')];
    expect(run(tail, shared).managers['bdev.SYSTEM']?.lru).toEqual(['c', 'a', 'b']);
    const stranger = [join, under('c', ttm_bo_set_bulk_move('c', 'bulk'))];
    expect(inconsistencies(ttmAlone(stranger, shared).facts)).toEqual(['S-B10']);
  });
  test('KUNIT-12: pinned three times counts three', () => {
    expect(run(under('a', ttm_bo_pin('a'), ttm_bo_pin('a'), ttm_bo_pin('a'))).ttm_bos['a']?.pin_count).toBe(3);
  });
  const alone: Setup = { bos: { a: { place: 'SYSTEM', bulk_move: null } }, bulk_moves: ['bulk'] };
  const pin = under('a', ttm_bo_set_bulk_move('a', 'bulk'), ttm_bo_pin('a'));
  test('KUNIT-13: pinning takes it out of the bulk move, unpinning puts it back', () => {
    expect(positions(run(pin, alone))).toBeUndefined();
    expect(positions(run([pin, under('a', ttm_bo_unpin('a'))], alone))).toEqual({ first: 'a', last: 'a' });
  });
  test('KUNIT-14: pinned twice and unpinned once it is still pinned and in no bulk move', () => {
    const done = run([pin, under('a', ttm_bo_pin('a')), under('a', ttm_bo_unpin('a'))], alone);
    expect([done.ttm_bos['a']?.pin_count, positions(done), done.unevictable]).toEqual([1, undefined, ['a']]);
  });
  test('B8.3: unpinning what is not pinned is a mistake', () => {
    expect(misuses(ttmAlone(under('a', ttm_bo_unpin('a')), two).facts)).toEqual(['B8.3']);
  });
});

describe('put', () => {
  test('KUNIT-10: the only reference: the buffer is cleaned up and gone', () => {
    const setup: Setup = { bos: { a: { place: 'SYSTEM', tt: 'limbo' } } };
    const { bos, ttm_bos, managers, at } = run(ttm_bo_put('a'), setup);
    expect([bos['a']?.tt, bos['a']?.place, ttm_bos['a']?.kref]).toEqual(['none', null, 0]);
    expect([managers['bdev.SYSTEM']?.usage, at.kernel.resvs['a']?.owner]).toEqual([0, null]);
    const kept = run(ttm_bo_put('a'), { bos: { a: { place: 'SYSTEM', kref: 2 } } });
    expect([kept.ttm_bos['a']?.kref, kept.bos['a']?.place]).toEqual([1, 'SYSTEM']);
  });
  const fence = (then: Block): Block => [
    dma_fence_init('job'),
    dma_resv_lock('vm'),
    dma_resv_reserve_fences('vm'),
    dma_resv_add_fence('vm', 'job', 'BOOKKEEP'),
    dma_resv_unlock('vm'),
    then,
    ttm_bo_put('a'),
  ];
  const shared: Setup = {
    bos: { a: { place: 'SYSTEM', tt: 'limbo', shares: 'vm' } },
    objects: { fences: { job: {} } },
    threads: { delete_a: ttm_delayed_delete('a') },
  };
  test('KUNIT-11: with the reservation of others and a fence that signalled it ends the same way; else later', () => {
    const { bos, ttm_bos } = run(fence([dma_fence_signal('job')]), shared);
    expect([bos['a']?.tt, bos['a']?.place, ttm_bos['a']?.kref]).toEqual(['none', null, 0]);
    const later = run(fence([]), shared);
    expect([later.bos['a']?.place, later.ttm_bos['a']?.deleted]).toEqual(['SYSTEM', true]);
  });
});
