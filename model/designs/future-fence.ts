/**
 * A fence for work that nobody has queued yet: "this buffer is on the screen no more".
 *
 * HWC1 handed it out with the flip that brings the buffer to the screen, so that the next picture may be queued at
 * once. What takes the buffer off the screen is the next flip, and that one user space queues when it likes. HWC2 hands
 * it out with the next flip: then all that it waits for is the display.
 *
 * The fence itself goes to user space alone. It comes back as what a job waits for, and memory management waits for the
 * job: that is a dependency which the program, whose next flip needs a little memory, knows nothing of (T-7).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  del_timer_sync,
  delayed_work,
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
  emit,
  if_ret,
  in_user_space,
  kmalloc,
  kswapd,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  punish,
  return_,
  ring,
  sync_file_get_fence,
  sync_file_install,
  user,
  witness,
} from '../objects/index.ts';

export const futureFence = design({
  name: 'future-fence',
  title: 'When a future fence signals is under the control of user space, so it cannot be a dma-fence',
  sources: [
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/dma-buf/dma-fence.c',
    'X-1, X-5, T-1, T-6..T-8, T-10, L-23',
    'cycle C13',
  ],
  knobs: { release_fence: ['of_the_next_flip', 'of_its_own_flip', 'of_its_own_flip_with_timeout'] },
  kernel: ({ release_fence }) => {
    const future = release_fence !== 'of_the_next_flip';
    const timed = release_fence === 'of_its_own_flip_with_timeout';
    const refuse = (why: string): Block => [mutex_unlock('crtc.lock'), return_(why)];
    return {
      objects: {
        fences: { released: {}, draw: {} },
        resvs: { texture: {} },
        locks: { 'crtc.lock': {} },
        clients: { compositor: {} },
        shrinkers: { textures: { scan: 'gpu_shrinker_scan' } },
      },
      threads: {
        compositor: user(),
        game: user(),
        kswapd,
        crtc: ring(),
        gpu: ring(),
        sched: drm_gpu_scheduler('run_job'),
        ...(timed
          ? {
              release_timeout: delayed_work([
                dma_fence_is_signaled('released'),
                if_ret('0', [
                  witness('released is forced'),
                  dma_fence_set_error('released', '-ETIME'),
                  punish('compositor', 'its picture is drawn over while it is on the screen'),
                  dma_fence_signal('released'),
                ]),
              ]),
            }
          : {}),
      },
      routines: {
        flip_to_frame: [
          kmalloc('GFP_KERNEL', 'commit'),
          mutex_lock('crtc.lock'),
          dma_fence_is_signaled('draw'),
          if_ret('0', refuse('-EBUSY')), // the picture is not ready
          dma_fence_is_signaled('released'),
          if_ret('0', refuse('-EBUSY')),
          future
            ? [
                dma_fence_init('released', timed ? 'release_timeout' : '$me'),
                timed ? mod_timer('release_timeout') : [],
                sync_file_install('released'),
              ]
            : [],
          mutex_unlock('crtc.lock'),
          return_('0'),
        ],
        flip_to_another: [
          kmalloc('GFP_KERNEL', 'commit'),
          timed ? del_timer_sync('release_timeout') : [],
          mutex_lock('crtc.lock'),
          dma_fence_is_signaled('released'),
          if_ret(future ? '1' : '0', refuse('-EINVAL')),
          future ? [] : [dma_fence_init('released')],
          emit('crtc', 'flip', 'released', 'vblank'),
          future ? [] : [sync_file_install('released')],
          mutex_unlock('crtc.lock'),
          return_('0'),
        ],
        vblank: [witness('the frame leaves the screen'), dma_fence_signal('released')],
        run_job: [emit('gpu', '$job', '$job', 'job_done')],
        job_done: [drm_sched_job_done('sched', '$job')],
        gpu_shrinker_scan: [dma_resv_wait('texture', 'BOOKKEEP')],
      },
      calls: {
        /** A correct program: whatever it shows, it flips away again. */
        show: ioctl({}, [
          call('flip_to_frame'),
          if_ret('0', [in_user_space('the frame is on the screen'), call('flip_to_another')]),
        ]),
        /** The next picture for the same buffer, as soon as there is a fence to say that it is free. */
        draw: ioctl({}, [
          sync_file_get_fence('released'),
          if_ret('-EBADF', [return_('-EBADF')]),
          dma_resv_lock('texture'),
          dma_fence_is_signaled('draw'), // room for one
          if_ret('0', [dma_resv_unlock('texture'), return_('-EBUSY')]),
          dma_resv_reserve_fences('texture'),
          dma_fence_init('draw'),
          dma_resv_add_fence('texture', 'draw', 'READ'),
          drm_sched_entity_push_job('sched', 'draw', { deps: ['released'] }),
          dma_resv_unlock('texture'),
          return_('0'),
        ]),
      },
      workload: { compositor: ['show()', 'show()'], game: ['draw()'] },
    };
  },
  expect: [
    {
      when: { release_fence: 'of_the_next_flip' },
      acquits: true,
      witnesses: [
        'sched waits for released',
        'kswapd waits for draw',
        'compositor waits for draw',
        'the frame leaves the screen',
      ],
      because: 'the fence is for a flip that is queued: the display alone decides when it signals (T-6)',
    },
    {
      when: { release_fence: 'of_its_own_flip' },
      convicts: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling'],
      spares: ['innocent-not-punished'],
      witnesses: ['sched waits for released', 'compositor waits for draw', 'the frame leaves the screen'],
      because:
        'the flip needs memory, reclaim waits for the job on the texture, the job for the frame to leave the screen, and the frame for the flip (X-1, C13)',
    },
    {
      when: { release_fence: 'of_its_own_flip_with_timeout' },
      convicts: ['innocent-not-punished'],
      spares: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling', 'no-livelock', 'no-leak'],
      witnesses: ['released is forced', 'compositor waits for draw', 'the frame leaves the screen'],
      because:
        'the circle is still there, and now it costs a compositor that did nothing wrong what it shows: a timeout does not make it right (X-5, T-8)',
    },
  ],
});
