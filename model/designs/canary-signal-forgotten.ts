/** A worker that forgets the signal on its error path: the oldest way to break the promise (T-1). */
import { design, must } from '../design.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  goto,
  if_ret,
  kmalloc,
  label,
  queue_work,
  sync_file_install,
  work,
} from '../objects/index.ts';

export const canarySignalForgotten = design({
  name: 'canary-signal-forgotten',
  title: 'A published fence whose worker gives up on an error never signals',
  sources: ['drivers/dma-buf/dma-fence.c', 'T-1', 'F-11'],
  knobs: { on_error: ['signals', 'forgets'] },
  kernel: ({ on_error }) => ({
    objects: { fences: { job: {} } },
    threads: {
      ioctl: must([dma_fence_init('job', 'job_work'), sync_file_install('job'), queue_work('job_work')]),
      waiter: must([dma_fence_wait('job')]),
      job_work: work([
        kmalloc('GFP_NOWAIT', 'job->result'),
        if_ret('-ENOMEM', on_error === 'forgets' ? [goto('out')] : []),
        dma_fence_signal('job'),
        label('out'),
      ]),
    },
  }),
  expect: [
    {
      when: { on_error: 'forgets' },
      convicts: ['fence-signals'],
      because: 'the error path returns before the signal: nobody is left who would give it',
    },
    {
      when: { on_error: 'signals' },
      acquits: true,
      witnesses: ['waiter waits for job'],
      because: 'every path signals',
    },
  ],
});
