/**
 * Fuzz of work queues against a plain account of runs: each call of queue_work that takes makes a run of its own, with a
 * place in the queue, and whoever flushes waits for the runs that he saw. The object has no runs, only items and lists.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts } from '../bout.ts';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import { cancel_work, cancel_work_sync, flush_workqueue, queue_work, return_, user, work } from './index.ts';

const TASKS = ['t0', 't1', 't2'] as const;
/** An ordered queue, and one that runs two at a time and whose rescuer runs one when memory is short. */
const QUEUE_OF: Readonly<Record<string, string>> = { a: 'ordered', b: 'ordered', c: 'two', d: 'two', e: 'two' };
const ITEMS = Object.keys(QUEUE_OF);
const ACTIVE: Readonly<Record<string, number>> = { ordered: 1, two: 2 };
const QUEUES = Object.keys(ACTIVE);
const booted: Booted = bootKernel({
  objects: { workqueues: { ordered: {}, two: { max_active: 2 } } },
  threads: {
    t0: user(),
    t1: user(),
    t2: user(),
    ...Object.fromEntries(ITEMS.map((item) => [item, work([], QUEUE_OF[item])])),
  },
  calls: {
    queue: ioctl({ item: ITEMS }, [queue_work('$item'), return_('ret')]),
    cancel: ioctl({ item: ITEMS }, [cancel_work('$item'), return_('0')]),
    cancel_sync: ioctl({ item: ITEMS }, [...cancel_work_sync('$item'), return_('0')]),
    flush: ioctl({ queue: QUEUES }, [...flush_workqueue('$queue'), return_('0')]),
  },
});

/** 'go' lets a thread go on, a task or an item; 'short' begins an item when there is no memory for a worker. */
type Command = readonly [who: string, what: string, arg: string];
interface Run {
  readonly of: string;
  running: boolean;
}
type Fault = 'one more at a time' | 'flush sees later runs' | 'the rescuer is not alone';
class Model implements Oracle<Command> {
  readonly queues: Record<string, Run[]> = Object.fromEntries(QUEUES.map((queue) => [queue, []]));
  readonly rescued: Record<string, Run | undefined> = {};
  readonly cancelled: Record<string, number> = Object.fromEntries(ITEMS.map((item) => [item, 0]));
  readonly waits: Record<string, { for: () => readonly Run[]; item?: string } | undefined> = {};
  private readonly fault: Fault | undefined;
  constructor(fault?: Fault) {
    this.fault = fault;
  }
  private all(): Run[] {
    return QUEUES.flatMap((queue) => this.queues[queue] as Run[]);
  }
  private waiting(item: string): Run | undefined {
    return this.all().find((run) => run.of === item && !run.running);
  }
  private runs(item: string): Run | undefined {
    return this.all().find((run) => run.of === item && run.running);
  }
  /** May the run that waits begin now? */
  private begins(item: string): boolean {
    const next = this.waiting(item);
    const queue = QUEUE_OF[item] as string;
    const all = this.queues[queue] as Run[];
    if (!next || this.runs(item)) return false;
    if (this.rescued[queue] && this.fault !== 'the rescuer is not alone') return false;
    return all.indexOf(next) < (ACTIVE[queue] as number) + (this.fault === 'one more at a time' ? 1 : 0);
  }
  private over(task: string): boolean {
    const alive = this.all();
    return !(this.waits[task]?.for() ?? []).some((run) => alive.includes(run));
  }
  possible([who, what, arg]: Command): boolean {
    const isItem = ITEMS.includes(who);
    if (what === 'short') return isItem && QUEUE_OF[who] === 'two' && !this.runs(who) && this.begins(who);
    if (what === 'go') {
      if (isItem) return this.runs(who) !== undefined || this.begins(who);
      return this.waits[who] !== undefined && this.over(who);
    }
    return !isItem && this.waits[who] === undefined && !(what === 'cancel_sync' && (this.cancelled[arg] ?? 0) >= 4);
  }
  /** The answer of a call, nothing when it waits; of an item whether it has begun or is done. */
  does([who, what, arg]: Command): string | undefined {
    const queue = QUEUE_OF[ITEMS.includes(who) ? who : arg] ?? arg;
    const all = this.queues[queue] as Run[];
    const drop = (run: Run | undefined): void => {
      if (run) all.splice(all.indexOf(run), 1);
    };
    switch (what) {
      case 'queue':
        if (this.waiting(arg) || this.cancelled[arg]) return '0';
        all.push({ of: arg, running: false });
        return '1';
      case 'cancel':
        drop(this.waiting(arg));
        return '0';
      case 'cancel_sync': {
        drop(this.waiting(arg));
        this.cancelled[arg] = (this.cancelled[arg] ?? 0) + 1;
        const run = this.runs(arg);
        this.waits[who] = { for: () => (run ? [run] : []), item: arg };
        return this.returns(who);
      }
      case 'flush': {
        const seen = [...all];
        this.waits[who] = { for: () => (this.fault === 'flush sees later runs' ? all : seen) };
        return this.returns(who);
      }
      default: {
        if (!ITEMS.includes(who)) return this.returns(who);
        const now = this.runs(who);
        if (!now) {
          const next = this.waiting(who) as Run;
          next.running = true;
          if (what === 'short') this.rescued[queue] = next;
          return 'begins';
        }
        drop(now);
        if (this.rescued[queue] === now) this.rescued[queue] = undefined;
        return 'ends';
      }
    }
  }
  private returns(task: string): string | undefined {
    if (!this.over(task)) return undefined;
    const { item } = this.waits[task] as { item?: string };
    this.waits[task] = undefined;
    if (item !== undefined) this.cancelled[item] = (this.cancelled[item] ?? 0) - 1;
    return '0';
  }
  plays(command: Command): unknown {
    return this.possible(command) ? { answer: this.does(command) } : undefined;
  }
  shows(): unknown {
    return {
      items: ITEMS.map((item) => ({
        queued: this.waiting(item) !== undefined,
        running: this.runs(item) !== undefined,
        ready: this.runs(item) !== undefined || this.begins(item),
      })),
      queues: QUEUES.map((queue) => (this.queues[queue] as Run[]).map(({ of }) => of)),
      blocked: TASKS.filter((task) => this.waits[task] !== undefined && !this.over(task)),
    };
  }
}
function objectShows(kernel: KernelState): unknown {
  const open = opens(booted.machine, kernel);
  return {
    items: ITEMS.map((item) => {
      const { queued, running } = kernel.works[item] as KernelState['works'][string];
      return { queued, running, ready: open[item]?.kind === 'ready' };
    }),
    queues: QUEUES.map((queue) => kernel.workqueues[queue]?.items),
    blocked: TASKS.filter((task) => open[task]?.kind === 'blocked'),
  };
}
/** A task goes on until its call returns or it waits; an item takes one step. */
function goesOn(kernel: KernelState, [who, what]: Command): string | undefined {
  if (ITEMS.includes(who)) {
    const before = kernel.works[who]?.running;
    const { choice } = follow(booted.machine, kernel, what === 'short' ? `${who}/is rescued` : who);
    if (!choice) throw new Error(`${who} cannot move`);
    return before ? 'ends' : 'begins';
  }
  while (opens(booted.machine, kernel)[who]?.kind === 'ready') {
    const { facts } = follow(booted.machine, kernel, who);
    const end = facts.find((fact) => fact.kind === 'returned' && fact.to === 'user');
    if (end?.kind === 'returned') return end.ret;
  }
  return undefined;
}
const side: Side<Command> = {
  booted,
  plays: (kernel, command) => {
    const [who, what, arg] = command;
    if (TASKS.some((task) => task === who) && what !== 'go') asks(booted, kernel, who, `${what}(${arg})`);
    return { answer: goesOn(kernel, command) };
  },
  shows: objectShows,
  text: (command) => command.join(' ').trim(),
};

const task = fc.constantFrom(...TASKS);
const item = fc.constantFrom(...ITEMS);
const none = fc.constant('');
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(task, fc.constant('queue'), item) },
  { weight: 1, arbitrary: fc.tuple(task, fc.constant('cancel'), item) },
  { weight: 1, arbitrary: fc.tuple(task, fc.constant('cancel_sync'), item) },
  { weight: 2, arbitrary: fc.tuple(task, fc.constant('flush'), fc.constantFrom(...QUEUES)) },
  { weight: 4, arbitrary: fc.tuple(task, fc.constant('go'), none) },
  { weight: 14, arbitrary: fc.tuple(item, fc.constant('go'), none) },
  { weight: 3, arbitrary: fc.tuple(item, fc.constant('short'), none) },
);
const fuzz = (many: number, fault?: Fault): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 11, commands: 150, endOnFailure: fault !== undefined });

describe('work queues against an account of runs', () => {
  test('after every command both agree on what is queued, what runs, what may begin, who waits, and the answer', () => {
    expect(fuzz(10)).toBeGreaterThan(600);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(1800)).toBeGreaterThan(100_000);
  });
  for (const fault of ['one more at a time', 'flush sees later runs', 'the rescuer is not alone'] as const)
    test(`it can fail: an account in which ${fault} is told apart`, () => {
      expect(() => fuzz(100, fault)).toThrow(/^after \w/);
    });
});
