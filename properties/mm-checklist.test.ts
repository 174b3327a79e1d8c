/**
 * The checklists of memory management and of userptr, each rule with a design that breaks it and its nearest neighbour
 * that does not (S-A1..S-A6, L-A1, L-A2, S-F1..S-F3), and the circles of waits that only memory management closes.
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, type PropertyName, ioctl, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  count_down,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  emit,
  forever,
  goto,
  hmm_range_fault,
  if_ret,
  if_var,
  invalidate_range_nonblockable,
  kmalloc,
  kswapd,
  label,
  mempool_alloc,
  mempool_free,
  mmap,
  mmu_interval_notifier_remove,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mmu_notifier_invalidate_range,
  munmap,
  mutex_lock,
  mutex_lock_killable,
  mutex_trylock,
  mutex_unlock,
  oom_reaper,
  pin_user_pages,
  progress,
  queue_work,
  return_,
  ring,
  set,
  sync_file_install,
  unpin_user_pages,
  unregister_shrinker,
  user,
  userptr_access,
  userptr_map,
  userptr_unmap,
  witness,
  work,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { signature } from './property.ts';
import { sweep } from './search/sweep.ts';

/** What every execution of this kernel together breaks, each sort once. @throws when the search is not complete. */
function findings(kernel: Kernel): { found: string[]; witnesses: ReadonlySet<string> } {
  const swept = sweep(bootKernel(kernel), properties, { verifyEvery: 1 });
  expect(swept.complete).toBe(true);
  return { found: swept.findings.map(({ blame }) => signature(blame)).sort(), witnesses: new Set(swept.witnesses) };
}
const breaks = (kernel: Kernel): string[] => findings(kernel).found;
const convicts = (kernel: Kernel, property: PropertyName): boolean =>
  breaks(kernel).some((each) => each.startsWith(`${property} (`));

const locked = (lock: string, ...lines: Block): Block => [mutex_lock(lock), lines, mutex_unlock(lock)];
const publish = (fence: string, by = '$me'): Block => [dma_fence_init(fence, by), sync_file_install(fence)];

describe('S-A1: nobody inside a signalling section allocates with direct reclaim', () => {
  const signals = (gfp: 'GFP_KERNEL' | 'GFP_NOIO' | 'GFP_NOWAIT'): Kernel => ({
    objects: { fences: { f: {} } },
    threads: { task: must([dma_fence_begin_signalling(), kmalloc(gfp), dma_fence_end_signalling()]) },
  });
  test('GFP_KERNEL and GFP_NOIO do', () => {
    expect(convicts(signals('GFP_KERNEL'), 'no-alloc-in-signalling')).toBe(true);
    expect(convicts(signals('GFP_NOIO'), 'no-alloc-in-signalling')).toBe(true);
  });
  test('GFP_NOWAIT does not', () => expect(breaks(signals('GFP_NOWAIT'))).toEqual([]));
});

describe('S-A2: no lock that a shrinker or a notifier blocks on is held over an allocation with direct reclaim', () => {
  const takes = (hook: 'scan' | 'invalidate', lines: Block): Kernel => ({
    objects: {
      locks: { a: {} },
      shrinkers: { slab: { scan: 'scan' } },
      ranges: { heap: { invalidate: 'invalidate' } },
    },
    routines: { scan: [], invalidate: [], [hook]: lines },
    threads: { task: must(locked('a', kmalloc('GFP_KERNEL'))), kswapd },
  });
  const tries = [mutex_trylock('a'), if_ret('1', [mutex_unlock('a')])];
  test('a shrinker that blocks on it is convicted, on lock classes and by the deadlock itself', () => {
    expect(breaks(takes('scan', locked('a')))).toEqual([
      'lock-order (circular dependency)',
      'no-deadlock (circle of mutex)',
    ]);
  });
  test('so is a notifier', () => {
    expect(breaks(takes('invalidate', locked('a')))).toEqual([
      'lock-order (circular dependency)',
      'no-deadlock (circle of mutex)',
    ]);
  });
  test('by trylock either may', () => {
    expect(breaks(takes('scan', tries))).toEqual([]);
    expect(breaks(takes('invalidate', tries))).toEqual([]);
  });
});

describe('A4.7: a shrinker is not unregistered with a lock that its scan takes', () => {
  const unregisters = (wrong: boolean): Kernel => ({
    objects: { locks: { a: {} }, shrinkers: { slab: { scan: 'scan' } }, shrinker_refs: { slab: {} } },
    routines: { scan: locked('a') },
    threads: { task: must(wrong ? locked('a', unregister_shrinker('slab')) : unregister_shrinker('slab')), kswapd },
  });
  test('with it, it waits for the scan, and the scan for it', () => {
    expect(breaks(unregisters(true))).toEqual(['no-deadlock (circle of mutex+shrinker)']);
  });
  test('without it, it does not', () => expect(breaks(unregisters(false))).toEqual([]));
});

describe('S-A3: a non-blockable notifier does not block', () => {
  const reaped = (...lines: Block): Kernel => ({
    objects: {
      locks: { a: {} },
      mms: { mm: {} },
      ranges: { heap: { mm: 'mm' } },
      interval_notifiers: { u: { range: 'heap', invalidate: 'invalidate' } },
    },
    routines: { invalidate: lines },
    threads: {
      reaper: must([invalidate_range_nonblockable('heap')]),
      munmap: must(mmu_notifier_invalidate_range('heap')),
    },
  });
  test('one that locks a mutex whoever calls is convicted', () => {
    expect(breaks(reaped(locked('a')))).toEqual(['api-contract (CTX-A)']);
  });
  test('one that refuses where it may not block is not', () => {
    expect(breaks(reaped(if_var('blockable', 'false', [return_('-EAGAIN')]), locked('a')))).toEqual([]);
  });
  test('refusing a blockable call is no way out (N-2)', () => {
    expect(breaks(reaped(return_('-EAGAIN')))).toEqual(['api-contract (N-2)']);
  });
});

/** A driver of today: interval notifier, update lock, one job at a time that touches the pages when it is done. */
const GOOD = { retries: 'under the lock', notifier: 'waits', pages: 'hmm', begins: 'before the lock' };
function userptr(how: Partial<typeof GOOD> = {}, more: Partial<Kernel> = {}): Kernel {
  const { retries, notifier, pages, begins } = { ...GOOD, ...how };
  const check = (...failed: Block): Block =>
    retries === 'never' ? [] : [mmu_interval_read_retry('u', 'update_lock'), if_ret('1', failed)];
  const pinned = pages === 'pinned';
  return {
    objects: {
      locks: { ...mmap, update_lock: {} },
      fences: { job: {} },
      userptrs: { u: {} },
      user_pages: { u: { range: 'heap' } },
      ranges: { heap: { mm: 'mm' } },
      mms: { mm: {} },
      interval_notifiers:
        pages === 'hmm' ? { u: { range: 'heap', invalidate: 'invalidate', lock: 'update_lock' } } : {},
    },
    calls: {
      submit: ioctl({}, [
        begins === 'before the lock'
          ? mmu_interval_read_begin('u')
          : locked('update_lock', mmu_interval_read_begin('u')),
        pages === 'hmm'
          ? hmm_range_fault('u')
          : pinned
            ? pin_user_pages('u')
            : [pin_user_pages('u'), unpin_user_pages('u')],
        if_ret('-EBUSY', [return_('-EAGAIN')]),
        retries === 'before the lock' ? check(return_('-EAGAIN')) : [],
        mutex_lock('update_lock'),
        retries === 'under the lock' && pages === 'hmm' ? check(mutex_unlock('update_lock'), return_('-EAGAIN')) : [],
        userptr_map('u'),
        publish('job', 'gpu'),
        emit('gpu', 'job', 'job', 'job_done'),
        mutex_unlock('update_lock'),
        witness('a job was submitted'),
        pinned ? [dma_fence_wait('job'), unpin_user_pages('u')] : [],
        return_('0'),
      ]),
      munmap: ioctl({}, munmap('heap')),
    },
    routines: {
      invalidate: [
        if_var('blockable', 'false', [return_('-EAGAIN')]),
        locked('update_lock', mmu_interval_set_seq('u')),
        notifier === 'returns' ? [] : dma_fence_wait('job'),
        notifier === 'locks twice' ? locked('update_lock', userptr_unmap('u')) : [],
        return_('0'),
      ],
      job_done: [userptr_access('u'), dma_fence_signal('job')],
    },
    threads: { app: user(), other: user(), gpu: ring() },
    workload: { app: ['submit()'], other: ['munmap()'] },
    ...more,
  };
}
test('the driver of today is acquitted, and its jobs do meet invalidations', () => {
  const { found, witnesses } = findings(userptr());
  expect(found).toEqual([]);
  expect(witnesses).toContain('a job was submitted');
  expect(witnesses).toContain('other waits for job');
  expect(witnesses).toContain('app waits for u');
});

describe('S-A4: whether pages are stale is asked under the update lock', () => {
  test('asked before it, the answer is stale at once, and so is what the device then touches', () => {
    expect(breaks(userptr({ retries: 'before the lock' }))).toEqual([
      'api-contract (A10.7)',
      'no-stale-access (stale access)',
    ]);
  });
  test('asked under it, it is not', () => expect(breaks(userptr({ retries: 'under the lock' }))).toEqual([]));
});

describe('S-A5: no device touches a page between the return of start and end', () => {
  const touches = (notifier: Block): Kernel => ({
    objects: {
      locks: mmap,
      userptrs: { u: {} },
      user_pages: { u: { range: 'heap', collected: 'the pages', mapped: 'the pages' } },
      ranges: { heap: { invalidate: 'invalidate' } },
      fences: { job: {} },
    },
    routines: { invalidate: notifier, job_done: [userptr_access('u'), dma_fence_signal('job')] },
    threads: {
      gpu: ring(),
      task: must([publish('job', 'gpu'), emit('gpu', 'job', 'job', 'job_done'), mmu_notifier_invalidate_range('heap')]),
    },
  });
  test('a notifier that returns while the device still maps them is convicted', () => {
    expect(breaks(touches([]))).toEqual(['no-stale-access (stale access)']);
  });
  test('one that waits for the job is not', () => expect(breaks(touches([dma_fence_wait('job')]))).toEqual([]));
});

describe('S-A6: no element of a memory pool is owned for ever', () => {
  /** C21: the second job needs the element of the first; who gives it back? */
  const jobs = (frees: 'job_done' | 'close'): Kernel => ({
    objects: { fences: { f: {}, g: {} }, mempools: { pool: { free: 1 } } },
    calls: { close: ioctl({}, [mempool_free('pool', 'app')]) },
    routines: {
      f_done: [frees === 'job_done' ? mempool_free('pool', 'gpu') : [], dma_fence_signal('f')],
      g_done: [mempool_free('pool', 'gpu'), dma_fence_signal('g')],
    },
    threads: {
      gpu: ring(),
      app: user(),
      runner: must([
        publish('f'),
        publish('g'),
        mempool_alloc('pool', 'GFP_NOWAIT', frees === 'job_done' ? 'gpu' : 'app'),
        emit('gpu', 'f', 'f', 'f_done'),
        label('again'),
        mempool_alloc('pool', 'GFP_NOWAIT', 'gpu'),
        if_ret('-ENOMEM', [dma_fence_wait('f'), goto('again')]),
        emit('gpu', 'g', 'g', 'g_done'),
      ]),
    },
    workload: { app: frees === 'close' ? ['close()'] : [] },
  });
  test('an element that a user gives back when he likes keeps the next fence from signalling', () => {
    expect(convicts(jobs('close'), 'fence-signals')).toBe(true);
  });
  test('one that nobody gives back is left over when all have ended (I-16)', () => {
    const takes = (...gives: Block): Kernel => ({
      objects: { mempools: { pool: { free: 1 } } },
      threads: { task: must([mempool_alloc('pool', 'GFP_NOWAIT', 'task'), gives]) },
    });
    expect(breaks(takes())).toEqual(['no-leak (left over)']);
    expect(breaks(takes(mempool_free('pool', 'task')))).toEqual([]);
  });
  test('one that the job gives back when it is done does not', () => expect(breaks(jobs('job_done'))).toEqual([]));
});

describe('L-A1: every small allocation with direct reclaim ends, or a victim of the OOM killer exits', () => {
  const WAIT = { 'for ever': dma_fence_wait('f'), 'until killed': dma_fence_wait_interruptible('f') };
  /** A process waits for a fence that a worker signals after it allocated; only the process has memory, and it is pinned. */
  const fence = (waits: keyof typeof WAIT, gfp: 'GFP_KERNEL' | 'GFP_NOWAIT'): Kernel => ({
    objects: { fences: { f: {} }, ranges: { heap: { mm: 'mm' } }, user_pages: { u: { range: 'heap', pins: 1 } } },
    calls: { submit: ioctl({}, [publish('f', 'worker'), queue_work('worker'), WAIT[waits], return_('0')]) },
    routines: { exit: [unpin_user_pages('u')] },
    threads: {
      app: user({ mm: 'mm', exit: 'exit' }),
      worker: work([kmalloc(gfp), dma_fence_signal('f')]),
      reaper: oom_reaper(2),
    },
    workload: { app: ['submit()'] },
  });
  test('C24: a victim that waits for ever for a fence whose signaller allocates: neither ends', () => {
    expect(breaks(fence('for ever', 'GFP_KERNEL'))).toEqual(
      expect.arrayContaining(['fence-signals (never signals)', 'no-deadlock (circle of fence+memory)']),
    );
  });
  test('A6.6: where a fatal signal ends the wait, the victim exits and the allocation ends', () => {
    const { found, witnesses } = findings(fence('until killed', 'GFP_KERNEL'));
    expect(found).toEqual(['no-alloc-in-signalling (owed)', 'no-leak (left over)']);
    expect(witnesses).toContain('the OOM killer kills app');
  });
  test('a signaller that does not allocate needs no victim', () => {
    expect(findings(fence('for ever', 'GFP_NOWAIT')).witnesses).not.toContain('the OOM killer kills app');
    expect(convicts(fence('for ever', 'GFP_NOWAIT'), 'no-deadlock')).toBe(false);
  });

  /** A task allocates under a mutex that the victim waits for. */
  const lock = (
    take: 'mutex_lock' | 'mutex_lock_killable',
    { reaper = true, body = [] as Block, refuses = false } = {},
  ): Kernel => ({
    objects: {
      locks: { a: {}, ...mmap },
      ranges: { heap: { mm: 'mm' } },
      interval_notifiers: refuses ? { u: { range: 'heap', invalidate: 'invalidate' } } : {},
    },
    routines: { invalidate: [if_var('blockable', 'false', [return_('-EAGAIN')]), return_('0')] },
    calls: {
      ioctl: ioctl({}, [
        body,
        take === 'mutex_lock' ? mutex_lock('a') : mutex_lock_killable('a'),
        if_ret('-EINTR', [return_('-EINTR')]),
        mutex_unlock('a'),
        return_('0'),
      ]),
      munmap: ioctl({}, munmap('heap', locked('a'))),
    },
    threads: {
      app: user({ mm: 'mm' }),
      task: must(locked('a', kmalloc('GFP_KERNEL', 'p', '__GFP_NORETRY'), kmalloc('GFP_NOIO'), kmalloc('GFP_KERNEL'))),
      ...(reaper ? { reaper: oom_reaper(2) } : {}),
    },
    workload: { app: ['ioctl()'] },
  });
  test('a victim that waits for the lock over the allocation is reaped, and both go on', () => {
    const { found, witnesses } = findings(lock('mutex_lock'));
    expect(found).toEqual([]);
    expect(witnesses).toContain('task waits for memory');
  });
  test('without a reaper, or with a notifier that refuses it, they wait for each other', () => {
    for (const how of [{ reaper: false }, { refuses: true }])
      expect(breaks(lock('mutex_lock', how))).toEqual(['no-deadlock (circle of memory+mutex)']);
  });
  test('with a killable lock they do not', () => {
    for (const how of [{ reaper: false }, { refuses: true }])
      expect(breaks(lock('mutex_lock_killable', how))).toEqual([]);
  });
  test('A6.2: a reaper that cannot get mmap_lock does not help either', () => {
    const holds = { ...lock('mutex_lock'), workload: { app: ['munmap()'] } };
    expect(breaks(holds)).toEqual(['no-deadlock (circle of memory+mutex)']);
  });
});

describe('L-A2: every start of an invalidation ends', () => {
  test('C28: read_begin under the lock that the callback takes waits for the callback', () => {
    // Two invalidations: one has set the sequence, the other wants the lock.
    const twice = (begins: string): Kernel => userptr({ begins, notifier: 'locks twice' });
    expect(breaks(twice('under the lock'))).toEqual([
      'lock-order (circular dependency)',
      'no-deadlock (circle of invalidation+mutex)',
    ]);
    expect(convicts(twice('before the lock'), 'no-deadlock')).toBe(false);
    expect(convicts(twice('before the lock'), 'lock-order')).toBe(false);
  });
  const removes = (...lines: Block): Kernel =>
    userptr({}, { threads: { remover: must(lines), other: user(), gpu: ring() }, workload: { other: ['munmap()'] } });
  test('C29: removal under the lock that the callback takes waits for the callback; without the lock it ends', () => {
    expect(breaks(removes(locked('update_lock', mmu_interval_notifier_remove('u'))))).toEqual([
      'lock-order (circular dependency)',
      'no-deadlock (circle of invalidation+mutex)',
    ]);
    expect(breaks(removes(mmu_interval_notifier_remove('u')))).toEqual([]);
  });
  test('A10.12: removal from the callback itself waits for itself', () => {
    const self = userptr(
      {},
      { routines: { invalidate: mmu_interval_notifier_remove('u'), job_done: [] }, workload: { other: ['munmap()'] } },
    );
    expect(convicts(self, 'no-deadlock')).toBe(true);
  });
});

describe('S-F1: when a job starts its pages are those of the process, or the notifier waits for it', () => {
  test('a submission that does not ask whether they are stale starts jobs on old pages', () => {
    expect(breaks(userptr({ retries: 'never' }))).toEqual(['no-stale-access (stale access)']);
  });
  test('one that asks does not', () => expect(breaks(userptr())).toEqual([]));
  test('get_user_pages without a notifier and without a pin: the pages go and nobody hears of it (A11)', () => {
    expect(breaks(userptr({ pages: 'gup' }))).toEqual(['no-stale-access (stale access)']);
  });
  test('pinned until the job is done they stay, without any notifier (A11.2)', () => {
    expect(breaks(userptr({ pages: 'pinned' }))).toEqual([]);
  });
});

describe('S-F2: no device touches the pages after start has returned', () => {
  test('a notifier that sets the sequence and does not wait for the job lets it', () => {
    expect(breaks(userptr({ notifier: 'returns' }))).toEqual(['no-stale-access (stale access)']);
  });
  test('one that waits does not', () => expect(breaks(userptr({ notifier: 'waits' }))).toEqual([]));
});

describe('S-F3: a submission retries so many times, then user space gets an error; it never runs on stale pages', () => {
  /** Somebody invalidates for ever: KSM, NUMA balancing, or another thread of the process that remaps. */
  const livelock = (tries: 'for ever' | '3 times'): Kernel =>
    userptr(
      {},
      {
        threads: {
          cs: must([
            set('tries', '3'),
            label('again'),
            mmu_interval_read_begin('u'),
            hmm_range_fault('u'),
            if_ret('-EBUSY', [
              tries === 'for ever'
                ? goto('again')
                : [count_down('tries'), if_ret('1', [goto('again')], [return_('-EAGAIN')])],
            ]),
            witness('the pages are collected'),
          ]),
          ksmd: must([forever([mmu_notifier_invalidate_range('heap'), progress('merges pages')])]),
          gpu: ring(),
        },
        workload: {},
      },
    );
  test('retries without a bound can go on for ever', () => {
    expect(convicts(livelock('for ever'), 'no-livelock')).toBe(true);
  });
  test('with one it ends, with the pages or with an error', () => {
    const { found, witnesses } = findings(livelock('3 times'));
    expect(found.filter((each) => each.startsWith('no-livelock'))).toEqual([]);
    expect(witnesses).toContain('the pages are collected');
  });
});

describe('C33: an item that a fence needs is on a queue with a rescuer', () => {
  /** Reclaim waits for the fence in a notifier, and the item that signals it may first need a worker. */
  const signaller = (mem_reclaim: boolean): Kernel => ({
    objects: { fences: { f: {} }, workqueues: { q: { mem_reclaim } }, ranges: { heap: { invalidate: 'invalidate' } } },
    routines: { invalidate: [dma_fence_wait('f')] },
    threads: {
      task: must([publish('f', 'signals'), queue_work('signals')]),
      signals: work([dma_fence_signal('f')], 'q'),
      kswapd,
    },
  });
  test('without one the worker is made by somebody who may reclaim, and so wait for that very fence', () => {
    expect(breaks(signaller(false))).toEqual([
      'fence-signals (never signals)',
      'lock-order (circular dependency)',
      'no-alloc-in-signalling (owed)',
      'no-deadlock (circle of fence)',
    ]);
  });
  test('with one it begins whatever memory there is', () => expect(breaks(signaller(true))).toEqual([]));

  /** Two items of one queue, the first of which waits for the fence that the second signals. */
  const pair = (queues: readonly [string, string]): Kernel => ({
    objects: { fences: { f: {} }, workqueues: { q: { max_active: 2 }, r: { max_active: 2 } } },
    threads: {
      task: must([publish('f', 'second'), queue_work('second'), queue_work('first')]),
      first: work([dma_fence_wait('f')], queues[0]),
      second: work([dma_fence_signal('f')], queues[1]),
    },
  });
  test('one rescuer is one worker: two items of a queue that wait for each other are stuck when memory is short', () => {
    expect(breaks(pair(['q', 'q']))).toEqual([
      'fence-signals (never signals)',
      'no-deadlock (circle of fence+workqueue)',
    ]);
  });
  test('with a queue each they are not', () => expect(breaks(pair(['q', 'r']))).toEqual([]));
});

describe('A7: what swap-out needs', () => {
  /** Reclaim writes a page through a pool whose one element is with a worker, and the worker allocates. */
  const swap = (gfp: 'GFP_KERNEL' | 'GFP_NOWAIT'): Kernel => ({
    objects: {
      mempools: { bios: { free: 0, holders: ['disk'] } },
      ranges: { heap: { pageout: 'pageout' } },
      works: { disk: { queued: true } },
    },
    routines: { pageout: [mempool_alloc('bios', 'GFP_NOIO', '$me'), mempool_free('bios', '$me'), return_('0')] },
    threads: { task: must(kmalloc('GFP_KERNEL')), disk: work([kmalloc(gfp), mempool_free('bios', 'disk')]) },
  });
  test('A5.6: whoever has the last element of its pool and reclaims waits for himself', () => {
    expect(breaks(swap('GFP_KERNEL'))).toEqual(['no-deadlock (circle of mempool)']);
  });
  test('if he does not reclaim, the page is written', () => expect(breaks(swap('GFP_NOWAIT'))).toEqual([]));
});
