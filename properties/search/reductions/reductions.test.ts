import { describe, expect, test } from 'vitest';
import { type Booted, boot, design, must, settings, showKnobs, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import type { Fact, KernelState } from '../../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  mutex_lock,
  mutex_unlock,
  queue_work,
  sync_file_install,
  work,
  work_a_while,
} from '../../../model/objects/index.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { type Property, signature } from '../../property.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { type Sweep, sweep } from '../sweep.ts';
import { type System, kernelSystem } from '../system.ts';
import { interchangeable } from './alike.ts';
import { Equivariance } from './equivariance.ts';
import { type ReducedOptions, reduced } from './reduced.ts';
import { type Reductions, namesOf, reductionsOf } from './reductions.ts';
import { NotInterchangeable, Symmetries } from './symmetry.ts';
import { withFault } from '../with-fault.ts';

const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };
const EACH: readonly Reductions[] = [
  { partialOrder: true },
  { merge: true },
  { sleep: true },
  { symmetry: true },
  { partialOrder: true, merge: true, sleep: true, symmetry: true },
];
const ASYMMETRIC: Reductions = { partialOrder: true, merge: true, sleep: true };
/** Properties without circles, so that a reduced sweep has to stand by what it says of cyclic systems too. */
const straight: readonly Property[] = properties.map(({ circle: _circle, ...rest }) => rest);
const said = ({ findings }: Sweep): string[] => findings.map(({ blame }) => signature(blame)).sort();

/** The same verdicts, each confirmed by the reducer, and the same witnesses. @returns states in full and reduced */
function agree(booted: Booted, reduce: boolean | Reductions): readonly [number, number] {
  const full = sweep(booted, straight);
  const short = sweep(booted, straight, { reduce });
  expect({ reduce, said: said(short) }).toEqual({ reduce, said: said(full) });
  expect([...short.witnesses].sort()).toEqual([...full.witnesses].sort());
  expect(short.states).toBeLessThanOrEqual(full.states);
  if (!reductionsOf(reduce).symmetry)
    expect({ resting: short.resting, learned: short.learned }).toEqual({
      resting: full.resting,
      learned: full.learned,
    });
  for (const { blame, schedule } of short.findings) {
    const run = { design: '', knobs: {}, workload: booted.workload, schedule };
    expect(judge(booted, run, straight, true).verdicts.map((verdict) => signature(verdict.blame))).toContain(
      signature(blame),
    );
  }
  return [full.states, short.states];
}

describe('each reduction by itself and all together', () => {
  for (const of of designs)
    settings(of).forEach((knobs, nth) => {
      test(`say of ${of.name} ${showKnobs(knobs)} what the full search says`, {
        tags: nth === 0 && of.name !== 'drm-sched-hw-fence' ? [] : ['long'],
      }, () => {
        for (const reduce of EACH) agree(boot(of, knobs), reduce);
      });
    });
  test('all is what `true` means, and nothing what `false` does', () => {
    expect(namesOf(reductionsOf(true))).toEqual(['persistent sets', 'merged steps', 'sleep sets', 'symmetry']);
    expect(namesOf(reductionsOf({ sleep: true }))).toEqual(['sleep sets']);
    expect(namesOf(reductionsOf(false))).toEqual([]);
  });
  test('none goes with a search that has another memory, and each is refused by its name', () => {
    const booted = boot(designs[0] as (typeof designs)[number]);
    const search = (): never => {
      throw new Error('not refused');
    };
    for (const [reduce, name] of [
      [{ partialOrder: true }, /^no persistent sets in a search with another memory/],
      [{ merge: true }, /^no merged steps/],
      [{ sleep: true }, /^no sleep sets/],
      [{ symmetry: true }, /^no symmetry/],
    ] as const)
      expect(() => sweep(booted, straight, { reduce, search })).toThrow(name);
    expect(() => sweep(booted, straight, { search })).toThrow('not refused');
  });
});

const NAMES = ['t0', 't1', 't2'];
/** Three threads that do the same, each with a lock and a fence of its own, and a worker that serves them all. */
const threadsAlike = (odd = false): Booted =>
  boot(
    design({
      name: 'alike',
      title: 'threads that do the same',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { m: {}, l0: {}, l1: {}, l2: {} }, fences: { f: {} } },
        threads: {
          ...Object.fromEntries(
            NAMES.map((name, at) => [
              name,
              must([
                mutex_lock(`l${at}`),
                mutex_lock('m'),
                work_a_while('works'),
                mutex_unlock('m'),
                dma_fence_wait('f'),
                mutex_unlock(`l${at}`),
                odd && at === 2 ? [mutex_lock('m')] : [],
              ]),
            ]),
          ),
          boss: must([dma_fence_init('f', 'worker'), sync_file_install('f'), queue_work('worker')]),
          worker: work([mutex_lock('m'), dma_fence_signal('f'), mutex_unlock('m')]),
        },
      }),
      expect: [],
    }),
  );
const systemOf = (booted: Booted): System<KernelState, Fact> => ({
  ...kernelSystem(booted.machine),
  boot: start(booted, booted.workload),
});

interface Shown {
  readonly states: number;
  readonly shown: ReadonlySet<string>;
  readonly resting: ReadonlySet<string>;
}
/** What a search in which members may be exchanged shows: every image of what it keeps. */
function shownOf<S extends object, F>(
  system: System<S, F>,
  modes: Pick<ReducedOptions<F, S>, 'clusters' | 'merges' | 'sleeps'>,
): Shown {
  const learned = new Learned(system);
  const from = learned.packing.pack(system.boot);
  const alike = interchangeable(learned, from);
  if (!alike) throw new Error('nobody is alike');
  let shown = new Set<string>();
  let resting = new Set<string>();
  const { states } = reduced<S, F>(learned, from, {
    ...EVERYTHING,
    ...modes,
    debts: true,
    symmetries: new Symmetries(learned, alike),
    begins: () => {
      shown = new Set();
      resting = new Set();
    },
    state(_state, _turns, words, at, rests) {
      const text = JSON.stringify(learned.packing.unpack(words, at));
      shown.add(text);
      if (rests) resting.add(text);
    },
  });
  return { states, shown, resting };
}
function inFull<S extends object, F>(system: System<S, F>): Shown {
  const learned = new Learned(system);
  const shown = new Set<string>();
  const resting = new Set<string>();
  const { store } = explore(learned, learned.packing.pack(system.boot), {
    ...EVERYTHING,
    edges: false,
    state(_state, _turns, words, at, rests) {
      const text = JSON.stringify(learned.packing.unpack(words, at));
      shown.add(text);
      if (rests) resting.add(text);
    },
  });
  return { states: store.count, shown, resting };
}
const NOTHING = { clusters: false, merges: false };
const ALL = { clusters: true, merges: true, sleeps: true };

describe('members that behave alike', () => {
  const alikeIn = <S extends object, F>(system: System<S, F>) => {
    const learned = new Learned(system);
    return interchangeable(learned, learned.packing.pack(system.boot));
  };
  test('are found, with what belongs to each', () => {
    expect(alikeIn(systemOf(threadsAlike()))?.classes).toEqual([
      [
        ['t0', 'l0'],
        ['t1', 'l1'],
        ['t2', 'l2'],
      ],
    ]);
    expect(alikeIn(twoPhaseCommit(3))?.classes).toEqual([[['rm0'], ['rm1'], ['rm2']]]);
  });
  test('in a design: two users with a job each, and the hardware fence that only the scheduler names', () => {
    const of = designs.find(({ name }) => name === 'drm-sched-hw-fence') as (typeof designs)[number];
    expect(alikeIn(systemOf(boot(of)))?.classes).toEqual([
      [
        ['user0', 'job0', 'hw0'],
        ['user1', 'job1', 'hw1'],
      ],
    ]);
  });
  test('are not those of whom one goes on where the others end', () => {
    expect(alikeIn(systemOf(threadsAlike(true)))?.classes).toEqual([
      [
        ['t0', 'l0'],
        ['t1', 'l1'],
      ],
    ]);
  });
  test('alone: the orbits of what is kept are all the states there are', () => {
    for (const n of [3, 4]) expect(shownOf(twoPhaseCommit(n), NOTHING).shown).toEqual(inFull(twoPhaseCommit(n)).shown);
    const full = inFull(systemOf(threadsAlike()));
    const orbits = shownOf(systemOf(threadsAlike()), NOTHING);
    expect(orbits.shown).toEqual(full.shown);
    expect([full.states, orbits.states]).toEqual([2_175, 525]);
  });
  test('with all reductions: the orbits of what rests are all that rests', () => {
    const sameAtRest = <S extends object, F>(system: () => System<S, F>): void =>
      expect(shownOf(system(), ALL).resting).toEqual(inFull(system()).resting);
    sameAtRest(() => twoPhaseCommit(4));
    sameAtRest(() => systemOf(threadsAlike()));
    expect(shownOf(twoPhaseCommit(4), ALL).states).toBe(67);
    expect(shownOf(systemOf(threadsAlike()), ALL).states).toBe(13);
  });
  test('and what is said of them is what the full search says', () => {
    for (const reduce of EACH) agree(threadsAlike(), reduce);
  });
  test('more than four at once are refused by name: a sweep shows every image, and there would be too many', () => {
    expect(() => shownOf(twoPhaseCommit(5), NOTHING)).toThrow('more than 24 ways to exchange members');
  });
});

describe('planted faults are caught by the comparison', () => {
  const compared = (): void =>
    expect(shownOf(systemOf(threadsAlike()), NOTHING).shown).toEqual(inFull(systemOf(threadsAlike())).shown);
  test('right, nothing is caught', () => {
    expect(compared).not.toThrow();
  });
  test('images are not shown: what only they would witness is lost', () => {
    const { group } = Symmetries.prototype;
    const alone: typeof group = function alone(this: Symmetries<object, unknown>) {
      return [this.identity()];
    };
    withFault(Symmetries.prototype, 'group', alone as never, () => expect(compared).toThrow());
  });
  test('a bad canonical form: two members take one place, and what the other did is forgotten', () => {
    const merging: Symmetries<object, unknown>['canonical'] = function merging(this: Symmetries<object, unknown>) {
      return this.identity().map((member) => (member === 1 ? 0 : member));
    };
    withFault(Symmetries.prototype, 'canonical', merging as never, () => expect(compared).toThrow());
  });
  test('members that looked alike and turn out not to be: the search is made without', () => {
    const [, without] = agree(threadsAlike(), ASYMMETRIC);
    const refuse = (): never => {
      throw new NotInterchangeable('one of them is odd');
    };
    withFault(Equivariance.prototype, 'check', refuse, () => {
      expect(agree(threadsAlike(), { ...ASYMMETRIC, symmetry: true })[1]).toBe(without);
    });
  });
});
