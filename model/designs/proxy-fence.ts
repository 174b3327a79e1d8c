/**
 * Wait before submit: a job that waits for a syncobj which nobody has filled yet.
 *
 * User space may ask for that in any order it likes, so somebody has to wait until the other job is submitted. Who? The
 * program itself, in a wait ioctl; or the submission, before it takes a lock or shows a fence to anybody, for five
 * seconds at most (SO-16, SO-28). A proxy fence lets the kernel wait behind the back of both: it stands in the empty
 * object, the job is queued behind it, the job's fence is on its buffer. Then memory management waits for a job that is
 * not submitted, and who would submit it may need memory, or the buffer, first.
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  del_timer,
  delayed_work,
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  drm_syncobj_find_fence,
  drm_syncobj_replace_fence,
  drm_syncobj_timeline_wait,
  emit,
  if_ret,
  in_user_space,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  punish,
  return_,
  ring,
  set,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  user,
  witness,
} from '../objects/index.ts';

export const proxyFence = design({
  name: 'proxy-fence',
  title: 'A job that waits for a syncobj which is still empty is queued by user space, not behind a proxy fence',
  sources: [
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/gpu/drm/drm_syncobj.c, drm_syncobj_find_fence, drm_syncobj_array_wait_timeout',
    'X-2, X-5, T-1, T-6..T-8, T-10, T-12, SO-15, SO-16, SO-23, SO-28, I-10',
    'cycle C13',
  ],
  knobs: {
    waits_for_the_submission: [
      'user_space',
      'the_ioctl',
      'the_ioctl_under_a_lock',
      'a_proxy_fence',
      'a_proxy_fence_with_timeout',
    ],
  },
  kernel: ({ waits_for_the_submission: waits }) => {
    const timed = waits === 'a_proxy_fence_with_timeout';
    const proxy = waits === 'a_proxy_fence' || timed;
    const locked = waits === 'the_ioctl_under_a_lock';
    /** The fence that the job shall wait for: `$in_fence`. */
    const in_fence: Block = proxy
      ? [
          mutex_lock('obj.lock'),
          drm_syncobj_find_fence('obj'),
          if_ret('-EINVAL', [
            dma_fence_init('proxy', timed ? 'proxy_timeout' : 'producer'),
            timed ? mod_timer('proxy_timeout') : [],
            drm_syncobj_replace_fence('obj', 'proxy'),
          ]),
          drm_syncobj_find_fence('obj'),
          set('in_fence', 'ret'),
          mutex_unlock('obj.lock'),
        ]
      : [
          drm_syncobj_find_fence('obj', 0, waits === 'user_space' ? '0' : 'WAIT_FOR_SUBMIT'),
          if_ret(
            ['-EINVAL', '-ETIME', '-ERESTARTSYS'],
            [witness('the job is refused'), locked ? dma_resv_unlock('bo') : [], return_('-EAGAIN')],
          ),
          set('in_fence', 'ret'),
        ];
    /** A proxy cannot be taken back: the fence that fills the object has to end it, too. */
    const fill: Block = proxy
      ? [
          mutex_lock('obj.lock'),
          drm_syncobj_find_fence('obj'),
          if_ret('proxy', [
            dma_fence_add_callback('picture', 'proxy_done'),
            timed ? [] : promise_passes_to('proxy', 'gpu'),
          ]),
          drm_syncobj_replace_fence('obj', 'picture'),
          mutex_unlock('obj.lock'),
        ]
      : [drm_syncobj_replace_fence('obj', 'picture')];
    return {
      objects: {
        fences: { picture: {}, frame: {}, ...(proxy ? { proxy: {} } : {}) },
        resvs: { bo: {} },
        syncobjs: { obj: {} },
        locks: { 'obj.lock': {}, ...(timed ? { 'proxy.lock': { irq: true } } : {}) },
        clients: { consumer: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        consumer: user(),
        producer: user(),
        gpu: ring(),
        sched: drm_gpu_scheduler('run_job'),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          witness('memory pressure moves the buffer'),
          dma_resv_unlock('bo'),
        ]),
        ...(timed
          ? {
              proxy_timeout: delayed_work([
                spin_lock_irqsave('proxy.lock'),
                dma_fence_is_signaled('proxy'),
                if_ret('0', [
                  witness('the proxy is forced'),
                  dma_fence_set_error('proxy', '-ETIME'),
                  punish('consumer', 'its job runs without what it was to wait for'),
                  dma_fence_signal('proxy'),
                ]),
                spin_unlock_irqrestore('proxy.lock'),
              ]),
            }
          : {}),
      },
      routines: {
        submit_frame: [
          locked ? [dma_resv_lock('bo'), in_fence] : [in_fence, dma_resv_lock('bo')],
          dma_fence_is_signaled('frame'), // room for one
          if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('frame'),
          dma_resv_add_fence('bo', 'frame', 'READ'),
          drm_sched_entity_push_job('sched', 'frame', { deps: ['$in_fence'] }),
          dma_resv_unlock('bo'),
          return_('0'),
        ],
        run_job: [emit('gpu', '$job', '$job', 'frame_done')],
        frame_done: [drm_sched_job_done('sched', '$job'), witness('the frame is drawn')],
        picture_done: [dma_fence_signal('$fence')],
        ...(proxy
          ? {
              proxy_done: timed
                ? [
                    spin_lock_irqsave('proxy.lock'),
                    del_timer('proxy_timeout'),
                    dma_fence_signal('proxy'),
                    spin_unlock_irqrestore('proxy.lock'),
                  ]
                : [dma_fence_signal('proxy')],
            }
          : {}),
        gpu_shrinker_scan: [dma_resv_wait('bo', 'BOOKKEEP')],
      },
      calls: {
        consume: ioctl({}, [
          waits === 'user_space'
            ? [
                drm_syncobj_timeline_wait([['obj', 0]], ['WAIT_AVAILABLE'], 'some'),
                in_user_space('now the job can be submitted'),
              ]
            : [],
          call('submit_frame'),
        ]),
        produce: ioctl({}, [
          dma_resv_lock('bo'),
          dma_fence_is_signaled('picture'), // room for one
          if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('picture'),
          dma_resv_add_fence('bo', 'picture', 'BOOKKEEP'),
          fill,
          emit('gpu', 'picture', 'picture', 'picture_done'),
          dma_resv_unlock('bo'),
          return_('0'),
        ]),
      },
      workload: { consumer: ['consume()'], producer: ['produce()', 'produce()'] },
    };
  },
  expect: [
    {
      when: { waits_for_the_submission: 'user_space' },
      acquits: true,
      witnesses: [
        'consumer waits for obj',
        'the job is refused',
        'producer waits for frame',
        'ttm_evict waits for frame',
        'memory pressure moves the buffer',
        'the frame is drawn',
      ],
      because: 'an empty object is an error, and the program waits where nobody waits for it (SO-15, SO-28, T-12)',
    },
    {
      when: { waits_for_the_submission: 'the_ioctl' },
      acquits: true,
      witnesses: [
        'consumer waits for obj',
        'the job is refused',
        'producer waits for frame',
        'ttm_evict waits for frame',
        'memory pressure moves the buffer',
        'the frame is drawn',
      ],
      because: 'it waits before it holds anything or has shown a fence to anybody, and not for ever (SO-16, T-12)',
    },
    {
      when: { waits_for_the_submission: 'the_ioctl_under_a_lock' },
      convicts: ['api-contract'],
      spares: ['fence-signals', 'no-livelock', 'no-leak'],
      witnesses: ['consumer waits for obj', 'producer waits for bo'],
      because: 'who would fill the object needs the reservation that is held while nobody does (SO-16, I-10)',
    },
    {
      when: { waits_for_the_submission: 'a_proxy_fence' },
      convicts: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling'],
      spares: ['innocent-not-punished'],
      witnesses: ['sched waits for proxy', 'ttm_evict waits for frame', 'the frame is drawn'],
      because:
        'the buffer is locked by an eviction that waits for the frame, the frame waits behind the proxy, and what ends the proxy is a submission that wants the buffer (X-2)',
    },
    {
      when: { waits_for_the_submission: 'a_proxy_fence_with_timeout' },
      convicts: ['innocent-not-punished'],
      spares: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling', 'no-livelock', 'no-leak'],
      witnesses: ['the proxy is forced', 'producer waits for frame', 'the frame is drawn'],
      because:
        'the same circle stands until the time is up, and a program that keeps every rule draws the wrong picture (X-5, T-8)',
    },
  ],
});
