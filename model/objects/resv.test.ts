import { describe, expect, test } from 'vitest';
import { may, must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { type Stage, alone, misuses, stage } from '../stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_lock_slow,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_trylock,
  dma_resv_unlock,
  dma_resv_wait,
  dma_resv_wait_timeout,
  mutex_lock,
  mutex_unlock,
  work_a_while,
  ww_acquire_fini,
  ww_acquire_init,
  ww_mutex_lock,
} from './index.ts';

const AB = { resvs: { a: {}, b: {} } };
const STEP = work_a_while('looks around');
/** What every thread returned at its end. */
const rets = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'nobody' ? [fact.ret] : []));

describe('ww_mutex, wait-die', () => {
  /** `older` began its transaction first; then each locks as told. */
  const two = (older: Block, younger: Block): Stage => {
    const at = stage({
      objects: AB,
      threads: { older: must([ww_acquire_init(), older]), younger: must([ww_acquire_init(), younger]) },
    });
    at.plays('older', 'younger');
    return at;
  };

  test('W-10: locking again with the same ticket returns -EALREADY and changes nothing', () => {
    const { ret, at } = alone([ww_acquire_init(), ww_mutex_lock('a'), ww_mutex_lock('a')], { objects: AB });
    expect(ret).toBe('-EALREADY');
    expect(at.kernel.resvs['a']?.owner).toBe('task');
    expect(at.kernel.threads['task']?.held.filter(({ object }) => object === 'a')).toHaveLength(1);
  });
  test('W-10: locked without the ticket, it is not "already" locked: the task waits for itself', () => {
    expect(alone([ww_acquire_init(), dma_resv_trylock('a'), ww_mutex_lock('a')], { objects: AB }).ret).toBe(
      'still waits: task holds the reservation of a',
    );
  });
  test('W-16, W-20: the older transaction waits for the younger one', () => {
    const at = two([ww_mutex_lock('a'), ww_mutex_lock('b')], [ww_mutex_lock('b')]);
    at.plays('older', 'younger');
    expect(at.because('older')).toBe('younger holds the reservation of b');
  });
  test('W-16, W-20: the younger one that holds something gets -EDEADLK', () => {
    const at = two([ww_mutex_lock('a')], [ww_mutex_lock('b'), ww_mutex_lock('a'), STEP]);
    at.plays('older', 'younger', 'younger');
    expect(at.ret('younger')).toBe('-EDEADLK');
    expect(at.kernel.resvs['a']?.owner).toBe('older');
  });
  test('W-19: the younger one that holds nothing waits', () => {
    const at = two([ww_mutex_lock('a')], [ww_mutex_lock('a')]);
    at.plays('older');
    expect(at.because('younger')).toBe('older holds the reservation of a');
  });
  test('W-16: who waits holding something dies when an older owner comes in between', () => {
    const at = stage({
      objects: AB,
      threads: {
        older: must([ww_acquire_init(), ww_mutex_lock('a')]),
        younger: must([ww_acquire_init(), ww_mutex_lock('b'), ww_mutex_lock('a'), STEP]),
        youngest: must([ww_acquire_init(), ww_mutex_lock('a'), dma_resv_unlock('a')]),
      },
    });
    at.plays('older', 'younger', 'youngest', 'younger', 'youngest');
    expect(at.because('younger')).toBe('youngest holds the reservation of a');
    at.plays('youngest', 'older', 'younger');
    expect(at.ret('younger')).toBe('-EDEADLK');
  });
  test('W-19: nobody dies for an owner without a ticket', () => {
    const at = stage({
      objects: AB,
      threads: {
        plain: must([dma_resv_lock('a')]),
        ticketed: must([ww_acquire_init(), ww_mutex_lock('b'), ww_mutex_lock('a')]),
      },
    });
    at.plays('plain', 'ticketed', 'ticketed');
    expect(at.because('ticketed')).toBe('plain holds the reservation of a');
  });
  test('W-7: a transaction keeps its age over its retries; only a new one is younger', () => {
    const retry = [ww_mutex_lock('a'), dma_resv_unlock('a'), ww_mutex_lock('a'), ww_mutex_lock('b')];
    const at = two(retry, [ww_mutex_lock('b')]);
    at.plays('older', 'older', 'older', 'younger');
    expect(at.because('older')).toBe('younger holds the reservation of b');
    const renewed = [ww_mutex_lock('a'), dma_resv_unlock('a'), ww_acquire_fini(), ww_acquire_init()];
    const anew = two([renewed, ww_mutex_lock('a'), ww_mutex_lock('b'), STEP], [ww_mutex_lock('b')]);
    anew.plays('older', 'older', 'older', 'older', 'older', 'younger', 'older');
    expect(anew.ret('older')).toBe('-EDEADLK');
  });
  test('W-24: after -EDEADLK the slow path waits holding nothing, and then has the lock', () => {
    const at = two(
      [ww_mutex_lock('a'), dma_resv_unlock('a')],
      [ww_mutex_lock('b'), ww_mutex_lock('a'), dma_resv_unlock('b'), dma_resv_lock_slow('a'), STEP],
    );
    const facts = at.plays('older', 'younger', 'younger', 'younger');
    expect(at.because('younger')).toBe('older holds the reservation of a');
    facts.push(...at.plays('older', 'younger'));
    expect(at.kernel.resvs['a']).toMatchObject({ owner: 'younger', ticketed: true });
    expect(misuses(facts)).toEqual(['I-16']); // only `older`, which ends with its ticket
  });
  test('W-24: the slow path while still holding another reservation is a misuse', () => {
    const at = two([ww_mutex_lock('a'), dma_resv_unlock('a')], [ww_mutex_lock('b'), dma_resv_lock_slow('a'), STEP]);
    expect(misuses(at.plays('younger', 'younger'))).toEqual(['W-24']);
  });
  test('W-22: a trylock never waits and never dies: it is busy', () => {
    const at = two([ww_mutex_lock('a')], [ww_mutex_lock('b'), dma_resv_trylock('a'), STEP]);
    at.plays('older', 'younger', 'younger');
    expect(at.ret('younger')).toBe('0');
    const free = two([], [ww_mutex_lock('b'), dma_resv_trylock('a'), STEP]);
    free.plays('younger', 'younger');
    expect(free.ret('younger')).toBe('1');
  });
  test('W-6: a second transaction inside the first is a misuse; one after the other is not', () => {
    expect(misuses(alone([ww_acquire_init(), ww_acquire_init(), ww_acquire_fini(), ww_acquire_fini()]).facts)).toEqual([
      'W-6',
    ]);
    expect(misuses(alone([ww_acquire_init(), ww_acquire_fini(), ww_acquire_init(), ww_acquire_fini()]).facts)).toEqual(
      [],
    );
  });
  test('W-6: locking with a ticket that was never taken is a misuse', () => {
    expect(misuses(alone([ww_mutex_lock('a'), dma_resv_unlock('a')], { objects: AB }).facts)).toEqual(['W-6']);
  });
  test('W-8: ending the transaction before everything is unlocked is a misuse', () => {
    const early = [ww_acquire_init(), ww_mutex_lock('a'), ww_acquire_fini(), dma_resv_unlock('a')];
    const late = [ww_acquire_init(), ww_mutex_lock('a'), dma_resv_unlock('a'), ww_acquire_fini()];
    expect(misuses(alone(early, { objects: AB }).facts)).toEqual(['W-8']);
    expect(misuses(alone(late, { objects: AB }).facts)).toEqual([]);
  });
});

describe('the lock without a ticket', () => {
  test('S74: locking a fresh reservation returns 0, and it unlocks', () => {
    const { ret, facts, at } = alone([dma_resv_lock('a'), dma_resv_unlock('a')], { objects: AB });
    expect([ret, misuses(facts), at.kernel.resvs['a']?.owner]).toEqual(['0', [], null]);
  });
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
    expect(misuses(at.runs('irq'))).toEqual(['CTX-A']);
  });
});

describe('slots', () => {
  const objects = {
    ...AB,
    fences: { f: {}, g: {}, old: { context: 'ring', seqno: 1 }, young: { context: 'ring', seqno: 2 } },
  };
  const init = ['f', 'g', 'old', 'young'].map((each) => dma_fence_init(each));
  const locked = (...lines: Block) => alone([...init, dma_resv_lock('a'), lines, dma_resv_unlock('a')], { objects });
  const slots = (...lines: Block): string[] =>
    (locked(...lines).at.kernel.resvs['a']?.fences ?? []).map(({ fence, usage }) => `${fence} ${usage}`);
  const add = (fence: string, usage: 'KERNEL' | 'WRITE' | 'READ' | 'BOOKKEEP' = 'WRITE'): Block => [
    dma_resv_reserve_fences('a'),
    dma_resv_add_fence('a', fence, usage),
  ];

  test('S87, R-12: reserve one, add one, no complaint', () => {
    expect(misuses(locked(add('f')).facts)).toEqual([]);
  });
  test('R-13: adding without a reserved slot is a misuse', () => {
    expect(misuses(locked(dma_resv_add_fence('a', 'f', 'WRITE')).facts)).toEqual(['R-13']);
  });
  test('R-9: reservations count from now, not on top of each other', () => {
    const adds = [dma_resv_add_fence('a', 'f', 'WRITE'), dma_resv_add_fence('a', 'g', 'WRITE')];
    expect(misuses(locked(dma_resv_reserve_fences('a'), dma_resv_reserve_fences('a'), adds).facts)).toEqual(['R-13']);
    expect(misuses(locked(dma_resv_reserve_fences('a', 2), adds).facts)).toEqual([]);
  });
  test('R-9, R-6: a reservation dies with the lock', () => {
    const body = [dma_resv_unlock('a'), dma_resv_lock('a'), dma_resv_add_fence('a', 'f', 'WRITE')];
    expect(misuses(locked(dma_resv_reserve_fences('a'), body).facts)).toEqual(['R-13']);
  });
  test('R-9, R-12: reserving and adding need the lock', () => {
    expect(misuses(alone([init, dma_resv_reserve_fences('a')], { objects }).facts)).toEqual(['R-9']);
    expect(misuses(alone([init, dma_resv_add_fence('a', 'f', 'READ')], { objects }).facts)).toContain('R-12');
  });
  test('F-9: adding publishes the fence, before the lock is dropped', () => {
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
    expect(slots(add('young'), add('old'))).toEqual(['old WRITE', 'young WRITE']);
  });
  test('R-12: fences of different contexts stand side by side', () => {
    expect(slots(add('f'), add('g'))).toEqual(['f WRITE', 'g WRITE']);
  });
  test('R-12: a signalled fence makes room', () => {
    expect(slots(add('f'), dma_fence_signal('f'), add('g'))).toEqual(['g WRITE']);
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
  test('R-19: replace takes every fence of the context away, whatever its usage, and puts the new one as told', () => {
    expect(
      slots(
        add('old', 'WRITE'),
        add('young', 'BOOKKEEP'),
        add('g', 'READ'),
        dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'),
      ),
    ).toEqual(['g READ', 'f BOOKKEEP']);
  });
  test('R-19: without a fence of that context nothing is replaced, and nothing is published', () => {
    const { at } = locked(add('g'), dma_resv_replace_fences('a', 'ring', 'f', 'BOOKKEEP'));
    expect(at.kernel.resvs['a']?.fences).toEqual([{ fence: 'g', usage: 'WRITE' }]);
    expect(at.kernel.fences['f']?.published).toBe(false);
  });
  test('R-19: replace needs the lock', () => {
    expect(misuses(alone([init, dma_resv_replace_fences('a', 'ring', 'f', 'READ')], { objects }).facts)).toEqual([
      'R-19',
    ]);
  });
});

describe('queries', () => {
  const USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
  const objects = { ...AB, fences: { f: {} } };
  const with_f = (usage: (typeof USAGES)[number], ...lines: Block): Block => [
    dma_fence_init('f', 'gpu'),
    dma_resv_lock('a'),
    dma_resv_reserve_fences('a'),
    dma_resv_add_fence('a', 'f', usage),
    lines,
    dma_resv_unlock('a'),
  ];
  for (const usage of USAGES)
    test(`S76, S77, R-30: ${usage}: busy after the add, idle after the signal, the lock still held`, () => {
      const asks = [dma_resv_test_signaled('a', usage), STEP];
      const at = stage({
        objects,
        threads: { gpu: may([dma_fence_signal('f')]), task: must(with_f(usage, asks, asks)) },
      });
      at.plays(...Array<string>(6).fill('task'));
      expect(at.ret('task')).toBe('0');
      at.plays('task', 'gpu', 'task');
      expect(at.ret('task')).toBe('1');
      expect(at.kernel.resvs['a']?.owner).toBe('task');
    });
  test('9.8: a query sees its own usage and all stronger ones, and no weaker one', () => {
    const sees = USAGES.map((asked) =>
      USAGES.filter((put) => {
        const { facts } = alone(
          [
            dma_fence_init('f'),
            dma_resv_lock('a'),
            dma_resv_reserve_fences('a'),
            dma_resv_add_fence('a', 'f', put),
            dma_resv_test_signaled('a', asked),
          ],
          { objects },
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
  const waiter = (wait: Block): Stage => {
    const at = stage({
      objects,
      threads: { gpu: may([dma_fence_signal('f')]), task: must(with_f('READ')), other: must(wait) },
    });
    at.runs('task');
    return at;
  };
  test('R-31: a wait for its usage waits for whoever owes the fence; for a stronger usage it does not', () => {
    expect(waiter([dma_resv_wait('a', 'BOOKKEEP')]).because('other')).toBe('gpu has yet to signal f');
    expect(waiter([dma_resv_wait('a', 'WRITE')]).open('other').kind).toBe('ready');
  });
  test('R-31: holding the lock while waiting is allowed', () => {
    const at = waiter([dma_resv_lock('a'), dma_resv_wait('a', 'READ'), dma_resv_unlock('a')]);
    at.plays('other', 'gpu');
    expect(misuses(at.runs('other'))).toEqual([]);
  });
  test('R-31: a bounded wait gives up with -EBUSY, and the fence is still there', () => {
    const at = waiter([dma_resv_wait_timeout('a', 'READ'), STEP]);
    at.plays('other/times out');
    expect(at.ret('other')).toBe('-EBUSY');
    expect(at.because('gpu')).toBeUndefined();
    expect(at.kernel.resvs['a']?.fences).toHaveLength(1);
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
