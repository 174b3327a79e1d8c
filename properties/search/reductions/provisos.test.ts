import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, boot, settings, showKnobs, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import type { Fact, KernelState } from '../../../model/machine.ts';
import { properties } from '../../index.ts';
import { signature } from '../../property.ts';
import { fairCircles, heldBack } from '../circles.ts';
import { type Claim, claimed, edgesOf, everyState } from '../constraints.ts';
import { type Graph, explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { type Loops, loops, loopy } from '../loopy-systems.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { Streett, membersOf } from '../streett.ts';
import { type Sweep, sweep } from '../sweep.ts';
import { kernelSystem } from '../system.ts';
import { Links } from './links.ts';
import { FULLY, PARTLY, type Proviso, STEPWISE, keepsFairCircles, mayBeLeft } from './provisos.ts';
import { type ReducedOptions, reduced } from './reduced.ts';

type Modes = Pick<ReducedOptions<Fact, KernelState>, 'clusters' | 'merges' | 'sleeps'>;
const ALL: Modes = { clusters: true, merges: true, sleeps: true };
const MODES: readonly Modes[] = [ALL, { clusters: true, merges: false }, { clusters: false, merges: true }];

/** Every state on a circle on which whoever is owed a turn all the way round takes one. */
function fairStates(graph: Graph<KernelState, Fact>): Int32Array {
  const claims = graph.learned.threads.map(
    (name, thread): Claim<Fact> => ({
      name,
      strength: 'weak',
      enabledAt: ({ owed }, at) => at === thread && owed,
      takenBy: ({ threadAt }) => threadAt === thread,
    }),
  );
  const all = everyState(graph);
  return membersOf(new Streett(edgesOf(graph), claimed(graph, claims, all)).fair(all));
}
/** All that is to be said of circles: the states on fair ones, who is accused by them, and whose time never comes. */
function told(booted: Booted, graph: Graph<KernelState, Fact>, patient: boolean) {
  const { learned, store } = graph;
  const { width } = learned.packing;
  const text = (state: number): string => JSON.stringify(learned.packing.unpack(store.words, state * width));
  const accused = fairCircles(booted.machine, graph, patient).flatMap(({ circle }) => [
    ...circle.fruitless,
    ...circle.pending,
  ]);
  return {
    states: new Set([...fairStates(graph)].map(text)),
    accused: [...new Set(accused)].sort(),
    held: patient ? heldBack(graph) : undefined,
  };
}
interface Sizes {
  readonly full: number;
  readonly reduced: number;
  /** States on fair circles, and how many are accused by them. */
  readonly fair: number;
  readonly accused: number;
}
const NONE: Sizes = { full: 0, reduced: 0, fair: 0, accused: 0 };
/** The same fair circles, state by state, in every mode. @returns sizes of a system that goes round, in the first mode */
function sameCircles(
  booted: Booted,
  patient: boolean,
  proviso?: typeof keepsFairCircles,
  modes = MODES,
  maxStates = 1_000,
): Sizes {
  const learned = new Learned(kernelSystem(booted.machine));
  const from = start(booted, booted.workload);
  const full = explore(learned, learned.packing.pack(from), { maxStates, patient, edges: true });
  if (!full.exhausted) return NONE;
  const truth = told(booted, full, patient);
  const sizes = modes.map((mode): Sizes => {
    const again = new Learned(kernelSystem(booted.machine));
    const options = { maxStates: Number.MAX_SAFE_INTEGER, patient, debts: true, circles: true, proviso };
    const short = reduced(again, again.packing.pack(from), { ...options, ...mode });
    if (!short.graph) throw new Error('circles were asked for, and there is no graph');
    expect({ mode, ...told(booted, short.graph, patient) }).toEqual({ mode, ...truth });
    const { states, accused } = truth;
    return short.cyclic
      ? { full: full.store.count, reduced: short.states, fair: states.size, accused: accused.length }
      : NONE;
  });
  return sizes[0] ?? NONE;
}
function sumOver<Data>(
  data: fc.Arbitrary<Data>,
  booted: (data: Data) => Booted,
  numRuns: number,
  seed: number,
  maxStates?: number,
): Sizes {
  let sum = NONE;
  fc.assert(
    fc.property(data, fc.boolean(), (each, patient) => {
      const sizes = sameCircles(booted(each), patient, undefined, MODES, maxStates);
      sum = {
        full: sum.full + sizes.full,
        reduced: sum.reduced + sizes.reduced,
        fair: sum.fair + sizes.fair,
        accused: sum.accused + sizes.accused,
      };
    }),
    { numRuns, seed },
  );
  return sum;
}

/** Two who go round for ever, each with a lock of its own, and one who has some work to do once. */
const APART: Loops = {
  one: { pieces: ['with a'], ever: true },
  two: { pieces: ['with b'], ever: true },
  maybe: null,
};
const BESIDE: Loops = {
  one: { pieces: ['try a, alloc or again'], ever: true },
  two: { pieces: ['busy', 'with b', 'progress'], ever: false },
  maybe: { pieces: ['busy', 'progress', 'with b'], ever: false },
};

describe('the reduced search keeps every fair circle, with all of its states', () => {
  test('of random systems that go round, and is smaller', () => {
    const { full, reduced: short, fair, accused } = sumOver(loops, loopy, 25, 5);
    expect(accused).toBeGreaterThan(20);
    expect(short).toBeGreaterThan(fair);
    expect(full / short).toBeGreaterThan(1.5);
    // What is kept besides the fair circles is little: of all other states, less than one of three.
    expect((short - fair) / (full - fair)).toBeLessThan(1 / 3);
  });
  test('and of random small systems', () => {
    sumOver(recipes, (recipe) => boot(smallDesign(recipe)), 4, 6);
  });
  test('and of a thousand and more', { tags: ['long', 'overnight'], timeout: 0 }, () => {
    expect(sumOver(loops, loopy, 1_500, 7, 3_000).accused).toBeGreaterThan(1_000);
    sumOver(recipes, (recipe) => boot(smallDesign(recipe)), 100, 8, 3_000);
  });
  test('where two go round that have nothing to do with each other, in whatever order they do', () => {
    const { full, reduced: short, fair } = sameCircles(loopy(APART), true);
    expect(short).toBe(full);
    expect(fair).toBe(9);
  });
  test('where somebody is passed over, no more than what comes after him', () => {
    const { full, reduced: short } = sameCircles(loopy(BESIDE), true);
    expect(full / short).toBeGreaterThan(2);
  });
});

describe('a component in which nobody moves who is owed a turn in all of it', () => {
  /** Two states with an edge each to the other, and somebody who is passed over on both. */
  const circle = () => {
    const links = new Links();
    links.add(0, 1, 7, 0b10);
    links.add(1, 0, 8, 0b11);
    return links.all(2);
  };
  const partly = Int32Array.of(PARTLY, PARTLY);
  test('has one state expanded on each of its circles, when he is open for the same everywhere', () => {
    expect(keepsFairCircles(circle(), partly, (_, those) => those)).toEqual({ cyclic: true, fully: [0], stepwise: [] });
    const broken = Int32Array.of(PARTLY, FULLY);
    expect(keepsFairCircles(circle(), broken, (_, those) => those)).toMatchObject({ fully: [], stepwise: [] });
  });
  test('has all of them expanded, one step an edge, when he is open for something else in between', () => {
    const { fully, stepwise } = keepsFairCircles(circle(), partly, () => 0);
    expect([fully, new Set(stepwise)]).toEqual([[], new Set([0, 1])]);
    const done = Int32Array.of(STEPWISE, FULLY);
    expect(keepsFairCircles(circle(), done, () => 0)).toMatchObject({ fully: [], stepwise: [1] });
  });
});

describe('planted: a wrong proviso is caught', () => {
  /** How many random systems that go round it takes. */
  const caughtAfter = (proviso: typeof keepsFairCircles, modes = [ALL]): number => {
    let runs = 0;
    const out = fc.check(
      fc.property(loops, fc.boolean(), (each, patient) => {
        runs += 1;
        sameCircles(loopy(each), patient, proviso, modes, 400);
      }),
      { numRuns: 60, seed: 9, endOnFailure: true },
    );
    return out.failed ? runs : Number.POSITIVE_INFINITY;
  };
  test('right, nothing is caught', () => {
    expect(caughtAfter(keepsFairCircles)).toBe(Number.POSITIVE_INFINITY);
  });
  test('enough for states at rest, and not for circles', () => {
    expect(caughtAfter(mayBeLeft)).toBeLessThan(60);
  });
  test('one state of each circle is expanded in full, whoever is fair on it', () => {
    const breaking: typeof keepsFairCircles = (linked, standing) =>
      keepsFairCircles({ ...linked, passed: linked.passed.map(() => 1) }, standing, () => 1);
    expect(caughtAfter(breaking)).toBeLessThan(60);
  });
  test('where somebody is passed over nothing is expanded', () => {
    const careless = (...given: Parameters<typeof keepsFairCircles>): Proviso => ({
      ...keepsFairCircles(...given),
      fully: [],
    });
    expect(caughtAfter(careless)).toBeLessThan(60);
  });
  test('an edge of several steps is taken for one', () => {
    const careless: typeof keepsFairCircles = (linked, standing, passedOver) => {
      const { stepwise, ...more } = keepsFairCircles(linked, standing, passedOver);
      return { ...more, stepwise: stepwise.slice(1) };
    };
    expect(caughtAfter(careless)).toBeLessThan(60);
  });
});

describe('what is said of a design with fair circles asked for', () => {
  const said = ({ findings, witnesses, complete, why }: Sweep) => ({
    findings: findings.map(({ blame, loop }) => [signature(blame), loop !== undefined].join()).sort(),
    witnesses: [...witnesses].sort(),
    complete,
    why,
  });
  for (const design of designs)
    settings(design).forEach((knobs, nth) => {
      test(
        `is what the full search says: ${design.name} ${showKnobs(knobs)}`,
        nth === 0 ? {} : { tags: ['long', 'overnight'] },
        () => {
          const booted = boot(design, knobs);
          const full = sweep(booted, properties, nth === 0 ? { maxStates: 1_500 } : {});
          if (full.states > 1_500 && nth === 0) return;
          expect(said(sweep(booted, properties, { reduce: true }))).toEqual(said(full));
        },
      );
    });
});
