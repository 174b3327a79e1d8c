/**
 * The story: what the design claims, what happened, and why that breaks it. The format for a person who doubts it.
 *
 * First the claim and the verdict, then the run with the threads side by side, then the argument as a proof that can
 * be checked line by line against the run, last the rules and where they come from.
 */
import { showKnobs } from '../model/design.ts';
import { type Argument, argument } from './argument.ts';
import { lanes } from './lanes.ts';
import type { Look, Reporter } from './reporter.ts';
import { type Telling, stepsOf } from './telling.ts';
import { columns, padded, wrap } from './wrap.ts';

const LABEL = 10;

/** "Rules     T-5 …": a label, and a text that wraps beside it. */
export function labelled(label: string, text: string, { width, paint }: Look): string[] {
  if (text === '') return [];
  const start = padded(label, LABEL);
  return wrap(`${start}${text}`, width, ' '.repeat(LABEL)).map((line, at) =>
    at === 0 && line.startsWith(label) ? paint('heading', label) + line.slice(label.length) : line,
  );
}
const heading = (text: string, { width, paint }: Look): string[] => [
  '',
  ...wrap(text, width).map((line) => paint('heading', line)),
  '',
];

/** The claim, underlined. */
export function titled(title: string, { width, paint }: Look): string[] {
  const lines = wrap(title, width);
  return [...lines.map((line) => paint('title', line)), paint('dim', '='.repeat(Math.max(...lines.map(columns))))];
}

function opening(telling: Telling, look: Look): string[] {
  const { design, title, knobs, workload, blame } = telling;
  const calls = Object.entries(workload).map(([user, todo]) => `${user}: ${todo.join('; ') || 'nothing'}`);
  const { length } = stepsOf(telling);
  const steps = `${length} step${length === 1 ? '' : 's'}`;
  return [
    ...titled(title, look),
    '',
    ...labelled('Design', design, look),
    ...labelled('Setting', showKnobs(knobs), look),
    ...labelled('Calls', calls.join(' · '), look),
    ...labelled(
      'Verdict',
      blame
        ? `breaks ${blame.property} (${blame.kind}) in ${steps}: ${blame.what}`
        : `nothing is broken in these ${steps}`,
      look,
    ),
  ];
}

function proof({ lets, sentences }: Argument, look: Look): string[] {
  const { width, paint } = look;
  const names = Math.max(0, ...lets.map(({ who }) => columns(who)));
  const given = lets.flatMap(({ letter, who, where }, at) => {
    const start = `${at === 0 ? 'Let ' : '    '}${letter} = ${padded(who, names)}  `;
    const room = columns(start) < width / 2 ? columns(start) : 8;
    const text = `${start}${where}${at === lets.length - 1 ? '.' : ','}`;
    return wrap(text, width, ' '.repeat(room)).map((line) => paint('step', line));
  });
  const said = sentences.flatMap((text) => ['', ...wrap(text, width)]);
  return given.length > 0 ? [...given, ...said] : said.slice(1);
}

function closing({ blame, says, sources, argued }: Telling, look: Look): string[] {
  if (!blame) return [];
  return [
    '',
    ...labelled('Property', `${blame.property}: ${says}`, look),
    ...labelled('Rules', blame.rules.join(', '), look),
    ...labelled('In short', argued ?? '', look),
    ...labelled('Sources', sources.join('; '), look),
  ];
}

export const story: Reporter = {
  name: 'story',
  forPeople: true,
  says: 'the run with the threads side by side, and the verdict as a proof',
  render(telling, look) {
    const why = argument(telling);
    const run = lanes(telling, look);
    return [
      ...opening(telling, look),
      ...(run.length > 0 ? [...heading('What happens', look), ...run] : []),
      ...(why ? [...heading('The argument', look), ...proof(why, look)] : []),
      ...closing(telling, look),
      '',
    ].join('\n');
  },
};
