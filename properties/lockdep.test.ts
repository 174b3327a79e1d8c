/**
 * The reports that lockdep must give, and those it must not (fence-core 2d, LD-1..LD-18), on the newer side of every
 * version switch unless it says otherwise. A program is two lines; nobody needs to block for a report.
 */
import { describe, expect, test } from 'vitest';
import { may, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  copy_from_user,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_lock,
  dma_resv_trylock,
  dma_resv_unlock,
  down_read,
  down_write,
  drm_syncobj_find_fence,
  emit,
  if_ret,
  kmalloc,
  label,
  might_lock_resv,
  mmap,
  mmu_interval_read_begin,
  munmap,
  mutex_lock,
  mutex_unlock,
  queue_work,
  ring,
  sync_file_install,
  up_read,
  up_write,
  work,
  ww_acquire_fini,
  ww_acquire_init,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { lockOrder } from './lock-order.ts';
import { sweep } from './search/sweep.ts';

interface Program {
  readonly threads: Readonly<Record<string, Block>>;
  readonly scan?: Block;
  readonly invalidate?: Block;
  readonly irq?: Block;
  /** Switches of an older kernel. */
  readonly older?: Readonly<Record<string, boolean>>;
}
const begin = dma_fence_begin_signalling();
const end = dma_fence_end_signalling();
const section = (...lines: Block): Block => [dma_fence_init('f'), begin, lines, dma_fence_signal('f'), end];
const take_a: Block = [mutex_lock('A'), mutex_unlock('A')];
const resv = (...lines: Block): Block => [dma_resv_lock('bo'), lines, dma_resv_unlock('bo')];

function findings({ threads, scan, invalidate, irq, older }: Program): Map<string, string> {
  const booted = bootKernel({
    objects: {
      locks: { A: {}, B: {}, driver: {}, i_mmap_rwsem: {}, ...mmap },
      fences: { f: {}, g: {} },
      resvs: { bo: {}, bo2: {} },
      userptrs: { u: {} },
      workqueues: {},
      syncobjs: { s: {} },
      version: { switches: older ?? {} },
      ...(scan ? { shrinkers: { slab: { scan: 'scan' } } } : {}),
      ...(invalidate ? { ranges: { heap: { invalidate: 'invalidate' } } } : {}),
    },
    routines: { ...(scan ? { scan } : {}), ...(invalidate ? { invalidate } : {}), irq: irq ?? [] },
    threads: {
      ...Object.fromEntries(Object.entries(threads).map(([name, block]) => [name, must(block)])),
      ...(irq ? { gpu: ring() } : {}),
    },
  });
  const found = sweep(booted, properties);
  expect(found.complete).toBe(true);
  return new Map(found.findings.map(({ blame }) => [blame.property, blame.what]));
}
const reports = (program: Program): string | undefined => findings(program).get(lockOrder.name);

describe('LD-1: a lock held across a wait, and taken in a signalling section', () => {
  const waits: Block = [mutex_lock('A'), dma_fence_wait('f'), mutex_unlock('A')];
  test('report', () => {
    expect(reports({ threads: { waiter: waits, signaller: section(take_a) } })).toMatch(
      /A > dma_fence_map > A|dma_fence_map > A > dma_fence_map/,
    );
  });
  test('clean when the section takes another lock', () => {
    const other = [mutex_lock('B'), mutex_unlock('B')];
    expect(reports({ threads: { waiter: waits, signaller: section(other) } })).toBeUndefined();
  });
  test('clean when the wait is outside the lock', () => {
    expect(reports({ threads: { waiter: [take_a, dma_fence_wait('f')], signaller: section(take_a) } })).toBeUndefined();
  });
  test('report without any annotation, when the signaller owes a published fence', () => {
    const owes = [dma_fence_init('f'), sync_file_install('f'), take_a, dma_fence_signal('f')];
    expect(reports({ threads: { waiter: waits, signaller: owes } })).toMatch(/fence f/);
  });
  test('clean without any annotation, when the fence is published after the lock was taken', () => {
    const owes = [dma_fence_init('f'), take_a, sync_file_install('f'), dma_fence_signal('f')];
    expect(reports({ threads: { waiter: waits, signaller: owes } })).toBeUndefined();
  });
});

describe('what a signalling section may do', () => {
  const one = (...lines: Block): string | undefined => reports({ threads: { signaller: section(...lines) } });
  test('LD-2: taking a reservation: report; a trylock of it: clean', () => {
    expect(one(resv())).toMatch(/dma_fence_map > reservation_ww_class_mutex/);
    expect(one(dma_resv_trylock('bo'), if_ret('1', [dma_resv_unlock('bo')]))).toBeUndefined();
  });
  test('LD-3: GFP_KERNEL: report', () => {
    expect(one(kmalloc('GFP_KERNEL'))).toBeDefined();
  });
  describe('LD-4: allocating without IO or file systems: report, through the notifier', () => {
    for (const gfp of ['GFP_NOFS', 'GFP_NOIO'] as const)
      test(`with ${gfp}`, () => {
        expect(one(kmalloc(gfp))).toMatch(/mmu_notifier_invalidate_range_start/);
        expect(one(kmalloc(gfp))).not.toMatch(/fs_reclaim/);
      });
  });
  describe('LD-5: allocating without reclaim: clean', () => {
    for (const gfp of ['GFP_ATOMIC', 'GFP_NOWAIT'] as const)
      test(`with ${gfp}`, () => {
        expect(one(kmalloc(gfp))).toBeUndefined();
      });
  });
  test('LD-8: copy_from_user: report; mmap_lock alone is enough for it', () => {
    expect(one(copy_from_user())).toBeDefined();
    expect(one(down_read('mmap_lock'), up_read('mmap_lock'))).toMatch(/dma_fence_map > mmap_lock/);
  });
  test('the same before the section: clean (LD-3, LD-8)', () => {
    expect(
      reports({ threads: { signaller: [kmalloc('GFP_KERNEL'), copy_from_user(), resv(), section()] } }),
    ).toBeUndefined();
  });
  test('LD-9: nested sections: clean, and a single hold', () => {
    expect(one(begin, end)).toBeUndefined();
    expect(one(begin, kmalloc('GFP_NOIO'), end)).toBeDefined();
    expect(reports({ threads: { signaller: [section(begin, end), kmalloc('GFP_NOIO')] } })).toBeUndefined();
  });
  describe('LD-11: a lock around the section, which other sections take inside', () => {
    const around = [mutex_lock('B'), dma_fence_init('f'), begin, dma_fence_signal('f'), end, mutex_unlock('B')];
    const inside = [dma_fence_init('g'), begin, mutex_lock('B'), mutex_unlock('B'), dma_fence_signal('g'), end];
    test('clean, since entering is a trylock', () => {
      expect(reports({ threads: { one: around, two: inside } })).toBeUndefined();
    });
    test('report in kernels up to 6.12, where entering was an acquisition like any other', () => {
      const older = { begin_signalling_trylock: false };
      expect(reports({ threads: { one: around, two: inside }, older })).toMatch(/B > dma_fence_map|dma_fence_map > B/);
      const other = [dma_fence_init('g'), begin, take_a, dma_fence_signal('g'), end];
      expect(reports({ threads: { one: around, two: other }, older })).toBeUndefined();
    });
    test('report in any kernel when the lock is held around a wait', () => {
      const waits = [mutex_lock('B'), dma_fence_wait('f'), mutex_unlock('B')];
      const takes = [dma_fence_init('f'), begin, mutex_lock('B'), mutex_unlock('B'), dma_fence_signal('f'), end];
      expect(reports({ threads: { one: waits, two: takes } })).toBeDefined();
    });
  });
});

describe('what may be done under a reservation', () => {
  test('LD-6: waiting for a fence: clean', () => {
    expect(reports({ threads: { waiter: resv(dma_fence_wait('f')), signaller: section() } })).toBeUndefined();
  });
  test('LD-7: copy_from_user: report; before it: clean', () => {
    expect(reports({ threads: { ioctl: resv(copy_from_user()) } })).toMatch(/mmap_lock/);
    expect(reports({ threads: { ioctl: [copy_from_user(), resv()] } })).toBeUndefined();
  });
  test('allocating with GFP_KERNEL: clean', () => {
    expect(reports({ threads: { ioctl: resv(kmalloc('GFP_KERNEL')) } })).toBeUndefined();
  });
  test('LD-13: a second one without ticket: report; with one ticket for both: clean', () => {
    const plain = [dma_resv_lock('bo'), dma_resv_lock('bo2'), dma_resv_unlock('bo2'), dma_resv_unlock('bo')];
    const ticket: Block = [
      ww_acquire_init(),
      dma_resv_lock('bo', 'ticket'),
      dma_resv_lock('bo2', 'ticket'),
      dma_resv_unlock('bo2'),
      dma_resv_unlock('bo'),
      ww_acquire_fini(),
    ];
    expect(reports({ threads: { ioctl: plain } })).toMatch(/reservation_ww_class_mutex > reservation_ww_class_mutex/);
    expect(reports({ threads: { ioctl: ticket } })).toBeUndefined();
  });
  test('LD-14: a second ww context while one is live: report; one after the other: clean', () => {
    const nested = [ww_acquire_init(), ww_acquire_init(), ww_acquire_fini(), ww_acquire_fini()];
    const each = [ww_acquire_init(), ww_acquire_fini(), ww_acquire_init(), ww_acquire_fini()];
    expect(reports({ threads: { ioctl: nested } })).toMatch(/ww_class_acquire > reservation_ww_class_acquire/);
    expect(reports({ threads: { ioctl: each } })).toBeUndefined();
  });
});

describe('reclaim and notifiers', () => {
  const tried = (...lines: Block): Block => [dma_resv_trylock('bo'), if_ret('1', [lines, dma_resv_unlock('bo')])];
  describe('LD-15: a reservation locked in reclaim', () => {
    test('blocking in a shrinker: report; by trylock: clean', () => {
      expect(reports({ threads: { task: kmalloc('GFP_KERNEL') }, scan: resv() })).toMatch(/fs_reclaim/);
      expect(reports({ threads: { task: kmalloc('GFP_KERNEL') }, scan: tried() })).toBeUndefined();
    });
    test('blocking in a notifier: report; by trylock: clean', () => {
      expect(reports({ threads: { task: munmap('heap') }, invalidate: resv() })).toMatch(/mmu_notifier/);
      expect(reports({ threads: { task: munmap('heap') }, invalidate: tried() })).toBeUndefined();
    });
  });
  test('LD-16: trylock of a reservation in a shrinker, then unmapping under i_mmap: clean', () => {
    const unmap = [down_write('i_mmap_rwsem'), up_write('i_mmap_rwsem')];
    expect(reports({ threads: { task: kmalloc('GFP_KERNEL') }, scan: tried(unmap) })).toBeUndefined();
  });
  test('2b: the other way round, allocating under i_mmap: report', () => {
    const allocates = [down_write('i_mmap_rwsem'), kmalloc('GFP_KERNEL'), up_write('i_mmap_rwsem')];
    expect(reports({ threads: { task: allocates } })).toMatch(/i_mmap_rwsem/);
  });
  const callback = [mutex_lock('driver'), mutex_unlock('driver')];
  test('LD-18: mmu_interval_read_begin under the lock that the notifier takes: report; before the lock: clean', () => {
    const under = [mutex_lock('driver'), mmu_interval_read_begin('u'), mutex_unlock('driver')];
    const before = [mmu_interval_read_begin('u'), callback];
    const verdict = (task: Block): string | undefined =>
      reports({ threads: { task, unmapper: munmap('heap') }, invalidate: callback });
    expect(verdict(under)).toMatch(/driver/);
    expect(verdict(before)).toBeUndefined();
  });
  test('L-24, V-3: allocating under the lock that the notifier takes: report, NOFS or not; GFP_NOWAIT: clean', () => {
    const under = (gfp: 'GFP_KERNEL' | 'GFP_NOFS' | 'GFP_NOWAIT'): Block => [
      mutex_lock('driver'),
      kmalloc(gfp),
      mutex_unlock('driver'),
    ];
    const verdict = (gfp: 'GFP_KERNEL' | 'GFP_NOFS' | 'GFP_NOWAIT') =>
      reports({ threads: { task: under(gfp), unmapper: munmap('heap') }, invalidate: callback });
    expect(verdict('GFP_KERNEL')).toBeDefined();
    expect(verdict('GFP_NOFS')).toBeDefined();
    expect(verdict('GFP_NOWAIT')).toBeUndefined();
  });
});

describe('reading twice', () => {
  test('A8.7: report: a writer may queue in between; one after the other: clean', () => {
    const twice = [down_read('A'), down_read('A'), up_read('A'), up_read('A')];
    const each = [down_read('A'), up_read('A'), down_read('A'), up_read('A')];
    expect(reports({ threads: { reader: twice } })).toMatch(/A > A/);
    expect(reports({ threads: { reader: each } })).toBeUndefined();
  });
});

describe('not the business of the lock graph', () => {
  test('LD-10: a section in an interrupt is not tracked: clean; sleeping there is what api-contract catches', () => {
    const irq = (...lines: Block): Program => ({
      threads: { task: [dma_fence_init('f'), emit('gpu', 'job', 'f', 'irq')] },
      irq: [begin, lines, dma_fence_signal('f'), end],
    });
    expect([...findings(irq()).keys()]).toEqual([]);
    const sleeps = findings(irq(take_a));
    expect(sleeps.get('lock-order')).toBeUndefined();
    expect(sleeps.get('api-contract')).toMatch(/may sleep/);
  });
  const publish = (fence: string): Block => [dma_fence_init(fence), sync_file_install(fence)];
  describe('LD-12: waiting inside a section, no lock held', () => {
    test('for a fence that does not need it: clean', () => {
      const waits = [publish('g'), begin, dma_fence_wait('f'), dma_fence_signal('g'), end];
      const found = findings({ threads: { one: waits, two: [publish('f'), begin, dma_fence_signal('f'), end] } });
      expect([...found.keys()]).toEqual([]);
    });
    test('for each other: no-deadlock catches the circle, and fence-signals what follows', () => {
      const one = [publish('f'), begin, dma_fence_wait('g'), dma_fence_signal('f'), end];
      const two = [publish('g'), begin, dma_fence_wait('f'), dma_fence_signal('g'), end];
      const found = findings({ threads: { one, two } });
      expect(found.get('no-deadlock')).toMatch(/one, two wait for each other/);
      expect(found.get('fence-signals')).toMatch(/never signals/);
      expect(found.get('lock-order') ?? 'only fences').not.toMatch(/dma_fence_map/);
    });
  });
  test('LD-17: waiting for a submission to a syncobj with a lock held: warned, but not by the graph; without: clean', () => {
    const wait = drm_syncobj_find_fence('s', 0, 'WAIT_FOR_SUBMIT');
    const under = findings({ threads: { task: [mutex_lock('A'), wait, mutex_unlock('A')] } });
    expect([under.get('lock-order'), under.get('api-contract')]).toEqual([undefined, expect.stringMatching(/holds A/)]);
    expect([...findings({ threads: { task: [wait, take_a] } }).keys()]).toEqual([]);
  });
});

describe('reservations and tickets (lib/locking-selftest.c)', () => {
  const RESV = /reservation_ww_class_mutex > reservation_ww_class_mutex/;
  const release: Block = [dma_resv_unlock('bo2'), dma_resv_unlock('bo')];
  const verdict = (...lines: Block): string | undefined => reports({ threads: { task: lines } });
  const [context, fini] = [ww_acquire_init(), ww_acquire_fini()];
  test('a ticket, a lock with it, then one without: report; by trylock, or with the ticket: clean', () => {
    const first = [context, dma_resv_lock('bo', 'ticket')];
    expect(verdict(first, dma_resv_lock('bo2'), release, fini)).toMatch(RESV);
    expect(verdict(first, dma_resv_trylock('bo2'), release, fini)).toBeUndefined();
    expect(verdict(first, dma_resv_lock('bo2', 'ticket'), release, fini)).toBeUndefined();
  });
  test('a lock without a ticket, then one with: report, for the ticket came later', () => {
    expect(verdict(dma_resv_lock('bo'), context, dma_resv_lock('bo2', 'ticket'), release, fini)).toMatch(/reservation/);
    expect(verdict(dma_resv_trylock('bo'), context, dma_resv_lock('bo2', 'ticket'), release, fini)).toMatch(
      /reservation/,
    );
  });
  test('two trylocks: clean; a trylock, then a lock: report', () => {
    expect(verdict(dma_resv_trylock('bo'), dma_resv_trylock('bo2'), release)).toBeUndefined();
    expect(verdict(dma_resv_trylock('bo'), dma_resv_lock('bo2'), release)).toMatch(RESV);
  });
  test('W-6: with a ticket, a lock without it is a second one: report; before the ticket: clean', () => {
    expect(verdict(context, resv(), fini)).toMatch(RESV);
    expect(verdict(resv(), context, fini)).toBeUndefined();
  });
  test('B-26: begin_cpu_access may lock the reservation: report while another one is held', () => {
    expect(verdict(dma_resv_lock('bo2'), might_lock_resv('bo'), dma_resv_unlock('bo2'))).toMatch(RESV);
    expect(verdict(might_lock_resv('bo'))).toBeUndefined();
  });
});

describe('over many runs', () => {
  test('L-15: two runs that never overlap combine to one report', () => {
    const one = [mutex_lock('A'), mutex_lock('B'), mutex_unlock('B'), mutex_unlock('A')];
    const two = [mutex_lock('B'), mutex_lock('A'), mutex_unlock('A'), mutex_unlock('B')];
    const booted = bootKernel({
      objects: { locks: { A: {}, B: {} } },
      threads: {
        first: must([queue_work('one')]),
        one: work([one, queue_work('two')]),
        two: work(two),
        never: may([label('never')]),
      },
    });
    const found = sweep(booted, properties).findings.map(({ blame }) => blame.property);
    expect(found).toEqual(['lock-order']);
  });
});
