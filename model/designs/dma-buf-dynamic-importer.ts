/**
 * A GPU that follows the moves of a buffer of another one: an importer with a callback, whose jobs have fences.
 *
 * Its mapping pins nothing. Before a move the exporter tells it, with the reservation held; from then on the mapping leads
 * to the old place, where only what was fenced before may go on, and the exporter waits for that before the place is
 * somebody else's (B-20..B-24). The next job maps anew, waits for the fence of the move, and leaves a fence of its own
 * (B-25). So the two sides owe each other one thing in each direction, and the reservation keeps the two apart (B-23).
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
  dma_buf_move_notify,
  dma_buf_pin,
  dma_buf_unmap_attachment,
  dma_buf_unpin,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  exporter,
  goto,
  if_ret,
  known_mapping,
  label,
  mark_mapping_stale,
  mutex_lock,
  mutex_unlock,
  return_,
  ring,
  user,
  witness,
} from '../objects/index.ts';

export const dmaBufDynamicImporter = design({
  name: 'dma-buf-dynamic-importer',
  title: 'An importer that follows moves owes fences for what is under way, and the exporter a call before it moves',
  sources: [
    'include/linux/dma-buf.h, drivers/dma-buf/dma-buf.c, include/linux/dma-resv.h',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c, amdgpu_dma_buf_move_notify',
    'drivers/gpu/drm/xe/xe_dma_buf.c, xe_dma_buf_move_notify',
    'B-5, B-14, B-20..B-25, B-42, R-22, R-24, I-14, I-15',
  ],
  knobs: {
    mistake: [
      'none',
      // of the exporter
      'does_not_tell',
      'tells_before_it_has_the_reservation',
      'waits_for_implicit_fences_only',
      'moves_what_is_pinned',
      // of the importer
      'callback_marks_nothing',
      'callback_locks_the_reservation',
      'job_without_a_fence',
      'does_not_wait_for_the_move',
      'leaves_it_pinned',
    ],
  },
  kernel: ({ mistake }) => {
    const if_is = (which: typeof mistake, then: Block, otherwise: Block = []): Block =>
      mistake === which ? then : otherwise;
    const tell = dma_buf_move_notify('buf');
    const early = mistake === 'tells_before_it_has_the_reservation';
    return {
      objects: {
        locks: { 'queue->lock': {}, 'crtc->lock': {} },
        resvs: { bo: {} },
        fences: { move: {}, job1: {}, job2: {} },
        dma_bufs: { buf: { ...exporter('bo', { dynamic: true, pin: 'exporter_pin' }), refs: 1 } },
        attachments: {
          gpu: { buf: 'buf', dynamic: true, invalidate: 'importer_invalidate' },
          display: { buf: 'buf', dynamic: true, invalidate: 'importer_invalidate' },
        },
      },
      threads: { app: user(), compositor: user(), other: user(), importer: ring(), copy_engine: ring() },
      routines: {
        exporter_pin: [dma_resv_wait('bo', 'KERNEL'), return_('0')],
        importer_invalidate: [
          if_is('callback_locks_the_reservation', [dma_resv_lock('bo')]),
          if_is('callback_marks_nothing', [], [mark_mapping_stale('$attach')]),
          if_is('callback_locks_the_reservation', [dma_resv_unlock('bo')]),
        ],
        job_done: [dma_buf_device_access('gpu'), dma_fence_signal('$fence')],
        move_done: [dma_buf_finish_move('buf'), dma_fence_signal('move')],
      },
      calls: {
        // Two jobs that use the buffer, with explicit fences; from import to close.
        render: ioctl({}, [
          mutex_lock('queue->lock'), // one at a time
          dma_buf_attach('gpu'),
          (['job1', 'job2'] as const).map((job) => [
            dma_resv_lock('bo'),
            known_mapping('gpu'),
            if_ret('stale', [
              witness('a job maps anew'),
              dma_buf_unmap_attachment('gpu'),
              dma_buf_map_attachment('gpu'),
            ]),
            if_ret('none', [dma_buf_map_attachment('gpu')]),
            dma_resv_reserve_fences('bo'),
            if_is('does_not_wait_for_the_move', [], [dma_resv_wait('bo', 'KERNEL')]),
            dma_fence_init(job),
            if_is('job_without_a_fence', [], [dma_resv_add_fence('bo', job, 'BOOKKEEP')]),
            emit('importer', job, job, 'job_done'),
            dma_resv_unlock('bo'),
          ]),
          dma_fence_wait('job2'), // the ring works in order
          dma_resv_lock('bo'),
          dma_buf_unmap_attachment('gpu'),
          dma_resv_unlock('bo'),
          dma_buf_detach('gpu'),
          mutex_unlock('queue->lock'),
        ]),
        // As long as it is on the screen no fence says so: a dynamic importer may pin for that (B-10).
        scan_out: ioctl({}, [
          mutex_lock('crtc->lock'), // one at a time
          dma_buf_attach('display'),
          dma_resv_lock('bo'),
          dma_buf_pin('display'),
          dma_buf_map_attachment('display'),
          dma_resv_unlock('bo'),
          dma_buf_device_access('display'),
          witness('the buffer is on the screen'),
          dma_resv_lock('bo'),
          dma_buf_unmap_attachment('display'),
          if_is('leaves_it_pinned', [], [dma_buf_unpin('display')]),
          dma_resv_unlock('bo'),
          dma_buf_detach('display'),
          mutex_unlock('crtc->lock'),
        ]),
        // Somebody else's buffer wants the room.
        evict: ioctl({}, [
          early ? tell : [],
          dma_resv_lock('bo'),
          if_is(
            'moves_what_is_pinned',
            [],
            [dma_buf_is_pinned('buf'), if_ret('1', [witness('what is pinned stays'), goto('out')])],
          ),
          early ? [] : if_is('does_not_tell', [], [tell]),
          dma_resv_wait('bo', mistake === 'waits_for_implicit_fences_only' ? 'READ' : 'BOOKKEEP'),
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
      workload: { app: ['render()'], compositor: ['scan_out()'], other: ['evict()'] },
    };
  },
  expect: [
    {
      when: { mistake: 'none' },
      acquits: true,
      witnesses: [
        'a job maps anew',
        'the buffer is moved',
        'app waits for move',
        'app waits for bo',
        'the buffer is on the screen',
        'what is pinned stays',
        'compositor waits for move',
        'other waits for job1',
        'other waits for bo',
      ],
      because:
        'the exporter tells, waits for what was fenced, and only then moves; the importer maps anew, waits for the move, and leaves a fence (B-20..B-25)',
    },
    {
      when: { mistake: 'does_not_tell' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because: 'the next job goes by the mapping that there is, to where the buffer was (B-20)',
    },
    {
      when: { mistake: 'tells_before_it_has_the_reservation' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'the importer maps anew at once: from under a job that nobody has waited for yet, and to the old place once more; only the reservation keeps call, wait and move together (B-23, B-42)',
    },
    {
      when: { mistake: 'waits_for_implicit_fences_only' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because:
        "an importer with explicit fences adds them as BOOKKEEP, which only memory management looks at: a move that asks for a writer's fences takes the buffer from under a job (B-22, R-22)",
    },
    {
      when: { mistake: 'moves_what_is_pinned' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'a scan-out has no fences to wait for; the pin is all that says that the buffer is on the screen (B-10, B-12)',
    },
    {
      when: { mistake: 'callback_marks_nothing' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because: 'the importer was told and forgot it: its next job goes by the old mapping (B-21)',
    },
    {
      when: { mistake: 'callback_locks_the_reservation' },
      convicts: ['no-deadlock'],
      spares: ['no-stale-access'],
      because: 'the exporter holds it over the call, so that the importer waits for itself on its stack (B-21)',
    },
    {
      when: { mistake: 'job_without_a_fence' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because: 'what the importer cannot stop at once the exporter can only wait for if there is a fence (B-22)',
    },
    {
      when: { mistake: 'does_not_wait_for_the_move' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because:
        'a dynamic importer is not made to wait by the map: its new mapping leads to a place where the contents are yet to come (B-14, B-25)',
    },
    {
      when: { mistake: 'leaves_it_pinned' },
      convicts: ['no-leak', 'api-contract'],
      spares: ['no-deadlock', 'no-stale-access'],
      because: 'what user space pins and never gives back is memory that nobody can move any more (B-10, B-12)',
    },
  ],
});
