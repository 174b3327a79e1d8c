/**
 * A commit that waits for a fence of somebody else, before or after the point of no return (Wilson, 2016).
 *
 * "The waits on dma-buf should be before any hardware is modified and so cancellation is trivial." That holds for a
 * blocking commit: it waits in the ioctl, a signal ends the wait, and nothing has been published. A nonblocking commit
 * has swapped the state and handed out its out-fence before its tail waits, for ever (D4.1, D4.3): whoever waits for the
 * flip now waits for the foreign fence, which may be owed by that very process.
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  emit,
  flush_work,
  if_ret,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  return_,
  ring,
  sync_file_get_fence,
  sync_file_install,
  timer,
  user,
  witness,
  work,
} from '../objects/index.ts';

export const atomicCancel = design({
  name: 'atomic-cancel',
  title: 'The waits on dma-buf should be before any hardware is modified, and so cancellation is trivial',
  sources: [
    'Chris Wilson, intel-gfx, 2016-07-14, drm/vgem: Attach sw fences to exported vGEM dma-buf (ioctl)',
    'drivers/gpu/drm/drm_atomic_helper.c, drm_atomic_helper_commit, drm_atomic_helper_wait_for_fences',
    'drivers/gpu/drm/drm_atomic_uapi.c, drivers/gpu/drm/vgem/vgem_fence.c',
    'D4.1, D4.3, D4.4, D4.6, VG-2, VG-9, VG-12, T-1, T-7',
  ],
  knobs: {
    commit_waits: ['before_the_swap', 'after_the_swap'],
    vgem_timeout: ['10s', 'none'],
  },
  kernel: ({ commit_waits, vgem_timeout }) => {
    const before = commit_waits === 'before_the_swap';
    const timed = vgem_timeout === '10s';
    const swap_state: Block = [
      dma_fence_init('flip'),
      sync_file_install('flip'), // the out-fence: from here the commit has to come to its end
      promise_passes_to('flip', 'commit_tail'),
      witness('the state is swapped'),
    ];
    return {
      objects: { locks: { 'crtc.mutex': {} }, fences: { vgem_fence: {}, flip: {} } },
      calls: {
        // DRM_IOCTL_VGEM_FENCE_ATTACH and _SIGNAL: "I am still drawing", and "I am done".
        attach: ioctl({}, [
          sync_file_get_fence('vgem_fence'), // one frame
          if_ret('0', [return_('-EBUSY')]),
          dma_fence_init('vgem_fence', timed ? 'vgem_timer' : '$me'),
          timed ? mod_timer('vgem_timer') : [],
          sync_file_install('vgem_fence'),
        ]),
        signal: ioctl({}, [
          dma_fence_is_signaled('vgem_fence'),
          if_ret('1', [return_('-ETIMEDOUT')]),
          dma_fence_signal('vgem_fence'),
        ]),
        // The client draws into the buffer that the flip takes off the screen, so it waits for the flip first.
        wait_for_flip: ioctl({}, [
          sync_file_get_fence('flip'),
          if_ret('-EBADF', [return_('-EBADF')]),
          dma_fence_wait_interruptible('flip'),
        ]),
      },
      routines: { vblank_irq: [witness('the flip is on the screen'), dma_fence_signal('$fence')] },
      threads: {
        client: user(),
        // drm_atomic_ioctl of the compositor, which shows the buffer. One flip.
        compositor: may([
          mutex_lock('crtc.mutex'),
          before
            ? [
                dma_fence_wait_interruptible('vgem_fence'),
                if_ret('-ERESTARTSYS', [
                  witness('the commit is cancelled and nothing has changed'),
                  mutex_unlock('crtc.mutex'),
                  return_('-ERESTARTSYS'),
                ]),
              ]
            : [],
          swap_state,
          queue_work('commit_tail'),
          before ? flush_work('commit_tail') : [],
          mutex_unlock('crtc.mutex'),
        ]),
        commit_tail: work([
          dma_fence_begin_signalling(),
          before ? [] : dma_fence_wait('vgem_fence'), // uninterruptible, without a timeout (D4.3)
          emit('crtc', 'scan-out', 'flip', 'vblank_irq'),
          dma_fence_end_signalling(),
        ]),
        crtc: ring(),
        // It leaves no error behind: a waiter takes the timeout for success (VG-9).
        ...(timed
          ? {
              vgem_timer: timer([
                dma_fence_is_signaled('vgem_fence'),
                if_ret('0', [witness('the timer signals in the place of the client')]),
                dma_fence_signal('vgem_fence'),
              ]),
            }
          : {}),
      },
      workload: { client: ['attach()', 'wait_for_flip()', 'signal()'] },
    };
  },
  expect: [
    {
      when: { commit_waits: 'before_the_swap', vgem_timeout: '10s' },
      acquits: true,
      witnesses: [
        'compositor waits for vgem_fence',
        'the commit is cancelled and nothing has changed',
        'the timer signals in the place of the client',
        'client waits for flip',
        'the flip is on the screen',
      ],
      because: 'the fence comes in the end, and until it does the commit can be given up',
    },
    {
      when: { commit_waits: 'after_the_swap', vgem_timeout: '10s' },
      acquits: true,
      witnesses: [
        'commit_tail waits for vgem_fence',
        'the timer signals in the place of the client',
        'client waits for flip',
        'the flip is on the screen',
      ],
      because: 'the commit cannot be given up, and need not be: the fence signals without the client (VG-2)',
    },
    {
      when: { commit_waits: 'before_the_swap', vgem_timeout: 'none' },
      convicts: ['fence-signals'],
      spares: ['no-deadlock', 'no-alloc-in-signalling', 'lock-order', 'no-livelock'],
      witnesses: [
        'compositor waits for vgem_fence',
        'the commit is cancelled and nothing has changed',
        'the flip is on the screen',
      ],
      because:
        'Wilson is right about the commit: nothing of it was published, a signal ends it, and nobody waits for it; the fence of the client still breaks its own promise (T-1)',
    },
    {
      when: { commit_waits: 'after_the_swap', vgem_timeout: 'none' },
      convicts: ['fence-signals', 'no-deadlock'],
      witnesses: ['commit_tail waits for vgem_fence', 'the state is swapped'],
      because:
        'the commit neither completes nor cancels: its out-fence, a fence of the kernel, waits for the client, and the client may wait for the flip',
    },
  ],
});
