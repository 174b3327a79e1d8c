/** The verdicts as a table for a terminal: it fits the width, and what is not as expected stands out. */
import Table from 'cli-table3';
import type { Look, TableFormat } from './reporter.ts';
import { type Row, grouped, mark } from './row.ts';
import { columns, wrap } from './wrap.ts';

const HEAD = ['design', 'setting', 'expected', 'found', 'verdict', 'states', 'depth'];
const BETWEEN = 2;
/** No column gets narrower than this; the wide ones give way first. */
const NARROWEST = 4;
const NUMBERS: ReadonlySet<string> = new Set(['states', 'depth']);

const cells = (row: Row, above: Row | undefined): string[] => [
  row.design === above?.design ? '' : row.design,
  row.knobs,
  row.expected,
  row.properties.join(', ') || 'nothing',
  `${mark(row)} ${row.verdict}`,
  grouped(row.states),
  String(row.depth),
];

/** Widths that fit: as wide as the contents, then a column at a time from the widest. */
function widthsFor(lines: readonly (readonly string[])[], width: number): number[] {
  const widths = HEAD.map((_, at) => Math.max(...lines.map((line) => columns(line[at] ?? ''))));
  const room = width - BETWEEN * (HEAD.length - 1);
  for (let over = widths.reduce((sum, each) => sum + each, 0) - room; over > 0; over -= 1) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= NARROWEST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((end) => [`${side}${end}`, '']),
  ),
);

function render(rows: readonly Row[], { width, paint }: Look): string {
  const lines = rows.map((row, at) => cells(row, rows[at - 1]));
  const widths = widthsFor([HEAD, ...lines], width);
  const table = new Table({
    chars: { ...NO_LINES, middle: ' '.repeat(BETWEEN) },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: HEAD.map((title) => (NUMBERS.has(title) ? 'right' : 'left')),
  });
  const fitted = (texts: readonly string[]): string[][] => texts.map((text, at) => wrap(text, widths[at] ?? 1));
  const inStyle = (style: Parameters<typeof paint>[0], parts: readonly string[]): string =>
    parts.map((line) => paint(style, line)).join('\n');
  table.push(fitted(HEAD).map((parts) => inStyle('heading', parts)));
  rows.forEach((row, at) => {
    const verdict = row.asExpected === null ? 'dim' : row.asExpected ? 'good' : 'bad';
    const styles = ['name', 'step', 'dim', 'step', verdict, 'dim', 'dim'] as const;
    table.push(fitted(lines[at] ?? []).map((parts, column) => inStyle(styles[column] ?? 'step', parts)));
  });
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

export const table: TableFormat = { name: 'table', says: 'the verdicts as a table for the terminal', render };
