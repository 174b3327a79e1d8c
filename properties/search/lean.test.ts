import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { boot, settings, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from './classics/small.ts';
import { twoPhaseCommit } from './classics/two-phase-commit.ts';
import { COMMUTES, Commuting, TOUCHED } from './commuting.ts';
import { explore } from './explore.ts';
import { FingerprintTable } from './fingerprints.ts';
import { Learned, type Turn, type Way } from './learned.ts';
import { lean } from './lean.ts';
import { smallSystems } from './small-systems.ts';
import { type System, kernelSystem } from './system.ts';

interface Seen {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
  /** Every state, with the length of the way to it and what everybody can do there. */
  readonly all: readonly string[];
  readonly steps: number;
}
interface Options {
  readonly patient: boolean;
  readonly steps: boolean;
}
const LIMIT = 6_000;

function seen<S extends object, F>(
  system: System<S, F>,
  from: S,
  search: 'full' | 'lean',
  { patient, steps }: Options,
): Seen | undefined {
  const learned = new Learned(system);
  const packed = learned.packing.pack(from);
  const all: string[] = [];
  let shown = 0;
  let schedule: (state: number) => string[] = () => [];
  const options = {
    maxStates: LIMIT,
    patient,
    begins: (shortest: typeof schedule) => void (schedule = shortest),
    state: (state: number, turns: readonly { readonly open: unknown }[], words: Uint16Array, at: number) => {
      const opens = turns.map(({ open }) => open);
      all.push(JSON.stringify([learned.packing.unpack(words, at), schedule(state).length, opens]));
    },
    ...(steps ? { step: () => void (shown += 1) } : {}),
  };
  const { transitions, depth, resting, ...rest } =
    search === 'lean' ? lean(learned, packed, options) : explore(learned, packed, { ...options, edges: false });
  if (!rest.exhausted) return undefined;
  const states = 'store' in rest ? rest.store.count : rest.states;
  return { states, transitions, depth, resting, all: all.sort(), steps: shown };
}
/** Compares two searches of one system; @returns its states, or nothing when there are too many. */
function sameInBoth<S extends object, F>(system: System<S, F>, from: S, options: Options): number | undefined {
  const full = seen(system, from, 'full', options);
  const slim = seen(system, from, 'lean', options);
  expect(slim).toEqual(full);
  if (full && options.steps) expect(slim?.steps).toBe(slim?.transitions);
  return full?.states;
}

const classics = [
  dieHard(),
  petersons(),
  petersons(true),
  philosophers(5),
  towersOfHanoi(5),
  twoPhaseCommit(4),
] as unknown as readonly System<{ readonly boot: string }, never>[];

describe('the lean search sees every state at its depth, and every step when it is asked for steps', () => {
  test('of the classics', () => {
    for (const system of classics)
      for (const steps of [false, true])
        expect(sameInBoth(system, system.boot, { patient: true, steps })).toBeGreaterThan(1);
  });
  test('of random small systems, in patient time and at any time', () => {
    let compared = 0;
    fc.assert(
      fc.property(smallSystems, fc.boolean(), fc.boolean(), (booted, patient, steps) => {
        const from = start(booted, booted.workload);
        if (sameInBoth(kernelSystem(booted.machine), from, { patient, steps })) compared += 1;
      }),
      { numRuns: 15, seed: 71 },
    );
    expect(compared).toBeGreaterThan(8);
  });
  test('of many more random small systems, and of every design', { tags: ['long', 'overnight'] }, () => {
    fc.assert(
      fc.property(smallSystems, fc.boolean(), (booted, patient) => {
        sameInBoth(kernelSystem(booted.machine), start(booted, booted.workload), { patient, steps: false });
      }),
      { numRuns: 300, seed: 72 },
    );
    for (const design of designs)
      for (const knobs of settings(design)) {
        const booted = boot(design, knobs);
        for (const patient of [true, false])
          sameInBoth(kernelSystem(booted.machine), start(booted, booted.workload), { patient, steps: false });
      }
  });
});

describe('of steps that commute most are not asked about', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });
  const asked = (steps: boolean): number => {
    let questions = 0;
    const add = FingerprintTable.prototype.add;
    vi.spyOn(FingerprintTable.prototype, 'add').mockImplementation(function count(
      this: FingerprintTable,
      highs,
      lows,
      n,
      fresh,
    ) {
      questions += n;
      return add.call(this, highs, lows, n, fresh);
    });
    const found = seen(twoPhaseCommit(4), twoPhaseCommit(4).boot, 'lean', { patient: true, steps });
    vi.restoreAllMocks();
    expect(found?.states).toBe(1_568);
    return questions;
  };
  test('two-phase commit with 4 takes a question for less than half of its steps; with a visitor of steps, all', () => {
    const all = asked(true);
    expect(all).toBe(5_377 + 1); // and one for the first state
    expect(asked(false)).toBeLessThan(all / 2);
  });

  /** How many of the classics come out wrong when the answers about steps and turns are tampered with. */
  const wrong = (tampered: (flags: number) => number): number => {
    const of = Commuting.prototype.of;
    vi.spyOn(Commuting.prototype, 'of').mockImplementation(function tamper(
      this: Commuting<object, never>,
      way: number,
      turn: number,
    ) {
      return tampered(of.call(this, way, turn));
    });
    return classics.filter((system) => {
      try {
        sameInBoth(system, system.boot, { patient: true, steps: false });
        return false;
      } catch {
        return true;
      }
    }).length;
  };
  test('states are lost when steps are said to commute that do not, and the comparison sees it', () => {
    expect(wrong((flags) => flags)).toBe(0);
    expect(wrong((flags) => flags | COMMUTES)).toBeGreaterThan(2);
  });
  test('processes that are not asked again do the wrong thing, and the comparison sees it', () => {
    expect(wrong((flags) => flags & ~TOUCHED)).toBeGreaterThan(2);
  });
  test('nor is time left out lightly: what it brings depends on everybody, and the comparison sees it', () => {
    // Commuting by footprints alone, without a word about time.
    const blind = Commuting.prototype as unknown as { commute(step: Way, other: Turn): boolean };
    const timeless = <T extends object>(way: T): T => ({ ...way, nature: 'owed', time: false });
    const commute = blind.commute;
    const lost = (): number => {
      let odd = 0;
      for (const booted of fc.sample(smallSystems, { numRuns: 40, seed: 5 })) {
        const learned = new Learned(kernelSystem(booted.machine));
        const from = learned.packing.pack(start(booted, booted.workload));
        const options = { patient: true, maxStates: 2_000 };
        const full = explore(learned, from, { ...options, edges: false });
        const slim = lean(learned, from, options);
        if (full.exhausted && (slim.states !== full.store.count || slim.depth !== full.depth)) odd += 1;
      }
      return odd;
    };
    expect(lost()).toBe(0);
    vi.spyOn(blind, 'commute').mockImplementation(function ignoringTime(this: object, step, other) {
      return commute.call(this as never, timeless(step), timeless(other));
    });
    expect(lost()).toBeGreaterThan(0);
  });
  test('to ask everybody again, and to leave out nothing, is slow but right', () => {
    expect(wrong((flags) => (flags | TOUCHED) & ~COMMUTES)).toBe(0);
  });
});
