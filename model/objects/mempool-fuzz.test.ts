/**
 * Memory pools against a number and a list of who has elements (mm/mempool.c; A5.2..A5.6): a take that may not sleep fails
 * when all are out, one that may waits until an element comes back.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, answerOf, bouts, calls, inCall } from '../bout.ts';
import { ioctl } from '../design.ts';
import { bootKernel } from '../stage.ts';
import { mempool_alloc, mempool_alloc_preallocated, mempool_free, mempool_hand_over, user } from './index.ts';

const TASKS = ['t1', 't2', 't3', 't4'] as const;
const ELEMENTS = 2;
const booted = bootKernel({
  objects: { mempools: { pool: { free: ELEMENTS } } },
  threads: Object.fromEntries(TASKS.map((task) => [task, user()])),
  calls: {
    sleeps: ioctl({}, mempool_alloc('pool', 'GFP_NOIO', '$me')),
    nowait: ioctl({}, mempool_alloc('pool', 'GFP_NOWAIT', '$me')),
    put_aside: ioctl({}, [mempool_alloc_preallocated('pool', '$me')]),
    free: ioctl({}, [mempool_free('pool', '$me')]),
    hands_over: ioctl({ to: TASKS }, [mempool_hand_over('pool', '$me', '$to')]),
  },
});
type Call = 'sleeps' | 'nowait' | 'put_aside' | 'free' | 'hands_over';
type Command = readonly [task: (typeof TASKS)[number], call: Call, to: (typeof TASKS)[number]];
const side: Side<Command> = {
  booted,
  plays: (kernel, [task, call, to]) =>
    answerOf(calls(booted, kernel, task, call === 'hands_over' ? `${call}(${to})` : `${call}()`)),
  shows: (kernel) => ({ pool: kernel.mempools['pool'], waiting: TASKS.filter((task) => inCall(kernel, task)) }),
};

/** `neverWaits`: a take that fails where it should sleep. */
class Reserve implements Oracle<Command> {
  private holders: string[] = [];
  private readonly waiting = new Set<string>();
  private readonly neverWaits: boolean;
  constructor(neverWaits = false) {
    this.neverWaits = neverWaits;
  }
  private takes(task: string, sleeps: boolean): readonly string[] {
    this.waiting.delete(task);
    if (this.holders.length < ELEMENTS) {
      this.holders.push(task);
      return ['ret 0'];
    }
    if (!sleeps || this.neverWaits) return ['ret -ENOMEM'];
    this.waiting.add(task);
    return [];
  }
  plays([task, call, to]: Command): readonly string[] | undefined {
    if (this.waiting.has(task)) return this.takes(task, true);
    const at = this.holders.indexOf(task);
    switch (call) {
      case 'free':
        if (at < 0) return ['A5.5', 'ret 0'];
        this.holders.splice(at, 1);
        return ['ret 0'];
      case 'hands_over':
        if (at < 0) return undefined;
        this.holders[at] = to;
        return ['ret 0'];
      case 'sleeps':
      case 'nowait':
      case 'put_aside':
        return this.takes(task, call === 'sleeps');
    }
  }
  shows(): unknown {
    return {
      pool: { free: ELEMENTS - this.holders.length, holders: this.holders.toSorted() },
      waiting: TASKS.filter((task) => this.waiting.has(task)),
    };
  }
}

const command: fc.Arbitrary<Command> = fc.tuple(
  fc.constantFrom(...TASKS),
  fc.constantFrom<Call>('sleeps', 'nowait', 'put_aside', 'free', 'free', 'hands_over'),
  fc.constantFrom(...TASKS),
);

describe('memory pools against a number', () => {
  test('what is free, who has elements, who waits, and what each take returned', () => {
    expect(bouts(side, command, () => new Reserve(), 20)).toBeGreaterThan(1_500);
  });
  test('a take that fails instead of sleeping is told apart', () => {
    expect(() => bouts(side, command, () => new Reserve(true), 20)).toThrow(/after/);
  });
  test('100,000 commands', { tags: ['long'] }, () => {
    expect(bouts(side, command, () => new Reserve(), 1_200)).toBeGreaterThan(100_000);
  });
});
