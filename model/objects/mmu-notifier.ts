/**
 * mmu notifiers: whoever watches pages of a process hears before and after they change (mm/mmu_notifier.c; rules A9, N-1..N-3).
 *
 * They are calls on the stack of whoever changes the pages: munmap with mmap_lock, or any task that reclaims.
 */
import { type Block, type KernelObject, instruction, pushCall, returns } from '../machine.ts';
import { type Kept, fixedName, table } from '../schema.ts';
import { MMU_NOTIFIER, acquire, atomic_enter, atomic_exit, release } from './context.ts';
import { call, if_ret } from './flow.ts';

const fields = {
  /** Pages of processes that reclaim may unmap; the notifier is called before and after they change (A9.2). */
  ranges: table({ invalidate: fixedName('routines'), invalidate_end: fixedName('routines') }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** The pseudo-lock around the notifier calls: round those of start and those of end, not between them (N-1, A9.2). */
const notifier_enter = instruction('notifier_enter', (range: string) => ({ range }), {
  text: ({ range }) => `lock_map_acquire(mmu_notifier) /* ${range} */`,
  local: true,
  run: (kernel, me) =>
    acquire(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'shared', try: false }),
});
const notifier_exit = instruction('notifier_exit', (range: string) => ({ range }), {
  text: ({ range }) => `lock_map_release(mmu_notifier) /* ${range} */`,
  local: true,
  run: (kernel, me) => {
    release(kernel, me, MMU_NOTIFIER, 'lock');
  },
});
export const mmu_notifier_invalidate_range_start = (range: string): Block => [
  call('mmu_notifier_invalidate_range_start', { range }),
];
export const mmu_notifier_invalidate_range_end = (range: string): Block => [
  call('mmu_notifier_invalidate_range_end', { range }),
];
/**
 * munmap, mprotect, fork, migration, …: the notifier of this range runs on the caller's stack, before and after the
 * page tables change (A9.2, A9.3). `between` is what else happens there; another pair may (A9.2).
 */
export const mmu_notifier_invalidate_range = (range: string, between: Block = []): Block => [
  mmu_notifier_invalidate_range_start(range),
  between,
  mmu_notifier_invalidate_range_end(range),
];
const notifierCall = (opName: string, hook: 'invalidate' | 'invalidate_end') =>
  instruction(opName, (range: string) => ({ range }), {
    text: ({ range }) => `ops->${hook}(${range})`,
    local: true,
    touches: ({ range }) => [['ranges', range]],
    run: (kernel, me, { range }) => {
      const routine = kernel.ranges[range]?.[hook] ?? '';
      returns(kernel, me, '0');
      if (routine !== '') pushCall(kernel, me, routine, { range });
    },
  });
const call_notifier = notifierCall('call_notifier', 'invalidate');
const call_notifier_end = notifierCall('call_notifier_end', 'invalidate_end');

export const mmuNotifier: KernelObject = {
  schema: fields,
  ops: [notifier_enter, notifier_exit, call_notifier, call_notifier_end],
  routines: {
    mmu_notifier_invalidate_range_start: [notifier_enter('$range'), call_notifier('$range'), notifier_exit('$range')],
    mmu_notifier_invalidate_range_end: [notifier_enter('$range'), call_notifier_end('$range'), notifier_exit('$range')],
    // The form of the OOM reaper: it may not sleep, and a start that refused has no end (A9.5, A9.8).
    invalidate_range_nonblockable: [
      notifier_enter('$range'),
      atomic_enter('a non-blockable notifier'),
      call_notifier('$range'),
      atomic_exit('a non-blockable notifier'),
      notifier_exit('$range'),
      if_ret('-EAGAIN', [], mmu_notifier_invalidate_range_end('$range')),
    ],
  },
};
