import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, ThreadSpec } from '../machine.ts';
import { misuses, stage, witnessed } from '../stage.ts';
import {
  delayed_work,
  dma_fence_init,
  dma_fence_signal,
  emit,
  late_completion,
  mutex_lock,
  mutex_unlock,
  reset_begin,
  reset_end,
  reset_force_completion,
  reset_hardware,
  reset_ring,
  ring,
  ring_is_stuck,
  witness,
  work_a_while,
  write_user_fence,
} from './index.ts';

const STEP = work_a_while('works');
const SIGNAL = { irq: [witness('$job'), dma_fence_signal('$fence')] };
const gpu = (may_hang: boolean, lines: Block, routines: Record<string, Block> = SIGNAL) =>
  stage({
    objects: { fences: { f: {}, g: {} }, locks: { a: {} } },
    routines,
    threads: {
      task: must([
        dma_fence_init('f'),
        dma_fence_init('g'),
        emit('gpu', 'one', 'f', 'irq'),
        emit('gpu', 'two', 'g', 'irq'),
        lines,
      ]),
      gpu: ring({ may_hang }),
    },
  });

describe('a ring', () => {
  test('C3.12: jobs complete in the order they were emitted, each with its own fence', () => {
    const at = gpu(false, []);
    at.runs('task');
    expect(witnessed(at.plays('gpu', 'gpu'))).toEqual(['one']);
    expect([at.kernel.fences['f']?.signaled, at.kernel.fences['g']?.signaled]).toEqual([true, false]);
    expect(witnessed(at.runs('gpu'))).toEqual(['two']);
  });
  test('from the emit on the ring owes the fence', () => {
    const at = gpu(false, []);
    at.plays('task', 'task');
    expect(at.kernel.fences['f']?.promisedBy).toBe('task');
    at.plays('task');
    expect(at.kernel.fences['f']?.promisedBy).toBe('gpu');
  });
  test('without jobs it is idle', () => {
    expect(gpu(false, []).open('gpu')).toMatchObject({ kind: 'idle', wait: { because: 'gpu has no jobs' } });
  });
  test('HC-1: only a ring that may hang hangs', () => {
    for (const may_hang of [false, true]) {
      const at = gpu(may_hang, []);
      at.runs('task');
      expect(at.ways('gpu')).toEqual(may_hang ? ['completes', 'hangs'] : ['completes']);
    }
  });
  test('HC-1: a ring that hangs completes nothing more, and nobody owes it a way out', () => {
    const at = gpu(true, []);
    at.runs('task');
    at.plays('gpu/hangs');
    expect(at.open('gpu')).toMatchObject({
      kind: 'blocked',
      wait: { owedBy: [], because: 'gpu hangs in one' },
      outcomes: [],
    });
  });
  test('X-4: a batch that waits for a value spins until somebody has written it, and nobody owes that', () => {
    const at = stage({
      objects: { fences: { f: {} }, user_fences: { flag: {} } },
      routines: SIGNAL,
      threads: {
        task: must([
          dma_fence_init('f'),
          emit('gpu', 'batch', 'f', 'irq', {}, ['flag', 2]),
          ring_is_stuck('gpu'),
          write_user_fence('flag', 1),
          ring_is_stuck('gpu'),
          write_user_fence('flag', 2),
          ring_is_stuck('gpu'),
        ]),
        gpu: ring({ reset_by: 'task' }),
      },
    });
    at.plays('task', 'task', 'task');
    expect(at.open('gpu')).toMatchObject({
      kind: 'blocked',
      wait: {
        owedBy: ['task'],
        because: 'batch spins on gpu until flag reaches 2, which nobody owes, and task resets it',
      },
    });
    expect(at.ret('task')).toBe('1');
    at.plays('task', 'task');
    expect([at.ret('task'), at.open('gpu').kind]).toEqual(['1', 'blocked']);
    at.plays('task', 'task');
    expect([at.ret('task'), at.open('gpu').kind]).toEqual(['0', 'ready']);
    expect(witnessed(at.runs('gpu'))).toEqual(['batch']);
  });
  test('HC-5: from outside a ring that hangs looks the same, and one without jobs does not', () => {
    const at = gpu(true, [ring_is_stuck('gpu'), reset_ring('gpu'), ring_is_stuck('gpu')]);
    at.plays('task', 'task', 'task', 'task', 'gpu/hangs', 'task');
    expect(at.ret('task')).toBe('1');
    at.plays('task', 'task');
    expect(at.ret('task')).toBe('0');
  });
  test('HC-3: the reset names the job that hung, empties the ring, and the ring can run again', () => {
    const at = gpu(true, [reset_ring('gpu'), STEP, emit('gpu', 'again', 'g', 'irq')]);
    at.plays('task', 'task', 'task', 'task', 'gpu/hangs', 'task');
    expect(at.ret('task')).toBe('one');
    expect(at.kernel.rings['gpu']).toMatchObject({ hung: false, jobs: [] });
    at.runs('task');
    expect(witnessed(at.runs('gpu'))).toEqual(['again']);
  });
  test('HC-3: the reset of a ring that does not hang blames nobody', () => {
    const at = gpu(true, [reset_ring('gpu'), STEP]);
    at.plays('task', 'task', 'task', 'task', 'task');
    expect(at.ret('task')).toBe('0');
  });
  test('CTX-I: completion runs in interrupt context: it may signal, and may not sleep', () => {
    const at = (irq: Block): string[] => {
      const it = gpu(false, [], { irq });
      it.runs('task');
      return misuses(it.plays('gpu', 'gpu'));
    };
    expect(at([dma_fence_signal('$fence')])).toEqual([]);
    expect(at([mutex_lock('a'), mutex_unlock('a')])).toEqual(['CTX-A']);
  });
});

describe('a ring that is not well', () => {
  const job: Block = [dma_fence_init('f'), emit('gpu', 'one', 'f', 'irq')];
  const on = (gpu_: ThreadSpec, lines: Block = [], more: Record<string, ThreadSpec> = {}, routines = {}) =>
    stage({
      objects: { fences: { f: {}, g: {} }, reset_domains: { device: { rings: ['gpu'] } } },
      routines: { ...SIGNAL, ...routines },
      threads: { task: must([job, lines]), gpu: gpu_, ...more },
    });
  test('HC-5: what looked like a hang may end at any time, and the job completes late', () => {
    const at = on(ring({ may_hang: true }), [], { slow: late_completion('gpu') });
    expect(at.because('slow')).toBe('gpu does not hang');
    at.runs('task');
    at.plays('gpu/hangs');
    expect(at.open('slow')).toMatchObject({ kind: 'ready', nature: 'may' });
    at.plays('slow', 'gpu/completes', 'gpu');
    expect(at.kernel.fences['f']?.signaled).toBe(true);
  });
  test('HC-5: nobody may count on it: a ring that hangs is still stuck', () => {
    const at = on(ring({ may_hang: true }), [], { slow: late_completion('gpu') });
    at.runs('task');
    at.plays('gpu/hangs');
    expect(at.open('gpu')).toMatchObject({ kind: 'blocked', wait: { owedBy: [] } });
  });
  test('HC-1: who resets it is who owes it a way out', () => {
    const at = on(ring({ may_hang: true, reset_by: 'tdr' }), [], { tdr: delayed_work([reset_ring('gpu')]) });
    at.runs('task');
    at.plays('gpu/hangs');
    expect(at.open('gpu')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['tdr'] } });
  });
  test('a job that faults stops the ring, and the handler hears of it at once, in interrupt context', () => {
    const at = on(ring({ fault: 'fault' }), [], {}, { fault: [witness('$job')] });
    at.runs('task');
    expect(at.ways('gpu')).toEqual(['completes', 'faults']);
    expect(witnessed(at.plays('gpu/faults'))).toEqual(['one']);
    expect(at.because('gpu')).toBe('gpu hangs in one');
  });
  test('HC-3: giving a job to a ring that is being reset is a misuse; after the reset it is not', () => {
    const late: Block = [dma_fence_init('g'), emit('gpu', 'two', 'g', 'irq')];
    expect(misuses(on(ring(), [reset_begin('device'), late]).runs('task'))).toEqual(['HC-3']);
    const resets: Block = [
      reset_begin('device'),
      reset_force_completion('device'),
      reset_hardware('device'),
      reset_end('device'),
    ];
    expect(misuses(on(ring(), [resets, late]).runs('task'))).toEqual([]);
  });
  test('D1.4: force completion ends the jobs of the ring with an error, in order, and leaves them where they are', () => {
    const at = on(ring({ may_hang: true }), [
      dma_fence_init('g'),
      emit('gpu', 'two', 'g', 'irq'),
      reset_begin('device'),
      reset_force_completion('device'),
    ]);
    const signals = at
      .runs('task')
      .flatMap((fact) => (fact.kind === 'signaled' ? [`${fact.fence} ${fact.error}`] : []));
    expect(signals).toEqual(['f -ECANCELED', 'g -ECANCELED']);
    expect(at.kernel.rings['gpu']?.jobs).toHaveLength(2);
  });
});

describe('boot', () => {
  test('an unknown ring lists the rings there are', () => {
    expect(() => gpu(false, [emit('dsp', 'job', 'f', 'irq')])).toThrow(/unknown rings "dsp"; there are: gpu/);
  });
  test('an unknown completion routine lists the routines there are', () => {
    expect(() => gpu(false, [emit('gpu', 'job', 'f', 'done')])).toThrow(/unknown routines "done"; there are: .*irq/);
  });
});
