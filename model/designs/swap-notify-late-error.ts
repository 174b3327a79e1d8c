/**
 * swap_notify is the driver's last word before its pages are copied away, and it has none: it returns nothing (Hellström,
 * November 2021: at a minimum it needs to be able to return a late error).
 *
 * The device reaches `bo` in SYSTEM through its own page tables, as i915 does. When TTM swaps the buffer out, the driver
 * hears of it and unbinds. By then TTM has the lock, has waited for the fences and has unmapped the CPU. If the unbind
 * fails now, the driver can only warn: TTM copies and frees the pages, and the next job finds the buffer bound.
 */
import { design, ioctl } from '../design.ts';
import {
  cpu_read,
  device_is_mapped,
  device_map,
  device_read,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  dma_resv_wait,
  emit,
  goto,
  if_ret,
  label,
  may_go,
  return_,
  ring,
  together,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_global_swapout,
  ttm_objects,
  ttm_tt_state,
  user,
  witness,
} from '../objects/index.ts';

export const swapNotifyLateError = design({
  name: 'swap-notify-late-error',
  title: 'At a minimum, the swap_notify callback needs to be able to return a late error',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'include/drm/ttm/ttm_device.h',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_swapout_cb',
    'drivers/gpu/drm/i915/gem/i915_gem_ttm.c, i915_ttm_swap_notify',
    'B3.5',
    'B12.3..B12.5',
    'B18.4',
    'S-B1',
    'S-B2',
  ],
  knobs: {
    swap_notify: ['returns_error', 'void'],
    unbind: ['never_fails', 'sometimes_fails'],
  },
  kernel: ({ swap_notify, unbind }) => ({
    objects: together(
      ttm_objects({
        bos: { bo: { place: 'SYSTEM', tt: 'limbo', zero_alloc: true, busy_in_system: true } },
        managers: { SYSTEM: {} },
        devices: {
          bdev: { swap_notify: 'driver_swap_notify', swap_notify_may_fail: swap_notify === 'returns_error' },
        },
      }),
      { fences: { job1: {}, job2: {} } },
    ),
    threads: { app: user(), other_driver: user(), gpu: ring() },
    routines: {
      driver_swap_notify: [
        may_go('i915_gem_object_unbind()', unbind === 'never_fails' ? ['unbound'] : ['unbound', '-EBUSY']),
        if_ret('-EBUSY', [witness('the unbind fails when everything else is done'), return_('-EBUSY')]),
        device_unmap('bo'),
        return_('0'),
      ],
      job_done: [device_read('bo'), device_write('bo', '$job'), dma_fence_signal('$fence')],
    },
    calls: {
      exec: ioctl({ job: ['job1', 'job2'] }, [
        ttm_bo_reserve('bo'),
        dma_fence_is_signaled('$job'),
        if_ret('0', [goto('out')]),
        device_is_mapped('bo'),
        if_ret('0', [ttm_bo_populate('bo'), if_ret('0', [device_map('bo')], [goto('out')])]),
        dma_resv_reserve_fences('bo'),
        dma_fence_init('$job'),
        dma_resv_add_fence('bo', '$job', 'WRITE'),
        emit('gpu', '$job', '$job', 'job_done'),
        label('out'),
        ttm_bo_unreserve('bo'),
      ]),
      read: ioctl({}, [
        ttm_bo_reserve('bo'),
        dma_resv_wait('bo', 'WRITE'),
        ttm_tt_state('bo'),
        if_ret('swapped', [witness('the CPU finds the buffer swapped')]),
        ttm_bo_populate('bo'),
        if_ret('0', [cpu_read('bo')]),
        ttm_bo_unreserve('bo'),
      ]),
      populate_over_limit: ioctl({}, [ttm_global_swapout()]),
    },
    workload: {
      app: ['exec(job1)', 'exec(job2)', 'read()'],
      other_driver: ['populate_over_limit()', 'populate_over_limit()'],
    },
  }),
  expect: [
    {
      when: { unbind: 'never_fails' },
      acquits: true,
      witnesses: ['the CPU finds the buffer swapped', 'other_driver waits for job1'],
      because: 'the driver lets go of the pages before the copy, and the next job asks for them again (B12.5, B18.4)',
    },
    {
      when: { unbind: 'sometimes_fails', swap_notify: 'returns_error' },
      acquits: true,
      witnesses: [
        'the unbind fails when everything else is done',
        'the CPU finds the buffer swapped',
        'other_driver waits for job1',
      ],
      because: 'an error ends the swap-out with nothing done: the pages stay, bound and with their contents (B12.3)',
    },
    {
      when: { unbind: 'sometimes_fails', swap_notify: 'void' },
      convicts: ['no-stale-access', 'ttm-state', 'contents-kept'],
      witnesses: ['the unbind fails when everything else is done'],
      because:
        'the error has nowhere to go: TTM copies the pages and frees them while the device is still bound to them (B12.4)',
    },
  ],
});
