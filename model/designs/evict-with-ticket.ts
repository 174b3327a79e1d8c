/**
 * Eviction inside a transaction: the lock of a victim says -EDEADLK, and the caller hears that there is no memory.
 *
 * Two transactions have a buffer each, and each wants the room that the other one's buffer takes. The younger one is told
 * to back off while TTM walks the LRU on its behalf. TTM turns that into -ENOSPC, and validate into -ENOMEM (B9.5). Whoever
 * takes it for what it says and tries again with its locks held waits for memory that the older transaction will free as
 * soon as it gets one of those locks (C19).
 */
import { design, ioctl } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  cpu_read,
  dma_resv_lock_slow,
  dma_resv_unlock,
  goto,
  if_ret,
  if_var,
  label,
  progress,
  set,
  together,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_objects,
  user,
  witness,
  ww_acquire_fini,
  ww_acquire_init,
} from '../objects/index.ts';

/** What the driver makes of -ENOMEM. */
const NO_MEMORY = {
  /** As xe does: the whole transaction again, with a new ticket. */
  starts_over: [ttm_bo_unreserve('$bo'), ww_acquire_fini(), goto('start')],
  tries_again: [goto('validate')],
} satisfies Record<string, Block>;

export const evictWithTicket = design({
  name: 'evict-with-ticket',
  title: 'A deadlock that eviction runs into must come back as -EDEADLK, not as -ENOMEM',
  sources: [
    'drivers/gpu/drm/ttm/ttm_bo.c, ttm_bo_evict_alloc, ttm_bo_validate',
    'drivers/gpu/drm/ttm/ttm_bo_util.c, ttm_lru_walk_for_evict',
    'drivers/gpu/drm/xe/xe_vm.c, xe_vm_validate_should_retry',
    'Documentation/locking/ww-mutex-design.rst',
    'B9.1',
    'B9.4..B9.6',
    'W-16',
    'W-24',
    'C19',
  ],
  knobs: {
    edeadlk: ['propagated', 'swallowed_as_ENOMEM'],
    on_enomem: ['starts_over', 'tries_again'],
  },
  kernel: ({ edeadlk, on_enomem }) => ({
    objects: together(
      ttm_objects({
        bos: {
          a: { place: 'TT', tt: 'populated', pages: 'A', expected: 'A' },
          b: { place: 'VRAM', vram: 'B', expected: 'B' },
        },
        managers: { SYSTEM: {}, TT: { size: 1 }, VRAM: { size: 1 } },
        devices: { bdev: { on_edeadlk: edeadlk === 'propagated' ? '-EDEADLK' : '-ENOSPC' } },
      }),
    ),
    threads: { user0: user(), user1: user() },
    calls: {
      exec: ioctl({ bo: ['a', 'b'] }, [
        if_var('bo', 'a', [set('place', 'VRAM'), set('other', 'b')], [set('place', 'TT'), set('other', 'a')]),
        label('start'),
        ww_acquire_init(),
        label('reserve'),
        ttm_bo_reserve('$bo', { ticket: true }),
        label('validate'),
        call('ttm_bo_validate', { bo: '$bo', places: '$place', ctx: '' }),
        if_ret('-EDEADLK', [
          witness('eviction is told to back off, and says so'),
          ttm_bo_unreserve('$bo'),
          dma_resv_lock_slow('$other'),
          dma_resv_unlock('$other'),
          goto('reserve'),
        ]),
        if_ret('-ENOMEM', [witness('validate says that there is no memory'), NO_MEMORY[on_enomem]]),
        if_ret('0', [witness('a buffer is where it is wanted'), progress('the buffer is there'), cpu_read('$bo')]),
        ttm_bo_unreserve('$bo'),
        ww_acquire_fini(),
      ]),
    },
    workload: { user0: ['exec(a)'], user1: ['exec(b)'] },
  }),
  expect: [
    {
      when: { edeadlk: 'propagated' },
      acquits: true,
      witnesses: [
        'eviction is told to back off, and says so',
        'a buffer is where it is wanted',
        'user0 waits for b',
        'user1 waits for a',
      ],
      because:
        'the younger transaction lets go of what it has and waits for the lock that it could not have; the older one goes on (W-24)',
    },
    {
      when: { edeadlk: 'swallowed_as_ENOMEM', on_enomem: 'starts_over' },
      acquits: true,
      witnesses: ['validate says that there is no memory', 'a buffer is where it is wanted', 'user0 waits for b'],
      because: 'whoever drops everything on -ENOMEM drops the lock that the older transaction waits for (B9.5)',
    },
    {
      when: { edeadlk: 'swallowed_as_ENOMEM', on_enomem: 'tries_again' },
      convicts: ['no-livelock', 'api-contract'],
      spares: ['no-deadlock'],
      witnesses: ['validate says that there is no memory'],
      because:
        'the younger one asks again and again for memory that its own lock keeps from being freed: no deadlock to report, and both are stuck (C19); only a ww_mutex with its checks on says that somebody did not back off (W-24)',
    },
  ],
});
