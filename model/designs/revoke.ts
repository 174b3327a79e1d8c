/**
 * A device takes its memory back for good while other devices have it mapped: vfio, when its bus memory is switched off.
 *
 * A move asks importers to come again; a revoke tells them that there is nothing to come for. It is a move without another
 * end: with the reservation held the importers are told, every later map says -ENODEV, and what was fenced is waited for
 * (B-20..B-24). It may not fail, and it cannot wait for user space. So nobody may pin such a buffer, which keeps importers
 * out that cannot follow a move at all (B-13); and an importer has to take no for an answer when it maps anew.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_buf_attach,
  dma_buf_detach,
  dma_buf_device_access,
  dma_buf_finish_move,
  dma_buf_map_attachment,
  dma_buf_move_notify,
  dma_buf_revoke,
  dma_buf_unmap_attachment,
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
  if_var,
  known_mapping,
  label,
  mark_mapping_stale,
  mutex_lock,
  mutex_unlock,
  return_,
  ring,
  set,
  user,
  witness,
} from '../objects/index.ts';

const locked = (body: Block): Block => [dma_resv_lock('bo'), body, dma_resv_unlock('bo')];
const unmap = (attach: string): Block => [
  known_mapping(attach),
  if_ret(['good', 'stale'], [dma_buf_unmap_attachment(attach)]),
];

export const revoke = design({
  name: 'revoke',
  title:
    'Memory that can be revoked is never pinned, and a revoke tells, refuses and waits in one hold of the reservation',
  sources: [
    'drivers/vfio/pci/vfio_pci_dmabuf.c',
    'include/linux/dma-buf.h, drivers/dma-buf/dma-buf.c',
    'drivers/infiniband/core/umem_dmabuf.c',
    'B-10, B-12, B-13, B-20..B-25, I-14, I-15',
  ],
  knobs: {
    mistake: [
      'none',
      // of the exporter
      'lets_importers_pin',
      'does_not_tell',
      'refuses_too_late',
      'does_not_wait',
      // of the importer
      'job_without_a_fence',
      'goes_on_without_a_mapping',
    ],
  },
  kernel: ({ mistake }) => {
    const if_is = (which: typeof mistake, then: Block, otherwise: Block = []): Block =>
      mistake === which ? then : otherwise;
    const tell = if_is('does_not_tell', [], [dma_buf_move_notify('buf')]);
    const wait = if_is('does_not_wait', [], [dma_resv_wait('bo', 'BOOKKEEP')]);
    return {
      objects: {
        locks: { 'queue->lock': {}, memory_lock: {} },
        resvs: { bo: {} },
        fences: { job1: {}, job2: {} },
        dma_bufs: { buf: { ...exporter('bo', { dynamic: true, pin: 'exporter_pin' }), refs: 1 } },
        attachments: { gpu: { buf: 'buf', dynamic: true, invalidate: 'importer_invalidate' }, camera: { buf: 'buf' } },
      },
      threads: { app: user(), app2: user(), vmm: user(), importer: ring() },
      routines: {
        exporter_pin: [return_(mistake === 'lets_importers_pin' ? '0' : '-EOPNOTSUPP')],
        importer_invalidate: [mark_mapping_stale('$attach')],
        job_done: [dma_buf_device_access('gpu'), dma_fence_signal('$fence')],
      },
      calls: {
        // Two jobs that use the buffer, with explicit fences; from import to close.
        render: ioctl({}, [
          set('error', '0'),
          mutex_lock('queue->lock'), // one at a time
          dma_buf_attach('gpu'),
          (['job1', 'job2'] as const).map((job) => [
            dma_resv_lock('bo'),
            known_mapping('gpu'),
            if_ret('stale', [
              witness('a job finds its mapping revoked'),
              dma_buf_unmap_attachment('gpu'),
              dma_buf_map_attachment('gpu'),
            ]),
            if_ret('none', [dma_buf_map_attachment('gpu')]),
            if_ret('-ENODEV', [
              witness('a job is refused, for the memory is gone'),
              if_is('goes_on_without_a_mapping', [], [set('error', 'ret'), dma_resv_unlock('bo'), goto('close')]),
            ]),
            dma_resv_reserve_fences('bo'),
            dma_fence_init(job),
            if_is('job_without_a_fence', [], [dma_resv_add_fence('bo', job, 'BOOKKEEP')]),
            emit('importer', job, job, 'job_done'),
            dma_resv_unlock('bo'),
          ]),
          dma_fence_wait('job2'), // the ring works in order
          label('close'),
          locked(unmap('gpu')),
          dma_buf_detach('gpu'),
          mutex_unlock('queue->lock'),
          return_('$error'),
        ]),
        // A device that cannot follow a move, and whose accesses have no fences.
        capture: ioctl({}, [
          mutex_lock('queue->lock'),
          dma_buf_attach('camera'),
          locked([dma_buf_map_attachment('camera'), set('mapped', 'ret')]),
          if_var(
            'mapped',
            '0',
            [dma_buf_device_access('camera'), locked([dma_buf_unmap_attachment('camera')])],
            [witness('an importer that would pin is refused')],
          ),
          dma_buf_detach('camera'),
          mutex_unlock('queue->lock'),
          return_('$mapped'),
        ]),
        // The guest switches off the memory of the device, or resets it.
        disable_memory: ioctl({}, [
          mutex_lock('memory_lock'),
          locked([
            tell,
            if_is('refuses_too_late', [wait, dma_resv_unlock('bo'), dma_resv_lock('bo')]),
            dma_buf_revoke('buf'),
            wait,
            dma_buf_finish_move('buf'),
            witness('the memory is gone'),
          ]),
          mutex_unlock('memory_lock'),
        ]),
      },
      workload: { app: ['render()'], app2: ['capture()'], vmm: ['disable_memory()'] },
    };
  },
  expect: [
    {
      when: { mistake: 'none' },
      acquits: true,
      witnesses: [
        'a job finds its mapping revoked',
        'a job is refused, for the memory is gone',
        'an importer that would pin is refused',
        'the memory is gone',
        'vmm waits for job1',
        'vmm waits for bo',
      ],
      because:
        'whoever has a mapping is told, whatever it has fenced is waited for, and nobody gets a new one: all in one hold of the reservation, and with nobody who could not follow (B-13, B-20..B-23)',
    },
    {
      when: { mistake: 'lets_importers_pin' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'a pin says that the memory stays, and the guest switches it off all the same: the camera writes to where it was (B-12)',
    },
    {
      when: { mistake: 'does_not_tell' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because: 'who has a mapping never asks again, so that -ENODEV at the next map reaches nobody (B-20)',
    },
    {
      when: { mistake: 'refuses_too_late' },
      convicts: ['no-stale-access', 'api-contract'],
      spares: ['no-deadlock', 'fence-signals'],
      because:
        'the reservation is given back between the wait and the refusal: whoever maps in between gets a good mapping, and is never told (B-23)',
    },
    {
      when: { mistake: 'does_not_wait' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because: 'an importer cannot stop a job that is on its ring, and the memory goes from under it (B-22)',
    },
    {
      when: { mistake: 'job_without_a_fence' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      because: 'the exporter waits for every fence there is, and this job has left none (B-22)',
    },
    {
      when: { mistake: 'goes_on_without_a_mapping' },
      convicts: ['no-stale-access'],
      spares: ['no-deadlock', 'api-contract'],
      witnesses: ['a job is refused, for the memory is gone'],
      because: 'a move lets the importer come again, a revoke does not: the map says -ENODEV and the job is run anyway',
    },
  ],
});
