/**
 * Recovery that gives the job to the ring again needs whatever a submission needs, and may not allocate it.
 *
 * The job's fence was published long ago, and since the hang it is the timeout handler that owes it. Reclaim may wait for
 * that fence, so an allocation in the handler waits for the handler. The old way of the scheduler to resubmit was to call
 * run_job once more, and took whatever run_job takes (HC-6). A job that hangs for the second time is given up.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  del_timer,
  delayed_work,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  if_ret,
  kmalloc,
  kswapd,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  reset_begin,
  reset_end,
  reset_force_completion,
  reset_hardware,
  reset_resubmit,
  return_,
  ring,
  user,
  witness,
} from '../objects/index.ts';

/** Nobody submits during recovery (HC-3). */
const stop: Block = [
  mutex_lock('submission'),
  dma_fence_is_signaled('job'),
  if_ret('1', [mutex_unlock('submission'), return_('0')]),
];

export const resetReallocates = design({
  name: 'reset-reallocates',
  title: 'The timeout handler may not allocate what it needs to submit the job again',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/scheduler/sched_main.c, drm_sched_resubmit_jobs',
    'include/drm/gpu_scheduler.h, timedout_job',
    'HC-2, HC-6, L-23',
  ],
  knobs: { resubmit_allocates: ['no', 'GFP_KERNEL'] },
  kernel: ({ resubmit_allocates }) => ({
    objects: {
      fences: { job: {} },
      locks: { submission: {} },
      reset_domains: { gpu: { rings: ['ring'] } },
      resvs: { bo: {} },
      shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
    },
    threads: {
      user0: user(),
      user1: user(),
      kswapd,
      ring: ring({ may_hang: true }),
      timedout_job: delayed_work([
        stop,
        witness('a job hangs'),
        reset_begin('gpu'),
        reset_hardware('gpu'),
        promise_passes_to('job', 'timedout_job'),
        resubmit_allocates === 'no' ? [] : kmalloc(resubmit_allocates, 'hw_fence'),
        reset_resubmit('ring', 'job', 'job', 'fence_irq'),
        reset_end('gpu'),
        mod_timer('timedout_again'),
        mutex_unlock('submission'),
      ]),
      timedout_again: delayed_work([
        stop,
        witness('it hangs again'),
        reset_begin('gpu'),
        reset_hardware('gpu'),
        reset_force_completion('gpu', '-ETIME'),
        reset_end('gpu'),
        mutex_unlock('submission'),
      ]),
    },
    calls: {
      submit: ioctl({}, [
        dma_resv_lock('bo'),
        dma_resv_reserve_fences('bo'),
        mutex_lock('submission'),
        dma_fence_is_signaled('job'), // room for one job
        if_ret('0', [mutex_unlock('submission'), dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_fence_init('job'),
        dma_resv_add_fence('bo', 'job', 'WRITE'),
        mod_timer('timedout_job'),
        emit('ring', 'job', 'job', 'fence_irq'),
        mutex_unlock('submission'),
        dma_resv_unlock('bo'),
        return_('0'),
      ]),
      use_memory: ioctl({}, [kmalloc('GFP_KERNEL'), return_('0')]),
    },
    routines: {
      fence_irq: [del_timer('timedout_job'), del_timer('timedout_again'), dma_fence_signal('job')],
      gpu_shrinker_scan: [dma_resv_wait('bo', 'READ')],
    },
    workload: { user0: ['submit()'], user1: ['use_memory()'] },
  }),
  expect: [
    {
      when: { resubmit_allocates: 'GFP_KERNEL' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      because: 'reclaim in the handler waits for the job that hangs, and nobody but the handler can end that (HC-6)',
    },
    {
      when: { resubmit_allocates: 'no' },
      acquits: true,
      witnesses: ['a job hangs', 'it hangs again', 'kswapd waits for job', 'user1 waits for job'],
      because: 'what a second submission needs was there from the first one, so the handler waits for nobody (HC-2)',
    },
  ],
});
