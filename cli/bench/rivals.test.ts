import { describe, expect, test } from 'vitest';
import { boot, settings } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { properties } from '../../properties/index.ts';
import { signature } from '../../properties/property.ts';
import { twoPhaseCommit } from '../../properties/search/classics/two-phase-commit.ts';
import { Learned } from '../../properties/search/learned.ts';
import { countOf, panSays } from '../../properties/search/promela.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { HOW_TO_INSTALL, inFolder, spinVersion, verifierOf } from '../spin.ts';
import { measuring } from './measured.ts';
import { representative } from './representative.ts';
import { twoPhaseCommitInPromela } from './promela-twin.ts';
import { sweepWithImmer, walkWithCommands } from './rivals.ts';

/** The first settings of the designs that are small enough to be swept with immer in a moment. */
const small = designs
  .map((design) => boot(design, settings(design)[0]))
  .flatMap((booted) => {
    const found = sweep(booted, properties, { maxStates: 700 });
    return found.complete && found.states <= 700 ? [{ booted, found }] : [];
  });

describe('the design that is measured', () => {
  const swept = (worker: string) => {
    const booted = boot(representative, { worker });
    return { booted, found: sweep(booted, properties) };
  };
  test('has eight threads, five locks, six fences and four buffers', () => {
    const { threads, locks, fences, bos } = boot(representative, {}).machine.boot;
    expect([threads, locks, fences, bos].map((rows) => Object.keys(rows).length)).toEqual([8, 5, 6, 4]);
  });
  test('is convicted when a worker allocates that owes a fence, and acquitted when it does not', () => {
    const { found } = swept('allocates');
    expect(found.complete).toBe(true);
    expect([...new Set(found.findings.map(({ blame }) => blame.property))].sort()).toEqual(
      ['fence-signals', 'lock-order', 'no-alloc-in-signalling', 'no-deadlock'].sort(),
    );
    expect(swept('never_allocates').found).toMatchObject({ complete: true, findings: [] });
  });
});

describe('the rivals of the benchmark do the same work', () => {
  test('the sweep with immer has the states, steps and findings of the learned one', () => {
    expect(small.length).toBeGreaterThan(1);
    for (const { booted, found } of small) {
      const theirs = sweepWithImmer(booted, properties, booted.workload);
      expect({ ...theirs, found: [...theirs.found].sort() }, booted.design.name).toEqual({
        states: found.states,
        transitions: found.transitions,
        resting: found.resting,
        found: found.findings
          .filter(({ loop }) => !loop)
          .map(({ blame }) => signature(blame))
          .sort(),
      });
    }
  });
  test('without a property it finds nothing, so the findings above come from judging', () => {
    for (const { booted } of small) expect(sweepWithImmer(booted, [], booted.workload).found.size).toBe(0);
  });
  test('walks by commands take steps, find only what the sweep finds, and repeat with the seed', () => {
    for (const { booted, found } of small) {
      const walk = () => walkWithCommands(booted, properties, booted.workload, { seed: 5, runs: 10 });
      const { steps, found: convicted } = walk();
      expect(steps).toBeGreaterThan(20);
      expect(walk().steps).toBe(steps);
      const known = new Set(found.findings.map(({ blame }) => signature(blame)));
      expect([...convicted].filter((name) => !known.has(name))).toEqual([]);
    }
  });
  test('the Promela twin has the states of two-phase commit, by Spin', { tags: ['long'] }, ({ skip }) => {
    if (spinVersion() === undefined) skip(HOW_TO_INSTALL);
    for (const n of [3, 6]) {
      const learned = new Learned(twoPhaseCommit(n));
      const from = learned.packing.pack(learned.system.boot);
      const { states, transitions, stuck } = countOf(learned, from, { patient: true, maxStates: 100_000 });
      const said = inFolder((folder) => {
        const measure = measuring(folder);
        return measure(verifierOf(twoPhaseCommitInPromela(n), folder), '-c0', '-n');
      });
      expect(panSays(said.output)).toEqual({ states, transitions, errors: stuck });
      expect(said.peakBytes).toBeGreaterThan(1e6);
      expect(said.cpuSeconds).toBeGreaterThanOrEqual(0);
    }
  });
  test('a program that fails is no measurement', { tags: ['long'] }, ({ skip }) => {
    if (spinVersion() === undefined) skip(HOW_TO_INSTALL);
    inFolder((folder) => {
      const measure = measuring(folder);
      expect(() => measure(process.execPath, '-e', 'process.exit(3)')).toThrow(/ended with 3/);
      expect(measure(process.execPath, '-e', 'console.log("here")').output).toBe('here\n');
    });
  });
});
