/**
 * From one container to another: a point to another syncobj, a fence to a sync_file and back (drivers/gpu/drm/drm_syncobj.c;
 * SO-11, SO-12).
 */
import { type Block, type KernelObject, instruction, returns } from '../machine.ts';
import { dma_fence_chain_alloc } from './fence-chain.ts';
import { dma_fence_unwrap_merge } from './fence-unwrap.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { fd_install, sync_file_create, sync_file_fence } from './sync-file.ts';
import { drm_syncobj_find_fence } from './syncobj-find.ts';
import { type Point, drm_syncobj_add_point } from './syncobj-timeline.ts';
import { drm_syncobj_replace_fence, handlesRefused } from './syncobj.ts';

/** TRANSFER a point to another object's point, or to a whole object with point 0 (SO-11). */
export const drm_syncobj_transfer = (to: Point, from: Point, flags = '0'): Block => [
  call('drm_syncobj_ioctl_transfer', {
    to: to[0],
    to_point: `${to[1]}`,
    from: from[0],
    from_point: `${from[1]}`,
    flags,
  }),
];
/** Export as a sync_file: a snapshot; what happens to the object later does not matter to it (SO-12). */
export const drm_syncobj_export_sync_file = (obj: string, file: string): Block => [
  call('drm_syncobj_ioctl_export', { obj, file }),
];
/** Import a sync_file's fence: replaces the fence, or adds a point (SO-12). */
export const drm_syncobj_import_sync_file = (obj: string, file: string, point: number | string = 0): Block => [
  call('drm_syncobj_ioctl_import', { obj, file, point: `${point}` }),
];
const handle_checks = instruction('handle_checks', (objs: readonly string[]) => ({ objs }), {
  text: ({ objs }) => `drm_syncobj_find(${objs.join(', ')})`,
  run: (kernel, me, { objs }) => returns(kernel, me, handlesRefused(kernel, objs) ?? '0'),
});

const errors = ['-EINVAL', '-ENOENT', '-ETIME', '-ERESTARTSYS'];
const add_what_was_found: Block = [
  dma_fence_chain_alloc(),
  set('node', 'ret'),
  if_var('node', 'NULL', [return_('-ENOMEM')]),
];

export const syncobjTransfer: KernelObject = {
  ops: [handle_checks],
  routines: {
    drm_syncobj_ioctl_transfer: [
      handle_checks(['$to']),
      if_ret(errors, [return_('ret')]),
      drm_syncobj_find_fence('$from', '$from_point', '$flags'),
      if_ret(errors, [return_('ret')]),
      set('found', 'ret'),
      if_var('to_point', '0', [drm_syncobj_replace_fence('$to', '$found'), return_('0')]),
      // No chain may end up as the payload of a node, so what was found is flattened first.
      dma_fence_unwrap_merge('$found'),
      set('flat', 'ret'),
      if_var('flat', 'NULL', [return_('-ENOMEM')]),
      add_what_was_found,
      drm_syncobj_add_point('$to', '$node', '$flat', '$to_point'),
      return_('0'),
    ],
    drm_syncobj_ioctl_export: [
      drm_syncobj_find_fence('$obj'),
      if_ret(errors, [return_('ret')]),
      set('found', 'ret'),
      sync_file_create('$file', '$found'),
      fd_install('$file'),
      return_('0'),
    ],
    drm_syncobj_ioctl_import: [
      handle_checks(['$obj']),
      if_ret(errors, [return_('ret')]),
      sync_file_fence('$file'),
      set('found', 'ret'),
      if_var('found', 'NULL', [return_('-EINVAL')]),
      if_var('point', '0', [drm_syncobj_replace_fence('$obj', '$found'), return_('0')]),
      add_what_was_found,
      drm_syncobj_add_point('$obj', '$node', '$found', '$point'),
      return_('0'),
    ],
  },
};
