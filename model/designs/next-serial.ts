/**
 * "Next serial, please": the kernel hands out a dma-fence, and user space promises to submit the work that signals it
 * (Olšák, 2021). No setting of it is a dma-fence; the question is only which promise breaks.
 *
 * Without a timeout the fence rests on a turn that user space owes nobody. With one, the kernel's promise rests on the
 * timer alone (T-1: by kernel means alone), and the timer cannot tell a program that will never submit from one that
 * was not run for a while. Time is patient here: the timer is longer than everything the kernel and the hardware do,
 * so whom it strikes, it strikes because user space had no turn.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  del_timer,
  delayed_work,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  if_ret,
  implicit_sync_wait,
  in_user_space,
  kmalloc,
  kswapd,
  mmap,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  page_fault,
  punish,
  reset_ring,
  return_,
  ring,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  user,
  witness,
} from '../objects/index.ts';

/** With a timeout that needs no memory the kernel is safe, and correct programs are what it costs. */
const PUNISHED = {
  convicts: ['innocent-not-punished'],
  spares: [
    'fence-signals',
    'no-deadlock',
    'no-alloc-in-signalling',
    'lock-order',
    'no-livelock',
    'no-leak',
    'api-contract',
  ],
} as const;
/** Memory management and another process wait for the serial; it is forced in one run and signalled in another. */
const IN_ITS_PLACE = [
  'the serial is forced',
  'the submission comes too late',
  'the batch signals the serial in time',
  'compositor waits for serial',
  'kswapd waits for serial',
];

export const nextSerial = design({
  name: 'next-serial',
  title: 'There is no way for the kernel to trust user space to signal the next serial, with a timeout or without',
  sources: [
    'mesa-dev and dri-devel 2021-05-03, Olšák, Ekstrand, Nieuwenhuizen on user-space submission',
    'Documentation/driver-api/dma-buf.rst, Indefinite DMA Fences',
    'drivers/dma-buf/dma-fence.c',
    'G1.4',
    'T-1',
    'T-7',
    'T-8',
    'T-10',
    'X-1',
    'X-3',
    'X-5',
    'C13',
    'L-26',
  ],
  knobs: {
    timeout: ['none', 'forces_completion'],
    timeout_path_allocates: ['no', 'yes'],
    user_thread: ['never_allocates', 'allocates', 'preempted'],
  },
  kernel: ({ timeout, timeout_path_allocates, user_thread }) => {
    const forces = timeout === 'forces_completion';
    const fire: Block = [
      kmalloc(timeout_path_allocates === 'yes' ? 'GFP_KERNEL' : 'never', 'reset->state'),
      spin_lock_irqsave('queue.lock'),
      reset_ring('gpu'),
      dma_fence_is_signaled('serial'),
      if_ret('0', [
        witness('the serial is forced'),
        dma_fence_set_error('serial', '-ETIME'),
        punish('app', 'its queue is reset and its fence completed with -ETIME'),
        dma_fence_signal('serial'),
      ]),
      spin_unlock_irqrestore('queue.lock'),
    ];
    return {
      objects: {
        fences: { serial: {} },
        resvs: { bo: {} },
        locks: { ...mmap, 'vm.lock': {}, 'queue.lock': { irq: true } },
        clients: { app: {} },
        shrinkers: { bo: { scan: 'shrink_bo' } },
      },
      threads: {
        app: user(),
        app_thread2: user(),
        compositor: user(),
        kswapd,
        gpu: ring(),
        ...(forces ? { serial_timeout: delayed_work(fire) } : {}),
      },
      routines: {
        // The ioctl that hands out the serial, one at a time: all it needs is allocated before the fence exists.
        next_serial: [
          dma_resv_lock('bo'),
          dma_fence_is_signaled('serial'),
          if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
          dma_resv_reserve_fences('bo'),
          dma_fence_init('serial', forces ? 'serial_timeout' : '$me'),
          forces ? [mod_timer('serial_timeout')] : [],
          dma_resv_add_fence('bo', 'serial', 'WRITE'),
          dma_resv_unlock('bo'),
          return_('0'),
        ],
        submit: [
          mutex_lock('vm.lock'),
          spin_lock_irqsave('queue.lock'),
          dma_fence_is_signaled('serial'),
          if_ret('0', [emit('gpu', 'batch', 'serial', 'batch_done')], [witness('the submission comes too late')]),
          spin_unlock_irqrestore('queue.lock'),
          mutex_unlock('vm.lock'),
        ],
        batch_done: [
          spin_lock_irqsave('queue.lock'),
          forces ? [del_timer('serial_timeout')] : [],
          witness('the batch signals the serial in time'),
          dma_fence_signal('serial'),
          spin_unlock_irqrestore('queue.lock'),
        ],
        // A buffer goes away only when the work that was promised on it is over (L-23: waiting here is allowed).
        shrink_bo: [dma_resv_trylock('bo'), if_ret('1', [dma_resv_wait('bo', 'BOOKKEEP'), dma_resv_unlock('bo')])],
      },
      calls: {
        /** A frame of a correct program: it asks for the serial, records its commands, and always submits them. */
        draw: ioctl({}, [
          call('next_serial'),
          if_ret('0', [
            in_user_space('records commands'),
            user_thread === 'allocates' ? [page_fault(), in_user_space('goes on recording')] : [],
            call('submit'),
          ]),
        ]),
        // Something else is shoved in: another thread of the program, in a system call that has nothing to do with it.
        bind: ioctl({}, [
          mutex_lock('vm.lock'),
          kmalloc(user_thread === 'preempted' ? 'GFP_KERNEL' : 'never', 'vma'),
          mutex_unlock('vm.lock'),
        ]),
        read_bo: ioctl({}, [implicit_sync_wait('bo', 'read')]),
      },
      workload: {
        app: ['draw()'],
        app_thread2: ['bind()'],
        compositor: ['read_bo()'],
      },
    };
  },
  expect: [
    {
      when: { timeout: 'none', user_thread: 'never_allocates' },
      convicts: ['fence-signals'],
      spares: ['no-deadlock', 'no-alloc-in-signalling', 'innocent-not-punished'],
      witnesses: ['kswapd waits for serial', 'compositor waits for serial', 'the batch signals the serial in time'],
      because:
        'the weakest claim, finite time, is broken already: a fence is published and only a turn of the program, which owes nobody a turn, would signal it (T-1, X-1)',
    },
    {
      when: { timeout: 'none', user_thread: 'allocates' },
      convicts: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling'],
      spares: ['innocent-not-punished'],
      witnesses: ['app waits for serial', 'the batch signals the serial in time'],
      because:
        'finite time is broken, and worse: a page fault between serial and submission enters reclaim, which waits for the fence that this very thread has yet to signal (C13, L-26)',
    },
    {
      when: { timeout: 'none', user_thread: 'preempted' },
      convicts: ['fence-signals', 'no-deadlock', 'no-alloc-in-signalling'],
      spares: ['innocent-not-punished'],
      witnesses: ['app_thread2 waits for serial', 'app waits for vm.lock', 'the batch signals the serial in time'],
      because:
        'finite time is broken, and a thread that never allocates is no better off: another one is shoved in, allocates under a lock that the submission needs, and reclaim waits for the serial (C13, T-7)',
    },
    {
      when: { timeout: 'forces_completion', timeout_path_allocates: 'no', user_thread: 'never_allocates' },
      ...PUNISHED,
      witnesses: IN_ITS_PLACE,
      because:
        'the kernel is safe; the weakest claim broken is the one to the program: even one that never allocates is timed out when it had no turn between serial and submission, for no user thread is ever owed a turn (T-8, X-5)',
    },
    {
      when: { timeout: 'forces_completion', timeout_path_allocates: 'no', user_thread: 'allocates' },
      ...PUNISHED,
      witnesses: [...IN_ITS_PLACE, 'app waits for serial'],
      because:
        'the circle of C13 is closed and only the timeout opens it: a correct program hangs at random until it is punished for what reclaim did to it (T-8, X-5)',
    },
    {
      when: { timeout: 'forces_completion', timeout_path_allocates: 'no', user_thread: 'preempted' },
      ...PUNISHED,
      witnesses: [...IN_ITS_PLACE, 'app_thread2 waits for serial', 'app waits for vm.lock'],
      because:
        'something else is shoved in that allocates and blocks on the serial; a correct program cannot predict that, and pays with a timeout (Ekstrand, T-8, X-5)',
    },
    {
      when: { timeout: 'forces_completion', timeout_path_allocates: 'yes' },
      convicts: ['no-alloc-in-signalling', 'no-deadlock', 'fence-signals', 'innocent-not-punished'],
      witnesses: ['serial_timeout waits for serial', 'the batch signals the serial in time'],
      because:
        'the timeout itself enters reclaim, which waits for the fence that the timeout would complete: not even finite time is left (L-23, G1.4)',
    },
  ],
});
