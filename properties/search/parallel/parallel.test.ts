import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { boot } from '../../../model/design.ts';
import { type Kept, int, table } from '../../../model/schema.ts';
import { classic } from '../classics/classic.ts';
import { philosophers, petersons, towersOfHanoi, dieHard } from '../classics/small.ts';
import { twoPhaseCommit } from '../classics/two-phase-commit.ts';
import { explore } from '../explore.ts';
import { Learned } from '../learned.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { randomSystems } from '../storage/random-systems.ts';
import { partialVerdict } from '../storage/limits.ts';
import { type System, kernelSystem } from '../system.ts';
import { Member, type Watch, type Worker } from './member.ts';
import { Post } from './parcel.ts';
import { SharedTable, newHeader } from './shared-table.ts';
import { type Hand, type Together, type TogetherOptions, follow, together, trails } from './together.ts';

type Any = System<object, any>;
const ALL: TogetherOptions = { maxStates: Number.MAX_SAFE_INTEGER };

/** A worker in this thread; each call is answered later, in an order that `mix` decides. */
function hand(worker: Worker, mix: () => number): Hand {
  const later = async <R>(run: () => R): Promise<R> => {
    for (let waits = mix(); waits > 0; waits -= 1) await Promise.resolve();
    return run();
  };
  return {
    use: (...given) => later(() => worker.use(...given)),
    move: (...given) => later(() => worker.move(...given)),
    begin: () => later(() => worker.begin()),
    expand: (known) => later(() => worker.expand(known)),
    turn: () => later(() => worker.turn()),
    give: (...given) => later(() => worker.give(...given)),
    take: (parcel) => later(() => worker.take(structuredClone(parcel))),
  };
}
type WatchOf = (learned: Learned<object, any>) => Watch<any>;
const opened = (system: Any): [Learned<object, any>, Uint16Array] => {
  const learned = new Learned<object, any>(system);
  return [learned, learned.packing.pack(system.boot)];
};
function crew(system: () => Any, workers: number, watch?: WatchOf, mix = () => 0): Hand[] {
  return Array.from({ length: workers }, () => {
    const [learned, from] = opened(system());
    return hand(new Member(learned, from, true, watch?.(learned)), mix);
  });
}
const size = ({
  states,
  transitions,
  depth,
  resting,
}: Pick<Together, 'states' | 'transitions' | 'depth' | 'resting'>): object => ({
  states,
  transitions,
  depth,
  resting,
});
function exact(system: Any): object {
  const graph = explore(...opened(system), { ...ALL, patient: true, edges: false });
  return size({ ...graph, states: graph.store.count });
}
/** Numbers in an order of their own. */
const mixing = (seed: number) => {
  let state = seed | 1;
  return (): number => {
    state = Math.imul(state ^ (state >>> 13), 0x5bd1e995);
    return (state >>> 8) % 7;
  };
};

describe('several workers count what one thread counts', () => {
  test('on the classics, one to four of them', async () => {
    for (const system of [
      () => twoPhaseCommit(4),
      () => philosophers(5),
      () => towersOfHanoi(4),
      dieHard,
      petersons,
    ] as (() => Any)[])
      for (const workers of [1, 2, 3, 4])
        expect(size(await together(crew(system, workers, undefined, mixing(workers)), ALL))).toEqual(exact(system()));
  });
  test('when shares are passed on and the table grows', async () => {
    const takes = vi.spyOn(Member.prototype, 'take');
    const moves = vi.spyOn(Member.prototype, 'move');
    for (const workers of [2, 3])
      expect(
        (
          await together(
            crew(() => twoPhaseCommit(6), workers),
            ALL,
          )
        ).states,
      ).toBe(50_816);
    expect(takes.mock.calls.length).toBeGreaterThan(5);
    expect(moves.mock.calls.length).toBe(5);
    vi.restoreAllMocks();
  });
  test('when the table is full in the middle of a level, which brings far more states than the one before', async () => {
    const values = Array.from({ length: 36 }, (_, at) => at + 1);
    const schema = { cells: table({ value: int(36) }) };
    const system = (): Any => {
      const names = ['a', 'b', 'c'];
      return classic<Kept<typeof schema>>({
        schema,
        given: { cells: Object.fromEntries(names.map((name) => [name, {}])) },
        processes: Object.fromEntries(
          names.map((name) => [
            name,
            Object.fromEntries(
              values.map((value) => [
                `set ${value}`,
                {
                  when: ({ cells }) => cells[name]?.value === 0,
                  then: ({ cells }) => void ((cells[name] as { value: number }).value = value),
                },
              ]),
            ),
          ]),
        ),
      });
    };
    const expands = vi.spyOn(Member.prototype, 'expand');
    for (const workers of [1, 2]) {
      const { states, depth, transitions } = await together(crew(system, workers), ALL);
      expect({ states, depth, transitions }).toEqual({ states: 37 ** 3, depth: 3, transitions: 3 * 36 * 37 ** 2 });
    }
    const answers = expands.mock.results.map(({ value }) => value as { full: boolean });
    expect(answers.filter(({ full }) => full).length).toBeGreaterThan(1);
    vi.restoreAllMocks();
  });
  test('on random systems and random small kernels', async () => {
    const same = async (system: () => Any, workers: number, seed: number): Promise<void> => {
      if (!explore(...opened(system()), { maxStates: 1500, patient: true, edges: false }).exhausted) return;
      const mixed = crew(system, workers, undefined, mixing(seed));
      expect(size(await together(mixed, ALL))).toEqual(exact(system()));
    };
    const workers = fc.integer({ min: 2, max: 3 });
    await fc.assert(
      fc.asyncProperty(randomSystems, workers, fc.nat(), (system, n, seed) => same(() => system, n, seed)),
      { numRuns: 30, seed: 21 },
    );
    await fc.assert(
      fc.asyncProperty(recipes, workers, fc.nat(), (recipe, n, seed) =>
        same(() => kernelSystem(boot(smallDesign(recipe)).machine) as Any, n, seed),
      ),
      { numRuns: 10, seed: 22 },
    );
  });
});

describe('what is noticed, and the schedule to it, is the same for any number of workers', () => {
  const water =
    (gallons: number): WatchOf =>
    (learned) => ({
      state: (_turns, words, at) => {
        const { jugs } = learned.packing.unpack<{ jugs: Record<string, { water: number }> }>(words, at);
        return jugs['big']?.water === gallons ? [`${gallons} gallons`] : [];
      },
    });
  const commits: WatchOf = (learned) => ({
    state: (_turns, words, at, resting) => {
      const { managers } = learned.packing.unpack<{ managers: Record<string, { state: string }> }>(words, at);
      const all = Object.values(managers).map(({ state }) => state);
      return [
        ...(all.every((state) => state === 'committed') ? ['everybody committed'] : []),
        ...(resting && all.every((state) => state === 'aborted') ? ['everybody aborted'] : []),
      ];
    },
    step: (way) => (way.outcome === 'received' ? ['a message'] : []),
  });
  const told = async (system: () => Any, workers: number, watch: WatchOf, seed: number): Promise<unknown> => {
    const { sights } = await together(crew(system, workers, watch, mixing(seed)), ALL);
    return [sights, [...trails(...opened(system()), true, sights)]];
  };

  test('four gallons take six steps', async () => {
    const [sights, schedules] = (await told(dieHard as () => Any, 2, water(4), 3)) as [unknown[], [string, string[]][]];
    expect(sights).toMatchObject([{ name: '4 gallons', depth: 6 }]);
    expect(schedules[0]?.[1]).toEqual([
      'hero/fill big',
      'hero/big to small',
      'hero/empty small',
      'hero/big to small',
      'hero/fill big',
      'hero/big to small',
    ]);
    expect(await told(dieHard as () => Any, 2, water(6), 3)).toEqual([[], []]);
  });
  test('of many occasions in one level, one to three workers choose the same', async () => {
    const system = (): Any => twoPhaseCommit(5);
    const alone = (await told(system, 1, commits, 1)) as [{ name: string; depth: number }[], [string, string[]][]];
    expect(alone[0].map(({ name, depth }) => [name, depth])).toEqual([
      ['a message', 1],
      ['everybody aborted', 6],
      ['everybody committed', 16],
    ]);
    for (const [workers, seed] of [
      [2, 2],
      [2, 77],
      [3, 5],
    ] as const)
      expect(await told(system, workers, commits, seed)).toEqual(alone);
    const [learned, from] = opened(system());
    for (const [name, schedule] of alone[1]) expect(follow(learned, from, schedule), name).toBeDefined();
  });
});

describe('limits and faults', () => {
  test('too many states, too little memory: a partial verdict', async () => {
    const crewOf = (workers: number): Hand[] => crew(() => twoPhaseCommit(6), workers);
    for (const workers of [1, 2]) {
      expect(partialVerdict(await together(crewOf(workers), { maxStates: 5000 }))).toMatch(
        /^nothing found in [\d,]+ states; not exhaustive: the limit of 5,000 states is reached; [\d,]+ more were met/,
      );
      for (const maxBytes of [100, 1e6])
        expect(partialVerdict(await together(crewOf(workers), { ...ALL, maxBytes }))).toMatch(
          /not exhaustive: the memory limit of .* is reached/,
        );
    }
  });
  test('a worker that ends before its time: a clear line and what was counted', async () => {
    const [one, two] = crew(() => twoPhaseCommit(6), 2) as [Hand, Hand];
    let levels = 0;
    const dying: Hand = {
      ...two,
      expand: (known) => ((levels += 1) > 9 ? Promise.reject(new Error('worker 2 was killed')) : two.expand(known)),
    };
    const partial = await together([one, dying], ALL);
    expect(partial.exhausted).toBe(false);
    expect(partial.states).toBeGreaterThan(100);
    expect(partialVerdict(partial)).toMatch(/not exhaustive: worker 2 was killed; [\d,]+ more were met/);
  });
  test('planted: states that are mixed up on their way, and a table that loses entries as it grows, are noticed', async () => {
    const counted = async (system: () => Any): Promise<number> =>
      (await together(crew(system, 2), { maxStates: 400_000 })).states;
    // The Towers of Hanoi go back and forth: what is forgotten is found again.
    vi.spyOn(SharedTable.prototype, 'move').mockImplementation(() => undefined);
    expect(await counted(() => towersOfHanoi(10))).not.toBe(3 ** 10);
    vi.restoreAllMocks();
    const real = Post.prototype.read;
    vi.spyOn(Post.prototype, 'read').mockImplementation(function shuffled(this: Post, parcel) {
      parcel.words.reverse();
      real.call(this, parcel);
    });
    expect(await counted(() => twoPhaseCommit(6))).not.toBe(50_816);
    vi.restoreAllMocks();
    expect(await counted(() => twoPhaseCommit(6))).toBe(50_816);
  });
  test('fingerprints with zeros in them are kept apart from free places', () => {
    const table = new SharedTable(newHeader(1e9));
    table.use(new SharedArrayBuffer(8 * 65_536));
    const [highs, lows, fresh] = [Int32Array.of(0, 0, 5, 0), Int32Array.of(0, 7, 0, 0), new Int32Array(4)];
    expect(table.add(highs, lows, 4, fresh)).toBe(3);
    expect(table.add(highs, lows, 4, fresh)).toBe(0);
    expect(table.count).toBe(3);
  });
});
