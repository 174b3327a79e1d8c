/**
 * Memory fences inside a process, and a dma-fence only where a buffer leaves it: Ekstrand's plan for user-space submission,
 * and why it was given up (2021).
 *
 * The ioctl at the boundary is well-behaved: it allocates first, publishes then, and cannot fail. That does not help. The
 * work that its fence stands for was submitted by user code, and goes on under conditions that user code made: its batch
 * may fault, or poll a value that another thread of the program writes when it has the memory for it. All of that the
 * published fence needs in order to signal, and all of that allocates (L-23, L-26, PF-2).
 */
import { type Kernel, design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  device_map,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  gpu_fault_answer,
  gpu_fault_take,
  if_ret,
  implicit_sync_wait,
  in_user_space,
  kmalloc,
  kswapd,
  mmap,
  page_fault,
  queue_work,
  return_,
  ring,
  ring_doorbell,
  ring_is_empty,
  user,
  user_queue,
  wait_user_fence,
  witness,
  work,
  write_packet,
  write_user_fence,
} from '../objects/index.ts';

/** What runs the work, and how it tells the driver that it is done. */
type Part = Pick<Kernel, 'objects' | 'threads' | 'routines'>;
const on_the_ring_of_the_kernel: Part = {
  threads: { gfx: ring() },
  routines: { frame_done: [dma_fence_signal('$fence')] },
};
/** The fence stands for all that the process rang for until then. */
const queue_irq: Block = [
  ring_is_empty('queue'),
  if_ret('1', [dma_fence_is_signaled('frame'), if_ret('0', [dma_fence_signal('frame')])]),
];
const on_a_user_queue: Record<'faults_on_the_gpu' | 'waits_for_its_thread', Part> = {
  faults_on_the_gpu: {
    objects: { fault_buffers: { faults: { irq: 'fault_irq', handled_by: 'fault_work' } } },
    threads: {
      queue: user_queue({ ring_buffer: true, irq: 'queue_irq', uses: ['textures'], fault_buffer: 'faults' }),
      fault_work: work([
        gpu_fault_take('faults'),
        if_ret('0', [return_('0')]),
        kmalloc('GFP_KERNEL', 'page table'),
        device_map('textures'),
        gpu_fault_answer('queue', 'success'),
        witness('a fault is repaired'),
      ]),
    },
    routines: { queue_irq, fault_irq: [queue_work('fault_work')] },
  },
  waits_for_its_thread: {
    threads: { queue: user_queue({ ring_buffer: true, irq: 'queue_irq', polls: 'uploaded' }) },
    routines: { queue_irq },
  },
};
/** The fence of the frame goes to the buffer, and somebody owes it from then on. */
const publish = (owed_by: string, then: Block): Block => [
  dma_resv_lock('bo'),
  dma_fence_is_signaled('frame'), // room for one frame
  if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
  dma_resv_reserve_fences('bo'),
  dma_fence_init('frame', owed_by),
  dma_resv_add_fence('bo', 'frame', 'WRITE'),
  then,
  dma_resv_unlock('bo'),
  return_('0'),
];
/** What the work needs comes before the fence: its pages are mapped, or the value is waited for without locks (T-12). */
const submit: Record<keyof typeof on_a_user_queue, Block> = {
  faults_on_the_gpu: [kmalloc('GFP_KERNEL', 'page table'), device_map('textures')],
  waits_for_its_thread: [wait_user_fence('uploaded', 1), if_ret('-ERESTARTSYS', [return_('ret')])],
};
const at_the_boundary: Block = [
  write_packet('queue'),
  ring_doorbell('queue'),
  in_user_space('hands the frame to the compositor'),
  publish('queue', [
    ring_is_empty('queue'),
    if_ret('1', [witness('the work is over at the boundary'), dma_fence_signal('frame')]),
  ]),
];

export const transitionBoundaryFence = design({
  name: 'transition-boundary-fence',
  title:
    'A dma-fence made at a transition boundary needs what user code has yet to do; only a submission makes a safe one',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq_fence.c, amdgpu_userq_signal_ioctl',
    'T-1, T-5, T-7, T-11, T-12, X-3, PF-1, PF-2, G2.7..G2.9, G4.1, L-23, L-26',
    'cycle C13',
  ],
  knobs: {
    fence_made_at: ['submit', 'transition_boundary'],
    user_code: ['faults_on_the_gpu', 'waits_for_its_thread'],
  },
  kernel: ({ fence_made_at, user_code }) => {
    const submits = fence_made_at === 'submit';
    const { objects, threads, routines }: Part = submits ? on_the_ring_of_the_kernel : on_a_user_queue[user_code];
    return {
      objects: {
        ...{ fences: { frame: {} }, resvs: { bo: {} }, locks: { ...mmap } },
        bos: { textures: { place: 'TT', tt: 'populated' } },
        user_fences: { uploaded: { written_by: 'app_thread2' } },
        shrinkers: { buffers: { scan: 'gpu_shrinker_scan' } },
        ...objects,
      },
      threads: { app: user(), app_thread2: user(), compositor: user(), kswapd, ...threads },
      calls: {
        draw: ioctl(
          {},
          submits
            ? [submit[user_code], publish('$me', [emit('gfx', 'frame', 'frame', 'frame_done')])]
            : at_the_boundary,
        ),
        /** The other thread of the program prepares what the frame reads. */
        upload: ioctl({}, [page_fault(), write_user_fence('uploaded', 1)]),
        read_bo: ioctl({}, [implicit_sync_wait('bo', 'read')]),
      },
      routines: { ...routines, gpu_shrinker_scan: [dma_resv_wait('bo', 'BOOKKEEP')] },
      workload: {
        app: ['draw()'],
        compositor: ['read_bo()'],
        ...(user_code === 'waits_for_its_thread' ? { app_thread2: ['upload()'] } : {}),
      },
    };
  },
  expect: [
    {
      when: { fence_made_at: 'transition_boundary', user_code: 'faults_on_the_gpu' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      spares: ['innocent-not-punished'],
      witnesses: ['a fault is repaired', 'compositor waits for frame', 'the work is over at the boundary'],
      because:
        'nothing that a dma-fence needs may allocate, and the work of user code does: its batch faults, and the repair waits in reclaim for the fence of the batch (Ekstrand, PF-2)',
    },
    {
      when: { fence_made_at: 'transition_boundary', user_code: 'waits_for_its_thread' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals'],
      spares: ['innocent-not-punished'],
      witnesses: ['queue waits for uploaded', 'compositor waits for frame', 'the work is over at the boundary'],
      because:
        'the batch was rung for and polls what another thread of the program has yet to write, which allocates before: the kernel has no way to rely on a program that allocates nothing, and the program has none either (Ekstrand, C13, L-26)',
    },
    {
      when: { fence_made_at: 'submit', user_code: 'faults_on_the_gpu' },
      acquits: true,
      witnesses: ['kswapd waits for frame', 'compositor waits for frame'],
      because: 'the ioctl that submits the work has mapped its memory before it makes the fence (Ekstrand)',
    },
    {
      when: { fence_made_at: 'submit', user_code: 'waits_for_its_thread' },
      acquits: true,
      witnesses: ['app waits for uploaded', 'kswapd waits for frame', 'compositor waits for frame'],
      because: 'the ioctl waits for the other thread while nobody can wait for the ioctl; the fence comes after (T-12)',
    },
  ],
});
