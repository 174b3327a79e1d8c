import { describe, expect, test } from 'vitest';
import { follow } from '../case.ts';
import { type Kernel, ioctl, must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import { misuses, stage, witnessed } from '../stage.ts';
import {
  type GfpFlag,
  dma_fence_init,
  dma_fence_wait,
  dma_fence_wait_interruptible,
  if_var,
  kmalloc,
  mmap,
  munmap,
  mutex_lock,
  mutex_lock_killable,
  mutex_unlock,
  oom_reaper,
  return_,
  user,
  witness,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('looks around');
const kernel = (task: Block, more: Partial<Kernel> = {}): Kernel => ({
  ...more,
  objects: { locks: { a: {}, b: {}, ...mmap }, fences: { f: {} }, ...more.objects },
  calls: { call: ioctl({}, [STEP, return_('0')]), ...more.calls },
  threads: { app: user({ mm: 'mm' }), task: must([task, STEP]), ...more.threads },
  workload: { app: ['call()'], ...more.workload },
});
const KMALLOC = kmalloc('GFP_KERNEL');
const on = (...given: Parameters<typeof kernel>) => stage(kernel(...given));
const RANGE = { ranges: { heap: { mm: 'mm' } } };
/** An interval notifier that refuses where it may not block, or does not. */
const watched = (refuses: boolean): Partial<Kernel> => ({
  objects: { ...RANGE, interval_notifiers: { u: { range: 'heap', invalidate: 'invalidate' } } },
  routines: {
    invalidate: [witness('notified'), refuses ? if_var('blockable', 'false', [return_('-EAGAIN')]) : [], return_('0')],
  },
});

describe('who is chosen, and by whom', () => {
  test('A1.2: a small allocation that makes no progress kills a process, and waits for its memory', () => {
    const at = on(KMALLOC);
    expect(at.ways('task')).toEqual(['ok', 'kills app']);
    expect(witnessed(at.plays('task/kills app'))).toEqual(['the OOM killer kills app']);
    expect(at.because('task')).toBe('there is no memory until app exits or is reaped');
  });
  test('without a process that has memory it finds some', () => {
    expect(on(KMALLOC, { threads: { app: user() } }).ways('task')).toEqual(['ok']);
  });
  test('A6.1: a killed process exits, whatever else it has to do, and its memory comes back', () => {
    const at = on(KMALLOC, { workload: { app: ['call()', 'call()'] } });
    at.plays('task/kills app');
    expect(at.open('app')).toMatchObject({ kind: 'ready', nature: 'owed', outcomes: ['killed'] });
    at.runs('app');
    expect(at.open('app').kind).toBe('idle');
    expect(at.ways('task')).toEqual(['ok']);
    at.plays('task/ok');
    expect(at.ret('task')).toBe('0');
  });
  test('one that nobody killed is owed nothing and owes nothing', () => {
    expect(on(KMALLOC).open('app')).toMatchObject({ kind: 'ready', nature: 'may', outcomes: ['call'] });
  });
  test('A6.1: killed in the middle of a call it ends the call first', () => {
    const at = on(KMALLOC);
    at.plays('app', 'task/kills app');
    expect(at.open('app')).toMatchObject({ kind: 'ready', outcomes: [''] });
    at.plays('app');
    expect(at.ways('app')).toEqual(['killed']);
  });
  test('A6.5: as long as there is a victim nobody else is chosen', () => {
    const at = on(KMALLOC, { threads: { other: user({ mm: 'mm2' }), second: must(KMALLOC) } });
    expect(at.ways('second')).toEqual(['ok', 'kills app', 'kills other']);
    at.plays('task/kills app');
    expect(at.ways('second')).toEqual(['ok', 'finds no memory']);
    at.plays('second/finds no memory');
    expect(at.because('second')).toBe('there is no memory until app exits or is reaped');
  });
  test('A1.12: NOFS and NOIO do not kill; they wait for a victim that another killed', () => {
    for (const gfp of ['GFP_NOFS', 'GFP_NOIO'] as const) {
      const at = on(kmalloc(gfp), { threads: { second: must(KMALLOC) } });
      expect(at.ways('task')).toEqual(['ok']);
      at.plays('second/kills app');
      expect(at.ways('task')).toEqual(['ok', 'finds no memory']);
    }
  });
  test('A1.2, A1.5: the victim itself has the reserves, and may fail; without fail it does not', () => {
    const own = (flag?: GfpFlag) => {
      const at = on([], {
        threads: { killer: must(KMALLOC) },
        calls: { call: ioctl({}, [STEP, kmalloc('GFP_KERNEL', 'p', flag), STEP, return_('0')]) },
      });
      at.plays('app', 'killer/kills app', 'app');
      return at.ways('app');
    };
    expect(own()).toEqual(['ok', 'fails']);
    expect(own('__GFP_NOFAIL')).toEqual(['ok']);
  });
  test('A1.2: a task that kills itself gets memory from the reserves, or fails', () => {
    const at = on([], { calls: { call: ioctl({}, [KMALLOC, STEP, return_('0')]) } });
    at.plays('app', 'app/kills app');
    expect(at.ways('app')).toEqual(['ok', 'fails']);
    at.plays('app/fails');
    expect(at.ret('app')).toBe('-ENOMEM');
  });
});

describe('masks and the killer', () => {
  const ways = (flag: GfpFlag) => on(kmalloc('GFP_KERNEL', 'p', flag)).ways('task');
  test('A1.3, A1.4: with NORETRY or RETRY_MAYFAIL it fails instead of killing', () => {
    expect(ways('__GFP_NORETRY')).toEqual(['ok', 'fails']);
    expect(ways('__GFP_RETRY_MAYFAIL')).toEqual(['ok', 'fails']);
  });
  test('A1.2: so does an order above 3', () => expect(ways('order > 3')).toEqual(['ok', 'fails']));
  test('A1.5: with NOFAIL it never fails: it kills, and waits as long as it takes', () => {
    expect(ways('__GFP_NOFAIL')).toEqual(['ok', 'kills app']);
  });
});

describe('what a fatal signal ends', () => {
  const waiting = (wait: Block) => {
    const at = on([mutex_lock('a'), KMALLOC, mutex_unlock('a')], {
      calls: { call: ioctl({}, [dma_fence_init('f', 'task'), wait, return_('ret')]) },
    });
    at.plays('task', 'app', 'app', 'task/kills app');
    return at.open('app');
  };
  test('A6.6: an interruptible wait for a fence, and it is owed', () => {
    expect(waiting([dma_fence_wait_interruptible('f')])).toMatchObject({
      kind: 'ready',
      nature: 'owed',
      outcomes: ['interrupted'],
    });
  });
  test('not one that no signal ends', () => {
    expect(waiting([dma_fence_wait('f')])).toMatchObject({ kind: 'blocked', outcomes: [] });
  });
  test('a killable lock, which returns -EINTR without it', () => {
    const at = on([mutex_lock('a'), KMALLOC, mutex_unlock('a')], {
      calls: { call: ioctl({}, [mutex_lock_killable('a'), STEP, return_('0')]) },
    });
    at.plays('task', 'app');
    expect(at.because('app')).toBe('task holds a');
    expect(at.open('app')).toMatchObject({ kind: 'blocked', outcomes: [] });
    at.plays('task/kills app', 'app/killed');
    expect(at.ret('app')).toBe('-EINTR');
    expect(at.kernel.locks['a']?.owner).toBe('task');
  });
  test('a mutex without it does not', () => expect(waiting([mutex_lock('a')]).kind).toBe('blocked'));
  test('a killable lock that is free is taken', () => {
    const at = on([mutex_lock_killable('a'), mutex_lock('b')]);
    at.plays('task');
    expect(at.ret('task')).toBe('0');
    expect(at.kernel.locks['a']?.owner).toBe('task');
  });
});

describe('the reaper', () => {
  /** The victim sleeps in the lock that the allocating task holds: only the reaper can help. */
  const stuck = (more: Partial<Kernel>, reaper: ThreadSpec = oom_reaper(3)) => {
    const at = on([mutex_lock('a'), KMALLOC, mutex_unlock('a')], {
      ...more,
      calls: { call: ioctl({}, [mutex_lock('a'), mutex_unlock('a'), return_('0')]), ...more.calls },
      threads: { reaper, ...more.threads },
    });
    at.plays('task', 'app', 'task/kills app');
    return at;
  };
  test('A6.2: it starts after a delay: only when nobody else can move', () => {
    const at = stuck({});
    expect(at.open('reaper')).toMatchObject({ kind: 'ready', nature: 'time' });
    expect(on(KMALLOC, { threads: { reaper: oom_reaper() } }).because('reaper')).toBe('reaper has no victim');
  });
  test('A6.2, A6.4: what it unmaps comes back although the victim has not exited', () => {
    const at = stuck({ objects: RANGE });
    at.plays('reaper');
    at.runs('reaper');
    expect(at.kernel.processes['app']).toMatchObject({ freed: true, oom: 'skipped' });
    expect(at.ways('task')).toEqual(['ok']);
  });
  test('an address space that nobody watches is reaped, too', () => {
    const at = stuck({});
    at.runs('reaper');
    expect(at.kernel.processes['app']?.freed).toBe(true);
  });
  test('A6.3: a notifier that refuses keeps its range; one that does not, loses it', () => {
    const freed = (refuses: boolean) => {
      const at = stuck(watched(refuses));
      const facts = at.runs('reaper');
      return { freed: at.kernel.processes['app']?.freed, asked: witnessed(facts).length, rules: misuses(facts) };
    };
    expect(freed(true)).toEqual({ freed: false, asked: 3, rules: [] });
    expect(freed(false)).toEqual({ freed: true, asked: 1, rules: [] });
  });
  test('A6.2: it tries ten times, 100 ms apart, or as often as it is told, and then gives up', () => {
    const asked = (reaper: ThreadSpec) => witnessed(stuck(watched(true), reaper).runs('reaper')).length;
    expect(asked(oom_reaper())).toBe(10);
    expect(asked(oom_reaper(2))).toBe(2);
  });
  test('A6.3: a range that refuses is skipped, the others are reaped', () => {
    const at = stuck({
      ...watched(true),
      objects: { ...watched(true).objects, ranges: { heap: { mm: 'mm' }, stack: { mm: 'mm' } } },
    });
    for (let steps = 0; at.open('task').kind === 'blocked' && steps < 30; steps += 1) at.plays('reaper');
    expect(at.kernel.processes['app']?.freed).toBe(true);
  });
  test('A6.2: it takes mmap_lock by trylock only, and gives up when it never gets it', () => {
    const at = on([mutex_lock('a'), KMALLOC, mutex_unlock('a')], {
      objects: RANGE,
      calls: { call: ioctl({}, munmap('heap', [mutex_lock('a'), mutex_unlock('a')])) },
      threads: { reaper: oom_reaper(3) },
    });
    at.plays('task', 'app', 'app', 'app', 'app', 'task/kills app');
    expect(at.because('app')).toBe('task holds a');
    expect(at.kernel.locks['mmap_lock']?.owner).toBe('app');
    at.runs('reaper');
    expect(at.kernel.processes['app']).toMatchObject({ freed: false, oom: 'skipped' });
  });
  test('A11.2: pinned pages are unmapped and do not come back', () => {
    const at = stuck({ objects: { ...RANGE, user_pages: { u: { range: 'heap', pins: 1 } } } });
    at.runs('reaper');
    expect(at.kernel.processes['app']?.freed).toBe(false);
  });
  test('A6.4: when it has given up another is chosen; when nobody is left, whoever waits, waits for the first', () => {
    const two = stuck({ ...watched(true), threads: { other: user({ mm: 'mm2' }) } });
    two.runs('reaper');
    expect(two.ways('task')).toEqual(['kills other']);
    const one = stuck(watched(true));
    one.runs('reaper');
    expect(one.because('task')).toBe('nobody else can be killed now, and app does not exit');
    expect(one.open('task')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['app'] } });
  });
  test('A6.2: a victim that exits in time is left alone', () => {
    const at = on(KMALLOC, { ...watched(false), threads: { reaper: oom_reaper(3) } });
    at.plays('task/kills app');
    at.runs('app');
    expect(at.because('reaper')).toBe('reaper has no victim');
  });
  test('A6.2: one that exits between two attempts ends them', () => {
    const { booted, kernel: state } = on(KMALLOC, { ...watched(true), threads: { reaper: oom_reaper(9) } });
    const until = (thread: string, over: () => boolean): number => {
      let steps = 0;
      for (; !over(); steps += 1) expect(follow(booted.machine, state, thread, false).choice, thread).toBeDefined();
      return steps;
    };
    follow(booted.machine, state, 'task/kills app');
    const vars = (): Record<string, string> => state.threads['reaper']?.frames[0]?.vars ?? {};
    until('reaper', () => vars()['left'] === '8'); // the first attempt was refused
    until('app', () => state.processes['app']?.oom === 'skipped');
    expect(until('reaper', () => !('left' in vars()))).toBe(2); // the timeout, and the end
  });
});

describe('exit', () => {
  test('A9.10: every notifier hears of it, blockable, before the memory comes back; the files are closed after', () => {
    const at = on(KMALLOC, {
      ...watched(true),
      routines: { ...watched(true).routines, exit: [witness('files are closed'), STEP] },
      threads: { app: user({ mm: 'mm', exit: 'exit' }) },
    });
    at.plays('task/kills app', 'app');
    expect(at.kernel.processes['app']?.freed).toBe(false);
    expect(witnessed(at.runs('app'))).toEqual(['files are closed']);
    expect(at.kernel.processes['app']?.freed).toBe(true);
  });
  test('a process that was killed for other reasons gives its memory back, too, and is not chosen any more', () => {
    const at = on(KMALLOC, { routines: { exit: [] }, threads: { app: user({ mm: 'mm', exit: 'exit' }) } });
    at.plays('app/killed');
    at.runs('app');
    expect(at.ways('task')).toEqual(['ok']);
  });
});
