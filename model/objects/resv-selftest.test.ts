/**
 * What the kernel asserts of dma_resv itself (drivers/dma-buf/st-dma-resv.c), claim by claim, for each of the four usages.
 */
import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block } from '../machine.ts';
import { type Stage, alone, misuses, stage } from '../stage.ts';
import {
  USAGES,
  type Usage,
  dma_fence_init,
  dma_fence_put,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_for_each_fence,
  dma_resv_for_each_fence_unlocked,
  dma_resv_get_fences,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_unlock,
  work_a_while,
} from './index.ts';

const STEP = work_a_while('looks around');
const objects = { resvs: { resv: {} }, fences: { f: { context: '0', seqno: 0 } }, fence_refs: { f: {} } };
const rowOf = (at: Stage) => at.kernel.resvs['resv'] as Stage['kernel']['resvs'][string];
const varsOf = (at: Stage): Readonly<Record<string, string>> => at.kernel.threads['task']?.frames.at(-1)?.vars ?? {};
const referencesOf = (at: Stage): number | undefined => at.kernel.fence_refs['f']?.count;

/** The fence on the reservation, then these lines under its lock and those after it. */
const body = (usage: Usage, under: Block, after: Block): Block => [
  dma_fence_init('f', 'gpu'),
  dma_resv_lock('resv'),
  dma_resv_reserve_fences('resv'),
  dma_resv_add_fence('resv', 'f', usage),
  under,
  dma_resv_unlock('resv'),
  after,
];
const SETUP = 5;
/** Played up to the first of the lines; `other` may then make the list grow, which makes it another one. */
function begun(usage: Usage, lines: { readonly under?: Block; readonly after?: Block }): Stage {
  const grows = [dma_resv_lock('resv'), dma_resv_reserve_fences('resv'), dma_resv_unlock('resv')];
  const at = stage({
    objects,
    threads: {
      gpu: may([dma_fence_signal('f')]),
      task: must(body(usage, lines.under ?? [], lines.after ?? [])),
      other: may(grows),
    },
  });
  at.plays(...Array<string>(lines.under ? SETUP : SETUP + 1).fill('task'));
  return at;
}
test('S73: signalling a fence that has nothing to do with any reservation works, and so does dropping it', () => {
  const { facts, at } = alone([dma_fence_init('f'), dma_fence_signal('f'), dma_fence_put('f')], { objects });
  expect([misuses(facts), at.kernel.fences['f']?.signaled, referencesOf(at)]).toEqual([[], true, 0]);
});
test('S74: locking a fresh reservation without a ticket returns 0, and it unlocks', () => {
  const { ret, facts, at } = alone([dma_resv_lock('resv'), dma_resv_unlock('resv')], { objects });
  expect([ret, misuses(facts), rowOf(at).owner]).toEqual(['0', [], null]);
});
test('S75: reserving one slot on a locked fresh reservation returns 0', () => {
  const at = stage({
    objects,
    threads: { task: must([dma_resv_lock('resv'), dma_resv_reserve_fences('resv'), STEP]) },
  });
  at.plays('task', 'task', 'task');
  expect([at.ret('task'), rowOf(at).reserved]).toEqual(['0', 1]);
});

const asks = (usage: Usage): Block => [dma_resv_test_signaled('resv', usage), STEP];
describe('S76: after the fence was added, test_signaled says no', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = begun(usage, { under: asks(usage) });
    at.plays('task');
    expect(at.ret('task')).toBe('0');
  });
});
describe('S77: after the fence signalled, test_signaled says yes, the lock still held', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = begun(usage, { under: asks(usage) });
    at.plays('gpu', 'task');
    expect([at.ret('task'), rowOf(at).owner]).toEqual(['1', 'task']);
  });
});

const locked = (usage: Usage): Stage => begun(usage, { under: dma_resv_for_each_fence('resv', usage, 'it', [STEP]) });
describe('S78: an iteration under the lock yields the fence', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = locked(usage);
    at.plays('task');
    expect(varsOf(at)['it']).toBe('f');
  });
});
describe('S79: an iteration under the lock yields it exactly once', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = locked(usage);
    at.plays('task', 'task', 'task');
    expect(varsOf(at)['it']).toBeUndefined();
  });
});
describe('S80: an iteration under the lock says its usage', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = locked(usage);
    at.plays('task');
    expect(varsOf(at)['it.usage']).toBe(usage);
  });
});

const unlocked = (usage: Usage): Stage => {
  const at = begun(usage, { after: dma_resv_for_each_fence_unlocked('resv', usage, 'it', [STEP]) });
  at.plays('task');
  return at;
};
describe('S81: an iteration without the lock yields the fence, with its usage', () => {
  test.each(USAGES)('%s', (usage) => {
    const { it: fence, 'it.usage': said } = varsOf(unlocked(usage));
    expect([fence, said]).toEqual(['f', usage]);
  });
});
describe('S82: the first one of an iteration without the lock says that it (re)started', () => {
  test.each(USAGES)('%s', (usage) => {
    expect(varsOf(unlocked(usage))['it.restarted']).toBe('true');
  });
});
/** The loop body, then the next step: the list is the same, or was replaced meanwhile. */
const next = (usage: Usage, replaced: boolean): Stage => {
  const at = unlocked(usage);
  if (replaced) at.plays('other', 'other', 'other', 'other');
  at.plays('task', 'task');
  return at;
};
describe('S83: when the list was replaced meanwhile, the fence is yielded again, with the restart said', () => {
  test.each(USAGES)('%s', (usage) => {
    const { it: fence, 'it.restarted': restarted } = varsOf(next(usage, true));
    expect([fence, restarted, varsOf(next(usage, false))['it']]).toEqual(['f', 'true', undefined]);
  });
});
describe('S84: after that the iteration ends', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = next(usage, true);
    at.runs('task');
    expect([at.open('task').kind, rowOf(at).iterations]).toEqual(['finished', []]);
  });
});

const collected = (usage: Usage): Stage => {
  const at = begun(usage, { after: [dma_resv_get_fences('resv', usage, 'all'), dma_fence_put('$all'), STEP] });
  at.plays('task', 'task');
  return at;
};
describe('S85: get_fences returns exactly this one', () => {
  test.each(USAGES)('%s', (usage) => {
    const at = collected(usage);
    expect([at.ret('task'), varsOf(at)['all']]).toEqual(['0', 'f']);
  });
});
describe("S86: its references are the caller's to drop", () => {
  test.each(USAGES)('%s', (usage) => {
    const at = collected(usage);
    const before = referencesOf(at);
    at.plays('task');
    expect([before, referencesOf(at), misuses(at.runs('task'))]).toEqual([3, 2, []]);
  });
});
describe('S87: reserving one and adding one never trips the capacity check', () => {
  test.each(USAGES)('%s', (usage) => {
    const threads = { gpu: may([dma_fence_signal('f')]), task: must(body(usage, [], [])) };
    expect(misuses(stage({ objects, threads }).runs('task'))).toEqual([]);
  });
});
describe('S88: a fence with context 0 and seqno 0 is a fence like any other', () => {
  test.each(USAGES)('%s', (usage) => {
    expect(rowOf(begun(usage, { after: [STEP] })).fences).toEqual([{ fence: 'f', usage }]);
  });
});
