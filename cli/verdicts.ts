/** The table of verdicts on the terminal: a row a setting, one design under another. */
import Table from 'cli-table3';
import { type Knobs, showKnobs } from '../model/design.ts';
import type { Look } from '../reports/reporter.ts';

export interface Row {
  readonly design: string;
  readonly knobs: Knobs;
  /** What was found, by signature. */
  readonly findings: readonly string[];
  /** Not as it should be. */
  readonly bad: boolean;
  readonly detail: string;
}

const NO_LINES = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
};

export function verdictTable(rows: readonly Row[], { paint }: Look): string {
  const table = new Table({
    head: ['design', 'setting', 'verdict', ''].map((title) => paint('heading', title)),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  rows.forEach(({ design, knobs, findings, bad, detail }, at) => {
    const verdict = findings.length === 0 ? 'nothing found' : findings.join('\n');
    table.push([
      rows[at - 1]?.design === design ? '' : paint('name', design),
      showKnobs(knobs) || '(no knobs)',
      paint(bad ? 'bad' : findings.length === 0 ? 'good' : 'step', verdict),
      paint('dim', detail),
    ]);
  });
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
