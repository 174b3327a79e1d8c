/**
 * The steps side by side: one lane for each thread that takes part, one row for each step, time going down.
 *
 * A race is a relation between columns, so it is shown as columns. When they would be too narrow to read, or too many
 * to follow, the same rows are told as a list.
 */
import type { Look, Style } from './reporter.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';
import { columns, padded, wrap } from './wrap.ts';

export const MOST_LANES = 5;
export const NARROWEST_LANE = 22;
const BETWEEN = ' │ ';
/** Deeper calls are not indented further: a lane has no room for it. */
const DEEPEST = 6;

/** One line of a thread, indented as deep as its stack. */
export interface Said {
  readonly thread: string;
  readonly text: string;
  readonly indent: number;
  readonly style: Style;
}
/** What happens at one moment; the number of the step, or '' for what follows from it. */
interface Row {
  readonly number: string;
  readonly said: readonly Said[];
  /** A line across all lanes. */
  readonly across?: string;
}

/**
 * The threads that take part: they step, or the verdict names them; in the order in which they appear. Those who only
 * hang in the end are shown too while there is room: they are the harm that was done.
 */
export function participants(telling: Telling): string[] {
  const links = telling.judgedBy === 'orders' ? [] : (telling.blame?.links ?? []);
  const named = links.flatMap(({ who, wait }) => [who, ...wait.owedBy]);
  const acting = [...new Set([...stepsOf(telling).map(({ thread }) => thread), ...named])];
  const all = [...new Set([...acting, ...telling.hanging])];
  return all.length <= MOST_LANES ? all : acting;
}

export function lanes(telling: Telling, look: Look): string[] {
  const threads = participants(telling);
  if (threads.length === 0) return [];
  const rows = rowsOf(telling, threads);
  const numbers = Math.max(2, ...rows.map(({ number }) => number.length)) + 1;
  const room = look.width - numbers - BETWEEN.length * (threads.length - 1);
  if (threads.length > MOST_LANES || room < NARROWEST_LANE * threads.length) return listed(rows, numbers, look);
  const headers = threads.map((name) => headerOf(name, telling.threads.find((each) => each.name === name)?.kind));
  return sideBySide(threads, headers, rows, numbers, widthsFor(threads, headers, rows, room), look);
}

/** As wide as the longest line of each lane; when that is too much, the widest lanes give way first. */
function widthsFor(
  threads: readonly string[],
  headers: readonly string[],
  rows: readonly Row[],
  room: number,
): number[] {
  const widths = threads.map((name, at) => {
    const own = rows.flatMap(({ said }) => said.filter(({ thread }) => thread === name));
    const lines = own.map(({ text, indent }) => indent + columns(text));
    return Math.max(NARROWEST_LANE, columns(headers[at] ?? ''), ...lines);
  });
  for (let over = widths.reduce((sum, each) => sum + each, 0) - room; over > 0; over -= 1) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}
/** 'user0 (user)'. */
export const headerOf = (name: string, kind: Standing['kind'] = 'kernel'): string =>
  kind === 'kernel' ? name : `${name} (${kind})`;

function rowsOf(telling: Telling, threads: readonly string[]): Row[] {
  const rows: Row[] = [];
  const waiting = (all: readonly Standing[]): void => {
    const said = all.filter(({ thread }) => threads.includes(thread)).flatMap(blockedLines);
    if (said.length > 0) rows.push({ number: '', said });
  };
  waiting(telling.blockedAtBoot);
  let looping = false;
  for (const each of telling.steps) {
    if (each.kind === 'reboot') {
      rows.push({ number: '', said: [], across: 'another run, from the start' });
      continue;
    }
    if (each.loop && !looping) rows.push({ number: '', said: [], across: 'from here on the same steps, for ever' });
    looping = each.loop;
    rows.push({ number: String(each.number), said: linesOf(each) });
    waiting(each.blocked.filter(({ newly }) => newly));
  }
  if (looping) rows.push({ number: '', said: [], across: 'and so on, for ever' });
  if (telling.blame && telling.judgedBy === 'step')
    rows.push({ number: '', said: [], across: `this step breaks ${telling.blame.property}` });
  return rows;
}

const indentOf = (depth: number, base: number): number => 2 * Math.min(DEEPEST, Math.max(0, depth - base));
/** The first frame of a process is user space; its system call begins the kernel's own nesting. */
const baseOf = (kind: Standing['kind']): number => (kind === 'user' ? 2 : 1);

/** What the lane of its thread says about a step. */
export function linesOf({ thread, threadKind, lines, facts }: Step): Said[] {
  const base = baseOf(threadKind);
  const said = lines.flatMap(({ text, depth, enters, outcome }): Said[] => [
    {
      thread,
      text: outcome === '' ? text : `${text} ${outcome}`,
      indent: indentOf(depth, base),
      style: outcome !== '' ? 'bad' : text.startsWith('/*') ? 'dim' : 'step',
    },
    ...enters.map((routine, deeper): Said => {
      const indent = indentOf(depth + deeper + 1, base);
      return { thread, text: `${routine}():`, indent: Math.max(0, indent - 1), style: 'dim' };
    }),
  ]);
  const back = facts.flatMap((fact): Said[] =>
    fact.kind === 'returned' && fact.to === 'user'
      ? [{ thread, text: `${fact.routine}() = ${fact.ret}`, indent: 0, style: 'dim' }]
      : [],
  );
  return [...said, ...back];
}

/** The line that a blocked thread stands at, and what it waits for there. */
function blockedLines({ thread, kind, line, depth, wait }: Standing): Said[] {
  const indent = indentOf(depth, baseOf(kind));
  return [
    { thread, text: line, indent, style: 'wait' },
    { thread, text: `… waits for ${wait?.object ?? ''}: ${wait?.because ?? ''}`, indent, style: 'wait' },
  ];
}

/** A line that belongs to no lane. */
function across(text: string, { width, paint }: Look): string[] {
  return wrap(`── ${text} ──`, width).map((line) => paint('heading', line));
}

function sideBySide(
  threads: readonly string[],
  headers: readonly string[],
  rows: readonly Row[],
  numbers: number,
  widths: readonly number[],
  look: Look,
): string[] {
  const { paint } = look;
  const row = (first: string, cells: readonly (readonly [Style, string])[]): string =>
    `${paint('dim', padded(first, numbers))}${cells
      .map(([style, text], at) =>
        at === cells.length - 1 && text === '' ? '' : paint(style, padded(text, widths[at] ?? 0)),
      )
      .join(paint('dim', BETWEEN))}`.trimEnd();
  const names = headers.map((header, at) => wrap(header, widths[at] ?? NARROWEST_LANE));
  const head = Array.from({ length: Math.max(...names.map(({ length }) => length)) }, (_, at) =>
    row(
      '',
      names.map((lines): readonly [Style, string] => ['name', lines[at] ?? '']),
    ),
  );
  const rule = paint('dim', `${'─'.repeat(numbers)}${widths.map((width) => '─'.repeat(width)).join('─┼─')}`);
  const body = rows.flatMap(({ number, said, across: text }) => {
    if (text !== undefined) return across(text, look);
    const cells = threads.map((thread, at) =>
      said
        .filter((each) => each.thread === thread)
        .flatMap(({ text, indent, style }) =>
          wrap(' '.repeat(indent) + text, widths[at] ?? NARROWEST_LANE, ' '.repeat(indent + 4)).map(
            (line): [Style, string] => [style, line],
          ),
        ),
    );
    const height = Math.max(...cells.map(({ length }) => length));
    return Array.from({ length: height }, (_, at) =>
      row(
        at === 0 ? number : '',
        cells.map((lines): readonly [Style, string] => lines[at] ?? ['step', '']),
      ),
    );
  });
  return [...head, rule, ...body];
}

/** One line a step, `thread: line`; the names stand under each other where there is room. */
function listed(rows: readonly Row[], numbers: number, look: Look): string[] {
  const { width, paint } = look;
  const names = Math.max(0, ...rows.flatMap(({ said }) => said.map(({ thread }) => columns(thread)))) + 2;
  const column = names > width / 3 ? 0 : names;
  return rows.flatMap(({ number, said, across: text }) => {
    if (text !== undefined) return across(text, look);
    return said.flatMap(({ thread, text, indent, style }, at) => {
      const start = `${padded(at === 0 ? number : '', numbers)}${padded(`${thread}: `, column)}`;
      const hanging = ' '.repeat(numbers + column + 4);
      return wrap(`${start}${' '.repeat(indent)}${text}`, width, hanging).map((line) => paint(style, line));
    });
  });
}
