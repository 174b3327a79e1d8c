import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  copy_from_user,
  cpu_fault,
  get_user_pages,
  hmm_range_fault,
  kmalloc,
  migrate_pages,
  mmap,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mmu_notifier_invalidate_range,
  mmu_notifier_invalidate_range_start,
  munmap,
  mutex_lock,
  mutex_unlock,
  pin_user_pages,
  return_,
  unpin_user_pages,
  userptr_access,
  userptr_is_coherent,
  userptr_map,
  userptr_unmap,
  witness,
  work_a_while,
} from './index.ts';
import { userPages } from './user-pages.ts';

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

const PINNABLE = {
  objects: {
    locks: { ...mmap },
    userptrs: { u: {} },
    user_pages: { u: { range: 'heap' } },
    ranges: { heap: { mm: 'mm' } },
    mms: { mm: {} },
  },
};
describe('pages of a process that a device uses', () => {
  const after = (...lines: Block) => alone(lines, PINNABLE);
  const touched = (...lines: Block): (string | null)[] =>
    after(lines, userptr_access('u')).facts.flatMap((fact) => (fact.kind === 'accesses' ? [fact.stale] : []));
  const TAKEN = 'the pages behind its mapping of u were taken away';
  const gone = mmu_notifier_invalidate_range('heap');
  test('A9.2: mapped pages are good until an invalidation of their range', () => {
    expect(touched(get_user_pages('u'), userptr_map('u'))).toEqual([null]);
    expect(touched(get_user_pages('u'), userptr_map('u'), gone)).toEqual([TAKEN]);
  });
  test('A9.2, S-A5: from the return of the start on, not from the end', () => {
    const start = mmu_notifier_invalidate_range_start('heap');
    expect(touched(get_user_pages('u'), userptr_map('u'), start)).toEqual([TAKEN]);
    expect(touched(start, get_user_pages('u'), userptr_map('u'))).toEqual([TAKEN]);
  });
  test('unmapped by the driver, or collected again, they are no stale memory', () => {
    expect(touched(get_user_pages('u'), userptr_map('u'), userptr_unmap('u'))).toEqual(['u is not mapped']);
    expect(touched(get_user_pages('u'), gone, get_user_pages('u'), userptr_map('u'))).toEqual([null]);
  });
  test('A11.2: pinned pages stay valid after munmap, and are not what the process sees any more', () => {
    const pinned = [pin_user_pages('u'), userptr_map('u')];
    expect(touched(pinned, gone)).toEqual([null]);
    expect(touched(pinned, gone, unpin_user_pages('u'))).toEqual([TAKEN]);
    expect(after(pinned, userptr_is_coherent('u'), return_('ret')).ret).toBe('1');
    expect(after(pinned, gone, userptr_is_coherent('u'), return_('ret')).ret).toBe('0');
  });
  test('A11.2: a pinned page is not reclaimed: no notifier is called for it', () => {
    const loose = stage({ ...PINNABLE, threads: { task: must([STEP, kmalloc('GFP_KERNEL'), STEP]) } });
    loose.plays('task');
    expect(loose.ways('task')).toEqual(['ok', 'unmaps heap']);
    const pinned = stage({
      ...PINNABLE,
      threads: { task: must([pin_user_pages('u'), STEP, kmalloc('GFP_KERNEL'), STEP]) },
    });
    pinned.plays('task', 'task', 'task', 'task', 'task');
    expect(pinned.ways('task')).toEqual(['ok']);
  });
  test('A11.2: a pinned page is not migrated; one that is not pinned is, and its notifier hears of it', () => {
    expect(after(migrate_pages('heap'), return_('ret')).ret).toBe('0');
    expect(after(pin_user_pages('u'), migrate_pages('heap'), return_('ret')).ret).toBe('-EAGAIN');
    expect(touched(get_user_pages('u'), userptr_map('u'), migrate_pages('heap'))).toEqual([TAKEN]);
  });
  test('pins are counted; one too many given back is a misuse', () => {
    expect(touched(pin_user_pages('u'), pin_user_pages('u'), userptr_map('u'), unpin_user_pages('u'), gone)).toEqual([
      null,
    ]);
    expect(misuses(after(pin_user_pages('u'), unpin_user_pages('u')).facts)).toEqual([]);
    expect(misuses(after(unpin_user_pages('u')).facts)).toEqual(['A11.2']);
  });
  test('A8.6: both take mmap_lock for reading, and allocate under it', () => {
    for (const gets of [hmm_range_fault('u'), pin_user_pages('u')])
      expect(after(gets).facts).toContainEqual(
        expect.objectContaining({
          kind: 'acquires',
          class: 'fs_reclaim',
          over: [expect.objectContaining({ object: 'mmap_lock' })],
        }),
      );
  });
  test('with FOLL_NOWAIT it allocates nothing, and says -EAGAIN where it would have to wait', () => {
    const at = stage({ ...PINNABLE, threads: { task: must([pin_user_pages('u', 'FOLL_NOWAIT'), STEP]) } });
    at.plays('task');
    expect(at.ways('task')).toEqual(['0', '-EAGAIN']);
    expect(at.plays('task/-EAGAIN', 'task').map(({ kind }) => kind)).not.toContain('allocates');
    expect(at.kernel.user_pages['u']?.pins).toBe(0);
  });
  test('what is still pinned when all is over is left over (I-16)', () => {
    expect(userPages.leftovers?.(after(pin_user_pages('u')).at.kernel)).toEqual(['u is still pinned']);
    expect(userPages.leftovers?.(after(pin_user_pages('u'), unpin_user_pages('u')).at.kernel)).toEqual([]);
  });
});
