/**
 * Misuses of reservations and of the tickets they are locked with. Each next to its tame twin; see trial.ts.
 */
import { test } from 'vitest';
import { ioctl, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  dma_fence_array_init,
  dma_fence_enable_sw_signaling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_copy_fences,
  dma_resv_lock,
  dma_resv_lock_slow,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  fence_arrays,
  goto,
  if_ret,
  irq_work,
  label,
  queue_work,
  sync_file_get_fence,
  sync_file_install,
  user,
  work,
  ww_acquire_fini,
  ww_acquire_init,
} from '../../model/objects/index.ts';
import { OBJECTS, convicts, put, resv, threads } from '../trial.ts';

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
const initBoth: Block = [dma_fence_init('f'), dma_fence_init('g')];
const signalBoth: Block = [dma_fence_signal('f'), dma_fence_signal('g')];
const addBoth: Block = [dma_resv_add_fence('bo', 'f', 'WRITE'), dma_resv_add_fence('bo', 'g', 'WRITE')];

test('MISUSE two-NULL-ctx-resvs: two reservations without a ticket (W-9)', () =>
  convicts('api-contract', 'task locks a second reservation, bo2, without a ticket', (wrong) =>
    threads({ task: wrong ? resv('bo', resv('bo2')) : [resv('bo'), resv('bo2')] }),
  ));

test('MISUSE second-ww-context: a second ww context (W-6)', () =>
  convicts('api-contract', 'task starts a second transaction inside the first', (wrong) => {
    const one = [ww_acquire_init(), ww_acquire_fini()];
    return threads({ task: wrong ? [ww_acquire_init(), one, ww_acquire_fini()] : [one, one] });
  }));

test('MISUSE keep-locks-after-EDEADLK: locks kept after -EDEADLK: the slow path (W-24)', () =>
  convicts('api-contract', 'two was told to back off by bo, and goes for bo still holding locks', (wrong) =>
    threads({
      one: [ww_acquire_init(), dma_resv_lock('bo', 'ticket'), dma_resv_unlock('bo'), ww_acquire_fini()],
      two: transaction('bo2', 'bo', !wrong),
    }),
  ));

test('MISUSE relock-other-lock-after-EDEADLK: another lock first, after one said -EDEADLK (W-25)', () =>
  convicts('api-contract', 'two takes bo first, after bo2 told it to back off', (wrong) => {
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
  }));

test('MISUSE add-after-unlock: a fence added after the unlock (R-12)', () =>
  convicts('api-contract', 'dma_resv_add_fence without holding the reservation of bo', (wrong) => {
    const end = [dma_resv_unlock('bo'), dma_resv_add_fence('bo', 'f', 'WRITE')];
    const begin = [dma_fence_init('f'), dma_resv_lock('bo'), dma_resv_reserve_fences('bo')];
    return threads({ task: [begin, wrong ? end : end.toReversed(), dma_fence_signal('f')] });
  }));

test('MISUSE over-cumulative-reserve: slots reserved one by one, and taken together (R-9)', () =>
  convicts('api-contract', 'task adds more fences to bo than it reserved slots; it fits by luck', (wrong) => {
    const reserve = wrong
      ? [dma_resv_reserve_fences('bo'), dma_resv_reserve_fences('bo')]
      : dma_resv_reserve_fences('bo', 2);
    return threads({ task: [initBoth, resv('bo', reserve, addBoth), signalBoth] });
  }));

test('MISUSE add-without-reserve: a fence added where no slot was reserved (R-13)', () =>
  convicts('api-contract', 'dma_resv_add_fence on bo without a reserved slot', (wrong) => {
    const add = dma_resv_add_fence('bo', 'f', 'WRITE');
    const body = [dma_fence_init('f'), wrong ? [] : dma_resv_reserve_fences('bo'), add];
    return threads({ task: [resv('bo', body), dma_fence_signal('f')] });
  }));

test('MISUSE add-container: a container on a reservation (R-14)', () =>
  convicts('api-contract', 'task puts both on bo, which stands for other fences: add each of those', (wrong) => {
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
  }));

test('a ticket that ends before its locks (W-8)', () =>
  convicts('api-contract', 'task ends its transaction still holding bo', (wrong) => {
    const ends = [ww_acquire_fini(), dma_resv_unlock('bo')];
    return threads({ task: [ww_acquire_init(), dma_resv_lock('bo', 'ticket'), wrong ? ends : ends.toReversed()] });
  }));

test('two reservations without a ticket, in two orders (W-9)', () =>
  convicts('no-deadlock', 'one, two wait for each other: nobody can go on', (wrong) => {
    const both = (first: string, second: string): Block =>
      wrong ? resv(first, resv(second)) : transaction(first, second, true);
    return threads({ one: both('bo', 'bo2'), two: both('bo2', 'bo') });
  }));

test('locks kept after -EDEADLK: asking again and again (C19)', () =>
  convicts('no-livelock', 'two can go on for ever without getting anything done', (wrong) =>
    threads({ one: insists('bo', 'bo2', true), two: insists('bo2', 'bo', !wrong) }),
  ));

test('fences copied over one that is still pending (R-21)', () =>
  convicts('api-contract', 'task copies over f on bo, which nobody can wait for any more', (wrong) => {
    const pending = [dma_fence_init('f'), put('bo', 'f', 'READ')];
    const over = resv('bo', dma_resv_copy_fences('bo', 'bo2'));
    return threads({ task: wrong ? [pending, over, dma_fence_signal('f')] : [pending, dma_fence_signal('f'), over] });
  }));

test('a reservation held while only user space can signal (I-10)', () =>
  convicts('api-contract', 'waiter holds the reservation of bo and waits for f, which only u can signal', (wrong) => ({
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
  })));

test('a reservation held while it waits for a fence that nobody else can reach yet (I-10)', () =>
  convicts('api-contract', 'task holds a reservation and waits for f, which nobody else can reach yet', (wrong) => {
    const submit = [dma_fence_init('f', 'worker'), queue_work('worker'), wrong ? [] : sync_file_install('f')];
    return threads(
      { task: [submit, resv('bo', dma_fence_wait('f'))] },
      { threads: { worker: work([dma_fence_signal('f')]) } },
    );
  }));
