/**
 * The atomic commit tail and the reservation of the framebuffer.
 *
 * Others may wait for fences while they hold a reservation (L-22). Once the commit has an out-fence, its tail is what
 * they wait for, so the tail may not take one, not even to read two flags (B66). prepare_fb runs before the point of
 * no return and may: it locks, reads, collects the fences of the framebuffer, and lets go (D4.1, D4.5).
 */
import { design, ioctl, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_timeout,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  drm_gpu_scheduler,
  drm_sched_entity_push_job,
  drm_sched_job_done,
  emit,
  flush_work,
  goto,
  if_ret,
  if_var,
  kmalloc,
  label,
  mutex_lock,
  mutex_unlock,
  promise_passes_to,
  queue_work,
  ring,
  sync_file_get_fence,
  sync_file_install,
  user,
  witness,
  work,
  work_a_while,
} from '../objects/index.ts';

export const commitTailResv = design({
  name: 'commit-tail-resv',
  title: 'A commit tail that takes a reservation deadlocks with those who wait for its out-fence',
  sources: [
    'dri-devel, 2020-07-22, dma-fence as memory fence',
    'drivers/gpu/drm/drm_atomic_helper.c',
    'drivers/gpu/drm/drm_atomic_uapi.c',
    'drivers/gpu/drm/vmwgfx/vmwgfx_kms.c',
    'drivers/gpu/drm/amd/display/amdgpu_dm/amdgpu_dm.c, a551438535',
    'L-22, D4.1, D4.5, D4.6, D4.9, B66',
    'cycle C5',
  ],
  knobs: { resv_taken_in: ['prepare_fb', 'commit_tail'], out_fence: ['no', 'yes'] },
  kernel: ({ resv_taken_in, out_fence }) => {
    const when_out_fence = (block: Block): Block => (out_fence === 'yes' ? block : []);
    const read_tiling_flags: Block = [
      dma_resv_lock('fb'),
      work_a_while('read the tiling flags of fb'),
      dma_resv_unlock('fb'),
    ];
    return {
      objects: {
        locks: { 'crtc.mutex': {} },
        fences: { frame1: {}, frame2: {}, flip: {}, vblank: {} },
        resvs: { fb: {} },
      },
      threads: {
        compositor: user(),
        commit_tail: work([
          // As the annotations of 2020 have it: the helper does not know whether this commit has an out-fence.
          dma_fence_begin_signalling(),
          dma_fence_wait('frame1'), // plane_state->fence
          resv_taken_in === 'commit_tail' ? read_tiling_flags : [],
          when_out_fence([promise_passes_to('flip', 'crtc')]),
          emit('crtc', 'scan-out of fb', 'vblank', 'vblank_irq'),
          dma_fence_end_signalling(),
          dma_fence_wait_timeout('vblank'), // drm_atomic_helper_wait_for_flip_done: a completion, nobody else sees it
        ]),
        crtc: ring(),
        sched: drm_gpu_scheduler('run_job', { credit_limit: 2 }),
        gpu: ring(),
        evictor: may([
          dma_resv_lock('fb'),
          dma_resv_wait('fb', 'BOOKKEEP'),
          witness('fb may be moved'),
          dma_resv_unlock('fb'),
        ]),
      },
      calls: {
        // Rendering into fb; the second frame may begin only when the first one is on the screen (explicit sync).
        render: ioctl({ frame: ['frame1', 'frame2'] }, [
          dma_resv_lock('fb'),
          sync_file_get_fence('$frame'),
          if_ret('0', [goto('out')]), // rendered already: a fence has one life
          dma_resv_reserve_fences('fb'),
          dma_fence_init('$frame'),
          dma_resv_add_fence('fb', '$frame', 'WRITE'),
          if_var('frame', 'frame2', [sync_file_get_fence('flip'), if_ret('0', [goto('in_fence')])]),
          drm_sched_entity_push_job('sched', '$frame'),
          goto('out'),
          label('in_fence'),
          drm_sched_entity_push_job('sched', '$frame', { deps: ['flip'] }),
          label('out'),
          dma_resv_unlock('fb'),
        ]),
        commit: ioctl({}, [
          mutex_lock('crtc.mutex'),
          sync_file_get_fence('frame1'), // plane_state->fence: there must be something to show
          if_ret('-EBADF', [goto('out')]),
          dma_fence_is_signaled('vblank'),
          if_ret('0', [goto('out')]), // -EBUSY: the flip before is not over (D4.2)
          when_out_fence([sync_file_get_fence('flip'), if_ret('0', [goto('out')])]),
          flush_work('commit_tail'), // stalls on the tail before (D4.2)
          kmalloc('GFP_KERNEL', 'commit'),
          resv_taken_in === 'prepare_fb' ? read_tiling_flags : [],
          dma_fence_init('vblank', 'commit_tail'),
          when_out_fence([dma_fence_init('flip'), sync_file_install('flip'), promise_passes_to('flip', 'commit_tail')]),
          queue_work('commit_tail'),
          label('out'),
          mutex_unlock('crtc.mutex'),
        ]),
      },
      routines: {
        run_job: [emit('gpu', '$job', '$job', 'frame_irq')],
        frame_irq: [drm_sched_job_done('sched', '$job')],
        vblank_irq: [when_out_fence([dma_fence_signal('flip')]), dma_fence_signal('$fence')],
      },
      workload: { compositor: ['render(frame1)', 'commit()', 'render(frame2)'] },
    };
  },
  expect: [
    {
      when: { resv_taken_in: 'commit_tail', out_fence: 'yes' },
      convicts: ['no-deadlock', 'lock-order'],
      because:
        'the evictor holds fb and waits for the frame, the frame waits for the out-fence, and the tail that owes the ' +
        'out-fence waits for fb (C5, B66, L-22)',
    },
    {
      when: { resv_taken_in: 'commit_tail', out_fence: 'no' },
      convicts: ['lock-order'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'without an out-fence no dma-fence needs the tail, so nobody can get stuck here: whoever holds fb waits for ' +
        'rendering only. But the annotated tail is a signalling section whatever the commit asked for, and lockdep sees the ' +
        'reservation taken inside it: the next commit with an out-fence has the deadlock (L-22)',
    },
    {
      when: { resv_taken_in: 'prepare_fb', out_fence: 'yes' },
      acquits: true,
      witnesses: [
        'sched waits for flip',
        'evictor waits for frame2',
        'commit_tail waits for frame1',
        'compositor waits for fb',
        'fb may be moved',
      ],
      because: 'the reservation is taken and dropped before the out-fence is published, and the tail takes none (D4.5)',
    },
    {
      when: { resv_taken_in: 'prepare_fb', out_fence: 'no' },
      acquits: true,
      witnesses: [
        'evictor waits for frame2',
        'commit_tail waits for frame1',
        'compositor waits for fb',
        'fb may be moved',
      ],
      because: 'the tail takes no reservation, and nobody waits for it but the next commit (D4.2)',
    },
  ],
});
