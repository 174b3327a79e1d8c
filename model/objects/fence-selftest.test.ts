/** What the kernel's own fence self-test asserts, one claim a test (drivers/dma-buf/st-dma-fence.c; S1..S30). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import { everywhere } from '../everywhere.ts';
import type { Block } from '../machine.ts';
import { alone, misuses, stage, witnessed } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_check_and_signal,
  dma_fence_enable_sw_signaling,
  dma_fence_get_rcu,
  dma_fence_get_status,
  dma_fence_get_stub,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_stub,
  dma_fence_wait,
  dma_fence_wait_timeout,
  fence_lock_cycle,
  goto,
  if_ret,
  label,
  mod_timer,
  timer,
  witness,
} from './index.ts';

const F = { objects: { fences: { f: {} } }, routines: { simple_callback: [witness('seen')] } };
/** A mock fence with signalling enabled, then these lines. */
const mock = (...lines: Block) => alone([dma_fence_init('f'), dma_fence_enable_sw_signaling('f'), lines], F);
const bare = (...lines: Block) => alone([dma_fence_init('f'), lines], F);
const add = dma_fence_add_callback('f', 'simple_callback');
const remove = dma_fence_remove_callback('f', 'simple_callback');
const signal = dma_fence_signal('f');

describe('sanity and signalling', () => {
  test('S1: creating, enabling, signalling and dropping a fence passes without complaint', () => {
    expect(misuses(mock(signal, dma_fence_put('f')).facts)).toEqual([]);
  });
  test('S2: a fresh fence with signalling enabled polls unsignalled', () => {
    expect(mock(dma_fence_is_signaled('f')).ret).toBe('0');
  });
  test('S3: the first signal says that it was not signalled before', () => {
    expect(mock(dma_fence_check_and_signal('f')).ret).toBe('false');
  });
  test('S4: after the signal it polls signalled', () => {
    expect(mock(signal, dma_fence_is_signaled('f')).ret).toBe('1');
  });
  test('S5: after the signal the flag is set, and a second signal says so', () => {
    const { ret, at, facts } = mock(signal, dma_fence_check_and_signal('f'));
    expect(at.kernel.fences['f']?.signaled).toBe(true);
    expect(ret).toBe('true');
    expect(facts.filter(({ kind }) => kind === 'signaled')).toHaveLength(1);
  });
});

describe('callbacks', () => {
  test('S6: add_callback on an unsignalled fence succeeds', () => {
    expect(bare(add).ret).toBe('0');
  });
  test('S7: when the signal returns, the callback has run', () => {
    expect(witnessed(bare(add, signal, witness('signal returned')).facts)).toEqual(['seen', 'signal returned']);
  });
  test('S8: add_callback on a signalled fence fails', () => {
    expect(bare(signal, add).ret).toBe('-ENOENT');
  });
  test('S9: the callback that was refused never runs, not even by another signal', () => {
    expect(witnessed(bare(signal, add, signal).facts)).toEqual([]);
  });
  test('S10: add_callback, then remove_callback before the signal: it was still there', () => {
    expect(bare(add, remove).ret).toBe('1');
  });
  test('S11: a callback that was removed is not run by the signal', () => {
    expect(witnessed(bare(add, remove, signal).facts)).toEqual([]);
  });
  test('S12: add_callback, then signal: the callback has run', () => {
    expect(witnessed(bare(add, signal).facts)).toEqual(['seen']);
  });
  test('S13: remove_callback after the callback ran says that it was gone', () => {
    expect(bare(add, signal, remove).ret).toBe('0');
  });
});

describe('status and error', () => {
  test('S14: the status of an unsignalled fence is 0', () => {
    expect(mock(dma_fence_get_status('f')).ret).toBe('0');
  });
  test('S15: the status after a signal is 1', () => {
    expect(mock(signal, dma_fence_get_status('f')).ret).toBe('1');
  });
  test('S16: an error set before the signal does not change the status yet', () => {
    expect(mock(dma_fence_set_error('f', '-EIO'), dma_fence_get_status('f')).ret).toBe('0');
  });
  test('S17: after the signal the status is exactly that error', () => {
    expect(mock(dma_fence_set_error('f', '-EIO'), signal, dma_fence_get_status('f')).ret).toBe('-EIO');
  });
});

describe('waiting', () => {
  test('S18: a wait with timeout 0 on an unsignalled fence returns 0', () => {
    expect(mock(dma_fence_wait_timeout('f', '0')).ret).toBe('0');
  });
  test('S19: the same on a signalled fence returns exactly 1', () => {
    expect(mock(signal, dma_fence_wait_timeout('f', '0')).ret).toBe('1');
  });
  test('S20: a wait of one jiffy on an unsignalled fence returns 0', () => {
    const at = stage({ ...F, threads: { task: must([dma_fence_init('f'), dma_fence_wait_timeout('f', 'HZ')]) } });
    const facts = at.plays('task', 'task/times out');
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'returned', ret: '0', to: 'nobody' }));
  });
  const until_the_timer = () =>
    stage({
      ...F,
      threads: {
        task: must([dma_fence_init('f', 'tick'), mod_timer('tick'), dma_fence_wait_timeout('f', 'HZ')]),
        tick: timer([signal]),
      },
    });
  test('S21: a wait on a fence that a timer signals first returns non-zero', () => {
    const at = until_the_timer();
    at.runs('task');
    at.runs('tick');
    expect(at.runs('task')).toContainEqual(expect.objectContaining({ kind: 'returned', ret: '1', to: 'nobody' }));
  });
  test('S22: signalling from timer context is legal', () => {
    const at = until_the_timer();
    at.runs('task');
    expect(misuses(at.runs('tick'))).toEqual([]);
  });
});

describe('stubs and endings', () => {
  const stubs = { objects: { fences: { f: {}, stub: dma_fence_stub } }, routines: F.routines };
  const many = (...lines: Block): Block => Array.from({ length: 64 }, () => [dma_fence_get_stub(), ...lines]);
  test('S23: each of 64 stubs polls signalled', () => {
    const { facts } = alone(many(dma_fence_is_signaled('stub'), if_ret('0', [witness('pending stub')])), stubs);
    expect(witnessed(facts)).toEqual([]);
    expect(alone([dma_fence_get_stub()], stubs).ret).toBe('stub');
  });
  test('S24: dropping all 64 references leaves the stub as it is', () => {
    const { ret, facts } = alone([many(dma_fence_put('stub')), dma_fence_is_signaled('stub')], stubs);
    expect(misuses(facts)).toEqual([]);
    expect(ret).toBe('1');
  });
  test('S25: signalling once more while cleaning up is harmless', () => {
    const { facts } = mock(add, signal, signal, dma_fence_put('f'));
    expect(misuses(facts)).toEqual([]);
    expect(witnessed(facts)).toEqual(['seen']);
  });
  test('S26: a fence may be dropped after its signal though nobody waited for it', () => {
    expect(misuses(mock(signal, dma_fence_put('f')).facts)).toEqual([]);
    expect(misuses(bare(add, dma_fence_put('f')).facts)).toEqual(['F-49']);
  });
});

/** Two threads, each with a fence of its own and a callback on the other's; `marks` say that a callback was seen. */
const race = (signalFirst: boolean, round: (me: '1' | '2', peer: '1' | '2') => Block = () => []) =>
  everywhere({
    objects: {
      fences: { f1: {}, f2: {}, seen1: { initialised: true }, seen2: { initialised: true } },
      fence_refs: { f1: {}, f2: {} },
    },
    routines: { callback: [dma_fence_signal('$mark')] },
    threads: Object.fromEntries(
      (['1', '2'] as const).map((me) => {
        const peer = me === '1' ? '2' : '1';
        const mark = dma_fence_signal(`seen${me}`);
        const adds: Block = [
          dma_fence_add_callback(`f${peer}`, 'callback', { mark: `seen${me}` }),
          if_ret('-ENOENT', [witness('peer was faster'), mark]),
        ];
        const signals = dma_fence_signal(`f${me}`);
        return [
          `thread${me}`,
          must([
            dma_fence_init(`f${me}`),
            label('again'),
            dma_fence_get_rcu(`f${peer}`),
            if_ret('0', [goto('again')]),
            signalFirst ? [signals, adds] : [adds, signals],
            dma_fence_wait(`f${peer}`),
            fence_lock_cycle(`f${peer}`),
            dma_fence_is_signaled(`seen${me}`),
            if_ret('0', [witness('a callback was lost')]),
            round(me, peer),
          ]),
        ];
      }),
    ),
  });
const finished = ({ ends }: ReturnType<typeof race>): boolean =>
  ends.every(({ threads }) => Object.values(threads).every(({ frames }) => frames.length === 0));

describe('two threads, all interleavings', () => {
  test('S27: own signal after adding: every callback that was added has been seen', () => {
    const { facts, states } = race(false);
    expect(facts).not.toContain('witness a callback was lost');
    expect(states).toBe(81);
  });
  test('S28: own signal before adding: the same', () => {
    expect(race(true).facts).not.toContain('witness a callback was lost');
  });
  test('S29: a peer that was faster counts as seen, and nobody hangs', () => {
    for (const signalFirst of [false, true]) {
      const all = race(signalFirst);
      expect(all.facts).toContain('witness peer was faster');
      expect(all.ends.length).toBeGreaterThan(0);
      expect(finished(all)).toBe(true);
    }
  });
  test('S30: the getter never returns a fence whose last reference is gone, though its memory is used again', () => {
    const drops = (me: '1' | '2', peer: '1' | '2'): Block => [
      dma_fence_put(`f${peer}`),
      dma_fence_put(`f${me}`),
      dma_fence_get_rcu(`f${peer}`),
      if_ret('1', [dma_fence_put(`f${peer}`)]),
    ];
    expect([...race(true, drops).facts].filter((fact) => fact.startsWith('misuse'))).toEqual([]);
    const once_too_often = (me: '1' | '2', peer: '1' | '2'): Block => [drops(me, peer), dma_fence_put(`f${me}`)];
    expect(race(true, once_too_often).facts).toContain('misuse F-48');
  });
  test('without the lock taken once more a callback may still be running when the wait returns', () => {
    const { facts } = everywhere({
      objects: { fences: { f: {}, seen: { initialised: true } } },
      routines: { callback: [dma_fence_signal('seen')] },
      threads: {
        owner: must([dma_fence_init('f'), dma_fence_add_callback('f', 'callback'), dma_fence_signal('f')]),
        task: must([
          label('again'),
          dma_fence_is_signaled('f'),
          if_ret('0', [goto('again')]),
          dma_fence_is_signaled('seen'),
          if_ret('0', [witness('flag before callback')]),
        ]),
      },
    });
    expect(facts).toContain('witness flag before callback');
  });
});
