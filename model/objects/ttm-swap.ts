/**
 * Swap-out: TTM takes the pages of buffers that it finds, of any device (drivers/gpu/drm/ttm/ttm_bo.c, ttm_device.c; B12).
 *
 * The driver hears of it in `swap_notify`, after which the copy is made whatever it says: the callback returns nothing,
 * so a driver that finds out here that it cannot let go has no way to say so (B12.4), unless a design lets it.
 */
import {
  type Block,
  type Instruction,
  type KernelObject,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { boRow } from './buffer.ts';
import { ttm_tt_swap_copy } from './buffer-pages.ts';
import { I_MMAP, might_sleep, probe } from './context.ts';
import { call, goto, if_ret, if_var, label, return_, set } from './flow.ts';
import { mutex_lock, mutex_unlock } from './lock.ts';
import { dma_resv_unlock } from './resv.ts';
import { PLACES, type Place, deviceOf, managerName, ttPages, ttmRow, ttmsOwn } from './ttm.ts';
import { multihop } from './ttm-bo-move.ts';
import { lru_cursor_fini, lru_cursor_next } from './ttm-evict.ts';
import { setVars, ttm_hook } from './ttm-hooks.ts';
import { cleanup_memtype_use, ttm_bo_put } from './ttm-release.ts';
import { ttm_bo_wait_ctx } from './ttm-reserve.ts';
import { onTtmBo } from './ttm-lru.ts';
import { ttm_resource_alloc, ttm_resource_free } from './ttm-resource.ts';
import { type Ctx, ERRORS, ttm_tt_swap_finish } from './ttm-tt.ts';

/** What is to be done with it: ret '-EBUSY' for nothing, 'deleted', 'elsewhere', or 'here' in `own`, which is SYSTEM (B12.3). */
const swap_wanted = instruction('ttm_bo_swap_wanted', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_tt_is_populated(${bo}->ttm)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { pin_count, type, deleted } = ttmRow(kernel, bo);
    const { tt, place } = boRow(kernel, bo);
    if (pin_count > 0 || type === 'sg' || tt !== 'populated') return returns(kernel, me, '-EBUSY');
    const own = ttmsOwn(kernel, bo);
    setVars(kernel, me, { own });
    returns(kernel, me, deleted ? 'deleted' : place === own ? 'here' : 'elsewhere');
  },
});
export const unmap_virtual = instruction('ttm_bo_unmap_virtual', (bo: string) => ({ bo }), {
  text: ({ bo }) => `ttm_bo_unmap_virtual(${bo})`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me) => {
    might_sleep(kernel, me, 'ttm_bo_unmap_virtual');
    probe(kernel, me, { object: I_MMAP, class: I_MMAP, kind: 'lock', mode: 'exclusive', try: false });
  },
});
/** ret the pages that there are to swap; '0' when the driver took them itself in swap_notify. */
const pages_left = instruction('ttm_tt_pages', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo}->ttm->num_pages`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) =>
    returns(kernel, me, boRow(kernel, bo).tt === 'populated' ? String(ttPages(kernel, bo)) : '0'),
});
const hop_refused = instruction('ttm_swap_hop_refused', (bo: string) => ({ bo }), {
  text: ({ bo }) => `WARN(${bo} needs a hop)`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    complain(kernel, me, 'B10.5', `the driver wants a hop for ${bo} on its way to swap`);
    returns(kernel, me, '-EINVAL');
  },
});
/** What the driver said in swap_notify, if anybody listens: ret '0', or its error where the callback may fail (B12.4). */
const notified = instruction('ttm_swap_notified', (bo: string) => ({ bo }), {
  text: ({ bo }) => `${bo} may go`,
  local: true,
  touches: onTtmBo,
  run: (kernel, me, { bo }) => {
    const { ret } = kernel.threads[me] as Thread;
    const refused = (ERRORS as readonly string[]).includes(ret) && deviceOf(kernel, bo)?.swap_notify_may_fail === true;
    returns(kernel, me, refused ? ret : '0');
  },
});
/** The next manager of the device whose buffers have pages, from SYSTEM upward: ret '0' with `manager`, or 'end' (B12.2). */
const next_manager = instruction('ttm_next_manager', (device: string, at: string) => ({ device, at }), {
  text: ({ device }) => `for each manager of ${device} with use_tt`,
  local: true,
  touches: ({ device }) => [['ttm_devices', device]],
  run: (kernel, me, { device, at }) => {
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as { vars: Record<string, string> };
    for (let index = Number(at); index < PLACES.length; index += 1) {
      const place = PLACES[index] as (typeof PLACES)[number];
      const name = managerName(device, place);
      const manager = kernel.managers[name];
      if (!manager || manager.state === 'gone' || !(manager.use_tt ?? place !== 'VRAM')) continue;
      Object.assign(frame.vars, { manager: name, at: String(index + 1) });
      return returns(kernel, me, '0');
    }
    returns(kernel, me, 'end');
  },
});
/** The next device in the global list: ret '0' with `device`, or 'end' (B12.1). */
const next_device = instruction('ttm_next_device', (at: string) => ({ at }), {
  text: () => 'list_for_each_entry(bdev, &glob->device_list)',
  run: (kernel, me, { at }) => {
    const frame = (kernel.threads[me] as Thread).frames.at(-1) as { vars: Record<string, string> };
    const device = kernel.ttm_globals['ttm']?.devices[Number(at)];
    Object.assign(frame.vars, { device: device ?? '', at: String(Number(at) + 1) });
    returns(kernel, me, device === undefined ? 'end' : '0');
  },
});
/** It gave something: the others come first next time (B12.1). */
const rotate = instruction('ttm_rotate_device', (device: string) => ({ device }), {
  text: ({ device }) => `list_move_tail(&${device}->device_list, &glob->device_list)`,
  run: (kernel, _me, { device }) => {
    const all = kernel.ttm_globals['ttm'] as { devices: readonly string[] };
    all.devices = [...all.devices.filter((each) => each !== device), device];
  },
});

/** Swap one buffer out, of whatever device: ret its pages, '0' when there was none, or an error (B12.1). */
export const ttm_global_swapout = (ctx: Ctx = ''): Block => [call('ttm_global_swapout', { ctx })];
export const ttm_device_swapout = (device: string, ctx: Ctx = ''): Block => [
  call('ttm_device_swapout', { device, ctx }),
];

/**
 * The buffers of `$device`, manager by manager, each reserved for this call: until one has something to show for it, or
 * says an error that is not among those `passed` over (B8.6, B12.1).
 */
export const lru_walk = (each: Instruction, passed: readonly string[]): Block => [
  set('at', '0'),
  label('manager'),
  next_manager('$device', '$at'),
  if_ret('end', [return_('0')]),
  label('next'),
  lru_cursor_next('', '$manager', 'no', '$ctx'),
  if_ret('end', [goto('manager')]),
  each,
  set('result', 'ret'),
  dma_resv_unlock('$resv'),
  ttm_bo_put('$victim'),
  if_var('result', ['0', ...passed], [goto('next')]),
  lru_cursor_fini('$manager'),
  return_('$result'),
];

export const ttmSwap: KernelObject = {
  ops: [swap_wanted, unmap_virtual, notified, pages_left, hop_refused, next_manager, next_device, rotate],
  routines: {
    ttm_global_swapout: [
      mutex_lock('ttm_global_mutex'),
      set('at', '0'),
      set('result', '0'),
      label('next'),
      next_device('$at'),
      if_ret('end', [goto('out')]),
      call('ttm_device_swapout', { device: '$device', ctx: '$ctx' }),
      set('result', 'ret'),
      if_var('result', ['0', ...ERRORS], [goto('next')]),
      rotate('$device'),
      label('out'),
      mutex_unlock('ttm_global_mutex'),
      return_('$result'),
    ],
    ttm_device_swapout: lru_walk(call('ttm_bo_swapout_cb', { bo: '$victim', ctx: '$ctx' }), [
      '-EBUSY',
      '-EALREADY',
      '-ENOMEM',
      '-ENOSPC',
    ]),
    ttm_bo_swapout_cb: [
      ttm_hook('$bo', 'eviction_valuable', { place: 'SYSTEM', evictor: '' }),
      if_ret('0', [return_('-EBUSY')]),
      swap_wanted('$bo'),
      if_ret('-EBUSY', [return_('-EBUSY')]),
      if_ret('deleted', [
        ttm_bo_wait_ctx('$bo', '$ctx'),
        if_ret('0', [], [return_('ret')]),
        pages_left('$bo'),
        set('pages', 'ret'),
        cleanup_memtype_use('$bo'),
        return_('$pages'),
      ]),
      if_ret('elsewhere', [
        ttm_resource_alloc('$bo', '$own' as Place),
        if_ret('0', [], [return_('-EBUSY')]),
        call('ttm_bo_handle_move_mem', { bo: '$bo', mem: '$own', evict: 'yes', ctx: '$ctx' }),
        if_ret(PLACES.map(multihop), [hop_refused('$bo')]),
        if_ret('0', [], [set('error', 'ret'), ttm_resource_free('$bo', '$own' as Place), return_('$error')]),
      ]),
      ttm_bo_wait_ctx('$bo', '$ctx'),
      if_ret('0', [], [return_('ret')]),
      unmap_virtual('$bo'),
      ttm_hook('$bo', 'swap_notify'),
      notified('$bo'),
      if_ret('0', [], [return_('ret')]),
      // Did the driver take the pages itself? Then there is nothing to copy.
      pages_left('$bo'),
      if_ret('0', [return_('0')]),
      ttm_tt_swap_copy('$bo'),
      if_ret('0', [ttm_tt_swap_finish('$bo')], [return_('-EBUSY')]),
    ],
  },
};
