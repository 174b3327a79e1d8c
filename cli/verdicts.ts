/**
 * What a fuzz found, as a table: a design, its settings under it, and what broke at each.
 *
 * "Nothing" is no acquittal here, however many runs stand beside it; only an exhaustive search acquits.
 */
import Table from 'cli-table3';
import { showKnobs } from '../model/design.ts';
import type { Look } from '../reports/reporter.ts';
import { grouped } from '../reports/row.ts';
import { wrap } from '../reports/wrap.ts';
import type { Setting } from './designs.ts';

/** What the search of one setting brought. */
export interface Searched {
  readonly setting: Setting;
  /** By signature: in the corpus already, or not. */
  readonly findings: Map<string, 'known' | 'new'>;
  /** Situations that were reached. */
  readonly witnesses: Set<string>;
  runs: number;
  steps: number;
}

const SIDES = ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) =>
  ['', '-mid', '-left', '-right'].map((end) => side + end),
);
const NO_LINES = Object.fromEntries(SIDES.map((part) => [part, '']));
/** The columns of numbers and what stands between columns. */
const NUMBERS = 30;
const INDENT = '  ';

export function fuzzTable(all: readonly Searched[], { width, paint }: Look): string {
  const table = new Table({
    chars: { ...NO_LINES, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', 'left', 'right', 'right', 'right'],
  });
  const half = Math.floor((width - NUMBERS) / 2);
  table.push(['setting', 'found', 'runs', 'steps', 'seen'].map((title) => paint('heading', title)));
  all.forEach(({ setting, findings, witnesses, runs, steps }, at) => {
    if (all[at - 1]?.setting.design !== setting.design) table.push([paint('name', setting.design), '', '', '', '']);
    const found = [...findings].sort(([a], [b]) => (a < b ? -1 : 1));
    table.push([
      wrap(`${INDENT}${showKnobs(setting.knobs) || '(no knobs)'}`, half, INDENT.repeat(2)).join('\n'),
      found.length === 0
        ? paint('good', 'nothing')
        : found
            .flatMap(([what, news]) =>
              wrap(news === 'new' ? `${what} NEW` : what, half, INDENT).map((line) =>
                paint(news === 'new' ? 'bad' : 'step', line),
              ),
            )
            .join('\n'),
      ...[runs, steps, witnesses.size].map((number) => paint('dim', grouped(number))),
    ]);
  });
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
