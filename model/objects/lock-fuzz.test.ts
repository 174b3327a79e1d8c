/**
 * Locks against the rules of their documents: a mutex and a spinlock have one owner; a semaphore has readers or a writer,
 * writers queue, and a reader waits behind every writer that waits already (A8.7).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, answerOf, bouts, calls, inCall } from '../bout.ts';
import { ioctl } from '../design.ts';
import { bootKernel } from '../stage.ts';
import {
  down_read,
  down_read_trylock,
  down_write,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  up_read,
  up_write,
  user,
} from './index.ts';

const TASKS = ['t1', 't2', 't3', 't4'] as const;
const MUTEXES = ['m', 'n'] as const;
const SEMAPHORES = ['r', 's'] as const;
const CALLS = {
  mutex_lock: [MUTEXES, mutex_lock('$lock')],
  mutex_trylock: [MUTEXES, mutex_trylock('$lock')],
  mutex_unlock: [MUTEXES, mutex_unlock('$lock')],
  spin_lock: [['x'], spin_lock_irqsave('$lock')],
  spin_unlock: [['x'], spin_unlock_irqrestore('$lock')],
  down_read: [SEMAPHORES, down_read('$lock')],
  down_read_trylock: [SEMAPHORES, down_read_trylock('$lock')],
  up_read: [SEMAPHORES, up_read('$lock')],
  down_write: [SEMAPHORES, down_write('$lock')],
  up_write: [SEMAPHORES, up_write('$lock')],
} as const;
type Call = keyof typeof CALLS;
type Command = readonly [task: string, call: Call, lock: string];
const LOCKS = [...MUTEXES, ...SEMAPHORES, 'x'];

const booted = bootKernel({
  objects: { locks: Object.fromEntries(LOCKS.map((lock) => [lock, {}])) },
  threads: Object.fromEntries(TASKS.map((task) => [task, user()])),
  calls: Object.fromEntries(Object.entries(CALLS).map(([call, [lock, body]]) => [call, ioctl({ lock }, [body])])),
});
const side: Side<Command> = {
  booted,
  // Every call returns to user space here, so whoever holds something breaks I-16 each time.
  plays: (kernel, [task, call, lock]) =>
    answerOf(calls(booted, kernel, task, `${call}(${lock})`)).filter((each) => each !== 'I-16'),
  shows: (kernel) => ({
    locks: Object.fromEntries(
      Object.entries(kernel.locks).map(([lock, { owner, readers, writers }]) => [lock, { owner, readers, writers }]),
    ),
    waiting: TASKS.filter((task) => inCall(kernel, task)),
  }),
};

const TAKES: readonly Call[] = ['mutex_lock', 'spin_lock', 'down_read', 'down_write'];
/** `readerPreference`: readers go past writers that wait, as they do not. */
class Rules implements Oracle<Command> {
  private readonly owner = new Map<string, string>();
  private readonly readers = new Map<string, string[]>();
  private readonly writers = new Map<string, string[]>();
  private readonly waiting = new Map<string, Command>();
  private readonly readerPreference: boolean;
  constructor(readerPreference = false) {
    this.readerPreference = readerPreference;
  }
  private of(list: Map<string, string[]>, lock: string): string[] {
    const known = list.get(lock) ?? [];
    list.set(lock, known);
    return known;
  }
  private atomic(task: string): boolean {
    return this.owner.get('x') === task;
  }
  plays([task, call, lock]: Command): readonly string[] | undefined {
    const goingOn = this.waiting.get(task);
    if (goingOn) return this.runs(goingOn);
    const reads = this.of(this.readers, lock).includes(task);
    const owns = this.owner.get(lock) === task;
    // Let go of it as it was taken: a lock held for reading is not given back by up_write, and the other way round.
    if ((call === 'up_read' && owns) || (call === 'up_write' && reads)) return undefined;
    // Waiting for oneself is for lock.test.ts: here it would only end the bout.
    if ((owns && TAKES.includes(call)) || (reads && call === 'down_write')) return undefined;
    if (call === 'down_write') this.of(this.writers, lock).push(task);
    return this.runs([task, call, lock]);
  }
  private runs(command: Command): readonly string[] {
    const [task, call, lock] = command;
    const owned = this.owner.has(lock);
    const readers = this.of(this.readers, lock);
    const writers = this.of(this.writers, lock);
    const sleeps = this.atomic(task) ? ['CTX-A'] : [];
    const shut = owned || (writers.length > 0 && !this.readerPreference);
    const waits = (until: boolean): boolean => {
      if (until) this.waiting.delete(task);
      else this.waiting.set(task, command);
      return !until;
    };
    const gives = (had: boolean): readonly string[] => (had ? ['ret 0'] : ['W-21', 'ret 0']);
    switch (call) {
      case 'mutex_lock':
      case 'spin_lock':
        if (waits(!owned)) return [];
        this.owner.set(lock, task);
        return [...(call === 'mutex_lock' ? sleeps : []), 'ret 0'];
      case 'mutex_trylock':
        if (!owned) this.owner.set(lock, task);
        return [owned ? 'ret 0' : 'ret 1'];
      case 'mutex_unlock':
      case 'spin_unlock':
      case 'up_write': {
        const mine = this.owner.get(lock) === task;
        if (mine) this.owner.delete(lock);
        return gives(mine);
      }
      case 'down_read':
        if (waits(!shut)) return [];
        this.readers.set(lock, [...readers, task].toSorted());
        return [...sleeps, 'ret 0'];
      case 'down_read_trylock':
        if (!shut) this.readers.set(lock, [...readers, task].toSorted());
        return [shut ? 'ret 0' : 'ret 1'];
      case 'up_read': {
        const at = readers.indexOf(task);
        if (at >= 0) readers.splice(at, 1);
        return gives(at >= 0);
      }
      case 'down_write':
        if (waits(!owned && readers.length === 0 && writers[0] === task)) return [];
        writers.shift();
        this.owner.set(lock, task);
        return [...sleeps, 'ret 0'];
    }
  }
  shows(): unknown {
    return {
      locks: Object.fromEntries(
        LOCKS.map((lock) => [
          lock,
          {
            owner: this.owner.get(lock) ?? null,
            readers: this.of(this.readers, lock),
            writers: this.of(this.writers, lock),
          },
        ]),
      ),
      waiting: TASKS.filter((task) => this.waiting.has(task)),
    };
  }
}

const command: fc.Arbitrary<Command> = fc
  .constantFrom(...(Object.keys(CALLS) as Call[]), 'mutex_unlock', 'spin_unlock', 'up_read', 'up_write')
  .chain((call) => fc.tuple(fc.constantFrom(...TASKS), fc.constant(call), fc.constantFrom(...CALLS[call][0])));

describe('locks against their rules', () => {
  test('after every call: who has it, who queues, who waits, what was returned, which rule was broken', () => {
    expect(bouts(side, command, () => new Rules(), 30)).toBeGreaterThan(1_000);
  });
  test('a semaphore whose readers go past a waiting writer is told apart', () => {
    expect(() => bouts(side, command, () => new Rules(true), 100)).toThrow(/after/);
  });
  test('100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Rules(), 1_200)).toBeGreaterThan(100_000);
  });
});
