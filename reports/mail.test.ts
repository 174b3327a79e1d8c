import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { caseOf } from '../corpus/entry.ts';
import { loadDirectory } from '../corpus/store.ts';
import { boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { mail } from './mail.ts';
import { PLAIN } from './reporter.ts';
import { type Telling, stepsOf, tell } from './telling.ts';
import { ascii } from './wrap.ts';

const CASES = join(dirname(fileURLToPath(import.meta.url)), '..', 'corpus', 'cases');
const byName = new Map(designs.map((each) => [each.name, each]));
const tellings: readonly Telling[] = loadDirectory(CASES).flatMap((loaded) => {
  const design = 'entry' in loaded ? byName.get(loaded.entry.design) : undefined;
  if (!('entry' in loaded) || !design || loaded.entry.expect.verdict !== 'convicted') return [];
  const { entry } = loaded;
  const booted = boot(design, entry.knobs);
  return [tell(booted, { ...caseOf(entry), knobs: booted.knobs }, properties, entry.expect as never)];
});

describe('a mail', () => {
  test('of any counterexample is plain ASCII in 72 columns, without a space at an end of a line', () => {
    expect(tellings.length).toBeGreaterThan(100);
    for (const telling of tellings) {
      const text = mail.render(telling, PLAIN);
      expect(text).toMatch(/^[\n -~]+$/);
      for (const line of text.split('\n')) {
        expect(line.length, line).toBeLessThanOrEqual(72);
        expect(line).toBe(line.trimEnd());
      }
    }
  });
  test('has every step once, in order, and says what is broken and by which rule', () => {
    const flat = (text: string): string => text.replace(/\s+/g, ' ');
    for (const telling of tellings) {
      const text = mail.render(telling, PLAIN);
      const numbers = [...text.matchAll(/^(\d+)\. +\S+: /gm)].map(([, number]) => Number(number));
      expect(numbers, telling.design).toEqual(stepsOf(telling).map(({ number }) => number));
      expect(flat(text)).toContain(flat(ascii(telling.blame?.rules.join(', ') ?? '?')));
    }
  });
  test('has no line that a mail program takes for something else: a quotation, a signature, a new mail', () => {
    for (const telling of tellings) expect(mail.render(telling, PLAIN)).not.toMatch(/^(>|--? ?$|From )/m);
  });
});

test('signs become their likeness in ASCII, accents go, and what has none is a question mark', () => {
  expect(ascii('a → b … König ✓ 漢 ok')).toBe('a -> b ... Konig + ? ok');
});
