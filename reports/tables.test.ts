import { describe, expect, test } from 'vitest';
import { type Design, boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { markdown } from './markdown.ts';
import { PLAIN } from './reporter.ts';
import { type Row, grouped, rowOf } from './row.ts';

const abba = designs.find(({ name }) => name === 'canary-abba') as Design;
const row = (order: string, maxStates = 1_000): Row => {
  const booted = boot(abba, { order });
  return rowOf(booted, sweep(booted, properties, { maxStates }));
};

describe('a row', () => {
  test('is as expected when all that was promised was found, and not when a witness or half the search is missing', () => {
    expect(row('opposite')).toMatchObject({ verdict: 'convicted', asExpected: true });
    expect(row('same')).toMatchObject({ verdict: 'acquitted', asExpected: true });
    expect(row('same', 3)).toMatchObject({ verdict: 'not finished', asExpected: false });
    const booted = boot(abba, { order: 'same' });
    const blind = { ...sweep(booted, properties), witnesses: new Set<string>() };
    expect(rowOf(booted, blind)).toMatchObject({ verdict: 'never got there', asExpected: false });
  });

  test('is not as expected when the opposite was found', () => {
    const [same, opposite] = [boot(abba, { order: 'same' }), boot(abba, { order: 'opposite' })];
    expect(rowOf(same, sweep(opposite, properties))).toMatchObject({ verdict: 'convicted', asExpected: false });
    expect(rowOf(opposite, sweep(same, properties))).toMatchObject({ verdict: 'acquitted', asExpected: false });
  });
});

describe('the GitHub table', () => {
  const cellsOf = (rows: readonly Row[]): number[] =>
    markdown
      .render(rows, PLAIN)
      .trim()
      .split('\n')
      .map((line) => line.split(/(?<!\\)\|/).length);

  test('has the same number of cells in every line, whatever a name contains', () => {
    expect(new Set(cellsOf([row('same'), { ...row('opposite'), knobs: 'a|b', expected: 'x\ny' }])).size).toBe(1);
  });
});

test('large numbers are grouped by thousands, small ones are left alone', () => {
  expect([999, 1000, 1234567].map(grouped)).toEqual(['999', '1,000', '1,234,567']);
});
