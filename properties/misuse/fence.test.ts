/**
 * Misuses of a fence itself: its error, its timeline, its callbacks. Each next to its tame twin; see trial.ts.
 */
import { test } from 'vitest';
import { type Kernel, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  dma_fence_add_callback,
  dma_fence_get,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_put,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  emit,
  kmalloc,
  queue_work,
  ring,
  work,
} from '../../model/objects/index.ts';
import { convicts, locked, publish, threads } from '../trial.ts';

/** Two engines finish one job each; the fences are on these contexts. */
const engines = (contexts: readonly [string, string]): Kernel => ({
  objects: { fences: { f: { context: contexts[0], seqno: 1 }, g: { context: contexts[1], seqno: 2 } } },
  routines: { irq: [dma_fence_signal('$fence')] },
  threads: {
    task: must([
      dma_fence_init('f'),
      dma_fence_init('g'),
      emit('gfx', 'one', 'f', 'irq'),
      emit('sdma', 'two', 'g', 'irq'),
    ]),
    gfx: ring(),
    sdma: ring(),
  },
});

const callback = (cb: Block): Kernel =>
  threads(
    { task: [dma_fence_init('f'), dma_fence_add_callback('f', 'cb'), dma_fence_signal('f')] },
    { routines: { cb }, threads: { later: work(locked('a')) } },
  );

const initBoth: Block = [dma_fence_init('f'), dma_fence_init('g')];
const signalBoth: Block = [dma_fence_signal('f'), dma_fence_signal('g')];

test('MISUSE set_error-after-signal: an error set after the signal (F-39)', () =>
  convicts('api-contract', 'task sets the error of f after it signalled', (wrong) => {
    const error = dma_fence_set_error('f', '-EIO');
    return threads({ task: [dma_fence_init('f'), wrong ? [] : error, dma_fence_signal('f'), wrong ? error : []] });
  }));

test('MISUSE double-context-engine: two engines on one context (F-6)', () =>
  convicts('api-contract', 'g signals before f, which is older on gpu', (wrong) =>
    engines(wrong ? ['gpu', 'gpu'] : ['gfx', 'sdma']),
  ));

test('MISUSE wait-in-callback: a wait for another fence in a callback (F-26)', () =>
  convicts('api-contract', 'dma_fence_wait may sleep, but task is in a fence callback', (wrong) => {
    const wait = dma_fence_wait('g');
    return threads(
      {
        task: [
          initBoth,
          dma_fence_signal('g'),
          dma_fence_add_callback('f', 'cb'),
          dma_fence_signal('f'),
          wrong ? [] : wait,
        ],
      },
      { routines: { cb: wrong ? [wait] : [] } },
    );
  }));

test('MISUSE same-lock-op-in-callback: a callback asks a fence that shares the lock (F-26)', () =>
  convicts('no-deadlock', 'task waits for itself: nobody can go on', (wrong) =>
    threads(
      {
        task: [
          dma_fence_init('f'),
          dma_fence_init('g'),
          dma_fence_add_callback('f', 'cb'),
          dma_fence_signal('f'),
          dma_fence_signal('g'),
        ],
      },
      {
        objects: {
          fences: { f: { lock: 'timeline' }, g: wrong ? { lock: 'timeline' } : {} },
          locks: { timeline: { irq: true } },
        },
        routines: { cb: [dma_fence_get_status('g')] },
      },
    ),
  ));

test('MISUSE last-reference-in-callback: a callback gives back the last reference, whose release takes the lock (SW-5)', () =>
  convicts('no-deadlock', 'task waits for itself: nobody can go on', (wrong) =>
    threads(
      {
        task: [
          dma_fence_init('f'),
          dma_fence_add_callback('f', 'cb'),
          wrong ? [] : dma_fence_get('f'),
          dma_fence_signal('f'),
          wrong ? [] : dma_fence_put('f'),
        ],
      },
      { objects: { fence_refs: { f: { release_locks: true } } }, routines: { cb: [dma_fence_put('f')] } },
    ),
  ));

test('out-of-order signal on one context (F-6)', () =>
  convicts('api-contract', 'g signals before f, which is older on x', (wrong) => ({
    objects: { fences: { f: { context: 'x', seqno: 1 }, g: { context: 'x', seqno: 2 } } },
    threads: { task: must([initBoth, wrong ? signalBoth.toReversed() : signalBoth]) },
  })));

test('a live fence initialised again for a second try (F-10)', () =>
  convicts('api-contract', 'task initialises f again although others still wait for it', (wrong) =>
    threads({ task: [publish('f'), wrong ? [] : dma_fence_signal('f'), dma_fence_init('f'), dma_fence_signal('f')] }),
  ));

test('a signal before the fence exists (F-3)', () =>
  convicts('api-contract', 'task signals f before dma_fence_init', (wrong) =>
    threads({ task: [wrong ? [] : dma_fence_init('f'), dma_fence_signal('f')] }),
  ));

test('a lock in a callback (F-26)', () =>
  convicts('api-contract', 'mutex_lock(&a) may sleep, but task is in a fence callback', (wrong) =>
    callback(wrong ? locked('a') : [queue_work('later')]),
  ));

test('an allocation with direct reclaim in a callback (F-26)', () =>
  convicts('api-contract', 'kmalloc(GFP_NOIO) may sleep, but task is in a fence callback', (wrong) =>
    callback(kmalloc(wrong ? 'GFP_NOIO' : 'GFP_ATOMIC')),
  ));
