/**
 * An engine that is either for jobs with fences or for queues that fault, and what each switch between them must wait for.
 *
 * The hardware cannot preempt a queue that stands in a fault, so the two kinds never share the engine (M-d of PF-4). To
 * submit a job, the mode is taken: faulting queues are suspended, pending faults repaired first, and only then is there a
 * fence. The last job that ends queues the work that lets them run again (E8.4, E8.6). Both ways there is something to
 * wait for, and one thing that may not be waited for while the mode is held: the in-fence of the job, which somebody may
 * have yet to submit. Whoever that is needs the mode as well, or results of a queue that was suspended for nothing (C34).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  drm_syncobj_find_fence,
  drm_syncobj_replace_fence,
  emit,
  goto,
  gpu_fault_answer,
  gpu_fault_take,
  if_ret,
  kmalloc,
  kswapd,
  label,
  map_queue,
  mutex_lock,
  mutex_unlock,
  queue_is_mapped,
  queue_work,
  return_,
  ring,
  set,
  unmap_queue,
  user,
  user_queue,
  witness,
  work,
} from '../objects/index.ts';

export const faultAndFenceGroups = design({
  name: 'fault-and-fence-groups',
  title: 'Faulting queues and jobs with fences take turns on an engine, and no turn waits for who has yet to submit',
  sources: [
    'drivers/gpu/drm/xe/xe_hw_engine_group.c, xe_exec.c',
    'Documentation/driver-api/dma-buf.rst, recoverable hardware page faults',
    'E8.1..E8.8, PF-1..PF-6, SO-16, T-14',
    'cycles C34, C14',
  ],
  knobs: {
    in_fence_waited_for: ['before_the_switch', 'in_the_switch'],
    fence_published: ['after_the_switch', 'before_the_switch'],
    faulting_again: ['after_the_last_job', 'at_once'],
  },
  kernel: ({ in_fence_waited_for, fence_published, faulting_again }) => {
    const wait_for_in_fence = (failed: Block): Block => [
      drm_syncobj_find_fence('in_sync', 0, 'WAIT_FOR_SUBMIT'),
      if_ret(['-ETIME', '-ERESTARTSYS'], failed),
      set('in_fence', 'ret'),
      dma_fence_wait('$in_fence'),
    ];
    const early = fence_published === 'before_the_switch';
    const publish = (job: 'consumer' | 'producer', busy: Block): Block => [
      dma_resv_lock('bo'),
      dma_fence_is_signaled(job), // room for one job
      if_ret('0', [dma_resv_unlock('bo'), busy]),
      dma_resv_reserve_fences('bo'),
      dma_fence_init(job),
      dma_resv_add_fence('bo', job, 'WRITE'),
      job === 'producer' ? drm_syncobj_replace_fence('in_sync', job) : [],
      dma_resv_unlock('bo'),
    ];
    /** Submit a job in the mode of jobs with fences; `first` comes before, when the mode is taken. */
    const exec = (job: 'consumer' | 'producer', first: Block = []): Block => [
      early ? publish(job, [return_('-EBUSY')]) : [],
      mutex_lock('mode_sem'),
      queue_is_mapped('compute'),
      if_ret('1', [witness('a switch suspends the faulting queue'), unmap_queue('compute')]),
      first,
      early ? [] : publish(job, [goto('out')]),
      emit('gfx', job, job, 'job_done'),
      label('out'),
      mutex_unlock('mode_sem'),
    ];
    /** What was published before must signal all the same (T-1). */
    const refused: Block = [early ? dma_fence_signal('consumer') : [], goto('out')];
    return {
      objects: {
        engines: { eu: {} },
        syncobjs: { in_sync: {} },
        fences: { consumer: {}, producer: {} },
        resvs: { bo: {} },
        bos: { svm: { place: 'TT', tt: 'populated' } },
        fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } },
        locks: { mode_sem: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        user0: user(),
        user1: user(),
        kswapd,
        gfx: ring({ engine: 'eu' }),
        compute: user_queue({
          uses: ['svm'],
          fault_buffer: 'faults',
          preempts_on_fault: false,
          engine: 'eu',
          may_run_forever: true,
        }),
        fault_work: work([
          gpu_fault_take('faults'),
          if_ret('0', [return_('0')]),
          kmalloc('GFP_KERNEL', 'page table'),
          device_map('svm'),
          gpu_fault_answer('compute', 'success'),
          witness('a fault is repaired'),
        ]),
        resume_work: work([
          mutex_lock('mode_sem'),
          (['consumer', 'producer'] as const).map((job) =>
            faulting_again === 'at_once' ? [] : [dma_fence_is_signaled(job), if_ret('0', [goto('out')])],
          ),
          witness('the faulting queue runs again'),
          map_queue('compute'),
          label('out'),
          mutex_unlock('mode_sem'), // the job that is left will see to it
        ]),
      },
      calls: {
        consume: ioctl(
          {},
          in_fence_waited_for === 'in_the_switch'
            ? exec('consumer', wait_for_in_fence(refused))
            : [wait_for_in_fence([return_('ret')]), exec('consumer')],
        ),
        produce: ioctl({}, exec('producer')),
      },
      routines: {
        job_done: [dma_fence_signal('$fence'), queue_work('resume_work')],
        fault_irq: [queue_work('fault_work')],
        gpu_shrinker_scan: [dma_resv_wait('bo', 'READ')],
      },
      workload: { user0: ['consume()'], user1: ['produce()'] },
    };
  },
  expect: [
    {
      when: {
        in_fence_waited_for: 'before_the_switch',
        fence_published: 'after_the_switch',
        faulting_again: 'after_the_last_job',
      },
      acquits: true,
      witnesses: [
        'a fault is repaired',
        'a switch suspends the faulting queue',
        'the faulting queue runs again',
        'kswapd waits for consumer',
        'resume_work waits for mode_sem',
        'user0 waits for in_sync',
        'user0 waits for producer',
        'user1 waits for fault of compute',
      ],
      because:
        'the in-fence is waited for with nothing held, the faults while there is no fence yet, and the queue runs again when there is none any more (E8.4..E8.6)',
    },
    {
      when: {
        in_fence_waited_for: 'before_the_switch',
        fence_published: 'after_the_switch',
        faulting_again: 'at_once',
      },
      convicts: ['no-deadlock', 'fence-signals', 'no-alloc-in-signalling', 'api-contract'],
      because:
        'with a job left the queue runs again and stands in a fault: the job waits for the engine, the repair in reclaim for the job (C14, E8.8)',
    },
    {
      when: { in_fence_waited_for: 'before_the_switch', fence_published: 'before_the_switch' },
      convicts: ['no-deadlock', 'fence-signals', 'no-alloc-in-signalling'],
      because:
        'the submission owes a fence already while it waits for a fault to be repaired, and the repair waits in reclaim for that fence: pending faults are flushed before a fence is published, not after (M-d of PF-4)',
    },
    {
      when: {
        in_fence_waited_for: 'in_the_switch',
        fence_published: 'after_the_switch',
        faulting_again: 'after_the_last_job',
      },
      convicts: ['api-contract'],
      spares: ['no-deadlock', 'fence-signals', 'no-livelock'],
      witnesses: ['user0 waits for in_sync', 'user1 waits for mode_sem'],
      because:
        'whoever has yet to submit needs the mode, or a queue that is suspended until it is given back: five seconds for nothing, and a correct program is refused (C34, SO-16)',
    },
    {
      when: { in_fence_waited_for: 'in_the_switch', fence_published: 'after_the_switch', faulting_again: 'at_once' },
      convicts: ['no-deadlock', 'fence-signals', 'no-alloc-in-signalling', 'api-contract'],
      because: 'both mistakes (C34, C14)',
    },
    {
      when: { in_fence_waited_for: 'in_the_switch', fence_published: 'before_the_switch' },
      convicts: ['no-deadlock', 'fence-signals', 'lock-order', 'api-contract'],
      witnesses: ['user0 waits for producer', 'user1 waits for mode_sem'],
      because:
        'now the in-fence exists, and whoever owes it waits for the mode, which the waiter holds: C34 without any help from user space',
    },
  ],
});
