/**
 * The run as a Mermaid sequence diagram: GitHub, GitLab and many wikis draw it from the text.
 *
 * A lifeline is a thread; a note over it is a step; a dashed arrow is a debt, from whoever waits to whoever owes it.
 */
import { showKnobs } from '../model/design.ts';
import { headerOf, linesOf, participants } from './lanes.ts';
import type { Reporter } from './reporter.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';
import { wrap } from './wrap.ts';

/** What means something to Mermaid, as the codes by which it reads characters (#59; is a semicolon). */
const escaped = (text: string): string =>
  text
    .replace(/[#;<%$]|&(?=\w+;)/g, (letter) => `#${letter.codePointAt(0)};`)
    .replace(/\s*\n\s*/g, ' ')
    .trim();

/** Lines of one note or label stand under each other; what stands further in keeps its place, which blanks would not. */
const BLANK = '\u00A0';
const under = (lines: readonly string[]): string =>
  lines
    .map((line) => line.trimStart())
    .map((text, at) => BLANK.repeat((lines[at] ?? '').length - text.length) + escaped(text))
    .join('<br/>');

/** Lifelines stand as far apart as the texts between them are long, so sentences are broken into lines. */
const SENTENCE = 48;
/** So many columns are there between two lifelines at least: a note over all of them gets no wider for its text. */
const BETWEEN = 24;

function stepLine(step: Step, id: (thread: string) => string): string {
  const said = linesOf(step);
  const outermost = Math.min(...said.map(({ indent }) => indent));
  const lines = said.map(({ text, indent }) => ' '.repeat(indent - outermost) + text);
  const number = `${step.number}. `;
  return `Note over ${id(step.thread)}: ${under(lines.map((line, at) => (at === 0 ? number : '  ') + line))}`;
}

function waitLines({ thread, wait }: Standing, known: readonly string[], id: (thread: string) => string): string[] {
  if (!wait) return [];
  const debtors = wait.owedBy.filter((debtor) => known.includes(debtor));
  const text = under([`waits for ${wait.object},`, ...wrap(`because ${wait.because}`, SENTENCE)]);
  return debtors.length === 0
    ? [`Note over ${id(thread)}: ${text}`]
    : debtors.map((debtor) => `${id(thread)}--)${id(debtor)}: ${text}`);
}

/** Mermaid cuts off a title that is wider than the lifelines, so it is a note; a screen reader hears it as the title. */
const headingOf = (telling: Telling): string => {
  const steps = stepsOf(telling).length;
  return `${`${telling.design} ${showKnobs(telling.knobs)}`.trim()}: ${steps} step${steps === 1 ? '' : 's'}`;
};

function body(telling: Telling, threads: readonly string[], id: (thread: string) => string): string[] {
  const [first = '', ...others] = threads.map(id);
  const over = others.length === 0 ? first : `${first},${others.at(-1)}`;
  const overAll = (text: string): string =>
    `Note over ${over}: ${under(wrap(text, others.length === 0 ? SENTENCE : BETWEEN * others.length))}`;
  const waits = (standings: readonly Standing[]): string[] =>
    standings.filter(({ thread }) => threads.includes(thread)).flatMap((each) => waitLines(each, threads, id));
  const lines = [overAll(headingOf(telling)), ...waits(telling.blockedAtBoot)];
  let looping = false;
  for (const each of telling.steps) {
    if (each.kind === 'reboot') {
      lines.push(overAll('another run, from the start'));
      continue;
    }
    if (each.loop && !looping) lines.push('loop the same steps, for ever');
    looping = each.loop;
    const own = [stepLine(each, id), ...waits(each.blocked.filter(({ newly }) => newly))];
    lines.push(...own.map((line) => (looping ? `  ${line}` : line)));
  }
  if (looping) lines.push('end');
  const { blame } = telling;
  return blame ? [...lines, overAll(`breaks ${blame.property}: ${blame.what}`)] : lines;
}

export const mermaid: Reporter = {
  name: 'mermaid',
  says: 'a sequence diagram that GitHub and many wikis draw',
  render(telling) {
    const named = participants(telling);
    const threads = named.length > 0 ? named : telling.threads.slice(0, 1).map(({ name }) => name);
    const id = (thread: string): string => `t${threads.indexOf(thread) + 1}`;
    const kindOf = (thread: string) => telling.threads.find(({ name }) => name === thread)?.kind;
    return [
      '---',
      // Code reads from the left.
      'config:',
      '  sequence:',
      '    noteAlign: left',
      '---',
      'sequenceDiagram',
      `  accTitle: ${escaped(headingOf(telling))}`,
      ...threads.map((thread) => `  participant ${id(thread)} as ${escaped(headerOf(thread, kindOf(thread)))}`),
      ...body(telling, threads, id).map((line) => `  ${line}`),
      '',
    ].join('\n');
  },
};
