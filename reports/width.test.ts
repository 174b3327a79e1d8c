import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boot, settings } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { reporters, tables } from './index.ts';
import { PLAIN, type Paint } from './reporter.ts';
import { rowOf } from './row.ts';
import { tell } from './telling.ts';
import { columns, wrap } from './wrap.ts';

const swept = designs
  .filter(({ name }) => name.startsWith('canary-'))
  .flatMap((design) => settings(design).map((knobs) => boot(design, knobs)))
  .map((booted) => ({ booted, swept: sweep(booted, properties) }));
const tellings = swept.flatMap(({ booted, swept: { findings } }) =>
  findings.map(({ blame, schedule }) => {
    const { design, knobs, workload } = booted;
    return tell(booted, { design: design.name, knobs, workload, schedule }, properties, blame);
  }),
);
const rows = swept.map((each) => rowOf(each.booted, each.swept));
/** The others are for programs, which do not mind long lines. */
const laidOut = reporters.filter(({ name }) => ['story', 'hung-task', 'lockdep'].includes(name));
const terminal = tables.filter(({ name }) => name === 'table');

const widths = fc.integer({ min: 40, max: 160 });
const longest = (text: string): number => Math.max(...text.split('\n').map(columns));
/** A paint that shows: every style put in brackets that take no room once they are removed. */
const loud: Paint = (style, text) => `\u001b[${style.length}m${text}\u001b[0m`;
// oxlint-disable-next-line no-control-regex
const unpainted = (text: string): string => text.replace(/\u001b\[\d+m/g, '');

describe('the layout', () => {
  test('no line is longer than the width, in any format, at any width', () => {
    fc.assert(
      fc.property(widths, fc.constantFrom(...tellings), fc.constantFrom(...laidOut), (width, telling, { render }) => {
        expect(longest(render(telling, { ...PLAIN, width }))).toBeLessThanOrEqual(width);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(widths, fc.constantFrom(...terminal), (width, { render }) => {
        expect(longest(render(rows, { ...PLAIN, width }))).toBeLessThanOrEqual(width);
      }),
    );
  });

  test('a wide page is used: some line is longer than a narrow page', () => {
    for (const telling of tellings)
      expect(longest(laidOut[0]?.render(telling, { ...PLAIN, width: 120 }) ?? '')).toBeGreaterThan(60);
  });

  test('paint changes nothing but the paint', () => {
    fc.assert(
      fc.property(widths, fc.constantFrom(...tellings), fc.constantFrom(...laidOut), (width, telling, { render }) => {
        const trimmed = (text: string): string =>
          text
            .split('\n')
            .map((line) => line.trimEnd())
            .join('\n');
        expect(trimmed(unpainted(render(telling, { width, paint: loud })))).toBe(render(telling, { ...PLAIN, width }));
      }),
      { numRuns: 200 },
    );
    expect(tellings[0] && laidOut[0]?.render(tellings[0], { width: 80, paint: loud })).toContain('\u001b[');
  });

  test('wrapping loses no letter, and breaks a long name where a kernel developer would', () => {
    const text = fc.stringMatching(/^[a-z_(),. >-]{0,120}$/);
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 60 }), (line, width) => {
        const lines = wrap(line, width, '  ');
        expect(lines.join('').replace(/ /g, '')).toBe(line.replace(/ /g, ''));
        expect(Math.max(...lines.map(columns))).toBeLessThanOrEqual(width);
      }),
    );
    expect(wrap('dma_resv_wait(bo->resv,BOOKKEEP)', 20)).toEqual(['dma_resv_wait(', 'bo->resv,BOOKKEEP)']);
    expect(wrap('short', 20)).toEqual(['short']);
  });
});
