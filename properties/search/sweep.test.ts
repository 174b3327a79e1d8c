import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boot, settings, showKnobs } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { type Op, type Machine } from '../../model/machine.ts';
import { judge } from '../judge.ts';
import { properties } from '../index.ts';
import { signature } from '../property.ts';
import { plainSweep } from './plain-sweep.ts';
import { smallSystems } from './small-systems.ts';
import { StateStore } from './store.ts';
import { sweep } from './sweep.ts';

/** States up to which the plain sweep is asked; it does about ten thousand a second. */
const SMALL = 400;

function sameAsPlain(booted: Parameters<typeof sweep>[0]): void {
  const small = sweep(booted, properties, { maxStates: SMALL }).complete;
  const learned = sweep(booted, properties, { verifyEvery: small ? 1 : 20, maxStates: SMALL });
  if (!small) return;
  const plain = plainSweep(booted, properties);
  expect({
    states: learned.states,
    transitions: learned.transitions,
    depth: learned.depth,
    resting: learned.resting,
  }).toEqual({
    states: plain.states,
    transitions: plain.transitions,
    depth: plain.depth,
    resting: plain.resting,
  });
  expect([...learned.witnesses].sort()).toEqual([...plain.witnesses].sort());
  const straight = learned.findings.filter(({ loop }) => loop === undefined);
  expect(straight.map(({ blame }) => signature(blame)).sort()).toEqual([...plain.found.keys()].sort());
  for (const { blame, schedule } of straight) {
    const length = plain.found.get(signature(blame)) as number;
    if (length >= 0) expect(schedule.length, signature(blame)).toBe(length);
  }
}

describe('the learning sweep and the plain one', () => {
  test('agree on random small systems: states, transitions, depth, verdicts, shortest lengths, witnesses', () => {
    fc.assert(fc.property(smallSystems, sameAsPlain), { numRuns: 12, seed: 20260 });
  }, 120_000);

  for (const design of designs)
    settings(design).forEach((knobs, nth) => {
      test(`agree on ${design.name} ${showKnobs(knobs)}`, nth === 0 ? {} : { tags: ['long', 'overnight'] }, () =>
        sameAsPlain(boot(design, knobs)),
      );
    });
});

describe('every finding of the sweep', () => {
  test('is one that the judge, on plain objects, convicts too', () => {
    fc.assert(
      fc.property(smallSystems, (booted) => {
        for (const { blame, schedule, loop } of sweep(booted, properties, { maxStates: 50_000 }).findings) {
          const run = { design: 'small', knobs: {}, workload: booted.workload, schedule, ...(loop ? { loop } : {}) };
          expect(judge(booted, run, properties).verdicts.map((verdict) => signature(verdict.blame))).toContain(
            signature(blame),
          );
        }
      }),
      { numRuns: 100, seed: 7 },
    );
  }, 120_000);

  test('is gone from the judgement when its last word is taken away', () => {
    const booted = boot(designs[0] as (typeof designs)[0], { order: 'opposite' });
    const found = sweep(booted, properties).findings.find(({ blame }) => blame.property === 'no-deadlock');
    const schedule = found?.schedule.slice(0, -1) ?? [];
    expect(
      judge(booted, { design: 'canary-abba', knobs: booted.knobs, workload: {}, schedule }, properties).verdicts,
    ).toEqual([]);
  });
});

describe('planted bugs in the engine are caught', () => {
  const canary = boot(designs[0] as (typeof designs)[0], { order: 'opposite' });

  test('an instruction with hidden state: verify mode names it', () => {
    let calls = 0;
    const real = canary.machine.ops['mutex_unlock'] as Op;
    const hidden: Op = {
      ...real,
      run(kernel, thread, operands, outcome) {
        real.run(kernel, thread, operands, outcome);
        calls += 1;
        if (calls > 2) (kernel.threads[thread] as { ret: string }).ret = 'late';
      },
    };
    const machine: Machine = { ...canary.machine, ops: { ...canary.machine.ops, mutex_unlock: hidden } };
    expect(() => sweep({ ...canary, machine }, properties, { verifyEvery: 1 })).toThrow(
      /not a function of the state it reads/,
    );
  });

  test('waits() that writes: refused by name', () => {
    const real = canary.machine.ops['mutex_lock'] as Op;
    const writing: Op = {
      ...real,
      waits(kernel) {
        (kernel.locks['a'] as { owner: string | null }).owner = null;
        return undefined;
      },
    };
    const machine: Machine = { ...canary.machine, ops: { ...canary.machine.ops, mutex_lock: writing } };
    expect(() => sweep({ ...canary, machine }, properties)).toThrow(/only run\(\) may/);
  });

  test('a store that takes a new state for a seen one: the count differs from the plain sweep', () => {
    const real = StateStore.prototype.add;
    let adds = 0;
    StateStore.prototype.add = function dropping(this: StateStore, candidate, high, low) {
      adds += 1;
      return adds === 9 ? 0 : real.call(this, candidate, high, low);
    };
    try {
      expect(() => sameAsPlain(canary)).toThrow();
    } finally {
      StateStore.prototype.add = real;
    }
    sameAsPlain(canary);
  });

  test('equal fingerprints of different states: both are kept, because states are compared in full', () => {
    const store = new StateStore(4);
    expect(store.add(Int32Array.of(1, 2), 7, 7)).toBe(0);
    expect(store.add(Int32Array.of(2, 1), 7, 7)).toBe(1);
    expect(store.add(Int32Array.of(1, 2), 7, 7)).toBe(0);
    expect(store.count).toBe(2);
  });
});

describe('a sweep that is cut short', () => {
  test('says so, and does not call itself complete', () => {
    const booted = boot(designs[0] as (typeof designs)[0], { order: 'same' });
    expect(sweep(booted, properties, { maxStates: 5 }).complete).toBe(false);
    expect(sweep(booted, properties).complete).toBe(true);
  });
});
