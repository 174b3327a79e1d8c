/**
 * Every property next to its opposite: a mini design that breaks it, and its nearest neighbour, one change away, that
 * does not. Then the misuses of each call, each with its tame twin. Convicted means: by the sweep, and by the judge on
 * the very schedule that the sweep found. Acquitted means: a complete sweep finds nothing at all, and the judge does
 * not convict the tame twin on the schedule that convicted the other.
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, type PropertyName, ioctl, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  call,
  copy_from_user,
  cpu_read,
  cpu_write,
  delayed_work,
  device_map,
  device_read,
  device_unmap,
  dma_fence_add_callback,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_copy_fences,
  dma_resv_lock,
  dma_resv_lock_slow,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  down_read,
  down_write,
  emit,
  flush_work,
  get_user_pages,
  goto,
  if_ret,
  implicit_sync_wait,
  job_starts,
  kmalloc,
  label,
  misbehaves,
  mmap,
  mod_timer,
  munmap,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  punish,
  queue_work,
  ring,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  sync_file_get_fence,
  sync_file_install,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_tt_populate,
  ttm_tt_unpopulate,
  up_read,
  up_write,
  user,
  work,
  work_a_while,
  ww_acquire_fini,
  ww_acquire_init,
  dma_buf_attach,
  dma_buf_begin_cpu_access,
  dma_buf_begin_move,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_export,
  dma_buf_finish_move,
  dma_buf_map_attachment,
  dma_buf_map_attachment_unlocked,
  dma_buf_move_notify,
  dma_buf_pin,
  dma_buf_put,
  dma_buf_unmap_attachment_unlocked,
  dma_buf_unpin,
  dma_fence_array_init,
  dma_fence_enable_sw_signaling,
  exporter,
  fence_arrays,
  irq_work,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { judge } from './judge.ts';
import { signature } from './property.ts';
import type { Finding } from './search/observer.ts';
import { sweep } from './search/sweep.ts';

/** One change decides: `wrong` or not. */
type Pair = (wrong: boolean) => Kernel;

const runOf = (kernel: Kernel, { schedule, loop }: Finding) => ({
  design: 'stage',
  knobs: {},
  workload: kernel.workload ?? {},
  schedule,
  ...(loop ? { loop } : {}),
});
const convictions = (kernel: Kernel, finding: Finding): string[] =>
  judge(bootKernel(kernel), runOf(kernel, finding), properties).verdicts.map(({ blame }) => signature(blame));

/** Both of a pair on trial for this property, and this kind if one is named. */
function trial(pair: Pair, property: PropertyName, kind?: string) {
  const guilty = sweep(bootKernel(pair(true)), properties, { verifyEvery: 1 });
  const tame = sweep(bootKernel(pair(false)), properties, { verifyEvery: 1 });
  const found = guilty.findings.find(
    ({ blame }) => blame.property === property && (kind === undefined || blame.kind === kind),
  );
  const judged = (kernel: Kernel): boolean =>
    found !== undefined && convictions(kernel, found).includes(signature(found.blame));
  return {
    complete: guilty.complete && tame.complete,
    guilty: found === undefined ? guilty.findings.map(({ blame }) => signature(blame)) : 'convicted',
    judgeOnGuilty: judged(pair(true)),
    tame: tame.findings.map(({ blame }) => `${signature(blame)}: ${blame.what}`),
    judgeOnTame: judged(pair(false)),
  };
}
const ONE_CHANGE_DECIDES: ReturnType<typeof trial> = {
  complete: true,
  guilty: 'convicted',
  judgeOnGuilty: true,
  tame: [],
  judgeOnTame: false,
};

const publish = (fence: string, by = '$me'): Block => [dma_fence_init(fence, by), sync_file_install(fence)];
const locked = (lock: string, ...lines: Block): Block => [mutex_lock(lock), lines, mutex_unlock(lock)];
const resv = (bo: string, ...lines: Block): Block => [dma_resv_lock(bo), lines, dma_resv_unlock(bo)];
const put = (bo: string, fence: string, usage: 'KERNEL' | 'WRITE' | 'READ' | 'BOOKKEEP'): Block =>
  resv(bo, dma_resv_reserve_fences(bo), dma_resv_add_fence(bo, fence, usage));
const OBJECTS = {
  locks: { a: {}, b: {}, ...mmap },
  fences: { f: {}, g: {} },
  resvs: { bo: {}, bo2: {} },
  userptrs: { u: {} },
};
/** Threads that must begin, over two of everything. */
const threads = (bodies: Readonly<Record<string, Block>>, more: Partial<Kernel> = {}): Kernel => ({
  ...more,
  objects: { ...OBJECTS, ...more.objects },
  threads: {
    ...Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, must(body)])),
    ...more.threads,
  },
});

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
  test('when another property convicts than the one that was named', () => {
    expect(trial(pair, 'no-leak').guilty).toEqual([
      'no-deadlock (circle of mutex)',
      'lock-order (circular dependency)',
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

/** Lock both, in this order, and back off as ww-mutex-design.rst says; or keep the first on -EDEADLK. */
const transaction = (first: string, second: string, backsOff: boolean): Block => [
  ww_acquire_init(),
  dma_resv_lock(first, 'ticket'),
  label('second'),
  dma_resv_lock(second, 'ticket'),
  if_ret('-EDEADLK', [
    backsOff ? dma_resv_unlock(first) : [],
    dma_resv_lock_slow(second),
    backsOff ? dma_resv_lock(first, 'ticket') : [],
    if_ret('-EDEADLK', [dma_resv_unlock(second), dma_resv_lock_slow(first), goto('second')]),
  ]),
  dma_resv_unlock(first),
  dma_resv_unlock(second),
  ww_acquire_fini(),
];
/** Ask again and again for the second lock after -EDEADLK. */
const insists = (first: string, second: string, backsOff: boolean): Block => [
  ww_acquire_init(),
  label('again'),
  dma_resv_lock(first, 'ticket'),
  label('insist'),
  dma_resv_lock(second, 'ticket'),
  if_ret(
    '-EDEADLK',
    backsOff
      ? [dma_resv_unlock(first), dma_resv_lock_slow(second), dma_resv_unlock(second), goto('again')]
      : [goto('insist')],
  ),
  dma_resv_unlock(first),
  dma_resv_unlock(second),
  ww_acquire_fini(),
];
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
/** A job of the device uses `bo` until `f` signals; `protects` stands on the reservation; then the pages go away. */
const eviction = (protects: Block, waits: Block): Kernel => ({
  objects: { ...OBJECTS, bos: { bo: { place: 'TT' } }, fences: { f: { context: 'gfx' }, g: { context: 'vm' } } },
  threads: {
    submit: must([
      ttm_tt_populate('bo'),
      device_map('bo'),
      dma_fence_init('f', 'gpu'),
      dma_fence_init('g'),
      protects,
      queue_work('gpu'),
      queue_work('evict'),
    ]),
    gpu: work([device_read('bo'), device_unmap('bo'), dma_fence_signal('f')]),
    evict: work(resv('bo', waits, ttm_tt_unpopulate('bo'))),
  },
});
const callback = (cb: Block): Kernel =>
  threads(
    { task: [dma_fence_init('f'), dma_fence_add_callback('f', 'cb'), dma_fence_signal('f')] },
    { routines: { cb }, threads: { later: work(locked('a')) } },
  );
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
const initBoth: Block = [dma_fence_init('f'), dma_fence_init('g')];
const signalBoth: Block = [dma_fence_signal('f'), dma_fence_signal('g')];
const addBoth: Block = [dma_resv_add_fence('bo', 'f', 'WRITE'), dma_resv_add_fence('bo', 'g', 'WRITE')];

/** An exporter that moves its buffers, and a dynamic importer that undoes in the end what it did. */
const shared = (body: Block, told: Block = []): Kernel => ({
  objects: {
    ...OBJECTS,
    dma_bufs: { buf: exporter('bo', { dynamic: true }) },
    attachments: { importer: { buf: 'buf', dynamic: true, invalidate: 'told' } },
  },
  routines: { told },
  threads: {
    task: must([
      dma_buf_export('buf'),
      dma_buf_attach('importer'),
      body,
      dma_buf_unmap_attachment_unlocked('importer'),
      dma_buf_detach('importer'),
      dma_buf_put('buf'),
    ]),
  },
});
const tells_and_moves: Block = [dma_buf_move_notify('buf'), dma_buf_begin_move('buf'), dma_buf_finish_move('buf')];
const MISUSES: readonly (readonly [
  rule: string,
  what: string,
  property: PropertyName,
  kind: string | undefined,
  Pair,
])[] = [
  [
    'F-39',
    'an error set after the signal',
    'api-contract',
    'F-39',
    (wrong) => {
      const error = dma_fence_set_error('f', '-EIO');
      return threads({ task: [dma_fence_init('f'), wrong ? [] : error, dma_fence_signal('f'), wrong ? error : []] });
    },
  ],
  [
    'F-6',
    'two engines on one context',
    'api-contract',
    'F-6',
    (wrong) => engines(wrong ? ['gpu', 'gpu'] : ['gfx', 'sdma']),
  ],
  [
    'F-6',
    'out-of-order signal on one context',
    'api-contract',
    'F-6',
    (wrong) => ({
      objects: { fences: { f: { context: 'x', seqno: 1 }, g: { context: 'x', seqno: 2 } } },
      threads: { task: must([initBoth, wrong ? signalBoth.toReversed() : signalBoth]) },
    }),
  ],
  [
    'F-10',
    'a live fence initialised again for a second try',
    'api-contract',
    'F-10',
    (wrong) =>
      threads({ task: [publish('f'), wrong ? [] : dma_fence_signal('f'), dma_fence_init('f'), dma_fence_signal('f')] }),
  ],
  [
    'F-3',
    'a signal before the fence exists',
    'api-contract',
    'F-3',
    (wrong) => threads({ task: [wrong ? [] : dma_fence_init('f'), dma_fence_signal('f')] }),
  ],
  [
    'F-26',
    'a lock in a callback',
    'api-contract',
    'CTX-A',
    (wrong) => callback(wrong ? locked('a') : [queue_work('later')]),
  ],
  [
    'F-26',
    'an allocation with direct reclaim in a callback',
    'api-contract',
    'CTX-A',
    (wrong) => callback(kmalloc(wrong ? 'GFP_NOIO' : 'GFP_ATOMIC')),
  ],
  [
    'F-26',
    'a wait for another fence in a callback',
    'api-contract',
    'CTX-A',
    (wrong) => {
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
    },
  ],
  ...(['GFP_KERNEL', 'GFP_NOFS', 'GFP_NOIO'] as const).map(
    (gfp) =>
      [
        'L-23, L-24',
        `${gfp} after publish`,
        'no-alloc-in-signalling',
        'owed',
        (wrong: boolean) =>
          threads({
            task: [wrong ? [] : kmalloc(gfp), publish('f'), wrong ? kmalloc(gfp) : [], dma_fence_signal('f')],
          }),
      ] as const,
  ),
  [
    'P-4',
    'a resume worker inside the signalling section',
    'no-alloc-in-signalling',
    'annotated',
    (wrong) => {
      const section = (...lines: Block): Block => [dma_fence_begin_signalling(), lines, dma_fence_end_signalling()];
      const resume = kmalloc('GFP_KERNEL');
      return threads({
        task: [
          dma_fence_init('f'),
          wrong ? section(dma_fence_signal('f'), resume) : [section(dma_fence_signal('f')), resume],
        ],
      });
    },
  ],
  [
    'F-10',
    'an allocation as the last thing in a section',
    'no-alloc-in-signalling',
    'annotated',
    (wrong) => {
      const [begin, alloc, end] = [dma_fence_begin_signalling(), kmalloc('GFP_NOFS'), dma_fence_end_signalling()];
      const signal = dma_fence_signal('f');
      return threads({ task: [dma_fence_init('f'), wrong ? [] : alloc, begin, signal, wrong ? alloc : [], end] });
    },
  ],
  [
    'HC-2',
    'a timeout handler that allocates',
    'no-alloc-in-signalling',
    'owed',
    (wrong) => timeout(kmalloc(wrong ? 'GFP_NOIO' : 'GFP_NOWAIT')),
  ],
  [
    'HC-2',
    'a timeout handler that locks a reservation',
    'lock-order',
    undefined,
    (wrong) => timeout(wrong ? resv('bo') : locked('a')),
  ],
  [
    'L-22',
    'a reservation lock in the completion worker: circle of classes',
    'lock-order',
    undefined,
    (wrong) => completion(wrong ? resv('bo') : locked('a')),
  ],
  [
    'L-22',
    'a reservation lock in the completion worker: deadlock',
    'no-deadlock',
    undefined,
    (wrong) => completion(wrong ? resv('bo') : locked('a')),
  ],
  [
    'L-27',
    'copy_from_user under a reservation',
    'lock-order',
    undefined,
    (wrong) => threads({ ioctl: wrong ? resv('bo', copy_from_user()) : [copy_from_user(), resv('bo')] }),
  ],
  [
    'V-2',
    'get_user_pages under a reservation',
    'lock-order',
    undefined,
    (wrong) => threads({ ioctl: wrong ? resv('bo', get_user_pages('u')) : [get_user_pages('u'), resv('bo')] }),
  ],
  [
    'N-9',
    'a reservation lock in a notifier',
    'lock-order',
    undefined,
    (wrong) => notified(wrong ? resv('bo') : [dma_resv_trylock('bo'), if_ret('1', [dma_resv_unlock('bo')])]),
  ],
  [
    'N-1',
    'sleep in a non-blockable notifier',
    'api-contract',
    'CTX-A',
    (wrong) =>
      notified(locked('a'), wrong ? [call('invalidate_range_nonblockable', { range: 'heap' })] : munmap('heap')),
  ],
  [
    'W-9',
    'two reservations without a ticket',
    'api-contract',
    'W-9',
    (wrong) => threads({ task: wrong ? resv('bo', resv('bo2')) : [resv('bo'), resv('bo2')] }),
  ],
  [
    'W-6',
    'a second ww context',
    'api-contract',
    'W-6',
    (wrong) => {
      const one = [ww_acquire_init(), ww_acquire_fini()];
      return threads({ task: wrong ? [ww_acquire_init(), one, ww_acquire_fini()] : [one, one] });
    },
  ],
  [
    'W-8',
    'a ticket that ends before its locks',
    'api-contract',
    'W-8',
    (wrong) => {
      const ends = [ww_acquire_fini(), dma_resv_unlock('bo')];
      return threads({ task: [ww_acquire_init(), dma_resv_lock('bo', 'ticket'), wrong ? ends : ends.toReversed()] });
    },
  ],
  [
    'W-24',
    'locks kept after -EDEADLK: the slow path',
    'api-contract',
    'W-24',
    (wrong) =>
      threads({
        one: [ww_acquire_init(), dma_resv_lock('bo', 'ticket'), dma_resv_unlock('bo'), ww_acquire_fini()],
        two: transaction('bo2', 'bo', !wrong),
      }),
  ],
  [
    'W-9',
    'two reservations without a ticket, in two orders',
    'no-deadlock',
    undefined,
    (wrong) => {
      const both = (first: string, second: string): Block =>
        wrong ? resv(first, resv(second)) : transaction(first, second, true);
      return threads({ one: both('bo', 'bo2'), two: both('bo2', 'bo') });
    },
  ],
  [
    'W-25',
    'another lock first, after one said -EDEADLK',
    'api-contract',
    'W-25',
    (wrong) => {
      const first = (lock: string): Block => [dma_resv_lock(lock, 'ticket'), dma_resv_unlock(lock)];
      const after = wrong ? first('bo') : [dma_resv_lock_slow('bo2'), dma_resv_unlock('bo2'), first('bo')];
      return threads({
        one: [ww_acquire_init(), first('bo2'), ww_acquire_fini()],
        two: [
          ww_acquire_init(),
          dma_resv_lock('bo', 'ticket'),
          dma_resv_lock('bo2', 'ticket'),
          if_ret('-EDEADLK', [dma_resv_unlock('bo'), after], [dma_resv_unlock('bo2'), dma_resv_unlock('bo')]),
          ww_acquire_fini(),
        ],
      });
    },
  ],
  [
    'C19',
    'locks kept after -EDEADLK: asking again and again',
    'no-livelock',
    undefined,
    (wrong) => threads({ one: insists('bo', 'bo2', true), two: insists('bo2', 'bo', !wrong) }),
  ],
  [
    'W-21',
    'an unlock by who does not hold it',
    'api-contract',
    'W-21',
    (wrong) => threads({ task: [wrong ? [] : mutex_lock('a'), mutex_unlock('a')] }),
  ],
  [
    'R-12',
    'a fence added after the unlock',
    'api-contract',
    'R-12',
    (wrong) => {
      const end = [dma_resv_unlock('bo'), dma_resv_add_fence('bo', 'f', 'WRITE')];
      const begin = [dma_fence_init('f'), dma_resv_lock('bo'), dma_resv_reserve_fences('bo')];
      return threads({ task: [begin, wrong ? end : end.toReversed(), dma_fence_signal('f')] });
    },
  ],
  [
    'R-9',
    'slots reserved one by one, and taken together',
    'api-contract',
    'R-9',
    (wrong) => {
      const reserve = wrong
        ? [dma_resv_reserve_fences('bo'), dma_resv_reserve_fences('bo')]
        : dma_resv_reserve_fences('bo', 2);
      return threads({ task: [initBoth, resv('bo', reserve, addBoth), signalBoth] });
    },
  ],
  [
    'R-13',
    'a fence added where no slot was reserved',
    'api-contract',
    'R-13',
    (wrong) => {
      const add = dma_resv_add_fence('bo', 'f', 'WRITE');
      const body = [dma_fence_init('f'), wrong ? [] : dma_resv_reserve_fences('bo'), add];
      return threads({ task: [resv('bo', body), dma_fence_signal('f')] });
    },
  ],
  [
    'R-21',
    'fences copied over one that is still pending',
    'api-contract',
    'R-21',
    (wrong) => {
      const pending = [dma_fence_init('f'), put('bo', 'f', 'READ')];
      const over = resv('bo', dma_resv_copy_fences('bo', 'bo2'));
      return threads({ task: wrong ? [pending, over, dma_fence_signal('f')] : [pending, dma_fence_signal('f'), over] });
    },
  ],
  [
    'R-20',
    'a fence replaced by one that says nothing about the device',
    'no-stale-access',
    undefined,
    (wrong) =>
      eviction(
        [
          put('bo', 'f', 'BOOKKEEP'),
          resv('bo', wrong ? dma_resv_replace_fences('bo', 'gfx', 'g', 'BOOKKEEP') : []),
          dma_fence_signal('g'),
        ],
        [dma_resv_wait('bo', 'BOOKKEEP')],
      ),
  ],
  [
    'R-14',
    'a container on a reservation',
    'api-contract',
    'R-14',
    (wrong) => {
      const rows = fence_arrays('both');
      const members = wrong ? put('bo', 'both', 'READ') : resv('bo', dma_resv_reserve_fences('bo', 2), addBoth);
      return threads(
        {
          task: [
            initBoth,
            dma_fence_array_init('both', ['f', 'g']),
            members,
            dma_fence_enable_sw_signaling('both'),
            signalBoth,
          ],
        },
        {
          objects: { fences: { ...OBJECTS.fences, ...rows['fences'] }, containers: rows['containers'] ?? {} },
          threads: { irq_work: irq_work() },
        },
      );
    },
  ],
  [
    'I-10',
    'a reservation held while only user space can signal',
    'api-contract',
    'I-10',
    (wrong) => ({
      objects: { ...OBJECTS },
      threads: { u: user(), worker: work([dma_fence_signal('f')]), waiter: must(resv('bo', dma_fence_wait('f'))) },
      calls: {
        submit: ioctl({}, [
          dma_fence_init('f', wrong ? 'u' : 'worker'),
          sync_file_install('f'),
          wrong ? [] : queue_work('worker'),
        ]),
        signal: ioctl({}, [sync_file_get_fence('f'), if_ret('0', [dma_fence_signal('f')])]),
      },
      workload: { u: ['submit()', 'signal()'] },
    }),
  ],
  [
    'I-10',
    'a reservation held while it waits for a fence that nobody else can reach yet',
    'api-contract',
    'I-10',
    (wrong) => {
      const submit = [dma_fence_init('f', 'worker'), queue_work('worker'), wrong ? [] : sync_file_install('f')];
      return threads(
        { task: [submit, resv('bo', dma_fence_wait('f'))] },
        { threads: { worker: work([dma_fence_signal('f')]) } },
      );
    },
  ],
  [
    'B-13',
    'mapping without the reservation',
    'api-contract',
    'B-13',
    (wrong) => shared(wrong ? dma_buf_map_attachment('importer') : resv('bo', dma_buf_map_attachment('importer'))),
  ],
  [
    'B-26',
    'begin_cpu_access with the reservation',
    'api-contract',
    'B-26',
    (wrong) => {
      const begin = dma_buf_begin_cpu_access('buf', 'from device');
      return shared([dma_buf_map_attachment_unlocked('importer'), wrong ? resv('bo', begin) : [resv('bo'), begin]]);
    },
  ],
  [
    'B-12',
    'a move of what is pinned',
    'api-contract',
    'B-12',
    (wrong) => {
      const pin = [dma_buf_pin('importer'), wrong ? [] : dma_buf_unpin('importer')];
      return shared(
        resv('bo', pin, dma_buf_map_attachment('importer'), tells_and_moves, wrong ? dma_buf_unpin('importer') : []),
      );
    },
  ],
  [
    'B-20',
    'a move that nobody was told of',
    'api-contract',
    'B-20',
    (wrong) =>
      shared(resv('bo', dma_buf_map_attachment('importer'), wrong ? tells_and_moves.slice(1) : tells_and_moves)),
  ],
  [
    'B-21',
    'an importer that locks the reservation when it is told',
    'no-deadlock',
    undefined,
    (wrong) => shared(resv('bo', dma_buf_map_attachment('importer'), tells_and_moves), wrong ? resv('bo') : []),
  ],
  [
    'B-22',
    'an importer that goes on with its old mapping after the move',
    'no-stale-access',
    undefined,
    (wrong) => {
      const use = dma_buf_device_access('importer');
      const move = resv('bo', tells_and_moves);
      return shared([dma_buf_map_attachment_unlocked('importer'), wrong ? [move, use] : [use, move]]);
    },
  ],
  [
    'R-22',
    'an eviction that waits for READ only',
    'ttm-state',
    'S-B2',
    (wrong) =>
      eviction([put('bo', 'f', 'BOOKKEEP'), dma_fence_signal('g')], [dma_resv_wait('bo', wrong ? 'READ' : 'BOOKKEEP')]),
  ],
  [
    'R-24',
    'a job that puts its fence on one of its two buffers',
    'no-stale-access',
    undefined,
    (wrong) =>
      eviction([put(wrong ? 'bo2' : 'bo', 'f', 'BOOKKEEP'), dma_fence_signal('g')], [dma_resv_wait('bo', 'BOOKKEEP')]),
  ],
  [
    'R-25',
    'a reservation unlocked between the wait and the start',
    'implicit-sync',
    'started too early',
    (wrong) =>
      threads(
        {
          writer: [dma_fence_init('f', 'gpu'), put('bo', 'f', 'WRITE'), queue_work('gpu')],
          reader: [
            wrong ? implicit_sync_wait('bo', 'read') : [],
            resv('bo', wrong ? [] : implicit_sync_wait('bo', 'read'), job_starts('job', 'bo', 'read')),
          ],
        },
        { threads: { gpu: work([dma_fence_signal('f')]) } },
      ),
  ],
  [
    'B-25',
    'a job that does not wait for the move under way',
    'implicit-sync',
    'started too early',
    (wrong) =>
      threads(
        {
          mover: [dma_fence_init('f', 'gpu'), put('bo', 'f', 'KERNEL'), queue_work('gpu')],
          job: resv('bo', wrong ? [] : dma_resv_wait('bo', 'KERNEL'), job_starts('job', 'bo', 'explicit')),
        },
        { threads: { gpu: work([dma_fence_signal('f')]) } },
      ),
  ],
  [
    'X-1',
    'a fence that only user space can signal',
    'fence-signals',
    'never signals',
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
  ],
  [
    'T-6',
    'a wait for the own fence',
    'no-deadlock',
    undefined,
    (wrong) => {
      const wait = dma_fence_wait('f');
      return threads({ task: [publish('f'), wrong ? wait : [], dma_fence_signal('f'), wrong ? [] : wait] });
    },
  ],
  [
    'C31',
    'a flush under a lock that the work takes',
    'no-deadlock',
    undefined,
    (wrong) =>
      threads(
        { task: [queue_work('later'), wrong ? locked('a', flush_work('later')) : [locked('a'), flush_work('later')]] },
        { threads: { later: work(locked('a')) } },
      ),
  ],
  [
    'A8.7',
    'reading twice while a writer may come',
    'no-deadlock',
    undefined,
    (wrong) => {
      const read: Block = [down_read('a'), wrong ? [down_read('a'), up_read('a')] : [], up_read('a')];
      return threads({ reader: read, writer: [down_write('a'), up_write('a')] });
    },
  ],
  [
    'CTX-A',
    'sleep under a spinlock',
    'api-contract',
    'CTX-A',
    (wrong) =>
      threads({ task: [spin_lock('a'), wrong ? locked('b') : [], spin_unlock('a'), wrong ? [] : locked('b')] }),
  ],
  [
    'CTX-I',
    'an interrupt lock with interrupts on',
    'api-contract',
    'CTX-I',
    (wrong) =>
      threads(
        { task: [wrong ? spin_lock('irq_lock') : spin_lock_irqsave('irq_lock'), spin_unlock('irq_lock')] },
        { objects: { locks: { irq_lock: { irq: true } } } },
      ),
  ],
  [
    'I-16',
    'a system call that returns with a lock held',
    'api-contract',
    'I-16',
    (wrong) => ({
      objects: { locks: { a: {} } },
      threads: { u: user() },
      calls: { get: ioctl({}, [mutex_lock('a'), wrong ? [] : mutex_unlock('a')]) },
      workload: { u: ['get()'] },
    }),
  ],
];

describe('the rules of each call', () => {
  for (const [rule, what, property, kind, pair] of MISUSES)
    test(`${rule}: ${what}: ${property}; its tame twin: nothing`, () => {
      expect(trial(pair, property, kind)).toEqual(ONE_CHANGE_DECIDES);
    });
});
