import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  type Usage,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_for_each_fence,
  dma_resv_for_each_fence_unlocked,
  dma_resv_get_singleton,
  dma_resv_iter_end,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_set_deadline,
  dma_resv_unlock,
  fence_arrays,
  goto,
  label,
  resv as resvObject,
  witness,
} from './index.ts';
import { type Rows, AB, FENCES, STEP, add, init, shown } from '../resv-stage.ts';

describe('iteration', () => {
  const objects = { ...AB, fences: FENCES };
  const filled = (...fences: readonly (readonly [string, Usage])[]): Block => [
    ...init,
    dma_resv_lock('a'),
    fences.map(([fence, usage]) => add(fence, usage)),
    dma_resv_unlock('a'),
  ];
  const inside = (at: Stage, variable = 'it'): string | undefined =>
    at.kernel.threads['task']?.frames.at(-1)?.vars[variable];
  /** The fences that the loop of the task shows, played alone. */
  const walked = (before: Block, loop: Block): string[] => {
    const at = stage({ objects, threads: { task: must([before, loop]) } });
    const seen: string[] = [];
    for (let last = ''; at.open('task').kind === 'ready'; ) {
      at.plays('task');
      const now = inside(at, 'it.cursor') ?? '';
      if (now !== '' && now !== last) seen.push(inside(at) as string);
      last = now;
    }
    return seen;
  };
  test('R-26: under the lock every slot of the usage is seen, signalled ones too', () => {
    const before = [
      filled(['f', 'READ'], ['g', 'WRITE'], ['young', 'BOOKKEEP']),
      dma_fence_signal('f'),
      dma_resv_lock('a'),
    ];
    expect(walked(before, dma_resv_for_each_fence('a', 'READ', 'it', [STEP]))).toEqual(['f', 'g']);
  });
  test('R-26: without the lock it is a misuse', () => {
    const { facts } = alone([filled(), dma_resv_for_each_fence('a', 'READ', 'it', [STEP])], { objects });
    expect(misuses(facts)).toEqual(['R-26']);
  });
  test('R-27: without the lock only unsignalled ones are seen', () => {
    const before = [filled(['f', 'READ'], ['g', 'WRITE'], ['young', 'BOOKKEEP']), dma_fence_signal('f')];
    expect(walked(before, dma_resv_for_each_fence_unlocked('a', 'BOOKKEEP', 'it', [STEP]))).toEqual(['g', 'young']);
  });
  /** The task stands in the body of its loop, at f; the other holds the lock and has room reserved. */
  const halfway = (then: Block): Stage => {
    const at = stage({
      objects,
      threads: {
        task: must([filled(['f', 'READ']), dma_resv_for_each_fence_unlocked('a', 'BOOKKEEP', 'it', [STEP])]),
        other: may([dma_resv_lock('a'), dma_resv_reserve_fences('a', 2), STEP, then, STEP, dma_resv_unlock('a')]),
      },
    });
    at.plays(...Array<string>(9).fill('task'), 'other', 'other', 'other');
    at.plays('task'); // into the body
    return at;
  };
  test('R-28: a slot that is overwritten in place starts nothing again: the new fence was not seen', () => {
    const at = stage({
      objects,
      threads: {
        task: must([filled(['old', 'READ']), dma_resv_for_each_fence_unlocked('a', 'BOOKKEEP', 'it', [STEP])]),
        other: may([dma_resv_lock('a'), dma_resv_add_fence('a', 'young', 'READ'), dma_resv_unlock('a')]),
      },
    });
    at.plays(...Array<string>(10).fill('task'));
    expect(inside(at)).toBe('old');
    at.plays('other', 'other', 'task', 'task');
    expect([shown(at), inside(at)]).toEqual([['young READ'], undefined]);
  });
  test('R-29: a fence that is appended to the same list afterwards is missed', () => {
    const at = halfway([dma_resv_add_fence('a', 'g', 'READ')]);
    expect(inside(at)).toBe('f');
    at.plays('other', 'other', 'task', 'task');
    expect([shown(at), inside(at)]).toEqual([['f READ', 'g READ'], undefined]);
  });
  test('R-27: one that is appended to a new list is seen, and so is the first one again', () => {
    const at = halfway([dma_resv_reserve_fences('a', 5), dma_resv_add_fence('a', 'g', 'READ')]);
    at.plays('other', 'other', 'other', 'other', 'task', 'task');
    expect([inside(at), inside(at, 'it.restarted')]).toEqual(['f', 'true']);
    at.plays('task', 'task');
    expect([inside(at), inside(at, 'it.restarted')]).toEqual(['g', 'false']);
  });
  test('R-27, I-16: leaving a loop without dma_resv_iter_end leaves the iteration open', () => {
    const leaves = (end: Block): string[] => {
      const body = [
        filled(['f', 'READ']),
        dma_resv_for_each_fence_unlocked('a', 'READ', 'it', [end, goto('out')]),
        label('out'),
      ];
      return resvObject.leftovers?.(alone(body, { objects }).at.kernel) as string[];
    };
    expect(leaves([])).toEqual(['task has not ended its iteration over a']);
    expect(leaves([dma_resv_iter_end('a', 'it')])).toEqual([]);
  });
  test('R-34: one fence for all of them: none, the only one, or a new array', () => {
    const arrays = fence_arrays('all');
    const one = (...fences: readonly (readonly [string, Usage])[]): string =>
      alone([filled(...fences), dma_resv_get_singleton('a', 'READ')], {
        objects: { ...AB, fences: { ...FENCES, ...arrays['fences'] }, containers: arrays['containers'] as Rows },
      }).ret;
    expect([one(), one(['f', 'BOOKKEEP']), one(['f', 'READ']), one(['f', 'READ'], ['g', 'WRITE'])]).toEqual([
      'NULL',
      'NULL',
      'f',
      'all',
    ]);
  });
  test('F-55: a deadline reaches every unsignalled fence of the usage', () => {
    const hinted = alone(
      [filled(['f', 'READ'], ['g', 'BOOKKEEP'], ['old', 'WRITE']), dma_resv_set_deadline('a', 'READ', 'soon')],
      {
        objects: {
          ...AB,
          fences: Object.fromEntries(
            Object.entries(FENCES).map(([name, row]) => [name, { ...row, set_deadline: 'hint' }]),
          ),
        },
        routines: { hint: [witness('hinted')] },
      },
    );
    expect(witnessed(hinted.facts)).toEqual(['hinted', 'hinted']);
  });
});
