import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  copy_from_user,
  cpu_fault,
  hmm_range_fault,
  mmap,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  munmap,
  mutex_lock,
  mutex_unlock,
  witness,
  work_a_while,
} from './index.ts';

const KERNEL = {
  objects: {
    locks: { ...mmap, notifier_lock: {} },
    userptrs: { u: {} },
    ranges: { heap: { invalidate: 'invalidate' } },
  },
  routines: {
    invalidate: [mutex_lock('notifier_lock'), mmu_interval_set_seq('u'), mutex_unlock('notifier_lock')],
  },
};
const STEP = work_a_while('looks around');
const retry = [mutex_lock('notifier_lock'), mmu_interval_read_retry('u', 'notifier_lock')];
const threads = (bodies: Record<string, Block>) =>
  stage({
    ...KERNEL,
    threads: Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, must(body)])),
  });

describe('user memory', () => {
  test('A8.5: copy_from_user may fault, and the fault takes mmap_lock for reading', () => {
    const at = threads({ task: copy_from_user(), writer: munmap('heap') });
    at.plays('writer', 'writer', 'task/faults');
    expect(at.because('task')).toBe('writer holds mmap_lock');
  });
  test('A8.5: without a fault it does not wait for mmap_lock', () => {
    const at = threads({ task: copy_from_user(), writer: munmap('heap') });
    at.plays('writer', 'writer', 'task/ok');
    expect(at.open('task').kind).toBe('finished');
  });
  test('L-16: that it may fault is said whether it does or not', () => {
    const { facts } = alone([mutex_lock('notifier_lock'), copy_from_user(), mutex_unlock('notifier_lock')], KERNEL);
    expect(facts).toContainEqual(
      expect.objectContaining({
        kind: 'acquires',
        class: 'mmap_lock',
        over: [expect.objectContaining({ object: 'notifier_lock' })],
      }),
    );
  });
  test('A8.2: a CPU fault runs with mmap_lock held for reading, and munmap waits for it', () => {
    const at = threads({ fault: cpu_fault([STEP]), unmapper: munmap('heap') });
    at.plays('fault', 'unmapper');
    expect(at.because('unmapper')).toBe('fault holds mmap_lock for reading');
  });
  test('A9.2: munmap calls the notifier with mmap_lock held for writing', () => {
    const at = threads({ unmapper: munmap('heap', [witness('the pages are gone')]) });
    at.plays('unmapper', 'unmapper', 'unmapper');
    expect(at.kernel.threads['unmapper']?.held.map(({ object }) => object)).toContain('mmap_lock');
    expect(at.kernel.locks['notifier_lock']?.owner).toBe('unmapper');
    expect(witnessed(at.runs('unmapper'))).toEqual(['the pages are gone']);
  });
});

describe('the sequence of an interval notifier', () => {
  test('A10.7: pages collected and not invalidated since are good', () => {
    expect(alone([hmm_range_fault('u'), retry, STEP], KERNEL).at.kernel.userptrs['u']?.collected).toBe(true);
    const at = threads({ task: [hmm_range_fault('u'), retry, STEP] });
    at.plays('task', 'task', 'task', 'task', 'task', 'task');
    expect(at.ret('task')).toBe('0');
  });
  test('N-6, A10.7: an invalidation in between makes them stale', () => {
    const at = threads({ task: [hmm_range_fault('u'), retry, STEP], unmapper: munmap('heap') });
    at.plays('task', 'task', 'task', 'task');
    at.runs('unmapper');
    at.plays('task', 'task');
    expect(at.ret('task')).toBe('1');
  });
  test('A10.7, S-A4: asking without the lock that the notifier takes is a misuse', () => {
    const asks = mmu_interval_read_retry('u', 'notifier_lock');
    expect(misuses(alone([asks], KERNEL).facts)).toEqual(['A10.7']);
    expect(misuses(alone([retry, mutex_unlock('notifier_lock')], KERNEL).facts)).toEqual([]);
  });
  test('A10.6, N-5: read_begin tells lockdep that it may wait for a running invalidation', () => {
    const { facts } = alone([mmu_interval_read_begin('u')], KERNEL);
    expect(facts).toContainEqual(
      expect.objectContaining({ kind: 'acquires', class: 'mmu_notifier_invalidate_range_start' }),
    );
  });
});
