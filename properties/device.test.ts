/**
 * The device side: page tables and the TLB, user queues and their adversary, preemption fences, page faults, resets and
 * atomic commits. Each claim is a pair of kernels, one change apart: one is convicted, the other acquitted (trial.ts).
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, type PropertyName, may, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  adversary,
  copy_from_user,
  crtc,
  delayed_work,
  device_map,
  device_unmap,
  device_write,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  down_read,
  down_write,
  drm_atomic_complete_signaling,
  drm_atomic_helper_commit_cleanup_done,
  drm_atomic_helper_commit_hw_done,
  drm_atomic_helper_commit_planes,
  drm_atomic_helper_commit_tail,
  drm_atomic_helper_prepare_planes,
  drm_atomic_helper_setup_commit,
  drm_atomic_helper_swap_state,
  drm_atomic_helper_wait_for_dependencies,
  drm_atomic_helper_wait_for_fences,
  drm_atomic_helper_wait_for_flip_done,
  drm_atomic_prepare_signaling,
  drm_atomic_helper_abort_commit,
  drm_atomic_set_in_fence,
  reset_resubmit,
  sync_file_get_fence,
  call,
  dma_fence_is_signaled,
  drm_crtc_complete_flip,
  emit,
  firmware,
  flush_work,
  goto,
  gpu_fault_answer,
  gpu_fault_take,
  hmm_range_fault,
  if_ret,
  kmalloc,
  label,
  late_completion,
  map_queue,
  mmap,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mod_timer,
  munmap,
  mutex_lock,
  mutex_unlock,
  preempt_fence,
  preempt_fence_arm,
  preempt_fence_create,
  preempt_fence_signal,
  preempt_fence_wait,
  preempt_fence_work,
  queue_work,
  reset_begin,
  reset_end,
  reset_force_completion,
  reset_hardware,
  reset_queue,
  return_,
  ring,
  set,
  suspend_queue,
  suspend_queue_wait,
  sync_file_install,
  tlb,
  tlb_invalidate,
  tlb_invalidate_wait,
  together,
  ttm_tt_state,
  ttm_tt_unpopulate,
  unmap_queue,
  up_read,
  up_write,
  user_queue,
  vm_bind_job,
  vm_unbind_job,
  wait_user_fence,
  work,
} from '../model/objects/index.ts';
import { stage } from '../model/stage.ts';
import { ONE_CHANGE_DECIDES, type Pair, trial } from './trial.ts';

const decides = (pair: Pair, property: PropertyName, kind?: string): void =>
  expect(trial(pair, property, kind === undefined ? {} : { kind })).toEqual(ONE_CHANGE_DECIDES);
const resv = (bo: string, ...lines: Block): Block => [dma_resv_lock(bo), lines, dma_resv_unlock(bo)];
const locked = (lock: string, ...lines: Block): Block => [mutex_lock(lock), lines, mutex_unlock(lock)];
const section = (...lines: Block): Block => [dma_fence_begin_signalling(), lines, dma_fence_end_signalling()];
const publish = (fence: string, by = '$me'): Block => [dma_fence_init(fence, by), sync_file_install(fence)];
/** A buffer whose pages are there and mapped for the device. */
const MAPPED = { place: 'TT', tt: 'populated', mapped: 'pages' } as const;
const BUFFER = { bos: { bo: MAPPED }, resvs: { bo: {} } };
/** Take a fault out, unless a preemption has ended it, and answer it. */
const answers = (...repair: Block): Block => [gpu_fault_take('faults'), if_ret('0', [], [set('queue', 'ret'), repair])];
const SIGNALS: Readonly<Record<string, Block>> = { done: [dma_fence_signal('$fence')] };

describe('page tables and the TLB', () => {
  /** A queue that has its buffer in the TLB; its fault, once the buffer is gone, ends it. */
  const evicts = (lines: Block, more: Partial<Kernel> = {}): Kernel => ({
    objects: together(BUFFER, {
      tlb_entries: { bo: { tlb: 'tlb' } },
      fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } },
      ...more.objects,
    }),
    routines: { fault_irq: [queue_work('fault_work')], ...SIGNALS },
    threads: {
      queue: user_queue({ uses: ['bo'], fault_buffer: 'faults' }),
      tlb: tlb(),
      fault_work: work(answers(gpu_fault_answer('$queue', 'failure'))),
      evictor: must(lines),
      ...more.threads,
    },
  });
  test('E7.5: the memory is free when the TLB has forgotten it, not when the page table has', () => {
    const wait = (wrong: boolean): Block => (wrong ? [] : [tlb_invalidate_wait('tlb')]);
    decides(
      (wrong) => evicts([device_unmap('bo'), tlb_invalidate('tlb'), wait(wrong), ttm_tt_unpopulate('bo')]),
      'no-stale-access',
    );
  });
  test('a flush before the unmap is none: the queue brings the entry back', () => {
    const flush: Block = [tlb_invalidate('tlb'), tlb_invalidate_wait('tlb')];
    decides(
      (wrong) => evicts([wrong ? [flush, device_unmap('bo')] : [device_unmap('bo'), flush], ttm_tt_unpopulate('bo')]),
      'no-stale-access',
    );
  });
  test('the fence of a flush stands for the acknowledgement, not for the request', () => {
    const objects = { fences: { flush: {} } };
    const asks: Block = [device_unmap('bo'), publish('flush'), tlb_invalidate('tlb', 'flush')];
    decides(
      (wrong) => evicts([asks, wrong ? [] : [dma_fence_wait('flush')], ttm_tt_unpopulate('bo')], { objects }),
      'no-stale-access',
    );
  });
  test('PF-7: an unbind by a job is not over when it was given to the ring', () => {
    const more = { objects: { fences: { unbind: {} } }, threads: { copy: ring() } };
    const flush: Block = [tlb_invalidate('tlb'), tlb_invalidate_wait('tlb'), ttm_tt_unpopulate('bo')];
    const unbinds: Block = [publish('unbind'), vm_unbind_job('copy', 'bo', 'unbind')];
    decides((wrong) => evicts([unbinds, wrong ? [] : [dma_fence_wait('unbind')], flush], more), 'no-stale-access');
  });
  test('E5.1: nor is a bind: a job that does not wait for it finds nothing mapped', () => {
    decides(
      (wrong) => ({
        objects: { bos: { bo: { place: 'TT', tt: 'populated' } }, fences: { bind: {}, job: {} } },
        routines: { draw: [device_write('bo', 'red'), dma_fence_signal('$fence')] },
        threads: {
          copy: ring(),
          gpu: ring(),
          submit: must([
            publish('bind'),
            vm_bind_job('copy', 'bo', 'bind'),
            wrong ? [] : [dma_fence_wait('bind')],
            dma_fence_init('job'),
            emit('gpu', 'job', 'job', 'draw'),
          ]),
        },
      }),
      'no-stale-access',
    );
  });
});

describe('user queues with an adversary behind them', () => {
  const FENCE = preempt_fence('evict', { queues: ['queue'], work: 'evict_work', live: true });
  const GUARDED = together(BUFFER, FENCE, {
    resvs: { bo: { fences: [{ fence: 'evict', usage: 'BOOKKEEP' }] } },
    user_fences: { memory: {} },
  });
  const EVICT: Block = resv('bo', dma_resv_wait('bo', 'BOOKKEEP'), device_unmap('bo'), ttm_tt_unpopulate('bo'));
  /** Its process may do anything; the memory is wanted once. */
  const wanted = (evict_work: Block, { evictor = EVICT, process = adversary([], ['memory']) } = {}): Kernel => ({
    objects: GUARDED,
    threads: {
      process,
      queue: user_queue({ uses: ['bo'], fence: 'evict', may_run_forever: true, preempted_by: 'fw' }),
      fw: firmware(),
      evict_work: work(evict_work),
      evictor: may(evictor),
    },
  });
  test('S-G1: a queue runs only while its fence stands on all its buffers: it signals when the queue is off, not before', () => {
    decides(
      (wrong) => wanted(section(wrong ? [] : [preempt_fence_wait('evict')], preempt_fence_signal('evict'))),
      'api-contract',
      'S-G1',
    );
  });
  test('S-G2: the eviction fence signals whatever the process does, unless its worker waits for the process first', () => {
    decides(
      (wrong) => wanted([wrong ? wait_user_fence('memory', 1) : [], preempt_fence_work('evict')]),
      'fence-signals',
    );
  });
  test('G2.4: giving up after a time is no way out when it gives the fence up, too; resetting the queue is', () => {
    decides(
      (wrong) =>
        wanted(
          section(
            wait_user_fence('memory', 1, 'HZ'),
            if_ret('-ETIME', [wrong ? [return_('-ETIME')] : [reset_queue('queue')]]),
            preempt_fence_wait('evict'),
            preempt_fence_signal('evict'),
          ),
          { process: adversary(['queue']) }, // it never writes the value
        ),
      'fence-signals',
    );
  });
  test('S-G3: no task waits for the process while it holds a reservation', () => {
    const wait = wait_user_fence('memory', 1);
    decides(
      (wrong) => wanted(preempt_fence_work('evict'), { evictor: wrong ? resv('bo', wait) : [wait, resv('bo')] }),
      'api-contract',
      'T-14',
    );
  });
  test('S-G4: a forged value never frees memory that is still mapped: memory management asks the fence, not the memory', () => {
    const trusts: Block = [wait_user_fence('memory', 1), device_unmap('bo'), ttm_tt_unpopulate('bo')];
    decides((wrong) => wanted(preempt_fence_work('evict'), { evictor: wrong ? trusts : EVICT }), 'no-stale-access');
  });
  test('E5.5: a fence that is published may not wait for user memory; the wait belongs before it', () => {
    const wait = wait_user_fence('memory', 1);
    decides(
      (wrong) => ({
        objects: { user_fences: { memory: {} }, fences: { bind: {} } },
        threads: {
          process: adversary([], ['memory']),
          bind: may([wrong ? [publish('bind'), wait] : [wait, publish('bind')], dma_fence_signal('bind')]),
        },
      }),
      'fence-signals',
    );
  });
});

describe('preemption fences: evict and restore', () => {
  const objects = together(BUFFER, preempt_fence('preempt', { queues: ['queue'], work: 'preempt_work', live: true }), {
    resvs: { bo: { fences: [{ fence: 'preempt', usage: 'BOOKKEEP' }] } },
    locks: { vm_lock: {}, ...mmap },
  });
  const queues = {
    queue: user_queue({ uses: ['bo'], fence: 'preempt', restored_by: 'rebind_work', preempted_by: 'fw' }),
    fw: firmware(),
  };
  const evictor = may(resv('bo', dma_resv_wait('bo', 'BOOKKEEP')));
  const add: Block = [
    dma_resv_reserve_fences('bo'),
    preempt_fence_arm('preempt'),
    dma_resv_add_fence('bo', 'preempt', 'BOOKKEEP'),
  ];
  /** The worker that brings the queue back (E1.8, E4.6). */
  const rebind = (...resume: Block): Block => [
    mutex_lock('vm_lock'),
    preempt_fence_create('preempt'),
    resv('bo', resume),
    mutex_unlock('vm_lock'),
  ];
  const evicts = (
    preempt_work: Block,
    rebind_work: Block = rebind(add, map_queue('queue')),
    more: Partial<Kernel> = {},
  ): Kernel => ({
    objects: together(objects, more.objects ?? {}),
    ...(more.routines ? { routines: more.routines } : {}),
    threads: { ...queues, preempt_work: work(preempt_work), rebind_work: work(rebind_work), evictor, ...more.threads },
  });
  const then = queue_work('rebind_work');
  const preempts = preempt_fence_work('preempt', [then]);

  test('E1.9: the new fence stands in every reservation before the queue runs again', () => {
    decides(
      (wrong) => evicts(preempts, rebind(wrong ? [map_queue('queue'), add] : [add, map_queue('queue')])),
      'api-contract',
      'E1.9',
    );
  });
  test('E1.7: the worker that signals takes no reservation: an evictor holds it and waits for it', () => {
    decides((wrong) => evicts(wrong ? [resv('bo'), preempts] : preempts), 'no-deadlock');
  });
  test('E4.4: it waits, signals and leaves; it allocates nothing', () => {
    const allocates = kmalloc('GFP_KERNEL', 'message');
    decides((wrong) => evicts(wrong ? section(allocates, preempts) : preempts), 'no-alloc-in-signalling');
  });
  test('E4.3: the hook only asks; a hook that waits sleeps under the fence lock', () => {
    const routines = {
      hook: [suspend_queue('queue'), queue_work('preempt_work'), return_('true')],
      hook_that_waits: [
        suspend_queue('queue'),
        suspend_queue_wait('queue'),
        queue_work('preempt_work'),
        return_('true'),
      ],
    };
    const hooked = (wrong: boolean) => ({
      objects: { fences: { preempt: { enable_signaling: wrong ? 'hook_that_waits' : 'hook' } } },
      routines,
    });
    decides((wrong) => evicts(preempts, rebind(add, map_queue('queue')), hooked(wrong)), 'api-contract', 'CTX-A');
  });
  test('E4.5: on an ordered queue it takes no lock that a rebind worker holds while it waits for such a fence', () => {
    const other: Kernel['threads'] = {
      rebind_other: may(locked('vm_lock', dma_fence_wait('preempt'))),
    };
    decides(
      (wrong) => evicts(wrong ? [locked('vm_lock'), preempts] : preempts, undefined, { threads: other }),
      'no-deadlock',
    );
  });
  test('E3.8: nor the mmap_lock: a worker that holds it may want the reservation', () => {
    const deferred = may([down_write('mmap_lock'), resv('bo'), up_write('mmap_lock')]);
    const migrates: Block = [down_read('mmap_lock'), up_read('mmap_lock')];
    decides(
      (wrong) => evicts(wrong ? [migrates, preempts] : preempts, undefined, { threads: { deferred } }),
      'no-deadlock',
    );
  });
  test('P-5: the next fence is allocated before there is no way back', () => {
    const again: Block = [mutex_lock('vm_lock'), resv('bo', add, map_queue('queue')), mutex_unlock('vm_lock')];
    decides((wrong) => evicts(preempts, wrong ? again : rebind(add, map_queue('queue'))), 'api-contract', 'P-5');
  });
  test('P-3: it signals when the queue is off the hardware', () => {
    const waits = (wrong: boolean): Block => (wrong ? [] : [preempt_fence_wait('preempt')]);
    decides((wrong) => evicts([section(waits(wrong), preempt_fence_signal('preempt')), then]), 'api-contract', 'P-3');
  });
  test('E1.8: the worker that restores allocates while no fence of its process is live, not when it has armed the next one', () => {
    // A restore that has not mapped the queues yet is let finish, or it would map them after this.
    const lets_finish = section(
      flush_work('rebind_work'),
      preempt_fence_wait('preempt'),
      preempt_fence_signal('preempt'),
    );
    const more = {
      objects: { shrinkers: { cache: { scan: 'scan' } } },
      routines: { scan: [dma_resv_wait('bo', 'BOOKKEEP')] },
    };
    const page = kmalloc('GFP_KERNEL', 'page table');
    decides(
      (wrong) =>
        evicts([lets_finish, then], rebind(wrong ? [] : page, add, wrong ? page : [], map_queue('queue')), more),
      'no-deadlock',
    );
  });
  test('E1.10: a process does not evict itself to make room for itself: it would wait for its own fence', () => {
    const lets_finish = section(
      flush_work('rebind_work'),
      preempt_fence_wait('preempt'),
      preempt_fence_signal('preempt'),
    );
    const makes_room: Block = [dma_resv_wait('bo', 'BOOKKEEP')];
    decides(
      (wrong) => evicts([lets_finish, then], rebind(add, wrong ? makes_room : [], map_queue('queue'))),
      'no-deadlock',
    );
  });
  test('E1.12: a reset signals it too, after it has taken the queues off', () => {
    const resets = (wrong: boolean): Block =>
      section(wrong ? [] : [reset_queue('queue')], preempt_fence_signal('preempt'));
    decides(
      (wrong) => ({
        objects,
        threads: {
          queue: user_queue({ uses: ['bo'], fence: 'preempt', preempted_by: 'fw' }),
          fw: firmware(),
          preempt_work: work(section(preempt_fence_wait('preempt'), preempt_fence_signal('preempt'))),
          reset_work: must(resets(wrong)),
          evictor,
        },
      }),
      'api-contract',
      'P-3',
    );
  });
  test('what the work item does after the signal holds the next fence up as well: it is the same work item', () => {
    decides((wrong) => evicts(wrong ? [preempts, kmalloc('GFP_KERNEL', 'log')] : preempts), 'no-alloc-in-signalling');
  });
  test('E6.4: a notifier waits for it inside reclaim, so the worker may not reclaim, not even without file systems', () => {
    const more: Partial<Kernel> = {
      objects: { locks: { notifier_lock: {} }, ranges: { userptr: { invalidate: 'invalidate' } } },
      routines: { invalidate: locked('notifier_lock', dma_resv_wait('bo', 'BOOKKEEP')) },
      threads: { evictor: may(kmalloc('GFP_KERNEL', 'page')) },
    };
    // Nothing under the lock of the notifier allocates (E4.6).
    const arms: Block = [preempt_fence_arm('preempt'), dma_resv_add_fence('bo', 'preempt', 'BOOKKEEP')];
    const restores = rebind(dma_resv_reserve_fences('bo'), locked('notifier_lock', arms, map_queue('queue')));
    const allocates = kmalloc('GFP_NOFS', 'message');
    decides((wrong) => evicts(wrong ? section(allocates, preempts) : preempts, restores, more), 'no-deadlock');
  });
});

describe('page faults of the device', () => {
  const FAULTS = { fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } } };
  const repair: Block = [device_map('bo'), gpu_fault_answer('$queue', 'success')];
  /** A queue that finds its buffer unmapped, on an engine that it shares with a ring. */
  const faulting = (
    { preempts = true, locks = {}, fault_irq = [queue_work('fault_work')] as Block, fault_work = answers(repair) },
    more: Partial<Kernel> = {},
  ): Kernel => ({
    objects: together(
      { bos: { bo: { place: 'TT', tt: 'populated' } }, resvs: { bo: {} }, engines: { ccs: {} }, locks },
      FAULTS,
      {
        fences: { job: {} },
        ...more.objects,
      },
    ),
    routines: { fault_irq, ...SIGNALS, ...more.routines },
    threads: {
      queue: user_queue({
        uses: ['bo'],
        fault_buffer: 'faults',
        preempts_on_fault: preempts,
        engine: 'ccs',
        preempted_by: 'fw',
      }),
      fw: firmware(),
      fault_work: work(fault_work),
      ...more.threads,
    },
  });
  test('E7.1: the interrupt only passes the fault on; repairing it there sleeps in an interrupt', () => {
    const repairs_at_once: Block = [resv('bo', device_map('bo')), gpu_fault_answer('$queue', 'success')];
    decides(
      (wrong) => faulting({ fault_irq: wrong ? repairs_at_once : [queue_work('fault_work')] }),
      'api-contract',
      'CTX-A',
    );
  });
  const job: Block = [publish('job'), emit('gpu', 'job', 'job', 'done')];
  const reclaiming = answers(kmalloc('GFP_KERNEL', 'page'), repair);
  const more = (submit: Block): Partial<Kernel> => ({
    objects: { shrinkers: { cache: { scan: 'scan' } } },
    routines: { scan: [dma_fence_wait('job')] },
    threads: { gpu: ring({ engine: 'ccs' }), submit: must(submit) },
  });
  test('E8.1: a job with a fence behind a queue in a fault is a circle through reclaim, unless the hardware preempts in a fault', () => {
    decides((wrong) => faulting({ preempts: !wrong, fault_work: reclaiming }, more(job)), 'no-deadlock');
  });
  test('E8.8: on hardware that does not, never both on an engine: the queue is off before the fence is published', () => {
    const suspends: Block = [suspend_queue('queue'), suspend_queue_wait('queue')];
    decides(
      (wrong) => faulting({ preempts: false, fault_work: reclaiming }, more([wrong ? [] : suspends, job])),
      'api-contract',
      'E8.8',
    );
  });
  test('E8.4: so a group has a mode: the switch waits for the last fence before queues that may fault come back', () => {
    const back = (wrong: boolean): Block => [wrong ? [] : [dma_fence_wait('job')], map_queue('queue')];
    const group = (submit: Block): Partial<Kernel> => ({
      objects: { locks: { mode_sem: {} }, user_queues: { queue: { mapped: false } } },
      threads: { gpu: ring({ engine: 'ccs' }), submit: must(submit) },
    });
    decides(
      (wrong) => faulting({ preempts: false }, group([down_write('mode_sem'), job, back(wrong), up_write('mode_sem')])),
      'api-contract',
      'E8.8',
    );
  });
  test('E8.5: nobody waits for a foreign fence inside the switch: its producer may need the queues that are suspended', () => {
    // The foreign fence is signalled by somebody who first uses the faulting side of the group.
    const group = (wrong: boolean): Partial<Kernel> => ({
      objects: {
        fences: { foreign: { initialised: true, published: true, promisedBy: 'producer' } },
        locks: { mode_sem: {} },
      },
      threads: {
        producer: must([down_read('mode_sem'), up_read('mode_sem'), dma_fence_signal('foreign')]),
        exec: must([
          wrong ? [] : [dma_fence_wait('foreign')],
          down_write('mode_sem'),
          suspend_queue('queue'),
          suspend_queue_wait('queue'),
          wrong ? [dma_fence_wait('foreign')] : [],
          map_queue('queue'),
          up_write('mode_sem'),
        ]),
      },
    });
    decides((wrong) => faulting({}, group(wrong)), 'no-deadlock');
  });
  test('G4.4: an evictor that holds the reservation takes the queue off only if the hardware preempts in a fault', () => {
    const locking = answers(resv('bo', repair));
    decides(
      (wrong) =>
        faulting(
          { preempts: !wrong, fault_work: locking },
          { threads: { evictor: may(resv('bo', unmap_queue('queue'), map_queue('queue'))) } },
        ),
      'no-deadlock',
    );
  });
  test('G4.5: a fault that finds no room stalls the hardware; one that is dropped is never answered', () => {
    const all: Block = [
      label('again'),
      gpu_fault_take('faults'),
      if_ret('0', [goto('out')]),
      set('queue', 'ret'),
      repair,
      goto('again'),
      label('out'),
    ];
    decides(
      (wrong) =>
        faulting(
          { fault_work: all },
          {
            objects: { fault_buffers: { faults: { drops: wrong } } },
            threads: { queue2: user_queue({ uses: ['bo'], fault_buffer: 'faults' }) },
          },
        ),
      'api-contract',
      'G4.5',
    );
  });
  test('E5.7: work that may fault on user memory shares no ordered queue with work that a fence needs', () => {
    decides(
      (wrong) => ({
        objects: {
          locks: { ...mmap },
          workqueues: { ordered: {} },
          fences: { f: { initialised: true, published: true, promisedBy: 'signals' } },
          shrinkers: { cache: { scan: 'scan' } },
        },
        routines: { scan: [dma_fence_wait('f')] },
        threads: {
          user_fence: work(copy_from_user(), 'ordered'),
          signals: work([dma_fence_signal('f')], wrong ? 'ordered' : ''),
          queues: must([queue_work('user_fence'), queue_work('signals')]),
        },
      }),
      'no-deadlock',
    );
  });
});

describe('user memory of the device', () => {
  /** A process's page that the device uses, and the process that unmaps it. */
  const USERPTR = {
    bos: { u: { place: 'TT', tt: 'populated', busy_in_system: true } as const },
    resvs: { u: {} },
    userptrs: { u: {} },
    ranges: { u: { invalidate: 'invalidate' } },
    locks: { ...mmap, notifier_lock: {} },
    fences: { job: {} },
  };
  const frees = must(munmap('u', [ttm_tt_unpopulate('u')]));
  const retry = (body: Block): Block => [
    mmu_interval_read_retry('u', 'notifier_lock'),
    if_ret('1', [set('error', '-EAGAIN')], body),
  ];
  const submits = (checks: boolean, waits: boolean): Kernel => {
    const adds: Block = [
      device_map('u'),
      dma_fence_init('job'),
      dma_resv_add_fence('u', 'job', 'BOOKKEEP'),
      emit('gpu', 'job', 'job', 'draw'),
    ];
    return {
      objects: USERPTR,
      routines: {
        draw: [device_write('u', 'red'), dma_fence_signal('$fence')],
        invalidate: locked('notifier_lock', mmu_interval_set_seq('u'), waits ? [dma_resv_wait('u', 'BOOKKEEP')] : []),
      },
      threads: {
        gpu: ring(),
        cs: must([
          set('error', '0'),
          hmm_range_fault('u'),
          ttm_tt_state('u'),
          if_ret('limbo', [return_('-EFAULT')]),
          dma_resv_lock('u'),
          dma_resv_reserve_fences('u'),
          locked('notifier_lock', checks ? retry(adds) : adds),
          dma_resv_unlock('u'),
          return_('$error'),
        ]),
        process: frees,
      },
    };
  };
  test('a job starts with the pages of now, or the notifier waits for it: the check and the fence are one step for it', () => {
    decides((wrong) => submits(!wrong, true), 'no-stale-access');
  });
  test('nothing touches the pages after the notifier has returned: it waits for the jobs', () => {
    decides((wrong) => submits(true, !wrong), 'no-stale-access');
  });
  test('E3.1: a notifier that takes the queues off at once waits for no fence: what does not run touches nothing', () => {
    const stops = (wrong: boolean): Block => [wrong ? suspend_queue('queue') : unmap_queue('queue')];
    decides(
      (wrong) => ({
        objects: together(USERPTR, { bos: { u: MAPPED } }),
        routines: { invalidate: locked('notifier_lock', mmu_interval_set_seq('u'), stops(wrong)) },
        threads: { queue: user_queue({ uses: ['u'], preempted_by: 'fw' }), fw: firmware(), process: frees },
      }),
      'no-stale-access',
    );
  });
  test('a submission that lost the race says so to the process, and nothing of it runs', () => {
    const at = stage(submits(true, true));
    at.plays(...Array.from({ length: 6 }, () => 'cs'));
    at.runs('process');
    const facts = [...at.runs('cs'), ...at.runs('gpu')];
    expect(facts.flatMap((fact) => (fact.kind === 'returned' ? [fact.ret] : []))).toContain('-EAGAIN');
    expect(facts.filter(({ kind }) => kind === 'accesses')).toEqual([]);
    const alone = stage(submits(true, true));
    alone.runs('cs');
    expect(alone.runs('gpu').filter(({ kind }) => kind === 'accesses')).toHaveLength(1);
  });
  const fault_work = (checks: boolean): Block =>
    answers(
      label('again'),
      hmm_range_fault('u'),
      ttm_tt_state('u'),
      if_ret('limbo', [gpu_fault_answer('$queue', 'failure'), goto('out')]),
      mutex_lock('notifier_lock'),
      mmu_interval_read_retry('u', 'notifier_lock'),
      checks ? [if_ret('1', [mutex_unlock('notifier_lock'), goto('again')])] : [],
      device_map('u'),
      mutex_unlock('notifier_lock'),
      gpu_fault_answer('$queue', 'success'),
      label('out'),
    );
  const faults = (checks: boolean, flushes: boolean): Kernel => ({
    objects: together(USERPTR, {
      tlb_entries: { u: { tlb: 'tlb' } },
      fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } },
    }),
    routines: {
      fault_irq: [queue_work('fault_work')],
      invalidate: locked(
        'notifier_lock',
        mmu_interval_set_seq('u'),
        device_unmap('u'),
        flushes ? [tlb_invalidate('tlb'), tlb_invalidate_wait('tlb')] : [],
      ),
    },
    threads: {
      tlb: tlb(),
      queue: user_queue({ uses: ['u'], fault_buffer: 'faults' }),
      fault_work: work(fault_work(checks)),
      process: frees,
    },
  });
  test('E9.2: a fault handler commits the entries only if the pages are still valid under the lock of the notifier', () => {
    decides((wrong) => faults(!wrong, true), 'no-stale-access');
  });
  test('E9.3: the notifier zaps the entries and flushes the TLB; then nobody needs to wait for the queue', () => {
    decides((wrong) => faults(true, !wrong), 'no-stale-access');
  });
});

describe('reset', () => {
  const TDR = { reset_domains: { device: { rings: ['gpu'] } }, fences: { job: {} }, locks: { modeset: {} } };
  const force = reset_force_completion('device');
  const submit = must([publish('job', 'tdr'), mod_timer('tdr'), emit('gpu', 'job', 'job', 'done')]);
  const hangs = (tdr: Block, more: Partial<Kernel> = {}): Kernel => ({
    objects: together(TDR, more.objects ?? {}),
    routines: { ...SIGNALS, ...more.routines },
    threads: {
      gpu: ring({ may_hang: true, reset_by: 'tdr' }),
      tdr: delayed_work([reset_begin('device'), tdr]),
      submit,
      ...more.threads,
    },
  });
  test('S-D1: force completion comes before any lock whose holder may wait for a fence of this device', () => {
    const compositor = may(locked('modeset', dma_fence_wait('job')));
    const display = locked('modeset');
    decides(
      (wrong) =>
        hangs([wrong ? [display, force] : [force, display], reset_hardware('device'), reset_end('device')], {
          threads: { compositor },
        }),
      'no-deadlock',
    );
  });
  test('S-D3: after the restart no fence from before the reset is left over', () => {
    decides(
      (wrong) => hangs([wrong ? [] : force, reset_hardware('device'), reset_end('device')]),
      'api-contract',
      'S-D3',
    );
  });
  test('D1.3: a job that the reset gives to the ring again is not left over', () => {
    const again: Block = [
      reset_resubmit('gpu', 'job', 'job', 'done'),
      dma_fence_is_signaled('job'),
      if_ret('0', [mod_timer('tdr')]),
    ];
    decides(
      (wrong) => hangs([reset_hardware('device'), wrong ? [] : again, reset_end('device')]),
      'api-contract',
      'S-D3',
    );
  });
  test('T-2: force completion does not depend on the success of the reset', () => {
    const objects = { reset_domains: { device: { may_fail: true } } };
    const ends = reset_end('device');
    decides(
      (wrong) =>
        hangs(
          wrong ? [reset_hardware('device'), if_ret('0', [force]), ends] : [reset_hardware('device'), force, ends],
          { objects },
        ),
      'fence-signals',
    );
  });
  test('D1.5: forced is not finished: the memory is free after the reset, not before, for the job may only have been slow', () => {
    const objects = { bos: { bo: MAPPED }, resvs: { bo: {} } };
    const routines = { done: [device_write('bo', 'red'), dma_fence_signal('$fence')] };
    const threads = {
      slow: late_completion('gpu'),
      evictor: work([dma_fence_wait('job'), ttm_tt_unpopulate('bo')]),
      submit: must([publish('job', 'tdr'), mod_timer('tdr'), emit('gpu', 'job', 'job', 'done'), queue_work('evictor')]),
    };
    const steps = (wrong: boolean): Block =>
      wrong ? [force, reset_hardware('device')] : [reset_hardware('device'), force];
    decides((wrong) => hangs([steps(wrong), reset_end('device')], { objects, routines, threads }), 'no-stale-access');
  });
  test('HC-4: timeouts of one device run on one ordered queue', () => {
    const resets: Block = [reset_begin('device'), force, reset_hardware('device'), reset_end('device')];
    decides(
      (wrong) => ({
        objects: { reset_domains: { device: { rings: ['gfx', 'sdma'] } }, workqueues: { reset_wq: {} } },
        threads: {
          gfx: ring(),
          sdma: ring(),
          gfx_timeout: work(resets, 'reset_wq'),
          sdma_timeout: work(resets, wrong ? '' : 'reset_wq'),
          fires: must([queue_work('gfx_timeout'), queue_work('sdma_timeout')]),
        },
      }),
      'api-contract',
      'HC-4',
    );
  });
  test('D1.2: or under one semaphore; then readers of the registers never see a reset half done', () => {
    const resets: Block = [reset_begin('device'), force, reset_hardware('device'), reset_end('device')];
    const guarded = (wrong: boolean, lines: Block): Block =>
      wrong ? lines : [down_write('reset_sem'), lines, up_write('reset_sem')];
    decides(
      (wrong) => ({
        objects: { reset_domains: { device: { rings: ['gfx'] } }, locks: { reset_sem: {} } },
        threads: {
          gfx: ring(),
          timeout: must([down_write('reset_sem'), resets, up_write('reset_sem')]),
          debugfs: must(guarded(wrong, resets)),
        },
      }),
      'api-contract',
      'HC-4',
    );
  });
  test('HC-3: submission is parked first: a job that is given to the ring during the reset is lost', () => {
    // Whoever sees its job cancelled submits the next one.
    const next: Block = [publish('next', 'tdr'), mod_timer('tdr'), emit('gpu', 'next', 'next', 'done')];
    const resets: Block = [reset_begin('device'), force, reset_hardware('device'), reset_end('device')];
    decides(
      (wrong) => ({
        objects: together(TDR, { fences: { next: {} }, locks: { submission: {} } }),
        routines: SIGNALS,
        threads: {
          gpu: ring({ may_hang: true, reset_by: 'tdr' }),
          tdr: delayed_work(locked('submission', resets)),
          submit: must([
            publish('job', 'tdr'),
            mod_timer('tdr'),
            emit('gpu', 'job', 'job', 'done'),
            dma_fence_wait('job'),
            wrong ? next : locked('submission', next),
          ]),
        },
      }),
      'api-contract',
      'HC-3',
    );
  });
  test('HC-2: the handler allocates nothing that reclaims: reclaim waits for the fences that it completes', () => {
    const objects = { shrinkers: { cache: { scan: 'scan' } } };
    const routines = { scan: [dma_fence_wait('job')] };
    const dump = kmalloc('GFP_KERNEL', 'coredump');
    decides(
      (wrong) =>
        hangs(section(wrong ? dump : [], force, reset_hardware('device'), reset_end('device')), { objects, routines }),
      'no-deadlock',
    );
  });
  test('E7.7: a job that faults stops the ring and says so at once; somebody must complete it', () => {
    decides(
      (wrong) => ({
        objects: { fences: { job: {} }, reset_domains: { device: { rings: ['gpu'] } } },
        routines: { ...SIGNALS, fault: wrong ? [] : [queue_work('reset_work')] },
        threads: {
          gpu: ring({ fault: 'fault' }),
          reset_work: work([reset_begin('device'), force, reset_hardware('device'), reset_end('device')]),
          submit: must([publish('job'), emit('gpu', 'job', 'job', 'done')]),
        },
      }),
      'fence-signals',
    );
  });
});

describe('atomic commits', () => {
  const SCREEN = {
    resvs: { fb: {} },
    fences: { draw: {}, out1: {}, out2: {} },
    locks: { 'crtc.mutex': {} },
    crtc_commits: {
      c1: { crtc: 'crtc', fb: 'fb', out_fence: 'out1' },
      c2: { crtc: 'crtc', fb: 'fb', out_fence: 'out2' },
    },
  };
  const draws: Block = [
    dma_resv_lock('fb'),
    dma_resv_reserve_fences('fb'),
    dma_fence_init('draw'),
    dma_resv_add_fence('fb', 'draw', 'WRITE'),
    dma_resv_unlock('fb'),
    emit('gpu', 'draw', 'draw', 'done'),
  ];
  /** The ioctl of a nonblocking commit, without what may fail before the swap. */
  const commits = (commit: string, tail: string, { collects = true, stall = true } = {}): Block => [
    mutex_lock('crtc.mutex'),
    drm_atomic_prepare_signaling(commit),
    drm_atomic_helper_setup_commit(commit, 'blocking'),
    if_ret('-ERESTARTSYS', [goto('fails')]),
    collects ? drm_atomic_helper_prepare_planes(commit) : [],
    drm_atomic_helper_swap_state(commit, tail, stall),
    if_ret('-ERESTARTSYS', [drm_atomic_helper_abort_commit(commit), goto('fails')]),
    queue_work(tail),
    drm_atomic_complete_signaling(commit, true),
    goto('out'),
    label('fails'),
    drm_atomic_complete_signaling(commit, false),
    label('out'),
    mutex_unlock('crtc.mutex'),
  ];
  const shows = (ioctl: Block, tails: Kernel['threads'], more: Partial<Kernel> = {}): Kernel => ({
    objects: together(SCREEN, more.objects ?? {}),
    routines: { ...SIGNALS, ...more.routines },
    threads: { compositor: must(ioctl), crtc: crtc(), gpu: ring(), ...tails, ...more.threads },
  });
  const tail = (commit: string, before: Block = []): Kernel['threads'][string] =>
    work(section(before, drm_atomic_helper_commit_tail(commit)));
  test('S-D2: the tail takes no reservation: somebody holds one while he waits for the out-fence', () => {
    const waiter = must(resv('fb', sync_file_get_fence('out1'), if_ret('0', [dma_fence_wait('out1')])));
    decides(
      (wrong) => shows(commits('c1', 'tail1'), { tail1: tail('c1', wrong ? resv('fb') : []) }, { threads: { waiter } }),
      'no-deadlock',
    );
  });
  test('D4.6: nor does it allocate with reclaim, once the out-fence is published', () => {
    const allocates = kmalloc('GFP_KERNEL', 'bundle');
    decides(
      (wrong) => shows(commits('c1', 'tail1'), { tail1: tail('c1', wrong ? allocates : []) }),
      'no-alloc-in-signalling',
    );
  });
  test('D4.5: the frame is shown when it is drawn: the fences of the framebuffer are collected before the swap', () => {
    decides(
      (wrong) => shows([draws, commits('c1', 'tail1', { collects: !wrong })], { tail1: tail('c1') }),
      'implicit-sync',
    );
  });
  test('D4.5: an explicit fence stands in for them: what it says is waited for', () => {
    const waits = (wrong: boolean): Block => (wrong ? [] : [drm_atomic_helper_wait_for_fences('c1')]);
    const drawn: Block = [publish('draw'), emit('gpu', 'draw', 'draw', 'done'), drm_atomic_set_in_fence('c1', 'draw')];
    const steps: Block = [
      drm_atomic_helper_wait_for_dependencies('c1'),
      drm_atomic_helper_commit_planes('c1'),
      drm_atomic_helper_commit_hw_done('c1'),
      drm_atomic_helper_wait_for_flip_done('c1'),
      drm_atomic_helper_commit_cleanup_done('c1'),
    ];
    decides((wrong) => shows([drawn, commits('c1', 'tail1')], { tail1: work([waits(wrong), steps]) }), 'implicit-sync');
  });
  test('S-D4: commits reach a CRTC in order: each tail waits for the one before it', () => {
    const steps = (wrong: boolean): Block => [
      wrong ? [] : drm_atomic_helper_wait_for_dependencies('c2'),
      drm_atomic_helper_commit_planes('c2'),
      drm_atomic_helper_commit_hw_done('c2'),
      drm_atomic_helper_wait_for_flip_done('c2'),
      drm_atomic_helper_commit_cleanup_done('c2'),
    ];
    const both: Block = [call('commit1'), call('commit2')];
    decides(
      (wrong) =>
        shows(
          both,
          { tail1: tail('c1'), tail2: work(steps(wrong)) },
          { routines: { commit1: commits('c1', 'tail1'), commit2: commits('c2', 'tail2', { stall: false }) } },
        ),
      'api-contract',
      'S-D4',
    );
  });
  test('C37: a tail waits without a time limit, so what it waits for must have one', () => {
    const waits = publish('draw', 'process');
    decides(
      (wrong) =>
        shows(
          [
            wrong ? waits : [waits, dma_fence_signal('draw')],
            drm_atomic_set_in_fence('c1', 'draw'),
            commits('c1', 'tail1'),
          ],
          {
            tail1: tail('c1'),
            process: adversary([], ['memory']),
          },
          { objects: { user_fences: { memory: {} } } },
        ),
      'fence-signals',
    );
  });
  test('D2.5: a reset finishes the flips that hang before it takes the locks of those who wait for them', () => {
    const flips: Block = [drm_crtc_complete_flip('crtc')];
    const display = locked('crtc.mutex');
    const waits = must([
      mutex_lock('crtc.mutex'),
      drm_atomic_prepare_signaling('c1'),
      drm_atomic_helper_setup_commit('c1', 'blocking'),
      drm_atomic_helper_swap_state('c1'),
      drm_atomic_complete_signaling('c1', true),
      mod_timer('reset'),
      drm_atomic_helper_commit_planes('c1'),
      drm_atomic_helper_commit_hw_done('c1'),
      dma_fence_wait('out1'),
      drm_atomic_helper_commit_cleanup_done('c1'),
      mutex_unlock('crtc.mutex'),
    ]);
    decides(
      (wrong) => ({
        objects: SCREEN,
        threads: {
          compositor: waits,
          crtc: crtc({ may_hang: true }),
          reset: delayed_work(wrong ? [display, flips] : [flips, display]),
        },
      }),
      'fence-signals',
    );
  });
});
