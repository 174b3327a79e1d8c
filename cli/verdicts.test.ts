import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Booted, boot, expected, settings, showKnobs } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { markdown } from '../reports/markdown.ts';
import { rowOf } from '../reports/row.ts';

/** Every design at every setting, swept once for all claims of this file. */
const swept = designs.flatMap((design) =>
  settings(design).map((knobs) => {
    const booted = boot(design, knobs);
    return { booted, found: sweep(booted, properties), title: `${design.name} ${showKnobs(knobs)}` };
  }),
);

describe('every design at every setting', () => {
  for (const { booted, found, title } of swept)
    test(`${title}: comes out as its authors were promised`, () => {
      const { design, knobs } = booted;
      const expectation = expected(design, knobs);
      expect(expectation, 'nobody says what to expect here').toBeDefined();
      expect(found.complete, found.why).toBe(true);
      const convicted = new Set<string>(found.findings.map(({ blame }) => blame.property));
      expect([...(expectation?.convicts ?? [])].filter((name) => !convicted.has(name))).toEqual([]);
      expect([...(expectation?.spares ?? [])].filter((name) => convicted.has(name))).toEqual([]);
      if (expectation?.acquits) expect([...convicted]).toEqual([]);
      expect(
        (expectation?.witnesses ?? []).filter((name) => !found.witnesses.has(name)),
        'never reached',
      ).toEqual([]);
    });

  test('comes out the same when timers may fire at any time', { tags: ['long'] }, () => {
    const otherwise = swept.flatMap(({ booted, title }) => {
      const any = rowOf(booted, sweep(booted, properties, { patient: false }));
      return any.asExpected ? [] : [`${title}: ${any.verdict} ${any.properties.join(', ')}`];
    });
    expect(otherwise).toEqual([]);
  });

  test('an acquittal always names what must have been reached', () => {
    const bare = designs.flatMap(({ name, expect: all }) =>
      all.filter(({ acquits, witnesses }) => acquits && !witnesses?.length).map(() => name),
    );
    expect(bare).toEqual([]);
  });
  test('an acquittal is due to something: one other choice, or a few where as many keep the promise, convicts', () => {
    const apart = (one: Booted, other: Booted): number =>
      one.design === other.design
        ? Object.keys(one.knobs).filter((knob) => one.knobs[knob] !== other.knobs[knob]).length
        : Number.POSITIVE_INFINITY;
    const convicted = swept.filter(({ found }) => found.findings.length > 0);
    const nearest = swept
      .filter(({ found }) => found.findings.length === 0)
      .map(({ booted }) => ({
        name: booted.design.name,
        choices: Math.min(...convicted.map((other) => apart(booted, other.booted))),
      }));
    const needing = (choices: number): string[] => [
      ...new Set(nearest.filter((each) => each.choices === choices).map(({ name }) => name)),
    ];
    expect(nearest.filter(({ choices }) => choices > 3)).toEqual([]);
    // An idle process, a ring that it could not write, and a fence for memory that does not ask it.
    expect(needing(3)).toEqual(['direct-submit']);
    // Two safeguards at once: whichever is taken away, the other still holds.
    expect(needing(2)).toEqual([
      'reset-and-modeset',
      'reset-big-lock',
      'direct-submit',
      'doorbell-scheduler',
      'swap-notify-late-error',
      'resource-null',
      'evict-with-ticket',
      'unload-with-buffers',
      'swapout-under-pressure',
      'pinned-working-set',
      'long-running-with-fence',
    ]);
  });
  test('every design has a setting that is convicted and one that is acquitted, or says that there is none', () => {
    const kinds = designs.map(({ name, expect: all }) => ({
      name,
      convicts: all.some(({ convicts }) => convicts?.length),
      acquits: all.some(({ acquits }) => acquits),
    }));
    expect(kinds.filter(({ convicts }) => !convicts)).toEqual([]);
    // The 2021 proposals: as a dma-fence, none of them keeps the promise (Documentation/driver-api/dma-buf.rst, T-10).
    expect(kinds.filter(({ acquits }) => !acquits).map(({ name }) => name)).toEqual([
      'next-serial',
      'timeout-and-collect',
    ]);
  });
});

describe('the README', () => {
  const path = fileURLToPath(new URL('../README.md', import.meta.url));
  const [BEGIN, END] = ['<!-- verdicts: generated, see cli/verdicts.test.ts -->\n', '<!-- end of verdicts -->'];

  test('shows the verdicts as they are now (GOLDEN=write writes them)', () => {
    const rows = swept.map(({ booted, found }) => rowOf(booted, found));
    const table = markdown.render(rows, { width: 100, paint: (_style, text) => text });
    const readme = readFileSync(path, 'utf8');
    const [before, rest] = readme.split(BEGIN) as [string, string];
    const [shown, after] = rest.split(END) as [string, string];
    if (process.env['GOLDEN'] === 'write') writeFileSync(path, `${before}${BEGIN}\n${table}\n${END}${after}`);
    else expect(shown.trim()).toBe(table.trim());
  });
});
