import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { PROPERTIES } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';

/** Left to right; a room imports from itself and from its left. */
const ROOMS = ['model', 'properties', 'shrinkers', 'corpus', 'reports', 'cli'];
const HOME = resolve(dirname(fileURLToPath(import.meta.url)), '..');

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}
const sourcesUnder = (folder: string): string[] =>
  readdirSync(join(HOME, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(HOME, path)).isDirectory()) return sourcesUnder(path);
    return /\.tsx?$/.test(path) ? [path] : [];
  });
const read = (path: string): Source => {
  const text = readFileSync(join(HOME, path), 'utf8');
  const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, target]) => target as string);
  return { path, text, imports };
};
const all = ROOMS.flatMap(sourcesUnder).map(read);
const code = all.filter(({ path }) => !/\.(test|bench)\.ts$/.test(path));
const room = (path: string): number => ROOMS.indexOf(path.split('/')[0] as string);
const targets = ({ path, imports }: Source): string[] =>
  imports
    .filter((target) => target.startsWith('.'))
    .map((target) => relative(HOME, resolve(HOME, dirname(path), target)));

/** Breaches of a rule, as 'file: what', so that a failure names them all. */
const breaches = (sources: readonly Source[], find: (source: Source) => readonly string[]): string[] =>
  sources.flatMap((source) => find(source).map((what) => `${source.path}: ${what}`));

describe('the house', () => {
  test('imports go to the own room and to rooms on its left only', () => {
    expect(breaches(all, (source) => targets(source).filter((target) => room(target) > room(source.path)))).toEqual([]);
  });

  test('the machine imports the schema only; objects import no design; only the list of designs imports designs', () => {
    const inside = (prefix: string) => (target: string) => target.startsWith(prefix);
    expect(
      breaches(
        code.filter(({ path }) => path === 'model/machine.ts'),
        (source) => targets(source).filter((target) => target !== 'model/schema.ts'),
      ),
    ).toEqual([]);
    expect(
      breaches(
        code.filter(({ path }) => inside('model/objects/')(path)),
        (source) =>
          targets(source).filter(
            (target) =>
              !inside('model/objects/')(target) && target !== 'model/machine.ts' && target !== 'model/schema.ts',
          ),
      ),
    ).toEqual([]);
    const others = code.filter(({ path }) => !inside('model/designs/')(path));
    expect(
      breaches(others, (source) =>
        targets(source).filter((target) => inside('model/designs/')(target) && target !== 'model/designs/index.ts'),
      ),
    ).toEqual([]);
  });

  test('only cli and the corpus store know files, processes, clocks and colours', () => {
    // The browser of the tests is not shipped.
    const outside = ['corpus/store.ts', 'reports/chromium.ts'];
    const rim = (path: string): boolean => path.startsWith('cli/') || outside.includes(path);
    const effects =
      /node:(fs|child_process|worker_threads|os|process|tty)|\bprocess\.(env|argv|exit|stdout|stderr|cwd)|Date\.now|new Date\(|performance\.now|Math\.random|yoctocolors/;
    expect(
      breaches(
        code.filter(({ path }) => !rim(path)),
        ({ text }) => (effects.test(text) ? [`uses ${effects.exec(text)?.[0]}`] : []),
      ),
    ).toEqual([]);
  });

  test('nothing but a design, and tests, calls a design by name', () => {
    const names = designs.map(({ name }) => name).join('|');
    const quoted = new RegExp(`['"\`](${names})['"\`]`);
    expect(
      breaches(
        code.filter(({ path }) => !path.startsWith('model/designs/')),
        ({ text }) => (quoted.test(text) ? [`names ${quoted.exec(text)?.[0]}`] : []),
      ),
    ).toEqual([]);
  });

  test('every file begins by saying what it is, and there is no room for leftovers', () => {
    expect(
      breaches(code, ({ text }) => (/^(#!.*\n)?\/\*\*/.test(text) ? [] : ['does not begin with a doc comment'])),
    ).toEqual([]);
    expect(
      breaches(all, ({ path }) => (/utils?\b|helpers?\b/.test(path) ? ['a drawer for odds and ends'] : [])),
    ).toEqual([]);
  });

  test('the rules above can fail: a breach is named with its file', () => {
    const bad: Source = { path: 'model/x.ts', text: '', imports: ['../cli/fenceproof.ts'] };
    expect(breaches([bad], (source) => targets(source).filter((target) => room(target) > room(source.path)))).toEqual([
      'model/x.ts: cli/fenceproof.ts',
    ]);
  });
});

describe('names', () => {
  test('every design has a name of its own, a claim, sources, and an expectation for every value of every knob', () => {
    expect(new Set(designs.map(({ name }) => name)).size).toBe(designs.length);
    for (const { name, title, sources, knobs, expect: expectations } of designs) {
      expect(title.length, name).toBeGreaterThan(20);
      expect(sources.length, name).toBeGreaterThan(0);
      for (const { when } of expectations)
        for (const [knob, values] of Object.entries(when))
          for (const value of [values].flat()) expect(knobs[knob], `${name} ${knob}`).toContain(value);
    }
  });
  test('every property is one of the fixed names, once', () => {
    const names = properties.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !PROPERTIES.includes(name))).toEqual([]);
  });
});
