import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PROPERTIES, boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { type Entry, changes, parseEntry, programsOf, writeEntry } from './entry.ts';

const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text) && text !== '__proto__');
const count = fc.nat();
const record = <T>(value: fc.Arbitrary<T>) => fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true });
const entries: fc.Arbitrary<Entry> = fc.record(
  {
    format: fc.constant(1 as const),
    title: name,
    design: name,
    knobs: record(name),
    workload: record(fc.array(name, { maxLength: 3 })),
    schedule: fc.array(name),
    loop: fc.array(name),
    expect: fc.oneof(
      fc.record({ verdict: fc.constant('convicted' as const), property: fc.constantFrom(...PROPERTIES), kind: name }),
      fc.record({
        verdict: fc.constant('acquitted' as const),
        states: count,
        transitions: count,
        depth: count,
        witnesses: fc.array(name),
        time: fc.constant('patient' as const),
      }),
    ),
    found: fc.record(
      {
        by: fc.constantFrom('sweep' as const, 'fuzz' as const),
        strategy: name,
        seed: fc.integer(),
        runs: count,
        steps: count,
        shortest: fc.oneof(
          fc.constant('proved'),
          name.map((why) => `not proved: ${why}`),
        ),
      },
      { requiredKeys: ['by'], noNullPrototype: true },
    ),
    sources: fc.array(name),
    programs: record(name),
    note: name,
  },
  {
    requiredKeys: [
      'format',
      'title',
      'design',
      'knobs',
      'workload',
      'schedule',
      'expect',
      'found',
      'sources',
      'programs',
    ],
    noNullPrototype: true,
  },
);

const GOOD = `{ "format": 1, "title": "t", "design": "d", "knobs": {}, "workload": {}, "schedule": ["one"],
  "expect": { "verdict": "convicted", "property": "no-deadlock", "kind": "circle" },
  "found": { "by": "sweep", "shortest": "proved" }, "sources": [], "programs": {} }`;
const wrongWith = (from: string, to: string): string => {
  const text = GOOD.replace(from, to);
  expect(text).not.toBe(GOOD);
  const parsed = parseEntry(text);
  return 'wrong' in parsed ? parsed.wrong : 'accepted';
};

test('what is written is read back the same, and written again the same', () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const text = writeEntry(entry);
      const parsed = parseEntry(text);
      expect(parsed).toEqual({ entry });
      if ('entry' in parsed) expect(writeEntry(parsed.entry)).toBe(text);
    }),
  );
});

test('any text at all is read or refused in one line without control characters', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.tuple(entries, fc.nat(), fc.string()).map(([entry, at, more]) => {
      const text = writeEntry(entry);
      return text.slice(0, at % text.length) + more;
    }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parseEntry(text);
      if ('wrong' in parsed) expect(parsed.wrong).toMatch(/^\P{Cc}+$/u);
    }),
  );
});

describe('refused, with what and where', () => {
  test('the good one is not', () => expect(parseEntry(GOOD)).toHaveProperty('entry.design', 'd'));
  test('a truncated file', () => expect(wrongWith('"programs": {} }', '')).toMatch(/^not JSON: /));
  test('a version nobody knows, before anything else is looked at', () => {
    expect(wrongWith('"format": 1', '"format": 2, "more": 1')).toBe(
      'format: unknown version 2; this fenceproof reads format 1',
    );
    expect(wrongWith('"format": 1,', '')).toBe('format: missing; this fenceproof reads format 1');
  });
  test('__proto__, wherever it stands', () => {
    expect(wrongWith('"knobs": {}', '"knobs": {"__proto__": "x"}')).toBe('knobs.__proto__: this key is not allowed');
    expect(wrongWith('"format": 1', '"format": 1, "__proto__": {"design": "x"}')).toBe(
      '__proto__: this key is not allowed',
    );
    expect(({} as Record<string, unknown>)['design']).toBeUndefined();
  });
  test('a million nested lists', () => {
    const deep = '['.repeat(1e6) + ']'.repeat(1e6);
    expect(wrongWith('"programs": {}', `"programs": ${deep}`)).toMatch(/^programs.*nested deeper than 8 levels$/);
  });
  test('an unknown field', () => expect(wrongWith('"sources"', '"source"')).toMatch(/source/));
  test('an unknown property, listing those there are', () =>
    expect(wrongWith('no-deadlock', 'no-deadlok')).toMatch(/^expect\.property: .*no-livelock/));
  test('a word that is no text', () => expect(wrongWith('["one"]', '["one", 7]')).toMatch(/^schedule\[1\]: /));
  test('more than 100,000 words, and exactly as many are not', () => {
    const words = (n: number): string => JSON.stringify(Array.from({ length: n }, () => 'a'));
    expect(wrongWith('["one"]', words(100_001))).toMatch(/^schedule: /);
    expect(wrongWith('["one"]', words(100_000))).toBe('accepted');
  });
  test('escape sequences for the terminal', () =>
    expect(wrongWith('"title": "t"', '"title": "\\u001b[31m"')).toBe('title: control characters are not allowed'));
  test('a claim of minimality in other words', () =>
    expect(wrongWith('"proved"', '"surely"')).toMatch(/^found\.shortest: must be 'proved'/));
});

test('a design that did not change has no changes; another setting of it says which program changed', () => {
  const abba = designs.find((each) => each.name === 'canary-abba');
  if (!abba) throw new Error('the canary is gone');
  const same = programsOf(boot(abba, { order: 'same' }));
  expect(changes(same, programsOf(boot(abba, { order: 'same' })))).toEqual([]);
  expect(changes(same, programsOf(boot(abba, { order: 'opposite' })))).toEqual(['two changed']);
  expect(changes({ ...same, 'locks.c': '0' }, same)).toEqual(['locks.c is gone']);
  expect(changes({ one: same['one'] ?? '' }, { one: same['one'] ?? '', two: '' })).toEqual(['two is new']);
});
