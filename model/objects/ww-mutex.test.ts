import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact, Instruction } from '../machine.ts';
import { type Stage, alone, misuses, stage } from '../stage.ts';
import {
  type Context,
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_lock_slow,
  dma_resv_trylock,
  dma_resv_unlock,
  work_a_while,
  ww_acquire_done,
  ww_acquire_fini,
  ww_acquire_init,
  ww_mutex_lock,
  ww_mutex_lock_interruptible,
  ww_mutex_lock_slow,
  ww_mutex_trylock,
  ww_mutex_unlock,
} from './index.ts';

const STEP = work_a_while('looks around');
/** A class of locks, with its ways to lock: the reservations, or one of our own of either algorithm. */
interface Locks {
  readonly objects: Record<string, Record<string, Record<string, unknown>>>;
  readonly init: Instruction;
  readonly fini: Instruction;
  readonly done: Instruction;
  lock(which: string, ctx?: Context): Instruction;
  interruptible(which: string): Instruction;
  slow(which: string): Instruction;
  trylock(which: string, ctx?: Context): Instruction;
  unlock(which: string): Instruction;
}
const reservations: Locks = {
  objects: { resvs: { a: {}, b: {} } },
  init: ww_acquire_init(),
  fini: ww_acquire_fini(),
  done: ww_acquire_done(),
  lock: (which, ctx = 'ticket') => dma_resv_lock(which, ctx),
  interruptible: (which) => dma_resv_lock_interruptible(which, 'ticket'),
  slow: dma_resv_lock_slow,
  trylock: (which) => dma_resv_trylock(which),
  unlock: dma_resv_unlock,
};
const ofClass = (algorithm: 'wait-die' | 'wound-wait'): Locks => ({
  objects: { ww_classes: { ww: { algorithm } }, ww_mutexes: { a: { class: 'ww' }, b: { class: 'ww' } } },
  init: ww_acquire_init('ww'),
  fini: ww_acquire_fini('ww'),
  done: ww_acquire_done('ww'),
  lock: (which, ctx = 'ticket') => ww_mutex_lock(which, ctx),
  interruptible: (which) => ww_mutex_lock_interruptible(which, 'ticket'),
  slow: ww_mutex_lock_slow,
  trylock: (which, ctx = 'NULL') => ww_mutex_trylock(which, ctx),
  unlock: ww_mutex_unlock,
});
const EVERY: Readonly<Record<string, Locks>> = {
  reservations,
  'a wait-die class': ofClass('wait-die'),
  'a wound-wait class': ofClass('wound-wait'),
};
const WAIT_DIE = Object.entries(EVERY).filter(([name]) => name !== 'a wound-wait class');
const WOUND_WAIT = ofClass('wound-wait');

/** Transactions that began in this order, each about to do as told. */
function transactions({ objects, init }: Locks, bodies: Readonly<Record<string, Block>>): Stage {
  const threads = Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, must([init, body])]));
  const at = stage({ objects, threads });
  at.plays(...Object.keys(bodies));
  return at;
}
const rowOf = (at: Stage, lock: string) => at.kernel.resvs[lock] ?? at.kernel.ww_mutexes[lock];
const queueOf = (at: Stage, lock: string): string[] => (rowOf(at, lock)?.waiters ?? []).map(({ by }) => by);
const ownerOf = (at: Stage, lock: string): string | null | undefined => rowOf(at, lock)?.owner;
const ticketsOf = (at: Stage) => Object.values(at.kernel.ww_classes).flatMap(({ tickets }) => tickets);
/** What every thread returned at its end. */
const rets = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'nobody' ? [fact.ret] : []));

for (const [name, locks] of Object.entries(EVERY)) {
  const { objects, init, fini, done, lock, slow, trylock, unlock } = locks;
  describe(`any class: ${name}`, () => {
    test('W-11: a free lock is taken at once, and its owner has one lock more', () => {
      const { ret, facts, at } = alone([init, lock('a'), unlock('a'), fini], { objects });
      expect([rets(facts), misuses(facts), ownerOf(at, 'a'), ticketsOf(at)]).toEqual([[ret], [], null, []]);
    });
    test('W-10, W-27: locking again with the same ticket returns -EALREADY and changes nothing', () => {
      const { ret, at } = alone([init, lock('a'), lock('a')], { objects });
      expect([ret, ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['-EALREADY', 'task', []]);
      expect(at.kernel.threads['task']?.held.filter(({ object }) => object === 'a')).toHaveLength(1);
    });
    test('W-10: locked without the ticket, it is not "already" locked: the task waits for itself', () => {
      expect(alone([init, trylock('a'), lock('a')], { objects }).ret).toMatch(/still waits: task holds/);
    });
    test('W-16, W-20: the older transaction waits for the younger one; W-13: it stands in the queue', () => {
      const at = transactions(locks, { older: [lock('a'), lock('b')], younger: [lock('b'), STEP] });
      at.plays('older', 'younger', 'older');
      expect(at.because('older')).toMatch(/younger holds/);
      expect(queueOf(at, 'b')).toEqual(['older']);
    });
    test('W-19: the younger one that holds nothing waits', () => {
      const at = transactions(locks, { older: [lock('a'), STEP], younger: [lock('a')] });
      at.plays('older', 'younger');
      expect(at.because('younger')).toMatch(/older holds/);
    });
    test('W-13: the queue is sorted by age, whoever came first', () => {
      const bodies = { first: [lock('a'), STEP], second: [lock('a')], third: [lock('a')], fourth: [lock('a')] };
      const at = transactions(locks, bodies);
      at.plays('first', 'fourth', 'second', 'third');
      expect(queueOf(at, 'a')).toEqual(['second', 'third', 'fourth']);
    });
    test('W-21: unlock wakes the first of the queue; W-12: who has no ticket may be faster', () => {
      const bodies = { first: [lock('a'), unlock('a')], second: [lock('a'), STEP], third: [lock('a'), STEP] };
      const at = transactions(locks, bodies);
      at.plays('first', 'third', 'second', 'first');
      expect(at.because('third')).toMatch(/second is before it in the queue/);
      at.plays('second');
      expect([ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['second', ['third']]);
    });
    test('W-12, W-19: nobody dies for an owner without a ticket', () => {
      const threads = { plain: must([lock('a', 'NULL'), STEP]), ticketed: must([init, lock('b'), lock('a')]) };
      const at = stage({ objects, threads });
      at.plays('plain', 'ticketed', 'ticketed', 'ticketed');
      expect(at.because('ticketed')).toMatch(/plain holds/);
    });
    test('W-16: a signal ends the interruptible wait with -EINTR, out of the queue', () => {
      const at = transactions(locks, { first: [lock('a'), STEP], second: [locks.interruptible('a'), STEP] });
      at.plays('first', 'second', 'second/interrupted');
      expect([at.ret('second'), ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['-EINTR', 'first', []]);
    });
    test('W-22: a trylock never waits and never dies: it is busy', () => {
      const at = transactions(locks, { older: [lock('a'), STEP], younger: [lock('b'), trylock('a'), STEP] });
      at.plays('older', 'younger', 'younger');
      expect(at.ret('younger')).toBe('0');
      const free = transactions(locks, { older: [STEP], younger: [lock('b'), trylock('a'), STEP] });
      free.plays('younger', 'younger');
      expect([free.ret('younger'), ownerOf(free, 'a')]).toEqual(['1', 'younger']);
    });
    test('W-6: a second transaction of the class inside the first is a misuse; one after the other is not', () => {
      expect(misuses(alone([init, init, fini, fini], { objects }).facts)).toEqual(['W-6']);
      expect(misuses(alone([init, fini, init, fini], { objects }).facts)).toEqual([]);
    });
    test('W-6: locking with a ticket that was never taken is a misuse', () => {
      expect(misuses(alone([lock('a'), unlock('a')], { objects }).facts)).toEqual(['W-6']);
    });
    test('W-8: ending the transaction before everything is unlocked is a misuse', () => {
      expect(misuses(alone([init, lock('a'), fini, unlock('a')], { objects }).facts)).toEqual(['W-8']);
      expect(misuses(alone([init, lock('a'), unlock('a'), fini], { objects }).facts)).toEqual([]);
    });
    test('W-8: no lock after ww_acquire_done, and no second one', () => {
      expect(misuses(alone([init, done, lock('a'), unlock('a'), fini], { objects }).facts)).toEqual(['W-8']);
      expect(misuses(alone([init, done, done, fini], { objects }).facts)).toEqual(['W-8']);
      expect(misuses(alone([init, lock('a'), done, unlock('a'), fini], { objects }).facts)).toEqual([]);
    });
    test('W-9: a second lock of the class without a ticket is a misuse; by trylock it is not', () => {
      const both = (second: Instruction): Block => [lock('a', 'NULL'), second, unlock('b'), unlock('a')];
      expect(misuses(alone(both(lock('b', 'NULL')), { objects }).facts)).toEqual(['W-9']);
      expect(misuses(alone(both(trylock('b')), { objects }).facts)).toEqual([]);
    });
    test('W-21: unlocking what somebody else holds is a misuse, and it stays locked', () => {
      const at = stage({ objects, threads: { one: must([lock('a', 'NULL'), STEP]), two: must([unlock('a')]) } });
      at.plays('one');
      expect(misuses(at.plays('two'))).toEqual(['W-21']);
      expect(ownerOf(at, 'a')).toBe('one');
    });
    test('W-21: unlocking in interrupt context is a misuse', () => {
      const irq = { ...must([trylock('a'), unlock('a')]), atomic: true as const };
      expect(misuses(stage({ objects, threads: { irq } }).runs('irq'))).toEqual(['W-21']);
    });
    test('W-25: the slow path although nothing said -EDEADLK is a misuse', () => {
      expect(misuses(alone([init, slow('a'), unlock('a'), fini], { objects }).facts)).toEqual(['W-25']);
    });
  });
}

/** The younger one has b, and asked for a, which the older one has: it is told to back off. */
const backedOff = (locks: Locks, ...then: Block): Stage => {
  const at = transactions(locks, {
    older: [locks.lock('a'), STEP, locks.unlock('a'), locks.fini],
    younger: [locks.lock('b'), locks.lock('a'), then, STEP],
  });
  at.plays('older', 'younger', 'younger');
  return at;
};
for (const [name, locks] of WAIT_DIE) {
  const { lock, slow, unlock, trylock } = locks;
  describe(`wait-die: ${name}`, () => {
    test('W-16, W-20: the younger one that holds something gets -EDEADLK, and never queues', () => {
      const at = backedOff(locks);
      expect([at.ret('younger'), ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['-EDEADLK', 'older', []]);
    });
    test('W-14: an older one in the queue is enough, whoever owns the lock', () => {
      const at = transactions(locks, {
        older: [lock('a')],
        younger: [lock('b'), lock('a'), STEP],
        youngest: [lock('a'), STEP],
      });
      at.plays('youngest', 'older', 'younger', 'younger');
      expect([at.ret('younger'), queueOf(at, 'a')]).toEqual(['-EDEADLK', ['older']]);
    });
    test('W-14, W-18: an older one that queues in front makes a waiter that holds locks die', () => {
      const at = transactions(locks, {
        older: [lock('a')],
        younger: [lock('b'), lock('a'), STEP],
        youngest: [lock('a'), STEP],
      });
      at.plays('youngest', 'younger', 'younger');
      expect(at.because('younger')).toMatch(/youngest holds/);
      at.plays('older', 'younger');
      expect([at.ret('younger'), queueOf(at, 'a')]).toEqual(['-EDEADLK', ['older']]);
    });
    test('W-14: a waiter that holds nothing stays', () => {
      const at = transactions(locks, { older: [lock('a')], younger: [lock('a')], youngest: [lock('a'), STEP] });
      at.plays('youngest', 'younger', 'older');
      expect(at.because('younger')).toMatch(/youngest holds/);
      expect(queueOf(at, 'a')).toEqual(['older', 'younger']);
    });
    test('W-17: who waits holding something dies when an older owner comes in between', () => {
      const at = transactions(locks, {
        older: [lock('a'), STEP],
        younger: [lock('b'), lock('a'), STEP],
        youngest: [lock('a'), unlock('a'), STEP],
      });
      at.plays('youngest', 'younger', 'younger');
      at.plays('youngest', 'older', 'younger');
      expect([at.ret('younger'), ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['-EDEADLK', 'older', []]);
    });
    test('W-16: who is woken to die tries first, and has the lock if it is free by then', () => {
      const at = transactions(locks, {
        older: [lock('a')],
        younger: [lock('b'), lock('a'), STEP],
        youngest: [lock('a'), unlock('a'), STEP],
      });
      at.plays('youngest', 'younger', 'younger', 'older', 'youngest', 'younger');
      expect([at.ret('younger'), ownerOf(at, 'a'), queueOf(at, 'a')]).toEqual(['0', 'younger', ['older']]);
    });
    test('W-7: a transaction keeps its age over its retries; only a new one is younger', () => {
      const again = [lock('a'), unlock('a'), lock('a'), lock('b'), STEP];
      const kept = transactions(locks, { older: again, younger: [lock('b'), STEP] });
      kept.plays('older', 'older', 'older', 'younger', 'older');
      expect(kept.because('older')).toMatch(/younger holds/);
      const anew = [lock('a'), unlock('a'), locks.fini, locks.init, lock('a'), lock('b'), STEP];
      const renewed = transactions(locks, { older: anew, younger: [lock('b'), STEP] });
      renewed.plays('older', 'older', 'older', 'older', 'older', 'younger', 'older');
      expect(renewed.ret('older')).toBe('-EDEADLK');
    });
    test('W-24: everything unlocked, the slow path waits, and then has the lock', () => {
      const at = backedOff(locks, unlock('b'), slow('a'), unlock('a'), locks.fini);
      const facts = at.plays('younger', 'younger');
      expect(at.because('younger')).toMatch(/older holds/);
      facts.push(...at.plays('older', 'older', 'younger'));
      expect([ownerOf(at, 'a'), misuses(facts)]).toEqual(['younger', []]);
      expect(misuses(at.plays('younger', 'younger'))).toEqual([]);
    });
    test('W-24: asking again still holding the lock is a misuse, and it is told again', () => {
      const at = backedOff(locks, lock('a'));
      expect([misuses(at.plays('younger')), at.ret('younger')]).toEqual([['W-24'], '-EDEADLK']);
    });
    test('W-24: taking the contended lock still holding the other is a misuse', () => {
      const at = backedOff(locks, lock('a'));
      at.plays('older', 'older');
      expect([misuses(at.plays('younger')), at.ret('younger')]).toEqual([['W-24'], '0']);
    });
    test('W-25, W-26: another lock first is a misuse to a kernel with its checks on', () => {
      const at = backedOff(locks, unlock('b'), lock('b'));
      expect(misuses(at.plays('younger', 'younger'))).toEqual(['W-25']);
    });
    test('W-26: giving the lock up and trying others without the ticket is none', () => {
      const at = backedOff(locks, unlock('b'), trylock('b'));
      expect(misuses(at.plays('younger', 'younger'))).toEqual([]);
    });
    test('W-20, I-9: the oldest transaction never hears -EDEADLK', () => {
      const bodies = { oldest: [lock('a'), lock('b'), STEP], other: [lock('b'), lock('a'), STEP] };
      const at = transactions(locks, bodies);
      at.plays('oldest', 'other', 'oldest', 'other');
      expect([at.ret('other'), at.because('oldest')]).toEqual(['-EDEADLK', expect.stringMatching(/other holds/)]);
    });
  });
}

describe('wound-wait', () => {
  const { lock, unlock, slow, fini } = WOUND_WAIT;
  const wounded = (at: Stage): string[] => ticketsOf(at).flatMap((ticket) => (ticket.wounded ? [ticket.by] : []));

  test('W-15: an older one that holds something wounds the younger owner', () => {
    const at = transactions(WOUND_WAIT, { older: [lock('a'), lock('b')], younger: [lock('b'), STEP] });
    at.plays('older', 'younger', 'older');
    expect([wounded(at), at.because('older')]).toEqual([['younger'], 'younger holds b']);
  });
  test('W-15: one that holds nothing wounds nobody', () => {
    const at = transactions(WOUND_WAIT, { older: [lock('b')], younger: [lock('b'), STEP] });
    at.plays('younger', 'older');
    expect(wounded(at)).toEqual([]);
  });
  test('W-15: who is wounded goes on with free locks, and dies when it next has to wait', () => {
    const third = { objects: { ...WOUND_WAIT.objects, ww_mutexes: { a: {}, b: {}, c: {} } } };
    for (const row of Object.values(third.objects.ww_mutexes)) Object.assign(row, { class: 'ww' });
    const at = transactions(
      { ...WOUND_WAIT, ...third },
      { older: [lock('a'), lock('b')], younger: [lock('b'), lock('c'), lock('a'), STEP] },
    );
    at.plays('older', 'younger', 'older', 'younger');
    expect([at.ret('younger'), ownerOf(at, 'c')]).toEqual(['0', 'younger']);
    at.plays('younger');
    expect([at.ret('younger'), queueOf(at, 'a')]).toEqual(['-EDEADLK', []]);
  });
  test('W-16, W-20: the younger one waits for the older, holding what it has; once wounded it dies in its sleep', () => {
    const at = transactions(WOUND_WAIT, {
      older: [lock('a'), lock('b'), STEP],
      younger: [lock('b'), lock('a'), unlock('b'), STEP],
    });
    at.plays('older', 'younger', 'younger');
    expect(at.because('younger')).toBe('older holds a');
    at.plays('older', 'younger');
    expect([at.ret('younger'), queueOf(at, 'a')]).toEqual(['-EDEADLK', []]);
    at.plays('younger', 'older');
    expect(ownerOf(at, 'b')).toBe('older');
  });
  test('W-17: who takes the lock past an older waiter that holds something is wounded by it', () => {
    const at = transactions(WOUND_WAIT, {
      older: [lock('b'), lock('a')],
      younger: [lock('a'), STEP],
      owner: [lock('a'), unlock('a'), STEP],
    });
    at.plays('older', 'owner', 'older', 'owner', 'younger');
    expect([ownerOf(at, 'a'), wounded(at)]).toEqual(['younger', ['younger', 'owner']]);
  });
  test('W-10: a wound heals when everything was let go', () => {
    const at = transactions(WOUND_WAIT, {
      older: [lock('a'), lock('b'), unlock('b')],
      younger: [lock('b'), lock('a'), unlock('b'), slow('a'), unlock('a'), fini],
    });
    at.plays('older', 'younger', 'older', 'younger', 'younger');
    expect(wounded(at)).toEqual(['younger']);
    at.plays('older', 'younger');
    expect([wounded(at), at.because('younger')]).toEqual([[], 'older holds a']);
  });
});

describe('boot', () => {
  test('a lock without a class says which classes there are', () => {
    const objects = { ww_classes: { ww: {} }, ww_mutexes: { a: {} } };
    expect(() => alone([ww_mutex_lock('a', 'NULL')], { objects })).toThrow(
      /the ww_mutex a needs a class; there are: ww/,
    );
  });
  test('W-9: transactions of different classes may nest', () => {
    const objects = { ww_classes: { crtc: {} }, ww_mutexes: { head: { class: 'crtc' } }, resvs: { bo: {} } };
    const inner = [ww_acquire_init(), dma_resv_lock('bo', 'ticket'), dma_resv_unlock('bo'), ww_acquire_fini()];
    const outer = [ww_mutex_lock('head', 'ticket'), inner, ww_mutex_unlock('head')];
    expect(misuses(alone([ww_acquire_init('crtc'), outer, ww_acquire_fini('crtc')], { objects }).facts)).toEqual([]);
  });
});
