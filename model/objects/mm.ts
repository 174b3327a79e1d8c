/**
 * The process side of memory: mmap_lock, page faults, user copies, get_user_pages, munmap, and the sequence by which a
 * driver learns that pages it collected are stale (mm/gup.c, mm/mmu_notifier.c; rules A8..A11, N-1..N-9).
 *
 * The sequence number is reduced to what it decides: whether the pages that `hmm_range_fault` collected are still
 * those of the process.
 */
import { type Block, type KernelObject, instruction, note, returns } from '../machine.ts';
import { type Kept, flag, table } from '../schema.ts';
import { MMAP_LOCK, MMU_NOTIFIER, holds, might_sleep, probe } from './context.ts';
import { call } from './flow.ts';
import { down_read, down_write, up_read, up_write } from './lock.ts';
import { kmalloc } from './memory.ts';
import { mmu_notifier_invalidate_range } from './mmu-notifier.ts';

const fields = {
  /** One userptr: `collected` until the next invalidation of its range. */
  userptrs: table({ collected: flag }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}

/** A handled page fault: mmap_lock for reading, a page (A8.1). */
const handle_mm_fault: Block = [down_read(MMAP_LOCK), kmalloc('GFP_KERNEL', 'page'), up_read(MMAP_LOCK)];

const user_copy = instruction('copy_from_user', () => ({}), {
  text: () => 'copy_from_user(…)',
  touches: () => [['locks', MMAP_LOCK]],
  outcomes: () => ['ok', 'faults'],
  run: (kernel, me, _operands, outcome) => {
    might_sleep(kernel, me, 'copy_from_user');
    probe(kernel, me, { object: MMAP_LOCK, class: MMAP_LOCK, kind: 'lock', mode: 'shared', try: false }); // L-16
    returns(kernel, me, '0');
    if (outcome === 'faults')
      (kernel.threads[me] as { frames: unknown[] }).frames.push({ routine: 'handle_mm_fault', pc: 0, vars: { me } });
  },
});
/** Copy from or to user memory: it may fault, so it counts as taking mmap_lock (A8.5, L-26). */
export const copy_from_user = (): Block => [user_copy()];

const collect = instruction('hmm_collect', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `hmm_range_fault(${userptr})`,
  touches: ({ userptr }) => [['userptrs', userptr]],
  run: (kernel, me, { userptr }) => {
    (kernel.userptrs[userptr] as { collected: boolean }).collected = true;
    returns(kernel, me, '0');
  },
});
/** Collect the pages of a userptr: mmap_lock for reading, may allocate (A11). */
export const hmm_range_fault = (userptr: string): Block => [
  down_read(MMAP_LOCK),
  kmalloc('GFP_KERNEL', 'page'),
  collect(userptr),
  up_read(MMAP_LOCK),
];

/** Pin pages: mmap_lock for reading, may fault and allocate (A8.6). */
export const get_user_pages = (userptr: string): Block => hmm_range_fault(userptr);

/**
 * Wait until no invalidation of the range is running, before any lock that a notifier takes (A10.5, A10.6, N-5). Here
 * is only what lockdep hears of it; the wait itself is left out, so a run may collect pages while a notifier runs.
 */
export const mmu_interval_read_begin = instruction('mmu_interval_read_begin', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_read_begin(${userptr})`,
  touches: ({ userptr }) => [['userptrs', userptr]],
  run: (kernel, me) => {
    might_sleep(kernel, me, 'mmu_interval_read_begin');
    probe(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'exclusive', try: false });
  },
});

/** In the notifier, under the driver's lock: what was collected is stale from here (A10.2). */
export const mmu_interval_set_seq = instruction('mmu_interval_set_seq', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_set_seq(${userptr})`,
  touches: ({ userptr }) => [['userptrs', userptr]],
  run: (kernel, _me, { userptr }) => {
    (kernel.userptrs[userptr] as { collected: boolean }).collected = false;
  },
});
/** Are the collected pages stale? ret '1' or '0'; only meaningful under the driver's lock, given as `lock` (A10.7). */
export const mmu_interval_read_retry = instruction(
  'mmu_interval_read_retry',
  (userptr: string, lock: string) => ({ userptr, lock }),
  {
    text: ({ userptr }) => `mmu_interval_read_retry(${userptr})`,
    touches: ({ userptr, lock }) => [
      ['userptrs', userptr],
      ['locks', lock],
    ],
    run: (kernel, me, { userptr, lock }) => {
      if (!holds(kernel, me, lock))
        note(kernel, me, {
          kind: 'misuse',
          rule: 'A10.7',
          what: `${me} asks whether ${userptr} is stale without ${lock}: the answer is stale at once`,
        });
      returns(kernel, me, (kernel.userptrs[userptr] as { collected: boolean }).collected ? '0' : '1');
    },
  },
);

/** munmap: mmap_lock for writing, the notifier, then the pages are gone; `between` as in the notifier call (A9.2). */
export const munmap = (range: string, between: Block = []): Block => [
  down_write(MMAP_LOCK),
  mmu_notifier_invalidate_range(range, between),
  up_write(MMAP_LOCK),
];

/** A CPU fault on a buffer mapping: `body` runs with mmap_lock held for reading (A8.2). */
export const cpu_fault = (body: Block): Block => [down_read(MMAP_LOCK), body, up_read(MMAP_LOCK)];
/** The address space every design with user memory declares: `objects: { locks: { ...mmap } }`. */
export const mmap: Record<string, Record<string, unknown>> = { [MMAP_LOCK]: {} };
export const page_fault = (): Block => [call('handle_mm_fault')];

export const mm: KernelObject = {
  schema: fields,
  ops: [user_copy, collect, mmu_interval_read_begin, mmu_interval_set_seq, mmu_interval_read_retry],
  routines: { handle_mm_fault },
};
