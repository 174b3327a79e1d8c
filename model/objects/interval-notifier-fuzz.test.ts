/**
 * Fuzz of interval notifiers against the kernel's own numbers: a sequence that grows for ever, a count of invalidations,
 * lists of what is put off. The object has none of these; after every call both must agree on who waits, what is in the
 * tree, what is being invalidated, whose pages are good, and every answer.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts } from '../bout.ts';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  hmm_range_fault,
  if_var,
  invalidate_range_nonblockable,
  mmap,
  mmu_interval_notifier_insert_locked,
  mmu_interval_notifier_remove,
  mmu_interval_read_begin,
  mmu_interval_read_retry,
  mmu_interval_set_seq,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  return_,
  user,
} from './index.ts';

const TASKS = ['t0', 't1', 't2'] as const;
/** Two intervals of one range, the second of which refuses what may not block, and one of another range. */
const RANGE_OF: Readonly<Record<string, string>> = { u: 'heap', v: 'heap', w: 'stack' };
const SUBS = Object.keys(RANGE_OF);
const RANGES = ['heap', 'stack'];
const booted: Booted = bootKernel({
  objects: {
    locks: { ...mmap, lock: {} },
    userptrs: { u: {}, v: {}, w: {} },
    mms: { mm: { subscribed: true } },
    ranges: { heap: { mm: 'mm' }, stack: { mm: 'mm' } },
    interval_notifiers: Object.fromEntries(
      SUBS.map((sub) => [
        sub,
        { range: RANGE_OF[sub], invalidate: sub === 'v' ? 'refuses' : 'invalidate', lock: 'lock' },
      ]),
    ),
  },
  routines: {
    // Nobody has the lock between two calls, so it is there for whoever may not sleep.
    invalidate: [mutex_trylock('lock'), mmu_interval_set_seq('$interval'), mutex_unlock('lock'), return_('0')],
    refuses: [
      if_var('blockable', 'false', [return_('-EAGAIN')]),
      mutex_lock('lock'),
      mmu_interval_set_seq('$interval'),
      mutex_unlock('lock'),
      return_('0'),
    ],
  },
  threads: { t0: user(), t1: user(), t2: user() },
  calls: {
    read_begin: ioctl({ sub: SUBS }, [mmu_interval_read_begin('$sub'), return_('done')]),
    fault: ioctl({ sub: SUBS }, [hmm_range_fault('$sub'), return_('ret')]),
    retry: ioctl({ sub: SUBS }, [
      mutex_lock('lock'),
      mmu_interval_read_retry('$sub', 'lock'),
      mutex_unlock('lock'),
      return_('ret'),
    ]),
    insert: ioctl({ sub: SUBS }, [mmu_interval_notifier_insert_locked('$sub'), return_('done')]),
    remove: ioctl({ sub: SUBS }, [mmu_interval_notifier_remove('$sub'), return_('done')]),
    start: ioctl({ range: RANGES }, [mmu_notifier_invalidate_range_start('$range'), return_('done')]),
    end: ioctl({ range: RANGES }, [mmu_notifier_invalidate_range_end('$range'), return_('done')]),
    reap: ioctl({ range: RANGES }, [invalidate_range_nonblockable('$range'), return_('ret')]),
  },
});

/** Who, what, and with what; 'go' lets a task that was woken go on. */
type Command = readonly [task: string, call: string, arg: string];

interface Sub {
  seq: number;
  in: boolean;
  put_off: 'in' | 'out' | undefined;
}
/** One of the kernel's rules left out: the comparison must notice. */
type Fault = 'even at any end' | 'inserts at once' | 'reads after it slept' | 'a refusal leaves it active';
/** mm/mmu_notifier.c in numbers. */
class Model implements Oracle<Command> {
  seq = 2;
  active = 0;
  readonly subs: Record<string, Sub> = Object.fromEntries(
    SUBS.map((sub) => [sub, { seq: 1, in: true, put_off: undefined }]),
  );
  readonly saved: Record<string, number | undefined> = {};
  readonly running: Record<string, string[]> = Object.fromEntries(TASKS.map((task) => [task, []]));
  /** What a task sleeps for: a sequence other than this one. */
  readonly sleeps: Record<string, { call: string; sub: string; seq: number } | undefined> = {};
  private readonly fault: Fault | undefined;
  constructor(fault?: Fault) {
    this.fault = fault;
  }
  private at(sub: string): Sub {
    return this.subs[sub] as Sub;
  }
  private wakes(task: string): boolean {
    const sleep = this.sleeps[task];
    return sleep !== undefined && this.seq !== sleep.seq;
  }
  possible([task, call, arg]: Command): boolean {
    if (call === 'go') return this.wakes(task);
    if (this.sleeps[task]) return false;
    // Between its own start and end a task that waits, waits for itself: that would be all it ever does.
    if ((call === 'read_begin' || call === 'remove') && this.running[task]?.length && this.seq % 2 === 1) return false;
    if (call === 'end') return this.running[task]?.includes(arg) === true;
    // Misuses that the kernel warns of, and a second registration: neither has an answer to compare.
    if (call === 'insert') return !this.at(arg).in && this.at(arg).put_off === undefined;
    if (call === 'remove') return this.at(arg).put_off !== 'out' && (this.at(arg).in || this.at(arg).put_off === 'in');
    return true;
  }
  /** Do it; the answer, or nothing when the task sleeps. */
  does([task, call, arg]: Command): string | undefined {
    const key = `${task} ${arg}`;
    switch (call) {
      case 'go': {
        const sleep = this.sleeps[task] as { call: string; sub: string };
        this.sleeps[task] = undefined;
        if (this.fault === 'reads after it slept' && sleep.call === 'read_begin')
          this.saved[`${task} ${sleep.sub}`] = this.at(sleep.sub).seq;
        return 'done';
      }
      case 'read_begin':
        this.saved[key] = this.at(arg).seq;
        if (this.at(arg).seq !== this.seq) return 'done';
        this.sleeps[task] = { call, sub: arg, seq: this.seq };
        return undefined;
      case 'fault':
        return this.saved[key] === this.at(arg).seq ? '0' : '-EBUSY';
      case 'retry':
        return this.saved[key] === this.at(arg).seq ? '0' : '1';
      case 'insert':
        return this.insert(arg);
      case 'remove':
        return this.remove(task, arg);
      case 'start':
        this.begin(arg, true);
        this.running[task]?.push(arg);
        return 'done';
      case 'end':
        this.running[task]?.splice(this.running[task]?.indexOf(arg) ?? 0, 1);
        this.end();
        return 'done';
      default: {
        const refused = this.begin(arg, false);
        if (!refused || this.fault !== 'a refusal leaves it active') this.end();
        return refused ? '-EAGAIN' : '0';
      }
    }
  }
  private insert(sub: string): string {
    const row = this.at(sub);
    const odd = this.seq % 2 === 1;
    if (this.active === 0) row.seq = this.seq - 1;
    else if (odd && this.fault !== 'inserts at once') row.put_off = 'in';
    else this.seq |= 1;
    if (this.active > 0) row.seq = this.seq;
    row.in = row.put_off === undefined;
    for (const task of TASKS) this.saved[`${task} ${sub}`] = undefined; // numbers of another registration
    return 'done';
  }
  private remove(task: string, sub: string): string | undefined {
    const row = this.at(sub);
    for (const each of TASKS) this.saved[`${each} ${sub}`] = undefined;
    if (row.put_off === 'in') row.put_off = undefined;
    else if (this.seq % 2 === 1) {
      row.put_off = 'out';
      this.sleeps[task] = { call: 'remove', sub, seq: this.seq };
      return undefined;
    } else row.in = false;
    return 'done';
  }
  private begin(range: string, blockable: boolean): boolean {
    this.active += 1;
    const all = SUBS.filter((sub) => RANGE_OF[sub] === range && this.at(sub).in);
    if (all.length > 0) this.seq |= 1;
    for (const sub of all) {
      if (sub === 'v' && !blockable) return true;
      this.at(sub).seq = this.seq;
    }
    return false;
  }
  private end(): void {
    this.active -= 1;
    if ((this.active > 0 && this.fault !== 'even at any end') || this.seq % 2 === 0) return;
    this.seq += 1;
    for (const row of Object.values(this.subs)) {
      if (row.put_off !== undefined) row.in = row.put_off === 'in';
      row.put_off = undefined;
    }
  }
  plays(command: Command): unknown {
    return this.possible(command) ? { answer: this.does(command) } : undefined;
  }
  shows(): unknown {
    return {
      odd: this.seq % 2 === 1,
      active: this.active,
      blocked: TASKS.filter((task) => this.sleeps[task] !== undefined && !this.wakes(task)),
      subs: SUBS.map((sub) => {
        const row = this.at(sub);
        return {
          state:
            row.put_off === 'in'
              ? 'to be inserted'
              : row.put_off === 'out'
                ? 'to be removed'
                : row.in
                  ? 'inserted'
                  : 'removed',
          invalidating: row.seq === this.seq,
          readers: TASKS.filter((task) => this.saved[`${task} ${sub}`] === row.seq),
        };
      }),
    };
  }
}
function objectShows(kernel: KernelState): unknown {
  const mm = kernel.mms['mm'] as KernelState['mms'][string];
  return {
    odd: mm.odd,
    active: mm.invalidations.length,
    blocked: TASKS.filter((task) => opens(booted.machine, kernel)[task]?.kind === 'blocked'),
    subs: SUBS.map((sub) => {
      const { state, invalidating, readers } = kernel.interval_notifiers[
        sub
      ] as KernelState['interval_notifiers'][string];
      return { state, invalidating, readers };
    }),
  };
}
/** Let the task go on until its call returns or it waits: the answer, or nothing when it waits. */
function goesOn(kernel: KernelState, task: string): string | undefined {
  while (opens(booted.machine, kernel)[task]?.kind === 'ready') {
    const { facts } = follow(booted.machine, kernel, task);
    const broken = facts.find((fact) => fact.kind === 'misuse');
    if (broken) throw new Error(`a rule was broken: ${JSON.stringify(broken)}`);
    const end = facts.find((fact) => fact.kind === 'returned' && fact.to === 'user');
    if (end?.kind === 'returned') return end.ret;
  }
  return undefined;
}
const side: Side<Command> = {
  booted,
  plays: (kernel, [task, call, arg]) => {
    if (call !== 'go') asks(booted, kernel, task, `${call}(${arg})`);
    return { answer: goesOn(kernel, task) };
  },
  shows: objectShows,
  text: (command) => command.join(' '),
};

const sub = fc.constantFrom(...SUBS);
const range = fc.constantFrom(...RANGES);
const what = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('read_begin'), sub) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('fault'), sub) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('retry'), sub) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('start'), range) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('end'), range) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('reap'), range) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('insert'), sub) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('remove'), sub) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('go'), fc.constant('')) },
);
const command: fc.Arbitrary<Command> = fc
  .tuple(fc.constantFrom(...TASKS), what)
  .map(([task, [call, arg]]) => [task, call, arg]);
const fuzz = (many: number, fault?: Fault): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 7, commands: 150, endOnFailure: fault !== undefined });

describe('interval notifiers against the numbers of the kernel', () => {
  test('N-6: after every call both agree on who waits, what is in the tree, whose pages are good, and the answer', () => {
    expect(fuzz(12)).toBeGreaterThan(600);
  });
  test('a hundred thousand calls', { tags: ['long'] }, () => {
    expect(fuzz(2000)).toBeGreaterThan(100_000);
  });
  for (const fault of [
    'even at any end',
    'inserts at once',
    'reads after it slept',
    'a refusal leaves it active',
  ] as const)
    test(`it can fail: numbers of which ${fault} are told apart`, () => {
      expect(() => fuzz(100, fault)).toThrow(/^after t\d /);
    });
});
