/**
 * A fence with enable_signaling owes its signal from the moment somebody asks for it, and not before (F-12, F-37,
 * E1.3). Whoever waits asks, so nobody is ever left waiting for a fence that owes nothing.
 */
import { expect, test } from 'vitest';
import { boot, design, may, must } from '../model/design.ts';
import { evictionFenceInSyncSlots } from '../model/designs/eviction-fence-in-sync-slots.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  queue_work,
  sync_file_install,
  unmap_queue,
  user_queue,
  work,
} from '../model/objects/index.ts';
import { properties } from './index.ts';
import { signature } from './property.ts';
import { sweep } from './search/sweep.ts';

const preempt = design({
  name: 'preempt-or-not',
  title: 'A preempt fence and a worker that may forget it',
  sources: ['E1.3'],
  knobs: { worker: ['signals', 'forgets'], waiter: ['nobody', 'evictor'] },
  kernel: ({ worker, waiter }) => ({
    objects: { fences: { eviction: { enable_signaling: 'ask' } } },
    routines: { ask: [queue_work('evict_work')] },
    threads: {
      create: must([dma_fence_init('eviction', 'evict_work'), sync_file_install('eviction')]),
      evict_work: work([unmap_queue('queue'), worker === 'signals' ? dma_fence_signal('eviction') : []]),
      queue: user_queue({ mapped: true }),
      ...(waiter === 'evictor' ? { evictor: may([dma_fence_wait('eviction')]) } : {}),
    },
  }),
  expect: [],
});
const broken = (worker: string, waiter: string): string[] =>
  sweep(boot(preempt, { worker, waiter }), properties)
    .findings.filter(({ blame }) => blame.property === 'fence-signals')
    .map(({ blame }) => signature(blame));

test('a fence that nobody asks for breaks no promise, even if nobody would keep it', () => {
  expect(broken('signals', 'nobody')).toEqual([]);
  expect(broken('forgets', 'nobody')).toEqual([]);
});

test('asked for and forgotten, it is convicted', () => {
  expect(broken('forgets', 'evictor')).toEqual(['fence-signals (never signals)']);
});

test('asked for and signalled, it is acquitted', () => {
  expect(broken('signals', 'evictor')).toEqual([]);
});

test('in a slot of implicit sync the compute queue is begun again and again, in BOOKKEEP it is not', () => {
  const livelocks = (usage: string) =>
    sweep(boot(evictionFenceInSyncSlots, { usage }), properties)
      .findings.filter(({ blame }) => blame.property === 'no-livelock')
      .map(({ blame, loop }) => ({ what: blame.what, runs: loop?.includes('compute_queue') }));
  expect(livelocks('READ_WRITE')).toEqual([
    { what: 'compute_queue can go on for ever without getting anything done', runs: true },
  ]);
  expect(livelocks('BOOKKEEP')).toEqual([]);
});
