/**
 * A driver's shrinker and the fences of the buffers that it finds: skip the busy ones, wait for them, or insist.
 *
 * Scan runs wherever memory is short, on the stack of whoever allocates, with all that this task holds (A2.2). A
 * submission allocates under the reservation of its buffer, and that is allowed; a worker that still owes the fence
 * of the buffer allocates, and that is not: then a shrinker that waits waits on the stack of its own debtor.
 */
import { design, ioctl } from '../design.ts';
import {
  device_map,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  if_ret,
  kmalloc,
  kswapd,
  promise_passes_to,
  queue_work,
  return_,
  ring,
  ttm_tt_populate,
  ttm_tt_state,
  ttm_tt_swapout,
  user,
  witness,
  work,
} from '../objects/index.ts';

export const shrinkerWaitsFence = design({
  name: 'shrinker-waits-fence',
  title: 'Everyone expects to be able to wait on fences in their shrinker, so no signaller may allocate',
  sources: [
    'Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/xe/xe_shrinker.c, drivers/gpu/drm/ttm/ttm_bo_util.c',
    'drivers/dma-buf/dma-fence.c, drivers/dma-buf/dma-resv.c (dma_resv_lockdep), mm/page_alloc.c, mm/shrinker.c',
    'drm/msm, 2022: a shrinker that holds the object lock while it waits for the job (B26)',
    'C1, L-22, L-23, LD-15, A2.2, A2.4, A4.8, R-7, F3 (shrinkers may wait)',
  ],
  knobs: {
    shrinker: ['trylock_no_wait', 'trylock_and_wait', 'blocking_lock'],
    signaller_allocates: ['no', 'yes'],
  },
  kernel: ({ shrinker, signaller_allocates }) => ({
    objects: {
      resvs: { bo: {} },
      bos: { bo: { place: 'SYSTEM', busy_in_system: true } },
      fences: { job: {} },
      shrinkers: { shrinker: { scan: 'shrinker_scan' } },
    },
    calls: {
      submit: ioctl({}, [
        dma_resv_lock('bo'),
        dma_fence_is_signaled('job'), // room for one job
        if_ret('0', [dma_resv_unlock('bo'), return_('-EBUSY')]),
        dma_resv_reserve_fences('bo'), // memory under the reservation: allowed, and the shrinker has to live with it
        ttm_tt_populate('bo'),
        device_map('bo'),
        dma_fence_init('job'),
        dma_resv_add_fence('bo', 'job', 'WRITE'),
        promise_passes_to('job', 'run_job_work'),
        queue_work('run_job_work'),
        dma_resv_unlock('bo'),
        return_('0'),
      ]),
      allocate: ioctl({}, [kmalloc('GFP_KERNEL')]),
    },
    routines: {
      shrinker_scan: [
        shrinker === 'blocking_lock'
          ? dma_resv_lock('bo')
          : [dma_resv_trylock('bo'), if_ret('0', [witness('the shrinker finds the buffer locked'), return_('0')])],
        shrinker === 'trylock_no_wait'
          ? [
              dma_resv_test_signaled('bo', 'BOOKKEEP'),
              if_ret('0', [witness('the shrinker finds the buffer busy'), dma_resv_unlock('bo'), return_('0')]),
            ]
          : dma_resv_wait('bo', 'BOOKKEEP'),
        ttm_tt_state('bo'),
        if_ret('populated', [witness('the shrinker takes the buffer'), device_unmap('bo'), ttm_tt_swapout('bo')]),
        dma_resv_unlock('bo'),
      ],
      job_done: [device_write('bo', 'job'), dma_fence_signal('job')],
    },
    threads: {
      user0: user(),
      user1: user(),
      run_job_work: work([
        kmalloc(signaller_allocates === 'yes' ? 'GFP_KERNEL' : 'never', 'job->hw_fence'),
        emit('gpu', 'job', 'job', 'job_done'),
      ]),
      gpu: ring(),
      kswapd,
    },
    workload: { user0: ['submit()'], user1: ['allocate()'] },
  }),
  expect: [
    {
      when: { shrinker: 'trylock_no_wait', signaller_allocates: 'no' },
      acquits: true,
      witnesses: [
        'the shrinker finds the buffer locked',
        'the shrinker finds the buffer busy',
        'the shrinker takes the buffer',
      ],
      because: 'the shrinker waits for nobody: what is locked or busy it leaves alone (A4.8, R-7)',
    },
    {
      when: { shrinker: 'trylock_no_wait', signaller_allocates: 'yes' },
      convicts: ['no-alloc-in-signalling'],
      spares: ['no-deadlock', 'fence-signals', 'lock-order'],
      witnesses: ['the shrinker finds the buffer busy'],
      because:
        'this machine survives, for nobody waits in reclaim; but the rule is for any machine, and on the next one somebody does (L-23)',
    },
    {
      when: { shrinker: 'trylock_and_wait', signaller_allocates: 'no' },
      acquits: true,
      witnesses: ['the shrinker finds the buffer locked', 'user1 waits for job', 'kswapd waits for job'],
      because:
        'the wait is allowed and only costs time: the job needs neither memory nor the reservation that the shrinker holds meanwhile (L-22, L-23)',
    },
    {
      when: { shrinker: 'trylock_and_wait', signaller_allocates: 'yes' },
      convicts: ['no-deadlock', 'no-alloc-in-signalling', 'fence-signals', 'lock-order'],
      because:
        'the worker is in reclaim, in the shrinker, and waits for the fence of the job that it has yet to start (C1)',
    },
    {
      when: { shrinker: 'blocking_lock', signaller_allocates: 'no' },
      convicts: ['no-deadlock', 'lock-order'],
      spares: ['no-alloc-in-signalling'],
      because:
        'the submission allocates under the reservation, and the shrinker on its stack wants that same reservation (LD-15, A4.8); even an innocent signaller does not help',
    },
    {
      when: { shrinker: 'blocking_lock', signaller_allocates: 'yes' },
      convicts: ['no-deadlock', 'lock-order', 'no-alloc-in-signalling', 'fence-signals'],
      because: 'both mistakes, and both circles (LD-15, C1)',
    },
  ],
});
