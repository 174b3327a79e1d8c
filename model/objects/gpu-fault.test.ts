import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import {
  device_map,
  firmware,
  gpu_fault_answer,
  gpu_fault_take,
  mutex_lock,
  mutex_unlock,
  suspend_queue,
  suspend_queue_wait,
  unmap_queue,
  user_queue,
} from './index.ts';

const faulting = (threads: Record<string, Block>, { preempts = true, drops = false, irq = [] as Block } = {}) =>
  stage({
    objects: {
      bos: { bo: { place: 'TT', tt: 'populated' } },
      locks: { a: {} },
      fault_buffers: { faults: { irq: 'irq', handled_by: 'task', drops } },
    },
    routines: { irq },
    threads: {
      queue: user_queue({
        uses: ['bo'],
        fault_buffer: 'faults',
        preempts_on_fault: preempts,
        preempted_by: 'fw',
      }),
      queue2: user_queue({ uses: ['bo'], fault_buffer: 'faults' }),
      fw: firmware(),
      ...Object.fromEntries(Object.entries(threads).map(([name, body]) => [name, must(body)])),
    },
  });
const repairs: Block = [device_map('bo'), gpu_fault_answer('queue', 'success')];

describe('a page fault of the device', () => {
  test('E7.3: the queue stands still until somebody answers, and then tries again', () => {
    const at = faulting({ task: repairs });
    expect(at.plays('queue')).toContainEqual({
      kind: 'gpuFault',
      queue: 'queue',
      bo: 'bo',
      answer: 'raised',
      thread: 'queue',
    });
    expect(at.because('queue')).toBe('task has yet to answer the fault of queue on bo');
    at.runs('task');
    expect(at.plays('queue')).toContainEqual(expect.objectContaining({ kind: 'accesses', stale: null }));
  });
  test('an answer without a repair brings the same fault again', () => {
    const at = faulting({ task: [gpu_fault_take('faults'), gpu_fault_answer('queue', 'success')] });
    at.plays('queue');
    at.runs('task');
    expect(at.plays('queue')).toContainEqual(expect.objectContaining({ kind: 'gpuFault', answer: 'raised' }));
  });
  test('E7.2: a fault that nobody can repair takes the queue off the hardware', () => {
    const at = faulting({ task: [gpu_fault_answer('queue', 'failure')] });
    at.plays('queue');
    at.runs('task');
    expect(at.because('queue')).toBe('queue is not mapped');
  });
  test('a buffer that is mapped raises none', () => {
    const at = faulting({ task: [device_map('bo')] });
    at.runs('task');
    expect(at.plays('queue').filter(({ kind }) => kind === 'gpuFault')).toEqual([]);
  });
  test('the interrupt runs on the spot and may not sleep', () => {
    const at = (irq: Block): string[] => misuses(faulting({ task: [] }, { irq }).runs('queue'));
    expect(at([mutex_lock('a'), mutex_unlock('a')])).toEqual(['CTX-A']);
    expect(at([])).toEqual([]);
  });
  test('G4.5: a full buffer stalls the next queue, or drops its fault', () => {
    const stalls = faulting({ task: [] });
    stalls.plays('queue');
    expect(stalls.because('queue2')).toBe('faults is full');
    const drops = faulting({ task: [] }, { drops: true });
    drops.plays('queue');
    expect(misuses(drops.plays('queue2'))).toEqual(['G4.5']);
    expect(drops.open('queue2')).toMatchObject({ kind: 'blocked', wait: { owedBy: [] } });
  });
  test('G4.4: where the hardware can preempt in a fault, taking the queue off ends it; elsewhere it must be answered first', () => {
    const fine = faulting({ task: [unmap_queue('queue'), gpu_fault_take('faults')] });
    fine.plays('queue');
    fine.plays('task', 'task');
    expect(fine.kernel.user_queues['queue']).toMatchObject({ mapped: false, faulting: null });
    expect(fine.kernel.fault_buffers['faults']?.faults).toEqual([]);
    const stuck = faulting({ evictor: [unmap_queue('queue')], task: repairs }, { preempts: false });
    stuck.plays('queue');
    expect(stuck.open('evictor')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['task'] } });
    stuck.runs('task');
    expect(stuck.open('evictor').kind).toBe('ready');
  });
  test('G4.4: the same for the firmware that is asked to preempt', () => {
    const at = faulting(
      { evictor: [suspend_queue('queue'), suspend_queue_wait('queue')], task: repairs },
      { preempts: false },
    );
    at.plays('queue', 'evictor');
    expect(at.open('fw')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['task'] } });
    at.runs('task');
    at.runs('fw');
    expect(at.open('evictor').kind).toBe('ready');
  });
});
