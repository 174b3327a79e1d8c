import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Booted,
  type Design,
  type Kernel,
  boot,
  design,
  must,
  settings,
  showKnobs,
} from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  if_ret,
  kmalloc,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  queue_work,
  sync_file_install,
  witness,
  work,
} from '../../../model/objects/index.ts';
import { type Kept, flag, int, table } from '../../../model/schema.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { type Property, signature } from '../../property.ts';
import { type Classic, classic } from '../classics/classic.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { type Graph, explore } from '../explore.ts';
import { Learned, type Turn } from '../learned.ts';
import { loops, loopy } from '../loopy-systems.ts';
import { smallSystems } from '../small-systems.ts';
import { randomSystems } from '../storage/random-systems.ts';
import { sweep } from '../sweep.ts';
import type { System } from '../system.ts';
import { Clusters } from './cluster.ts';
import { Judgements } from './judgements.ts';
import { Knowledge } from './knowledge.ts';
import { saidWithout } from './masked.ts';
import type { Proviso } from './provisos.ts';
import { type ReducedOptions, reduced } from './reduced.ts';
import { withFault } from '../with-fault.ts';

/** States up to which a design is audited. */
const SMALL = 10_000;
const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };
/** Interchangeable members have their own comparison: reductions.test.ts. */
const ASYMMETRIC = { partialOrder: true, merge: true, sleep: true };
type Modes = Pick<ReducedOptions<never>, 'clusters' | 'merges' | 'sleeps'>;
const MODES: readonly Modes[] = [
  { clusters: true, merges: true },
  { clusters: true, merges: true, sleeps: true },
  { clusters: true, merges: false, sleeps: true },
  { clusters: false, merges: false, sleeps: true },
  { clusters: true, merges: false },
  { clusters: false, merges: true },
];

interface Sizes {
  readonly states: number;
  readonly resting: ReadonlySet<string>;
  readonly leaves: number;
  readonly cyclic: boolean;
}
/** Is there a circle? Strike out states without a way back into them, again and again: is anything left? */
function isCyclic({ first, to, store }: Pick<Graph<object, never>, 'first' | 'to' | 'store'>): boolean {
  const into = new Int32Array(store.count);
  for (let edge = 0; edge < (first[store.count] as number); edge += 1) into[to[edge] as number]! += 1;
  const out = [...into.keys()].filter((state) => into[state] === 0);
  for (const state of out)
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
      const target = to[edge] as number;
      into[target]! -= 1;
      if (into[target] === 0) out.push(target);
    }
  return out.length < store.count;
}
/** @returns nothing when there are more states than that */
function inFull<S extends object, F>(system: System<S, F>, maxStates = 100_000): Sizes | undefined {
  const learned = new Learned(system);
  const resting = new Set<string>();
  const graph = explore(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    maxStates,
    edges: true,
    state(_state, _turns, words, at, rests) {
      if (rests) resting.add(JSON.stringify(learned.packing.unpack(words, at)));
    },
  });
  if (!graph.exhausted) return undefined;
  return { states: graph.store.count, resting, leaves: learned.leaves, cyclic: isCyclic(graph) };
}
function inShort<S extends object, F>(
  system: System<S, F>,
  modes: Modes,
  options: Partial<ReducedOptions<F, S>> = {},
): Sizes {
  const learned = new Learned(system);
  let resting = new Set<string>();
  const { states, cyclic } = reduced(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    ...modes,
    debts: true,
    ...options,
    begins: () => (resting = new Set()),
    state(_state, _turns, words, at, rests) {
      if (rests) resting.add(JSON.stringify(learned.packing.unpack(words, at)));
    },
  });
  return { states, cyclic, resting, leaves: learned.leaves };
}
/**
 * The same states at rest, the same leaves, and endless if and only if the other is, in every mode.
 * @returns states in full and, fewest, reduced; nothing when too large
 */
function sameSystem<S extends object, F>(
  system: () => System<S, F>,
  maxStates = 100_000,
): readonly [number, number] | undefined {
  const full = inFull(system(), maxStates);
  if (!full) return undefined;
  const sizes = MODES.map((modes) => {
    const short = inShort(system(), modes);
    expect({ ...modes, ...short }).toEqual({ ...modes, ...full, states: short.states });
    expect(short.states).toBeLessThanOrEqual(full.states);
    return short.states;
  });
  return [full.states, Math.min(...sizes)];
}

/** Properties without circles, so that a reduced sweep has to stand by what it says of cyclic systems too. */
const straight: readonly Property[] = properties.map(({ circle: _circle, ...rest }) => rest);
/** The same verdicts, witnesses and states at rest. @returns states in full and reduced, or nothing when too large */
function sameVerdicts(
  booted: Booted,
  props: readonly Property[] = straight,
  maxStates = SMALL,
): readonly [number, number] | undefined {
  const sizes = [true, false].map((patient) => {
    const full = sweep(booted, props, { patient, maxStates });
    if (!full.complete) return undefined;
    const short = sweep(booted, props, { patient, reduce: ASYMMETRIC });
    const said = ({ findings }: typeof full): string[] => findings.map(({ blame }) => signature(blame)).sort();
    expect(said(short)).toEqual(said(full));
    expect([...short.witnesses].sort()).toEqual([...full.witnesses].sort());
    expect({ resting: short.resting, learned: short.learned }).toEqual({
      resting: full.resting,
      learned: full.learned,
    });
    for (const { blame, schedule, loop } of short.findings) {
      const run = { design: '', knobs: {}, workload: booted.workload, schedule, ...(loop ? { loop } : {}) };
      expect(judge(booted, run, props, patient).verdicts.map((verdict) => signature(verdict.blame))).toContain(
        signature(blame),
      );
    }
    return [full.states, short.states] as const;
  });
  return sizes[0];
}

describe('the reduced search and the full one', () => {
  test('agree on the classics: states at rest, and every leaf', () => {
    expect(sameSystem(() => twoPhaseCommit(3))).toEqual([288, 98]);
    expect(sameSystem(() => twoPhaseCommit(4))).toEqual([1_568, 386]);
    sameSystem(dieHard);
    sameSystem(petersons);
    sameSystem(() => petersons(true));
    for (const n of [3, 4, 5]) sameSystem(() => philosophers(n));
    sameSystem(() => towersOfHanoi(4));
  });
  test('agree on larger classics', { tags: ['long', 'overnight'] }, () => {
    for (const n of [5, 6, 7]) sameSystem(() => twoPhaseCommit(n), 1_000_000);
    for (const n of [6, 7, 8]) sameSystem(() => philosophers(n), 1_000_000);
    sameSystem(() => towersOfHanoi(7), 1_000_000);
  });
  test('agree on random systems of plain cells', () => {
    fc.assert(
      fc.property(randomSystems, (system) => void sameSystem(() => system, 300)),
      { numRuns: 40, seed: 35 },
    );
  });
  test('agree on hundreds of random systems of plain cells', { tags: ['long', 'overnight'] }, () => {
    fc.assert(
      fc.property(randomSystems, (system) => void sameSystem(() => system, 20_000)),
      { numRuns: 500, seed: 36 },
    );
  });
  test('agree on random systems full of loops', { tags: ['long', 'overnight'] }, () => {
    fc.assert(
      fc.property(loops, (each) => void sameVerdicts(loopy(each))),
      { numRuns: 200, seed: 37 },
    );
  });
  test('agree on random small systems, with timers patient and at any time', () => {
    fc.assert(
      fc.property(smallSystems, (booted) => void sameVerdicts(booted)),
      { numRuns: 12, seed: 31 },
    );
  });
  test('agree on hundreds of random small systems', { tags: ['long', 'overnight'] }, () => {
    let full = 0;
    let short = 0;
    fc.assert(
      fc.property(smallSystems, (booted) => {
        const [before, after] = sameVerdicts(booted) ?? [0, 0];
        full += before;
        short += after;
      }),
      { numRuns: 500, seed: 32 },
    );
    expect(full / short).toBeGreaterThan(20);
  });
  for (const design of designs)
    settings(design).forEach((knobs, nth) => {
      test(`agree on ${design.name} ${showKnobs(knobs)}`, { tags: ['long', 'overnight'] }, () => {
        const booted = boot(design, knobs);
        sameVerdicts(booted, straight, nth === 0 ? 1_500 : SMALL);
      });
    });
  test('agree with fair circles asked for, and a system that goes round is not searched in full for them', () => {
    let full = 0;
    let short = 0;
    fc.assert(
      fc.property(smallSystems, (booted) => {
        const [before, after] = sameVerdicts(booted, properties, 2_000) ?? [0, 0];
        full += before;
        short += after;
      }),
      { numRuns: 8, seed: 33 },
    );
    expect(full / short).toBeGreaterThan(4);
  });
});

test('a search that is cut short says so', () => {
  const learned = new Learned(twoPhaseCommit(5));
  const from = learned.packing.pack(learned.system.boot);
  const modes = { clusters: true, merges: true, debts: true };
  expect(reduced(learned, from, { ...EVERYTHING, ...modes, maxStates: 50 }).exhausted).toBe(false);
  expect(reduced(learned, from, { ...EVERYTHING, ...modes }).exhausted).toBe(true);
  const booted = boot(designs[0] as Design, { order: 'opposite' });
  expect(sweep(booted, properties, { reduce: true, maxStates: 2 })).toMatchObject({ complete: false });
  expect(sweep(booted, properties, { reduce: true })).toMatchObject({ complete: true });
});

test('every schedule of the reduced search can be followed to the state it stands for', () => {
  const system = twoPhaseCommit(4);
  const learned = new Learned(system);
  let schedule: (state: number) => string[] = () => [];
  let wanted: { schedule: string[]; state: string }[] = [];
  reduced(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    clusters: true,
    merges: true,
    debts: true,
    begins: (words) => {
      schedule = words;
      wanted = [];
    },
    state: (state, _turns, words, at) =>
      void wanted.push({ schedule: schedule(state), state: JSON.stringify(learned.packing.unpack(words, at)) }),
  });
  expect(wanted.length).toBeGreaterThan(500);
  for (const { schedule: words, state } of wanted) {
    const plain = structuredClone(system.boot);
    for (const each of words) {
      const [process, outcome] = each.split('/') as [string, string];
      expect(system.open(plain, process)).toMatchObject({ outcomes: expect.arrayContaining([outcome]) as unknown });
      system.step(plain, process, outcome);
    }
    expect(JSON.stringify(plain)).toBe(state);
  }
});

const lamps = { lamps: table({ on: flag, steps: int(3) }) };
type Lamps = Kept<typeof lamps>;
const lamp = (state: Lamps, name: string): Lamps['lamps'][string] => state.lamps[name] as Lamps['lamps'][string];
/** One lamp blinks for ever; another process counts to three, and nobody looks at either. */
const blinker = (): Classic<Lamps> =>
  classic<Lamps>({
    schema: lamps,
    given: { lamps: { a: {}, b: {} } },
    processes: {
      blinks: {
        on: { when: (state) => !lamp(state, 'a').on, then: (state) => void (lamp(state, 'a').on = true) },
        off: { when: (state) => lamp(state, 'a').on, then: (state) => void (lamp(state, 'a').on = false) },
      },
      counts: {
        up: { when: (state) => lamp(state, 'b').steps < 3, then: (state) => void (lamp(state, 'b').steps += 1) },
      },
    },
  });

describe('sleep sets', () => {
  const sizes = (modes: Modes): readonly [number, number] => {
    const learned = new Learned(twoPhaseCommit(4));
    const from = learned.packing.pack(learned.system.boot);
    const { states, transitions } = reduced(learned, from, { ...EVERYTHING, debts: true, ...modes });
    return [states, transitions];
  };
  test('save transitions and no state by themselves', () => {
    expect(sizes({ clusters: false, merges: false })).toEqual([1_568, 5_377]);
    expect(sizes({ clusters: false, merges: false, sleeps: true })).toEqual([1_568, 3_127]);
  });
  test('save states too with clusters: those to which only sleeping steps lead', () => {
    expect(sizes({ clusters: true, merges: true })).toEqual([498, 2_370]);
    expect(sizes({ clusters: true, merges: true, sleeps: true })).toEqual([386, 1_728]);
  });
  test('are done without where the system can go round: a circle of steps may pass over a sleeping one for ever', () => {
    for (const modes of MODES) {
      const { sleeps: _sleeps, ...awake } = modes;
      expect(inShort(blinker(), modes).states).toBe(inShort(blinker(), awake).states);
    }
  });
});

describe('planted faults are caught by the comparison', () => {
  const nothing = (): Proviso => ({ cyclic: true, fully: [], stepwise: [] });
  test('a missing proviso: who counts is put off for ever by one who blinks', () => {
    const full = inFull(blinker())?.leaves;
    expect(full).toBe(6);
    for (const modes of MODES.filter(({ clusters, merges }) => clusters || merges)) {
      expect(inShort(blinker(), modes).leaves).toBe(full);
      expect(inShort(blinker(), modes, { proviso: nothing }).leaves).toBeLessThan(6);
    }
  });

  /** What a leaf reads, as `Knowledge` asks for it; a fault forgets every slot of one field. */
  interface Reads {
    learned: Learned<object, unknown>;
    readsOf(turn: Turn<unknown>): readonly number[];
  }
  const reads = Knowledge.prototype as unknown as Reads;
  const forgets = (field: string): Reads['readsOf'] =>
    function forgetful(this: Reads, turn) {
      const { slots } = this.learned.packing;
      return [...turn.reads].filter((slot) => slots[slot]?.path.at(-1) !== field);
    };
  test('a wrong independence: the reads of one field are dropped', () => {
    const told = <S extends object>(system: () => Classic<S>, field: string): void => {
      expect(() => sameSystem(system)).not.toThrow();
      expect(() => withFault(reads, 'readsOf', forgets(field), () => sameSystem(system)), field).toThrow();
    };
    told(() => philosophers(4), 'heldBy');
    told(() => twoPhaseCommit(4), 'state');
  });

  test('steps that do not commute are taken for such that do: who should wake sleeps on', () => {
    const clash = (): boolean => false; // clusters have a second look; sleep sets have not
    const told = (): void => void sameSystem(() => twoPhaseCommit(3));
    expect(told).not.toThrow();
    expect(() => withFault(Knowledge.prototype, 'clash', clash, told)).toThrow();
  });

  /** How many random small systems it takes until the comparison fails. */
  const caughtAfter = (): number => {
    let runs = 0;
    const out = fc.check(
      fc.property(smallSystems, (booted) => {
        runs += 1;
        sameVerdicts(booted, straight, 3_000);
      }),
      { numRuns: 200, seed: 34, endOnFailure: true },
    );
    return out.failed ? runs : Number.POSITIVE_INFINITY;
  };
  const planted = <T extends object, K extends keyof T>(prototype: T, method: K, fault: T[K]): number =>
    withFault(prototype, method, fault, caughtAfter);
  for (const field of ['owner', 'signaled', 'queued'])
    test(`a wrong independence in kernels: the reads of ${field} are dropped`, { tags: ['long'] }, () => {
      expect(planted(reads, 'readsOf', forgets(field))).toBeLessThan(200);
    });
  const kernelOf = (kernel: () => Kernel): Booted =>
    boot(design({ name: 'small', title: 'small', sources: [], knobs: {}, kernel, expect: [] }));
  const pending = { initialised: true, published: true };
  test('a step that changes what is said of another is taken for independent of it', () => {
    // Whether the allocation is made by somebody who owes a fence is for the first thread to say.
    const owes = kernelOf(() => ({
      objects: { fences: { f: {} } },
      threads: {
        promises: must([dma_fence_init('f', 'allocates'), sync_file_install('f'), dma_fence_signal('f')]),
        allocates: must([kmalloc('GFP_KERNEL')]),
      },
    }));
    sameVerdicts(owes);
    expect(sweep(owes, straight).findings.map(({ blame }) => blame.property)).toContain('no-alloc-in-signalling');
    withFault(
      Judgements.prototype,
      'changes',
      () => false,
      () => expect(() => sameVerdicts(owes)).toThrow(),
    );
  });
  test('what a process does with an answer is not known yet, and taken for nothing', () => {
    // That somebody may find the lock taken, nobody knows before somebody is quicker than the other.
    const tries = kernelOf(() => ({
      objects: { locks: { m: {} }, fences: { f: { ...pending, promisedBy: 'holds' } } },
      threads: {
        holds: must([mutex_lock('m'), dma_fence_signal('f'), mutex_unlock('m')]),
        tries: must([dma_fence_wait('f'), mutex_trylock('m'), if_ret('0', [witness('busy')], [mutex_unlock('m')])]),
      },
    }));
    sameVerdicts(tries);
    const wonders = Knowledge.prototype as unknown as { wonder: () => void };
    withFault(
      wonders,
      'wonder',
      () => undefined,
      () => expect(() => sameVerdicts(tries)).toThrow(),
    );
  });
  test('circles of debts may be passed by', () => {
    // The worker closes a circle with the thread that waits for it, unless somebody else signals the fence before.
    const saved = kernelOf(() => ({
      objects: { locks: { m: {} }, fences: { f: { ...pending, promisedBy: 'worker' } } },
      threads: {
        saves: must([dma_fence_signal('f')]),
        waits: must([mutex_lock('m'), queue_work('worker'), dma_fence_wait('f'), mutex_unlock('m')]),
        worker: work([mutex_lock('m'), dma_fence_signal('f'), mutex_unlock('m')]),
      },
    }));
    sameVerdicts(saved);
    expect(sweep(saved, straight).findings.map(({ blame }) => blame.property)).toContain('no-deadlock');
    withFault(
      Clusters.prototype as unknown as { sparesCircles: () => boolean },
      'sparesCircles',
      () => true,
      () => expect(() => sameVerdicts(saved)).toThrow(),
    );
  });
  test('nobody is ever taken for able to meddle', () => {
    expect(planted(Knowledge.prototype, 'meets', () => false)).toBeLessThan(200);
  });
  test('who stands still is taken for asleep for ever', () => {
    expect(planted(Knowledge.prototype, 'movable', () => false)).toBeLessThan(200);
  });
});

describe('what else might be said of debts', () => {
  const waits = (object: string, owedBy: readonly string[]) =>
    ({ kind: 'blocked', wait: { on: 'mutex', object, owedBy, because: '' }, outcomes: [] }) as const;
  const noDeadlock = properties.find(({ name }) => name === 'no-deadlock') as Property;
  const judged = (opens: Parameters<typeof saidWithout>[0]): Set<string> | undefined =>
    saidWithout(opens, (masked) => noDeadlock.waits?.(masked));

  test('is what remains when some of the blocked are gone: a second circle', () => {
    const fence = { kind: 'blocked', wait: { on: 'fence', object: 'f', owedBy: ['d'], because: '' }, outcomes: [] };
    const opens = { a: waits('x', ['b']), b: waits('y', ['a']), c: fence, d: waits('z', ['c']) };
    expect(judged(opens as Parameters<typeof saidWithout>[0])).toEqual(
      new Set(['no-deadlock (circle of mutex)', 'no-deadlock (circle of fence+mutex)']),
    );
  });
  test('is nothing when one circle is all there is', () => {
    expect(judged({ a: waits('x', ['b']), b: waits('y', ['a']) })).toEqual(new Set());
  });
  test('cannot be told when too many wait', () => {
    const many = Object.fromEntries(Array.from({ length: 11 }, (_, at) => [`t${at}`, waits('x', ['t0'])]));
    expect(judged(many)).toBeUndefined();
  });
});
