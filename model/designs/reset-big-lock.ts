/**
 * One lock for everything, and waits that hold it: then a reset can never take it.
 *
 * The hang check declares the engine hung and resets it under the driver's big lock. Whoever waits for a request of that
 * engine with the lock held will wait until somebody gets the engine going again, which takes the lock. i915's way out
 * was to break the waits and restart them: the reset first says that it is coming, every waiter sees it, drops the lock
 * and starts over, and only then is the lock taken (C7, D2.2, D2.3). It works as long as every wait can be broken.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  del_timer,
  delayed_work,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  emit,
  if_ret,
  mod_timer,
  mutex_lock,
  mutex_unlock,
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
} from '../objects/index.ts';

export const resetBigLock = design({
  name: 'reset-big-lock',
  title: 'Waits that hold the lock which the reset needs must be broken before it is taken',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/i915 (struct_mutex, i915_gem_wait_for_error, i915_reset), 2010..2017',
    'D2.1..D2.3, D2.8, HC-1, HC-2',
    'cycle C7',
  ],
  knobs: {
    waits_hold_the_lock: ['no', 'yes'],
    waits_can_be_broken: ['yes', 'no'],
  },
  kernel: ({ waits_hold_the_lock, waits_can_be_broken }) => {
    const under_lock = waits_hold_the_lock === 'yes';
    const locked = (body: Block): Block =>
      under_lock ? [mutex_lock('struct_mutex'), body, mutex_unlock('struct_mutex')] : body;
    const wait: Block =
      waits_can_be_broken === 'yes'
        ? [
            locked([wait_event(['request', 'reset_in_progress'])]),
            dma_fence_is_signaled('request'),
            if_ret('0', [witness('a wait is broken and starts over'), dma_fence_wait('request')]),
          ]
        : locked([dma_fence_wait('request')]);
    return {
      objects: {
        locks: { struct_mutex: {} },
        reset_domains: { gpu: { rings: ['render'] } },
        fences: {
          request: {},
          // The mark that a reset is coming: nobody promises that there ever is one.
          reset_in_progress: { initialised: true, promisedBy: 'hangcheck' },
        },
      },
      calls: {
        execbuffer: ioctl({}, [
          mutex_lock('struct_mutex'),
          dma_fence_is_signaled('request'), // room for one request
          if_ret('0', [mutex_unlock('struct_mutex'), return_('-EBUSY')]),
          dma_fence_init('request'),
          sync_file_install('request'),
          mod_timer('hangcheck'),
          emit('render', 'batch', 'request', 'user_interrupt'),
          mutex_unlock('struct_mutex'),
          return_('0'),
        ]),
        wait: ioctl({}, [wait, return_('0')]),
      },
      routines: { user_interrupt: [del_timer('hangcheck'), dma_fence_signal('request')] },
      threads: {
        user0: user(),
        user1: user(),
        render: ring({ may_hang: true, reset_by: 'hangcheck' }),
        hangcheck: delayed_work([
          dma_fence_is_signaled('request'),
          if_ret('1', [return_('0')]),
          witness('the engine hangs'),
          waits_can_be_broken === 'yes' ? dma_fence_signal('reset_in_progress') : [],
          mutex_lock('struct_mutex'),
          reset_begin('gpu'),
          reset_hardware('gpu'),
          reset_force_completion('gpu', '-EIO'),
          reset_end('gpu'),
          mutex_unlock('struct_mutex'),
        ]),
      },
      workload: { user0: ['execbuffer()', 'wait()'], user1: ['wait()'] },
    };
  },
  expect: [
    {
      when: { waits_hold_the_lock: 'yes', waits_can_be_broken: 'no' },
      convicts: ['fence-signals', 'no-deadlock'],
      because:
        'the waiter holds the lock until the engine goes on, and the hang check wants that lock to reset it (C7)',
    },
    {
      when: { waits_hold_the_lock: 'yes', waits_can_be_broken: 'yes' },
      acquits: true,
      witnesses: ['a wait is broken and starts over', 'the engine hangs', 'hangcheck waits for struct_mutex'],
      because:
        'whoever waits sees that a reset is coming, lets go of the lock and starts over: it is one driver (D2.3)',
    },
    {
      when: { waits_hold_the_lock: 'no', waits_can_be_broken: 'yes' },
      acquits: true,
      witnesses: ['a wait is broken and starts over', 'the engine hangs'],
      because: 'nobody keeps the lock from the reset; that waits can be broken is needless, and does no harm',
    },
    {
      when: { waits_hold_the_lock: 'no', waits_can_be_broken: 'no' },
      acquits: true,
      witnesses: ['the engine hangs'],
      because: 'the lock is never held across a wait, so the reset gets it (D2.2)',
    },
  ],
});
