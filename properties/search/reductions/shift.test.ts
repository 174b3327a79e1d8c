import { describe, expect, test } from 'vitest';
import { type Design, boot } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { type Kept, flag, seqno, table } from '../../../model/schema.ts';
import { properties } from '../../index.ts';
import { type Classic, classic } from '../classics/classic.ts';
import { explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { sweep } from '../sweep.ts';
import type { Reductions } from './reductions.ts';
import { reduced } from './reduced.ts';
import { Shifts } from './shift.ts';

const NUMBERS = 8;
const WINDOW = 3;
const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };

const fields = { points: table({ at: seqno('ring', NUMBERS) }), waiters: table({ waits: flag }) };
type Ring = Kept<typeof fields>;
const at = (state: Ring, point: string): number => state.points[point]?.at as number;
const set = (state: Ring, point: string, number: number): void => {
  (state.points[point] as { at: number }).at = number % NUMBERS;
};
const behind = (state: Ring, one: string, other: string): number =>
  (at(state, other) - at(state, one) + NUMBERS) % NUMBERS;
const waiter = (state: Ring): { waits: boolean } => state.waiters['waiter'] as { waits: boolean };

/** A ring with a few jobs under way, and somebody who waits for the last one; seqnos go round. */
const ring = (mayEmit: (emitted: number) => boolean = () => true): Classic<Ring> =>
  classic<Ring>({
    schema: fields,
    given: { points: { emitted: {}, completed: {}, wanted: {} }, waiters: { waiter: {} } },
    processes: {
      driver: {
        emit: {
          when: (state) => behind(state, 'completed', 'emitted') < WINDOW && mayEmit(at(state, 'emitted')),
          then: (state) => {
            set(state, 'emitted', at(state, 'emitted') + 1);
          },
        },
      },
      gpu: {
        complete: {
          when: (state) => behind(state, 'completed', 'emitted') > 0,
          then: (state) => {
            set(state, 'completed', at(state, 'completed') + 1);
          },
        },
      },
      user: {
        wait: {
          when: (state) => !waiter(state).waits,
          then: (state) => {
            set(state, 'wanted', at(state, 'emitted'));
            waiter(state).waits = true;
          },
        },
        wake: {
          when: (state) => waiter(state).waits && behind(state, 'wanted', 'completed') < NUMBERS / 2,
          then: (state) => void (waiter(state).waits = false),
        },
      },
    },
  });

/** What only distances tell of a state. */
const distances = (state: Ring): string =>
  JSON.stringify([behind(state, 'completed', 'emitted'), behind(state, 'wanted', 'emitted'), waiter(state).waits]);

interface Found {
  readonly states: number;
  readonly orbits: ReadonlySet<string>;
  readonly leaves: number;
}
function inFull(system: Classic<Ring>): Found {
  const learned = new Learned(system);
  const orbits = new Set<string>();
  const { store } = explore(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    edges: false,
    state: (_state, _turns, words, from) => void orbits.add(distances(learned.packing.unpack(words, from))),
  });
  return { states: store.count, orbits, leaves: learned.leaves };
}
function shifting(system: Classic<Ring>): Found {
  const learned = new Learned(system);
  const orbits = new Set<string>();
  const { states } = reduced(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    clusters: false,
    merges: false,
    debts: false,
    shifts: new Shifts(learned),
    state: (_state, _turns, words, from) => void orbits.add(distances(learned.packing.unpack(words, from))),
  });
  return { states, orbits, leaves: learned.leaves };
}

describe('a ring with seqnos that go round', () => {
  test('has as many states as its distances have shifts', () => {
    const full = inFull(ring());
    const orbits = shifting(ring());
    expect(orbits.orbits).toEqual(full.orbits);
    expect(orbits.states).toBe(full.orbits.size);
    expect(orbits.states * NUMBERS).toBe(full.states);
    expect([full.states, orbits.states]).toEqual([512, 64]);
  });
  test('of which one number matters is refused, naming who looks at it', () => {
    expect(() => shifting(ring((emitted) => emitted !== 5))).toThrow(
      /^a number itself matters: with ring by \d, driver does not do what it does without/,
    );
  });
  test('is not shifted where something else is left out: that is learned of the numbers that were kept', () => {
    const learned = new Learned(ring());
    const shifts = new Shifts(learned);
    const from = learned.packing.pack(learned.system.boot);
    for (const modes of [
      { clusters: true, merges: false },
      { clusters: false, merges: true },
      { clusters: false, merges: false, sleeps: true },
    ])
      expect(() => reduced(learned, from, { ...EVERYTHING, ...modes, debts: false, shifts })).toThrow(
        'numbers are shifted only where nothing else is left out',
      );
  });
  test('a planted fault, a form that forgets distances, loses states', () => {
    const { form } = Shifts.prototype;
    Shifts.prototype.form = function forgetful(this: Shifts<object, unknown>, words: Uint16Array) {
      return form.call(this, words).fill(0);
    };
    try {
      expect(shifting(ring()).states).toBeLessThan(inFull(ring()).orbits.size);
    } finally {
      Shifts.prototype.form = form;
    }
  });
});

describe('a kernel', () => {
  const booted = boot(designs[0] as Design);
  test('has no such numbers: its states are all kept', () => {
    expect(sweep(booted, properties, { reduce: { shift: true } }).states).toBe(sweep(booted, properties).states);
  });
  test('is not searched with shifts and anything else, which is refused by its name', () => {
    for (const [reduce, name] of [
      [{ partialOrder: true }, 'persistent sets'],
      [{ merge: true }, 'merged steps'],
      [{ sleep: true }, 'sleep sets'],
      [{ symmetry: true }, 'symmetry'],
    ] as const satisfies readonly (readonly [Reductions, string])[])
      expect(() => sweep(booted, properties, { reduce: { ...reduce, shift: true } })).toThrow(
        `no seqno shifting with ${name}`,
      );
  });
});
