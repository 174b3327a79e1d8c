import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Choice, choicesOf, follow, parseWord } from '../../model/case.ts';
import { type Booted, boot, start } from '../../model/design.ts';
import { fairness } from '../lasso.ts';
import { fairCircles } from './circles.ts';
import { canonical, int, table } from '../../model/schema.ts';
import { type Classic, classic } from './classics/classic.ts';
import { type Claim, claimed, edgesOf, everyState, fairTo, fairToProcess, neverReaching } from './constraints.ts';
import { explore } from './explore.ts';
import { fairLoop } from './fair-loop.ts';
import { Learned } from './learned.ts';
import { type Loops, loops, loopy } from './loopy-systems.ts';
import { accusedPlainly, statesOnFairCircles, unfairTo } from './plain-circles.ts';
import { recipes, smallDesign } from './small-systems.ts';
import { type Constraint, Streett, bitset, membersOf } from './streett.ts';
import { kernelSystem } from './system.ts';

const moving = (words: readonly string[]): string[] => [...new Set(words.map((text) => parseWord(text).thread))];
/** States up to which the plain search is asked. */
const MOST = 150;
function compare(booted: Booted, patient: boolean): { accused: number; circles: number } {
  const from = start(booted, booted.workload);
  const plain = accusedPlainly(booted.machine, structuredClone(from), patient, MOST);
  if (!plain) return { accused: 0, circles: 0 };
  const learned = new Learned(kernelSystem(booted.machine));
  const graph = explore(learned, learned.packing.pack(from), { maxStates: MOST, patient, edges: true });
  const circles = fairCircles(booted.machine, graph, patient);
  const accused = new Map<string, number>();
  for (const { circle, stem } of circles)
    for (const whom of [...circle.fruitless, ...circle.pending.map((fence) => `fence ${fence}`)])
      accused.set(whom, Math.min(stem.length, accused.get(whom) ?? stem.length));
  expect(Object.fromEntries(accused), 'the same, by the same shortest stems').toEqual(Object.fromEntries(plain));
  for (const { circle, stem, loop, minimal, how } of circles) {
    const kernel = structuredClone(from);
    for (const text of stem) expect(follow(booted.machine, kernel, text, patient).choice, text).toBeDefined();
    const whole = fairness(booted.machine, kernel, loop, patient);
    expect(whole).toMatchObject({ fair: true, circle: { fruitless: circle.fruitless, pending: circle.pending }, how });
    expect(minimal).toBe(true);
    const same = (words: readonly string[]): boolean => {
      const checked = fairness(booted.machine, kernel, words, patient);
      const kept = (now: readonly string[], before: readonly string[]) => before.every((name) => now.includes(name));
      return (
        checked.fair &&
        kept(checked.circle.fruitless, circle.fruitless) &&
        kept(checked.circle.pending, circle.pending) &&
        kept(
          moving(words),
          moving(loop).filter((thread) => circle.fruitless.includes(thread)),
        )
      );
    };
    loop.forEach((_, at) => {
      if (loop.length > 1)
        expect(same([...loop.slice(0, at), ...loop.slice(at + 1)]), `without word ${at}`).toBe(false);
    });
  }
  return { accused: accused.size, circles: circles.length };
}
function compareAll<Data>(
  data: fc.Arbitrary<Data>,
  booted: (data: Data) => Booted,
  numRuns: number,
  seed: number,
): number {
  let found = 0;
  fc.assert(
    fc.property(data, fc.boolean(), (each, patient) => void (found += compare(booted(each), patient).accused)),
    { numRuns, seed },
  );
  return found;
}
/** Whoever finds the lock taken tries again; whoever gets it and then no memory, too. Only the first can go on for ever. */
const PARTLY: Loops = {
  one: { pieces: ['try a, alloc or again'], ever: false },
  two: { pieces: ['with a', 'progress'], ever: true },
  maybe: null,
};

describe('fair circles of kernels', () => {
  test('accuse whom the plain search accuses, on random kernels that go round', () => {
    expect(compareAll(loops, loopy, 50, 3)).toBeGreaterThan(15);
  });
  test('and on random small systems', () => {
    compareAll(recipes, (recipe) => boot(smallDesign(recipe)), 10, 4);
  });
  test('and on many more', { tags: ['long', 'overnight'] }, () => {
    expect(compareAll(loops, loopy, 2_000, 5)).toBeGreaterThan(500);
    compareAll(recipes, (recipe) => boot(smallDesign(recipe)), 200, 6);
  });
  test('accuse a thread that can go round in a part of a component, fair only there', () => {
    expect(compare(loopy(PARTLY), true).accused).toBe(1);
    expect(compare(loopy({ ...PARTLY, two: { pieces: ['busy', 'progress'], ever: true } }), true).accused).toBe(0);
  });
  test('include those of timers that may fire at any time', () => {
    const armed: Loops = {
      one: { pieces: ['arm'], ever: true },
      two: { pieces: ['busy'], ever: false },
      maybe: null,
    };
    for (const patient of [true, false]) compare(loopy(armed), patient);
    expect(compare(loopy(armed), false).accused).toBe(1);
  });
});

/** A random system of three variables and three processes, as data. */
interface Sketch {
  readonly commands: readonly (readonly Line[])[];
  readonly goal: Look;
  readonly wishes: readonly {
    readonly strong: boolean;
    readonly about: 'process' | 'action' | 'variable';
    readonly nth: number;
  }[];
}
interface Look {
  readonly variable: number;
  readonly is: boolean;
  readonly value: number;
}
interface Line {
  readonly when: readonly Look[];
  readonly variable: number;
  readonly add: number;
}
const digit = fc.nat(2);
const looks: fc.Arbitrary<Look> = fc.record({ variable: digit, is: fc.boolean(), value: digit });
const sketches: fc.Arbitrary<Sketch> = fc.record({
  commands: fc.array(
    fc.array(fc.record({ when: fc.array(looks, { maxLength: 2 }), variable: digit, add: digit }), {
      minLength: 1,
      maxLength: 2,
    }),
    { minLength: 3, maxLength: 3 },
  ),
  goal: looks,
  wishes: fc.array(
    fc.record({ strong: fc.boolean(), about: fc.constantFrom('process', 'action', 'variable'), nth: digit }),
    { maxLength: 5 },
  ),
});
const schema = { variables: table({ value: int(2) }) };
interface State {
  variables: Record<string, { value: number }>;
}
const valueOf = (state: State, variable: number): number => state.variables[`v${variable}`]?.value ?? 0;
const holds = (state: State, { variable, is, value }: Look): boolean => (valueOf(state, variable) === value) === is;
const nameOf = (line: Line, nth: number): string => `${nth}:v${line.variable}+${line.add}`;
const systemOf = ({ commands }: Sketch): Classic<State> =>
  classic<State>({
    schema,
    given: { variables: { v0: {}, v1: {}, v2: {} } },
    processes: Object.fromEntries(
      commands.map((lines, process) => [
        `p${process}`,
        Object.fromEntries(
          lines.map((line, nth) => [
            nameOf(line, nth),
            {
              when: (state: State) => line.when.every((look) => holds(state, look)),
              then: (state: State) => {
                const row = state.variables[`v${line.variable}`] as { value: number };
                row.value = (row.value + line.add) % 3;
              },
            },
          ]),
        ),
      ]),
    ),
  });
/** The actions that a wish is about: all of a process, its first one, all that write one variable. */
const meant =
  ({ about, nth }: Sketch['wishes'][number]) =>
  (action: { thread: string; outcome: string }): boolean =>
    about === 'process'
      ? action.thread === `p${nth}`
      : about === 'action'
        ? action.thread === `p${nth}` && action.outcome.startsWith('0:')
        : action.outcome.includes(`:v${nth}+`);
const claimsOf = ({ wishes }: Sketch): Claim<unknown>[] =>
  wishes.map((wish) =>
    wish.about === 'process'
      ? fairToProcess(wish.strong ? 'strong' : 'weak', `p${wish.nth}`)
      : fairTo(wish.strong ? 'strong' : 'weak', wish.about, meant(wish)),
  );

/** By the readable code alone: the states outside the goal on fair circles that never meet it, as texts. */
function plainly(sketch: Sketch): { onCircles: string[]; constraints: Constraint[]; number: (state: State) => number } {
  const system = systemOf(sketch);
  const states = [structuredClone(system.boot)];
  const numbers = new Map([[canonical(system.boot), 0]]);
  const steps: { from: number; to: number; label: number; choice: Choice }[] = [];
  const choicesIn = (state: State): Choice[] =>
    system.processes.flatMap((process) => [...choicesOf(process, system.open(state, process))]);
  for (let from = 0; from < states.length; from += 1)
    for (const choice of choicesIn(states[from] as State)) {
      const after = structuredClone(states[from] as State);
      system.step(after, choice.thread, choice.outcome);
      const to = numbers.get(canonical(after)) ?? states.push(after) - 1;
      numbers.set(canonical(after), to);
      steps.push({ from, to, label: steps.length, choice });
    }
  const constraints = sketch.wishes.map(
    (wish, nth): Constraint => ({
      name: `wish ${nth}`,
      strength: wish.strong ? 'strong' : 'weak',
      enabledIn: (state) => choicesIn(states[state] as State).some(meant(wish)),
      takenBy: (label) => meant(wish)((steps[label] as (typeof steps)[0]).choice),
    }),
  );
  const outside = [...states.keys()].filter((state) => !holds(states[state] as State, sketch.goal));
  const onCircles = [...statesOnFairCircles(outside, steps, constraints)].map((state) => canonical(states[state]));
  return { onCircles: onCircles.sort(), constraints, number: (state) => numbers.get(canonical(state)) ?? -1 };
}

/** By the engine: the same, and a loop for each component, walked by the readable code. */
function learnedly(
  sketch: Sketch,
  active?: (count: number) => readonly number[],
): { onCircles: string[]; loops: number } {
  const system = systemOf(sketch);
  const learned = new Learned(system);
  const graph = explore(learned, learned.packing.pack(system.boot), { maxStates: 1_000, patient: true, edges: true });
  const stateAt = (state: number): State =>
    learned.packing.unpack<State>(graph.store.words, state * learned.packing.width);
  const edges = edgesOf(graph);
  const outside = everyState(graph).filter((state) => !holds(stateAt(state), sketch.goal));
  // Everything outside the goal can be reached; what leads nowhere but to the goal has no circle.
  expect(
    neverReaching(
      edges,
      () => true,
      (state) => holds(stateAt(state), sketch.goal),
    ),
  ).toEqual(outside);
  const claims = claimsOf(sketch);
  const marks = claimed(graph, claims, outside);
  const streett = new Streett(edges, marks);
  const components = streett.fair(outside, active ? { active: bitset(marks, active(claims.length)) } : {});
  for (const component of components) {
    const plain = stateAt(component.nearest);
    const states: State[] = [];
    const taken: Choice[] = [];
    for (const edge of fairLoop(streett, component)) {
      const way = graph.way[graph.wayOf[edge] as number] as Choice;
      states.push(structuredClone(plain));
      taken.push(way);
      expect(holds(plain, sketch.goal)).toBe(false);
      expect(choicesOf(way.thread, system.open(plain, way.thread)).map(({ outcome }) => outcome)).toContain(
        way.outcome,
      );
      system.step(plain, way.thread, way.outcome);
    }
    expect(plain).toEqual(stateAt(component.nearest));
    const { constraints, number } = plainly(sketch);
    const wishes = constraints.map(
      (each, nth): Constraint => ({
        ...each,
        takenBy: (label) => meant(sketch.wishes[nth] as Sketch['wishes'][number])(taken[label] as Choice),
      }),
    );
    expect(
      unfairTo(
        states.map(number),
        taken.map((_, label) => ({ from: label, to: label, label })),
        wishes,
      ),
    ).toBeUndefined();
  }
  return {
    onCircles: [...membersOf(components)].map((state) => canonical(stateAt(state))).sort(),
    loops: components.length,
  };
}

describe('fair circles of random systems, fair to processes, actions and objects', () => {
  const same = (sketch: Sketch): void => {
    expect(learnedly(sketch).onCircles).toEqual(plainly(sketch).onCircles);
  };
  afterEach(() => void vi.restoreAllMocks());

  test('are in the states in which the plain search finds them, and their loops are real', () => {
    fc.assert(fc.property(sketches, same), { numRuns: 300, seed: 8 });
  }, 60_000);
  test('are there and are not there, both often', () => {
    const loops = fc.sample(sketches, { numRuns: 150, seed: 8 }).map((sketch) => learnedly(sketch).loops);
    expect(loops.filter((count) => count > 0).length).toBeGreaterThan(30);
    expect(loops.filter((count) => count === 0).length).toBeGreaterThan(30);
  });
  test('are in thousands of them where the plain search finds them', { tags: ['long'] }, () => {
    fc.assert(fc.property(sketches, same), { numRuns: 4_000, seed: 9 });
  });
  test('are wrong when one wish is left out, and the comparison sees it', () => {
    const forgetful = (sketch: Sketch): void => {
      const without = (count: number): number[] => [...Array(Math.max(0, count - 1)).keys()];
      expect(learnedly(sketch, without).onCircles).toEqual(plainly(sketch).onCircles);
    };
    expect(() => fc.assert(fc.property(sketches, forgetful), { numRuns: 300, seed: 8 })).toThrow();
  });
});

describe('planted faults in the search for circles are caught', () => {
  afterEach(() => void vi.restoreAllMocks());
  type Inside = {
    satisfied(part: object): boolean;
    pruned(part: object): object;
    split(task: object, found: (part: object) => void): void;
  };
  const inside = Streett.prototype as unknown as Inside;
  const caught = (): void => {
    expect(() => {
      compare(loopy(PARTLY), true);
      compareAll(loops, loopy, 50, 3);
    }).toThrow();
  };
  test('every component is called fair: the checker of lassos, or the loop itself, denies it', () => {
    vi.spyOn(inside, 'satisfied').mockReturnValue(true);
    caught();
  });
  test('no component is called fair where a part of it is: the plain search accuses somebody else', () => {
    vi.spyOn(inside, 'pruned').mockImplementation(() => ({ from: 0, end: 0, region: 0 }));
    caught();
  });
  test('all states are taken for one component', () => {
    vi.spyOn(inside, 'split').mockImplementation((task, found) => found(task));
    caught();
  });
});
