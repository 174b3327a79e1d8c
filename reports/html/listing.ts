/**
 * The index of many pages: a setting a row, with its verdict, how far it was searched, and a link to each finding.
 *
 * It has no script: two boxes leave out rows by style alone, and the browser's own search finds the rest.
 */
import { type Row, grouped, mark } from '../row.ts';
import { escaped, page } from './document.ts';

export interface ListedFinding {
  /** 'no-deadlock (circle of mutex)' */
  readonly signature: string;
  readonly what: string;
  readonly steps: number;
  /** From the index to the page. */
  readonly href: string;
}
/** A row of the index; what an entry of a corpus does not say may be missing. */
export interface Listed
  extends Pick<Row, 'design' | 'knobs' | 'verdict'>,
    Partial<Pick<Row, 'expected' | 'asExpected' | 'states' | 'depth'>> {
  readonly title: string;
  readonly findings: readonly ListedFinding[];
}

type Column = readonly [title: string, cell: (row: Listed) => string, look?: string];

const COLUMNS: readonly Column[] = [
  ['Setting', ({ knobs }) => `<code>${escaped(knobs) || 'no knobs'}</code>`],
  ['Expected', ({ expected = '' }) => escaped(expected), 'expected-column'],
  ['Verdict', (row) => `<span class="${tone(row)}">${said(row)} ${escaped(row.verdict)}</span>`, 'verdict-column'],
  ['Findings', ({ findings }) => (findings.length === 0 ? 'none' : `<ul>${findings.map(link).join('')}</ul>`)],
  ['States', ({ states }) => (states === undefined ? '' : grouped(states)), 'number'],
  ['Depth', ({ depth }) => (depth === undefined ? '' : grouped(depth)), 'number'],
];
const link = ({ signature, what, steps, href }: ListedFinding): string =>
  `<li><a href="${escaped(encodeURIComponent(href))}">${escaped(signature)}</a> in ${steps} step${steps === 1 ? '' : 's'}<br><small>${escaped(what)}</small></li>`;
/** '✓' and '✗' are spoken as what they mean. */
function said({ asExpected }: Listed): string {
  if (asExpected === undefined) return '';
  const words = asExpected === null ? 'nobody said what to expect:' : asExpected ? 'as expected:' : 'not as expected:';
  return `<span aria-hidden="true">${mark({ asExpected })}</span><span class="visually-hidden">${words}</span>`;
}
const tone = ({ asExpected, verdict }: Listed): string => {
  if (asExpected === false) return 'breaks';
  return verdict === 'convicted' || verdict === 'acquitted' ? '' : 'waits';
};

/** @param style that of the pages @param heading what was looked at, in a line */
export function listingPage(heading: string, rows: readonly Listed[], style: string): string {
  const columns = COLUMNS.filter(([, cell]) => rows.some((row) => cell(row) !== ''));
  const names = [...new Set(rows.map(({ design }) => design))];
  const odd = rows.filter(({ asExpected }) => asExpected === false).length;
  const findings = rows.reduce((sum, row) => sum + row.findings.length, 0);
  const convicted = rows.filter(({ verdict }) => verdict === 'convicted').length;
  const open = rows.filter(({ asExpected }) => asExpected === null).length;
  const judged = rows.some(({ asExpected }) => asExpected !== undefined);
  const counts = [
    `${grouped(rows.length)} settings of ${names.length} design${names.length === 1 ? '' : 's'}`,
    `${grouped(convicted)} convicted`,
    `${grouped(findings)} findings`,
    ...(judged ? [`${grouped(rows.length - odd - open)} as they should be, ${odd} not`] : []),
    ...(open > 0 ? [`${open} of which nobody said what to expect`] : []),
  ];
  const boxes = [
    ...(judged ? ['<label><input type="checkbox" id="only-odd"> only what is not as expected</label>'] : []),
    '<label><input type="checkbox" id="only-convicted"> only what was convicted</label>',
  ];
  const body = `<header><p class="design">fenceproof</p><h1>${escaped(heading)}</h1>
<p class="verdict ${judged ? (odd === 0 ? 'good' : 'bad') : ''}">${counts.join(', ')}.</p></header>
<main><fieldset class="boxes"><legend>Show</legend>${boxes.join(' ')}</fieldset>
${names
  .map((name, at) =>
    sectionOf(
      name,
      at,
      rows.filter(({ design }) => design === name),
      columns,
    ),
  )
  .join('\n')}
</main>`;
  return page(`fenceproof: ${heading}`, style, body);
}

function sectionOf(name: string, at: number, rows: readonly Listed[], columns: readonly Column[]): string {
  const head = columns.map(([title, , look]) => `<th scope="col" class="${look ?? ''}">${title}</th>`).join('');
  const body = rows.map((row) => {
    const cells = columns.map(
      ([title, cell, look]) => `<td data-title="${title}" class="${look ?? ''}">${cell(row)}</td>`,
    );
    const classes = [row.asExpected === false ? 'odd' : 'even', row.verdict === 'convicted' ? 'convicted' : 'other'];
    return `<tr class="${classes.join(' ')}">${cells.join('')}</tr>`;
  });
  return `<section class="listed" aria-labelledby="design-${at}"><h2 id="design-${at}">${escaped(name)}</h2>
<p class="quiet">${escaped(rows[0]?.title ?? '')}</p>
<table class="verdicts"><thead><tr>${head}</tr></thead><tbody>
${body.join('\n')}
</tbody></table></section>`;
}
