/**
 * A memory pool keeps its promise only if its elements come back without user space.
 *
 * The hardware fences of this driver come from a pool with as many elements as jobs may be on the ring. Where only the
 * scheduler sees them, the completion interrupt gives the element back, and the next job waits for a credit at most.
 * Where the hardware fence itself is handed to user space, its element comes back when the last file is closed: the
 * next job waits for a process, which is owed nothing, and which may wait for that very job (A5.6, A5.8, C21).
 */
import { design } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import {
  call,
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait_interruptible,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  emit,
  goto,
  if_ret,
  if_var,
  mempool_alloc_preallocated,
  label,
  mempool_free,
  mempool_hand_over,
  promise_passes_to,
  return_,
  ring,
  set,
  sync_file_install,
  witness,
} from '../objects/index.ts';

/** As many jobs on the hardware as there are elements in the pool. */
const CREDITS = 1;

/** A program of user space, with the system calls that it makes: nobody is owed that it goes on. */
const process = (program: Block): ThreadSpec => ({ kind: 'user', begins: 'may', program });
const submit = (job: string): Block => [
  dma_fence_init(job),
  sync_file_install(job),
  drm_sched_entity_push_job('sched', job),
];

export const mempoolHeldByUsers = design({
  name: 'mempool-held-by-users',
  title: 'A pool of fences that user space can hold is empty for as long as user space likes',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'mm/mempool.c',
    'include/drm/gpu_scheduler.h (ops->run_job)',
    'A5.2, A5.3, A5.6, A5.8, C3.13',
    'cycle C21',
  ],
  knobs: { seen_by: ['scheduler', 'user_space'] },
  kernel: ({ seen_by }) => {
    const shared = seen_by === 'user_space';
    const element_back: Block = [mempool_free('hw_fences', shared ? '$me' : 'gpu')];
    return {
      objects: { fences: { job0: {}, job1: {}, hw0: {}, hw1: {} }, mempools: { hw_fences: { free: CREDITS } } },
      threads: {
        client: process([
          submit('job0'),
          dma_fence_wait_interruptible('job0'),
          if_ret('-ERESTARTSYS', [return_('ret')]),
          // It looks at its own frame until somebody else's is done, and only then closes the fence that it holds.
          dma_fence_wait_interruptible('job1'),
          shared ? element_back : [],
        ]),
        compositor: process([
          submit('job1'),
          dma_fence_wait_interruptible('job1'),
          if_ret('-ERESTARTSYS', [return_('ret')]),
          shared ? element_back : [],
        ]),
        sched: drm_gpu_scheduler('run_job', { credit_limit: CREDITS }),
        gpu: ring(),
      },
      routines: {
        run_job: [
          if_var(
            'job',
            'job0',
            [set('hw', 'hw0'), set('holder', 'client')],
            [set('hw', 'hw1'), set('holder', 'compositor')],
          ),
          label('alloc'),
          mempool_alloc_preallocated('hw_fences', '$me'),
          if_ret('-ENOMEM', [witness('run_job finds the pool empty'), goto('alloc')]),
          witness('the pool is empty'),
          dma_fence_init('$hw'),
          shared
            ? [sync_file_install('$hw'), mempool_hand_over('hw_fences', '$me', '$holder')]
            : mempool_hand_over('hw_fences', '$me', 'gpu'),
          emit('gpu', '$job', '$hw', 'fence_irq'),
          promise_passes_to('$job', 'gpu'),
          dma_fence_add_callback('$hw', 'job_done', { job: '$job' }),
          if_ret('-ENOENT', [call('job_done', { job: '$job' })]),
        ],
        fence_irq: [dma_fence_signal('$fence')],
        job_done: [shared ? [] : element_back, drm_sched_job_done('sched', '$job')],
      },
    };
  },
  expect: [
    {
      when: { seen_by: 'user_space' },
      convicts: ['fence-signals'],
      witnesses: ['run_job finds the pool empty'],
      because:
        'the process waits for the second job before it closes the fence of the first, and the second job waits for ' +
        'that element: a published fence depends on what a process does next (C21)',
    },
    {
      when: { seen_by: 'scheduler' },
      acquits: true,
      witnesses: ['the pool is empty', 'sched waits for credits of sched', 'client waits for job1'],
      because:
        'the interrupt gives the element back before the credit, so the next job waits for a credit and never for a process',
    },
  ],
});
