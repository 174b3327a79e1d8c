/**
 * The process side of memory: mmap_lock, page faults, user copies, munmap, and the two ways to get at pages of a
 * process: get_user_pages and hmm_range_fault (mm/gup.c, mm/hmm.c; rules A8, A9.3, A11).
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, returns } from '../machine.ts';
import { type Kept, flag, table } from '../schema.ts';
import { MMAP_LOCK, might_sleep, probe } from './context.ts';
import { call, if_ret, may_go, return_, set } from './flow.ts';
import { sequenceStayed } from './interval-notifier.ts';
import { arePagesGoing } from './invalidation.ts';
import { down_read, down_write, up_read, up_write } from './lock.ts';
import { kmalloc } from './memory.ts';
import {
  mmu_notifier_invalidate_range,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
} from './mmu-notifier.ts';
import { collectPages, isPinned, pinPages } from './user-pages.ts';

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

const onUserptr = ({ userptr }: { userptr: string }): [['userptrs', string]] => [['userptrs', userptr]];
const onPages = ({ userptr }: { userptr: string }): [['userptrs', string], ['user_pages', string]] => [
  ['userptrs', userptr],
  ['user_pages', userptr],
];
/** What a walk of the page tables finds: pages that are about to go, once an invalidation has begun to change them. */
function collectNow(kernel: KernelState, userptr: string): void {
  (kernel.userptrs[userptr] as { collected: boolean }).collected = true;
  collectPages(kernel, userptr, arePagesGoing(kernel, kernel.user_pages[userptr]?.range ?? ''));
}
const collect = instruction('hmm_collect', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `hmm_range_fault(${userptr})`,
  touches: onUserptr,
  run: (kernel, me, { userptr }) => {
    const stayed = sequenceStayed(kernel, me, userptr);
    if (stayed) collectNow(kernel, userptr);
    returns(kernel, me, stayed ? '0' : '-EBUSY');
  },
});
/**
 * Collect the pages of a userptr without keeping them: mmap_lock for reading, may fault and allocate (A11). ret '0', or
 * '-EBUSY' when an invalidation came since this thread's read_begin: it starts again there.
 */
export const hmm_range_fault = (userptr: string): Block => [
  down_read(MMAP_LOCK),
  kmalloc('GFP_KERNEL', 'page'),
  collect(userptr),
  up_read(MMAP_LOCK),
];

/** Get pages of the process: mmap_lock for reading, may fault and allocate (A8.6). Whether they stay is not its business. */
export const get_user_pages = (userptr: string): Block => hmm_range_fault(userptr);

const pin = instruction('pin_pages', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `pin_user_pages(${userptr})`,
  touches: onPages,
  run: (kernel, me, { userptr }) => {
    collectNow(kernel, userptr);
    pinPages(kernel, userptr, 1);
    returns(kernel, me, '0');
  },
});
/**
 * Pin the pages of a userptr (FOLL_LONGTERM): mmap_lock for reading, may fault and allocate. They are neither reclaimed
 * nor migrated until unpin_user_pages, and need no notifier to stay valid; with one or without, munmap takes them out of
 * the process all the same (A11, A11.2). With FOLL_NOWAIT it returns '-EAGAIN' where it would have to wait for a page.
 */
export const pin_user_pages = (userptr: string, flags: '' | 'FOLL_NOWAIT' = ''): Block =>
  flags === ''
    ? [down_read(MMAP_LOCK), kmalloc('GFP_KERNEL', 'page'), pin(userptr), up_read(MMAP_LOCK)]
    : [down_read(MMAP_LOCK), may_go('FOLL_NOWAIT', ['0', '-EAGAIN']), if_ret('0', [pin(userptr)]), up_read(MMAP_LOCK)];
/** Give one reference back. */
export const unpin_user_pages = instruction('unpin_user_pages', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `unpin_user_pages(${userptr})`,
  touches: ({ userptr }) => [['user_pages', userptr]],
  run: (kernel, me, { userptr }) => {
    if (!pinPages(kernel, userptr, -1)) complain(kernel, me, 'A11.2', `${me} unpins ${userptr}, which is not pinned`);
  },
});

const migrate = instruction('migrate_folio', (range: string) => ({ range }), {
  text: ({ range }) => `migrate_folio(${range})`,
  touches: ({ range }) => [['ranges', range]],
  run: (kernel, me, { range }) => returns(kernel, me, isPinned(kernel, range) ? '-EAGAIN' : '0'),
});
/** Compaction, NUMA balancing, hot-unplug: unmap, copy, map again. ret '-EAGAIN' for a pinned page, which stays where it is (A11.2). */
export const migrate_pages = (range: string): Block => [call('migrate_pages', { range })];

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
  ops: [user_copy, collect, pin, unpin_user_pages, migrate],
  routines: {
    handle_mm_fault,
    migrate_pages: [
      mmu_notifier_invalidate_range_start('$range'),
      migrate('$range'),
      set('migrated', 'ret'),
      mmu_notifier_invalidate_range_end('$range'),
      return_('$migrated'),
    ],
  },
};
