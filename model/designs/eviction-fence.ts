/**
 * Memory management looks for victims when memory is short: what does it know of a buffer before it decides (König)?
 *
 * A fence attached beforehand says that moving the buffer stops a process, and, once it has signalled, that the other
 * buffers of this process now cost nothing. A fence that comes only with move_notify says so too late: "you can't say oh
 * sorry". Vetter's third way is a flag on the buffer, and move_notify to stop its user. Two processes run; A has two
 * buffers, B has one between them in the LRU; two have to go. Nobody is brought back: memory is short until the end.
 * What is paid is a second process that is stopped for nothing: safety is not what they argue about.
 */
import { design, may } from '../design.ts';
import type { Block } from '../machine.ts';
import {
  call,
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_unlock,
  dma_resv_wait,
  evict_begin,
  evict_end,
  if_ret,
  if_var,
  may_go,
  queue_is_mapped,
  queue_work,
  return_,
  set,
  ttm_bo_move_memcpy,
  ttm_bo_place,
  unmap_queue,
  user_queue,
  witness,
  work,
} from '../objects/index.ts';

const LRU = ['a0', 'b0', 'a1'] as const;
const PROCESSES = ['a', 'b'] as const;
type Buffer = (typeof LRU)[number];
const processOf = (bo: Buffer): (typeof PROCESSES)[number] => (bo === 'b0' ? 'b' : 'a');
const queueOf = (bo: Buffer): string => `queue_${processOf(bo)}`;
const fenceOf = (bo: Buffer): string => `eviction_${processOf(bo)}`;
const evictOf = (bo: Buffer): string => `evict_${processOf(bo)}`;

export const evictionFence = design({
  name: 'eviction-fence',
  title: 'Memory management needs to know beforehand how costly it is to evict a buffer',
  sources: [
    'Christian König, Daniel Vetter, amd-gfx, 2019-07-02, "[PATCH 2/2] dma-buf: cleanup shared fence removal"',
    'drivers/gpu/drm/amd/amdgpu/amdgpu_amdkfd_fence.c, include/linux/dma-buf.h (move_notify)',
    'drivers/gpu/drm/ttm/ttm_bo.c (eviction_valuable)',
    'E1.1..E1.5, E2, E2.2, P-6',
  ],
  knobs: {
    known_by: ['fence_beforehand', 'movable_flag', 'fence_in_move_notify'],
    victim: ['idle_first', 'any'],
  },
  kernel: ({ known_by, victim }) => {
    const beforehand = known_by === 'fence_beforehand';
    const flag = known_by === 'movable_flag';
    /** ret '1' when moving it stops nobody, as far as memory management can tell. */
    const is_idle = (bo: Buffer): Block =>
      flag
        ? [queue_is_mapped(queueOf(bo)), if_ret('0', [return_(bo)])]
        : [dma_resv_test_signaled(bo, 'BOOKKEEP'), if_ret('1', [return_(bo)])];
    const if_there = (bo: Buffer, then: Block): Block => [ttm_bo_place(bo), if_ret('VRAM', then)];
    const each = (body: (bo: Buffer) => Block): Block => LRU.map(body);
    /** What it takes before the buffer may be moved. */
    const stop_the_users = (bo: Buffer): Block =>
      flag
        ? [unmap_queue(queueOf(bo))] // move_notify stops the queues, with the reservation held (E2.2)
        : [
            beforehand
              ? []
              : [
                  dma_resv_reserve_fences(bo),
                  dma_fence_init(fenceOf(bo), evictOf(bo)),
                  dma_resv_add_fence(bo, fenceOf(bo), 'BOOKKEEP'), // what move_notify may do, and no less
                ],
            dma_resv_wait(bo, 'BOOKKEEP'),
          ];
    const evict_one: Block = [
      call('pick_victim'),
      set('bo', 'ret'),
      each((bo) => [
        if_var('bo', bo, [
          evict_begin(bo),
          dma_resv_lock(bo),
          stop_the_users(bo),
          ttm_bo_move_memcpy(bo, 'SYSTEM'),
          witness(`${bo} is swapped out`),
          dma_resv_unlock(bo),
          evict_end(bo),
        ]),
      ]),
    ];
    return {
      objects: {
        resvs: Object.fromEntries(
          LRU.map((bo) => [bo, beforehand ? { fences: [{ fence: fenceOf(bo), usage: 'BOOKKEEP' }] } : {}]),
        ),
        bos: Object.fromEntries(LRU.map((bo) => [bo, { place: 'VRAM', mapped: 'VRAM' }])),
        evictions: Object.fromEntries(LRU.map((bo) => [bo, {}])),
        fences: flag
          ? {}
          : Object.fromEntries(
              LRU.map((bo) => [
                fenceOf(bo),
                {
                  enable_signaling: `enable_${evictOf(bo)}`,
                  ...(beforehand ? { initialised: true, published: true, promisedBy: evictOf(bo) } : {}),
                },
              ]),
            ),
        housekeeping: flag ? {} : Object.fromEntries(LRU.map((bo) => [fenceOf(bo), {}])),
      },
      routines: {
        pick_victim: [
          each((bo) =>
            if_there(
              bo,
              victim === 'idle_first'
                ? is_idle(bo)
                : [may_go(`${bo} is next in the LRU`, ['take it', 'leave it']), if_ret('take it', [return_(bo)])],
            ),
          ),
          each((bo) => if_there(bo, [return_(bo)])), // somebody has to go
        ],
        ...(flag
          ? {}
          : Object.fromEntries(
              PROCESSES.map((process) => [`enable_evict_${process}`, [queue_work(`evict_${process}`)]]),
            )),
      },
      threads: {
        queue_a: user_queue({ uses: ['a0', 'a1'] }),
        queue_b: user_queue({ uses: ['b0'] }),
        ttm_swapout: may([evict_one, evict_one]),
        ...(flag
          ? {}
          : Object.fromEntries(
              PROCESSES.map((process) => [
                `evict_${process}`,
                work([
                  dma_fence_begin_signalling(),
                  unmap_queue(`queue_${process}`),
                  dma_fence_signal(`eviction_${process}`),
                  dma_fence_end_signalling(),
                ]),
              ]),
            )),
      },
    };
  },
  expect: [
    {
      when: { known_by: ['fence_beforehand', 'movable_flag'], victim: 'idle_first' },
      acquits: true,
      witnesses: ['a0 is swapped out', 'a1 is swapped out'],
      because:
        'the first victim stops its process, and from then on its other buffers are known to cost nothing: they go next, and B runs on',
    },
    {
      when: { known_by: ['fence_beforehand', 'movable_flag'], victim: 'any' },
      convicts: ['no-needless-work'],
      spares: ['no-stale-access', 'no-deadlock', 'fence-signals', 'no-livelock'],
      because: 'what is known has to be asked for: a choice that does not look stops the next process all the same',
    },
    {
      when: { known_by: 'fence_in_move_notify' },
      convicts: ['no-needless-work'],
      spares: ['no-stale-access', 'no-deadlock', 'fence-signals', 'no-livelock'],
      because:
        'without a fence every buffer looks idle, so the next of the LRU is picked, and potentially another process is stopped',
    },
  ],
});
