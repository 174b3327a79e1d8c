import { expect, test } from 'vitest';
import { type Case, choicesOf, follow, identity, opens, patiently, word } from '../../model/case.ts';
import { type Booted, boot, design, must, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import type { KernelState } from '../../model/machine.ts';
import { forever, mutex_lock, mutex_unlock, work_a_while } from '../../model/objects/index.ts';
import { properties } from '../index.ts';
import { judge } from '../judge.ts';
import { type Blame, type Property, signature } from '../property.ts';
import { type Odds, likelyFrom, oddsAlong } from './odds.ts';
import type { Finding } from './observer.ts';
import { sweep } from './sweep.ts';

const booted = (name: string, knobs: Record<string, string>): Booted => {
  const found = designs.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is gone`);
  return boot(found, knobs);
};
const findingsOf = (of: Booted): readonly Finding[] => sweep(of, properties).findings;
const caseOf = (of: Booted, { schedule, loop }: Pick<Finding, 'schedule' | 'loop'>): Case => {
  const { design: named, knobs, workload } = of;
  return { design: named.name, knobs, workload, schedule, ...(loop ? { loop } : {}) };
};
const takes = (...names: string[]) => must([names.map(mutex_lock), names.toReversed().map(mutex_unlock)]);

/** The same odds from the plain reducer, by going through every run; only for systems that come to an end. */
function plainly(of: Booted, property: Property, wanted: string): (kernel: KernelState) => number {
  const known = new Map<string, number>();
  const { machine } = of;
  const fails = (blame: Blame | undefined): boolean => blame !== undefined && signature(blame) === wanted;
  const from = (kernel: KernelState): number => {
    const key = identity(kernel);
    const before = known.get(key);
    if (before !== undefined) return before;
    const now = opens(machine, kernel);
    const all = patiently(Object.entries(now).flatMap(([thread, open]) => choicesOf(thread, open)));
    const rests = all.every(({ nature }) => nature === 'may');
    const able = [...new Set(all.map(({ thread }) => thread))];
    let sum = 0;
    if (fails(property.waits?.(now)) || (rests && fails(property.rest?.(machine, kernel, now)))) sum = 1;
    else
      for (const choice of all) {
        const next = structuredClone(kernel);
        const { facts } = follow(machine, next, word(choice));
        const heard = !property.hears || facts.some(({ kind }) => property.hears?.includes(kind));
        const broken = heard && fails(property.step?.({ machine, kernel: next, thread: choice.thread, facts }));
        const ways = all.filter(({ thread }) => thread === choice.thread).length;
        sum += (broken ? 1 : from(next)) / able.length / ways;
      }
    known.set(key, sum);
    return sum;
  };
  return from;
}
function alongPlainly(of: Booted, run: Case, want: Blame): number[] {
  const property = properties.find(({ name }) => name === want.property) as Property;
  const from = plainly(of, property, signature(want));
  const kernel = start(of, run.workload);
  const odds = [from(kernel)];
  for (const text of run.schedule) {
    follow(of.machine, kernel, text);
    odds.push(from(kernel));
  }
  return [...odds.slice(0, -1), 1];
}
const along = (odds: Odds) => (odds.kind === 'none' ? [] : odds.along);

test('two threads that take two locks in opposite orders: one coin decides, and after the second step nothing does', () => {
  const of = booted('canary-abba', { order: 'opposite' });
  const [finding] = findingsOf(of).filter(({ blame }) => blame.property === 'no-deadlock');
  const odds = oddsAlong(of, caseOf(of, finding as Finding), properties, (finding as Finding).blame);
  expect(odds).toMatchObject({ kind: 'exact', states: 19, lastAvoidable: 1 });
  expect(along(odds).map(({ low }) => low)).toEqual([0.5, 0.5, 1]);
});

const ENDING: readonly (readonly [string, Record<string, string>])[] = [
  ['canary-abba', { order: 'opposite' }],
  ['canary-signal-forgotten', { on_error: 'forgets' }],
  ['atomic-cancel', { commit_waits: 'after_the_swap', vgem_timeout: 'none' }],
  ['commit-tail-resv', { resv_taken_in: 'commit_tail', out_fence: 'yes' }],
  // Threads with several ways beside threads with one: a thread is as likely as a thread, not a way as a way.
  ['submit-ioctl-fence', { allocates: 'after_publication', after_publication: 'fails' }],
];
test.each(ENDING)('%s: the odds are those of the plain reducer that goes through every run', (name, knobs) => {
  const of = booted(name, knobs);
  const compared = findingsOf(of).flatMap(({ blame, schedule }) => {
    const run = caseOf(of, { schedule });
    const odds = oddsAlong(of, run, properties, blame);
    if (odds.kind !== 'exact') return [];
    const plain = alongPlainly(of, run, blame);
    odds.along.forEach(({ low, high }, at) => {
      expect(low - 1e-8).toBeLessThanOrEqual(plain[at] as number);
      expect(high + 1e-8).toBeGreaterThanOrEqual(plain[at] as number);
      expect(high - low).toBeLessThan(1e-8);
    });
    return plain.filter((chance) => chance > 0 && chance < 1);
  });
  expect(compared.length).toBeGreaterThan(0);
});

test('after the last step that could be avoided some run ends well, and after the next none does', () => {
  const of = booted('commit-tail-resv', { resv_taken_in: 'commit_tail', out_fence: 'yes' });
  for (const { blame, schedule } of findingsOf(of)) {
    const run = caseOf(of, { schedule });
    const odds = oddsAlong(of, run, properties, blame);
    if (odds.kind !== 'exact' || odds.lastAvoidable === undefined) continue;
    const plain = alongPlainly(of, run, blame);
    expect(plain[odds.lastAvoidable]).toBeLessThan(1 - 1e-9);
    for (const later of plain.slice(odds.lastAvoidable + 1)) expect(later).toBeCloseTo(1, 9);
  }
});

test('counted walks lie around the truth, and a walk that ended well proves that it could be avoided', () => {
  const of = booted('commit-tail-resv', { resv_taken_in: 'commit_tail', out_fence: 'yes' });
  const { blame, schedule } = findingsOf(of).find((each) => each.blame.property === 'no-deadlock') as Finding;
  const run = caseOf(of, { schedule });
  const exact = oddsAlong(of, run, properties, blame);
  const counted = oddsAlong(of, run, properties, blame, { maxStates: 100 });
  if (exact.kind !== 'exact' || counted.kind !== 'sampled') throw new Error('one was to be exact, one counted');
  expect(counted.lastAvoidable).toBeLessThanOrEqual(exact.lastAvoidable as number);
  // 95 of 100 intervals hold the truth; the seed is fixed, so this number is too.
  const missed = counted.along.filter(({ step, low, high }) => {
    const { low: truth } = exact.along[step] as { low: number };
    return truth < low || truth > high;
  });
  expect(missed.length).toBeLessThanOrEqual(4);
  expect(counted.along.length).toBeGreaterThan(30);
  const wide = counted.along.filter(({ low, high }) => high - low > 0.2);
  expect(wide).toEqual([]);
});

test('from anywhere the odds can be counted, and lie around those of the plain reducer; not for orders of locks', () => {
  const of = booted('canary-abba', { order: 'opposite' });
  const found = findingsOf(of);
  const { blame } = found.find((each) => each.blame.property === 'no-deadlock') as Finding;
  const from = (...schedule: string[]) => likelyFrom(of, caseOf(of, { schedule }), properties, blame, { walks: 500 });
  const coin = from('one');
  expect([coin?.low, coin?.high].map((each) => Math.round((each ?? 0) * 10))).toEqual([5, 5]);
  expect(from('one', 'one')?.high).toBeLessThan(0.01);
  expect(from('one', 'two')?.low).toBeGreaterThan(0.99);
  expect(from('one', 'nobody')).toBeUndefined();
  const order = found.find((each) => each.blame.property === 'lock-order') as Finding;
  expect(likelyFrom(of, caseOf(of, { schedule: [] }), properties, order.blame)).toBeUndefined();
});

test('a circle that can be left by luck, and orders of locks over many runs, have no odds; they say why', () => {
  const busy = boot(
    design({
      name: 'busy',
      title: 'a thread that tries for ever',
      sources: [],
      knobs: {},
      kernel: () => ({ threads: { busy: must([forever([work_a_while('tries')])]) } }),
      expect: [],
    }),
  );
  const [livelock] = findingsOf(busy);
  expect(oddsAlong(busy, caseOf(busy, livelock as Finding), properties, (livelock as Finding).blame)).toMatchObject({
    kind: 'none',
    why: expect.stringContaining('for ever') as string,
  });
  const of = booted('canary-abba', { order: 'opposite' });
  const order = findingsOf(of).find(({ blame }) => blame.property === 'lock-order') as Finding;
  expect(oddsAlong(of, caseOf(of, order), properties, order.blame)).toMatchObject({
    kind: 'none',
    why: expect.stringContaining('over all runs') as string,
  });
});

test('what must happen from the start on is certain from the start on, and never was avoidable', () => {
  const of = boot(
    design({
      name: 'alone',
      title: 'a thread that takes one lock twice',
      sources: [],
      knobs: {},
      kernel: () => ({ objects: { locks: { a: {} } }, threads: { alone: takes('a', 'a') } }),
      expect: [],
    }),
  );
  const { blame, schedule } = findingsOf(of).find((each) => each.blame.property === 'no-deadlock') as Finding;
  const odds = oddsAlong(of, caseOf(of, { schedule }), properties, blame);
  expect(odds).not.toHaveProperty('lastAvoidable');
  expect(along(odds).map(({ low }) => low)).toEqual(Array.from({ length: schedule.length + 1 }, () => 1));
  expect(judge(of, caseOf(of, { schedule }), properties).verdicts.map((each) => each.blame.kind)).toContain(blame.kind);
});
