import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { FingerprintTable } from './fingerprints.ts';
import { ShortKeys } from './short-keys.ts';
import { hash } from './table.ts';

type Key = readonly [low: number, high: number];
type Table = FingerprintTable | ShortKeys;
const text = ([low, high]: Key): string => `${low | 0}:${high | 0}`;

/** Add in batches; @returns which were new, by place in the list, and compares with a plain set on the way. */
function added(table: Table, keys: readonly Key[], batch: number, plain: Set<string>): void {
  const fresh = new Int32Array(batch);
  for (let from = 0; from < keys.length; from += batch) {
    const some = keys.slice(from, from + batch);
    const news = table.add(
      Int32Array.from(some, ([, high]) => high),
      Int32Array.from(some, ([low]) => low),
      some.length,
      fresh,
    );
    const wanted = some.flatMap((key, nth) => {
      if (plain.has(text(key))) return [];
      plain.add(text(key));
      return [nth];
    });
    expect([...fresh.subarray(0, news)]).toEqual(wanted);
    expect(table.count).toBe(plain.size);
  }
}
function contentOf(table: Table): Set<string> {
  const { content } = table;
  const keys = Array.from({ length: content.length / 2 }, (_, nth) =>
    text([content[nth * 2] as number, content[nth * 2 + 1] as number]),
  );
  expect(new Set(keys).size).toBe(keys.length);
  return new Set(keys);
}
/** Close together, as states that are their own keys are, and far apart, as fingerprints are; zero among them. */
const keysOf = (highBits: number): fc.Arbitrary<Key[]> => {
  const most = 2 ** highBits - 1;
  const high = highBits === 32 ? fc.integer() : fc.nat({ max: most });
  const near: fc.Arbitrary<Key> = fc.tuple(fc.nat({ max: 60 }), fc.constantFrom(0, Math.min(most, 1)));
  return fc.array(fc.oneof(near, fc.tuple(fc.integer(), high)), { maxLength: 400 });
};

describe('a table holds what a plain set holds, and says the same of every key', () => {
  for (const [name, highBits, make] of [
    ['of long keys', 32, () => new FingerprintTable()],
    ['of keys of 32 bits', 0, () => new ShortKeys(0, 0)],
    ['of keys of 38 bits', 6, () => new ShortKeys(0, 6)],
    ['of keys of 40 bits', 8, () => new ShortKeys(0, 8)],
  ] as const)
    test(`${name}, close together and far apart`, () => {
      fc.assert(
        fc.property(keysOf(highBits), fc.integer({ min: 1, max: 90 }), (keys, batch) => {
          const table = make();
          const plain = new Set<string>();
          added(table, [...keys, ...keys], batch, plain);
          expect(contentOf(table)).toEqual(plain);
        }),
        { numRuns: 60, seed: 3 },
      );
    });

  test('while it grows, again and again, within its room and beyond it', () => {
    for (const table of [new FingerprintTable(), new ShortKeys(0, 6), new ShortKeys(0, 0)]) {
      const plain = new Set<string>();
      const before = table.bytes;
      const high = table instanceof ShortKeys ? 0 : -5;
      // Every other number, then all: near keys are neighbours in no table whose keys are spread.
      for (const apart of [2, 1])
        added(
          table,
          Array.from({ length: 40_000 }, (_, nth): Key => [nth * apart, high]),
          1000,
          plain,
        );
      expect(table.bytes).toBeGreaterThan(before);
      expect(contentOf(table)).toEqual(plain);
    }
  });
  test('room that is not to be had ahead is not asked for, and what growing takes is said before', () => {
    for (const table of [new FingerprintTable(), new ShortKeys(0, 4)]) {
      const plain = new Set<string>();
      for (let round = 0; round < 30; round += 1) {
        const said = table.bytes + table.growth(1000);
        added(
          table,
          Array.from({ length: 1000 }, (_, nth): Key => [round * 1000 + nth, 0]),
          1000,
          plain,
        );
        expect(table.bytes).toBeLessThanOrEqual(said);
      }
    }
  });
  test('what one gave as its content another takes, and nothing twice', () => {
    const one = new ShortKeys(0, 5);
    const plain = new Set<string>();
    added(
      one,
      Array.from({ length: 5000 }, (_, nth): Key => [nth * 7, nth % 32]),
      512,
      plain,
    );
    for (const other of [new ShortKeys(0, 5), new FingerprintTable()]) {
      other.content = one.content;
      expect(contentOf(other)).toEqual(plain);
      expect(() => (other.content = one.content)).toThrow('a key stands in it twice');
    }
  });
  test('keys that all stand in one part fill it before its time: the table grows, and every key is asked about', () => {
    const table = new ShortKeys(0, 6);
    // Mixed with these bits of the hash, the high half says in which part a key stands: here it is always the first.
    const partIn = (low: number): number => (hash(low, 0) >>> 8) & 63;
    const plain = new Set<string>();
    const keys = Array.from({ length: 6000 }, (_, nth): Key => [nth + 1, partIn(nth + 1)]);
    const before = table.bytes;
    added(table, keys, 700, plain);
    expect(table.bytes).toBeGreaterThan(before);
    expect(contentOf(table)).toEqual(plain);
    added(table, keys, 700, plain);
  });
  test('planted: a table that overwrites a row of places before it was moved is noticed', () => {
    for (const kind of [FingerprintTable, ShortKeys]) {
      const grown = (): boolean => {
        const table = kind === ShortKeys ? new ShortKeys(0, 0) : new FingerprintTable();
        const plain = new Set<string>();
        const keys = Array.from({ length: 6000 }, (_, nth): Key => [nth * 11, 0]);
        try {
          added(table, keys, 500, plain);
          expect(contentOf(table)).toEqual(plain);
          return true;
        } catch {
          return false;
        }
      };
      expect(grown()).toBe(true);
      const planted = kind.prototype as unknown as { entries: Int32Array; grow(capacity: number): void };
      const real = planted.grow;
      const spy = vi.spyOn(planted, 'grow').mockImplementation(function lossy(this: typeof planted, capacity: number) {
        this.entries.fill(0, 100, 120);
        real.call(this, capacity);
      });
      expect(grown()).toBe(false);
      spy.mockRestore();
    }
  });
});
