import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  USAGES,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_interruptible,
  dma_resv_wait_timeout,
  witness,
} from './index.ts';
import { type Rows, AB, FENCES, STEP, add, init, rowOf, shown } from '../resv-stage.ts';

/** What every thread returned at its end. */
const rets = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'nobody' ? [fact.ret] : []));

describe('queries', () => {
  const objects = { ...AB, fences: FENCES };
  test('9.8: a query sees its own usage and all stronger ones, and no weaker one', () => {
    const sees = USAGES.map((asked) =>
      USAGES.filter((put) => {
        const { facts } = alone(
          [dma_fence_init('f'), dma_resv_lock('a'), add('f', put), dma_resv_test_signaled('a', asked)],
          {
            objects,
          },
        );
        return rets(facts)[0] === '0';
      }),
    );
    expect(sees).toEqual([
      ['KERNEL'],
      ['KERNEL', 'WRITE'],
      ['KERNEL', 'WRITE', 'READ'],
      ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'],
    ]);
  });
  const waiter = (wait: Block, version: Rows = {}): Stage => {
    const at = stage({
      objects: { ...objects, version },
      threads: {
        gpu: may([dma_fence_signal('f')]),
        sdma: may([dma_fence_signal('g')]),
        task: must([
          dma_fence_init('f', 'gpu'),
          dma_fence_init('g', 'sdma'),
          dma_resv_lock('a'),
          add('f', 'READ'),
          add('g', 'BOOKKEEP'),
          dma_resv_unlock('a'),
        ]),
        other: must(wait),
      },
    });
    at.runs('task');
    return at;
  };
  test('R-31: a wait for its usage waits for whoever owes the fence; for a stronger usage it does not', () => {
    const at = waiter([dma_resv_wait('a', 'READ')]);
    at.plays('other');
    expect(at.because('other')).toBe('gpu has yet to signal f');
    at.plays('gpu', 'other');
    expect(at.open('other').kind).toBe('finished');
    const stronger = waiter([dma_resv_wait('a', 'WRITE')]);
    stronger.plays('other');
    expect(stronger.open('other').kind).toBe('finished');
  });
  test('R-31: it waits for one fence after the other', () => {
    const at = waiter([dma_resv_wait('a', 'BOOKKEEP')]);
    at.plays('other', 'sdma');
    expect(at.because('other')).toBe('gpu has yet to signal f');
    at.plays('gpu', 'other');
    expect([at.open('other').kind, rowOf(at).iterations]).toEqual(['finished', []]);
    const both = waiter([dma_resv_wait('a', 'BOOKKEEP')]);
    both.plays('other', 'gpu', 'other');
    expect(both.because('other')).toBe('sdma has yet to signal g');
  });
  test('F-12: each fence is asked to signal when it is its turn, not before', () => {
    const hooked = { ...objects, fences: { f: {}, g: { enable_signaling: 'arm' } } };
    const at = stage({
      objects: hooked,
      routines: { arm: [witness('armed')] },
      threads: {
        task: must([
          dma_fence_init('f'),
          dma_fence_init('g'),
          dma_resv_lock('a'),
          add('f'),
          add('g'),
          dma_resv_unlock('a'),
        ]),
        gpu: may([dma_fence_signal('f')]),
        other: must([dma_resv_wait('a', 'BOOKKEEP')]),
      },
    });
    at.runs('task');
    expect(witnessed(at.plays('other'))).toEqual([]);
    expect(witnessed(at.plays('gpu', 'other'))).toEqual(['armed']);
    expect(at.because('other')).toBe('task has yet to signal g');
  });
  test('R-33: a fence that comes while it waits may be missed', () => {
    const at = stage({
      objects,
      threads: {
        task: must([
          init,
          dma_resv_lock('a'),
          dma_resv_reserve_fences('a', 2),
          dma_resv_add_fence('a', 'f', 'READ'),
          STEP,
          dma_resv_add_fence('a', 'g', 'READ'),
          STEP,
        ]),
        gpu: may([dma_fence_signal('f')]),
        other: must([dma_resv_wait('a', 'READ')]),
      },
    });
    at.plays(...Array<string>(9).fill('task'), 'other', 'task', 'gpu', 'other');
    expect([shown(at), at.open('other').kind]).toEqual([['f READ', 'g READ'], 'finished']);
  });
  test('R-31: holding the lock while waiting is allowed', () => {
    const at = waiter([dma_resv_lock('a'), dma_resv_wait('a', 'READ'), dma_resv_unlock('a')]);
    at.plays('other', 'other', 'gpu');
    expect(misuses(at.runs('other'))).toEqual([]);
  });
  test('R-31: a signal ends the interruptible wait with -ERESTARTSYS', () => {
    const at = waiter([dma_resv_wait_interruptible('a', 'READ'), STEP]);
    at.plays('other', 'other/interrupted');
    expect([at.ret('other'), rowOf(at).iterations]).toEqual(['-ERESTARTSYS', []]);
  });
  test('R-31: a bounded wait gives up, and the fence is still there', () => {
    const at = waiter([dma_resv_wait_timeout('a', 'READ'), STEP]);
    at.plays('other', 'other/times out');
    expect([at.ret('other'), shown(at)]).toEqual(['-EBUSY', ['f READ', 'g BOOKKEEP']]);
  });
  test('R-31: with a timeout, 0 says that it ran out, and anything else that it did not', () => {
    const out = waiter([dma_resv_wait_timeout('a', 'READ', 'HZ'), STEP]);
    out.plays('other', 'other/times out');
    const over = waiter([dma_resv_wait_timeout('a', 'READ', 'HZ'), STEP]);
    over.plays('other', 'gpu', 'other');
    const nothing = waiter([dma_resv_wait_timeout('a', 'WRITE', 'HZ'), STEP]);
    nothing.plays('other');
    expect([out, over, nothing].map((at) => at.ret('other'))).toEqual(['0', '1', '1']);
  });
  test('R-32: no time at all is a poll; older kernels give each fence a jiffy', () => {
    const polls = waiter([dma_resv_wait_timeout('a', 'READ', '0'), STEP]);
    polls.plays('other');
    const idle = waiter([dma_resv_wait_timeout('a', 'WRITE', '0'), STEP]);
    idle.plays('other');
    expect([polls.ret('other'), idle.ret('other')]).toEqual(['0', '1']);
    const jiffy = waiter([dma_resv_wait_timeout('a', 'READ', '0'), STEP], {
      switches: { resv_wait_zero_timeout: false },
    });
    jiffy.plays('other');
    expect(jiffy.because('other')).toBe('gpu has yet to signal f');
    jiffy.plays('gpu', 'other');
    expect(jiffy.ret('other')).toBe('1');
  });
});
