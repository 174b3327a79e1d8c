import { expect, test } from 'vitest';
import { type Case, REBOOT, choicesOf, follow, identity, opens, patiently, word } from '../../model/case.ts';
import { type Booted, type Design, boot, design, must, settings, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import type { KernelState } from '../../model/machine.ts';
import { mutex_lock, mutex_unlock } from '../../model/objects/index.ts';
import { properties } from '../index.ts';
import { judge } from '../judge.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
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
  // Threads with several ways beside threads with one: a thread is as likely as a thread, not a way as a way.
  ['submit-ioctl-fence', { allocates: 'after_publication', after_publication: 'fails' }],
];
test.each(ENDING)('%s: the odds are those of the plain reducer that goes through every run', (name, knobs) => {
  const of = booted(name, knobs);
  const compared = findingsOf(of).flatMap(({ blame, schedule, loop }) => {
    if (loop || blame.property === 'lock-order') return [];
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
  for (const { blame, schedule, loop } of findingsOf(of)) {
    if (loop || blame.property === 'lock-order') continue;
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

test('from anywhere the odds can be counted, and lie around those of the plain reducer', () => {
  const of = booted('canary-abba', { order: 'opposite' });
  const found = findingsOf(of);
  const { blame, schedule: own } = found.find((each) => each.blame.property === 'no-deadlock') as Finding;
  const from = (...schedule: string[]) =>
    likelyFrom(of, schedule, caseOf(of, { schedule: own }), properties, blame, { walks: 500 });
  const coin = from('one');
  expect([coin?.low, coin?.high].map((each) => Math.round((each ?? 0) * 10))).toEqual([5, 5]);
  expect(from('one', 'one')?.high).toBeLessThan(0.01);
  expect(from('one', 'two')?.low).toBeGreaterThan(0.99);
  expect(from('one', 'nobody')).toBeUndefined();
  const order = found.find((each) => each.blame.property === 'lock-order') as Finding;
  const again = likelyFrom(of, [...order.schedule, REBOOT], caseOf(of, order), properties, order.blame);
  expect(again?.low).toBeGreaterThan(0.98); // what was seen is not forgotten
});

/** All that runs at random may come to, by the plain reducer: places, each a state with the orders that were seen. */
class PlainChain {
  readonly edges: { readonly to: number; readonly weight: number }[][] = [];
  private readonly numbers = new Map<string, number>();
  private readonly all: { readonly kernel: KernelState; readonly seen: ReadonlySet<string> }[] = [];
  private readonly of: Booted;
  private readonly keys: readonly string[];
  constructor(of: Booted, run: Case, keys: readonly string[]) {
    this.of = of;
    this.keys = keys;
    this.number(start(of, run.workload), new Set());
  }
  number(kernel: KernelState, seen: ReadonlySet<string>): number {
    const key = `${identity(kernel)} ${[...seen].sort().join()}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.numbers.set(key, this.all.length);
    this.all.push({ kernel, seen });
    return this.all.length - 1;
  }
  /** After this word. */
  step(kernel: KernelState, seen: ReadonlySet<string>, text: string): [KernelState, ReadonlySet<string>] {
    if (text === REBOOT) return [start(this.of, this.of.workload), seen];
    const next = structuredClone(kernel);
    const { choice, facts } = follow(this.of.machine, next, text);
    if (!choice) throw new Error(`${text} cannot be taken`);
    const moment = { machine: this.of.machine, kernel: next, thread: choice.thread, facts };
    const shown = properties.flatMap((each) => each.gathers?.(moment) ?? []).map(({ key }) => key);
    return [next, new Set([...seen, ...shown.filter((key) => this.keys.includes(key))])];
  }
  /** Places and edges, to the end. */
  grow(): void {
    for (let at = 0; at < this.all.length; at += 1) {
      const { kernel, seen } = this.all[at] as (typeof this.all)[number];
      const all = patiently(
        Object.entries(opens(this.of.machine, kernel)).flatMap(([thread, open]) => choicesOf(thread, open)),
      );
      const able = new Set(all.map(({ thread }) => thread)).size;
      this.edges[at] = all.map((choice) => ({
        to: this.number(...this.step(kernel, seen, word(choice))),
        weight: 1 / able / all.filter(({ thread }) => thread === choice.thread).length,
      }));
    }
  }
  sees(place: number): number {
    return this.all[place]?.seen.size ?? 0;
  }
  /** Places after each word. */
  along(words: readonly string[]): number[] {
    let now: [KernelState, ReadonlySet<string>] = [start(this.of, this.of.workload), new Set()];
    return [this.number(...now), ...words.map((text) => this.number(...(now = this.step(...now, text))))];
  }
  reach(from: number): Set<number> {
    const reached = new Set([from]);
    for (const at of reached) for (const { to } of this.edges[at] ?? []) reached.add(to);
    return reached;
  }
  /** How likely a run comes to one of these places, by iterating until nothing moves. */
  odds(goal: ReadonlySet<number>): number[] {
    const odds: number[] = this.edges.map((_, at) => (goal.has(at) ? 1 : 0));
    for (let moved = 1; moved > 1e-12; ) {
      moved = 0;
      for (let at = odds.length - 1; at >= 0; at -= 1) {
        if (goal.has(at)) continue;
        const next = (this.edges[at] ?? []).reduce((sum, { to, weight }) => sum + weight * (odds[to] as number), 0);
        moved = Math.max(moved, next - (odds[at] as number));
        odds[at] = next;
      }
    }
    return odds;
  }
}
/** Settings of each design, and states of each of them. */
const FEW = [3, 500] as const;
const SOME = [Number.MAX_SAFE_INTEGER, 3_000] as const;
type Few = readonly (readonly [Booted, readonly Finding[]])[];
const fews = new Map<readonly [number, number], Few>();
/** All settings that are small enough for the plain reducer, with what is found at them. */
function fewStates(bounds: readonly [number, number]): Few {
  const [ofEach, maxStates] = bounds;
  const known =
    fews.get(bounds) ??
    designs.flatMap((each) =>
      settings(each)
        .slice(0, ofEach)
        .flatMap((knobs): Few => {
          const of = boot(each, knobs);
          const { complete, findings } = sweep(of, properties, { maxStates });
          return complete ? [[of, findings]] : [];
        }),
    );
  fews.set(bounds, known);
  return known;
}
/** The first such finding of each design. */
function firstOfEach(wanted: (finding: Finding) => boolean, bounds: readonly [number, number]): [Booted, Finding][] {
  const first = new Map<Design, [Booted, Finding]>();
  for (const [of, findings] of fewStates(bounds)) {
    const finding = findings.find(wanted);
    if (finding && !first.has(of.design)) first.set(of.design, [of, finding]);
  }
  return [...first.values()];
}
const near = (odds: Odds, plain: readonly (number | undefined)[]): void => {
  if (odds.kind !== 'exact') throw new Error(`not exact: ${JSON.stringify(odds)}`);
  expect(odds.along.length).toBe(plain.length);
  odds.along.forEach(({ low, high }, at) => {
    expect(low - 1e-7).toBeLessThanOrEqual(plain[at] as number);
    expect(high + 1e-7).toBeGreaterThanOrEqual(plain[at] as number);
    expect(high - low).toBeLessThan(1e-7);
  });
};

/** The evidence that the verdict on this run rests on. */
function restsOn(of: Booted, { schedule, workload }: Case): readonly string[] {
  const gathered = new Map<string, Evidence>();
  let kernel = start(of, workload);
  for (const text of schedule) {
    if (text === REBOOT) kernel = start(of, workload);
    const { choice, facts } = follow(of.machine, kernel, text);
    if (!choice) continue;
    const moment = { machine: of.machine, kernel, thread: choice.thread, facts };
    for (const each of properties.flatMap(({ gathers }) => gathers?.(moment) ?? [])) gathered.set(each.key, each);
  }
  return properties.flatMap(({ concludes }) => concludes?.(gathered)?.keys ?? []);
}

/** @returns the odds on the way that were neither 0 nor 1, as they were compared */
function comparedOrders(bounds: readonly [number, number]): number[] {
  return firstOfEach(({ blame }) => blame.property === 'lock-order', bounds).flatMap(([of, finding]) => {
    const run = caseOf(of, finding);
    const rests = restsOn(of, run);
    const chain = new PlainChain(of, run, rests);
    const path = chain.along(run.schedule);
    chain.grow();
    const odds = chain.odds(new Set(chain.edges.flatMap((_, at) => (chain.sees(at) === rests.length ? [at] : []))));
    const plain = path.filter((_, at) => run.schedule[at - 1] !== REBOOT).map((place) => odds[place] as number);
    near(oddsAlong(of, run, properties, finding.blame), plain);
    return plain.filter((each) => each > 0 && each < 1);
  });
}
test('orders of locks: how likely one run, after those before it, completes the circle', () => {
  expect(comparedOrders(FEW).length).toBeGreaterThan(2);
});
test('of larger designs too', { tags: ['long'] }, () => {
  expect(comparedOrders(SOME).length).toBeGreaterThan(100);
});

function comparedCircles(bounds: readonly [number, number]): number[] {
  return firstOfEach(({ loop }) => loop !== undefined, bounds).flatMap(([of, finding]) => {
    const run = caseOf(of, finding);
    const chain = new PlainChain(of, run, []);
    const path = chain.along(run.schedule);
    chain.grow();
    const last = path.at(-1) as number;
    const odds = chain.odds(new Set([...chain.reach(last)].filter((place) => chain.reach(place).has(last))));
    const plain = path.map((place) => odds[place] as number);
    near(oddsAlong(of, run, properties, finding.blame), plain);
    return plain.filter((each) => each > 0 && each < 1);
  });
}
test('circles without end: how likely the run comes to where it can go round', () => {
  expect(comparedCircles(FEW).length).toBeGreaterThan(5);
});
test('… and larger ones', { tags: ['long'] }, () => {
  expect(comparedCircles(SOME).length).toBeGreaterThan(50);
});

test('what is counted of orders and circles lies around what is exact', () => {
  const kinds = new Map<string, number>();
  for (const wanted of ['lock-order', 'loop'] as const)
    for (const [of, finding] of firstOfEach(
      ({ blame, loop }) => (wanted === 'loop' ? loop !== undefined : blame.property === wanted),
      FEW,
    )) {
      const run = caseOf(of, finding);
      const exact = oddsAlong(of, run, properties, finding.blame);
      const counted = oddsAlong(of, run, properties, finding.blame, { maxStates: 2 });
      if (exact.kind !== 'exact' || counted.kind !== 'sampled') throw new Error('one was to be exact, one counted');
      // Of a circle, counted walks know only the states on it, not those that lead back to it: they say less, not more.
      const missed = counted.along.filter(({ step, low, high }) => {
        const { low: truth } = exact.along[step] as { low: number };
        return low > truth + 1e-9 || (wanted === 'lock-order' && high < truth - 1e-9);
      });
      expect(missed.length, of.design.name).toBeLessThanOrEqual(1 + counted.along.length / 10);
      kinds.set(wanted, (kinds.get(wanted) ?? 0) + 1);
    }
  expect(Math.min(...kinds.values())).toBeGreaterThan(0);
  expect(kinds.size).toBe(2);
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
