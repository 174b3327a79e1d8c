/**
 * A reset that must restore the display wants the modeset locks, and whoever holds those waits for the engine.
 *
 * A commit waits for the rendering of its frame with the modeset locks held. If the reset takes these locks before it
 * completes the fences of the engine it has reset, the two wait for each other (C6). Old hardware cannot be reset without
 * them; there, i915 breaks every wait for one of its requests and starts it over, so that the locks come free. That
 * ends where a second GPU renders the frame: the commit then waits for the fence of another driver, which no reset of
 * this one can break, and that driver's job waits for the request that hangs.
 */
import { onOneMachine } from '../compose.ts';
import { type Kernel, design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  del_timer,
  delayed_work,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_timeout,
  emit,
  goto,
  if_ret,
  label,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  reset_begin,
  reset_end,
  reset_force_completion,
  reset_hardware,
  return_,
  ring,
  sync_file_install,
  user,
  wait_event,
  witness,
  work,
} from '../objects/index.ts';

type Reset = 'completes_fences_first' | 'breaks_waits_first' | 'takes_modeset_locks_first';

/** intel_display_reset_prepare, dm_suspend: the display goes through the reset, and nobody may commit meanwhile. */
const with_modeset_locks = (body: Block): Block => [
  mutex_lock('crtc.mutex'),
  body,
  witness('the reset restores the display'),
  mutex_unlock('crtc.mutex'),
];
const reset_engine: Block = [reset_hardware('gpu'), reset_force_completion('gpu', '-EIO')];
/** Nothing new is submitted until it is over (HC-3): what waits for the locks waits for what was there before. */
const reset_gpu = (body: Block): Block => [
  mutex_lock('reset_lock'),
  reset_begin('gpu'),
  body,
  reset_end('gpu'),
  mutex_unlock('reset_lock'),
];
const RESET: Record<Reset, Block> = {
  completes_fences_first: reset_gpu([reset_engine, with_modeset_locks([])]),
  breaks_waits_first: [dma_fence_signal('reset_in_progress'), reset_gpu(with_modeset_locks(reset_engine))],
  takes_modeset_locks_first: reset_gpu(with_modeset_locks(reset_engine)),
};

/** The card with the display: it renders, resets and commits; `shown` is the fence of the frame. */
const display_card = (reset: Reset, shown: 'request' | 'frame', bounded: boolean): Kernel => {
  const stuck: Block = [witness('the commit gives up its wait'), mutex_unlock('crtc.mutex'), return_('-EBUSY')];
  // Only waits for requests of its own can be broken.
  const wait: Block = bounded
    ? [dma_fence_wait_timeout(shown), if_ret('0', stuck)]
    : reset === 'breaks_waits_first' && shown === 'request'
      ? [
          wait_event([shown, 'reset_in_progress']),
          dma_fence_is_signaled(shown),
          if_ret('0', [
            witness('the wait of the commit is broken'),
            mutex_unlock('crtc.mutex'),
            dma_fence_wait(shown),
            goto('again'),
          ]),
        ]
      : [dma_fence_wait(shown)];
  return {
    objects: {
      locks: { 'crtc.mutex': {}, reset_lock: {} },
      reset_domains: { gpu: { rings: ['render'] } },
      fences: {
        request: {},
        // The mark that a reset is coming: nobody promises that there ever is one.
        ...(reset === 'breaks_waits_first'
          ? { reset_in_progress: { initialised: true, promisedBy: 'hangcheck' } }
          : {}),
      },
    },
    calls: {
      execbuffer: ioctl({}, [
        mutex_lock('reset_lock'),
        dma_fence_is_signaled('request'), // room for one request
        if_ret('0', [mutex_unlock('reset_lock'), return_('-EBUSY')]),
        dma_fence_init('request'),
        sync_file_install('request'),
        mod_timer('hangcheck'),
        emit('render', 'batch', 'request', 'user_interrupt'),
        mutex_unlock('reset_lock'),
        return_('0'),
      ]),
      commit: ioctl({}, [
        label('again'),
        mutex_lock('crtc.mutex'),
        wait,
        witness('the frame is shown'),
        mutex_unlock('crtc.mutex'),
        return_('0'),
      ]),
    },
    routines: { user_interrupt: [del_timer('hangcheck'), dma_fence_signal('request')] },
    threads: {
      client: user(),
      compositor: user(),
      render: ring({ may_hang: true, reset_by: 'hangcheck' }),
      hangcheck: delayed_work([
        dma_fence_is_signaled('request'),
        if_ret('1', [return_('0')]),
        witness('the engine hangs'),
        RESET[reset],
      ]),
    },
    workload: { client: ['execbuffer()'], compositor: ['commit()'] },
  };
};

/** The card without one: its job reads what the other card has rendered, and renders the frame. */
const render_card: Kernel = {
  objects: { locks: { job_lock: {} }, fences: { request: {}, frame: {} } },
  calls: {
    render_frame: ioctl({}, [
      mutex_lock('job_lock'),
      dma_fence_is_signaled('frame'), // room for one frame
      if_ret('0', [mutex_unlock('job_lock'), return_('-EBUSY')]),
      dma_fence_init('frame', 'run_job_work'),
      sync_file_install('frame'),
      queue_work('run_job_work'),
      mutex_unlock('job_lock'),
      return_('0'),
    ]),
  },
  routines: { frame_irq: [dma_fence_signal('frame')] },
  threads: {
    offload: user(),
    run_job_work: work([
      dma_fence_begin_signalling(),
      dma_fence_wait('request'),
      emit('gfx', 'frame_job', 'frame', 'frame_irq'),
      promise_passes_to('frame', 'gfx'),
      dma_fence_end_signalling(),
    ]),
    gfx: ring(),
  },
  workload: { offload: ['render_frame()'] },
};

export const resetAndModeset = design({
  name: 'reset-and-modeset',
  title: 'A reset must not take the modeset locks before it has completed the fences that their holders wait for',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/i915/display/intel_display_reset.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_device.c, amdgpu_device_gpu_recover',
    'D2.3, HC-1, HC-2, HC-9',
    'cycle C6',
  ],
  knobs: {
    reset: ['completes_fences_first', 'breaks_waits_first', 'takes_modeset_locks_first'],
    commit_waits: ['bounded', 'unbounded'],
    machine: ['one_gpu', 'two_gpus'],
  },
  kernel: ({ reset, commit_waits, machine }) => {
    const bounded = commit_waits === 'bounded';
    return machine === 'one_gpu'
      ? display_card(reset, 'request', bounded)
      : onOneMachine({ card0: display_card(reset, 'frame', bounded), card1: render_card }, [['request']]);
  },
  expect: [
    {
      when: { reset: 'takes_modeset_locks_first', commit_waits: 'unbounded' },
      convicts: ['no-deadlock', 'fence-signals'],
      because:
        'the commit holds the modeset locks until the engine goes on, and the reset wants them before it makes it go on (C6)',
    },
    {
      when: { reset: 'breaks_waits_first', commit_waits: 'unbounded', machine: 'two_gpus' },
      convicts: ['no-deadlock', 'fence-signals'],
      because:
        'the commit waits for the fence of another driver, which this reset cannot break; the job behind it waits for the request that hangs',
    },
    {
      when: { reset: 'breaks_waits_first', commit_waits: 'unbounded', machine: 'one_gpu' },
      acquits: true,
      witnesses: ['the wait of the commit is broken', 'the reset restores the display', 'the frame is shown'],
      because:
        'every wait under the modeset locks is for a request of this driver, and lets go of them when told (D2.3)',
    },
    {
      when: { reset: 'completes_fences_first', commit_waits: 'unbounded' },
      acquits: true,
      witnesses: ['hangcheck waits for crtc.mutex', 'the reset restores the display', 'the frame is shown'],
      because:
        'whoever holds the locks gets the fence that is waited for, whosever it is, and gives the locks back (HC-1)',
    },
    {
      when: { commit_waits: 'bounded' },
      acquits: true,
      witnesses: ['the commit gives up its wait', 'the reset restores the display', 'the frame is shown'],
      because: 'a wait with a limit gives the locks back in the end, at the price of a frame that is not shown',
    },
  ],
});
