import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { boot, expected, settings, showKnobs } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { canonical } from '../model/schema.ts';
import { properties } from '../properties/index.ts';
import { type Entry, identityOf } from './entry.ts';
import { statusOf } from './status.ts';
import { loadDirectory } from './store.ts';

const loaded = loadDirectory(join(dirname(fileURLToPath(import.meta.url)), 'cases'));
const entries = loaded.flatMap((each) => ('entry' in each ? [each.entry] : []));

describe('the corpus', () => {
  test('every file is an entry, and no two are about the same', () => {
    expect(loaded.flatMap((each) => ('wrong' in each ? [`${each.path}: ${each.wrong}`] : []))).toEqual([]);
    expect(new Set(entries.map(identityOf)).size).toBe(entries.length);
  });

  for (const design of designs) {
    const own = entries.filter((entry) => entry.design === design.name);

    test(`${design.name}: every entry reproduces`, () => {
      const odd = own.flatMap((entry) => {
        const { status, says, changed } = statusOf(entry, design, properties);
        return status === 'reproduces' ? [] : [`${entry.title}: ${status}: ${[...changed, says].join(', ')}`];
      });
      expect(odd).toEqual([]);
    });

    test(`${design.name}: a counterexample for every conviction expected, an acquittal for every acquittal`, () => {
      const at = (knobs: Entry['knobs']): Entry[] => own.filter((entry) => canonical(entry.knobs) === canonical(knobs));
      const missing = settings(design).flatMap((knobs) => {
        const { convicts = [], acquits } = expected(design, boot(design, knobs).knobs) ?? {};
        const there = at({ ...knobs }).map(({ expect }) =>
          expect.verdict === 'convicted' ? expect.property : 'acquitted',
        );
        const wanted = [...convicts, ...(acquits ? ['acquitted'] : [])];
        return wanted
          .filter((each) => !there.some((property) => property === each))
          .map((each) => `${showKnobs(knobs)}: ${each}`);
      });
      expect(missing).toEqual([]);
    });
  }

  test('no entry is about a design that is not there', () => {
    const names = designs.map(({ name }) => name);
    expect(entries.filter(({ design }) => !names.includes(design)).map(({ title }) => title)).toEqual([]);
  });
});
