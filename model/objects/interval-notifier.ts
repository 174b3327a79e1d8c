/**
 * What a driver does with an interval notifier: read the sequence, collect pages, ask under its lock whether they are
 * stale, and insert or remove the subscription (mm/mmu_notifier.c, Documentation/mm/hmm.rst; rules A10, N-5..N-7).
 *
 * A userptr without a row in `interval_notifiers` has the short form of it: whether the collected pages are still those
 * of the process, and nobody waits for anything.
 */
import { type Block, type KernelObject, type KernelState, complain, instruction, returns, stay } from '../machine.ts';
import { MMAP_LOCK, MMU_NOTIFIER, holds, might_sleep, probe } from './context.ts';
import { quietly_if_ret } from './flow.ts';
import { type Interval, invalidationsWait, watched } from './invalidation.ts';
import { down_write, up_write } from './lock.ts';
import { kmalloc } from './memory.ts';

const onUserptr = ({ userptr }: { userptr: string }): [['userptrs', string]] => [['userptrs', userptr]];
const onInterval = ({ userptr }: { userptr: string }): [['interval_notifiers', string]] => [
  ['interval_notifiers', userptr],
];
const rowOf = (kernel: KernelState, userptr: string): Interval => kernel.interval_notifiers[userptr] as Interval;
/** Whoever calls this says that it may wait for a running invalidation (A10.6, A10.12). */
function mightWaitForInvalidation(kernel: KernelState, me: string, what: string): void {
  might_sleep(kernel, me, what);
  probe(kernel, me, { object: MMU_NOTIFIER, class: MMU_NOTIFIER, kind: 'lock', mode: 'exclusive', try: false });
}

/**
 * Wait until no invalidation of the interval is running, before any lock that a notifier takes, and remember the
 * sequence (A10.5, A10.6, N-5). One that runs but has not reached this subscription yet is not waited for: what is
 * collected in that time, read_retry will refuse.
 */
export const mmu_interval_read_begin = instruction('mmu_interval_read_begin', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_read_begin(${userptr})`,
  touches: onUserptr,
  waits: (kernel, me, { userptr }) =>
    kernel.interval_notifiers[userptr]?.sleeping.includes(me)
      ? invalidationsWait(watched(kernel, userptr), userptr)
      : undefined,
  run: (kernel, me, { userptr }) => {
    const row = kernel.interval_notifiers[userptr];
    if (row?.woken.includes(me)) {
      row.woken = row.woken.filter((each) => each !== me);
      return;
    }
    mightWaitForInvalidation(kernel, me, 'mmu_interval_read_begin');
    if (!row) return;
    // What it returns is what it read before it slept.
    row.readers = [...row.readers.filter((each) => each !== me), me].sort();
    if (!row.invalidating) return;
    row.sleeping = [...row.sleeping, me].sort();
    stay(kernel, me);
  },
});
/** Has the sequence stayed what this thread read? Without a row in `interval_notifiers` there is none to compare. */
export const sequenceStayed = (kernel: KernelState, me: string, userptr: string): boolean =>
  kernel.interval_notifiers[userptr]?.readers.includes(me) ?? true;

/** In the notifier, under the driver's lock: what was collected is stale from here (A10.2). */
export const mmu_interval_set_seq = instruction('mmu_interval_set_seq', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_set_seq(${userptr})`,
  touches: onUserptr,
  run: (kernel, me, { userptr }) => {
    (kernel.userptrs[userptr] as { collected: boolean }).collected = false;
    const row = kernel.interval_notifiers[userptr];
    if (!row) return;
    if (row.lock !== '' && !holds(kernel, me, row.lock))
      complain(
        kernel,
        me,
        'A10.2',
        `${me} sets the sequence of ${userptr} without ${row.lock}: a reader that has it does not see the change`,
      );
    if (!watched(kernel, userptr).odd) {
      complain(kernel, me, 'A10.2', `${me} sets the sequence of ${userptr}, and nobody invalidates it`);
      return;
    }
    if (row.invalidating) return; // the same number again, by another invalidation of the same time
    row.invalidating = true;
    row.readers = [];
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
        complain(
          kernel,
          me,
          'A10.7',
          `${me} asks whether ${userptr} is stale without ${lock}: the answer is stale at once`,
        );
      const good = kernel.interval_notifiers[userptr]
        ? sequenceStayed(kernel, me, userptr)
        : (kernel.userptrs[userptr] as { collected: boolean }).collected;
      returns(kernel, me, good ? '0' : '1');
    },
  },
);

const mm_is_subscribed = instruction('mm_is_subscribed', (userptr: string) => ({ userptr }), {
  text: () => '',
  local: true,
  touches: onInterval,
  run: (kernel, me, { userptr }) => returns(kernel, me, watched(kernel, userptr).subscribed ? '1' : '0'),
});
/** Watch the interval from here on; while one is being invalidated, from the end of that (A10.10). */
export const mmu_interval_notifier_insert_locked = instruction(
  'mmu_interval_notifier_insert_locked',
  (userptr: string) => ({ userptr }),
  {
    text: ({ userptr }) => `mmu_interval_notifier_insert_locked(${userptr})`,
    touches: onInterval,
    run: (kernel, me, { userptr }) => {
      const row = rowOf(kernel, userptr);
      const mm = watched(kernel, userptr);
      if (row.state !== 'removed') {
        complain(kernel, me, 'A10.10', `${me} inserts ${userptr}, which is ${row.state}`);
        return;
      }
      // Which addresses are being invalidated now is not known any more, so this interval counts as one of them.
      const active = mm.invalidations.length > 0;
      row.state = mm.odd ? 'to be inserted' : 'inserted';
      if (active) mm.odd = true;
      row.invalidating = active;
      row.readers = [];
      mm.subscribed = true;
      returns(kernel, me, '0');
    },
  },
);
/** The same; the first of an address space allocates under mmap_lock, held for writing (A10.11). */
export const mmu_interval_notifier_insert = (userptr: string): Block => [
  mm_is_subscribed(userptr),
  quietly_if_ret('0', [down_write(MMAP_LOCK), kmalloc('GFP_KERNEL', 'notifier_subscriptions'), up_write(MMAP_LOCK)]),
  mmu_interval_notifier_insert_locked(userptr),
];

const interval_remove = instruction('interval_remove', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_notifier_remove(${userptr})`,
  touches: onInterval,
  run: (kernel, me, { userptr }) => {
    const row = rowOf(kernel, userptr);
    if (row.state === 'removed' || row.state === 'to be removed')
      complain(kernel, me, 'A10.12', `${me} removes ${userptr}, which is ${row.state}`);
    else row.state = row.state === 'inserted' && watched(kernel, userptr).odd ? 'to be removed' : 'removed';
    row.readers = [];
    mightWaitForInvalidation(kernel, me, 'mmu_interval_notifier_remove');
  },
});
const interval_remove_wait = instruction('interval_remove_wait', (userptr: string) => ({ userptr }), {
  text: ({ userptr }) => `mmu_interval_notifier_remove(${userptr}) /* until no invalidation runs */`,
  touches: onInterval,
  waits: (kernel, _me, { userptr }) =>
    rowOf(kernel, userptr).state === 'to be removed' ? invalidationsWait(watched(kernel, userptr), userptr) : undefined,
  run: (kernel, me) => returns(kernel, me, '0'),
});
/** Stop watching: it waits for the invalidations that are under way, so neither from a callback nor under its lock (A10.12). */
export const mmu_interval_notifier_remove = (userptr: string): Block => [
  interval_remove(userptr),
  interval_remove_wait(userptr),
];

export const intervalNotifier: KernelObject = {
  ops: [
    mmu_interval_read_begin,
    mmu_interval_set_seq,
    mmu_interval_read_retry,
    mm_is_subscribed,
    mmu_interval_notifier_insert_locked,
    interval_remove,
    interval_remove_wait,
  ],
};
