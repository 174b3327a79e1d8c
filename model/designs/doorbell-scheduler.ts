/**
 * Queues with doorbells, and firmware that runs them: it chooses which one, does no synchronisation, and sees no
 * dependencies (Olšák, 2021). So who waits for what a job depends on: the kernel before it rings, or the queue itself?
 *
 * A queue may poll memory as long as it likes, if all that it owes anybody is to be preempted. A job with a dma-fence owes
 * its end. The memory that it polls is written by a queue of another process, which memory management may have taken off
 * the hardware; to bring that back takes memory, and memory management waits for the dma-fence. The kernel knows one half
 * of this circle, the two programs know the other (T-7).
 */
import { type Kernel, design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  type Rows,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  firmware,
  flush_work,
  forever,
  if_ret,
  in_user_space,
  map_queue,
  queue_work,
  return_,
  ring_doorbell,
  suspend_queue,
  suspend_queue_wait,
  together,
  user,
  user_queue,
  wait_user_fence,
  witness,
  work,
  write_packet,
} from '../objects/index.ts';

type Part = Pick<Kernel, 'threads' | 'routines'> & { readonly objects: Rows };
/** A queue that memory management may stop, its eviction fence on a buffer, and the worker that brings it back (E1). */
const evictable = (queue: string, bo: string): Part => {
  const [fence, evict, restore] = [`${queue}_fence`, `${queue}_evict_work`, `${queue}_restore_work`];
  return {
    objects: {
      fences: {
        [fence]: { enable_signaling: `${queue}_evict`, initialised: true, published: true, promisedBy: evict },
      },
      housekeeping: { [fence]: {} },
      resvs: { [bo]: { fences: [{ fence, usage: 'BOOKKEEP' }] } },
    },
    threads: {
      [evict]: work([
        dma_fence_begin_signalling(),
        flush_work(restore), // or it would map the queue after this
        suspend_queue(queue),
        suspend_queue_wait(queue),
        dma_fence_signal(fence),
        dma_fence_end_signalling(),
        queue_work(restore),
      ]),
      [restore]: work([
        dma_resv_lock(bo),
        dma_resv_reserve_fences(bo),
        dma_fence_init(fence, evict),
        dma_resv_add_fence(bo, fence, 'BOOKKEEP'),
        dma_resv_unlock(bo),
        map_queue(queue),
        witness(`${queue} is restored`),
      ]),
    },
    routines: { [`${queue}_evict`]: [queue_work(evict)] },
  };
};
/** Memory management takes the other queue off the hardware, and it comes back. */
const STOPPED_AND_BACK = ['ttm_evict waits for compute_fence', 'the results may move', 'compute is restored'];

export const doorbellScheduler = design({
  name: 'doorbell-scheduler',
  title: 'Firmware that sees no dependencies may let a queue wait for memory, but no job that has a dma-fence',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq_fence.c, amdgpu_userq_wait_ioctl; drivers/gpu/drm/xe/xe_preempt_fence.c',
    'T-5, T-7, T-9, T-12, X-3, X-4, G1.1, G1.2, G2.10, G2.14, G3, P-1..P-7',
    'cycle C13',
  ],
  knobs: {
    dependency_waits: ['before_the_doorbell', 'in_the_queue'],
    job_ends_with: ['a_user_fence', 'a_dma_fence'],
  },
  kernel: ({ dependency_waits, job_ends_with }) => {
    const before = dependency_waits === 'before_the_doorbell';
    const fenced = job_ends_with === 'a_dma_fence';
    const ring: Block = [write_packet('gfx'), ring_doorbell('gfx')];
    const with_a_fence: Block = [
      dma_resv_lock('frame'),
      dma_fence_is_signaled('job'), // room for one job
      if_ret('0', [dma_resv_unlock('frame'), return_('-EBUSY')]),
      dma_resv_reserve_fences('frame'),
      dma_fence_init('job', 'gfx'),
      dma_resv_add_fence('frame', 'job', 'WRITE'),
      ring,
      dma_resv_unlock('frame'),
    ];
    const compute = evictable('compute', 'results');
    // A job with a dma-fence is run by a queue of the kernel, which stays where it is.
    const gfx: Part = fenced
      ? {
          objects: { fences: { job: {} }, resvs: { frame: {} } },
          threads: {},
          routines: { job_done: [witness('the job is done'), dma_fence_signal('job')] },
        }
      : evictable('gfx', 'frame');
    return {
      objects: together(compute.objects, gfx.objects, {
        user_fences: { computed: { written_by: 'compute' } },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      }),
      threads: {
        // Its program writes to its ring and rings, or does not get to it; then it lives on, and so does its queue.
        app: {
          kind: 'user',
          begins: 'may',
          program: [
            write_packet('compute'),
            in_user_space('has something to compute'),
            ring_doorbell('compute'),
            forever([in_user_space('lives on')]),
          ],
        },
        game: user(),
        hw_scheduler: firmware(),
        compute: user_queue({
          ring_buffer: true,
          completes: 'computed',
          fence: 'compute_fence',
          preempted_by: 'hw_scheduler',
          restored_by: 'compute_restore_work',
        }),
        gfx: user_queue({
          ring_buffer: true,
          ...(before ? {} : { polls: 'computed' }),
          ...(fenced
            ? { irq: 'job_done' }
            : { fence: 'gfx_fence', preempted_by: 'hw_scheduler', restored_by: 'gfx_restore_work' }),
        }),
        ttm_evict: may([
          dma_resv_lock('results'),
          dma_resv_wait('results', 'BOOKKEEP'),
          witness('the results may move'),
          dma_resv_unlock('results'),
        ]),
        ...compute.threads,
        ...gfx.threads,
      },
      calls: {
        draw: ioctl({}, [
          before ? [wait_user_fence('computed', 1), if_ret('-ERESTARTSYS', [return_('ret')])] : [],
          fenced ? with_a_fence : ring,
          return_('0'),
        ]),
      },
      routines: {
        ...compute.routines,
        ...gfx.routines,
        gpu_shrinker_scan: [
          dma_resv_trylock('frame'),
          if_ret('1', [dma_resv_wait('frame', 'BOOKKEEP'), dma_resv_unlock('frame')]),
        ],
      },
      workload: { game: ['draw()'] },
    };
  },
  expect: [
    {
      when: { dependency_waits: 'in_the_queue', job_ends_with: 'a_dma_fence' },
      convicts: ['no-deadlock', 'no-alloc-in-signalling', 'fence-signals'],
      spares: ['no-stale-access', 'innocent-not-punished'],
      witnesses: ['gfx waits for computed', 'compute_restore_work waits for job', 'the job is done'],
      because:
        'the job polls what a stopped queue has yet to write, bringing that queue back waits for memory, and the memory for the fence of the job (T-7, C13); and nobody need ever have rung for the other queue (G1.2)',
    },
    {
      when: { dependency_waits: 'in_the_queue', job_ends_with: 'a_user_fence' },
      acquits: true,
      witnesses: [
        'gfx waits for computed',
        'compute_restore_work waits for gfx_fence',
        ...STOPPED_AND_BACK,
        'gfx is restored',
      ],
      because:
        'memory management waits for the queue to be off the hardware, which it may be in the middle of polling: what it polls for is its own affair (T-9, P-7)',
    },
    {
      when: { dependency_waits: 'before_the_doorbell', job_ends_with: 'a_dma_fence' },
      acquits: true,
      witnesses: [
        'game waits for computed',
        'compute_restore_work waits for job',
        ...STOPPED_AND_BACK,
        'the job is done',
      ],
      because:
        'the ioctl waits while it holds nothing and has promised nothing; when the fence is made, all that it depends on is over (T-12, G3)',
    },
    {
      when: { dependency_waits: 'before_the_doorbell', job_ends_with: 'a_user_fence' },
      acquits: true,
      witnesses: ['game waits for computed', 'compute_restore_work waits for gfx_fence', ...STOPPED_AND_BACK],
      because: 'nobody but the program waits for anything that a program may leave undone (G3)',
    },
  ],
});
