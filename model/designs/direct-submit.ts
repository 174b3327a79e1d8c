/**
 * Direct submission by the kernel: an ioctl writes the commands and the signal behind them to the ring of a user queue and
 * rings the doorbell, in one go (Olšák, 2021). No turn of the program lies between the fence and its work.
 *
 * What if the process has that ring mapped, and does not use it? Then it may use it: overwrite the signal, or move the write
 * pointer back. A timeout that resets the queue answers for the fence, and strikes only who did it. For the memory it does
 * not answer: a signal is what the process says, too, so nothing may be taken from under the queue on a signal's word. An
 * eviction fence says that the queue is off the hardware, which is what memory management has to know (G1.3, G1.5, S-G4).
 */
import { type Kernel, design, may } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import {
  call,
  del_timer,
  delayed_work,
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
  if_ret,
  in_user_space,
  kmalloc,
  may_go,
  misbehaves,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  overwrite_packet,
  punish,
  queue_is_mapped,
  queue_work,
  reset_queue,
  return_,
  ring_doorbell,
  ring_is_empty,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  take_packet_back,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  unmap_queue,
  user_fence_reached,
  user_queue,
  witness,
  work,
  write_packet,
  write_user_fence,
} from '../objects/index.ts';

/** Each once: a process that goes on so for ever breaks nothing more, in up to nine times the states. */
const by_itself: Readonly<Record<'overwrites_the_signal' | 'moves_wptr_back', Block>> = {
  overwrites_the_signal: [
    misbehaves('app', 'writes over what the kernel wrote'),
    may_go('the process overwrites the signal', ['with nothing', 'and puts it first']),
    if_ret(
      'with nothing',
      [overwrite_packet('queue', 'signals_nothing')],
      [overwrite_packet('queue', 'signals_first')],
    ),
  ],
  moves_wptr_back: [misbehaves('app', 'moves the write pointer'), take_packet_back('queue'), ring_doorbell('queue')],
};
/** Where the process does not reach the ring by its own page tables, it hurts only itself. */
const SIGSEGV: Block = [in_user_space('writes to the ring: SIGSEGV'), witness('the process has no way to the ring')];
const program = (body: Block): ThreadSpec => ({
  kind: 'user',
  begins: 'may',
  program: [in_user_space('begins'), body],
});

type Part = Pick<Kernel, 'objects' | 'threads' | 'routines'>;
/** What memory management has to know: the queue is off the hardware. The mutex keeps new jobs away; no signal needs it. */
const with_an_eviction_fence: Part = {
  objects: {
    fences: {
      job: {},
      eviction: { enable_signaling: 'evict', initialised: true, published: true, promisedBy: 'suspend_work' },
    },
    housekeeping: { eviction: {} },
    resvs: { bo: { fences: [{ fence: 'eviction', usage: 'BOOKKEEP' }] } },
  },
  threads: {
    suspend_work: work([
      mutex_lock('userq_mutex'),
      dma_fence_wait('job'),
      unmap_queue('queue'),
      mutex_unlock('userq_mutex'),
      dma_fence_signal('eviction'),
    ]),
  },
  routines: { evict: [queue_work('suspend_work')] },
};
const without_one: Part = { objects: { fences: { job: {} }, resvs: { bo: {} } }, threads: {} };

export const directSubmit = design({
  name: 'direct-submit',
  title:
    'The kernel may write to a ring that the process can write, too, if a reset ends it and no signal frees memory',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_userq.c, amdgpu_userq_fence.c, amdgpu_eviction_fence.c',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'G1.3..G1.6, G2.4, G2.8, G5 (S-G1, S-G2, S-G4), T-1, T-2, P-1, HC-1, HC-3',
  ],
  knobs: {
    ring: ['not_mapped_by_the_process', 'mapped_by_the_process'],
    process: ['idle', 'overwrites_the_signal', 'moves_wptr_back'],
    timeout: ['resets_the_queue', 'none'],
    memory_waits_for: ['the_eviction_fence', 'the_job'],
  },
  kernel: ({ ring, process, timeout, memory_waits_for }) => {
    const resets = timeout === 'resets_the_queue';
    const evicts = memory_waits_for === 'the_eviction_fence';
    const protection = evicts ? with_an_eviction_fence : without_one;
    const once = (signals: Block): Block => [
      spin_lock_irqsave('queue.lock'),
      dma_fence_is_signaled('job'),
      if_ret('0', signals),
      spin_unlock_irqrestore('queue.lock'),
    ];
    /** An interrupt may come late, or with the next job on the ring already: what counts is what stands in memory. */
    const if_written = (otherwise: Block): Block => [
      user_fence_reached('seqno', 1),
      if_ret(
        '1',
        [resets ? del_timer('job_timeout') : [], witness('the job signals'), dma_fence_signal('job')],
        otherwise,
      ),
    ];
    // With the ring empty nothing on the queue will write any more; otherwise the job only takes its time.
    const give_up: Block = [
      ring_is_empty('queue'),
      if_ret(
        '1',
        if_written([
          witness('the queue is reset'),
          reset_queue('queue'),
          dma_fence_set_error('job', '-ETIME'),
          punish('app', 'its queue is reset and its fence completed with -ETIME'),
          dma_fence_signal('job'),
        ]),
        [mod_timer('job_timeout')],
      ),
    ];
    const refuse = (error: string): Block => [mutex_unlock('userq_mutex'), dma_resv_unlock('bo'), return_(error)];
    return {
      objects: {
        ...protection.objects,
        bos: { bo: { place: 'VRAM', mapped: 'VRAM' } },
        locks: { userq_mutex: {}, 'queue.lock': { irq: true } },
        user_fences: { seqno: {} },
        clients: { app: {} },
      },
      threads: {
        app: program([call('submit'), call('submit'), call('destroy_queue')]),
        ...(process === 'idle'
          ? {}
          : { app_thread2: program(ring === 'mapped_by_the_process' ? by_itself[process] : SIGSEGV) }),
        queue: user_queue({
          ring_buffer: true,
          completes: 'seqno',
          irq: 'queue_irq',
          uses: ['bo'],
          ...(evicts ? { fence: 'eviction' } : {}),
        }),
        ttm_evict: may([
          dma_resv_lock('bo'),
          dma_resv_wait('bo', 'BOOKKEEP'),
          ttm_bo_move_memcpy('bo', 'SYSTEM'),
          witness('bo is evicted'),
          dma_resv_unlock('bo'),
        ]),
        ...protection.threads,
        ...(resets ? { job_timeout: delayed_work(once(give_up)) } : {}),
      },
      routines: {
        submit: [
          kmalloc('GFP_KERNEL', 'job'),
          dma_resv_lock('bo'),
          dma_resv_reserve_fences('bo'),
          mutex_lock('userq_mutex'),
          dma_fence_is_signaled('job'), // room for one job
          if_ret('0', refuse('-EBUSY')),
          queue_is_mapped('queue'),
          if_ret('0', refuse('-ENODEV')),
          ttm_bo_place('bo'),
          if_ret('SYSTEM', refuse('-ENOMEM')),
          // From the fence to the doorbell and the timer nobody comes in between, neither the interrupt nor the timeout.
          spin_lock_irqsave('queue.lock'),
          dma_fence_init('job', 'queue'),
          dma_resv_add_fence('bo', 'job', 'WRITE'),
          write_user_fence('seqno', 0),
          write_packet('queue'),
          ring_doorbell('queue'),
          resets ? mod_timer('job_timeout') : [],
          spin_unlock_irqrestore('queue.lock'),
          mutex_unlock('userq_mutex'),
          dma_resv_unlock('bo'),
          return_('0'),
        ],
        destroy_queue: [
          mutex_lock('userq_mutex'),
          dma_fence_wait('job'),
          unmap_queue('queue'),
          mutex_unlock('userq_mutex'),
          evicts ? dma_fence_signal('eviction') : [],
        ],
        queue_irq: once(if_written([])),
        ...protection.routines,
      },
    };
  },
  expect: [
    {
      when: { ring: 'not_mapped_by_the_process', process: 'idle' },
      acquits: true,
      witnesses: ['the job signals', 'bo is evicted'],
      because: 'nothing but hardware lies between the fence and its signal, as on a ring of the kernel',
    },
    {
      when: { ring: 'not_mapped_by_the_process' },
      acquits: true,
      witnesses: ['the job signals', 'bo is evicted', 'the process has no way to the ring'],
      because:
        'what the process cannot write it cannot overwrite: what it says of the job is what the hardware says (G1.5)',
    },
    {
      when: { ring: 'mapped_by_the_process', process: 'idle' },
      acquits: true,
      witnesses: ['the job signals', 'bo is evicted'],
      because:
        'the fence needs no turn of the program, so a program that is preempted is not punished (Olšák); that the process leaves the ring alone is its word only',
    },
    {
      when: { timeout: 'none', memory_waits_for: 'the_job' },
      convicts: ['fence-signals', 'no-stale-access'],
      spares: ['innocent-not-punished', 'no-deadlock', 'no-alloc-in-signalling'],
      witnesses: ['the job signals', 'bo is evicted'],
      because:
        'both at once: the process may keep the signal from ever coming, and may have it come while the queue still runs (G1.3, G1.5)',
    },
    {
      when: { timeout: 'none', memory_waits_for: 'the_eviction_fence' },
      convicts: ['fence-signals'],
      spares: ['no-stale-access', 'innocent-not-punished', 'no-deadlock', 'no-alloc-in-signalling'],
      witnesses: ['the job signals', 'bo is evicted', 'suspend_work waits for job'],
      because:
        'the signal that the kernel wrote is never executed, and the eviction of the queue waits for it: both fences stay for ever (G1.5, G2.8)',
    },
    {
      when: { timeout: 'resets_the_queue', memory_waits_for: 'the_job' },
      convicts: ['no-stale-access'],
      spares: ['fence-signals', 'innocent-not-punished', 'no-deadlock', 'no-alloc-in-signalling', 'no-livelock'],
      witnesses: ['the job signals', 'the queue is reset', 'bo is evicted'],
      because:
        'every fence signals, and one of them because the process said so: its memory is taken away under the queue (G1.3, S-G4)',
    },
    {
      when: { timeout: 'resets_the_queue', memory_waits_for: 'the_eviction_fence' },
      acquits: true,
      witnesses: ['the job signals', 'the queue is reset', 'bo is evicted', 'suspend_work waits for job'],
      because:
        'a reset ends what does not signal, only the process that did it pays, and memory waits until the queue is off the hardware, whatever was signalled (Olšák, T-2, S-G4)',
    },
  ],
});
