/**
 * A user fence is a value that user space writes when it likes, and three things a kernel may do with it.
 *
 * It may wait for the value in an ioctl that holds no lock and can be interrupted: then only the one who asked is stuck.
 * If it waits with a reservation held, everybody who needs that reservation is at the mercy of the writer, who may be one
 * of them (C12, T-14). And if it wraps the value in a dma-fence, memory management waits for the writer too, while the
 * writer, as any program, may fault or allocate, and wait for memory management (C13, G3).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  goto,
  if_ret,
  kmalloc,
  kswapd,
  label,
  queue_work,
  return_,
  user,
  wait_user_fence,
  witness,
  work,
  write_user_fence,
} from '../objects/index.ts';

export const userFenceKeptApart = design({
  name: 'user-fence-kept-apart',
  title: 'User fences are waited for without locks or not at all, and never become dma-fences',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq_fence.c, amdgpu_userq_wait_ioctl',
    'G1.2, G3, T-14',
    'cycles C12, C13',
  ],
  knobs: { waits: ['without_locks', 'under_the_reservation', 'as_a_dma_fence'] },
  kernel: ({ waits }) => {
    const here: Block = [
      wait_user_fence('done', 1),
      if_ret('-ERESTARTSYS', [witness('the wait is interrupted')], [witness('user space has written the value')]),
    ];
    const consume: Record<typeof waits, Block> = {
      without_locks: here,
      under_the_reservation: [dma_resv_lock('bo'), here, dma_resv_unlock('bo')],
      as_a_dma_fence: [
        dma_resv_lock('bo'),
        dma_fence_is_signaled('imported'), // room for one
        if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_resv_reserve_fences('bo'),
        dma_fence_init('imported', 'import_work'),
        dma_resv_add_fence('bo', 'imported', 'WRITE'),
        dma_resv_unlock('bo'),
        queue_work('import_work'),
      ],
    };
    return {
      objects: {
        user_fences: { done: {} },
        fences: { imported: {} },
        resvs: { bo: {} },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
        workqueues: { wq: { max_active: 1 } },
      },
      threads: {
        consumer: user(),
        producer: user(),
        kswapd,
        ...(waits === 'as_a_dma_fence'
          ? {
              import_work: work(
                [
                  label('again'),
                  wait_user_fence('done', 1),
                  if_ret('-ERESTARTSYS', [goto('again')]),
                  dma_fence_signal('imported'),
                ],
                'wq',
              ),
            }
          : {}),
      },
      calls: {
        consume: ioctl({}, [consume[waits], return_('0')]),
        // Its own work on the shared buffer, some memory, and then the value: all of it as it likes.
        produce: ioctl({}, [
          dma_resv_lock('bo'),
          dma_resv_unlock('bo'),
          kmalloc('GFP_KERNEL'),
          write_user_fence('done', 1),
          return_('0'),
        ]),
        begin_again: ioctl({}, [write_user_fence('done', 0), return_('0')]),
      },
      routines: { gpu_shrinker_scan: [dma_resv_wait('bo', 'READ')] },
      workload: { consumer: ['consume()'], producer: ['produce()'] },
    };
  },
  expect: [
    {
      when: { waits: 'under_the_reservation' },
      convicts: ['api-contract'],
      because: 'the writer may need that very reservation before it writes, and it owes nobody anything (C12, T-14)',
    },
    {
      when: { waits: 'as_a_dma_fence' },
      convicts: ['fence-signals'],
      because: 'the value never comes from a writer who waits for memory that only this fence would give back (C13)',
    },
    {
      when: { waits: 'without_locks' },
      acquits: true,
      witnesses: ['consumer waits for done', 'the wait is interrupted', 'user space has written the value'],
      because: 'only the one who asked waits, nobody waits for him, and a signal gets him out (G3)',
    },
  ],
});
