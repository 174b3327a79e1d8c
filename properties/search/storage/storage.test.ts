import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { boot, settings } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { signature } from '../../property.ts';
import { type ExploreOptions, explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { ShortKeys } from '../short-keys.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { type Sweep, type SweepSearch, sweep } from '../sweep.ts';
import { type System, kernelSystem } from '../system.ts';
import { type Kept, int, table } from '../../../model/schema.ts';
import { classic } from '../classics/classic.ts';
import { hashOf } from './checkpoint.ts';
import { PackedSeen } from './packed.ts';
import { type BreadthOptions, breadthFirst } from './breadth.ts';
import { depthFirst } from './depth.ts';
import { partialVerdict } from './limits.ts';
import { Layout } from './layout.ts';
import { NodeTable } from './nodes.ts';
import { Parents } from './parents.ts';
import { randomSystems } from './random-systems.ts';
import type { Mode } from './seen.ts';

type Any = System<object, any>;
type Loose = Omit<ExploreOptions<any>, 'edges'>;
const ALL = { maxStates: Number.MAX_SAFE_INTEGER, patient: true };
const LONG = { tags: ['long'] };
const EXACT = ['full', 'packed', 'fingerprints', 'tree'] as const;

interface Size {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
}
const size = ({ states, transitions, depth, resting }: Size): Size => ({ states, transitions, depth, resting });

/** The whole search as one value: every state with its schedule, its content and what can be done in it. */
function told(
  system: Any,
  search: (learned: Learned<object, any>, from: Uint16Array, options: Loose) => Size,
): unknown {
  const learned = new Learned<object, any>(system);
  const from = learned.packing.pack(system.boot);
  let schedule: (state: number) => string[] = () => [];
  const seen: unknown[] = [];
  const found = search(learned, from, {
    ...ALL,
    begins: (shortest: typeof schedule) => (schedule = shortest),
    state: (state: number, turns: readonly { ids: Int32Array }[], words: Uint16Array, at: number, resting: boolean) =>
      seen.push([
        state,
        schedule(state),
        learned.packing.unpack(words, at),
        turns.map(({ ids }) => ids.length),
        resting,
      ]),
    step: (way: { outcome: string }, state: number, words: Uint16Array) =>
      seen.push([way.outcome, state, learned.packing.fingerprint(words, 'low')]),
  });
  return { ...size(found), seen: hashOf(JSON.stringify(seen)) };
}
const exploring = (edges: boolean) => (learned: Learned<object, any>, from: Uint16Array, options: Loose) => {
  const graph = explore(learned, from, { ...options, edges });
  return { ...graph, states: graph.store.count };
};
const broadly = (mode: Mode) => (learned: Learned<object, any>, from: Uint16Array, options: Loose) =>
  breadthFirst(learned, from, { ...options, mode, edges: false });

function sameInEveryMode(system: () => Any): void {
  const exact = told(system(), exploring(false)) as Size;
  for (const mode of EXACT) expect(told(system(), broadly(mode)), mode).toEqual(exact);
  // When nobody looks at the steps, most that commute are not asked about.
  for (const mode of EXACT) expect(size(found(system(), { mode })), `${mode}, unseen`).toEqual(size(exact));
  for (const mode of EXACT) {
    const learned = new Learned<object, any>(system());
    const { depth, ...deep } = size(depthFirst(learned, learned.packing.pack(learned.system.boot), { ...ALL, mode }));
    expect({ ...deep, depth: exact.depth }, `${mode}, depth first`).toEqual(size(exact));
    expect(depth).toBeGreaterThanOrEqual(exact.depth);
  }
}
const found = (system: Any, options: Partial<BreadthOptions<any>> & { mode: Mode }) => {
  const learned = new Learned<object, any>(system);
  return breadthFirst(learned, learned.packing.pack(system.boot), { ...ALL, edges: false, ...options });
};
const foundDeep = (system: Any, options: Partial<BreadthOptions<any>> & { mode: Mode }) => {
  const learned = new Learned<object, any>(system);
  return depthFirst(learned, learned.packing.pack(system.boot), { ...ALL, ...options });
};

describe('every exact mode tells the same story as the full search: states, schedules, steps, in the same order', () => {
  test('on the classics', () => {
    for (const n of [1, 2, 3]) sameInEveryMode(() => twoPhaseCommit(n));
    sameInEveryMode(dieHard);
    sameInEveryMode(petersons);
    sameInEveryMode(() => philosophers(3));
    sameInEveryMode(() => towersOfHanoi(4));
  });
  test('on random systems of every width', () => {
    fc.assert(
      fc.property(randomSystems, (system) => {
        if (exploring(false)(...opened(system), { ...ALL, maxStates: 600 }).exhausted) sameInEveryMode(() => system);
      }),
      { numRuns: 40, seed: 4 },
    );
  });
  test('on random small kernels, in patient time', () => {
    fc.assert(
      fc.property(recipes, (recipe) => {
        const system = kernelSystem(boot(smallDesign(recipe)).machine) as Any;
        if (exploring(false)(...opened(system), { ...ALL, maxStates: 400 }).exhausted) sameInEveryMode(() => system);
      }),
      { numRuns: 10, seed: 5 },
    );
  });
  const opened = (system: Any): [Learned<object, any>, Uint16Array] => {
    const learned = new Learned<object, any>(system);
    return [learned, learned.packing.pack(system.boot)];
  };

  for (const [n, states, options] of [
    [6, 50_816, {}],
    [7, 296_448, LONG],
    [8, 1_745_408, LONG],
  ] as const)
    test(
      `two-phase commit with ${n} has ${states} states in every mode, breadth first and depth first`,
      options,
      () => {
        const sizes = EXACT.map((mode) => size(found(twoPhaseCommit(n), { mode })));
        expect(sizes[0]?.states).toBe(states);
        for (const each of sizes) expect(each).toEqual(sizes[0]);
        for (const mode of ['fingerprints', 'tree'] as const)
          expect(size(foundDeep(twoPhaseCommit(n), { mode }))).toMatchObject({ states, resting: sizes[0]?.resting });
      },
    );
  test('two-phase commit with 9: without loss, 10,340,352 states in less than 18 bytes each', {
    tags: ['long'],
  }, () => {
    const { states, transitions, bytes, exhausted } = found(twoPhaseCommit(9), { mode: 'tree' });
    expect({ states, transitions, exhausted }).toEqual({
      states: 10_340_352,
      transitions: 77_616_641,
      exhausted: true,
    });
    expect(bytes / states).toBeLessThan(18);
  });

  test('the edges kept in the mode full are those of the full search', () => {
    for (const system of [() => twoPhaseCommit(4), dieHard, petersons] as (() => Any)[]) {
      const learned = new Learned<object, any>(system());
      const exact = explore(learned, learned.packing.pack(learned.system.boot), { ...ALL, edges: true });
      const { graph } = found(system(), { mode: 'full', edges: true });
      const edges = { from: exact.store.count, to: exact.transitions };
      expect(graph?.first.subarray(0, edges.from + 1)).toEqual(exact.first.subarray(0, edges.from + 1));
      expect(graph?.to.subarray(0, edges.to)).toEqual(exact.to.subarray(0, edges.to));
      expect(graph?.wayOf.subarray(0, edges.to)).toEqual(exact.wayOf.subarray(0, edges.to));
      expect(graph?.way.map(({ line, outcome }) => [line, outcome])).toEqual(
        exact.way.map(({ line, outcome }) => [line, outcome]),
      );
    }
    expect(() => found(dieHard(), { mode: 'tree', edges: true })).toThrow('edges are kept in the mode full');
  });
});

describe('a sweep by another search', () => {
  const chosen = designs
    .flatMap((design) =>
      settings(design)
        .slice(0, 2)
        .map((knobs) => boot(design, knobs)),
    )
    .slice(0, 16)
    .map((booted) => [booted, sweep(booted, properties, { maxStates: 2000 })] as const)
    .filter(([, { why }]) => !why?.startsWith('stopped'))
    .slice(0, 6);
  const straight = ({ findings }: Sweep): string[] =>
    findings.flatMap(({ blame, loop }) => (loop ? [] : [signature(blame)])).sort();

  test('says the same of every design, but for fair circles: depth first, too, and the judge confirms it', () => {
    expect(chosen.length).toBe(6);
    expect(chosen.some(([, usual]) => straight(usual).length > 0)).toBe(true);
    for (const [booted, usual] of chosen) {
      const deep = sweep(booted, properties, {
        search: (learned, from, visitors) => depthFirst(learned, from, { ...visitors, mode: 'tree' }),
      });
      expect([deep.states, deep.transitions, deep.resting]).toEqual([usual.states, usual.transitions, usual.resting]);
      expect(straight(deep)).toEqual(straight(usual));
      expect([...deep.witnesses].sort()).toEqual([...usual.witnesses].sort());
      for (const { blame, schedule } of deep.findings) {
        const { design, knobs, workload } = booted;
        const { verdicts } = judge(booted, { design: design.name, knobs, workload, schedule }, properties);
        expect(verdicts.map((verdict) => signature(verdict.blame))).toContain(signature(blame));
      }
      const slim = sweep(booted, properties, {
        search: (learned, from, visitors) =>
          breadthFirst(learned, from, { ...visitors, mode: 'fingerprints', edges: false }),
      });
      const unlooped = usual.findings.filter(({ loop }) => !loop);
      expect(JSON.stringify(slim.findings)).toBe(JSON.stringify(unlooped));
      expect(slim.doubt).toMatch('a state was left out with a probability of at most');
      expect(slim.why).toMatch(
        /^fair circles were not looked for .*: only the storage "full" keeps the edges between states$/,
      );
    }
  });
  test('that met a limit is not complete, and says which', () => {
    const [booted] = chosen[0] as (typeof chosen)[number];
    const search: SweepSearch = (learned, from, visitors) =>
      breadthFirst(learned, from, { ...visitors, mode: 'full', maxBytes: 1000 });
    const { complete, why } = sweep(booted, properties, { search });
    expect(complete).toBe(false);
    expect(why).toMatch(/^the memory limit of 1000 bytes is reached: .* are taken, and going on may take .* more$/);
  });
});

/** The same system, but every fingerprint is the same. */
function unhashed(system: Any): Learned<object, any> {
  const learned = new Learned<object, any>(system);
  learned.packing.keyHigh = () => 0;
  learned.packing.keyLow = () => 0;
  return learned;
}

/** Counters that count up to `most`, one after the other. */
const counters = (n: number, most: number): Any => {
  const names = Array.from({ length: n }, (_, at) => `c${at}`);
  const schema = { cells: table({ value: int(most) }) };
  type Cells = Kept<typeof schema>;
  const cell = (state: Cells, name: string) => state.cells[name] as { value: number };
  return classic<Cells>({
    schema,
    given: { cells: Object.fromEntries(names.map((name) => [name, {}])) },
    processes: Object.fromEntries(
      names.map((name, at) => [
        name,
        {
          up: {
            when: (state: Cells) =>
              cell(state, name).value < most && (at === 0 || cell(state, names[at - 1] as string).value === most),
            then: (state: Cells) => void (cell(state, name).value += 1),
          },
        },
      ]),
    ),
  }) as Any;
};

describe('packed states', () => {
  test('that come to need more bits than a key has go on as trees, in the middle of a search', () => {
    const rekey = vi.spyOn(PackedSeen.prototype, 'rekey');
    // To count to 20 takes five bits, of which six fit into a word: the thirteenth counter does not fit any more.
    for (const [n, foldings] of [
      [12, 0],
      [16, 1],
    ] as const) {
      rekey.mockClear();
      const { states, depth, exhausted } = found(counters(n, 20), { mode: 'packed' });
      expect({ states, depth, exhausted }).toEqual({ states: n * 20 + 1, depth: n * 20, exhausted: true });
      expect(rekey.mock.results.filter(({ value }) => value !== undefined).length).toBe(foldings);
      expect(rekey.mock.calls.length).toBeGreaterThan(10);
      sameInEveryMode(() => counters(n, 20));
    }
    rekey.mockRestore();
  });
  test('with more than 255 steps of all processes, rows name them by half a word: the same states', () => {
    expect(found(counters(3, 100), { mode: 'packed' }).states).toBe(301);
    sameInEveryMode(() => counters(3, 100));
  });
});

describe('what a mode may leave out', () => {
  test('equal fingerprints of different states: the modes full and tree do not care, the mode fingerprints does', () => {
    const states = (mode: Mode): number => {
      const learned = unhashed(twoPhaseCommit(4));
      return breadthFirst(learned, learned.packing.pack(learned.system.boot), { ...ALL, mode, edges: false }).states;
    };
    expect(states('full')).toBe(1568);
    expect(states('tree')).toBe(1568);
    expect(states('packed')).toBe(1568);
    expect(states('fingerprints')).toBe(1);
  });
  test('the mode fingerprints says with what chance, and the lossless ones have nothing to say', () => {
    expect(found(twoPhaseCommit(5), { mode: 'fingerprints' }).doubt).toEqual({
      exhaustive: true,
      says: 'a state was left out with a probability of at most 2.1e-12',
    });
    expect(found(twoPhaseCommit(5), { mode: 'tree' })).not.toHaveProperty('doubt');
    expect(found(twoPhaseCommit(5), { mode: 'packed' })).not.toHaveProperty('doubt');
    expect(found(twoPhaseCommit(5), { mode: 'full' })).not.toHaveProperty('doubt');
  });
  test('the mode bits never says that it searched everything, though with room enough it does', () => {
    const { states, exhausted, why } = found(twoPhaseCommit(5), { mode: 'bits' });
    expect({ states, exhausted }).toEqual({ states: 8832, exhausted: false });
    expect(why).toMatch(/^3 bits are kept of a state and 0\.02 % are set, so about 1\.8e-10 % of the states may be/);
  });
  test('with too little room it misses states, about as many as it says', () => {
    for (const log2 of [17, 18]) {
      const { states, doubt } = found(twoPhaseCommit(6), { mode: 'bits', bits: { log2, hashes: 2 } });
      expect(states).toBeLessThan(50_816);
      const said = Number(/about ([\d.]+) % of the states/.exec(doubt?.says ?? '')?.[1]) / 100;
      const missed = 1 - states / 50_816;
      // States that are reached only through missed ones come on top, and chance is chance.
      expect(said / missed).toBeGreaterThan(0.5);
      expect(said / missed).toBeLessThan(2);
    }
  });
  test('depth first is deep at once: its first way goes through most of the Towers of Hanoi, whose last move is 127 steps deep', () => {
    expect(found(towersOfHanoi(7), { mode: 'tree' }).depth).toBe(127);
    const { states, depth } = foundDeep(towersOfHanoi(7), { mode: 'tree', maxStates: 1000 });
    expect(depth).toBe(states - 1);
  });
});

describe('planted faults are caught by comparing with the full search', () => {
  const faulty = (plant: () => { mockRestore: () => void }): void => {
    const planted = plant();
    try {
      expect(() => sameInEveryMode(() => twoPhaseCommit(3))).toThrow();
    } finally {
      planted.mockRestore();
    }
    sameInEveryMode(() => twoPhaseCommit(3));
  };
  test('a node of the tree that stands for two pairs', () => {
    const real = NodeTable.prototype.number;
    faulty(() =>
      vi.spyOn(NodeTable.prototype, 'number').mockImplementation(function wrong(this: NodeTable, left, right) {
        return real.call(this, left, right === 3 ? 2 : right);
      }),
    );
  });
  test('a state that is new and is told to be known', () => {
    const real = ShortKeys.prototype.add;
    let asked = 0;
    faulty(() =>
      vi.spyOn(ShortKeys.prototype, 'add').mockImplementation(function dropping(
        this: ShortKeys,
        highs,
        lows,
        n,
        fresh,
      ) {
        const news = real.call(this, highs, lows, n, fresh);
        asked += 1;
        return asked === 5 && news > 0 ? news - 1 : news;
      }),
    );
    expect(asked).toBeGreaterThan(5);
  });
  test('a key that is cut short', () => {
    const real = ShortKeys.prototype.add;
    faulty(() =>
      vi.spyOn(ShortKeys.prototype, 'add').mockImplementation(function short(this: ShortKeys, highs, lows, n, fresh) {
        return real.call(
          this,
          highs,
          lows.map((low) => low & ~4),
          n,
          fresh,
        );
      }),
    );
  });
  test('a slot that is left behind when states are laid out anew', () => {
    const system = (): Any => counters(3, 20);
    sameInEveryMode(system);
    const real = Layout.prototype.put;
    const planted = vi.spyOn(Layout.prototype, 'put').mockImplementation(function blind(
      this: Layout,
      state,
      at,
      rows,
      to,
    ) {
      real.call(
        this,
        state.map((id, slot) => (slot === 0 ? 0 : id)),
        at,
        rows,
        to,
      );
    });
    try {
      expect(() => sameInEveryMode(system)).toThrow();
    } finally {
      planted.mockRestore();
    }
  });
  test('a step that changes the wrong word of a row', () => {
    const real = Layout.prototype.change;
    faulty(() =>
      vi.spyOn(Layout.prototype, 'change').mockImplementation(function wrong(this: Layout, slot, before, after) {
        return slot === 2 ? 0 : real.call(this, slot, before, after);
      }),
    );
  });
  test('a parent that is one too early', () => {
    const real = Parents.prototype.parent;
    faulty(() =>
      vi.spyOn(Parents.prototype, 'parent').mockImplementation(function wrong(this: Parents, child) {
        return child === 100 ? real.call(this, child) - 1 : real.call(this, child);
      }),
    );
  });
});

describe('limits', () => {
  test('of states: what was not looked at is not said to be clean', () => {
    for (const mode of ['full', 'fingerprints', 'tree', 'bits'] as const) {
      const partial = found(twoPhaseCommit(6), { mode, maxStates: 1000 });
      expect(partial.exhausted).toBe(false);
      expect(partial.expanded).toBeLessThan(partial.states);
      expect(partialVerdict(partial)).toMatch(
        /^nothing found in [\d,]+ states; not exhaustive: the limit of 1,000 states is reached; [\d,]+ more were met and not looked at$/,
      );
      expect(partialVerdict(foundDeep(twoPhaseCommit(6), { mode, maxStates: 1000 }))).toBe(
        'nothing found in 1,000 states; not exhaustive: the limit of 1,000 states is reached',
      );
    }
  });
  test('of states: as many as there are is enough', () => {
    expect(found(twoPhaseCommit(3), { mode: 'tree', maxStates: 288 }).exhausted).toBe(true);
    expect(foundDeep(twoPhaseCommit(3), { mode: 'tree', maxStates: 288 }).exhausted).toBe(true);
    expect(foundDeep(twoPhaseCommit(3), { mode: 'tree', maxStates: 287 }).exhausted).toBe(false);
  });
  test('of memory: it is kept, whatever it is, and the sentence says so', () => {
    for (const mode of EXACT)
      for (const maxBytes of [1, 2e5, 1e6, 3e6]) {
        for (const partial of [
          found(twoPhaseCommit(5), { mode, maxBytes }),
          foundDeep(twoPhaseCommit(5), { mode, maxBytes }),
        ]) {
          if (partial.exhausted) {
            expect(partial.states).toBe(8832);
            expect(partial.bytes).toBeLessThanOrEqual(maxBytes);
            continue;
          }
          if (partial.states > 1) expect(partial.bytes).toBeLessThanOrEqual(maxBytes);
          expect(partialVerdict(partial)).toMatch(/not exhaustive: the memory limit of .* is reached: .* are taken/);
        }
      }
    expect(found(twoPhaseCommit(5), { mode: 'tree', maxBytes: 1e8 }).exhausted).toBe(true);
  });
  test('of the machine: an allocation that fails ends the search and not the program', () => {
    const real = NodeTable.prototype.number;
    const planted = vi.spyOn(NodeTable.prototype, 'number').mockImplementation(function full(this: NodeTable, l, r) {
      if (this.count > 20) throw new RangeError('Array buffer allocation failed');
      return real.call(this, l, r);
    });
    try {
      for (const partial of [
        found(twoPhaseCommit(6), { mode: 'tree' }),
        foundDeep(twoPhaseCommit(6), { mode: 'tree' }),
      ])
        expect(partialVerdict(partial)).toMatch(/not exhaustive: there is no more memory to be had; .* are taken/);
    } finally {
      planted.mockRestore();
    }
  });
  test('any other error is an error', () => {
    const planted = vi.spyOn(NodeTable.prototype, 'number').mockImplementation(() => {
      throw new RangeError('Maximum call stack size exceeded');
    });
    try {
      expect(() => found(twoPhaseCommit(3), { mode: 'tree' })).toThrow('Maximum call stack');
    } finally {
      planted.mockRestore();
    }
  });
});

test('parents come back as they went in, across pieces and marks, and one that decreases is refused', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 700 })), { maxLength: 300 }), (steps) => {
      const parents = new Parents();
      const wanted: [number, number][] = [];
      let last = 0;
      for (const [more, word] of steps) {
        last = Math.min(last + more, wanted.length);
        parents.push(last, word);
        wanted.push([last, word]);
      }
      const again = new Parents();
      again.restore(parents.save());
      for (const each of [parents, again])
        expect(wanted.map((_, child) => [each.parent(child), each.word(child)])).toEqual(wanted);
    }),
  );
  const many = new Parents();
  for (let child = 0; child < 300_000; child += 1) many.push(child >> 1, child % 300);
  for (const child of [0, 1, 2047, 2048, 65_535, 65_536, 262_143, 299_999])
    expect([many.parent(child), many.word(child)]).toEqual([child >> 1, child % 300]);
  expect(() =>
    new Parents().restore({ parents: Int32Array.of(0, 1, 0), parentWords: Uint16Array.of(0, 0, 0) }),
  ).toThrow('cannot come from');
});
