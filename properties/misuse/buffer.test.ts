/**
 * Misuses of memory that a device still uses: evictions, moves, mappings of others. Each next to its tame twin; see
 * trial.ts.
 */
import { test } from 'vitest';
import { type Kernel, ioctl, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  device_map,
  device_read,
  device_unmap,
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
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait_interruptible,
  dma_resv_add_fence,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_wait,
  exporter,
  goto,
  if_ret,
  implicit_sync_wait,
  job_starts,
  label,
  queue_work,
  ttm_tt_populate,
  ttm_tt_unpopulate,
  user,
  work,
} from '../../model/objects/index.ts';
import { OBJECTS, convicts, put, resv, threads } from '../trial.ts';

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

test('MISUSE bogus-replace: a fence replaced by one that says nothing about the device (R-20)', () =>
  convicts('no-stale-access', 'gpu touches bo although the memory behind its mapping of bo was taken away', (wrong) =>
    eviction(
      [
        put('bo', 'f', 'BOOKKEEP'),
        resv('bo', wrong ? dma_resv_replace_fences('bo', 'gfx', 'g', 'BOOKKEEP') : []),
        dma_fence_signal('g'),
      ],
      [dma_resv_wait('bo', 'BOOKKEEP')],
    ),
  ));

test('MISUSE map-without-resv: mapping without the reservation (B-13)', () =>
  convicts('api-contract', 'dma_buf_map_attachment on buf without holding its reservation', (wrong) =>
    shared(wrong ? dma_buf_map_attachment('importer') : resv('bo', dma_buf_map_attachment('importer'))),
  ));

test('MISUSE begin_cpu_access-with-resv: begin_cpu_access with the reservation (B-26)', () =>
  convicts('api-contract', 'dma_buf_begin_cpu_access on buf while holding its reservation', (wrong) => {
    const begin = dma_buf_begin_cpu_access('buf', 'from device');
    return shared([dma_buf_map_attachment_unlocked('importer'), wrong ? resv('bo', begin) : [resv('bo'), begin]]);
  }));

test('MISUSE move-while-pinned: a move of what is pinned (B-12)', () =>
  convicts('api-contract', 'task moves buf while it is pinned', (wrong) => {
    const pin = [dma_buf_pin('importer'), wrong ? [] : dma_buf_unpin('importer')];
    return shared(
      resv('bo', pin, dma_buf_map_attachment('importer'), tells_and_moves, wrong ? dma_buf_unpin('importer') : []),
    );
  }));

test('MISUSE no-notify-before-move: a move that nobody was told of (B-20)', () =>
  convicts('api-contract', 'task moves buf and has not told importer', (wrong) =>
    shared(resv('bo', dma_buf_map_attachment('importer'), wrong ? tells_and_moves.slice(1) : tells_and_moves)),
  ));

test('MISUSE importer-callback-locking-resv: an importer that locks the reservation when it is told (B-21)', () =>
  convicts('no-deadlock', 'task waits for itself: nobody can go on', (wrong) =>
    shared(resv('bo', dma_buf_map_attachment('importer'), tells_and_moves), wrong ? resv('bo') : []),
  ));

test('MISUSE wait-only-READ-before-evict: an eviction that waits for READ only (R-22)', () =>
  convicts('ttm-state', 'evict frees the pages of bo before f signalled', (wrong) =>
    eviction([put('bo', 'f', 'BOOKKEEP'), dma_fence_signal('g')], [dma_resv_wait('bo', wrong ? 'READ' : 'BOOKKEEP')]),
  ));

test('MISUSE forget-fence-on-one-of-several-resvs: a job that puts its fence on one of its two buffers (R-24)', () =>
  convicts('no-stale-access', 'gpu touches bo although the memory behind its mapping of bo was taken away', (wrong) =>
    eviction([put(wrong ? 'bo2' : 'bo', 'f', 'BOOKKEEP'), dma_fence_signal('g')], [dma_resv_wait('bo', 'BOOKKEEP')]),
  ));

test('MISUSE static-importer-ignoring-KERNEL: a device that starts before the move is over (B-25)', () =>
  convicts('no-stale-access', 'task touches buf although the move of buf is not over', (wrong) => {
    const kernel = shared([
      dma_fence_init('f', 'sdma'),
      resv('bo', dma_resv_reserve_fences('bo'), dma_buf_begin_move('buf'), dma_resv_add_fence('bo', 'f', 'KERNEL')),
      queue_work('sdma'),
      dma_buf_map_attachment_unlocked('importer'),
      wrong ? [] : dma_resv_wait('bo', 'KERNEL'),
      dma_buf_device_access('importer'),
      wrong ? dma_resv_wait('bo', 'KERNEL') : [],
    ]);
    return {
      ...kernel,
      threads: { ...kernel.threads, sdma: work([dma_buf_finish_move('buf'), dma_fence_signal('f')]) },
    };
  }));

test('MISUSE unbounded-pin-by-userspace: a system call that pins and never gives back (B-10)', () =>
  convicts('api-contract', 'u pins buf, which has 15 pins already, and nothing limits them', (wrong) => ({
    objects: {
      resvs: { bo: {} },
      dma_bufs: { buf: exporter('bo', { dynamic: true }) },
      attachments: { importer: { buf: 'buf', dynamic: true, invalidate: 'told' } },
    },
    routines: { told: [] },
    threads: { u: user() },
    calls: {
      open: ioctl({}, [dma_buf_export('buf'), dma_buf_attach('importer')]),
      flip: ioctl({}, resv('bo', dma_buf_pin('importer'), wrong ? [] : dma_buf_unpin('importer'))),
      close: ioctl({}, [dma_buf_detach('importer'), dma_buf_put('buf')]),
    },
    workload: { u: ['open()', ...Array.from({ length: 16 }, () => 'flip()'), 'close()'] },
  })));

test('MISUSE missed-recheck-after-wake-up: a wait that was interrupted is taken for one that is over (F-45)', () =>
  convicts('ttm-state', 'evict frees the pages of bo before f signalled', (wrong) =>
    eviction(
      [put('bo', 'f', 'BOOKKEEP'), dma_fence_signal('g')],
      [label('again'), dma_fence_wait_interruptible('f'), wrong ? [] : if_ret('-ERESTARTSYS', [goto('again')])],
    ),
  ));

test('an importer that goes on with its old mapping after the move (B-22)', () =>
  convicts('no-stale-access', 'task touches buf although the mapping of importer leads to where buf was', (wrong) => {
    const use = dma_buf_device_access('importer');
    const move = resv('bo', tells_and_moves);
    return shared([dma_buf_map_attachment_unlocked('importer'), wrong ? [move, use] : [use, move]]);
  }));

test('a reservation unlocked between the wait and the start (R-25)', () =>
  convicts('implicit-sync', 'job begins with bo before f signalled', (wrong) =>
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
  ));

test('a job that does not wait for the move under way (B-25)', () =>
  convicts('implicit-sync', 'job begins with bo before f signalled', (wrong) =>
    threads(
      {
        mover: [dma_fence_init('f', 'gpu'), put('bo', 'f', 'KERNEL'), queue_work('gpu')],
        job: resv('bo', wrong ? [] : dma_resv_wait('bo', 'KERNEL'), job_starts('job', 'bo', 'explicit')),
      },
      { threads: { gpu: work([dma_fence_signal('f')]) } },
    ),
  ));
