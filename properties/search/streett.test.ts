import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { fairLoop, oneMinimal } from './fair-loop.ts';
import { type PlainEdge, statesOnFairCircles, unfairTo } from './plain-circles.ts';
import { type Constraint, type Edges, Streett, bitset, marked, membersOf } from './streett.ts';

/** A random graph with random constraints, all as data. */
interface Problem {
  readonly states: number;
  readonly labels: number;
  readonly edges: readonly PlainEdge[];
  readonly among: readonly boolean[];
  readonly constraints: readonly Wish[];
}
interface Wish {
  readonly weak: boolean;
  readonly enabledIn: readonly boolean[];
  readonly enabledBy: readonly boolean[];
  readonly takenIn: readonly boolean[];
  readonly takenBy: readonly boolean[];
}
const some = (length: number, weight: number): fc.Arbitrary<boolean[]> =>
  fc.array(
    fc.nat(9).map((digit) => digit < weight),
    { minLength: length, maxLength: length },
  );
const problems = (mostStates: number, mostEdges: number, mostConstraints: number): fc.Arbitrary<Problem> =>
  fc.tuple(fc.integer({ min: 1, max: mostStates }), fc.integer({ min: 1, max: 5 })).chain(([states, labels]) =>
    fc.record({
      states: fc.constant(states),
      labels: fc.constant(labels),
      edges: fc.array(fc.record({ from: fc.nat(states - 1), to: fc.nat(states - 1), label: fc.nat(labels - 1) }), {
        maxLength: mostEdges,
        size: 'max',
      }),
      among: some(states, 9),
      constraints: fc.array(
        fc.record({
          weak: fc.boolean(),
          enabledIn: some(states, 4),
          enabledBy: some(labels, 2),
          takenIn: some(states, 1),
          takenBy: some(labels, 3),
        }),
        { maxLength: mostConstraints, size: 'max' },
      ),
    }),
  );

const constraintsOf = ({ constraints }: Problem): Constraint[] =>
  constraints.map(({ weak, enabledIn, enabledBy, takenIn, takenBy }, at) => ({
    name: `constraint ${at}`,
    takenIn: (state) => takenIn[state] === true,
    takenBy: (label) => takenBy[label] === true,
    ...(weak
      ? { strength: 'weak', enabledIn: (state) => enabledIn[state] === true }
      : {
          strength: 'strong',
          enabledIn: (state) => enabledIn[state] === true,
          enabledBy: (label) => enabledBy[label] === true,
        }),
  }));
function graphOf(states: number, labels: number, edges: readonly PlainEdge[]): Edges {
  const sorted = [...edges].sort((a, b) => a.from - b.from);
  const first = new Int32Array(states + 1);
  for (const { from } of sorted) first[from + 1] = (first[from + 1] as number) + 1;
  for (let state = 0; state < states; state += 1)
    first[state + 1] = (first[state + 1] as number) + (first[state] as number);
  return {
    first,
    to: Int32Array.from(sorted, ({ to }) => to),
    label: Int32Array.from(sorted, ({ label }) => label),
    states,
    labels,
  };
}
const amongOf = ({ states, among }: Problem): number[] => [...Array(states).keys()].filter((state) => among[state]);

function solve(problem: Problem): { streett: Streett; components: ReturnType<Streett['fair']> } {
  const graph = graphOf(problem.states, problem.labels, problem.edges);
  const among = Int32Array.from(amongOf(problem));
  const streett = new Streett(graph, marked(graph, constraintsOf(problem), among));
  return { streett, components: streett.fair(among) };
}

/** Every set of edges that is a walk round: connected both ways, among the states, and fair. */
function bruteForce(problem: Problem): Set<number> {
  const { edges } = problem;
  const allowed = new Set(amongOf(problem));
  const constraints = constraintsOf(problem);
  const found = new Set<number>();
  for (let set = 1; set < 1 << edges.length; set += 1) {
    const chosen = edges.filter((_, at) => (set >> at) & 1);
    const states = [...new Set(chosen.flatMap(({ from, to }) => [from, to]))];
    if (!states.every((state) => allowed.has(state))) continue;
    const reaches = (from: number): number => {
      const seen = new Set([from]);
      for (const state of seen) for (const edge of chosen) if (edge.from === state) seen.add(edge.to);
      return seen.size;
    };
    if (!states.every((state) => reaches(state) === states.length)) continue;
    if (unfairTo(states, chosen, constraints) === undefined) for (const state of states) found.add(state);
  }
  return found;
}

const sameAs = (oracle: (problem: Problem) => Set<number>) => (problem: Problem) => {
  const { components } = solve(problem);
  expect([...membersOf(components)]).toEqual([...oracle(problem)].sort((a, b) => a - b));
};
const byEnumeration = (problem: Problem): Set<number> =>
  statesOnFairCircles(amongOf(problem), problem.edges, constraintsOf(problem));
const TINY = problems(5, 9, 4);
const SMALL = problems(14, 40, 6);

/** Walk the loop and look, with nothing but the graph and the wishes. */
function confirm(problem: Problem): number {
  const { streett, components } = solve(problem);
  const { first, to, label } = streett.graph;
  const allowed = new Set(amongOf(problem));
  for (const component of components) {
    const loop = fairLoop(streett, component);
    expect(component.nearest).toBe(Math.min(...component.members));
    const walked: PlainEdge[] = [];
    let at = component.nearest;
    for (const edge of loop) {
      expect(edge >= (first[at] as number) && edge < (first[at + 1] as number), 'the edge leaves this state').toBe(
        true,
      );
      walked.push({ from: at, to: to[edge] as number, label: label[edge] as number });
      at = to[edge] as number;
    }
    expect(at, 'the loop ends where it began').toBe(component.nearest);
    expect(walked.length).toBeGreaterThan(0);
    const states = walked.map(({ from }) => from);
    expect(states.every((state) => allowed.has(state))).toBe(true);
    expect(unfairTo(states, walked, constraintsOf(problem))).toBeUndefined();
    walked.forEach(({ from, to: target }, place) => {
      if (from !== target || walked.length === 1) return;
      const rest = walked.filter((_, other) => other !== place);
      expect(
        unfairTo(
          rest.map((each) => each.from),
          rest,
          constraintsOf(problem),
        ),
        'a step on the spot is needed',
      ).toBeDefined();
    });
  }
  return components.length;
}

describe('the fair components', () => {
  test('are those that trying every set of edges finds', () => {
    fc.assert(fc.property(TINY, sameAs(bruteForce)), { numRuns: 400, seed: 41 });
  });
  test('are those that trying every set of unfulfilled constraints finds, on larger graphs', () => {
    fc.assert(fc.property(SMALL, sameAs(byEnumeration)), { numRuns: 300, seed: 42 });
  });
  test('are those of the oracle on thousands of graphs', { tags: ['long'] }, () => {
    fc.assert(fc.property(TINY, sameAs(bruteForce)), { numRuns: 5_000, seed: 43 });
    fc.assert(fc.property(problems(30, 90, 8), sameAs(byEnumeration)), { numRuns: 3_000, seed: 44 });
  });
  test('exist and do not exist, both often: the comparisons say something', () => {
    const found = fc.sample(SMALL, { numRuns: 200, seed: 42 }).map((problem) => solve(problem).components.length);
    expect(found.filter((each) => each > 0).length).toBeGreaterThan(40);
    expect(found.filter((each) => each === 0).length).toBeGreaterThan(40);
  });
  test('each have a loop that is a real walk, fair, and without a needless step on the spot', () => {
    let loops = 0;
    fc.assert(
      fc.property(problems(14, 50, 5), (problem) => void (loops += confirm(problem))),
      { numRuns: 400, seed: 45 },
    );
    expect(loops).toBeGreaterThan(150);
  });
  test('do not change when asked for again: a search leaves nothing behind', () => {
    fc.assert(
      fc.property(SMALL, (problem) => {
        const { streett, components } = solve(problem);
        const among = Int32Array.from(amongOf(problem));
        streett.fair(among, { banned: new Uint8Array(problem.labels).fill(1) });
        expect([...membersOf(streett.fair(among))]).toEqual([...membersOf(components)]);
      }),
      { numRuns: 50, seed: 46 },
    );
  });
});

describe('strong and weak', () => {
  // Two states, to and fro; somebody is enabled in one of them and never moves.
  const graph = graphOf(2, 2, [
    { from: 0, to: 1, label: 0 },
    { from: 1, to: 0, label: 0 },
  ]);
  const among = Int32Array.of(0, 1);
  const fair = (constraint: Constraint): number =>
    new Streett(graph, marked(graph, [constraint], among)).fair(among).length;
  test('weak fairness allows to pass over whoever is disabled in between', () => {
    expect(
      fair({ name: 'x', strength: 'weak', enabledIn: (state) => state === 0, takenBy: (label) => label === 1 }),
    ).toBe(1);
  });
  test('strong fairness does not', () => {
    expect(
      fair({ name: 'x', strength: 'strong', enabledIn: (state) => state === 0, takenBy: (label) => label === 1 }),
    ).toBe(0);
  });
  test('nor does weak fairness when it is enabled all the way round', () => {
    expect(fair({ name: 'x', strength: 'weak', enabledIn: () => true, takenBy: (label) => label === 1 })).toBe(0);
  });
  test('both allow the circle when the step is taken in it', () => {
    for (const strength of ['weak', 'strong'] as const)
      expect(fair({ name: 'x', strength, enabledIn: () => true, takenBy: (label) => label === 0 })).toBe(1);
  });
});

describe('the work', () => {
  /** An onion: K rings in a row, to and fro; constraint k asks on ring k only, and is never answered. */
  const onion = (rings: number): { looked: number; edges: number; found: number } => {
    const edges: PlainEdge[] = [];
    const width = 50;
    for (let ring = 0; ring <= rings; ring += 1)
      for (let at = 0; at < width; at += 1) {
        const state = ring * width + at;
        edges.push({ from: state, to: ring * width + ((at + 1) % width), label: 0 });
        if (ring < rings) edges.push({ from: state, to: state + width, label: 0 });
        if (ring > 0) edges.push({ from: state, to: state - width, label: 0 });
      }
    const states = (rings + 1) * width;
    const graph = graphOf(states, 1, edges);
    const among = Int32Array.from({ length: states }, (_, state) => state);
    // Constraint k is answered only on ring k - 1: with that gone, ring k is next. The last ring asks for nothing.
    const constraints = Array.from(
      { length: rings },
      (_, nth): Constraint => ({
        name: `ring ${nth}`,
        strength: 'strong',
        enabledIn: (state) => Math.floor(state / width) === nth,
        takenIn: (state) => Math.floor(state / width) === nth - 1,
      }),
    );
    const streett = new Streett(graph, marked(graph, constraints, among));
    const found = membersOf(streett.fair(among)).length;
    return { looked: streett.looked, edges: edges.length, found };
  };
  test('is at most a few looks at each edge for each constraint, even when they must be pruned for one by one', () => {
    for (const rings of [1, 4, 16, 64]) {
      const { looked, edges, found } = onion(rings);
      expect(found).toBe(50);
      expect(looked).toBeLessThanOrEqual(3 * (rings + 1) * edges);
    }
  });
  test('of one that needs many rounds is more than one round: the bound is not idle', () => {
    const { looked, edges } = onion(64);
    expect(looked).toBeGreaterThan(20 * edges);
  });
});

describe('planted faults are caught by the comparison', () => {
  afterEach(() => void vi.restoreAllMocks());
  type Inside = {
    satisfied(part: object): boolean;
    split(task: object, found: (part: object) => void): void;
    region: Int32Array;
  };
  const inside = Streett.prototype as unknown as Inside;
  const caught = (): void => {
    expect(() => fc.assert(fc.property(TINY, sameAs(bruteForce)), { numRuns: 400, seed: 41 })).toThrow();
    vi.restoreAllMocks();
    fc.assert(fc.property(TINY, sameAs(bruteForce)), { numRuns: 50, seed: 41 });
  };

  test('a constraint that is skipped', () => {
    const real = Streett.prototype.fair;
    vi.spyOn(Streett.prototype, 'fair').mockImplementation(function skipping(this: Streett, among) {
      const counting = Array.from({ length: Math.max(0, this.marks.count - 1) }, (_, number) => number);
      return real.call(this, among, { active: bitset(this.marks, counting) });
    });
    caught();
  });
  test('pruning that stops after its first round', () => {
    let rounds = 0;
    const fair = Streett.prototype.fair;
    vi.spyOn(Streett.prototype, 'fair').mockImplementation(function counting(this: Streett, ...args) {
      rounds = 0;
      return fair.apply(this, args);
    });
    const real = inside.satisfied;
    vi.spyOn(inside, 'satisfied').mockImplementation(function early(this: Inside, part) {
      rounds += 1;
      return real.call(this, part) || rounds > 2;
    });
    caught();
  });
  test('a component that is thrown away whole where a part of it is fair', () => {
    const pruned = Streett.prototype as unknown as { pruned(part: { from: number; region: number }): object };
    vi.spyOn(pruned, 'pruned').mockImplementation(({ from, region }) => ({ from, end: from, region }));
    caught();
  });
  test('states that are taken for one component and are not', () => {
    vi.spyOn(inside, 'split').mockImplementation((task, found) => found(task));
    caught();
  });
  test('a loop that forgets to serve whoever asks', () => {
    const counting = vi.spyOn(Streett.prototype, 'counting', 'get');
    counting.mockReturnValue(new Int32Array(8));
    expect(() =>
      fc.assert(
        fc.property(problems(14, 50, 5), (problem) => void confirm(problem)),
        { numRuns: 400, seed: 45 },
      ),
    ).toThrow();
  });
});

describe('leaving out single words', () => {
  const needs = (wanted: string) => (words: readonly string[]) =>
    wanted.split('').every((each) => words.includes(each));
  test('ends when no single one can be left out', () => {
    expect(oneMinimal('abcabcab'.split(''), needs('abc'), 1_000)).toEqual({ words: ['c', 'a', 'b'], minimal: true });
  });
  test('says so when the limit comes first, and the words are still good', () => {
    const { words, minimal } = oneMinimal('abcabcab'.split(''), needs('abc'), 20);
    expect(minimal).toBe(false);
    expect(needs('abc')(words)).toBe(true);
  });
});
