/**
 * mmu notifiers: whoever watches pages of a process hears before and after they change (mm/mmu_notifier.c; rules A9, N-1..N-3).
 *
 * They are calls on the stack of whoever changes the pages: munmap with mmap_lock, or any task that reclaims. A range has
 * one notifier of the older kind, and any number of interval notifiers, which are called first.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  pushCall,
  returns,
} from '../machine.ts';
import { MMU_NOTIFIER, acquire, atomic_enter, atomic_exit, release } from './context.ts';
import { call, quietly_if_ret, return_ } from './flow.ts';
import { fields, invalidationEnds, invalidationStarted, invalidationStarts, mmOf } from './invalidation.ts';
import { pagesGetOld } from './user-pages.ts';

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
/** The form of the OOM reaper, which may not sleep: ret '-EAGAIN' when a notifier refuses, and then it has no end (A9.5, A9.8). */
export const invalidate_range_nonblockable = (range: string): Block => [
  call('invalidate_range_nonblockable', { range }),
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

const retOf = (kernel: KernelState, me: string): string => (kernel.threads[me] as Thread).ret;
/** What the notifier of the older kind answered: only a non-blockable call may be refused, and not by one with an end (A9.6, A9.7). */
const notifier_answered = instruction(
  'notifier_answered',
  (range: string, blockable: boolean) => ({ range, blockable }),
  {
    text: () => '',
    local: true,
    run: (kernel, me, { range, blockable }) => {
      if (retOf(kernel, me) !== '-EAGAIN') return;
      if (blockable) complain(kernel, me, 'A9.6', `the notifier of ${range} refuses a blockable call`);
      else if (kernel.ranges[range]?.invalidate_end !== '')
        complain(
          kernel,
          me,
          'A9.7',
          `the notifier of ${range} refuses, and has an end that cannot know whether its start ran`,
        );
    },
  },
);

/** The invalidation begins: every interval notifier of the range is called, and then every second pass (A10.1, A10.13). */
const intervals_start = instruction('intervals_start', (range: string, blockable: boolean) => ({ range, blockable }), {
  text: () => '',
  local: true,
  run: (kernel, me, { range, blockable }) => {
    returns(kernel, me, '0');
    const all = invalidationStarts(kernel, me, range);
    const pass = (hook: 'invalidate' | 'finish'): void => {
      for (const interval of all.toReversed()) {
        const routine = kernel.interval_notifiers[interval]?.[hook] ?? '';
        if (routine !== '')
          pushCall(kernel, me, `interval_${hook}`, { routine, range, interval, blockable: String(blockable) });
      }
    };
    if (blockable) pass('finish'); // below the others on the stack: it comes when all of them have returned
    pass('invalidate');
  },
});
const frameOf = (kernel: KernelState, me: string): Frame => (kernel.threads[me] as Thread).frames.at(-1) as Frame;
/** One that may not block and refused is the last one that is asked (A9.7). */
const call_interval = instruction('call_interval', (routine: string, interval: string) => ({ routine, interval }), {
  text: ({ interval }) => `ops->invalidate(${interval})`,
  local: true,
  run: (kernel, me, { routine, interval }) => {
    const { range, blockable } = frameOf(kernel, me).vars as { range: string; blockable: string };
    if (blockable === 'false' && retOf(kernel, me) === '-EAGAIN') return;
    returns(kernel, me, '0');
    pushCall(kernel, me, routine, { range, interval, blockable });
  },
});
/** In a blockable call it must succeed: an error is a warning and is ignored (N-2, A10.3). */
const interval_answered = instruction('interval_answered', (interval: string) => ({ interval }), {
  text: () => '',
  local: true,
  run: (kernel, me, { interval }) => {
    const refused = retOf(kernel, me) === '-EAGAIN';
    if (frameOf(kernel, me).vars['blockable'] === 'false') {
      if (!refused) returns(kernel, me, '0');
      return;
    }
    if (refused) complain(kernel, me, 'N-2', `the interval notifier of ${interval} refuses a blockable call`);
    returns(kernel, me, '0');
  },
});
/** The start has returned: nobody may use these pages any more, and now the page tables change. */
const start_returned = instruction('start_returned', (range: string) => ({ range }), {
  text: () => '',
  local: true,
  run: (kernel, me, { range }) => {
    pagesGetOld(kernel, range);
    invalidationStarted(kernel, me, range);
    if (mmOf(kernel, range)) pushCall(kernel, me, 'zap_pte_range', { range });
  },
});
const zap_pte_range = instruction('zap_pte_range', (range: string) => ({ range }), {
  text: ({ range }) => `zap_pte_range(${range})`,
  run: () => {},
});
const intervals_end = instruction('intervals_end', (range: string) => ({ range }), {
  text: () => '',
  local: true,
  run: (kernel, me, { range }) => invalidationEnds(kernel, me, range),
});

export const mmuNotifier: KernelObject = {
  schema: fields,
  ops: [
    notifier_enter,
    notifier_exit,
    call_notifier,
    call_notifier_end,
    notifier_answered,
    intervals_start,
    call_interval,
    interval_answered,
    start_returned,
    zap_pte_range,
    intervals_end,
  ],
  routines: {
    mmu_notifier_invalidate_range_start: [
      notifier_enter('$range'),
      intervals_start('$range', true),
      call_notifier('$range'),
      notifier_answered('$range', true),
      notifier_exit('$range'),
      start_returned('$range'),
    ],
    mmu_notifier_invalidate_range_end: [
      notifier_enter('$range'),
      intervals_end('$range'),
      call_notifier_end('$range'),
      notifier_exit('$range'),
    ],
    invalidate_range_nonblockable: [
      notifier_enter('$range'),
      atomic_enter('a non-blockable notifier'),
      intervals_start('$range', false),
      quietly_if_ret('0', [call_notifier('$range'), notifier_answered('$range', false)]),
      atomic_exit('a non-blockable notifier'),
      notifier_exit('$range'),
      quietly_if_ret('-EAGAIN', [intervals_end('$range'), return_('-EAGAIN')]),
      start_returned('$range'),
      mmu_notifier_invalidate_range_end('$range'),
    ],
    interval_invalidate: [call_interval('$routine', '$interval'), interval_answered('$interval')],
    interval_finish: [call_interval('$routine', '$interval')],
    zap_pte_range: [zap_pte_range('$range')],
  },
};
