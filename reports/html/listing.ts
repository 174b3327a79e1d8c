/**
 * The index of many pages: a setting a row, with its verdict, how far it was searched, and a link to each finding.
 *
 * It has no script: two boxes leave out rows by style alone, and the browser's own search finds the rest.
 */
import { type Row, grouped, mark } from '../row.ts';
import { type Searched, SAYS_NOTHING_OF, searchedLines } from '../acquittal.ts';
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
  /** What stands behind the verdict, when that is known. */
  readonly searched?: Searched;
}

/** @param alone there is no other row */
type Column = readonly [title: string, cell: (row: Listed, alone: boolean) => string, look?: string];

const COLUMNS: readonly Column[] = [
  ['Setting', ({ knobs }) => `<code>${escaped(knobs) || 'no knobs'}</code>`],
  ['Expected', ({ expected = '' }) => escaped(expected), 'expected-column'],
  ['Verdict', (row) => `<span class="${tone(row)}">${said(row)} ${escaped(row.verdict)}</span>`, 'verdict-column'],
  ['Findings', foundIn],
  ['States', ({ states }) => (states === undefined ? '' : grouped(states)), 'number'],
  ['Depth', ({ depth }) => (depth === undefined ? '' : grouped(depth)), 'number'],
];
const link = ({ signature, what, steps, href }: ListedFinding): string =>
  `<li><a href="${escaped(encodeURIComponent(href))}">${escaped(signature)}</a> in ${steps} step${steps === 1 ? '' : 's'}<br><small>${escaped(what)}</small></li>`;
function foundIn({ findings, searched }: Listed, alone: boolean): string {
  const links = findings.length === 0 ? '' : `<ul>${findings.map(link).join('')}</ul>`;
  if (!searched) return links || 'none';
  const much = counted(searched.states, 'state');
  const none = searched.unfinished === undefined ? `none, in any of ${much}` : `none in ${much}, which are not all`;
  const lines = searchedLines(searched).map(([label, text]) => `<dt>${label}</dt><dd>${escaped(text)}</dd>`);
  // Of hundreds of settings, a reader opens what a reader doubts.
  return `${links}<details class="searched"${alone ? ' open' : ''}><summary>${links === '' ? none : 'what was searched'}</summary><dl>${lines.join('')}</dl></details>`;
}
const counted = (number: number, what: string): string => `${grouped(number)} ${what}${number === 1 ? '' : 's'}`;
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
  const columns = COLUMNS.filter(([, cell]) => rows.some((row) => cell(row, false) !== ''));
  const alone = rows.length === 1;
  const names = [...new Set(rows.map(({ design }) => design))];
  const odd = rows.filter(({ asExpected }) => asExpected === false).length;
  const findings = rows.reduce((sum, row) => sum + row.findings.length, 0);
  const convicted = rows.filter(({ verdict }) => verdict === 'convicted').length;
  const open = rows.filter(({ asExpected }) => asExpected === null).length;
  const judged = rows.some(({ asExpected }) => asExpected !== undefined);
  const counts = [
    `${counted(rows.length, 'setting')} of ${counted(names.length, 'design')}`,
    `${grouped(convicted)} convicted`,
    counted(findings, 'finding'),
    ...(judged ? [`${grouped(rows.length - odd - open)} as they should be, ${odd} not`] : []),
    ...(open > 0 ? [`${open} of which nobody said what to expect`] : []),
  ];
  const caution = rows.some(({ verdict }) => verdict === 'acquitted')
    ? `\n<p class="quiet">Acquitted: in this design, with these calls, no execution breaks a property that it was judged by. That says nothing of ${SAYS_NOTHING_OF}.</p>`
    : '';
  const boxes = [
    ...(judged ? ['<label><input type="checkbox" id="only-odd"> only what is not as expected</label>'] : []),
    '<label><input type="checkbox" id="only-convicted"> only what was convicted</label>',
  ];
  const body = `<header><p class="design">fenceproof</p><h1>${escaped(heading)}</h1>
<p class="verdict ${judged ? (odd === 0 ? 'good' : 'bad') : ''}">${counts.join(', ')}.</p>${caution}</header>
<main>${alone ? '' : `<fieldset class="boxes"><legend>Show</legend>${boxes.join(' ')}</fieldset>`}
${names
  .map((name, at) =>
    sectionOf(
      name,
      at,
      rows.filter(({ design }) => design === name),
      columns,
      alone,
    ),
  )
  .join('\n')}
</main>`;
  return page(`fenceproof: ${heading}`, style, body);
}

function sectionOf(
  name: string,
  at: number,
  rows: readonly Listed[],
  columns: readonly Column[],
  alone: boolean,
): string {
  const head = columns.map(([title, , look]) => `<th scope="col" class="${look ?? ''}">${title}</th>`).join('');
  const body = rows.map((row) => {
    const cells = columns.map(
      ([title, cell, look]) => `<td data-title="${title}" class="${look ?? ''}">${cell(row, alone)}</td>`,
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
