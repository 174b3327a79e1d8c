import { describe, expect, test } from 'vitest';
import { explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { lean } from '../lean.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from './small.ts';
import type { Classic } from './classic.ts';
import { twoPhaseCommit } from './two-phase-commit.ts';

interface Size {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
}
const ALL = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };

function full<S extends object>(system: Classic<S>): Size {
  const learned = new Learned(system);
  const { store, transitions, depth, resting } = explore(learned, learned.packing.pack(system.boot), {
    ...ALL,
    edges: true,
  });
  return { states: store.count, transitions, depth, resting };
}
function slim<S extends object>(system: Classic<S>): Size {
  const learned = new Learned(system);
  const { states, transitions, depth, resting } = lean(learned, learned.packing.pack(system.boot), ALL);
  return { states, transitions, depth, resting };
}
/** Both searches, which must agree in everything. */
function size<S extends object>(system: () => Classic<S>): Size {
  const exact = full(system());
  expect(slim(system())).toEqual(exact);
  return exact;
}

describe('systems with published sizes, in full and by fingerprints', () => {
  const ladder = [
    [3, 288],
    [4, 1_568],
    [5, 8_832],
    [6, 50_816],
  ] as const;
  for (const [n, states] of ladder)
    test(`two-phase commit with ${n} resource managers has ${states} states`, () => {
      expect(size(() => twoPhaseCommit(n)).states).toBe(states);
    });
  for (const [n, states] of [
    [7, 296_448],
    [8, 1_745_408],
  ] as const)
    test(`two-phase commit with ${n} resource managers has ${states} states`, { tags: ['long'] }, () => {
      expect(slim(twoPhaseCommit(n)).states).toBe(states);
    });
  test('two-phase commit with 9 has 10,340,352 states and 77,616,641 edges, as Spin counts them', {
    tags: ['long'],
  }, () => {
    const { states, transitions } = slim(twoPhaseCommit(9));
    expect({ states, transitions }).toEqual({ states: 10_340_352, transitions: 77_616_641 });
  });

  test('Die Hard has 16 states', () => {
    expect(size(dieHard).states).toBe(16);
  });
  test('four gallons take six steps and no fewer', () => {
    const learned = new Learned(dieHard());
    let found: string[] | undefined;
    let schedule: (state: number) => string[] = () => [];
    explore(learned, learned.packing.pack(learned.system.boot), {
      ...ALL,
      edges: false,
      begins: (shortest) => (schedule = shortest),
      state(state, _turns, words, at) {
        if (
          !found &&
          learned.packing.unpack<{ jugs: Record<string, { water: number }> }>(words, at).jugs['big']?.water === 4
        )
          found = schedule(state);
      },
    });
    expect(found).toEqual([
      'hero/fill big',
      'hero/big to small',
      'hero/empty small',
      'hero/big to small',
      'hero/fill big',
      'hero/big to small',
    ]);
  });

  test('the Towers of Hanoi with n disks have 3^n states, 2^n - 1 moves deep', () => {
    for (const n of [1, 2, 3, 4, 5, 6]) {
      const { states, depth } = size(() => towersOfHanoi(n));
      expect({ states, depth }).toEqual({ states: 3 ** n, depth: 2 ** n - 1 });
    }
  });

  /** Counted a second way: who thinks, has one fork, or eats, such that no fork is in two hands. */
  const seatings = (n: number): number => {
    const count = (at: number, first: number, before: number): number => {
      if (at === n) return before === 2 && first > 0 ? 0 : 1;
      return [0, 1, 2]
        .filter((place) => !(before === 2 && place > 0))
        .reduce((sum, place) => sum + count(at + 1, at === 0 ? place : first, place), 0);
    };
    return count(0, 0, 0);
  };
  test('n philosophers have as many states as there are seatings, and one of them is the deadlock', () => {
    for (const n of [2, 3, 4, 5, 6, 7]) {
      const { states, resting } = size(() => philosophers(n));
      expect({ n, states, resting }).toEqual({ n, states: seatings(n), resting: 1 });
    }
  });

  const both = (broken: boolean): boolean => {
    const learned = new Learned(petersons(broken));
    let bad = false;
    explore(learned, learned.packing.pack(learned.system.boot), {
      ...ALL,
      edges: false,
      state(_state, _turns, words, at) {
        const { sides } = learned.packing.unpack<{ sides: Record<string, { at: string }> }>(words, at);
        if (Object.values(sides).every((side) => side.at === 'critical')) bad = true;
      },
    });
    return bad;
  };
  test("Peterson's algorithm excludes; without giving way it does not", () => {
    expect(both(false)).toBe(false);
    expect(both(true)).toBe(true);
    expect(size(petersons)).toMatchObject({ resting: 0 });
  });
});

test('a search that is cut short says so, in both', () => {
  const learned = new Learned(twoPhaseCommit(5));
  const boot = learned.packing.pack(learned.system.boot);
  expect(lean(learned, boot, { ...ALL, maxStates: 100 }).exhausted).toBe(false);
  expect(explore(learned, boot, { ...ALL, maxStates: 100, edges: false }).exhausted).toBe(false);
  expect(lean(learned, boot, ALL).exhausted).toBe(true);
});

test('a schedule of the lean search leads, by the readable code alone, to the state it stands for', () => {
  const system = twoPhaseCommit(4);
  const learned = new Learned(system);
  const wanted: { schedule: string[]; state: string }[] = [];
  let schedule: (state: number) => string[] = () => [];
  lean(learned, learned.packing.pack(system.boot), {
    ...ALL,
    begins: (shortest) => (schedule = shortest),
    state(state, _turns, words, at) {
      if (state % 97 === 0)
        wanted.push({ schedule: schedule(state), state: JSON.stringify(learned.packing.unpack(words, at)) });
    },
  });
  expect(wanted.length).toBeGreaterThan(10);
  for (const { schedule: words, state } of wanted) {
    const plain = structuredClone(system.boot);
    for (const each of words) {
      const [process, outcome] = each.split('/') as [string, string];
      expect(system.open(plain, process)).toMatchObject({
        kind: 'ready',
        outcomes: expect.arrayContaining([outcome]) as unknown,
      });
      system.step(plain, process, outcome);
    }
    expect(JSON.stringify(plain)).toBe(state);
  }
});
