/**
 * Misuses of context: what may not be done on the way to a signal, in reclaim, in a handler, under a lock. Each next to its
 * tame twin; see trial.ts.
 */
import { test } from 'vitest';
import { type Kernel, ioctl, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  call,
  cancel_work_sync,
  copy_from_user,
  delayed_work,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  down_read,
  down_write,
  flush_work,
  get_user_pages,
  if_ret,
  kmalloc,
  mod_timer,
  munmap,
  mutex_lock,
  mutex_unlock,
  queue_work,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  up_read,
  up_write,
  user,
  work,
  work_a_while,
} from '../../model/objects/index.ts';
import { type Pair, convicts, locked, publish, put, resv, threads } from '../trial.ts';

const notified = (invalidate: Block, body: Block = munmap('heap')): Kernel =>
  threads({ task: body }, { objects: { ranges: { heap: { invalidate: 'invalidate' } } }, routines: { invalidate } });

const completion = (worker: Block): Kernel =>
  threads(
    { ioctl: [dma_fence_init('f', 'worker'), put('bo', 'f', 'WRITE'), queue_work('worker')] },
    {
      threads: {
        worker: work([worker, dma_fence_signal('f')]),
        waiter: must(resv('bo', dma_resv_wait('bo', 'WRITE'))),
      },
    },
  );

const timeout = (handler: Block): Kernel =>
  threads(
    { ioctl: [publish('f', 'tdr'), mod_timer('tdr')] },
    { threads: { tdr: delayed_work([handler, dma_fence_signal('f')]), waiter: must(resv('bo', dma_fence_wait('f'))) } },
  );

/** An allocation while a published fence is owed; the tame twin allocates before it publishes. */
const afterPublish =
  (gfp: 'GFP_KERNEL' | 'GFP_NOFS' | 'GFP_NOIO'): Pair =>
  (wrong) =>
    threads({ task: [wrong ? [] : kmalloc(gfp), publish('f'), wrong ? kmalloc(gfp) : [], dma_fence_signal('f')] });

test('MISUSE resume-worker-inside-signalling-section: a resume worker inside the signalling section (P-4)', () =>
  convicts('no-alloc-in-signalling', 'task allocates p with GFP_KERNEL inside a signalling section', (wrong) => {
    const section = (...lines: Block): Block => [dma_fence_begin_signalling(), lines, dma_fence_end_signalling()];
    const resume = kmalloc('GFP_KERNEL');
    return threads({
      task: [
        dma_fence_init('f'),
        wrong ? section(dma_fence_signal('f'), resume) : [section(dma_fence_signal('f')), resume],
      ],
    });
  }));

test('MISUSE timeout-handler-allocating: a timeout handler that allocates (HC-2)', () =>
  convicts(
    'no-alloc-in-signalling',
    'tdr allocates p with GFP_NOIO while tdr owes f: the allocation may wait for that very fence',
    (wrong) => timeout(kmalloc(wrong ? 'GFP_NOIO' : 'GFP_NOWAIT')),
  ));

test('MISUSE timeout-handler-locking-resv: a timeout handler that locks a reservation (HC-2)', () =>
  convicts(
    'lock-order',
    'possible circular locking dependency: reservation_ww_class_mutex > fence f > reservation_ww_class_mutex',
    (wrong) => timeout(wrong ? resv('bo') : locked('a')),
  ));

test('MISUSE resv-lock-in-completion-worker: a reservation lock in the completion worker: deadlock (L-22)', () =>
  convicts('no-deadlock', 'worker, waiter wait for each other: nobody can go on', (wrong) =>
    completion(wrong ? resv('bo') : locked('a')),
  ));

test('MISUSE copy_from_user-under-resv: copy_from_user under a reservation (L-27)', () =>
  convicts(
    'lock-order',
    'possible circular locking dependency: reservation_ww_class_mutex > mmap_lock > reservation_ww_class_acquire > reservation_ww_class_mutex',
    (wrong) => threads({ ioctl: wrong ? resv('bo', copy_from_user()) : [copy_from_user(), resv('bo')] }),
  ));

test('MISUSE get_user_pages-under-resv: get_user_pages under a reservation (V-2)', () =>
  convicts(
    'lock-order',
    'possible circular locking dependency: reservation_ww_class_mutex > mmap_lock > reservation_ww_class_acquire > reservation_ww_class_mutex',
    (wrong) => threads({ ioctl: wrong ? resv('bo', get_user_pages('u')) : [get_user_pages('u'), resv('bo')] }),
  ));

test('MISUSE resv-lock-in-mmu-notifier: a reservation lock in a notifier (N-9)', () =>
  convicts(
    'lock-order',
    'possible circular locking dependency: mmu_notifier_invalidate_range_start > reservation_ww_class_mutex > fs_reclaim > mmu_notifier_invalidate_range_start',
    (wrong) => notified(wrong ? resv('bo') : [dma_resv_trylock('bo'), if_ret('1', [dma_resv_unlock('bo')])]),
  ));

test('MISUSE sleep-in-non-blockable-notifier: sleep in a non-blockable notifier (N-1)', () =>
  convicts('api-contract', 'mutex_lock(&a) may sleep, but task is in a non-blockable notifier', (wrong) =>
    notified(locked('a'), wrong ? [call('invalidate_range_nonblockable', { range: 'heap' })] : munmap('heap')),
  ));

test('MISUSE GFP_KERNEL-after-publish: an allocation that may reclaim, while the fence is owed (L-23)', () =>
  convicts(
    'no-alloc-in-signalling',
    'task allocates p with GFP_KERNEL while task owes f: the allocation may wait for that very fence',
    afterPublish('GFP_KERNEL'),
  ));

test('MISUSE GFP_NOFS-after-publish: one that calls notifiers, if no shrinker (L-24)', () =>
  convicts(
    'no-alloc-in-signalling',
    'task allocates p with GFP_NOFS while task owes f: the allocation may wait for that very fence',
    afterPublish('GFP_NOFS'),
  ));

test('MISUSE GFP_NOIO-after-publish: one that calls notifiers, if no shrinker (L-24)', () =>
  convicts(
    'no-alloc-in-signalling',
    'task allocates p with GFP_NOIO while task owes f: the allocation may wait for that very fence',
    afterPublish('GFP_NOIO'),
  ));

test('MISUSE concurrent-resets: two timeout handlers that stop each other (HC-4)', () =>
  convicts('no-deadlock', 'tdr, tdr2 wait for each other: nobody can go on', (wrong) => {
    const queue = wrong ? '' : 'reset_wq';
    return threads(
      { hangs: [queue_work('tdr'), queue_work('tdr2')] },
      {
        objects: { workqueues: { reset_wq: {} } },
        threads: {
          tdr: work([cancel_work_sync('tdr2'), work_a_while('resets')], queue),
          tdr2: work([cancel_work_sync('tdr'), work_a_while('resets')], queue),
        },
      },
    );
  }));

test('an allocation as the last thing in a section (F-10)', () =>
  convicts('no-alloc-in-signalling', 'task allocates p with GFP_NOFS inside a signalling section', (wrong) => {
    const [begin, alloc, end] = [dma_fence_begin_signalling(), kmalloc('GFP_NOFS'), dma_fence_end_signalling()];
    const signal = dma_fence_signal('f');
    return threads({ task: [dma_fence_init('f'), wrong ? [] : alloc, begin, signal, wrong ? alloc : [], end] });
  }));

test('a reservation lock in the completion worker: circle of classes (L-22)', () =>
  convicts(
    'lock-order',
    'possible circular locking dependency: reservation_ww_class_mutex > fence f > reservation_ww_class_mutex',
    (wrong) => completion(wrong ? resv('bo') : locked('a')),
  ));

test('an unlock by who does not hold it (W-21)', () =>
  convicts('api-contract', 'mutex_unlock(&a) by task, which does not hold it', (wrong) =>
    threads({ task: [wrong ? [] : mutex_lock('a'), mutex_unlock('a')] }),
  ));

test('a flush under a lock that the work takes (C31)', () =>
  convicts('no-deadlock', 'task, later wait for each other: nobody can go on', (wrong) =>
    threads(
      { task: [queue_work('later'), wrong ? locked('a', flush_work('later')) : [locked('a'), flush_work('later')]] },
      { threads: { later: work(locked('a')) } },
    ),
  ));

test('reading twice while a writer may come (A8.7)', () =>
  convicts('no-deadlock', 'reader, writer wait for each other: nobody can go on', (wrong) => {
    const read: Block = [down_read('a'), wrong ? [down_read('a'), up_read('a')] : [], up_read('a')];
    return threads({ reader: read, writer: [down_write('a'), up_write('a')] });
  }));

test('sleep under a spinlock (CTX-A)', () =>
  convicts('api-contract', 'mutex_lock(&b) may sleep, but task is in spinlock a', (wrong) =>
    threads({ task: [spin_lock('a'), wrong ? locked('b') : [], spin_unlock('a'), wrong ? [] : locked('b')] }),
  ));

test('an interrupt lock with interrupts on (CTX-I)', () =>
  convicts('api-contract', 'task takes irq_lock with interrupts on, but an interrupt handler takes it too', (wrong) =>
    threads(
      { task: [wrong ? spin_lock('irq_lock') : spin_lock_irqsave('irq_lock'), spin_unlock('irq_lock')] },
      { objects: { locks: { irq_lock: { irq: true } } } },
    ),
  ));

test('a system call that returns with a lock held (I-16)', () =>
  convicts('api-contract', 'u returns to user space still holding a', (wrong) => ({
    objects: { locks: { a: {} } },
    threads: { u: user() },
    calls: { get: ioctl({}, [mutex_lock('a'), wrong ? [] : mutex_unlock('a')]) },
    workload: { u: ['get()'] },
  })));
