import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type Stage, alone, misuses, stage, witnessed } from '../stage.ts';
import {
  USAGES,
  type Usage,
  dma_fence_array_init,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_copy_fences,
  dma_resv_for_each_fence,
  dma_resv_for_each_fence_unlocked,
  dma_resv_get_singleton,
  dma_resv_iter_end,
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_set_deadline,
  dma_resv_test_signaled,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_interruptible,
  dma_resv_wait_timeout,
  fence_arrays,
  goto,
  grown,
  kmalloc,
  label,
  mutex_lock,
  mutex_unlock,
  resv as resvObject,
  witness,
  work_a_while,
} from './index.ts';

type Rows = Record<string, Record<string, unknown>>;
const AB = { resvs: { a: {}, b: {} } };
const STEP = work_a_while('looks around');
/** What every thread returned at its end. */
const rets = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'nobody' ? [fact.ret] : []));

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

const FENCES = { f: {}, g: {}, old: { context: 'ring', seqno: 1 }, young: { context: 'ring', seqno: 2 } };
const init = ['f', 'g', 'old', 'young'].map((each) => dma_fence_init(each));
const add = (fence: string, usage: Usage = 'WRITE'): Block => [
  dma_resv_reserve_fences('a'),
  dma_resv_add_fence('a', fence, usage),
];
const rowOf = (at: Stage, resv = 'a') => at.kernel.resvs[resv] as Stage['kernel']['resvs'][string];
const shown = (at: Stage, resv = 'a'): string[] =>
  rowOf(at, resv).fences.map(({ fence, usage }) => `${fence} ${usage}`);

describe('slots', () => {
  const objects = {
    ...AB,
    fences: { ...FENCES, ...fence_arrays('array').fences },
    containers: fence_arrays('array')['containers'] as Rows,
  };
  const locked = (...lines: Block) => alone([...init, dma_resv_lock('a'), lines, dma_resv_unlock('a')], { objects });
  const slots = (...lines: Block): string[] => shown(locked(...lines).at);

  test('R-12: reserve one, add one, no complaint', () => {
    expect(misuses(locked(add('f')).facts)).toEqual([]);
  });
  test('R-13: adding without a reserved slot is a misuse, and nothing is added', () => {
    const { facts, at } = locked(dma_resv_add_fence('a', 'f', 'WRITE'));
    expect([misuses(facts), shown(at)]).toEqual([['R-13'], []]);
  });
  const adds = [dma_resv_add_fence('a', 'f', 'WRITE'), dma_resv_add_fence('a', 'g', 'WRITE')];
  test('R-9: reservations count from now, not on top of each other: the second fence fits by luck', () => {
    expect(misuses(locked(dma_resv_reserve_fences('a'), dma_resv_reserve_fences('a'), adds).facts)).toEqual(['R-9']);
    expect(misuses(locked(dma_resv_reserve_fences('a', 2), adds).facts)).toEqual([]);
  });
  test('R-9: an overwritten slot costs no reservation', () => {
    const again = dma_resv_add_fence('a', 'f', 'WRITE');
    expect(misuses(locked(dma_resv_reserve_fences('a'), again, again).facts)).toEqual([]);
  });
  test('R-9, R-6: a reservation dies with the lock, and so does the spare room', () => {
    const body = [dma_resv_unlock('a'), dma_resv_lock('a'), dma_resv_add_fence('a', 'f', 'WRITE')];
    const { facts, at } = locked(dma_resv_reserve_fences('a'), body);
    expect([misuses(facts), rowOf(at).max]).toEqual([['R-13'], 0]);
  });
  test('I-8: adding takes the lock, and a reservation made under the same hold; anything else is a misuse', () => {
    const one = dma_resv_add_fence('a', 'f', 'WRITE');
    const reserve = dma_resv_reserve_fences('a');
    const rules = (...lines: Block): string[] => misuses(alone([...init, lines], { objects }).facts);
    const [lock, unlock] = [dma_resv_lock('a'), dma_resv_unlock('a')];
    expect(rules(lock, reserve, one, unlock)).toEqual([]);
    expect(rules(lock, reserve, unlock, one)).toEqual(['R-12', 'R-13']);
    expect(rules(lock, reserve, unlock, lock, one, unlock)).toEqual(['R-13']);
    expect(rules(lock, one, unlock)).toEqual(['R-13']);
  });
  test('R-9, R-12: reserving and adding need the lock', () => {
    expect(misuses(alone([init, dma_resv_reserve_fences('a')], { objects }).facts)).toEqual(['R-9']);
    expect(misuses(alone([init, dma_resv_add_fence('a', 'f', 'READ')], { objects }).facts)).toContain('R-12');
  });
  test('R-9: a reclaimer has no memory for it: -ENOMEM, and no room', () => {
    const body = [dma_resv_lock('a'), dma_resv_reserve_fences('a')];
    const scan = [body, work_a_while('looks'), dma_resv_unlock('a')];
    const at = stage({
      objects: { ...objects, shrinkers: { slab: { scan: 'scan' } } },
      routines: { scan },
      threads: { task: must(kmalloc('GFP_KERNEL')) },
    });
    at.plays('task/shrinks slab', 'task', 'task/fails');
    expect([at.ret('task'), rowOf(at).reserved, rowOf(at).max]).toEqual(['-ENOMEM', 0, 0]);
  });
  test('R-9: what fits already allocates nothing', () => {
    const twice = [dma_resv_reserve_fences('a', 2), dma_resv_reserve_fences('a', 2)];
    const allocations = locked(twice).facts.filter(({ kind }) => kind === 'allocates');
    expect(allocations).toHaveLength(1);
  });
  test('R-10: reserving nothing is refused; older kernels let it pass', () => {
    const { facts, at } = alone([dma_resv_lock('a'), dma_resv_reserve_fences('a', 0), STEP, dma_resv_unlock('a')], {
      objects,
    });
    expect([misuses(facts), rowOf(at).max]).toEqual([['R-10'], 0]);
    const version = { switches: { resv_reserve_zero: false } };
    const before = alone([dma_resv_lock('a'), dma_resv_reserve_fences('a', 0), dma_resv_unlock('a')], {
      objects: { ...objects, version },
    });
    expect(misuses(before.facts)).toEqual([]);
  });
  test('R-11: a new list has room for five, and one that grows for at least twice as many', () => {
    expect([grown(0, 0, 1), grown(0, 0, 5), grown(5, 5, 1), grown(1, 1, 1), grown(1, 1, 7)]).toEqual([5, 9, 13, 5, 9]);
  });
  test('R-11: a list that grows leaves behind what has signalled', () => {
    const signalled = [add('f'), add('g'), dma_fence_signal('f'), dma_resv_unlock('a'), dma_resv_lock('a')];
    expect(slots(signalled)).toEqual(['f WRITE', 'g WRITE']);
    expect(slots(signalled, dma_resv_reserve_fences('a'))).toEqual(['g WRITE']);
  });
  test('F-9, R-18: adding publishes the fence, before the lock is dropped', () => {
    const at = stage({
      objects,
      threads: { task: must([dma_fence_init('f'), dma_resv_lock('a'), add('f'), dma_resv_unlock('a')]) },
    });
    at.plays('task', 'task', 'task', 'task');
    expect(at.kernel.fences['f']?.published).toBe(false);
    at.plays('task');
    expect(at.kernel.fences['f']?.published).toBe(true);
    expect(at.kernel.resvs['a']?.owner).toBe('task');
  });
  test('R-12: a later fence of the same context takes the place of the older one', () => {
    expect(slots(add('old'), add('young'))).toEqual(['young WRITE']);
  });
  test('R-12: an older fence of the same context does not displace the later one', () => {
    expect(slots(add('young'), add('old'))).toEqual(['young WRITE', 'old WRITE']);
  });
  test('R-12: fences of different contexts stand side by side', () => {
    expect(slots(add('f'), add('g'))).toEqual(['f WRITE', 'g WRITE']);
  });
  test('R-12: the first slot whose fence has signalled is overwritten, whatever its context and usage', () => {
    expect(
      slots(dma_resv_reserve_fences('a', 3), adds, dma_fence_signal('f'), dma_resv_add_fence('a', 'old', 'READ')),
    ).toEqual(['old READ', 'g WRITE']);
  });
  test('R-16: one slot only: an older fence of the context in a later slot stays', () => {
    const three = [
      add('f', 'BOOKKEEP'),
      add('old', 'READ'),
      dma_fence_signal('f'),
      dma_resv_add_fence('a', 'young', 'WRITE'),
    ];
    expect(slots(three)).toEqual(['young WRITE', 'old READ']);
  });
  test('R-15: adding again with a stronger usage promotes', () => {
    expect(slots(add('f', 'BOOKKEEP'), add('f', 'WRITE'))).toEqual(['f WRITE']);
  });
  test('R-15: adding never demotes: the stronger entry stays', () => {
    expect(slots(add('f', 'WRITE'), add('f', 'BOOKKEEP'))).toEqual(['f WRITE', 'f BOOKKEEP']);
  });
  test('R-12: a later fence with a weaker usage does not displace the stronger one', () => {
    expect(slots(add('old', 'WRITE'), add('young', 'BOOKKEEP'))).toEqual(['old WRITE', 'young BOOKKEEP']);
  });
  test('R-17: the very same fence overwrites its slot; older kernels wanted a strictly later one', () => {
    expect(slots(add('f'), add('f'))).toEqual(['f WRITE']);
    const version = { switches: { resv_add_same_fence: false } };
    const { at } = alone([...init, dma_resv_lock('a'), add('f'), add('f'), dma_resv_unlock('a')], {
      objects: { ...objects, version },
    });
    expect(shown(at)).toEqual(['f WRITE', 'f WRITE']);
  });
  test('R-14, I-7: a container on a reservation is a misuse; its members are not', () => {
    const array = [dma_fence_array_init('array', ['f', 'g'])];
    expect(misuses(locked(array, add('array')).facts)).toEqual(['R-14']);
    expect(misuses(locked(array, add('f'), add('g')).facts)).toEqual([]);
  });
  test('R-19: replace gives every slot of the context to the new fence, with the usage as told', () => {
    const before = [add('old', 'WRITE'), add('young', 'BOOKKEEP'), add('g', 'READ')];
    expect(slots(before, dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'))).toEqual([
      'f BOOKKEEP',
      'f BOOKKEEP',
      'g READ',
    ]);
  });
  test('R-19: without a fence of that context nothing is replaced, and nothing is published', () => {
    const { at } = locked(add('g'), dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'));
    expect(shown(at)).toEqual(['g WRITE']);
    expect(at.kernel.fences['f']?.published).toBe(false);
  });
  test('R-19: replace needs the lock', () => {
    expect(misuses(alone([init, dma_resv_replace_fences('a', 'ring', 'f', 'READ')], { objects }).facts)).toEqual([
      'R-19',
    ]);
  });
  const copies = (from: Block, to: Block) =>
    alone(
      [
        ...init,
        dma_resv_lock('b'),
        from,
        dma_resv_unlock('b'),
        dma_resv_lock('a'),
        to,
        dma_resv_copy_fences('a', 'b'),
        dma_resv_unlock('a'),
      ],
      { objects },
    );
  const put = (resv: string, fence: string, usage: Usage): Block => [
    dma_resv_reserve_fences(resv),
    dma_resv_add_fence(resv, fence, usage),
  ];
  test('R-21: copy takes the unsignalled fences of every usage, and leaves the source as it is', () => {
    const { facts, at } = copies(
      [put('b', 'f', 'KERNEL'), put('b', 'g', 'WRITE'), put('b', 'young', 'BOOKKEEP'), dma_fence_signal('g')],
      [],
    );
    expect(shown(at)).toEqual(['f KERNEL', 'young BOOKKEEP']);
    expect(shown(at, 'b')).toEqual(['f KERNEL', 'g WRITE', 'young BOOKKEEP']);
    expect(misuses(facts)).toEqual([]);
  });
  test('R-21, I-6: what stood on the destination is gone: a misuse while it is pending', () => {
    expect(misuses(copies(put('b', 'f', 'READ'), put('a', 'g', 'READ')).facts)).toEqual(['R-21']);
    expect(misuses(copies(put('b', 'f', 'READ'), [put('a', 'g', 'READ'), dma_fence_signal('g')]).facts)).toEqual([]);
    expect(misuses(copies(put('b', 'g', 'READ'), put('a', 'g', 'READ')).facts)).toEqual([]);
  });
  test('R-21: copy needs the lock of the destination', () => {
    expect(misuses(alone([init, dma_resv_copy_fences('a', 'b')], { objects }).facts)).toEqual(['R-21']);
  });
});

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
