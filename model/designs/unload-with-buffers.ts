/**
 * The driver is unloaded while the device still works with a buffer that its program has left behind. (Rusin, November
 * 2021: he would love to be able to unload vmwgfx without the kernel oopsing.)
 *
 * The last put of a busy buffer only queues its delete, which waits for the device. Nobody has a file open then, so the
 * module may go. If TTM tears its managers down before those deletes have run, the delete gives its memory back to a
 * manager that is gone (C20). A placement of the driver's own is emptied by the driver, which waits; what is in SYSTEM is
 * left to TTM.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  device_read,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  drm_dev_enter,
  emit,
  flush_work,
  goto,
  if_ret,
  label,
  return_,
  ring,
  together,
  ttm_bo_init_reserved,
  ttm_bo_populate,
  ttm_bo_put,
  ttm_bo_unreserve,
  ttm_delayed_delete,
  ttm_device_fini,
  ttm_objects,
  ttm_resource_manager_evict_all,
  ttm_resource_manager_fini,
  ttm_resource_manager_set_used,
  user,
  witness,
} from '../objects/index.ts';

/** The driver empties its own placement before it asks TTM to go; a wait there may take more than one try. */
const vmw_sys_man_fini: Block = [
  label('evict'),
  ttm_resource_manager_evict_all('bdev.PRIV'),
  if_ret('0', [], [goto('evict')]),
  ttm_resource_manager_set_used('bdev.PRIV', false),
  ttm_resource_manager_fini('bdev.PRIV'),
];

export const unloadWithBuffers = design({
  name: 'unload-with-buffers',
  title: 'Unloading with a busy buffer left: the deletes are drained before the managers are torn down',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM (commit f6be23264bba)',
    'drivers/gpu/drm/ttm/ttm_device.c, ttm_device_fini',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_release, ttm_bo_delayed_delete',
    'drivers/gpu/drm/vmwgfx/vmwgfx_system_manager.c',
    'B5.6',
    'B9.8',
    'B16.4..B16.8',
    'B17.1..B17.3',
    'B18.3',
    'B18.5',
    'C20',
    'S-B7',
  ],
  knobs: {
    teardown: ['drains_first', 'managers_first'],
    mob_in: ['private_placement', 'SYSTEM'],
  },
  kernel: ({ teardown, mob_in }) => ({
    objects: together(
      ttm_objects({
        // That a device should not work in SYSTEM at all is the claim of system-placement-fenced, not of this design.
        bos: { mob: { kref: 0, busy_in_system: mob_in === 'SYSTEM' } },
        managers: { SYSTEM: {}, PRIV: {} },
        devices: { bdev: { fini: teardown === 'drains_first' ? 'drains first' : 'managers first' } },
      }),
      { fences: { job: {} } },
    ),
    threads: { shell: user(), gpu: ring(), delete_mob: ttm_delayed_delete('mob') },
    routines: { job_done: [device_read('mob'), dma_fence_signal('$fence')] },
    calls: {
      // A program from open to exit. The shell starts what comes next when it has ended, so no file is open then.
      program: ioctl({}, [
        flush_work('delete_mob'), // one buffer at a time is enough here
        drm_dev_enter('bdev'),
        if_ret('0', [return_('-ENODEV')]),
        ttm_bo_init_reserved('mob', [mob_in === 'SYSTEM' ? 'SYSTEM' : 'PRIV']),
        ttm_bo_populate('mob'),
        device_map('mob'),
        dma_resv_reserve_fences('mob'),
        dma_fence_init('job'),
        dma_resv_add_fence('mob', 'job', 'WRITE'),
        emit('gpu', 'job', 'job', 'job_done'),
        ttm_bo_unreserve('mob'),
        ttm_bo_put('mob'),
      ]),
      rmmod: ioctl({}, [
        drm_dev_enter('bdev'),
        if_ret('0', [return_('-ENODEV')]),
        vmw_sys_man_fini,
        ttm_device_fini('bdev'),
        witness('the driver is gone'),
      ]),
    },
    workload: { shell: ['program()', 'program()', 'rmmod()'] },
  }),
  expect: [
    {
      when: { teardown: 'drains_first', mob_in: 'SYSTEM' },
      acquits: true,
      witnesses: ['the driver is gone', 'shell waits for bdev->wq', 'delete_mob waits for job'],
      because: 'the unload waits for the deletes, which wait for the device, and only then takes SYSTEM away (B17.1)',
    },
    {
      when: { mob_in: 'private_placement' },
      acquits: true,
      witnesses: ['the driver is gone', 'shell waits for job', 'delete_mob waits for job'],
      because:
        'to empty its own placement the driver waits for whatever is busy in it, before TTM is asked to go: the fix of 2021, whatever TTM does later (B9.8, B18.3)',
    },
    {
      when: { teardown: 'managers_first', mob_in: 'SYSTEM' },
      convicts: ['ttm-state'],
      spares: ['no-deadlock', 'fence-signals', 'no-stale-access'],
      witnesses: ['the driver is gone', 'delete_mob waits for job'],
      because:
        'nobody waits for the device: SYSTEM is torn down with a buffer in it, whose delete then reaches for the manager that is gone (B17.3, C20)',
    },
  ],
});
