import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import { alone, misuses, stage } from '../stage.ts';
import {
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_trylock,
  dma_resv_unlock,
  mutex_lock,
  mutex_unlock,
} from './index.ts';
import { AB, STEP } from '../resv-stage.ts';

describe('the lock without a ticket', () => {
  test('W-12: it waits for the owner and never dies', () => {
    const at = stage({
      objects: AB,
      threads: { one: must([dma_resv_lock('a')]), two: must([dma_resv_lock('b'), dma_resv_lock('a')]) },
    });
    at.plays('one', 'two');
    expect(at.open('two')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['one'] }, outcomes: [] });
  });
  test('R-5, W-9: two of them in one task are a misuse; one after the other is not', () => {
    const both = [dma_resv_lock('a'), dma_resv_lock('b'), dma_resv_unlock('b'), dma_resv_unlock('a')];
    const each = [dma_resv_lock('a'), dma_resv_unlock('a'), dma_resv_lock('b'), dma_resv_unlock('b')];
    expect(misuses(alone(both, { objects: AB }).facts)).toEqual(['W-9']);
    expect(misuses(alone(each, { objects: AB }).facts)).toEqual([]);
  });
  test('a second one by trylock is legal', () => {
    const body = [dma_resv_lock('a'), dma_resv_trylock('b'), dma_resv_unlock('b'), dma_resv_unlock('a')];
    expect(misuses(alone(body, { objects: AB }).facts)).toEqual([]);
  });
  test('W-16: a signal ends the interruptible wait with -EINTR, and the lock stays with its owner', () => {
    const at = stage({
      objects: AB,
      threads: { one: must([dma_resv_lock('a')]), two: must([dma_resv_lock_interruptible('a'), STEP]) },
    });
    at.plays('one', 'two/interrupted');
    expect([at.ret('two'), at.kernel.resvs['a']?.owner]).toEqual(['-EINTR', 'one']);
  });
  test('W-21: unlocking what somebody else holds is a misuse, and it stays locked', () => {
    const at = stage({ objects: AB, threads: { one: must([dma_resv_lock('a')]), two: must([dma_resv_unlock('a')]) } });
    at.plays('one');
    expect(misuses(at.plays('two'))).toEqual(['W-21']);
    expect(at.kernel.resvs['a']?.owner).toBe('one');
  });
  test('CTX-P: locking is not for atomic context', () => {
    const at = stage({
      objects: AB,
      threads: { irq: { ...must([dma_resv_lock('a'), dma_resv_unlock('a')]), atomic: true } },
    });
    expect(misuses(at.runs('irq'))).toEqual(['CTX-A', 'W-21']);
  });
});

describe('boot', () => {
  test('an unknown reservation lists the reservations there are', () => {
    expect(() => alone([dma_resv_lock('c')], { objects: AB })).toThrow(/unknown resvs "c"; there are: a, b/);
  });
  test('a mutex is no reservation', () => {
    expect(() => alone([mutex_lock('a'), mutex_unlock('a')], { objects: AB })).toThrow(
      /unknown locks "a"; there are: none/,
    );
  });
});
