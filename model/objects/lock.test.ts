import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage } from '../stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  down_read,
  down_read_non_owner,
  down_read_trylock,
  down_write,
  kmalloc,
  lockdep_assert_held,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  ring,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irqrestore,
  up_read,
  up_read_non_owner,
  up_write,
  work_a_while,
} from './index.ts';

const A = { locks: { a: {} } };
const STEP = work_a_while('looks around');
const pair = (one: Block, two: Block) => stage({ objects: A, threads: { one: must(one), two: must(two) } });

describe('mutex', () => {
  test('whoever comes second waits for the owner, and gets it after the unlock', () => {
    const at = pair([mutex_lock('a'), mutex_unlock('a')], [mutex_lock('a'), mutex_unlock('a')]);
    at.plays('one');
    expect(at.because('two')).toBe('one holds a');
    at.plays('one', 'two');
    expect(at.kernel.locks['a']?.owner).toBe('two');
  });
  test('taking it twice is a deadlock of one', () => {
    expect(alone([mutex_lock('a'), mutex_lock('a')], { objects: A }).ret).toBe('still waits: task holds a');
  });
  test('a trylock on a taken mutex returns 0 and does not wait; on a free one it returns 1 and has it', () => {
    const at = pair([mutex_lock('a'), mutex_unlock('a')], [mutex_trylock('a'), STEP, mutex_trylock('a'), STEP]);
    at.plays('one', 'two');
    expect(at.ret('two')).toBe('0');
    at.plays('one', 'two', 'two');
    expect(at.ret('two')).toBe('1');
    expect(at.kernel.locks['a']?.owner).toBe('two');
  });
  test('W-21: unlocking what another thread holds is a misuse, and it stays locked', () => {
    const at = pair([mutex_lock('a')], [mutex_unlock('a')]);
    at.plays('one');
    expect(misuses(at.plays('two'))).toEqual(['W-21']);
    expect(at.kernel.locks['a']?.owner).toBe('one');
  });
  test('ending with a lock held is a misuse; ending without is not (I-16)', () => {
    expect(misuses(alone([mutex_lock('a')], { objects: A }).facts)).toEqual(['I-16']);
    expect(misuses(alone([mutex_lock('a'), mutex_unlock('a')], { objects: A }).facts)).toEqual([]);
  });
  test('lockdep_assert_held: without the lock a misuse, with it none', () => {
    expect(misuses(alone([lockdep_assert_held('a')], { objects: A }).facts)).toEqual(['L-16']);
    expect(
      misuses(alone([mutex_lock('a'), lockdep_assert_held('a'), mutex_unlock('a')], { objects: A }).facts),
    ).toEqual([]);
  });
});

describe('spinlock', () => {
  const sleepers: Readonly<Record<string, Block>> = {
    'a mutex': [mutex_lock('m'), mutex_unlock('m')],
    'a fence wait, even of a signalled fence': [dma_fence_wait('f')],
    'an allocation with direct reclaim': [kmalloc('GFP_NOIO')],
    'a semaphore': [down_read('m'), up_read('m')],
  };
  const objects = { locks: { a: {}, m: {} }, fences: { f: {} } };
  const done = [dma_fence_init('f'), dma_fence_signal('f')];
  for (const [what, body] of Object.entries(sleepers))
    test(`CTX-A: under it ${what} is a misuse; after it is not`, () => {
      const under = [done, spin_lock_irqsave('a'), body, spin_unlock_irqrestore('a')];
      const after = [done, spin_lock_irqsave('a'), spin_unlock_irqrestore('a'), body];
      expect(misuses(alone(under, { objects }).facts)).toEqual(['CTX-A']);
      expect(misuses(alone(after, { objects }).facts)).toEqual([]);
    });
  test('CTX-A: GFP_ATOMIC and GFP_NOWAIT do not sleep', () => {
    const body = [spin_lock('a'), kmalloc('GFP_ATOMIC'), kmalloc('GFP_NOWAIT'), spin_unlock('a')];
    expect(misuses(alone(body, { objects }).facts)).toEqual([]);
  });
  test('CTX-I: a lock that an interrupt takes too needs interrupts off', () => {
    const irq = { objects: { locks: { a: { irq: true } } } };
    expect(misuses(alone([spin_lock('a'), spin_unlock('a')], irq).facts)).toEqual(['CTX-I']);
    expect(misuses(alone([spin_lock_irqsave('a'), spin_unlock('a')], irq).facts)).toEqual([]);
  });
  test('CTX-I: an interrupt thread may not take a mutex', () => {
    const body = [mutex_lock('m'), mutex_unlock('m')];
    const at = stage({ objects, threads: { irq: { ...must(body), atomic: true }, task: must(body), gpu: ring() } });
    expect(misuses(at.runs('irq'))).toEqual(['CTX-A']);
    expect(misuses(at.runs('task'))).toEqual([]);
  });
});

describe('rwsem', () => {
  const reader: Block = [down_read('a'), up_read('a')];
  test('two readers share it', () => {
    const at = pair(reader, reader);
    at.plays('one', 'two');
    expect(at.kernel.locks['a']?.readers).toEqual(['one', 'two']);
  });
  test('a writer waits for the reader, and a reader for the writer', () => {
    const at = pair(reader, [down_write('a'), up_write('a')]);
    at.plays('one', 'two');
    expect(at.because('two')).toBe('one holds a for reading');
    at.plays('one', 'two');
    expect(at.kernel.locks['a']?.owner).toBe('two');
    const other = pair(reader, [down_write('a'), up_write('a')]);
    other.plays('two', 'two');
    expect(other.because('one')).toBe('two holds a');
  });
  test('A8.7: a new reader queues behind a writer that only waits', () => {
    const at = stage({
      objects: A,
      threads: { one: must(reader), writer: must([down_write('a'), up_write('a')]), two: must(reader) },
    });
    at.plays('one', 'writer');
    expect(at.because('two')).toBe('writer already waits to write a');
    at.plays('one', 'writer', 'writer', 'two');
    expect(at.kernel.locks['a']?.readers).toEqual(['two']);
  });
  test('A8.7: reading twice deadlocks when a writer comes in between, and only then', () => {
    const twice = [down_read('a'), down_read('a'), up_read('a'), up_read('a')];
    const at = pair(twice, [down_write('a'), up_write('a')]);
    at.plays('one', 'two');
    expect(at.open('one')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['two'] } });
    expect(at.open('two')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['one'] } });
    expect(alone(twice, { objects: A }).ret).toBe('0');
  });
  test('F1.3: through the recursion counter the second read joins past the writer', () => {
    const twice = [down_read_non_owner('a'), down_read_non_owner('a'), up_read_non_owner('a'), up_read_non_owner('a')];
    const at = pair(twice, [down_write('a'), up_write('a')]);
    at.plays('one', 'two', 'one');
    expect(at.kernel.locks['a']?.readers).toEqual(['one', 'one']);
    at.runs('one');
    at.runs('two');
    expect(at.open('two').kind).toBe('finished');
  });
  test('a read trylock fails while a writer has it or waits, and does not wait', () => {
    const at = stage({
      objects: A,
      threads: {
        one: must(reader),
        writer: must([down_write('a'), up_write('a')]),
        tries: may([down_read_trylock('a'), STEP]),
      },
    });
    at.plays('one', 'writer', 'tries');
    expect(at.ret('tries')).toBe('0');
    const free = stage({ objects: A, threads: { tries: may([down_read_trylock('a'), STEP]) } });
    free.plays('tries');
    expect(free.ret('tries')).toBe('1');
  });
  test('writers are served in the order they came', () => {
    const write: Block = [down_write('a'), up_write('a')];
    const at = stage({ objects: A, threads: { one: must(reader), early: must(write), late: must(write) } });
    at.plays('one', 'early', 'late', 'one');
    expect(at.because('late')).toBe('early waits to write a before it');
    at.plays('early');
    expect(at.kernel.locks['a']?.owner).toBe('early');
  });
  test('W-21: up_read without down_read is a misuse', () => {
    expect(misuses(alone([up_read('a')], { objects: A }).facts)).toEqual(['W-21']);
    expect(misuses(alone(reader, { objects: A }).facts)).toEqual([]);
  });
});

describe('boot', () => {
  test('an unknown lock lists the locks there are', () => {
    expect(() => alone([mutex_lock('b')], { objects: { locks: { a: {}, mn: {} } } })).toThrow(
      /task: mutex_lock names unknown locks "b"; there are: a, mn/,
    );
  });
  test('a lock that is owned by nobody known is refused', () => {
    expect(() => alone([], { objects: { locks: { a: { owner: 'ghost' } } } })).toThrow(
      /locks\.a\.owner: unknown threads "ghost"; there are: task/,
    );
  });
});
