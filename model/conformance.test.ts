import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { LEFT_OUT, namedIn, showTable, stated, statedIn, wrongWith } from './conformance.ts';

const HOME = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const tests = ['model', 'properties'].flatMap((room) =>
  readdirSync(join(HOME, room), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.endsWith('conformance.test.ts'))
    .map((path) => join(room, path).replaceAll('\\', '/'))
    .sort(),
);
const facts = tests.flatMap((file) =>
  statedIn(readFileSync(join(HOME, file), 'utf8')).map((fact) => ({ ...fact, file })),
);
const table = readFileSync(join(HOME, 'model', 'CONFORMANCE.md'), 'utf8');

describe('CONFORMANCE.md', () => {
  test('every fact is tested by exactly one title, or left out with a reason', () => {
    expect(wrongWith(facts)).toEqual([]);
  });
  test('names exactly the facts that the titles state, and those left out; if not: npm run conformance', () => {
    const now = showTable(facts.map((fact) => ({ ...fact, passed: true })));
    expect(namedIn(table)).toEqual(namedIn(now));
  });
  test('says that every one of them passed', () => {
    expect(table.split('\n').filter((line) => line.endsWith('| NO |'))).toEqual([]);
  });
  test('every reason is a reason', () => {
    for (const { id, why } of LEFT_OUT) expect(why.length, id).toBeGreaterThan(30);
  });
});

describe('the checks themselves can fail', () => {
  const s1 = { id: 'S1', says: 'a fence' };
  const complaints = (facts_: readonly { id: string; says: string }[], out: readonly string[] = []): string[] =>
    wrongWith(
      facts_,
      out.map((id) => ({ id, why: 'because' })),
    );
  test('a fact that nobody claims, one claimed twice, one that does not exist, one both tested and left out', () => {
    expect(complaints([])).toContain('S1 is neither tested nor left out');
    expect(complaints([s1])).not.toContain('S1 is neither tested nor left out');
    expect(complaints([s1, s1])).toContain('S1 is claimed by more than one test');
    expect(complaints([{ id: 'S89', says: 'x' }])).toContain('there is no fact S89');
    expect(complaints([s1], ['S1'])).toContain('S1 is tested, and left out');
    expect(complaints([], ['S1', 'S1'])).toContain('S1 is left out twice');
  });
  test('a table with another title, or without a row, is stale', () => {
    const rows = [{ ...s1, file: 'x.test.ts', passed: true }];
    const now = namedIn(showTable(rows, []));
    expect(now).toHaveLength(1);
    expect(namedIn(showTable([], []))).not.toEqual(now);
    expect(namedIn(showTable([{ ...s1, says: 'another claim', file: 'x.test.ts', passed: true }], []))).not.toEqual(
      now,
    );
    expect(namedIn(showTable([{ ...s1, file: 'x.test.ts', passed: false }], []))).toEqual(now);
  });
  test('only a title that begins with ids, a colon and a claim states facts', () => {
    expect(stated('S12: the callback has run')).toEqual([{ id: 'S12', says: 'the callback has run' }]);
    expect(stated('IGT sw_sync/sync_merge: one point').map(({ id }) => id)).toEqual(['IGT sw_sync/sync_merge']);
    expect(stated('S-C2..S-C4, L-C1: all').map(({ id }) => id)).toEqual(['S-C2', 'S-C3', 'S-C4', 'L-C1']);
    expect(stated('SO-1: a rule, not a fact')).toEqual([]);
    expect(stated('S1, SO-1: a fact and a rule')).toEqual([]);
    expect(statedIn("test('S1: it\\'s so', () => {}); describe(`LD-2: a\nb`, () => {}); // test('x')")).toEqual([
      { id: 'S1', says: "it's so" },
      { id: 'LD-2', says: 'a\nb' },
    ]);
  });
});
