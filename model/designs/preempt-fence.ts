/**
 * Long-running work done right: no fence at the end of anything, but one that stands for "these queues are preempted"
 * (P-1..P-7, E4), here as xe has it: one for each of the two queues of an address space, in every reservation that they
 * use.
 *
 * Nothing happens until somebody waits for it; then the firmware is asked, and a work item waits for its answer, signals,
 * and queues the worker that lets the queues run again. Whatever is needed to signal must not allocate, and must not
 * take a reservation. What brings the queues back does both, so it is no part of that: it is outside the signalling
 * section, and on another queue than the preemptions, which are ordered (C16). And it is where the next fences are
 * allocated, while none is live.
 */
import { design, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_is_signaled,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  firmware,
  goto,
  if_ret,
  kswapd,
  label,
  map_queue,
  preempt_fence,
  preempt_fence_arm,
  preempt_fence_create,
  preempt_fence_signal,
  preempt_fence_wait,
  queue_work,
  together,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  user_queue,
  witness,
  work,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

const QUEUES = ['queue0', 'queue1'] as const;
type Queue = (typeof QUEUES)[number];
const each = (body: (queue: Queue) => Block): Block => QUEUES.map(body);
/** Fences stand in the reservation of the address space, for its own buffers, and in that of each external one (P-1, E4.2). */
const every = (body: (resv: 'vm' | 'bo') => Block): Block => [body('vm'), body('bo')];
const fenceOf = (queue: Queue): string => queue.replace('queue', 'preempt');
const workOf = (queue: Queue): string => queue.replace('queue', 'preempt_work');

export const preemptFence = design({
  name: 'preempt-fence',
  title:
    'Long-running work may have a fence if it is one of preemption, which needs neither memory nor locks nor an end',
  sources: [
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences and long-running compute',
    'drivers/gpu/drm/xe/xe_preempt_fence.c, drivers/gpu/drm/xe/xe_vm.c',
    'include/linux/dma-resv.h (DMA_RESV_USAGE_BOOKKEEP)',
    'P-1..P-7, T-9, T-12, L-9, L-11, L-22, L-23, E4.2..E4.6',
    'cycle C16',
  ],
  knobs: {
    resume: ['in_a_worker_of_its_own', 'on_the_preempt_queue', 'in_the_signalling_section'],
    next_fence: ['allocated_while_none_is_live', 'allocated_before_the_old_one_signals'],
  },
  kernel: ({ resume, next_fence }) => {
    const in_section = resume === 'in_the_signalling_section';
    const early = next_fence === 'allocated_before_the_old_one_signals';
    const resume_queues: Block = [
      ww_acquire_init(),
      every((resv) => [dma_resv_lock(resv, 'ticket')]),
      each((queue) => [dma_fence_is_signaled(fenceOf(queue)), if_ret('1', [goto('resume')])]),
      goto('out'), // they run already (E4.6)
      label('resume'),
      dma_resv_wait('vm', 'BOOKKEEP'), // one is off: then so must be the other, and is asked here if nobody has
      ttm_bo_place('bo'),
      if_ret('SYSTEM', [ttm_bo_move_memcpy('bo', 'VRAM'), device_map('bo'), witness('the buffer comes back')]),
      early ? [] : each((queue) => preempt_fence_create(fenceOf(queue))),
      every((resv) => dma_resv_reserve_fences(resv, 2)),
      // From here nothing may fail. Whoever sees a fence finds its queue running, and stops it by asking.
      each((queue) => [
        preempt_fence_arm(fenceOf(queue)),
        map_queue(queue),
        every((resv) => [dma_resv_add_fence(resv, fenceOf(queue), 'BOOKKEEP')]),
      ]),
      witness('the queues run again'),
      label('out'),
      every((resv) => [dma_resv_unlock(resv)]),
      ww_acquire_fini(),
    ];
    const fences = QUEUES.map((queue) => ({ fence: fenceOf(queue), usage: 'BOOKKEEP' }));
    return {
      objects: together(
        ...QUEUES.map((queue) => preempt_fence(fenceOf(queue), { queues: [queue], work: workOf(queue), live: true })),
        {
          resvs: { vm: { fences }, bo: { fences } },
          bos: { bo: { place: 'VRAM', mapped: 'VRAM' } },
          shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
          workqueues: { preempt_wq: { max_active: 1 } },
        },
      ),
      threads: {
        ...Object.fromEntries(
          QUEUES.flatMap((queue) => [
            [
              queue,
              user_queue({
                uses: ['bo'],
                preempted_by: 'guc',
                restored_by: in_section ? workOf(queue) : 'resume_work',
              }),
            ],
            [
              workOf(queue),
              work(
                [
                  dma_fence_begin_signalling(),
                  preempt_fence_wait(fenceOf(queue)),
                  early ? preempt_fence_create(fenceOf(queue)) : [],
                  preempt_fence_signal(fenceOf(queue)),
                  in_section ? resume_queues : [],
                  dma_fence_end_signalling(),
                  in_section ? [] : queue_work('resume_work'),
                ],
                'preempt_wq',
              ),
            ],
          ]),
        ),
        guc: firmware(),
        ...(in_section
          ? {}
          : { resume_work: work(resume_queues, resume === 'on_the_preempt_queue' ? 'preempt_wq' : '') }),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo', 'SYSTEM'),
          witness('memory pressure moves the buffer'),
          dma_resv_unlock('bo'),
        ]),
        kswapd,
      },
      routines: {
        gpu_shrinker_scan: [
          dma_resv_trylock('vm'),
          if_ret('1', [dma_resv_wait('vm', 'BOOKKEEP'), dma_resv_unlock('vm')]),
        ],
      },
    };
  },
  expect: [
    {
      when: { resume: 'in_a_worker_of_its_own', next_fence: 'allocated_while_none_is_live' },
      acquits: true,
      witnesses: [
        'preempt_work0 waits for queue0',
        'ttm_evict waits for preempt0',
        'ttm_evict waits for preempt1',
        'kswapd waits for preempt0',
        'resume_work waits for bo',
        'memory pressure moves the buffer',
        'the buffer comes back',
        'the queues run again',
      ],
      because:
        'firmware alone is needed to signal, whatever runs on the queues; all that needs memory or locks comes after (P-3, P-4, P-7)',
    },
    {
      when: { next_fence: 'allocated_before_the_old_one_signals' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals', 'lock-order'],
      because:
        'the old fence is published, and reclaim waits for it on the stack of the only one who signals it: to allocate in good time means before it was published (P-5, L-23)',
    },
    {
      when: { resume: 'on_the_preempt_queue', next_fence: 'allocated_while_none_is_live' },
      convicts: ['no-deadlock', 'fence-signals'],
      spares: ['lock-order', 'no-alloc-in-signalling', 'no-stale-access'],
      witnesses: ['resume_work waits for bo', 'the queues run again'],
      because:
        'the next preemption stands behind a worker that wants the reservation, with the reservation held by whoever waits for the preemption; and no annotation says so (C16, L-11)',
    },
    {
      when: { resume: 'in_the_signalling_section', next_fence: 'allocated_while_none_is_live' },
      convicts: ['no-deadlock', 'fence-signals', 'lock-order'],
      because:
        'it has signalled already, but stands before the other preemption on the queue: locks are forbidden there, and lockdep says so (P-4, L-11, L-22)',
    },
  ],
});
