/**
 * An empty buffer: in SYSTEM without pages, or with no resource at all? (König, November 2021)
 *
 * To get rid of limbo, a new buffer would have no place: then its first validation moves nothing, it only gets memory.
 * `bo->resource` is a pointer, so that can be said. But everybody who looks at a buffer followed that pointer without
 * a check, and nobody ever fell, since a new buffer was in SYSTEM.
 */
import { design, ioctl } from '../design.ts';
import {
  type Place,
  cpu_read,
  cpu_write,
  device_fill,
  device_map,
  device_read,
  device_unmap,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  dma_resv_wait,
  emit,
  goto,
  if_ret,
  if_var,
  label,
  resource_mem_type,
  return_,
  ring,
  together,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_bo_wait_ctx,
  ttm_objects,
  ttm_tt_state,
  user,
  witness,
} from '../objects/index.ts';

export const resourceNull = design({
  name: 'resource-null',
  title: 'A buffer without a resource instead of a SYSTEM buffer without pages, if everybody checks bo->resource',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_handle_move_mem, ttm_bo_validate',
    'drivers/gpu/drm/ttm/ttm_bo_vm.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_ttm.c, amdgpu_bo_move',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_object.c, amdgpu_bo_get_memory',
    'B2.1..B2.5',
    'B4.2',
    'B4.7',
    'B6.2',
  ],
  knobs: {
    empty_buffer: ['resource_NULL', 'SYSTEM_limbo'],
    resource_is: ['checked', 'unchecked'],
  },
  kernel: ({ empty_buffer, resource_is }) => {
    // Without a check it is an oops; what the call would do after it is left out.
    const mem_type = resource_is === 'checked' ? ttm_bo_place : resource_mem_type;
    return {
      objects: together(
        ttm_objects({
          bos: { bo: { place: empty_buffer === 'resource_NULL' ? null : 'SYSTEM', tt: 'limbo', zero_alloc: true } },
          managers: { SYSTEM: {}, VRAM: {} },
          devices: { bdev: { move: 'driver_move' } },
        }),
        { fences: { job: {} } },
      ),
      threads: { app: user(), app2: user(), top: user(), gpu: ring() },
      routines: {
        driver_move: [
          mem_type('$bo'),
          if_ret('NULL', resource_is === 'checked' ? [goto('empty')] : [return_('-EINVAL')]),
          if_ret('SYSTEM', [
            ttm_tt_state('$bo'),
            if_ret('limbo', [witness('the first validation is a move out of SYSTEM'), goto('empty')]),
          ]),
          ttm_bo_wait_ctx('$bo', '$ctx'),
          if_ret('0', [], [return_('ret')]),
          device_unmap('$bo'),
          ttm_bo_move_memcpy('$bo', '$new_mem' as Place),
          return_('ret'),
          // Nothing to move: the buffer gets memory for the first time.
          label('empty'),
          ttm_bo_move_null('$bo', '$new_mem' as Place),
          if_var('new_mem', 'VRAM', [device_fill('$bo')]),
          return_('0'),
        ],
        job_done: [device_read('bo'), dma_fence_signal('$fence')],
      },
      calls: {
        exec: ioctl({}, [
          ttm_bo_reserve('bo'),
          dma_fence_is_signaled('job'),
          if_ret('1', [
            ttm_bo_place('bo'),
            if_ret('NULL', [witness('a validation gives a buffer its first memory')]),
            ttm_bo_validate('bo', ['VRAM']),
            if_ret('0', [
              device_map('bo'),
              dma_resv_reserve_fences('bo'),
              dma_fence_init('job'),
              dma_resv_add_fence('bo', 'job', 'READ'),
              emit('gpu', 'job', 'job', 'job_done'),
            ]),
          ]),
          ttm_bo_unreserve('bo'),
        ]),
        // A CPU fault: a buffer without memory gets some where the CPU can reach it, then the program writes and reads.
        fault: ioctl({}, [
          ttm_bo_reserve('bo'),
          dma_resv_wait('bo', 'READ'),
          mem_type('bo'),
          if_ret('NULL', [
            witness('a fault meets a buffer without a resource'),
            resource_is === 'checked' ? ttm_bo_validate('bo', ['SYSTEM']) : [goto('out')],
          ]),
          ttm_bo_populate('bo'),
          if_ret('0', [cpu_read('bo'), cpu_write('bo', 'text'), cpu_read('bo')]),
          label('out'),
          ttm_bo_unreserve('bo'),
        ]),
        // Which process has how much of which memory? Anybody may ask, at any time.
        fdinfo: ioctl({}, [
          ttm_bo_reserve('bo'),
          mem_type('bo'),
          if_ret('NULL', [witness('the statistics meet a buffer without a resource')]),
          ttm_bo_unreserve('bo'),
        ]),
      },
      workload: { app: ['exec()'], app2: ['fault()'], top: ['fdinfo()', 'fdinfo()'] },
    };
  },
  expect: [
    {
      when: { empty_buffer: 'resource_NULL', resource_is: 'checked' },
      acquits: true,
      witnesses: [
        'a validation gives a buffer its first memory',
        'a fault meets a buffer without a resource',
        'the statistics meet a buffer without a resource',
      ],
      because:
        'the empty shell is on no list and takes nothing; the first validation is no move, and whoever looks at it before asks whether it is anywhere (B2.1, B2.5)',
    },
    {
      when: { empty_buffer: 'resource_NULL', resource_is: 'unchecked' },
      convicts: ['ttm-state'],
      witnesses: ['a fault meets a buffer without a resource', 'the statistics meet a buffer without a resource'],
      because:
        'bo->resource is followed way too often without a check: the move callback, the fault handler and the statistics all meet the empty shell (B2.4)',
    },
    {
      when: { empty_buffer: 'SYSTEM_limbo' },
      acquits: true,
      witnesses: ['the first validation is a move out of SYSTEM'],
      because:
        'a new buffer is in SYSTEM, so nobody needs a check; the price is that each move callback must know limbo (B2.4, B4.7)',
    },
  ],
});
