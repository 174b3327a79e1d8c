import { describe, expect, test } from 'vitest';
import { type Booted, boot, design, must, settings, showKnobs, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import type { Block, Fact, KernelState } from '../../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  if_ret,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  queue_work,
  sync_file_install,
  witness,
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
import { NotInterchangeable, Symmetries, type Symmetry } from './symmetry.ts';
import { withFault } from '../with-fault.ts';

const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };
const MOST_IMAGES = 5040;
const TOGETHER: Reductions = { partialOrder: true, merge: true, sleep: true, symmetry: true };
const EACH: readonly Reductions[] = [
  { partialOrder: true },
  { merge: true },
  { sleep: true },
  { symmetry: true },
  TOGETHER,
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
  expect({ reduce, resting: short.resting, learned: short.learned }).toEqual({
    reduce,
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
  const small = designs.filter((of) => sweep(boot(of), straight, { maxStates: 1_500 }).complete);
  test.each(small)('together say of the tamest setting of $name what the full search says', (of) => {
    agree(boot(of), TOGETHER);
  });
  test.each(designs.filter((of) => !small.includes(of)))('… and of $name', { tags: ['long'] }, (of) => {
    agree(boot(of), TOGETHER);
  });
  for (const of of designs)
    for (const knobs of settings(of))
      test(`each says of ${of.name} ${showKnobs(knobs)} what the full search says`, {
        tags: ['long', 'overnight'],
      }, () => {
        for (const reduce of EACH) agree(boot(of, knobs), reduce);
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

/** Threads that do the same, each with a lock of its own, and a worker that serves them all. */
const threadsAlike = ({ count = 3, odd = false } = {}): Booted => {
  const names = Array.from({ length: count }, (_, at) => `t${at}`);
  return boot(
    design({
      name: 'alike',
      title: 'threads that do the same',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: {
          locks: { m: {}, ...Object.fromEntries(names.map((_, at) => [`l${at}`, {}])) },
          fences: { f: {} },
        },
        threads: {
          ...Object.fromEntries(
            names.map((name, at) => [
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
};
const systemOf = (booted: Booted): System<KernelState, Fact> => ({
  ...kernelSystem(booted.machine),
  boot: start(booted, booted.workload),
});

interface Shown {
  readonly states: number;
  readonly shown: ReadonlySet<string>;
  readonly resting: ReadonlySet<string>;
}
/** What a search in which members may be exchanged stands for: every image of what it shows. */
function shownOf<S extends object, F>(
  system: System<S, F>,
  modes: Pick<ReducedOptions<F, S>, 'clusters' | 'merges' | 'sleeps'>,
): Shown {
  const learned = new Learned(system);
  const from = learned.packing.pack(system.boot);
  const alike = interchangeable(learned, from);
  if (!alike) throw new Error('nobody is alike');
  const symmetries = new Symmetries(learned, alike);
  let shown = new Set<string>();
  let resting = new Set<string>();
  const { states } = reduced<S, F>(learned, from, {
    ...EVERYTHING,
    ...modes,
    debts: true,
    symmetries,
    begins: () => {
      shown = new Set();
      resting = new Set();
    },
    state(_state, _turns, words, at, rests) {
      const text = JSON.stringify(learned.packing.unpack(words, at));
      if (rests) resting.add(text);
      if (shown.has(text)) return;
      for (const image of symmetries.orbit(words, at, MOST_IMAGES))
        shown.add(JSON.stringify(learned.packing.unpack(image.words)));
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
    expect(alikeIn(systemOf(threadsAlike({ odd: true })))?.classes).toEqual([
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
    expect(shownOf(systemOf(threadsAlike()), ALL).states).toBe(16);
  });
  test('and what is said of them is what the full search says', () => {
    for (const reduce of EACH) agree(threadsAlike(), reduce);
  });
  test('five to eight of them: nobody counts out n! images, and what rests adds up all the same', () => {
    const resting = (n: number): number => {
      const learned = new Learned(twoPhaseCommit(n));
      const from = learned.packing.pack(learned.system.boot);
      const symmetries = new Symmetries(learned, interchangeable(learned, from) as Symmetry);
      return reduced(learned, from, { ...EVERYTHING, ...ALL, debts: true, symmetries }).resting;
    };
    expect(inFull(twoPhaseCommit(5)).resting.size).toBe(244);
    expect([5, 6, 7, 8].map(resting)).toEqual([244, 730, 2_188, 6_562]);
  });
  test('five threads, and what is said of them is what the full search says', { tags: ['long'], timeout: 0 }, () => {
    for (const reduce of EACH) agree(threadsAlike({ count: 5 }), reduce);
  });
  test('more than can be shown where they rest are refused by name', () => {
    const { orbit } = Symmetries.prototype;
    const few: typeof orbit = function few(this: Symmetries<object, unknown>, words, at) {
      return orbit.call(this, words, at, 3);
    };
    withFault(Symmetries.prototype, 'orbit', few as never, () =>
      expect(() => shownOf(twoPhaseCommit(4), NOTHING)).toThrow('more than 3 images of one state'),
    );
  });
});

describe('planted faults are caught by the comparison', () => {
  const compared = (): void =>
    expect(shownOf(systemOf(threadsAlike()), NOTHING).shown).toEqual(inFull(systemOf(threadsAlike())).shown);
  /** Whoever is kept in front is the first; what he does when somebody else is before him, only images show. */
  const racers = (program: (name: string) => Block): Booted =>
    boot(
      design({
        name: 'racers',
        title: 'threads that want one lock',
        sources: [],
        knobs: {},
        kernel: () => ({
          objects: { locks: { m: {} } },
          threads: Object.fromEntries(['t0', 't1', 't2'].map((name) => [name, must(program(name))])),
        }),
        expect: [],
      }),
    );
  const waiting = racers(() => [mutex_lock('m'), work_a_while('works'), mutex_unlock('m')]);
  const late = racers((name) => [
    mutex_trylock('m'),
    if_ret('0', [witness(`${name} comes too late`)], [work_a_while('works'), mutex_unlock('m')]),
  ]);
  const judged = (of: Booted) => (): void => void agree(of, { symmetry: true });
  test('right, nothing is caught', () => {
    expect(compared).not.toThrow();
    for (const of of [waiting, late]) expect(judged(of)).not.toThrow();
  });
  test('images of leaves are not shown: whom only they would show waiting is lost', () => {
    const { check } = Equivariance.prototype;
    const silent: typeof check = function silent(this: Equivariance<object, unknown>, words, at, turns) {
      check.call(this, words, at, turns, () => undefined);
    };
    withFault(Equivariance.prototype, 'check', silent as never, () => expect(judged(waiting)).toThrow());
  });
  test('images of steps are not judged: what is said of the others is lost', () => {
    const silent = (): void => undefined;
    withFault(Equivariance.prototype, 'look', silent, () => expect(judged(late)).toThrow());
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
