/**
 * Every property next to its opposite: a mini design that breaks it, and its nearest neighbour, one change away, that
 * does not. The misuses of each call have pages of their own, in misuse/.
 */
import { describe, expect, test } from 'vitest';
import { type PropertyName, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  cpu_read,
  cpu_write,
  device_map,
  device_read,
  device_unmap,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  dma_resv_wait,
  evict_begin,
  evict_end,
  goto,
  if_ret,
  implicit_sync_wait,
  job_starts,
  kmalloc,
  label,
  map_queue,
  misbehaves,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  punish,
  queue_work,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_tt_populate,
  ttm_tt_unpopulate,
  unmap_queue,
  user_queue,
  work,
  work_a_while,
} from '../model/objects/index.ts';
import { ttmKernel } from '../model/ttm-stage.ts';
import { properties } from './index.ts';
import { ONE_CHANGE_DECIDES, type Pair, locked, publish, put, resv, threads, trial } from './trial.ts';

/** A buffer that a device reaches. */
const USED = { tt: 'populated', mapped: 'pages' } as const;

const PAIRS: Readonly<Record<string, readonly [PropertyName, Pair]>> = {
  'a worker that forgets the signal': [
    'fence-signals',
    (wrong) =>
      threads(
        { task: [publish('f', 'worker'), queue_work('worker')] },
        { threads: { worker: work(wrong ? [] : [dma_fence_signal('f')]) } },
      ),
  ],
  'an allocation that may reclaim while a published fence is owed': [
    'no-alloc-in-signalling',
    (wrong) => threads({ task: [publish('f'), kmalloc(wrong ? 'GFP_NOIO' : 'GFP_NOWAIT'), dma_fence_signal('f')] }),
  ],
  'two locks in two orders': [
    'no-deadlock',
    (wrong) =>
      threads({ one: locked('a', locked('b')), two: wrong ? locked('b', locked('a')) : locked('a', locked('b')) }),
  ],
  'two locks in two orders, in runs that never overlap': [
    'lock-order',
    (wrong) =>
      threads(
        { task: [queue_work('one')] },
        {
          threads: {
            one: work([locked('a', locked('b')), queue_work('two')]),
            two: work(wrong ? locked('b', locked('a')) : locked('a', locked('b'))),
          },
        },
      ),
  ],
  'two threads that back off from each other for ever': [
    'no-livelock',
    (wrong) => {
      const polite = (mine: string, other: string): Block => [
        label('again'),
        mutex_lock(mine),
        mutex_trylock(other),
        if_ret('0', [mutex_unlock(mine), goto('again')]),
        mutex_unlock(other),
        mutex_unlock(mine),
      ];
      return threads({ one: polite('a', 'b'), two: wrong ? polite('b', 'a') : polite('a', 'b') });
    },
  ],
  'a reset that hits the neighbour of who hung': [
    'innocent-not-punished',
    (wrong) => ({
      objects: { clients: { game: {}, desktop: {} } },
      threads: { reset: must([misbehaves('game', 'hangs'), punish(wrong ? 'desktop' : 'game', 'its queue is reset')]) },
    }),
  ],
  'a reader that starts without waiting for the writer': [
    'implicit-sync',
    (wrong) =>
      threads(
        {
          writer: [dma_fence_init('f', 'gpu'), put('bo', 'f', 'WRITE'), queue_work('gpu')],
          reader: resv('bo', wrong ? [] : implicit_sync_wait('bo', 'read'), job_starts('job', 'bo', 'read')),
        },
        { threads: { gpu: work([dma_fence_signal('f')]) } },
      ),
  ],
  'a job that waits for a fence of memory management': [
    'implicit-sync',
    (wrong) =>
      threads(
        { vm: [dma_fence_init('f', 'gpu'), put('bo', 'f', wrong ? 'WRITE' : 'BOOKKEEP'), queue_work('gpu')] },
        {
          objects: { housekeeping: { f: { owner: 'vm' } } },
          threads: { gpu: work([dma_fence_signal('f')]), job: must(implicit_sync_wait('bo', 'read')) },
        },
      ),
  ],
  'a device that reads pages that were given up behind its back': [
    'no-stale-access',
    (wrong) => ({
      objects: { bos: { bo: { place: 'TT' } } },
      threads: {
        task: must([
          ttm_tt_populate('bo'),
          device_map('bo'),
          wrong ? [] : device_read('bo'),
          wrong ? [] : device_unmap('bo'),
          ttm_tt_unpopulate('bo'),
          wrong ? device_read('bo') : [],
        ]),
      },
    }),
  ],
  'a move that copies nothing': [
    'contents-kept',
    (wrong) => ({
      objects: { bos: { bo: { place: 'TT' } } },
      threads: {
        task: must([
          ttm_tt_populate('bo'),
          cpu_write('bo', 'red'),
          wrong ? ttm_bo_move_null('bo', 'VRAM') : ttm_bo_move_memcpy('bo', 'VRAM'),
          cpu_read('bo'),
        ]),
      },
    }),
  ],
  'pages that are freed while work of the device is pending': [
    'ttm-state',
    (wrong) =>
      threads(
        {
          task: [
            ttm_tt_populate('bo'),
            dma_fence_init('f', 'gpu'),
            put('bo', 'f', 'BOOKKEEP'),
            queue_work('gpu'),
            wrong ? [] : dma_resv_wait('bo', 'BOOKKEEP'),
            ttm_tt_unpopulate('bo'),
          ],
        },
        { objects: { bos: { bo: { place: 'TT' } } }, threads: { gpu: work([dma_fence_signal('f')]) } },
      ),
  ],
  'pages for a buffer that holds nothing, on its way to VRAM': [
    'no-needless-work',
    (wrong) =>
      ttmKernel({
        bos: { bo: { place: 'SYSTEM', tt: 'limbo' } },
        managers: { TT: {}, VRAM: {} },
        devices: { bdev: { move: 'driver_move' } },
        routines: {
          driver_move: [
            wrong ? ttm_bo_populate('$bo') : [],
            ttm_bo_move_memcpy('$bo', 'VRAM'), // clears what it cannot copy
          ],
        },
        threads: { task: must([ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), ttm_bo_unreserve('bo')]) },
      }),
  ],
  'a process that is stopped and nobody wants its memory': [
    'no-needless-work',
    (wrong) => ({
      objects: { bos: { mine: USED, yours: USED }, evictions: { mine: {}, yours: {} } },
      threads: {
        queue: user_queue({ uses: ['mine'] }),
        other: user_queue({ uses: ['yours'] }),
        evict: must([
          evict_begin(wrong ? 'yours' : 'mine'),
          unmap_queue('queue'),
          evict_end(wrong ? 'yours' : 'mine'),
          map_queue('queue'),
        ]),
      },
    }),
  ],
  'the next random process, though the buffers of the first are idle by now': [
    'no-needless-work',
    (wrong) => ({
      objects: { bos: { a1: USED, a2: USED, b: USED }, evictions: { a1: {}, a2: {}, b: {} } },
      threads: {
        first: user_queue({ uses: ['a1', 'a2'] }),
        second: user_queue({ uses: ['b'] }),
        evict: must([
          evict_begin('a1'),
          unmap_queue('first'),
          wrong ? [evict_begin('b'), unmap_queue('second'), map_queue('second')] : evict_begin('a2'),
          evict_end('a1'),
          map_queue('first'),
        ]),
      },
    }),
  ],
  'a lock that stays when everybody has gone': [
    'no-leak',
    (wrong) => threads({ task: [mutex_lock('a'), work_a_while('works'), wrong ? [] : mutex_unlock('a')] }),
  ],
  'a fence put into a reservation without a slot': [
    'api-contract',
    (wrong) =>
      threads({
        task: [
          dma_fence_init('f'),
          resv('bo', wrong ? [] : dma_resv_reserve_fences('bo'), dma_resv_add_fence('bo', 'f', 'WRITE')),
          dma_fence_signal('f'),
        ],
      }),
  ],
};

describe('a trial can fail', () => {
  const [, pair] = PAIRS['two locks in two orders'] as (typeof PAIRS)[string];
  test('when the change does not decide', () => {
    expect(trial(() => pair(false), 'no-deadlock')).toEqual({
      ...ONE_CHANGE_DECIDES,
      guilty: [],
      judgeOnGuilty: false,
    });
    expect(trial(() => pair(true), 'no-deadlock')).toMatchObject({ judgeOnTame: true, tame: { length: 2 } });
  });
  test('when the property convicts and says something else', () => {
    expect(trial(pair, 'no-deadlock', { what: 'one waits for itself: nobody can go on' }).guilty).toHaveLength(2);
    expect(trial(pair, 'no-deadlock', { kind: 'circle of resv' }).guilty).toHaveLength(2);
  });
  test('when another property convicts than the one that was named', () => {
    expect(trial(pair, 'no-leak').guilty).toEqual([
      'no-deadlock (circle of mutex): one, two wait for each other: nobody can go on',
      'lock-order (circular dependency): possible circular locking dependency: a > b > a',
    ]);
  });
});

describe('every property', () => {
  for (const [what, [property, pair]] of Object.entries(PAIRS))
    test(`${property} convicts ${what}, and acquits its neighbour`, () => {
      expect(trial(pair, property)).toEqual(ONE_CHANGE_DECIDES);
    });
  test('has a design here that breaks it', () => {
    const shown = new Set(Object.values(PAIRS).map(([property]) => property));
    expect(properties.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
  });
});
