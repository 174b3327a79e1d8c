import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boot, design, ioctl, must, start } from '../../../model/design.ts';
import type { Block, Fact, KernelState } from '../../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  down_read,
  down_write,
  if_ret,
  kmalloc,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  queue_work,
  sync_file_install,
  up_read,
  up_write,
  user,
  work,
  work_a_while,
} from '../../../model/objects/index.ts';
import { philosophers } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { explore } from '../explore.ts';
import { lean } from '../lean.ts';
import { Learned } from '../learned.ts';
import { type System, kernelSystem } from '../system.ts';
import { Equivariance } from './equivariance.ts';
import { reduced } from './reduced.ts';
import { Symmetries, type Symmetry } from './symmetry.ts';
import { withFault } from '../with-fault.ts';

const EVERYTHING = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };
/** One state of each orbit, and no other reduction. */
const ORBITS = { ...EVERYTHING, clusters: false, merges: false, debts: false };
/** Images of one state. */
const MOST = 5040;
const managers = (n: number): Symmetry => ({ classes: [Array.from({ length: n }, (_, at) => [`rm${at}`])] });

interface Orbits {
  /** States found. */
  readonly states: number;
  /** Every orbit, by the content of the least of its states. */
  readonly orbits: ReadonlySet<string>;
  readonly resting: ReadonlySet<string>;
  /** All states of these orbits. */
  readonly members: number;
}
/** @param all look at every state, or only at one of each orbit */
function orbitsOf<S extends object, F>(system: System<S, F>, symmetry: Symmetry, all: boolean): Orbits {
  const learned = new Learned(system);
  const symmetries = new Symmetries(learned, symmetry);
  const nameOf = new Map<string, string>(); // of its orbit, by state
  const orbits = new Set<string>();
  const resting = new Set<string>();
  const options = {
    state(_state: number, _turns: unknown, words: Uint16Array, at: number, rests: boolean) {
      const here = words.slice(at, at + learned.packing.width);
      let name = nameOf.get(here.join());
      if (name === undefined) {
        const images = symmetries.orbit(here, 0, MOST).map((image) => image.words);
        name = images.map((image) => JSON.stringify(learned.packing.unpack(image))).sort()[0] as string;
        for (const image of images) nameOf.set(image.join(), name);
      }
      orbits.add(name);
      if (rests) resting.add(name);
    },
  };
  const from = learned.packing.pack(system.boot);
  const states = all
    ? explore(learned, from, { ...EVERYTHING, ...options, edges: false }).store.count
    : reduced<S, F>(learned, from, { ...ORBITS, ...options, symmetries }).states;
  return { states, orbits, resting, members: nameOf.size };
}

describe('two-phase commit up to the exchange of resource managers', () => {
  for (const [n, full] of [
    [3, 288],
    [4, 1_568],
    [5, 8_832],
  ] as const)
    test(`with ${n}: the orbits are those of all ${full} states, and add up to them`, () => {
      const all = orbitsOf(twoPhaseCommit(n), managers(n), true);
      const some = orbitsOf(twoPhaseCommit(n), managers(n), false);
      expect(all.states).toBe(full);
      expect({ states: some.states, members: some.members }).toEqual({ states: all.orbits.size, members: full });
      expect(some.orbits).toEqual(all.orbits);
      expect(some.resting).toEqual(all.resting);
    });

  const orbits = (n: number): number => {
    const learned = new Learned(twoPhaseCommit(n));
    const from = learned.packing.pack(learned.system.boot);
    return reduced(learned, from, { ...ORBITS, symmetries: new Symmetries(learned, managers(n)) }).states;
  };
  test('has as many orbits as TLC finds with symmetry: 553 with six, 920 with seven', () => {
    expect([3, 4, 5, 6, 7].map(orbits)).toEqual([80, 166, 314, 553, 920]);
  });
  test('with six: 553 orbits add up to 50,816 states', { tags: ['long'] }, () => {
    const { states, members } = orbitsOf(twoPhaseCommit(6), managers(6), false);
    expect({ states, members }).toEqual({ states: 553, members: 50_816 });
  });
  test('with eight: faster than without, not only smaller', { tags: ['long'] }, () => {
    const time = (run: () => void): number => {
      const before = process.cpuUsage();
      run();
      return process.cpuUsage(before).user;
    };
    const rounds = [1, 2, 3].map(() => {
      const with_ = time(() => expect(orbits(8)).toBe(1_461));
      const without = time(() => {
        const learned = new Learned(twoPhaseCommit(8));
        const { states } = lean(learned, learned.packing.pack(learned.system.boot), EVERYTHING);
        expect(states).toBe(1_745_408);
      });
      return without / with_;
    });
    expect(rounds.sort((a, b) => a - b)[1]).toBeGreaterThan(2);
  });
});

const NAMES = ['t0', 't1', 't2'];
type Line = (own: string) => Block;
const LINES: Readonly<Record<string, Line>> = {
  lock: () => [mutex_lock('a')],
  unlock: () => [mutex_unlock('a')],
  own: (own) => [mutex_lock(own), work_a_while('works'), mutex_unlock(own)],
  keeps: (own) => [mutex_lock(own)],
  tries: (own) => [mutex_trylock('a'), if_ret('1', [work_a_while(own), mutex_unlock('a')])],
  reads: () => [down_read('s'), work_a_while('reads'), up_read('s')],
  writes: () => [down_write('s'), up_write('s')],
  alloc: () => [kmalloc('GFP_NOWAIT')],
  waits: () => [dma_fence_wait('f')],
  asks: () => [queue_work('worker')],
};
/** Three threads that do the same, each with a lock of its own, and two that do something else. */
const threadsAlike = (lines: readonly string[], last: readonly string[] = []): System<KernelState, Fact> => {
  const { machine } = boot(
    design({
      name: 'alike',
      title: 'threads that do the same',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, s: {}, l0: {}, l1: {}, l2: {} }, fences: { f: {} } },
        threads: {
          ...Object.fromEntries(
            NAMES.map((name, at) => [
              name,
              must([...lines, ...(at === 2 ? last : [])].map((line) => (LINES[line] as Line)(`l${at}`))),
            ]),
          ),
          boss: must([dma_fence_init('f', 'worker'), sync_file_install('f'), queue_work('worker')]),
          worker: work([dma_fence_signal('f')]),
        },
      }),
      expect: [],
    }),
  );
  return kernelSystem(machine);
};
const alike: Symmetry = { classes: [NAMES.map((name, at) => [name, `l${at}`])], sorted: ['locks.readers'] };
const someLines = fc.array(fc.constantFrom(...Object.keys(LINES)), { maxLength: 3 });

/** The same orbits, and the same at rest. @returns how many states and orbits */
function sameOrbits(system: () => System<KernelState, Fact>, symmetry: Symmetry): readonly [number, number] {
  const all = orbitsOf(system(), symmetry, true);
  const some = orbitsOf(system(), symmetry, false);
  expect(some.orbits).toEqual(all.orbits);
  expect(some.resting).toEqual(all.resting);
  expect(some.members).toBe(all.states);
  expect(some.states).toBe(all.orbits.size); // no tie was broken between members that are not alike
  return [all.states, some.states];
}

describe('kernels in which threads do the same', () => {
  test('have the orbits of all their states', () => {
    const [full, few] = sameOrbits(() => threadsAlike(['own', 'lock', 'unlock']), alike);
    expect(full / few).toBeGreaterThanOrEqual(4);
    sameOrbits(() => threadsAlike(['reads', 'waits']), alike);
  });
  test('random ones too', () => {
    fc.assert(
      fc.property(someLines, (lines) => void sameOrbits(() => threadsAlike(lines.slice(0, 2)), alike)),
      { numRuns: 12, seed: 41 },
    );
  });
  test('hundreds of them', { tags: ['long'] }, () => {
    fc.assert(
      fc.property(someLines, (lines) => void sameOrbits(() => threadsAlike(lines), alike)),
      { numRuns: 200, seed: 42 },
    );
  });

  const users = (second: readonly string[]): System<KernelState, Fact> => {
    const booted = boot(
      design({
        name: 'users',
        title: 'two users of one driver',
        sources: [],
        knobs: {},
        kernel: () => ({
          objects: { locks: { 'bo0.lock': {}, 'bo1.lock': {}, 'vm.lock': {} } },
          threads: { user0: user(), user1: user() },
          calls: {
            map: ioctl({ lock: ['bo0.lock', 'bo1.lock'] }, [
              mutex_lock('vm.lock'),
              mutex_lock('$lock'),
              work_a_while('maps'),
              mutex_unlock('$lock'),
              mutex_unlock('vm.lock'),
            ]),
          },
          workload: { user0: ['map(bo0.lock)', 'map(bo1.lock)'], user1: second },
        }),
        expect: [],
      }),
    );
    return { ...kernelSystem(booted.machine), boot: start(booted, booted.workload) };
  };
  const twoUsers: Symmetry = {
    classes: [
      [
        ['user0', 'bo0.lock'],
        ['user1', 'bo1.lock'],
      ],
    ],
  };
  test('two users with a buffer each: their calls name the buffers, and are exchanged with them', () => {
    const [full, few] = sameOrbits(() => users(['map(bo1.lock)', 'map(bo0.lock)']), twoUsers);
    expect(full / few).toBeGreaterThan(1.7);
  });
  test('two users who call in another order are not alike', () => {
    expect(() => orbitsOf(users(['map(bo0.lock)', 'map(bo1.lock)']), twoUsers, false)).toThrow(
      'not interchangeable: users.user0.todo begins differently for user0+bo0.lock and user1+bo1.lock exchanged',
    );
  });
});

describe('what is not interchangeable is refused by name', () => {
  const refusal = <S extends object, F>(system: System<S, F>, symmetry: Symmetry) => {
    try {
      orbitsOf(system, symmetry, false);
      return 'not refused';
    } catch (error) {
      return (error as Error).message;
    }
  };
  test('philosophers sit in a round: they may be turned, not exchanged', () => {
    for (const n of [3, 4, 5]) {
      const at = Array.from({ length: n }, (_, each) => each);
      expect(refusal(philosophers(n), { classes: [at.map((each) => [`p${each}`])] })).toMatch(
        /^not interchangeable: with p0 and p1 exchanged, p1 does not do what p0 does/,
      );
      expect(refusal(philosophers(n), { classes: [at.map((each) => [`p${each}`, `f${each}`])] })).toMatch(
        /^not interchangeable: with p0\+f0 and p1\+f1 exchanged/,
      );
    }
  });
  test('a thread that goes on where the others end', () => {
    expect(refusal(threadsAlike(['own']), alike)).toBe('not refused');
    expect(refusal(threadsAlike(['own'], ['lock']), alike)).toMatch(/^not interchangeable: with t1.l1 and t2.l2/);
  });
  test('a list that is kept sorted by name, unless that is said', () => {
    expect(refusal(threadsAlike(['reads']), alike)).toBe('not refused');
    expect(refusal(threadsAlike(['reads']), { classes: alike.classes })).toMatch(/^not interchangeable/);
  });
  test('rows that do not correspond, and names declared twice', () => {
    expect(refusal(threadsAlike(['own']), { classes: [[['t0'], ['l0']]] })).toBe(
      't0 and l0 are not alike: their rows differ',
    );
    expect(refusal(threadsAlike(['own']), { classes: [[['t0'], ['t0']]] })).toBe(
      '"t0" is declared interchangeable twice',
    );
  });
});

describe('planted faults are caught by the comparison', () => {
  const asked = (): void => void sameOrbits(() => threadsAlike(['lock', 'unlock']), alike);
  test('right, nothing is caught', () => {
    expect(asked).not.toThrow();
  });
  test('a bad canonical form: two members take one place, and what the other held is forgotten', () => {
    const merging: Symmetries<object, unknown>['canonical'] = function merging(this: Symmetries<object, unknown>) {
      return this.identity().map((member) => (member === 1 ? 0 : member));
    };
    withFault(Symmetries.prototype, 'canonical', merging as never, () => expect(asked).toThrow());
  });
  test('a bad canonical form: members are sorted, but what names them is not renamed', () => {
    const { id } = Symmetries.prototype;
    const { apply } = Symmetries.prototype;
    const careless: typeof apply = function careless(this: Symmetries<object, unknown>, words, at, renaming) {
      this.id = (_slot, value) => value;
      const form = apply.call(this, words, at, renaming);
      this.id = id;
      return form;
    };
    withFault(Symmetries.prototype, 'apply', careless as never, () => expect(asked).toThrow());
  });
  test('a claim that is not checked: orbits of philosophers are lost', () => {
    const claim: Symmetry = { classes: [['p0', 'p1', 'p2', 'p3'].map((name) => [name])] };
    withFault(
      Equivariance.prototype,
      'check',
      () => undefined,
      () => {
        const all = orbitsOf(philosophers(4), claim, true);
        const some = orbitsOf(philosophers(4), claim, false);
        expect(some.members).not.toBe(all.states);
      },
    );
  });
});
