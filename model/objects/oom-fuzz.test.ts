/**
 * Fuzz of the OOM killer against an account of who was killed, whose memory came back and who waits, written from the
 * rules (A1.2..A1.5, A1.12, A6.1..A6.5). The ways of every thread are compared in every state, and any may be taken.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl, start } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import { type GfpFlag, if_var, kmalloc, oom_reaper, return_, user } from './index.ts';

/** The ranges of each process, and which of them a driver keeps from the reaper. */
const RANGES: Readonly<Record<string, readonly string[]>> = { p0: ['heap', 'stack'], p1: [], p2: ['buffer'] };
const REFUSES = ['heap', 'buffer'];
const PROCESSES = Object.keys(RANGES);
const TASKS = ['t0', 't1'];
const THREADS = [...PROCESSES, ...TASKS, 'reaper'];
const ATTEMPTS = 2;
const CALLS: Readonly<Record<string, readonly ['GFP_KERNEL' | 'GFP_NOFS', GfpFlag | undefined]>> = {
  small: ['GFP_KERNEL', undefined],
  nofs: ['GFP_NOFS', undefined],
  noretry: ['GFP_KERNEL', '__GFP_NORETRY'],
  nofail: ['GFP_KERNEL', '__GFP_NOFAIL'],
};
const kinds = Object.keys(CALLS);
const booted: Booted = bootKernel({
  objects: {
    mms: { m0: {}, m1: {}, m2: {} },
    ranges: Object.fromEntries(
      PROCESSES.flatMap((process, at) => (RANGES[process] as string[]).map((range) => [range, { mm: `m${at}` }])),
    ),
    interval_notifiers: Object.fromEntries(REFUSES.map((range) => [range, { range, invalidate: 'invalidate' }])),
  },
  routines: { invalidate: [if_var('blockable', 'false', [return_('-EAGAIN')]), return_('0')] },
  threads: {
    ...Object.fromEntries(PROCESSES.map((process, at) => [process, user({ mm: `m${at}` })])),
    t0: user(),
    t1: user(),
    reaper: oom_reaper(ATTEMPTS),
  },
  calls: Object.fromEntries(
    Object.entries(CALLS).map(([kind, [gfp, flag]]) => [kind, ioctl({}, [kmalloc(gfp, 'p', flag), return_('ret')])]),
  ),
});

type Doing =
  | { at: 'rest' }
  | { at: 'alloc'; kind: string }
  | { at: 'waits'; kind: string; since: number }
  | { at: 'unmaps' }
  | { at: 'exits'; left: number }
  | { at: 'gone' };
type Fault = 'two victims at a time' | 'NOFS kills' | 'a refused range comes back' | 'nobody waits for a skipped one';
class Oracle {
  readonly doing: Record<string, Doing> = Object.fromEntries(
    [...PROCESSES, ...TASKS].map((each) => [each, { at: 'rest' }]),
  );
  readonly killed = new Set<string>();
  /** Over with: the reaper has given up or succeeded, or the process is gone. */
  readonly over = new Set<string>();
  readonly freed = new Set<string>();
  readonly todo: Record<string, string[]>;
  reaper: { of: string; left: number; todo: string[]; at: 'unmaps' | 'sleeps' | 'done' } | undefined;
  private readonly fault: Fault | undefined;
  constructor(todo: Record<string, readonly string[]>, fault?: Fault) {
    this.todo = Object.fromEntries(Object.entries(todo).map(([who, calls]) => [who, [...calls]]));
    this.fault = fault;
  }
  private readonly victims = (): string[] => PROCESSES.filter((each) => this.killed.has(each) && !this.over.has(each));
  private candidates(kind: string): string[] {
    const some = this.victims().length > 0 && this.fault !== 'two victims at a time';
    const kills = CALLS[kind]?.[0] === 'GFP_KERNEL' || this.fault === 'NOFS kills';
    return some || !kills
      ? []
      : PROCESSES.filter((each) => !this.killed.has(each) && !this.over.has(each) && !this.freed.has(each));
  }
  /** Killed, and its memory has not come back. */
  private owing(): string[] {
    return PROCESSES.filter(
      (each) =>
        this.killed.has(each) &&
        !this.freed.has(each) &&
        !(this.over.has(each) && this.fault === 'nobody waits for a skipped one'),
    );
  }
  private noProgress(who: string, kind: string): string[] {
    if (this.killed.has(who)) return [];
    const kills = this.candidates(kind).map((each) => `kills ${each}`);
    return kills.length > 0 ? kills : this.owing().length > 0 ? ['finds no memory'] : [];
  }
  /** The ways this thread may go now; none when it waits or is over. */
  ways(who: string): string[] {
    if (who === 'reaper') return this.reaper || this.victims().length > 0 ? [''] : [];
    const doing = this.doing[who] as Doing;
    const dies = this.killed.has(who);
    switch (doing.at) {
      case 'rest':
        return dies ? ['killed'] : (this.todo[who] as string[]).slice(0, 1);
      case 'alloc': {
        const reclaim = Object.values(RANGES)
          .flat()
          .map((range) => `unmaps ${range}`);
        const may_fail = doing.kind === 'noretry' || (dies && doing.kind !== 'nofail');
        return may_fail ? ['ok', ...reclaim, 'fails'] : ['ok', ...reclaim, ...this.noProgress(who, doing.kind)];
      }
      case 'waits':
        if (this.freed.size > doing.since) return ['ok'];
        if (dies) return doing.kind === 'nofail' ? ['ok'] : ['ok', 'fails'];
        return this.candidates(doing.kind).map((each) => `kills ${each}`);
      case 'unmaps':
      case 'exits':
        return [''];
      case 'gone':
        return [];
    }
  }
  takes(who: string, way: string): void {
    if (who === 'reaper') return this.reaps();
    const doing = this.doing[who] as Doing;
    const go = (next: Doing): void => {
      this.doing[who] = next;
    };
    switch (doing.at) {
      case 'rest':
        if (way === 'killed') return go({ at: 'exits', left: (RANGES[who] as string[]).length });
        this.todo[who]?.shift();
        return go({ at: 'alloc', kind: way });
      case 'alloc':
      case 'waits':
        if (way === 'ok' || way === 'fails') return go({ at: 'rest' });
        if (way.startsWith('unmaps')) return go({ at: 'unmaps' });
        if (way.startsWith('kills')) this.killed.add(way.slice('kills '.length));
        return go({ at: 'waits', kind: doing.kind, since: doing.at === 'waits' ? doing.since : this.freed.size });
      case 'exits':
        if (doing.left > 0) return go({ at: 'exits', left: doing.left - 1 });
        this.freed.add(who);
        this.over.add(who);
        return go({ at: 'gone' });
      case 'unmaps':
        return go({ at: 'rest' });
      case 'gone':
        throw new Error(`${who} is gone`);
    }
  }
  private reaps(): void {
    const now = this.reaper;
    if (!now) {
      const of = this.victims()[0] as string;
      return this.attempt(of, ATTEMPTS);
    }
    if (now.at === 'done') {
      this.over.add(now.of);
      this.reaper = undefined;
    } else if (now.at === 'sleeps') this.attempt(now.of, now.left);
    else this.next({ ...now, todo: now.todo.slice(1) }, now.todo[0]);
  }
  /** One pass over the ranges: what does not refuse is unmapped, a step each. */
  private attempt(of: string, left: number): void {
    if (this.over.has(of)) this.reaper = { of, left, todo: [], at: 'done' };
    else this.next({ of, left, todo: [...(RANGES[of] as string[])], at: 'unmaps' }, undefined);
  }
  private next(pass: NonNullable<Oracle['reaper']>, unmapped: string | undefined): void {
    if (unmapped !== undefined) this.freed.add(pass.of);
    const todo = pass.todo.slice(pass.todo.findIndex((range) => !this.refuses(range)));
    if (pass.todo.some((range) => !this.refuses(range))) this.reaper = { ...pass, todo, at: 'unmaps' };
    else if ((RANGES[pass.of] as string[]).some((range) => this.refuses(range)))
      this.reaper = { ...pass, todo: [], left: pass.left - 1, at: pass.left > 1 ? 'sleeps' : 'done' };
    else {
      if ((RANGES[pass.of] as string[]).length === 0) this.freed.add(pass.of);
      this.reaper = { ...pass, todo: [], at: 'done' };
    }
  }
  private refuses(range: string): boolean {
    return REFUSES.includes(range) && !(this.fault === 'a refused range comes back' && range === 'buffer');
  }
  shows(): unknown {
    return {
      ways: THREADS.map((who) => `${who}: ${this.ways(who).join(' or ')}`),
      freed: PROCESSES.filter((each) => this.freed.has(each)),
    };
  }
}
function objectShows(kernel: KernelState): unknown {
  const open = opens(booted.machine, kernel);
  return {
    ways: THREADS.map((who) => {
      const now = open[who];
      return `${who}: ${now?.kind === 'ready' ? now.outcomes.join(' or ') : ''}`;
    }),
    freed: PROCESSES.filter((each) => kernel.processes[each]?.freed),
  };
}

interface Session {
  readonly todo: Record<string, readonly string[]>;
  readonly turns: readonly (readonly [who: number, way: number])[];
}
/** Play this on both; how many steps. @throws on the first difference. */
function compare({ todo, turns }: Session, fault?: Fault): number {
  const kernel = start(
    booted,
    Object.fromEntries(Object.entries(todo).map(([who, calls]) => [who, calls.map((each) => `${each}()`)])),
  );
  const oracle = new Oracle(todo, fault);
  const words: string[] = [];
  for (const [who, way] of turns) {
    const able = THREADS.filter((each) => oracle.ways(each).length > 0);
    if (able.length === 0) break;
    const thread = able[who % able.length] as string;
    const ways = oracle.ways(thread);
    const word = ways[way % ways.length] as string;
    words.push(word === '' ? thread : `${thread}/${word}`);
    oracle.takes(thread, word);
    follow(booted.machine, kernel, words.at(-1) as string, false);
    expect(objectShows(kernel), `after ${words.join(', ')}`).toEqual(oracle.shows());
  }
  return words.length;
}
const calls = fc.array(fc.constantFrom(...kinds), { minLength: 2, maxLength: 5 });
const session: fc.Arbitrary<Session> = fc.record({
  todo: fc.record({ p0: calls, p1: calls, p2: calls, t0: calls, t1: calls }),
  turns: fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 100, maxLength: 100 }),
});
/** That many sessions; how many steps were taken. @throws what the first difference was, and after which words. */
function fuzz(sessions: number, fault?: Fault): number {
  let steps = 0;
  const check = fc.check(
    fc.property(session, (one) => {
      steps += compare(one, fault);
    }),
    { numRuns: sessions, seed: 5, endOnFailure: fault !== undefined },
  );
  if (check.failed) throw check.errorInstance;
  return steps;
}

describe('the OOM killer against an account of it', () => {
  test('after every step both agree on every way of every thread, and on whose memory came back', () => {
    expect(fuzz(20)).toBeGreaterThan(500);
  });
  test('a hundred thousand steps', { tags: ['long'] }, () => {
    expect(fuzz(4000)).toBeGreaterThan(100_000);
  });
  for (const fault of [
    'two victims at a time',
    'NOFS kills',
    'a refused range comes back',
    'nobody waits for a skipped one',
  ] as const)
    test(`it can fail: an account in which ${fault} is told apart`, () => {
      expect(() => fuzz(300, fault)).toThrow(/^after \w/);
    });
});
