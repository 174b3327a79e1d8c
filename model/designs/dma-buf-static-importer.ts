/**
 * A camera that writes into a buffer of a GPU: an importer that cannot follow a move, so that a mapping is a pin.
 *
 * It has no callback, and none of its accesses has a fence. What keeps the storage where it is, is the pin that comes with
 * each mapping; what makes sure that it is there already, is that the pin, and after it the map, wait for moves under way,
 * with the reservation held and for as long as it takes (B-11, B-13). So an exporter leaves alone what is pinned, its
 * moves end without that reservation, and the importer maps for as long as it works and no longer (B-17).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_buf_attach,
  dma_buf_begin_move,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_finish_move,
  dma_buf_is_pinned,
  dma_buf_map_attachment,
  dma_buf_map_attachment_unlocked,
  dma_buf_move_notify,
  dma_buf_unmap_attachment,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  exporter,
  goto,
  if_ret,
  if_var,
  label,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  return_,
  ring,
  set,
  user,
  witness,
  work,
} from '../objects/index.ts';

const locked = (body: Block): Block => [dma_resv_lock('bo'), body, dma_resv_unlock('bo')];

export const dmaBufStaticImporter = design({
  name: 'dma-buf-static-importer',
  title: 'An importer that cannot follow a move maps under the reservation, which pins the buffer until it unmaps',
  sources: [
    'include/linux/dma-buf.h, drivers/dma-buf/dma-buf.c',
    'drivers/media/common/videobuf2/videobuf2-dma-contig.c',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c, amdgpu_dma_buf_pin',
    'B-3b, B-6, B-7, B-10..B-18, B-24, B-43, I-14, I-15',
  ],
  knobs: {
    mistake: [
      'none',
      // of the exporter
      'moves_what_is_pinned',
      'pins_before_the_move_is_over',
      'ends_the_move_under_the_reservation',
      // of the importer
      'maps_without_the_reservation',
      'maps_unlocked_under_the_reservation',
      'goes_on_after_unmapping',
      'detaches_while_mapped',
    ],
  },
  kernel: ({ mistake }) => {
    const if_is = (which: typeof mistake, then: Block, otherwise: Block = []): Block =>
      mistake === which ? then : otherwise;
    const late = mistake === 'ends_the_move_under_the_reservation';
    const map: Block = [
      if_is(
        'maps_unlocked_under_the_reservation',
        [dma_buf_map_attachment_unlocked('camera')],
        [dma_buf_map_attachment('camera')],
      ),
      set('mapped', 'ret'),
    ];
    return {
      objects: {
        locks: { 'queue->lock': {} },
        resvs: { bo: {} },
        fences: { move: {} },
        dma_bufs: { buf: { ...exporter('bo', { dynamic: true, pin: 'exporter_pin' }), refs: 1 } },
        attachments: { camera: { buf: 'buf' } },
      },
      threads: {
        app: user(),
        other: user(),
        copy_engine: ring(),
        ...(late ? { move_work: work(locked([dma_buf_finish_move('buf'), dma_fence_signal('move')])) } : {}),
      },
      routines: {
        exporter_pin: [if_is('pins_before_the_move_is_over', [], [dma_resv_wait('bo', 'KERNEL')]), return_('0')],
        move_done: late
          ? [promise_passes_to('move', 'move_work'), queue_work('move_work')]
          : [dma_buf_finish_move('buf'), dma_fence_signal('move')],
      },
      calls: {
        // One frame, from import to close.
        capture: ioctl({}, [
          mutex_lock('queue->lock'), // one at a time
          dma_buf_attach('camera'),
          mistake === 'maps_without_the_reservation' ? map : locked(map),
          if_var('mapped', '0', [
            dma_buf_device_access('camera'),
            witness('the camera has written a frame'),
            if_is('detaches_while_mapped', [], locked([dma_buf_unmap_attachment('camera')])),
            if_is('goes_on_after_unmapping', [dma_buf_device_access('camera')]),
          ]),
          dma_buf_detach('camera'),
          if_is('detaches_while_mapped', locked([dma_buf_unmap_attachment('camera')])),
          mutex_unlock('queue->lock'),
          return_('$mapped'),
        ]),
        // Somebody else's buffer wants the room.
        evict: ioctl({}, [
          dma_resv_lock('bo'),
          if_is(
            'moves_what_is_pinned',
            [],
            [dma_buf_is_pinned('buf'), if_ret('1', [witness('what is pinned stays'), goto('out')])],
          ),
          dma_resv_wait('bo', 'BOOKKEEP'),
          dma_buf_move_notify('buf'),
          dma_resv_reserve_fences('bo'),
          dma_buf_begin_move('buf'),
          dma_fence_init('move'),
          dma_resv_add_fence('bo', 'move', 'KERNEL'),
          emit('copy_engine', 'move', 'move', 'move_done'),
          witness('the buffer is moved'),
          label('out'),
          dma_resv_unlock('bo'),
        ]),
      },
      workload: { app: ['capture()', 'capture()'], other: ['evict()'] },
    };
  },
  expect: [
    {
      when: { mistake: 'none' },
      acquits: true,
      witnesses: [
        'the camera has written a frame',
        'the buffer is moved',
        'what is pinned stays',
        'app waits for move',
        'app waits for bo',
      ],
      because:
        'a mapping is a pin, and a pin waits for the move under way: from map to unmap the storage is there and stays (B-11..B-13)',
    },
    {
      when: { mistake: 'moves_what_is_pinned' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because: 'nobody tells a static importer, and no fence says that it is still at work (B-12, I-15)',
    },
    {
      when: { mistake: 'pins_before_the_move_is_over' },
      convicts: ['api-contract'],
      spares: ['no-stale-access'],
      witnesses: ['app waits for move'],
      because:
        'pin promises that the buffer can be reached (B-11); a map of this kind waits once more for the fences of the kernel and is saved by that (B-13), a scan-out that only pins would not be',
    },
    {
      when: { mistake: 'ends_the_move_under_the_reservation' },
      convicts: ['no-deadlock', 'fence-signals', 'lock-order'],
      spares: ['no-stale-access'],
      because:
        'whoever waits for the move holds the reservation, a map that pins as well as the next eviction, and the worker that owes the fence waits for it (B-13, L-22)',
    },
    {
      when: { mistake: 'maps_without_the_reservation' },
      convicts: ['api-contract', 'no-stale-access'],
      spares: ['no-deadlock'],
      because:
        'the exporter has seen that nothing is pinned and moves the buffer, while the importer pins and maps it (B-23, B-43)',
    },
    {
      when: { mistake: 'maps_unlocked_under_the_reservation' },
      convicts: ['no-deadlock'],
      because: 'the unlocked variant takes the reservation that its caller holds (B-16)',
    },
    {
      when: { mistake: 'goes_on_after_unmapping' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because: 'the address is good for as long as the mapping is there, and the pin ends with it (B-15, B-17)',
    },
    {
      when: { mistake: 'detaches_while_mapped' },
      convicts: ['api-contract'],
      spares: ['no-stale-access', 'no-deadlock'],
      because:
        'mappings are gone before the attachment goes: what unmaps it later reaches for one that was freed (B-7)',
    },
  ],
});
