import { type TestContext, describe, expect, test } from 'vitest';
import { boot, settings, showKnobs, start } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from '../properties/search/classics/small.ts';
import { twoPhaseCommit } from '../properties/search/classics/two-phase-commit.ts';
import { Learned } from '../properties/search/learned.ts';
import { type Errors, countOf, difference, promela, recount } from '../properties/search/promela.ts';
import { type System, kernelSystem } from '../properties/search/system.ts';
import { HOW_TO_INSTALL, spinRun, spinVersion } from './spin.ts';

/** Beyond this a count in full states, ours and Spin's, takes too long for a test. */
const SMALL_ENOUGH = 300_000;
const long = { tags: ['long'] };
const overnight = { tags: ['long', 'overnight'] };

function spinAgrees<S extends object, F>(system: System<S, F>, from: S, patient: boolean, errors: Errors): string {
  const learned = new Learned(system);
  const packed = learned.packing.pack(from);
  const ours = countOf(learned, packed, { patient, maxStates: SMALL_ENOUGH });
  const text = promela(learned, packed, { patient, errors });
  return difference(ours, recount(text, { run: spinRun(ours.states) }), errors) ?? 'agree';
}
const needsSpin = ({ skip }: TestContext): void => {
  if (spinVersion() === undefined) skip(HOW_TO_INSTALL);
};

describe('Spin counts the same states, steps and stuck states', () => {
  const agrees = <S extends object>(name: string, system: System<S, never>): void => {
    test(`${name}, and its states at rest`, long, (context) => {
      needsSpin(context);
      expect(spinAgrees(system, system.boot, true, 'stuck')).toBe('agree');
      expect(spinAgrees(system, system.boot, true, 'resting')).toBe('agree');
    });
  };
  agrees('Die Hard', dieHard());
  agrees("Peterson's algorithm", petersons());
  agrees("Peterson's algorithm without giving way", petersons(true));
  agrees('seven philosophers', philosophers(7));
  agrees('the Towers of Hanoi with six disks', towersOfHanoi(6));
  for (const n of [3, 6, 7]) agrees(`two-phase commit with ${n}`, twoPhaseCommit(n));
  for (const design of designs)
    test(`${design.name}, every setting, in patient time`, overnight, (context) => {
      needsSpin(context);
      for (const knobs of settings(design)) {
        const booted = boot(design, knobs);
        const from = start(booted, booted.workload);
        expect(spinAgrees(kernelSystem(booted.machine), from, true, 'stuck'), showKnobs(knobs)).toBe('agree');
      }
    });
  for (const design of designs)
    test(`${design.name}, every setting with timers at any time, and its states at rest`, overnight, (context) => {
      needsSpin(context);
      for (const knobs of settings(design)) {
        const booted = boot(design, knobs);
        const from = start(booted, booted.workload);
        expect(spinAgrees(kernelSystem(booted.machine), from, false, 'resting'), showKnobs(knobs)).toBe('agree');
      }
    });
});

describe('Spin is heard when it does not agree', () => {
  test('a command that was lost shows', long, (context) => {
    needsSpin(context);
    const learned = new Learned(philosophers(4));
    const from = learned.packing.pack(learned.system.boot);
    const ours = countOf(learned, from, { patient: true, maxStates: 1000 });
    const text = promela(learned, from, { patient: true });
    const lost = text
      .split('\n')
      .filter((line) => !line.includes('/* p2/right */'))
      .join('\n');
    expect(lost).not.toBe(text);
    expect(difference(ours, recount(text, { run: spinRun(ours.states) }))).toBeUndefined();
    expect(difference(ours, recount(lost, { run: spinRun(ours.states) }))).toMatch(/states: .* by Spin/);
  });
  test('a model that is none, and a search that is too deep, are refused with its own words', long, (context) => {
    needsSpin(context);
    expect(() => spinRun(10)('active proctype p0() { nonsense }')).toThrow(/spin/);
    const learned = new Learned(towersOfHanoi(5));
    const from = learned.packing.pack(learned.system.boot);
    countOf(learned, from, { patient: true, maxStates: 1000 });
    const text = promela(learned, from, { patient: true });
    expect(() => recount(text, { run: spinRun(20) })).toThrow(/did not search everything/);
  });
});

test('without Spin, what to install is said', () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '';
  try {
    expect(spinVersion()).toBeUndefined();
    expect(() => spinRun(10)('active proctype p0() { skip }')).toThrow(/apt-get install spin/);
  } finally {
    process.env['PATH'] = path;
  }
});
