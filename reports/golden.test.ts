/**
 * The golden texts: what every format says about the canaries, held word by word.
 *
 * The cases come from the sweep itself, so nothing here is written by hand. `GOLDEN=write npx vitest run reports`
 * writes the texts anew; the difference is then for a person to read.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { boot, settings, showKnobs } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { stateSpace } from '../properties/search/state-space.ts';
import { sweep } from '../properties/search/sweep.ts';
import { dot } from './dot.ts';
import { reporters, runFormats, tables } from './index.ts';
import { PLAIN } from './reporter.ts';
import type { Result } from './result.ts';
import { rowOf } from './row.ts';
import { tell } from './telling.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'golden');
const WRITE = process.env['GOLDEN'] === 'write';

const canaries = designs.filter(({ name }) => name.startsWith('canary-'));
const swept = canaries.flatMap((design) =>
  settings(design).map((knobs) => {
    const booted = boot(design, knobs);
    return { booted, swept: sweep(booted, properties) };
  }),
);
/** What `check` makes of the canaries; one of them is told as if nobody had expected it, and one as if it should have been. */
const results = swept.map(({ booted, swept: { findings } }, at): Result => {
  const { design, knobs, workload } = booted;
  const found = findings.map(({ blame, schedule, loop }) => {
    const run = { design: design.name, knobs, workload, schedule, ...(loop ? { loop } : {}) };
    return { telling: tell(booted, run, properties, blame), expected: at > 1 };
  });
  const oddities = at === 0 ? ['no-leak was expected and not found'] : [];
  return { design: booted.design.name, knobs: showKnobs(booted.knobs), found, oddities, seconds: at };
});
const texts = new Map<string, string>([
  ...swept.flatMap(({ booted, swept: { findings } }) =>
    findings.flatMap(({ blame, schedule, loop }) => {
      const { design, knobs, workload } = booted;
      const run = { design: design.name, knobs, workload, schedule, ...(loop ? { loop } : {}) };
      const telling = tell(booted, run, properties, blame);
      return reporters.map(
        ({ name, render }) => [`${design.name}.${blame.property}.${name}.txt`, render(telling, PLAIN)] as const,
      );
    }),
  ),
  ...swept.map(({ booted }): [string, string] => {
    const values = Object.values(booted.knobs).join('-');
    return [
      `${booted.design.name}.${values}.dot.txt`,
      dot(stateSpace(booted, properties), `${booted.design.name} ${values}`),
    ];
  }),
  ...tables.map(
    ({ name, render }) =>
      [
        `canaries.${name}.txt`,
        render(
          swept.map((each) => rowOf(each.booted, each.swept)),
          PLAIN,
        ),
      ] as const,
  ),
  ...runFormats.map(({ name, render }) => [`canaries.${name}.txt`, render(results)] as const),
]);

describe('the golden texts', () => {
  test.each([...texts.keys()])('%s', (name) => {
    const path = join(FOLDER, name);
    const text = texts.get(name) ?? '';
    if (WRITE) {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, text);
    }
    expect(existsSync(path), `${name} is missing; GOLDEN=write npx vitest run reports writes it`).toBe(true);
    expect(text).toBe(readFileSync(path, 'utf8'));
  });

  test('there is none that no format says any more', () => {
    expect(readdirSync(FOLDER).filter((name) => !texts.has(name))).toEqual([]);
  });

  test('both canaries are there, each convicted once and acquitted once', () => {
    expect(canaries.length).toBe(2);
    expect(
      swept.map((each) => rowOf(each.booted, each.swept)).map(({ verdict, asExpected }) => [verdict, asExpected]),
    ).toEqual([
      ['acquitted', true],
      ['convicted', true],
      ['acquitted', true],
      ['convicted', true],
    ]);
  });
});
