/** What the kernel's unwrap self-test asserts, one claim a test (drivers/dma-buf/st-dma-fence-unwrap.c; S55..S72), and arrays (A-1..A-13). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import { everywhere } from '../everywhere.ts';
import type { Block } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_array_create,
  dma_fence_array_init,
  dma_fence_begin_signalling,
  dma_fence_chain_init,
  dma_fence_enable_sw_signaling,
  dma_fence_end_signalling,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_match_context,
  dma_fence_put,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_stub,
  dma_fence_unwrap_for_each,
  dma_fence_unwrap_merge,
  dma_fence_wait,
  fence_arrays,
  fence_chain_nodes,
  if_ret,
  irq_work,
  set,
  together,
  witness,
} from './index.ts';

const objects = together(
  {
    fences: {
      f1: {},
      f2: {},
      A1: { context: 'A', seqno: 1 },
      A2: { context: 'A', seqno: 2 },
      B1: { context: 'B', seqno: 1 },
      B2: { context: 'B', seqno: 2 },
      stub: dma_fence_stub,
    },
  },
  fence_arrays('a', 'b', 'm', 'm2'),
  fence_chain_nodes('c1', 'c2'),
);
const mocks = (...names: readonly string[]): Block =>
  names.map((name) => [dma_fence_init(name), dma_fence_enable_sw_signaling(name)]);
const run = (...lines: Block): { ret: string; at: Stage; rules: string[] } => {
  const at = stage({ objects, threads: { task: must([lines]), irq_work: irq_work() } });
  const facts = [...at.runs('task'), ...at.runs('irq_work')];
  const end = facts.findLast((fact) => fact.kind === 'returned' && fact.to === 'nobody');
  return { ret: end?.kind === 'returned' ? end.ret : 'did not end', at, rules: misuses(facts) };
};
const array = (name: string, ...members: readonly string[]): Block => [dma_fence_array_create(name, members)];
const unwrap = (fence: string): Block => [dma_fence_unwrap_for_each(fence)];
const merge = (...fences: readonly string[]): Block => [dma_fence_unwrap_merge(...fences), set('merged', 'ret')];
/** The leaves of the merge of these. */
const merged = (given: Block, ...fences: readonly string[]): string[] =>
  run(given, merge(...fences), unwrap('$merged')).ret.split(' ');
const chain_of_two: Block = [dma_fence_chain_init('c1', 'NULL', 'f1', 1), dma_fence_chain_init('c2', 'c1', 'f2', 2)];

describe('unwrap', () => {
  test('S55: an array of one as the payload of a chain node: made and dropped without complaint', () => {
    const body = [mocks('f1'), array('a', 'f1'), dma_fence_chain_init('c1', 'NULL', 'a', 1)];
    const { rules } = run(body, dma_fence_signal('f1'), dma_fence_is_signaled('c1'), dma_fence_put('c1'));
    expect(rules).toEqual([]);
  });
  const both = run(mocks('f1', 'f2'), array('a', 'f1', 'f2'), unwrap('a')).ret.split(' ');
  test('S56: unwrapping an array of two visits those only', () => {
    expect(both.filter((each) => each !== 'f1' && each !== 'f2')).toEqual([]);
  });
  test('S57: and both', () => {
    expect(both.toSorted()).toEqual(['f1', 'f2']);
  });
  const linked = run(mocks('f1', 'f2'), dma_fence_chain_init('c1', 'f1', 'f2', 1), unwrap('c1')).ret.split(' ');
  test('S58: unwrapping a node whose predecessor is a plain fence visits the two only', () => {
    expect(linked.filter((each) => each !== 'f1' && each !== 'f2')).toEqual([]);
  });
  test('S59: and both', () => {
    expect(linked.toSorted()).toEqual(['f1', 'f2']);
  });
  const inside = run(
    mocks('f1', 'f2'),
    array('a', 'f1', 'f2'),
    dma_fence_chain_init('c1', 'NULL', 'a', 1),
    unwrap('c1'),
  ).ret.split(' ');
  test('S60: unwrapping a node whose payload is an array visits its members only', () => {
    expect(inside.filter((each) => each !== 'f1' && each !== 'f2')).toEqual([]);
  });
  test('S61: and both', () => {
    expect(inside.toSorted()).toEqual(['f1', 'f2']);
  });
});

describe('merge', () => {
  test('S62: two pending fences of different contexts merge', () => {
    expect(run(mocks('f1', 'f2'), merge('f1', 'f2')).ret).not.toBe('NULL');
    expect(run(mocks('f1', 'f2'), merge('f1', 'f2')).ret).not.toBe('stub');
  });
  test('S63: unwrapping the result visits the two and nothing else', () => {
    expect(merged(mocks('f1', 'f2'), 'f1', 'f2').toSorted()).toEqual(['f1', 'f2']);
  });
  test('S64: a fence merged with itself is that fence once', () => {
    expect(merged(mocks('f1'), 'f1', 'f1')).toEqual(['f1']);
  });
  const three = merged(mocks('B1', 'B2', 'A1'), 'B1', 'B2', 'A1');
  test('S65: of two fences of one context the newer one survives', () => {
    expect(three.toSorted()).toEqual(['A1', 'B2']);
  });
  test('S66: in the order of their contexts', () => {
    expect(three).toEqual(['A1', 'B2']);
  });
  test('S67: an array and a chain with the same leaves in opposite order: each leaf once, in order', () => {
    const given = [mocks('f1', 'f2'), array('a', 'f1', 'f2'), chain_of_two];
    expect(merged(given, 'a', 'c2')).toEqual(['f1', 'f2']);
  });
  const nested = [mocks('f1', 'f2'), array('a', 'f2', 'f1'), merge('f1', 'f2')];
  test('S68: a merge, an array and a stub merge; the stub is filtered out', () => {
    const ret = run(nested, dma_fence_unwrap_merge('$merged', 'a', 'stub')).ret;
    expect(ret).not.toBe('NULL');
    expect(run(nested, dma_fence_unwrap_merge('$merged', 'a', 'stub'), unwrap(ret)).ret).not.toContain('stub');
  });
  test('S69: and unwraps to exactly the two', () => {
    expect(merged(nested, '$merged', 'a', 'stub')).toEqual(['f1', 'f2']);
  });
  const crossed = merged([mocks('A1', 'A2', 'B1', 'B2'), array('a', 'A2', 'B1'), array('b', 'A1', 'B2')], 'a', 'b');
  test('S70: two arrays with an older and a newer fence each unwrap to the newer ones, in order', () => {
    expect(crossed.slice(0, 2)).toEqual(['A2', 'B2']);
  });
  test('S71: and to nothing else', () => {
    expect(crossed).toHaveLength(2);
  });
  test('S72: the inputs may be dropped after the result', () => {
    const { rules, ret } = run(
      mocks('f1', 'f2'),
      merge('f1', 'f2'),
      dma_fence_signal('f1'),
      dma_fence_signal('f2'),
      dma_fence_is_signaled('$merged'),
      dma_fence_put('$merged'),
      dma_fence_put('f1'),
      dma_fence_put('f2'),
    );
    expect(rules).toEqual([]);
    expect(ret).toBe('1');
  });
  test('U-4: nothing pending makes a stub, one pending makes no container', () => {
    expect(run(mocks('f1'), dma_fence_signal('f1'), merge('f1', 'f1')).ret).toBe('stub');
    expect(run(mocks('f1', 'f2'), dma_fence_signal('f1'), merge('f1', 'f2')).ret).toBe('f2');
  });
  test('U-7: without an array to be had the merge fails', () => {
    const taken = ['a', 'b', 'm', 'm2'].map((name) => array(name, 'f1'));
    expect(run(mocks('f1', 'f2'), taken, merge('f1', 'f2')).ret).toBe('NULL');
  });
  test('U-8: a merge of two allocates, so it has no place in a signalling section; a merge of one does not', () => {
    const section = (...lines: Block) =>
      alone([mocks('f1', 'f2'), dma_fence_begin_signalling(), lines, dma_fence_end_signalling()], { objects }).facts;
    const direct = (facts: ReturnType<typeof section>) =>
      facts.filter((fact) => fact.kind === 'allocates' && fact.signalling && fact.direct);
    expect(direct(section(merge('f1', 'f2')))).toHaveLength(1);
    expect(direct(section(merge('f1', 'f1', 'stub')))).toHaveLength(1);
    expect(direct(section(merge('f1', 'stub')))).toHaveLength(0);
  });
  test('U-9: the error of an input that is over is lost', () => {
    const given = [mocks('f1', 'f2'), dma_fence_set_error('f1', '-EIO'), dma_fence_signal('f1'), merge('f1', 'f2')];
    expect(run(given, dma_fence_signal('f2'), dma_fence_get_status('$merged')).ret).toBe('1');
  });
});

describe('arrays', () => {
  const made = (mode: 'all' | 'any', ...lines: Block) =>
    run(mocks('f1', 'f2'), dma_fence_array_create('a', ['f1', 'f2'], mode), lines);
  const polls = dma_fence_is_signaled('a');
  test('A-9, A-10: all of them, or any of them', () => {
    expect(made('all', dma_fence_signal('f2'), polls).ret).toBe('0');
    expect(made('all', dma_fence_signal('f2'), dma_fence_signal('f1'), polls).ret).toBe('1');
    expect(made('any', dma_fence_signal('f2'), polls).ret).toBe('1');
    expect(made('any', polls).ret).toBe('0');
  });
  test('A-5: asking an array whose members are over signals it on the spot', () => {
    const over = [dma_fence_signal('f1'), dma_fence_signal('f2'), dma_fence_enable_sw_signaling('a')];
    expect(made('all', over).at.kernel.fences['a']?.signaled).toBe(true);
    expect(
      made('any', dma_fence_signal('f1'), dma_fence_enable_sw_signaling('a')).at.kernel.fences['a']?.signaled,
    ).toBe(true);
  });
  test('K-2: the members have signalled and the array has not, not even when it is polled, until irq_work ran', () => {
    const at = stage({
      objects,
      threads: {
        task: must([
          mocks('f1'),
          dma_fence_array_create('a', ['f1']),
          dma_fence_enable_sw_signaling('a'),
          dma_fence_signal('f1'),
        ]),
        irq_work: irq_work(),
        poller: must([polls, if_ret('0', [witness('window')])]),
      },
    });
    while (!at.kernel.fences['f1']?.signaled) at.plays('task');
    expect(witnessed(at.runs('poller'))).toEqual(['window']);
    at.runs('task');
    expect(at.kernel.fences['a']?.signaled).toBe(false);
    at.runs('irq_work');
    expect(at.kernel.fences['a']?.signaled).toBe(true);
  });
  test('A-8: the first error that callbacks see wins', () => {
    const errors = (...order: readonly string[]) =>
      run(
        mocks('f1', 'f2'),
        array('a', 'f1', 'f2'),
        dma_fence_enable_sw_signaling('a'),
        dma_fence_set_error('f1', '-EIO'),
        dma_fence_set_error('f2', '-ETIME'),
        order.map((each) => dma_fence_signal(each)),
      ).at.kernel.fences['a']?.error;
    expect(errors('f1', 'f2')).toBe('-EIO');
    expect(errors('f2', 'f1')).toBe('-ETIME');
  });
  test('A-9: an array that was only polled says success', () => {
    const polled = [dma_fence_set_error('f1', '-EIO'), dma_fence_signal('f1'), dma_fence_signal('f2'), polls];
    expect(made('all', polled, dma_fence_get_status('a')).ret).toBe('1');
  });
  test('A-3, K-3: an array of nothing, or with a container in it, is a misuse', () => {
    expect(run(dma_fence_array_init('a', [])).rules).toEqual(['A-3']);
    expect(run(mocks('f1'), array('a', 'f1'), array('b', 'a')).rules).toEqual(['K-3']);
    expect(run(mocks('f1'), array('a', 'f1')).rules).toEqual([]);
  });
  test('A-13: every member of one context, or not', () => {
    const given = [mocks('A1', 'A2', 'B1'), array('a', 'A1', 'A2'), array('b', 'A1', 'B1')];
    expect(run(given, dma_fence_match_context('a', 'A')).ret).toBe('1');
    expect(run(given, dma_fence_match_context('b', 'A')).ret).toBe('0');
    expect(run(given, dma_fence_match_context('A1', 'A')).ret).toBe('1');
  });
  test('A-10: a wait for any names all debtors, of whom one is enough; for all it names those that are missing', () => {
    const waiting = (mode: 'all' | 'any') => {
      const at = stage({
        objects: together(objects, {
          fences: { f1: { initialised: true, promisedBy: 'x' }, f2: { initialised: true, promisedBy: 'y' } },
        }),
        threads: {
          task: must([dma_fence_array_create('a', ['f1', 'f2'], mode), dma_fence_wait('a')]),
          x: must([dma_fence_signal('f1')]),
          y: must([dma_fence_signal('f2')]),
          irq_work: irq_work(),
        },
      });
      at.runs('task');
      const open = at.open('task');
      return open.kind === 'blocked' ? { owedBy: open.wait.owedBy, any: open.wait.any } : open.kind;
    };
    expect(waiting('any')).toEqual({ owedBy: ['x', 'y'], any: true });
    expect(waiting('all')).toEqual({ owedBy: ['x', 'y'], any: undefined });
  });
  test('all interleavings: two signallers, a waiter and a poller: the callback runs once, everybody ends', () => {
    for (const mode of ['all', 'any'] as const) {
      const given = { initialised: true, promisedBy: 'x' };
      const { ends, facts } = everywhere({
        objects: together(objects, { fences: { f1: given, f2: given, seen: { initialised: true } } }),
        routines: {
          callback: [dma_fence_is_signaled('seen'), if_ret('1', [witness('twice')]), dma_fence_signal('seen')],
        },
        threads: {
          task: must([
            dma_fence_array_create('a', ['f1', 'f2'], mode),
            dma_fence_add_callback('a', 'callback'),
            if_ret('-ENOENT', [dma_fence_signal('seen')]),
            dma_fence_wait('a'),
          ]),
          x: must([dma_fence_signal('f1'), dma_fence_is_signaled('a')]),
          y: must([dma_fence_signal('f2')]),
          irq_work: irq_work(),
        },
      });
      expect(facts).not.toContain('witness twice');
      expect(ends.length).toBeGreaterThan(0);
      expect(ends.filter(({ fences }) => !fences['seen']?.signaled || !fences['a']?.signaled)).toHaveLength(0);
    }
  });
});
