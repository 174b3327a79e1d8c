import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage } from '../stage.ts';
import {
  adversary,
  firmware,
  map_queue,
  queue_is_mapped,
  reset_queue,
  ring_doorbell,
  suspend_queue,
  unmap_queue,
  user_queue,
  work_a_while,
  write_wptr,
} from './index.ts';

const on = (may_run_forever: boolean, ...lines: Block) =>
  stage({
    threads: { queue: user_queue({ may_run_forever, preempted_by: 'fw' }), fw: firmware(), task: must(lines) },
  });

describe('a queue that need not end', () => {
  test('P-7: it is preempted all the same, and goes on where it was', () => {
    const at = on(true, suspend_queue('queue'), map_queue('queue'));
    at.plays('queue/never ends', 'queue', 'queue', 'task');
    at.plays('fw');
    expect(at.kernel.user_queues['queue']).toMatchObject({ mapped: false, endless: true });
    at.plays('task');
    expect(at.ways('queue')).toEqual(['']);
  });
  test('HC-3: a reset ends it', () => {
    const at = on(true, reset_queue('queue'));
    at.plays('queue/never ends', 'task');
    expect(at.kernel.user_queues['queue']).toMatchObject({ mapped: false, endless: false });
  });
  test('no turn of it is owed to anybody; one of a queue whose work ends is', () => {
    const nature = (may_run_forever: boolean) => on(may_run_forever).open('queue');
    expect(nature(true)).toMatchObject({ kind: 'ready', nature: 'may' });
    expect(nature(false)).toMatchObject({ kind: 'ready', nature: 'owed' });
  });
});

describe('a queue with a ring', () => {
  const rings = (...lines: Block) =>
    stage({
      objects: { user_fences: { memory: {} } },
      threads: { queue: user_queue({ ring_buffer: true, completes: 'memory' }), task: must(lines) },
    });
  test('G1.1: it runs what was written when the doorbell rang, and says so in memory', () => {
    const at = rings(write_wptr('queue', 1), ring_doorbell('queue'));
    at.plays('task');
    expect(at.because('queue')).toBe('nobody rings for queue');
    at.plays('task');
    at.runs('queue');
    expect(at.kernel.user_queues['queue']?.rptr).toBe(1);
    expect(at.kernel.user_fences['memory']?.value).toBe(1);
  });
  test('G1.6: a doorbell that rings while the queue is off arrives all the same', () => {
    const at = rings(unmap_queue('queue'), write_wptr('queue', 2), ring_doorbell('queue'), map_queue('queue'));
    at.runs('task');
    at.runs('queue');
    expect(at.kernel.user_queues['queue']?.rptr).toBe(2);
  });
});

describe('an adversary', () => {
  const at = () =>
    stage({
      objects: { user_fences: { memory: {} } },
      threads: { queue: user_queue({ ring_buffer: true }), process: adversary(['queue'], ['memory']) },
    });
  test('G5: writes any value to what it has mapped, rings, and owes nobody a turn', () => {
    const it = at();
    expect(it.open('process')).toMatchObject({ kind: 'ready', nature: 'may' });
    it.plays(
      'process/wptr of queue = 1',
      'process/writes memory = 1',
      'process/rings queue',
      'process/writes memory = 0',
    );
    expect(it.kernel.user_queues['queue']).toMatchObject({ wptr: 1, rung: 1 });
    expect(it.kernel.user_fences['memory']?.value).toBe(0);
  });
  test('and nothing else: it has no way to take its queue off or put it on', () => {
    expect(at().ways('process')).toEqual([
      'rings queue',
      'wptr of queue = 0',
      'wptr of queue = 1',
      'writes memory = 0',
      'writes memory = 1',
    ]);
  });
});

test('whether it is mapped can be asked (E2.2)', () => {
  const asks = (...before: readonly string[]): string => {
    const at = stage({
      threads: {
        queue: user_queue(),
        evict: may([unmap_queue('queue')]),
        task: may([queue_is_mapped('queue'), work_a_while('looks')]),
      },
    });
    at.plays(...before, 'task');
    return at.ret('task');
  };
  expect([asks(), asks('evict')]).toEqual(['1', '0']);
});
