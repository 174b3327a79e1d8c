import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, boot, settings } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { properties } from '../../index.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { Learned } from '../learned.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { type Sweep, sweep } from '../sweep.ts';
import type { System } from '../system.ts';
import { type BreadthOptions, type Snapshot, breadthFirst } from './breadth.ts';
import { type About, decodeCheckpoint, encodeCheckpoint, hashOf, systemHash } from './checkpoint.ts';
import { randomSystems } from './random-systems.ts';
import { MODES, type Mode } from './seen.ts';

type Any = System<object, any>;
const ALL = { maxStates: Number.MAX_SAFE_INTEGER, patient: true, bits: { log2: 16, hashes: 3 } };
const ABOUT: About = { design: 'a test', mode: 'any' };

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
/** Through bytes and back, so that nothing of the interrupted search is shared with the one that goes on. */
const written = (snapshot: Snapshot): Snapshot => decodeCheckpoint(joined(encodeCheckpoint(ABOUT, snapshot)), ABOUT);

/**
 * A search that is stopped after each of these numbers of levels and gone on with by a learner that knows nothing;
 * everything that its visitors saw, in order, and its numbers.
 */
function searched(system: () => Any, mode: Mode, levels: readonly number[], stepping = false): unknown {
  const seen: unknown[] = [];
  let resume: Snapshot | undefined;
  for (const stop of [...levels, Infinity]) {
    const learned = new Learned<object, any>(system());
    let level = 0;
    let schedule: (state: number) => string[] = () => [];
    const options: BreadthOptions<any> = {
      ...ALL,
      mode,
      edges: mode === 'full',
      ...(resume ? { resume } : {}),
      begins: (shortest) => (schedule = shortest),
      state: (state, _turns, words, at) => seen.push([state, schedule(state), learned.packing.unpack(words, at)]),
      ...(stepping ? { step: (way, state) => seen.push([way.outcome, state]) } : {}),
      between(snapshot) {
        level += 1;
        if (level <= stop) return undefined;
        resume = written(snapshot());
        return 'stopped by the test';
      },
      remembers: () => ({ seen: seen.length }),
      recalls: (remembered) => expect(remembered).toEqual({ seen: seen.length }),
    };
    const found = breadthFirst(learned, learned.packing.pack(learned.system.boot), options);
    if (found.why === 'stopped by the test') continue;
    const { states, transitions, depth, resting, expanded, doubt, graph } = found;
    const edges = graph && [
      graph.first.subarray(0, states + 1).join(),
      graph.to.subarray(0, transitions).join(),
      Array.from(graph.wayOf.subarray(0, transitions), (way) => graph.way[way]?.outcome),
    ];
    return { states, transitions, depth, resting, expanded, doubt, story: hashOf(JSON.stringify([seen, edges])) };
  }
  return 'it never came to an end';
}
const goesOn = (system: () => Any, mode: Mode, levels: readonly number[]): void => {
  for (const stepping of [false, true])
    expect(searched(system, mode, levels, stepping), `${mode}, stopped after ${levels.join(', ')}`).toEqual(
      searched(system, mode, [], stepping),
    );
};

describe('a search that is interrupted and gone on with ends as one that is not', () => {
  test('on the classics, in every mode, after the first level, in the middle, and again and again', () => {
    for (const mode of MODES) {
      goesOn(() => twoPhaseCommit(3), mode, [0]);
      goesOn(() => twoPhaseCommit(3), mode, [4]);
      goesOn(() => twoPhaseCommit(4), mode, [1, 2, 0, 3]);
      goesOn(dieHard, mode, [2, 0, 0]);
      goesOn(petersons, mode, [3]);
      goesOn(() => philosophers(4), mode, [2]);
      goesOn(() => towersOfHanoi(4), mode, [7, 2]);
    }
  });
  test('on random systems, at random levels', () => {
    fc.assert(
      fc.property(
        randomSystems,
        fc.constantFrom(...MODES),
        fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 3 }),
        (system, mode, levels) => {
          const learned = new Learned<object, any>(system);
          const from = learned.packing.pack(system.boot);
          if (breadthFirst(learned, from, { ...ALL, mode: 'tree', edges: false, maxStates: 500 }).exhausted)
            goesOn(() => system, mode, levels);
        },
      ),
      { numRuns: 40, seed: 11 },
    );
  });
  test('two-phase commit with 8, stopped six times', { tags: ['long', 'overnight'] }, () => {
    for (const mode of ['fingerprints', 'tree'] as const) {
      const count = (levels: readonly number[]): unknown => {
        let resume: Snapshot | undefined;
        for (const stop of [...levels, Infinity]) {
          const learned = new Learned<object, any>(twoPhaseCommit(8));
          let level = 0;
          const { why, states, transitions, depth, resting } = breadthFirst(
            learned,
            learned.packing.pack(learned.system.boot),
            {
              ...ALL,
              mode,
              edges: false,
              ...(resume ? { resume } : {}),
              between(snapshot) {
                level += 1;
                if (level <= stop) return undefined;
                resume = written(snapshot());
                return 'stopped by the test';
              },
            },
          );
          if (why !== 'stopped by the test') return { states, transitions, depth, resting };
        }
        return 'it never came to an end';
      };
      const undisturbed = count([]);
      expect(undisturbed).toMatchObject({ states: 1_745_408, transitions: 11_657_217 });
      expect(count([9, 1, 1, 1, 2, 3])).toEqual(undisturbed);
    }
  });
});

/** Everything that a sweep says of the design; not how much of it was learned again, and in how many bytes. */
const verdict = ({ learned: _learned, bytes: _bytes, witnesses, ...rest }: Sweep): string =>
  JSON.stringify({ ...rest, witnesses: [...witnesses] });

function sweptInPieces(booted: Booted, mode: Mode, levels: readonly number[]): Sweep {
  let resume: Snapshot | undefined;
  for (const stop of [...levels, Infinity]) {
    let level = 0;
    const swept = sweep(booted, properties, {
      search: (learned, from, visitors) =>
        breadthFirst(learned, from, {
          ...visitors,
          mode,
          edges: visitors.edges && mode === 'full',
          ...(resume ? { resume } : {}),
          between(snapshot) {
            level += 1;
            if (level <= stop) return undefined;
            resume = written(snapshot());
            return 'stopped by the test';
          },
        }),
    });
    if (swept.why !== 'stopped by the test') return swept;
  }
  throw new Error('it never came to an end');
}

describe('a sweep with properties that is interrupted says what one that is not says, schedules and loops and all', () => {
  const chosen = designs.flatMap((design) =>
    settings(design)
      .slice(0, 2)
      .map((knobs) => [design, knobs] as const),
  );
  const small = 3000;

  test('on designs, in the mode full, which is the usual sweep', () => {
    let convicted = 0;
    let compared = 0;
    for (const [design, knobs] of chosen) {
      if (compared === 8) break;
      const booted = boot(design, knobs);
      const usual = sweep(booted, properties, { maxStates: small });
      if (usual.why?.startsWith('stopped')) continue;
      compared += 1;
      if (usual.findings.length > 0) convicted += 1;
      for (const levels of [[], [1], [usual.depth >> 1, 1], [usual.depth - 1]])
        expect(verdict(sweptInPieces(booted, 'full', levels)), `${design.name} ${levels.join()}`).toBe(verdict(usual));
    }
    expect(compared).toBe(8);
    expect(convicted).toBeGreaterThan(1);
  });
  test('on designs, without loss in less memory, but for fair circles, and it says so', () => {
    const straight = (swept: Sweep): string =>
      JSON.stringify([swept.states, swept.findings.filter(({ loop }) => !loop), [...swept.witnesses]]);
    for (const [design, knobs] of chosen.slice(0, 4)) {
      const booted = boot(design, knobs);
      const usual = sweep(booted, properties);
      const swept = sweptInPieces(booted, 'tree', [2, 3]);
      expect(straight(swept)).toBe(straight(usual));
      expect(swept.why).toMatch(/^fair circles were not looked for \(fence-signals, no-livelock\): only the storage/);
    }
  });
  test('on random small kernels', { tags: ['long', 'overnight'] }, () => {
    fc.assert(
      fc.property(recipes, fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 3 }), (recipe, levels) => {
        const booted = boot(smallDesign(recipe));
        const usual = sweep(booted, properties, { maxStates: small });
        if (!usual.why?.startsWith('stopped'))
          expect(verdict(sweptInPieces(booted, 'full', levels))).toBe(verdict(usual));
      }),
      { numRuns: 60, seed: 12 },
    );
  });
});

function snapshotOf(system: Any, mode: Mode, levels = 3): Snapshot {
  const learned = new Learned<object, any>(system);
  let taken: Snapshot | undefined;
  let level = 0;
  breadthFirst(learned, learned.packing.pack(system.boot), {
    ...ALL,
    mode,
    edges: mode === 'full',
    between(snapshot) {
      level += 1;
      if (level < levels) return undefined;
      taken = written(snapshot());
      return 'enough';
    },
  });
  return taken as Snapshot;
}
const bytesOf = (about: About, mode: Mode = 'full'): Uint8Array =>
  joined(encodeCheckpoint(about, snapshotOf(twoPhaseCommit(3), mode)));

describe('a checkpoint is refused in one line', () => {
  const refused = (bytes: Uint8Array, about: About = ABOUT): string => {
    try {
      decodeCheckpoint(bytes, about);
    } catch (error) {
      return (error as Error).message;
    }
    return 'read';
  };
  const good = bytesOf(ABOUT);

  test('but not when it is as it was written', () => {
    expect(refused(good)).toBe('read');
    expect(decodeCheckpoint(good, ABOUT)).toEqual(snapshotOf(twoPhaseCommit(3), 'full'));
  });
  test('when one bit of it is another, wherever that is', () => {
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 7 }), (at, bit) => {
        const bad = good.slice();
        bad[at] = (bad[at] as number) ^ (1 << bit);
        expect(refused(bad)).toMatch(
          /^(this is not a checkpoint|the checkpoint (has format|is damaged|is cut short)).*$/,
        );
      }),
      { numRuns: 500 },
    );
  });
  test('when it is cut off, wherever that is, or goes on', () => {
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), (length) => {
        expect(refused(good.subarray(0, length))).toMatch(
          /^(this is not a checkpoint of fenceproof|the checkpoint (is cut short: it has [\d,]+ bytes.*|is damaged.*))$/,
        );
      }),
    );
    expect(refused(joined([good, Uint8Array.of(0)]))).toMatch('damaged');
    expect(refused(new Uint8Array(0))).toBe('this is not a checkpoint of fenceproof');
  });
  test('when it is of another version', () => {
    const text = new TextDecoder('latin1').decode(good).replace('checkpoint 2\n', 'checkpoint 3\n');
    expect(refused(Uint8Array.from(text, (letter) => letter.charCodeAt(0)))).toBe(
      'the checkpoint has format 3; this fenceproof reads format 2',
    );
  });
  test('when it is of another search, naming what differs', () => {
    expect(refused(good, { ...ABOUT, design: 'another' })).toBe(
      'the checkpoint is of another search: its design is a test, and here it is another',
    );
    expect(refused(good, { ...ABOUT, patient: 'no' })).toBe(
      'the checkpoint is of another search: its patient is not given, and here it is no',
    );
  });
  test('systems are told apart by their hash', () => {
    const hashes = [twoPhaseCommit(3), twoPhaseCommit(4), dieHard(), petersons()].map((each) => systemHash(each));
    expect(new Set(hashes).size).toBe(4);
    expect(systemHash(twoPhaseCommit(3))).toBe(hashes[0]);
    expect(systemHash(petersons(), ['as published'])).not.toBe(systemHash(petersons(), ['without giving way']));
  });
});

describe('a checkpoint that is whole, but of a system that has changed', () => {
  const on = (system: Any, snapshot: Snapshot, mode: Mode): unknown => {
    const learned = new Learned<object, any>(system);
    return breadthFirst(learned, learned.packing.pack(system.boot), {
      ...ALL,
      mode,
      edges: mode === 'full',
      resume: snapshot,
    }).states;
  };
  test('is noticed, because schedules are followed again', () => {
    for (const mode of MODES) {
      expect(() => on(petersons(true), snapshotOf(petersons(), mode, 5), mode)).toThrow(
        /leads elsewhere now|any more|has number/,
      );
      expect(on(petersons(), snapshotOf(petersons(), mode, 5), mode)).toBe(
        on(petersons(), snapshotOf(petersons(), mode, 2), mode),
      );
    }
  });
  test('is noticed, whichever state is another, or comes from another', () => {
    const good = snapshotOf(twoPhaseCommit(3), 'tree', 4);
    const { level, parents } = good.arrays as { level: Uint16Array; parents: Int32Array };
    for (let at = 0; at < parents.length; at += 7) {
      const bad = parents.slice();
      bad[at] = at === 0 ? 1 : 0;
      expect(() => on(twoPhaseCommit(3), { ...good, arrays: { ...good.arrays, parents: bad } }, 'tree')).toThrow();
    }
    const bad = level.slice();
    bad[0] = 1 - (bad[0] as number);
    expect(() => on(twoPhaseCommit(3), { ...good, arrays: { ...good.arrays, level: bad } }, 'tree')).toThrow(
      'elsewhere',
    );
  });
  test('is noticed, because its cells are others', () => {
    expect(() => on(dieHard(), snapshotOf(twoPhaseCommit(3), 'tree'), 'tree')).toThrow(
      /level has another number|no field/,
    );
  });
});
