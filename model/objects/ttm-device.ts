/**
 * A device of TTM comes and goes (drivers/gpu/drm/ttm/ttm_device.c; B17).
 *
 * At the end the order is everything: first every delayed delete runs to completion, which waits for fences, and only
 * then the managers go (up to 6.1 it was the other way round). A buffer that is still in a manager afterwards reaches for memory that is no more (C20, S-B7).
 */
import { type Block, type KernelObject, type KernelState, type Row, instruction, returns } from '../machine.ts';
import { boRow } from './buffer.ts';
import { freePages } from './buffer-pages.ts';
import { might_sleep } from './context.ts';
import { call, if_ret } from './flow.ts';
import { mutex_lock, mutex_unlock } from './lock.ts';
import { type TtmDeviceRow, type TtmGlobalRow, managerName } from './ttm.ts';
import { stillDeleting } from './ttm-release.ts';
import { ttm_resource_manager_fini, ttm_resource_manager_set_used } from './ttm-resource.ts';

const onDevice = ({ device }: { device: string }): [['ttm_devices', string]] => [['ttm_devices', device]];
const rowOf = (kernel: KernelState, device: string): TtmDeviceRow => kernel.ttm_devices[device] as TtmDeviceRow;

/** ret '0', or '-EINVAL' without a manager of mmap offsets. SYSTEM is there from the start, and in use. */
const device_init = instruction('ttm_device_init_locked', (device: string) => ({ device }), {
  text: ({ device }) => `list_add_tail(&${device}->device_list, &glob->device_list)`,
  touches: onDevice,
  run: (kernel, me, { device }) => {
    const row = rowOf(kernel, device);
    if (!row.vma_manager) return returns(kernel, me, '-EINVAL');
    row.state = 'live';
    const system = kernel.managers[managerName(device, 'SYSTEM')];
    if (system) system.state = 'used';
    const all = kernel.ttm_globals['ttm'];
    if (all && !all.devices.includes(device)) all.devices = [...all.devices, device];
    returns(kernel, me, '0');
  },
});
const leave = instruction('ttm_device_list_del', (device: string) => ({ device }), {
  text: ({ device }) => `list_del(&${device}->device_list)`,
  touches: onDevice,
  run: (kernel, _me, { device }) => {
    const all = kernel.ttm_globals['ttm'];
    if (all) all.devices = all.devices.filter((each) => each !== device);
  },
});
/** Wait until every delayed delete has run: each of them waits for the fences of its buffer (B17.1). */
export const ttm_drain_workqueue = instruction('ttm_drain_workqueue', (device: string) => ({ device }), {
  text: ({ device }) => `drain_workqueue(${device}->wq)`,
  touches: onDevice,
  waits: (kernel, _me, { device }) => {
    const owedBy = stillDeleting(kernel, device);
    return owedBy.length === 0
      ? undefined
      : {
          on: 'work',
          object: `${device}->wq`,
          owedBy,
          because: `${owedBy.join(', ')} still deletes a buffer of ${device}`,
        };
  },
  run: (kernel, me) => might_sleep(kernel, me, 'drain_workqueue'),
});
const gone = instruction('ttm_device_gone', (device: string) => ({ device }), {
  text: ({ device }) => `ttm_pool_fini(&${device}->pool)`,
  touches: onDevice,
  run: (kernel, me, { device }) => {
    rowOf(kernel, device).state = 'gone';
    const pool = kernel.page_pools[device];
    if (pool) Object.assign(pool, { lists: {}, state: 'gone' });
    returns(kernel, me, '0');
  },
});
/** The device was unplugged: no tt of it may keep a DMA address (B17.4). */
export const ttm_device_clear_dma_mappings = instruction(
  'ttm_device_clear_dma_mappings',
  (device: string) => ({ device }),
  {
    text: ({ device }) => `ttm_device_clear_dma_mappings(${device})`,
    touches: onDevice,
    run: (kernel, me, { device }) => {
      for (const [bo, row] of Object.entries(kernel.ttm_bos))
        if (row.device === device && boRow(kernel, bo).tt === 'populated') freePages(kernel, me, bo, 'limbo');
    },
  },
);

/** Is the device there for whoever comes from user space? ret '1', or '0' once it is gone. */
export const drm_dev_enter = instruction('drm_dev_enter', (device: string) => ({ device }), {
  text: ({ device }) => `drm_dev_enter(${device})`,
  touches: onDevice,
  run: (kernel, me, { device }) => returns(kernel, me, rowOf(kernel, device).state === 'live' ? '1' : '0'),
});
const fini_order = instruction('ttm_device_fini_order', (device: string) => ({ device }), {
  text: () => '',
  local: true,
  touches: onDevice,
  run: (kernel, me, { device }) => returns(kernel, me, rowOf(kernel, device).fini),
});

export const ttm_device_init = (device: string): Block => [
  mutex_lock('ttm_global_mutex'),
  device_init(device),
  mutex_unlock('ttm_global_mutex'),
];
/** The driver has emptied its own managers before (B17.2). */
export const ttm_device_fini = (device: string): Block => [
  call('ttm_device_fini', { device, system: managerName(device, 'SYSTEM') }),
];

const managers_go: Block = [ttm_resource_manager_set_used('$system', false), ttm_resource_manager_fini('$system')];

/** One list of devices and one count of pages for all drivers (ttm_glob). */
const glob = (one: Row, other: Row): Row => {
  const [a, b] = [one, other] as [TtmGlobalRow, TtmGlobalRow];
  return {
    devices: [...a.devices, ...b.devices],
    pages_allocated: a.pages_allocated + b.pages_allocated,
    pages_limit: a.pages_limit + b.pages_limit,
  };
};

export const ttmDevice: KernelObject = {
  one: { ttm: glob, ttm_global_mutex: undefined },
  ops: [device_init, drm_dev_enter, leave, fini_order, ttm_drain_workqueue, gone, ttm_device_clear_dma_mappings],
  routines: {
    ttm_device_fini: [
      mutex_lock('ttm_global_mutex'),
      leave('$device'),
      mutex_unlock('ttm_global_mutex'),
      fini_order('$device'),
      if_ret(
        'drains first',
        [ttm_drain_workqueue('$device'), managers_go],
        [managers_go, ttm_drain_workqueue('$device')],
      ),
      gone('$device'),
    ],
  },
};
