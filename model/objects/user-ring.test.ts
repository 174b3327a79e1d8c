import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { misuses, stage, witnessed } from '../stage.ts';
import {
  kmalloc,
  map_queue,
  overwrite_packet,
  reset_queue,
  ring_doorbell,
  ring_is_empty,
  take_packet_back,
  unmap_queue,
  user_queue,
  witness,
  work_a_while,
  write_packet,
  write_user_fence,
} from './index.ts';

const rings = (lines: Block, options: Parameters<typeof user_queue>[0] = {}, irq: Block = [witness('told')]) =>
  stage({
    objects: { user_fences: { memory: {}, input: { written_by: 'task' } } },
    threads: {
      queue: user_queue({ ring_buffer: true, completes: 'memory', irq: 'irq', ...options }),
      task: must(lines),
    },
    routines: { irq },
  });
const submit: Block = [write_packet('queue'), ring_doorbell('queue')];
/** What the driver and the process hear of a packet when the hardware has begun it, and when it is through. */
const heard = (...lines: Block) => {
  const at = rings([submit, lines]);
  at.runs('task');
  const value = () => at.kernel.user_fences['memory']?.value;
  const begun = [witnessed(at.plays('queue')), value()];
  const done = [witnessed(at.runs('queue')), value()];
  return { begun, done, rptr: at.kernel.user_queues['queue']?.rptr };
};

describe('a packet', () => {
  test('tells memory and the driver when it is done, and not before', () => {
    expect(heard()).toEqual({ begun: [[], 0], done: [['told'], 1], rptr: 1 });
  });
  test('G1.5: with the signal overwritten it is done and nobody hears of it', () => {
    expect(heard(overwrite_packet('queue', 'signals_nothing'))).toEqual({ begun: [[], 0], done: [[], 0], rptr: 1 });
  });
  test('G1.3: with the signal put first both hear of it while the commands still run', () => {
    expect(heard(overwrite_packet('queue', 'signals_first'))).toEqual({ begun: [['told'], 1], done: [[], 1], rptr: 1 });
  });
  test('what is written over an empty ring is nothing: the next packet of the kernel is whole', () => {
    const at = rings([overwrite_packet('queue', 'signals_nothing'), submit]);
    at.plays('task');
    expect(at.ret('task')).toBe('0');
    at.runs('task');
    expect(witnessed(at.runs('queue'))).toEqual(['told']);
  });
  test('a reset takes it away with what became of it', () => {
    const at = rings([submit, overwrite_packet('queue', 'signals_nothing'), reset_queue('queue'), map_queue('queue')]);
    at.runs('task');
    expect(at.kernel.user_queues['queue']).toMatchObject({ packet: 'whole', rptr: 1, mapped: true });
    expect(at.because('queue')).toBe('nobody rings for queue');
  });
  test('the interrupt is one: a routine that may sleep there is a misuse', () => {
    const at = rings([submit], {}, kmalloc('GFP_KERNEL'));
    at.runs('task');
    expect(misuses(at.runs('queue'))).toContain('CTX-A');
  });
});

describe('the ring', () => {
  test('holds three packets, and says so when there is no room', () => {
    const full: Block = [write_packet('queue'), write_packet('queue'), write_packet('queue')];
    const at = rings([full, write_packet('queue'), work_a_while('looks')]);
    at.plays('task', 'task', 'task');
    expect(at.ret('task')).toBe('0');
    at.plays('task');
    expect(at.ret('task')).toBe('-ENOSPC');
    expect(at.kernel.user_queues['queue']?.wptr).toBe(3);
  });
  const empty = (...lines: Block): string => {
    const at = rings([lines, ring_is_empty('queue'), work_a_while('looks')]);
    at.plays(...lines.flat().map(() => 'task'), 'task');
    return at.ret('task');
  };
  test('is empty until the doorbell rings, and again when a process moves the write pointer back (G1.5)', () => {
    expect(empty()).toBe('1');
    expect(empty(write_packet('queue'))).toBe('1');
    expect(empty(...submit)).toBe('0');
    expect(empty(...submit, take_packet_back('queue'), ring_doorbell('queue'))).toBe('1');
  });
  test('a write pointer that is moved back too late sends the hardware all the way round (G1.5)', () => {
    const told = (...begun: readonly string[]) => {
      const at = rings([submit, take_packet_back('queue'), ring_doorbell('queue')]);
      at.plays('task', 'task', ...begun);
      at.runs('task');
      return witnessed(at.runs('queue')).length;
    };
    expect(told()).toBe(0);
    expect(told('queue')).toBe(4);
  });
});

describe('a packet that polls memory', () => {
  const polls = (...lines: Block) => rings([submit, lines], { polls: 'input', until: 2 });
  test('begins when the value is there; whoever alone writes it is the one that it waits for', () => {
    const at = polls(write_user_fence('input', 1), write_user_fence('input', 2));
    at.plays('task', 'task', 'task');
    expect(at.open('queue')).toMatchObject({ kind: 'blocked', wait: { object: 'input', owedBy: ['task'] } });
    expect(at.because('queue')).toBe('input has not reached 2, and task has yet to write that');
    at.plays('task');
    expect(witnessed(at.runs('queue'))).toEqual(['told']);
  });
  test('G1.3: where anybody may write it, it waits for nobody in particular', () => {
    const at = rings([submit], { polls: 'memory' });
    at.runs('task');
    expect(at.open('queue')).toMatchObject({ kind: 'blocked', wait: { object: 'memory', owedBy: [] }, outcomes: [] });
    expect(at.because('queue')).toBe('memory has not reached 1, and nobody owes that');
  });
  test('goes on when the value goes back meanwhile, and polls again when it was preempted', () => {
    const begun = (...lines: Block) => {
      const at = polls(write_user_fence('input', 2), write_user_fence('input', 0), lines);
      at.plays('task', 'task', 'task', 'queue');
      at.runs('task');
      return at.open('queue').kind;
    };
    expect(begun()).toBe('ready');
    expect(begun(unmap_queue('queue'), map_queue('queue'))).toBe('blocked');
  });
});
