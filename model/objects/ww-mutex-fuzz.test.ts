/**
 * Fuzz of ww_mutex against a simulation with stamps, sleeping tasks and wake-ups, written from the rules as the kernel
 * carries them out: who is not woken does not run. The object knows no wake-ups; that it lets the same threads go on is
 * the claim. And transactions that follow the back-off protocol all end, under every schedule that is tried.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl, parseCall, start } from '../design.ts';
import type { Block, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  acquired,
  goto,
  if_ret,
  label,
  user,
  ww_acquire_fini,
  ww_acquire_init,
  ww_mutex_lock,
  ww_mutex_lock_slow,
  ww_mutex_trylock,
  ww_mutex_unlock,
} from './index.ts';

type Algorithm = 'wait-die' | 'wound-wait';
const ALGORITHMS = ['wait-die', 'wound-wait'] as const;
const LOCKS = ['a', 'b', 'c'] as const;
const THREADS = ['t0', 't1', 't2', 't3'] as const;
type Thread = (typeof THREADS)[number];
const objectsOf = (algorithm: Algorithm) => ({
  ww_classes: { ww: { algorithm } },
  ww_mutexes: Object.fromEntries(LOCKS.map((lock) => [lock, { class: 'ww' }])),
});
const users = Object.fromEntries(THREADS.map((thread) => [thread, user()]));

const lock = { lock: LOCKS };
const calls = {
  begin: ioctl({}, [ww_acquire_init('ww')]),
  end: ioctl({}, [ww_acquire_fini('ww')]),
  lock: ioctl(lock, [ww_mutex_lock('$lock', 'ticket')]),
  plain: ioctl(lock, [ww_mutex_lock('$lock', 'NULL')]),
  slow: ioctl(lock, [ww_mutex_lock_slow('$lock')]),
  trylock: ioctl(lock, [ww_mutex_trylock('$lock', 'ticket')]),
  tryplain: ioctl(lock, [ww_mutex_trylock('$lock', 'NULL')]),
  unlock: ioctl(lock, [ww_mutex_unlock('$lock')]),
};
const bootedFor = Object.fromEntries(
  ALGORITHMS.map((algorithm) => [algorithm, bootKernel({ objects: objectsOf(algorithm), threads: users, calls })]),
) as Record<Algorithm, Booted>;

type Call = keyof typeof calls;
type Turn = readonly [thread: Thread, call: Call, lock: string];
const textOf = (call: Call, on: string): string =>
  call === 'begin' || call === 'end' ? `${call}()` : `${call}(${on})`;

interface Ticket {
  readonly stamp: number;
  wounded: boolean;
  contending: string | null;
}
interface Mutex {
  owner: Thread | null;
  ctx: boolean;
  queue: Thread[];
}
/** The kernel's algorithm with stamps and wake-ups (kernel/locking/mutex.c, ww_mutex.h; W-1..W-25). */
class Oracle {
  readonly mutexes: Record<string, Mutex> = Object.fromEntries(
    LOCKS.map((each) => [each, { owner: null, ctx: false, queue: [] }]),
  );
  readonly tickets: Partial<Record<Thread, Ticket>> = {};
  readonly inCall: Partial<Record<Thread, readonly [Call, string]>> = {};
  readonly asleep = new Set<Thread>();
  private stamps = 0;
  readonly waitDie: boolean;
  /** A planted mistake: an older waiter that comes does not wake the younger ones. */
  readonly forgetsToWake: boolean;
  constructor(algorithm: Algorithm, forgetsToWake = false) {
    this.waitDie = algorithm === 'wait-die';
    this.forgetsToWake = forgetsToWake;
  }
  acquired(thread: Thread): number {
    return Object.values(this.mutexes).filter((mutex) => mutex.owner === thread && mutex.ctx).length;
  }
  younger(a: Thread, b: Thread): boolean {
    return (this.tickets[a]?.stamp ?? Infinity) > (this.tickets[b]?.stamp ?? Infinity);
  }
  /** Calls that mean something: no ticket twice, no ticket given back while it holds something, no foreign unlock. */
  possible([thread, call, on]: Turn): boolean {
    const ticket = this.tickets[thread] !== undefined;
    if (call === 'begin') return !ticket;
    if (call === 'end') return ticket && this.acquired(thread) === 0;
    if (call === 'unlock') return this.mutexes[on]?.owner === thread;
    return call === 'plain' || call === 'tryplain' || ticket;
  }
  wake(thread: Thread): void {
    this.asleep.delete(thread);
  }
  kill(thread: Thread, on: string, rules: string[]): string {
    const ticket = this.tickets[thread] as Ticket;
    if (ticket.contending !== null) rules.push('W-24');
    ticket.contending = on;
    return '-EDEADLK';
  }
  checkKill(thread: Thread, on: string): boolean {
    if (this.acquired(thread) === 0) return false;
    const { owner, ctx, queue } = this.mutexes[on] as Mutex;
    if (!this.waitDie) return this.tickets[thread]?.wounded === true;
    return (owner !== null && ctx && this.younger(thread, owner)) || queue.indexOf(thread) > 0;
  }
  take(thread: Thread, on: string, ctx: boolean, rules: string[]): void {
    const mutex = this.mutexes[on] as Mutex;
    const wasFirst = mutex.queue[0] === thread;
    mutex.queue = mutex.queue.filter((each) => each !== thread);
    if (ctx) {
      const ticket = this.tickets[thread] as Ticket;
      if (ticket.contending !== null && ticket.contending !== on) rules.push('W-25');
      if (ticket.contending !== null && this.acquired(thread) > 0) rules.push('W-24');
      ticket.contending = null;
    }
    Object.assign(mutex, { owner: thread, ctx });
    if (!ctx || wasFirst) return;
    // Past waiters: the first one dies if it holds something; or the first older one that does wounds the new owner.
    const [first] = mutex.queue;
    if (this.waitDie && first !== undefined && this.acquired(first) > 0 && this.younger(first, thread))
      this.wake(first);
    const older = mutex.queue.find((each) => this.acquired(each) > 0 && this.younger(thread, each));
    if (!this.waitDie && older !== undefined) (this.tickets[thread] as Ticket).wounded = true;
  }
  enqueue(thread: Thread, on: string): boolean {
    const mutex = this.mutexes[on] as Mutex;
    let at = mutex.queue.length;
    for (; at > 0; at -= 1) {
      const before = mutex.queue[at - 1] as Thread;
      if (this.younger(thread, before)) {
        if (this.waitDie && this.acquired(thread) > 0) return false;
        break;
      }
      if (this.waitDie && this.acquired(before) > 0 && !this.forgetsToWake) this.wake(before);
    }
    mutex.queue.splice(at, 0, thread);
    const { owner, ctx } = mutex;
    if (!this.waitDie && owner !== null && ctx && this.acquired(thread) > 0 && this.younger(owner, thread)) {
      (this.tickets[owner] as Ticket).wounded = true;
      this.wake(owner);
    }
    return true;
  }
  /** Would this thread get anywhere if it ran now? */
  canGoOn(thread: Thread): boolean {
    const [call, on] = this.inCall[thread] ?? ['begin', ''];
    const mutex = this.mutexes[on];
    if (!mutex) return true;
    if (call === 'plain') return mutex.owner === null;
    if ((call !== 'lock' && call !== 'slow') || !mutex.queue.includes(thread)) return true;
    if (this.asleep.has(thread)) return false;
    return mutex.owner === null || this.checkKill(thread, on);
  }
  /** It runs: what it returns, nothing when it went to sleep; and the rules it breaks. */
  runs(thread: Thread): { ret: string | undefined; rules: string[] } {
    const [call, on] = this.inCall[thread] as readonly [Call, string];
    const rules: string[] = [];
    const ret = this.step(thread, call, on, rules);
    if (ret !== undefined) delete this.inCall[thread];
    this.settle();
    return { ret, rules };
  }
  /** Who was woken for nothing sleeps again at once: the worst that can happen to it. */
  settle(): void {
    for (const [on, { owner, queue }] of Object.entries(this.mutexes))
      for (const thread of queue) if (owner !== null && !this.checkKill(thread, on)) this.asleep.add(thread);
  }
  step(thread: Thread, call: Call, on: string, rules: string[]): string | undefined {
    const mutex = this.mutexes[on] as Mutex;
    const ticket = this.tickets[thread];
    switch (call) {
      case 'begin':
        this.tickets[thread] = { stamp: (this.stamps += 1), wounded: false, contending: null };
        return '0';
      case 'end':
        delete this.tickets[thread];
        return '0';
      case 'unlock': {
        Object.assign(mutex, { owner: null, ctx: false });
        if (mutex.queue[0] !== undefined) this.wake(mutex.queue[0]);
        return '0';
      }
      case 'trylock':
      case 'tryplain':
        if (mutex.owner !== null) return '0';
        if (call === 'trylock' && ticket && this.acquired(thread) === 0) ticket.wounded = false;
        this.take(thread, on, call === 'trylock', rules);
        return '1';
      case 'plain':
        if (LOCKS.some((each) => this.mutexes[each]?.owner === thread)) rules.push('W-9');
        this.take(thread, on, false, rules);
        return '0';
      case 'slow':
      case 'lock': {
        const queued = mutex.queue.includes(thread);
        if (!queued) {
          if (call === 'slow' && ticket?.contending === null) rules.push('W-25');
          if (mutex.owner === thread && mutex.ctx) return '-EALREADY';
          if (ticket && this.acquired(thread) === 0) ticket.wounded = false;
        }
        if (mutex.owner === null) {
          this.take(thread, on, true, rules);
          return '0';
        }
        if (!queued && !this.enqueue(thread, on)) return this.kill(thread, on, rules);
        if (this.checkKill(thread, on)) {
          mutex.queue = mutex.queue.filter((each) => each !== thread);
          return this.kill(thread, on, rules);
        }
        this.asleep.add(thread);
        return undefined;
      }
    }
  }
  shows(): unknown {
    const mutexes = Object.fromEntries(
      Object.entries(this.mutexes).map(([each, { owner, ctx, queue }]) => [each, { owner, ctx, queue }]),
    );
    const age = THREADS.filter((thread) => this.tickets[thread]).sort((a, b) => (this.younger(a, b) ? 1 : -1));
    return {
      mutexes,
      tickets: age.map((thread) => [thread, this.tickets[thread]?.wounded, this.tickets[thread]?.contending]),
      acquired: THREADS.map((thread) => this.acquired(thread)),
      canGoOn: THREADS.filter((thread) => this.inCall[thread] && this.canGoOn(thread)),
    };
  }
}
function objectShows(booted: Booted, kernel: KernelState, inCall: Oracle['inCall']): unknown {
  const mutexes = Object.fromEntries(
    Object.entries(kernel.ww_mutexes).map(([each, { owner, ticketed, waiters }]) => [
      each,
      { owner, ctx: ticketed, queue: waiters.map(({ by }) => by) },
    ]),
  );
  const now = opens(booted.machine, kernel);
  return {
    mutexes,
    tickets: (kernel.ww_classes['ww']?.tickets ?? []).map(({ by, wounded, contended }) => [by, wounded, contended]),
    acquired: THREADS.map((thread) => acquired(kernel, thread, 'ww').length),
    canGoOn: THREADS.filter((thread) => inCall[thread] && now[thread]?.kind === 'ready'),
  };
}

/** One turn of a thread on the object: what its call returned, and the rules it broke. */
function turn(booted: Booted, kernel: KernelState, thread: Thread): { ret: string | undefined; rules: string[] } {
  const { facts } = follow(booted.machine, kernel, thread);
  const end = facts.find((fact) => fact.kind === 'returned' && fact.to === 'user');
  return {
    ret: end?.kind === 'returned' ? end.ret : undefined,
    rules: facts.flatMap((fact) => (fact.kind === 'misuse' && /^W-/.test(fact.rule) ? [fact.rule] : [])),
  };
}
/** Play these turns on both; how many there were. @throws on the first difference. */
function compare(algorithm: Algorithm, turns: readonly Turn[], oracle: Oracle): number {
  const booted = bootedFor[algorithm];
  const kernel = start(booted, {});
  let played = 0;
  const story: string[] = [];
  const same = (said: unknown, wanted: unknown): void => expect(said, story.join('; ')).toEqual(wanted);
  for (const [thread, call, on] of turns) {
    if (!oracle.inCall[thread]) {
      if (!oracle.possible([thread, call, on])) continue;
      story.push(`${thread}: ${textOf(call, on)}`);
      oracle.inCall[thread] = [call, on];
      (kernel.users[thread] as { todo: unknown }).todo = [parseCall(booted, textOf(call, on))];
      turn(booted, kernel, thread);
    } else story.push(thread);
    played += 1;
    if (oracle.canGoOn(thread)) {
      const wanted = oracle.runs(thread);
      same(turn(booted, kernel, thread), wanted);
    }
    same(objectShows(booted, kernel, oracle.inCall), oracle.shows());
  }
  return played;
}

const turnOf: fc.Arbitrary<Turn> = fc.tuple(
  fc.constantFrom(...THREADS),
  fc.oneof(
    { weight: 4, arbitrary: fc.constant('begin' as const) },
    { weight: 10, arbitrary: fc.constant('lock' as const) },
    { weight: 6, arbitrary: fc.constant('unlock' as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('end' as const, 'plain' as const, 'trylock' as const, 'tryplain' as const),
    },
    { weight: 1, arbitrary: fc.constant('slow' as const) },
  ),
  fc.constantFrom(...LOCKS),
);
const session = fc.array(turnOf, { minLength: 120, maxLength: 120 });
function fuzz(algorithm: Algorithm, sessions: number, oracle = () => new Oracle(algorithm)): number {
  let played = 0;
  const check = (turns: readonly Turn[]): void => {
    played += compare(algorithm, turns, oracle());
  };
  fc.assert(fc.property(session, check), { numRuns: sessions, seed: 9 });
  return played;
}

describe('ww_mutex against a simulation with wake-ups', () => {
  describe('I-9: owner, queue, age, -EDEADLK and who can go on are those of the simulation after every turn', () => {
    for (const algorithm of ALGORITHMS)
      test(`${algorithm}, a few`, () => {
        expect(fuzz(algorithm, 8)).toBeGreaterThan(300);
      });
  });
  for (const algorithm of ALGORITHMS)
    test(`a hundred thousand turns: ${algorithm}`, { tags: ['long'] }, () => {
      expect(fuzz(algorithm, 2000)).toBeGreaterThan(100_000);
    });
  test('it can fail: a simulation that forgets a wake-up is told apart', () => {
    expect(() => fuzz('wait-die', 300, () => new Oracle('wait-die', true))).toThrow(/t\d/);
  });
});

/** Lock both in this order; after -EDEADLK let go, take the contended one first, and go on from there (W-24). */
const transaction = (first: string, second: string, backsOff: boolean): Block => [
  ww_acquire_init('ww'),
  ww_mutex_lock(first, 'ticket'),
  label('second'),
  ww_mutex_lock(second, 'ticket'),
  if_ret('-EDEADLK', [
    backsOff ? ww_mutex_unlock(first) : [],
    ww_mutex_lock_slow(second),
    ww_mutex_lock(first, 'ticket'),
    if_ret('-EDEADLK', [ww_mutex_unlock(second), ww_mutex_lock_slow(first), goto('second')]),
  ]),
  ww_mutex_unlock(first),
  ww_mutex_unlock(second),
  ww_acquire_fini('ww'),
];
/** Steps that all transactions of a run may take together; more is one that never ends. */
const MOST_STEPS = 5000;
/** Every thread makes some transactions, scheduled as told and then in turns; are they all over in the end? */
function allEnd(algorithm: Algorithm, pairs: readonly (readonly string[])[], picks: readonly number[]): boolean {
  const bodies = Object.fromEntries(
    pairs.map(([first, second], at) => [
      `transact${at}`,
      ioctl({}, transaction(first as string, second as string, true)),
    ]),
  );
  const booted = bootKernel({ objects: objectsOf(algorithm), threads: users, calls: bodies });
  const workload = Object.fromEntries(
    THREADS.map((thread, at) => [thread, Object.keys(bodies).filter((_, index) => index % THREADS.length === at)]),
  );
  const kernel = start(
    booted,
    Object.fromEntries(Object.entries(workload).map(([thread, names]) => [thread, names.map((each) => `${each}()`)])),
  );
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const open = Object.entries(opens(booted.machine, kernel)).filter(([, now]) => now.kind === 'ready');
    if (open.length === 0) break;
    const [thread] = open[(picks[step] ?? step) % open.length] as [string, unknown];
    const { facts } = follow(booted.machine, kernel, thread);
    expect(facts.filter((fact) => fact.kind === 'misuse')).toEqual([]);
  }
  return (
    THREADS.every((thread) => kernel.users[thread]?.todo.length === 0) && kernel.ww_classes['ww']?.tickets.length === 0
  );
}
const pair = fc.constantFrom(['a', 'b'], ['b', 'a'], ['b', 'c'], ['c', 'b'], ['a', 'c'], ['c', 'a']);
const endsFor = (algorithm: Algorithm, runs: number): void =>
  fc.assert(
    fc.property(
      fc.array(pair, { minLength: 4, maxLength: 12 }),
      fc.array(fc.nat(11), { maxLength: 200 }),
      (pairs, picks) => allEnd(algorithm, pairs, picks),
    ),
    { numRuns: runs, seed: 2 },
  );

describe('W-7, W-24: transactions that back off all end', () => {
  for (const algorithm of ALGORITHMS) {
    test(`${algorithm}, a few`, () => endsFor(algorithm, 25));
    test(`a thousand runs: ${algorithm}`, { tags: ['long'] }, () => endsFor(algorithm, 1000));
  }
});
