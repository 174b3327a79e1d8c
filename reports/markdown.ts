/** The verdicts as a GitHub table: for a README, or for a mail that somebody will quote. */
import type { TableFormat } from './reporter.ts';
import { type Row, grouped, mark } from './row.ts';

/** A cell may hold neither a bar nor a line break. */
const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s*\n\s*/g, ' ');
const code = (text: string): string => (text === '' ? '' : `\`${text}\``);
const HEAD = ['design', 'setting', 'expected', 'found', 'verdict', 'states', 'depth'];

const cells = (row: Row, above: Row | undefined): string[] => [
  row.design === above?.design ? '' : code(row.design),
  code(row.knobs),
  row.expected,
  row.properties.join(', ') || 'nothing',
  `${mark(row)} ${row.verdict}`,
  grouped(row.states),
  String(row.depth),
];

export const markdown: TableFormat = {
  name: 'markdown',
  says: 'the verdicts as a GitHub table',
  render(rows) {
    const line = (texts: readonly string[]): string => `| ${texts.map(cell).join(' | ')} |`;
    const rule = `|${HEAD.map((title) => (title === 'states' || title === 'depth' ? ' ---: |' : ' --- |')).join('')}`;
    return [line(HEAD), rule, ...rows.map((row, at) => line(cells(row, rows[at - 1]))), ''].join('\n');
  },
};
