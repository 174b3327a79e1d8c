/**
 * The run as a Mermaid sequence diagram: GitHub, GitLab and many wikis draw it from the text.
 *
 * A lifeline is a thread; a note over it is a step; a dashed arrow is a debt, from whoever waits to whoever owes it.
 */
import { participants } from './lanes.ts';
import type { Reporter } from './reporter.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';

/** What means something to Mermaid, as the codes by which it reads characters (#59; is a semicolon). */
const escaped = (text: string): string =>
  text
    .replace(/[#;<>{}%"&]/g, (letter) => `#${letter.codePointAt(0)};`)
    .replace(/\s*\n\s*/g, ' ')
    .trim();

/** Lines of one note stand under each other. */
const noted = (lines: readonly string[]): string => lines.map(escaped).join('<br/>');

function stepLines({ thread, number, lines, facts }: Step, id: (thread: string) => string): string[] {
  const code = lines.map(({ text, outcome, depth, enters }) => {
    const calls = enters.length > 0 ? `, which calls ${enters.join(', ')}` : '';
    return `${'  '.repeat(Math.max(0, depth - 1))}${text}${outcome === '' ? '' : ` ${outcome}`}${calls}`;
  });
  const ends = facts.flatMap((fact) =>
    fact.kind === 'returned' && fact.to === 'user' ? [`${fact.routine}() = ${fact.ret}`] : [],
  );
  const [first = '', ...rest] = [...code, ...ends];
  return [`Note over ${id(thread)}: ${noted([`${number}. ${first.trim()}`, ...rest])}`];
}

function waitLines({ thread, wait }: Standing, known: readonly string[], id: (thread: string) => string): string[] {
  if (!wait) return [];
  const debtors = wait.owedBy.filter((debtor) => known.includes(debtor));
  const text = escaped(`waits for ${wait.object}, because ${wait.because}`);
  return debtors.length === 0
    ? [`Note over ${id(thread)}: ${text}`]
    : debtors.map((debtor) => `${id(thread)}--)${id(debtor)}: ${text}`);
}

function body(telling: Telling, threads: readonly string[], id: (thread: string) => string): string[] {
  const all = threads.length > 1 ? `${id(threads[0] ?? '')},${id(threads.at(-1) ?? '')}` : id(threads[0] ?? '');
  const waits = (standings: readonly Standing[]): string[] =>
    standings.filter(({ thread }) => threads.includes(thread)).flatMap((each) => waitLines(each, threads, id));
  const lines = waits(telling.blockedAtBoot);
  let looping = false;
  for (const each of telling.steps) {
    if (each.kind === 'reboot') {
      lines.push(`Note over ${all}: another run, from the start`);
      continue;
    }
    if (each.loop && !looping) lines.push('loop the same steps, for ever');
    looping = each.loop;
    const own = [...stepLines(each, id), ...waits(each.blocked.filter(({ newly }) => newly))];
    lines.push(...own.map((line) => (looping ? `  ${line}` : line)));
  }
  if (looping) lines.push('end');
  const { blame } = telling;
  return blame ? [...lines, `Note over ${all}: ${escaped(`breaks ${blame.property}: ${blame.what}`)}`] : lines;
}

export const mermaid: Reporter = {
  name: 'mermaid',
  says: 'a sequence diagram that GitHub and many wikis draw',
  render(telling) {
    const named = participants(telling);
    const threads = named.length > 0 ? named : telling.threads.slice(0, 1).map(({ name }) => name);
    const id = (thread: string): string => `t${threads.indexOf(thread) + 1}`;
    const kindOf = (thread: string): string =>
      telling.threads.find(({ name }) => name === thread)?.kind === 'user' ? 'actor' : 'participant';
    return [
      '---',
      `title: ${JSON.stringify(`${telling.design}: ${stepsOf(telling).length} steps`)}`,
      '---',
      'sequenceDiagram',
      ...threads.map((thread) => `  ${kindOf(thread)} ${id(thread)} as ${escaped(thread)}`),
      ...body(telling, threads, id).map((line) => `  ${line}`),
      '',
    ].join('\n');
  },
};
