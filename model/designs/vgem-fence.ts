/**
 * vgem: a software driver that lets a user process put a fence on a buffer and signal it later, by a second ioctl.
 *
 * Between the two the process may do anything, or nothing: the fence is a dma-fence only because a timer signals it
 * after ten seconds (VG-2, VG-12). Three consumers wait for it, as drivers did in 2016: one that gives up its wait and
 * recovers, and two that believe in the contract. The commit is a nonblocking one: it waits in the tail, after the
 * swap and uninterruptibly (D4.3); a blocking commit waits before the swap, where cancelling is trivial (D4.1).
 */
import { type CallSpec, design, ioctl, must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_wait,
  dma_fence_wait_timeout,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_unlock,
  if_ret,
  kmalloc,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  return_,
  sync_file_install,
  timer,
  user,
  witness,
} from '../objects/index.ts';

/** Look for a writer's fence as dma_resv_get_singleton does, without the lock; wait for it if there is one. */
const after_the_writer = (wait: Block): Block => [dma_resv_test_signaled('bo', 'WRITE'), if_ret('0', wait)];
const uses_the_buffer = witness('the consumer uses the buffer');

/** Each consumer as its driver does it, under the name by which reports call it. */
const consumers: Readonly<Record<'hangcheck' | 'atomic_helper' | 'v4l', Readonly<Record<string, ThreadSpec>>>> = {
  // A GPU driver gives up the wait, not the fence: the job is cancelled and never touches the buffer (HC-10).
  hangcheck: {
    gpu_job: must([
      dma_fence_init('job'),
      sync_file_install('job'),
      dma_fence_begin_signalling(),
      after_the_writer([
        dma_fence_wait_timeout('vgem_fence'),
        if_ret('-ETIME', [
          dma_fence_set_error('job', '-EIO'),
          dma_fence_signal('job'),
          dma_fence_end_signalling(),
          witness('hangcheck recovers'),
          return_('-EIO'),
        ]),
      ]),
      uses_the_buffer,
      dma_fence_signal('job'),
      dma_fence_end_signalling(),
    ]),
  },
  atomic_helper: {
    commit_tail: must([
      dma_fence_init('flip'),
      sync_file_install('flip'),
      dma_fence_begin_signalling(),
      after_the_writer([dma_fence_wait('vgem_fence')]),
      uses_the_buffer,
      dma_fence_signal('flip'),
      dma_fence_end_signalling(),
    ]),
  },
  // It has no fence of its own, but whoever wants the next buffer of the queue waits behind it.
  v4l: {
    v4l_capture: must([
      mutex_lock('vb2.lock'),
      after_the_writer([dma_fence_wait('vgem_fence')]),
      uses_the_buffer,
      mutex_unlock('vb2.lock'),
    ]),
  },
};

/** DRM_IOCTL_VGEM_FENCE_ATTACH: the timer runs before anybody can see the fence (VG-2, VG-3, VG-5). */
const attach = (timed: boolean): CallSpec =>
  ioctl({}, [
    dma_fence_is_signaled('vgem_fence'), // a writer conflicts with any fence that is still pending (VG-3)
    if_ret('0', [return_('-EBUSY')]),
    kmalloc('GFP_KERNEL', 'fence'),
    dma_fence_init('vgem_fence', timed ? 'vgem_timer' : '$me'),
    timed ? mod_timer('vgem_timer') : [],
    dma_resv_lock('bo'),
    dma_resv_reserve_fences('bo'),
    dma_resv_add_fence('bo', 'vgem_fence', 'WRITE'),
    dma_resv_unlock('bo'),
    kmalloc('GFP_KERNEL', 'id'),
  ]);

export const vgemFence = design({
  name: 'vgem-fence',
  title: 'Fences that user space signals allow user space to hang kernel drivers, unless they time out by themselves',
  sources: [
    'intel-gfx 2016-07-14, drm/vgem: Attach sw fences to exported vGEM dma-buf (ioctl)',
    'drivers/gpu/drm/vgem/vgem_fence.c',
    'drivers/gpu/drm/drm_atomic_helper.c',
    'VG-1..VG-13',
    'T-1',
    'T-2',
    'HC-1',
    'HC-10',
    'B71',
  ],
  knobs: {
    timeout: ['10s', 'none', 'root_may_disable'],
    consumer: ['hangcheck', 'atomic_helper', 'v4l'],
  },
  kernel: ({ timeout, consumer }) => ({
    objects: {
      resvs: { bo: {} },
      fences: {
        vgem_fence: {},
        ...(consumer === 'hangcheck' ? { job: {} } : {}),
        ...(consumer === 'atomic_helper' ? { flip: {} } : {}),
      },
      locks: consumer === 'v4l' ? { 'vb2.lock': {} } : {},
    },
    threads: {
      client: user({ exit: 'vgem_fence_close' }),
      ...consumers[consumer],
      // The handler leaves no error behind: a waiter cannot tell the timeout from success (VG-9).
      ...(timeout === 'none'
        ? {}
        : {
            vgem_timer: timer([
              dma_fence_is_signaled('vgem_fence'),
              if_ret('0', [witness('the timer signals in the place of the client')]),
              dma_fence_signal('vgem_fence'),
            ]),
          }),
    },
    calls: {
      attach: attach(timeout !== 'none'),
      // Wilson's flag "for root to override for the sake of testing hang detection": the client is then root's.
      ...(timeout === 'root_may_disable' ? { attach_without_timeout: attach(false) } : {}),
      signal: ioctl({}, [
        dma_fence_is_signaled('vgem_fence'),
        if_ret('1', [return_('-ETIMEDOUT')]),
        dma_fence_signal('vgem_fence'),
      ]),
    },
    routines: {
      // File close signals what the process leaves behind, so killing it is a cure; sleeping is not (VG-10).
      vgem_fence_close: [dma_fence_is_signaled('vgem_fence'), if_ret('0', [dma_fence_signal('vgem_fence')])],
    },
    workload: {
      client: [timeout === 'root_may_disable' ? 'attach_without_timeout()' : 'attach()', 'signal()'],
    },
  }),
  expect: [
    {
      when: { timeout: ['none', 'root_may_disable'], consumer: 'hangcheck' },
      convicts: ['fence-signals'],
      witnesses: ['gpu_job waits for vgem_fence', 'hangcheck recovers', 'the consumer uses the buffer'],
      because:
        'only the client can signal the fence, and it may sleep for ever; this consumer gives up its wait and recovers, but the fence stays what it is',
    },
    {
      when: { timeout: ['none', 'root_may_disable'], consumer: 'atomic_helper' },
      convicts: ['fence-signals'],
      witnesses: ['commit_tail waits for vgem_fence', 'the consumer uses the buffer'],
      because:
        'atomic helpers assume that fences will signal, and cannot recover if they do not: the commit is stuck behind the swap, and its own out-fence with it',
    },
    {
      when: { timeout: ['none', 'root_may_disable'], consumer: 'v4l' },
      convicts: ['fence-signals'],
      witnesses: ['v4l_capture waits for vgem_fence', 'the consumer uses the buffer'],
      because: 'a dumber driver never expects such a case: it waits for ever, with its queue lock held',
    },
    {
      when: { timeout: '10s', consumer: 'hangcheck' },
      acquits: true,
      witnesses: [
        'gpu_job waits for vgem_fence',
        'the timer signals in the place of the client',
        'hangcheck recovers',
        'the consumer uses the buffer',
      ],
      because: 'the kernel itself signals after ten seconds, whatever the client does',
    },
    {
      when: { timeout: '10s', consumer: 'atomic_helper' },
      acquits: true,
      witnesses: [
        'commit_tail waits for vgem_fence',
        'the timer signals in the place of the client',
        'the consumer uses the buffer',
      ],
      because: 'the kernel itself signals after ten seconds: the tail need not know how to recover',
    },
    {
      when: { timeout: '10s', consumer: 'v4l' },
      acquits: true,
      witnesses: [
        'v4l_capture waits for vgem_fence',
        'the timer signals in the place of the client',
        'the consumer uses the buffer',
      ],
      because: 'the kernel itself signals after ten seconds, so that a plain waiter is right to wait',
    },
  ],
});
