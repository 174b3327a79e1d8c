/**
 * The device lets go of a buffer by a command of its own; must TTM wait for it before the buffer is in SYSTEM?
 * (Hellström, König, November 2021)
 *
 * `mob` is bound to the device of vmwgfx in its own placement. To unbind it the driver sends a command behind the jobs
 * that use it, and the device writes back what it still has of the buffer (vmw_resource_unbind). Today that is waited for.
 * It need not be, if SYSTEM may have fences: then the command's fence goes with the buffer, and TTM waits for it when it
 * takes the pages. Without the fence, or with a TTM that takes whatever is in SYSTEM for idle, the command finds them gone.
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  cpu_read,
  device_map,
  device_read,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_timeout,
  emit,
  goto,
  if_ret,
  if_var,
  label,
  return_,
  ring,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_tt_populate,
  ttm_tt_state,
  ttm_tt_swapout,
  user,
  witness,
} from '../objects/index.ts';

const send_unbind: Block = [dma_fence_init('unbind'), emit('gpu', 'unbind', 'unbind', 'unbind_done')];
const with_move_fence: Block = [
  dma_resv_reserve_fences('mob'),
  dma_fence_init('unbind'),
  dma_resv_add_fence('mob', 'unbind', 'KERNEL'),
  emit('gpu', 'unbind', 'unbind', 'unbind_done'),
];
/** How the driver takes the buffer away from the device, on its way to SYSTEM. */
const UNBIND = {
  waits: [with_move_fence, dma_resv_wait('mob', 'BOOKKEEP')],
  pipelined_with_move_fence: with_move_fence,
  pipelined_without: send_unbind,
} satisfies Record<string, Block>;

const everything = [
  'swap-out finds mob in SYSTEM',
  'mob is swapped out',
  'a job finds mob swapped',
  'a job finds mob in SYSTEM',
];

export const asyncUnbind = design({
  name: 'async-unbind',
  title: 'Fences in SYSTEM would allow asynchronous unbinding, as long as whoever takes the pages waits for them',
  sources: [
    'dri-devel 2021-11-22, Rusin, Hellström, König on TTM_PL_SYSTEM',
    'drivers/gpu/drm/vmwgfx/vmwgfx_resource.c, vmw_resource_unbind_list',
    'drivers/gpu/drm/vmwgfx/vmwgfx_bo.c',
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_swapout',
    'B5.6',
    'B11.1',
    'B11.7',
    'B12.3',
    'B18.1..B18.6',
  ],
  knobs: {
    unbind: ['waits', 'pipelined_with_move_fence', 'pipelined_without'],
    /** Does TTM itself wait before it copies, or is a buffer in SYSTEM idle by definition (B12.3 step 4, B18.1)? */
    swapout: ['waits_for_fences', 'takes_system_for_idle'],
  },
  kernel: ({ unbind, swapout }) => ({
    objects: {
      bos: { mob: { place: 'SYSTEM', busy_in_system: unbind !== 'waits' } },
      resvs: { mob: {} },
      fences: { job1: {}, job2: {}, unbind: {} },
    },
    threads: { app: user(), other_driver: user(), gpu: ring() },
    routines: {
      // Binding is a command as well, in front of the job that needs it.
      job_done: [if_var('bind', 'yes', [device_map('mob')]), device_read('mob'), dma_fence_signal('$fence')],
      unbind_done: [device_write('mob', 'readback'), device_unmap('mob'), dma_fence_signal('$fence')],
      driver_move_to_system: [
        dma_fence_is_signaled('unbind'),
        if_ret('0', [return_('-EBUSY')]), // one such command at a time is enough here
        UNBIND[unbind],
        ttm_bo_move_null('mob', 'SYSTEM'),
        dma_fence_is_signaled('unbind'),
        if_ret('0', [witness('mob goes to SYSTEM behind work that is under way')]),
        return_('0'),
      ],
      ttm_bo_swapout: [
        dma_resv_trylock('mob'),
        if_ret('0', [return_('-EBUSY')]),
        ttm_tt_state('mob'),
        if_ret(['limbo', 'swapped'], [goto('out')]),
        ttm_bo_place('mob'),
        if_ret(
          'SYSTEM',
          [witness('swap-out finds mob in SYSTEM')],
          [call('driver_move_to_system'), if_ret('-EBUSY', [goto('out')])],
        ),
        swapout === 'waits_for_fences'
          ? [dma_resv_wait_timeout('mob', 'BOOKKEEP'), if_ret('-EBUSY', [goto('out')])]
          : [],
        ttm_tt_swapout('mob'),
        ttm_tt_state('mob'),
        if_ret('swapped', [witness('mob is swapped out')]),
        label('out'),
        dma_resv_unlock('mob'),
      ],
    },
    calls: {
      exec: ioctl({ job: ['job1', 'job2'] }, [
        dma_resv_lock('mob'),
        dma_fence_is_signaled('$job'),
        if_ret('0', [dma_resv_unlock('mob'), return_('-EBUSY')]),
        ttm_bo_place('mob'),
        if_ret('SYSTEM', [
          ttm_tt_state('mob'),
          if_ret('swapped', [witness('a job finds mob swapped')]),
          if_ret('populated', [witness('a job finds mob in SYSTEM')]),
          ttm_tt_populate('mob'),
          ttm_bo_move_null('mob', 'PRIV'),
        ]),
        dma_resv_reserve_fences('mob'),
        dma_fence_init('$job'),
        dma_resv_add_fence('mob', '$job', 'WRITE'),
        emit('gpu', '$job', '$job', 'job_done', { bind: 'yes' }),
        dma_resv_unlock('mob'),
      ]),
      read: ioctl({}, [
        dma_resv_lock('mob'),
        dma_resv_wait('mob', 'WRITE'),
        ttm_tt_populate('mob'),
        cpu_read('mob'),
        dma_resv_unlock('mob'),
      ]),
      // Somebody needs the device's room for bound buffers.
      evict: ioctl({}, [
        dma_resv_lock('mob'),
        ttm_bo_place('mob'),
        if_ret('PRIV', [call('driver_move_to_system')]),
        dma_resv_unlock('mob'),
      ]),
      // TTM has more pages than it may.
      populate_over_limit: ioctl({}, [call('ttm_bo_swapout')]),
    },
    workload: { app: ['exec(job1)', 'exec(job2)', 'read()'], other_driver: ['evict()', 'populate_over_limit()'] },
  }),
  expect: [
    {
      when: { unbind: 'waits' },
      acquits: true,
      witnesses: everything,
      because: 'nothing of the device is left when the buffer comes to SYSTEM, whatever TTM takes that to mean (B11.7)',
    },
    {
      when: { unbind: 'pipelined_with_move_fence', swapout: 'waits_for_fences' },
      acquits: true,
      witnesses: [...everything, 'mob goes to SYSTEM behind work that is under way', 'other_driver waits for unbind'],
      because:
        'the command has a fence in the reservation, and TTM waits for every fence there before it copies the pages: fences in SYSTEM are ok as long as both sides know (B11.1, B12.3)',
    },
    {
      when: { unbind: 'pipelined_with_move_fence', swapout: 'takes_system_for_idle' },
      convicts: ['no-stale-access', 'ttm-state', 'contents-kept'],
      witnesses: ['mob goes to SYSTEM behind work that is under way'],
      because: 'a fence helps nobody who does not look at it: a buffer in SYSTEM was idle by definition (B18.1)',
    },
    {
      when: { unbind: 'pipelined_without' },
      convicts: ['no-stale-access', 'ttm-state', 'contents-kept'],
      witnesses: ['mob goes to SYSTEM behind work that is under way'],
      because:
        'the jobs are over and the reservation says that nobody uses the buffer; the command that writes it back is still to come, and finds that the pages are gone (B18.6)',
    },
  ],
});
