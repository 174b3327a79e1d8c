/**
 * The importer of a buffer whose exporter may hang: "Anyone sharing a i915 dma-buf is susceptible to all kinds of fun."
 *
 * The exporter moves the buffer with a job of its own, and the importer may not touch the new place before that job is
 * over (B-25). If the exporter guarantees an end, the importer may trust it. If not, the importer can only give up
 * its own work: a limit on the wait says nothing about the fence, and the copy may be still under way (HC-10).
 */
import { onOneMachine } from '../compose.ts';
import { type Kernel, design, must } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  delayed_work,
  dma_buf_begin_move,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_finish_move,
  dma_buf_map_attachment,
  dma_buf_move_notify,
  dma_buf_unmap_attachment_unlocked,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_timeout,
  emit,
  exporter as exporter_of,
  goto,
  if_ret,
  label,
  mod_timer,
  promise_passes_to,
  queue_work,
  reset_ring,
  ring,
  witness,
  work,
} from '../objects/index.ts';

/** What the importer does before its device uses the buffer. */
const BEFORE_USE = {
  trusts_the_fence: [dma_resv_wait('bo', 'KERNEL')],
  gives_up_its_job: [
    dma_resv_wait_timeout('bo', 'KERNEL'),
    if_ret('-EBUSY', [
      witness('the importer gives up its job'),
      dma_fence_set_error('job', '-ETIME'),
      dma_fence_signal('job'),
      goto('end'),
    ]),
  ],
  takes_it_for_signalled: [
    dma_resv_wait_timeout('bo', 'KERNEL'),
    if_ret('-EBUSY', [witness('the importer goes on without the fence')]),
  ],
} satisfies Record<string, Block>;

const shared = { resvs: { bo: {} }, dma_bufs: { buf: { ...exporter_of('bo', { dynamic: true }), refs: 1 } } };

const exporting = (hangcheck: boolean): Kernel => ({
  objects: { ...shared, fences: { move: {} } },
  routines: { move_done: [dma_buf_finish_move('buf'), dma_fence_signal('$fence')] },
  threads: {
    i915_move: must([
      dma_resv_lock('bo'),
      dma_resv_reserve_fences('bo'),
      dma_resv_wait('bo', 'BOOKKEEP'), // whatever importers still do in the old place (B-22)
      dma_buf_move_notify('buf'),
      dma_buf_begin_move('buf'),
      dma_fence_init('move'),
      dma_resv_add_fence('bo', 'move', 'KERNEL'),
      emit('i915', 'move', 'move', 'move_done'),
      hangcheck ? [promise_passes_to('move', 'hangcheck'), mod_timer('hangcheck')] : [],
      dma_resv_unlock('bo'),
    ]),
    i915: ring({ may_hang: true }),
    ...(hangcheck
      ? {
          hangcheck: delayed_work([
            dma_fence_is_signaled('move'),
            if_ret('0', [
              witness('hangcheck resets the exporter'),
              reset_ring('i915'),
              dma_buf_finish_move('buf'), // by the CPU
              dma_fence_signal('move'),
            ]),
          ]),
        }
      : {}),
  },
});

const importing = (before_use: Block): Kernel => ({
  objects: {
    ...shared,
    fences: { job: {} },
    attachments: { importer: { buf: 'buf', dynamic: true, invalidate: 'importer_move_notify', attached: true } },
  },
  routines: { importer_move_notify: [witness('the importer hears of the move')] },
  threads: {
    import: must([
      dma_resv_lock('bo'),
      dma_buf_map_attachment('importer'),
      dma_resv_reserve_fences('bo'),
      dma_fence_init('job', 'run_job_work'),
      dma_resv_add_fence('bo', 'job', 'WRITE'),
      queue_work('run_job_work'),
      dma_resv_unlock('bo'),
      dma_fence_wait('job'),
      dma_buf_unmap_attachment_unlocked('importer'),
      dma_buf_detach('importer'),
    ]),
    run_job_work: work([
      dma_fence_begin_signalling(),
      before_use,
      dma_buf_device_access('importer'),
      witness('the importer uses the buffer'),
      dma_fence_signal('job'),
      label('end'),
      dma_fence_end_signalling(),
    ]),
  },
});

export const foreignFenceUnwind = design({
  name: 'foreign-fence-unwind',
  title:
    'For drivers where it is not guaranteed that a fence signals there must be a hangcheck to force the completion',
  sources: [
    'Chris Wilson, Daniel Vetter, intel-gfx, 2016-07-14, drm/vgem: Attach sw fences to exported vGEM dma-buf (ioctl)',
    'drivers/dma-buf/dma-fence.c, drivers/dma-buf/dma-buf.c, include/linux/dma-buf.h',
    'include/drm/gpu_scheduler.h (timedout_job)',
    'HC-1, HC-9, HC-10, B-20..B-25, T-1, T-2, F-39',
  ],
  knobs: {
    exporter: ['hangcheck', 'none'],
    importer: ['trusts_the_fence', 'gives_up_its_job', 'takes_it_for_signalled'],
  },
  kernel: ({ exporter, importer }) =>
    onOneMachine({ i915: exporting(exporter === 'hangcheck'), importer: importing(BEFORE_USE[importer]) }, [
      ['bo'],
      ['buf'],
    ]),
  expect: [
    {
      when: { exporter: 'hangcheck', importer: 'trusts_the_fence' },
      acquits: true,
      witnesses: [
        'run_job_work waits for move',
        'i915_move waits for job',
        'hangcheck resets the exporter',
        'the importer hears of the move',
        'the importer uses the buffer',
      ],
      because: 'the exporter forces the completion, so that whoever waits is right to wait (T-2, HC-1)',
    },
    {
      when: { exporter: 'hangcheck', importer: 'gives_up_its_job' },
      acquits: true,
      witnesses: [
        'run_job_work waits for move',
        'the importer gives up its job',
        'hangcheck resets the exporter',
        'the importer uses the buffer',
      ],
      because: 'giving up early costs a job and nothing else: the device never comes near the buffer (HC-10)',
    },
    {
      when: { exporter: 'none', importer: 'gives_up_its_job' },
      convicts: ['fence-signals'],
      spares: ['no-stale-access', 'no-deadlock', 'api-contract'],
      witnesses: ['the importer gives up its job', 'the importer uses the buffer'],
      because: 'the importer copes, as Wilson asks of it; the fence of the exporter stays what it is (T-1)',
    },
    {
      when: { exporter: 'none', importer: 'trusts_the_fence' },
      convicts: ['fence-signals'],
      spares: ['no-stale-access'],
      witnesses: ['run_job_work waits for move'],
      because:
        'one hang of the exporter, and the importer is stuck too: its own fence, which others wait for, never signals',
    },
    {
      when: { exporter: 'hangcheck', importer: 'takes_it_for_signalled' },
      convicts: ['no-stale-access'],
      spares: ['fence-signals'],
      witnesses: ['the importer goes on without the fence'],
      because:
        'that the time is up says nothing about the copy: the device reaches a place whose contents are still on their way (HC-10, B-25)',
    },
    {
      when: { exporter: 'none', importer: 'takes_it_for_signalled' },
      convicts: ['no-stale-access', 'fence-signals'],
      because: 'both: the copy never ends, and the device does not wait for it',
    },
  ],
});
