/**
 * Promises that the kernel cannot keep: fences that rest on user space, on themselves, or on work without an end. Each
 * misuse next to its tame twin; see trial.ts.
 */
import { test } from 'vitest';
import { ioctl } from '../../model/design.ts';
import {
  call,
  del_timer,
  delayed_work,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  drm_syncobj_find_fence,
  drm_syncobj_replace_fence,
  emit,
  flush_work,
  if_ret,
  in_user_space,
  kmalloc,
  mod_timer,
  promise_passes_to,
  punish,
  queue_work,
  reset_ring,
  return_,
  ring,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  sync_file_get_fence,
  sync_file_install,
  unmap_queue,
  user,
  user_queue,
  work,
} from '../../model/objects/index.ts';
import { OBJECTS, convicts, publish, threads } from '../trial.ts';

test('MISUSE user-fence-published: a fence that only user space can signal (X-3)', () =>
  convicts(
    'fence-signals',
    'f is published and never signals: only u can signal it, and user space owes nothing',
    (wrong) => ({
      objects: { fences: { f: {} } },
      threads: { u: user(), worker: work([dma_fence_signal('f')]) },
      calls: {
        create: ioctl({}, [
          dma_fence_init('f', wrong ? 'u' : 'worker'),
          sync_file_install('f'),
          wrong ? [] : queue_work('worker'),
        ]),
        signal: ioctl({}, [sync_file_get_fence('f'), if_ret('0', [dma_fence_signal('f')])]),
      },
      workload: { u: ['create()', 'signal()'] },
    }),
  ));

test('MISUSE signal-forgotten: an error path that returns without the signal (T-1)', () =>
  convicts('fence-signals', 'f is published and never signals: worker, which owes it, cannot go on', (wrong) =>
    threads(
      { task: [publish('f', 'worker'), queue_work('worker')] },
      {
        threads: {
          worker: work([
            kmalloc('GFP_ATOMIC'),
            if_ret('-ENOMEM', [wrong ? return_('-ENOMEM') : dma_fence_set_error('f', '-ENOMEM')]),
            dma_fence_signal('f'),
          ]),
        },
      },
    ),
  ));

test('MISUSE future-fence-published: a fence handed out before its work is queued (X-1)', () =>
  convicts(
    'fence-signals',
    'f is published and never signals: only u can signal it, and user space owes nothing',
    (wrong) => {
      const records = in_user_space('records commands');
      return {
        objects: { fences: { f: {} } },
        threads: { u: user(), gpu: work([dma_fence_signal('f')]) },
        calls: {
          draw: ioctl({}, [
            wrong ? [publish('f'), records, promise_passes_to('f', 'gpu')] : [records, publish('f', 'gpu')],
            queue_work('gpu'),
          ]),
        },
        workload: { u: ['draw()'] },
      };
    },
  ));

test('MISUSE proxy-fence-published: a fence that stands for a syncobj which is still empty (X-2)', () =>
  convicts(
    'fence-signals',
    'g is published and never signals: only producer can signal it, and user space owes nothing',
    (wrong) => ({
      objects: { ...OBJECTS, syncobjs: { so: {} } },
      threads: { waiter: user(), producer: user(), gpu: work([dma_fence_signal('f')]) },
      calls: {
        depend: ioctl({}, wrong ? publish('g', 'producer') : drm_syncobj_find_fence('so', 0, 'WAIT_FOR_SUBMIT')),
        submit: ioctl({}, [
          publish('f', 'gpu'),
          drm_syncobj_replace_fence('so', 'f'),
          queue_work('gpu'),
          wrong ? [sync_file_get_fence('g'), if_ret('0', [dma_fence_signal('g')])] : [],
        ]),
      },
      workload: { waiter: ['depend()'], producer: ['submit()'] },
    }),
  ));

test('MISUSE fallback-timer: a timer that forces the fence of a program that was slow (X-5)', () =>
  convicts('innocent-not-punished', 'app did nothing wrong and pays: its fence is forced', (wrong) => {
    const records = in_user_space('records commands');
    return {
      objects: { fences: { f: {} }, clients: { app: {} }, locks: { lock: { irq: true } } },
      routines: {
        done: [spin_lock_irqsave('lock'), del_timer('fallback'), dma_fence_signal('f'), spin_unlock_irqrestore('lock')],
        submit: [
          spin_lock_irqsave('lock'),
          dma_fence_is_signaled('f'),
          if_ret('0', [emit('gpu', 'batch', 'f', 'done')]),
          spin_unlock_irqrestore('lock'),
        ],
      },
      threads: {
        app: user(),
        gpu: ring(),
        fallback: delayed_work([
          spin_lock_irqsave('lock'),
          reset_ring('gpu'),
          dma_fence_is_signaled('f'),
          if_ret('0', [
            dma_fence_set_error('f', '-ETIME'),
            punish('app', 'its fence is forced'),
            dma_fence_signal('f'),
          ]),
          spin_unlock_irqrestore('lock'),
        ]),
      },
      calls: {
        draw: ioctl({}, [
          wrong ? [] : records,
          publish('f', 'fallback'),
          mod_timer('fallback'),
          wrong ? records : [],
          call('submit'),
        ]),
      },
      workload: { app: ['draw()'] },
    };
  }));

test('MISUSE end-of-batch-fence-for-long-running: a fence for the end of work that has none (T-11, X-4)', () =>
  convicts(
    'fence-signals',
    'f is published and need not signal in finite time: a fair execution goes round for ever without it',
    (wrong) =>
      threads(
        { task: [publish('f', wrong ? 'compute' : 'preempt'), wrong ? [] : queue_work('preempt')] },
        { threads: { compute: user_queue(), preempt: work([unmap_queue('compute'), dma_fence_signal('f')]) } },
      ),
  ));

test('MISUSE faulting-job-with-fence: a job that may fault, tracked by a fence (PF-2)', () =>
  convicts(
    'no-alloc-in-signalling',
    'page_fault allocates p with GFP_KERNEL while f needs gpu, which waits for page_fault: the allocation may wait for that very fence',
    (wrong) =>
      threads(
        { task: [wrong ? publish('f', 'gpu') : [], queue_work('gpu')] },
        {
          threads: {
            gpu: work([queue_work('page_fault'), flush_work('page_fault'), wrong ? dma_fence_signal('f') : []]),
            page_fault: work([kmalloc('GFP_KERNEL')]),
          },
        },
      ),
  ));

test('MISUSE wait-on-own-dependency-chain: a job waits for one that waits for it (T-6)', () =>
  convicts('no-deadlock', 'one, two wait for each other: nobody can go on', (wrong) =>
    threads(
      { task: [publish('f', 'one'), publish('g', 'two'), queue_work('one'), queue_work('two')] },
      {
        threads: {
          one: work([dma_fence_wait('g'), dma_fence_signal('f')]),
          two: work([wrong ? dma_fence_wait('f') : [], dma_fence_signal('g')]),
        },
      },
    ),
  ));

test('a wait for the own fence (T-6)', () =>
  convicts('no-deadlock', 'task waits for itself: nobody can go on', (wrong) => {
    const wait = dma_fence_wait('f');
    return threads({ task: [publish('f'), wrong ? wait : [], dma_fence_signal('f'), wrong ? [] : wait] });
  }));
