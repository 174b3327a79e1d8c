/**
 * The case as a mail: what a reviewer pastes below a quoted line of a patch. 72 columns, plain ASCII, no diagram that a
 * proportional font would break: the setting, the steps in the order in which they happen, the argument, the sources.
 */
import { showKnobs } from '../model/design.ts';
import { argument } from './argument.ts';
import type { Reporter } from './reporter.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';
import { ascii, wrap } from './wrap.ts';

/** RFC 2822 wants less than 78; kernel mails are wrapped here, so that a quotation still fits. */
const COLUMNS = 72;
const INDENT = '    ';

/** Lines of ASCII that fit. No word may be a bare '>': at the beginning of a line it would be a quotation. */
const laid = (text: string, hanging = ''): string[] =>
  wrap(ascii(text).replace(/(?<= |^)>(?= |$)/g, '->'), COLUMNS, hanging);

function stepText({ number, thread, lines }: Step): string[] {
  return lines.flatMap(({ text, outcome, depth, enters }, at) => {
    const start = at === 0 ? `${`${number}.`.padEnd(4)}${thread}: ` : INDENT;
    const deeper = '  '.repeat(at === 0 ? 0 : Math.min(6, Math.max(0, depth)));
    const calls = enters.length > 0 ? ` [calls ${enters.join(', ')}]` : '';
    return laid(`${start}${deeper}${text}${outcome === '' ? '' : ` ${outcome}`}${calls}`, INDENT.repeat(2));
  });
}
const waitText = ({ thread, line, wait }: Standing): string[] =>
  laid(`${INDENT}${thread} blocks in ${line}: ${wait?.because ?? ''}`, INDENT.repeat(2));

function run(telling: Telling): string[] {
  let looping = false;
  const steps = telling.steps.flatMap((each) => {
    if (each.kind === 'reboot') return ['(In another run, from the start:)'];
    const begins = each.loop && !looping ? ['(From here on the same steps, for ever:)'] : [];
    looping = each.loop;
    return [...begins, ...stepText(each), ...each.blocked.filter(({ newly }) => newly).flatMap(waitText)];
  });
  return [...telling.blockedAtBoot.flatMap(waitText), ...steps];
}

function render(telling: Telling): string {
  const { title, design, knobs, workload, blame, argued, says, sources } = telling;
  const paragraph = (text: string): string[] => ['', ...laid(text)];
  const calls = Object.entries(workload).map(([user, todo]) => `${user}: ${todo.join('; ') || 'nothing'}`);
  const setting = [showKnobs(knobs), ...calls].filter((part) => part !== '').join('; ');
  const why = argument(telling);
  const lets = why?.lets.map(({ letter, who, where }) => `Let ${letter} be ${who}, ${where}.`) ?? [];
  const count = stepsOf(telling).length;
  const lines = [
    ...laid(blame ? `I think this can break: ${blame.what}.` : 'I see nothing that breaks in this run.'),
    ...(setting === '' ? [] : paragraph(`With ${setting}:`)),
    ...(count > 0 ? ['', ...run(telling)] : []),
    ...lets.flatMap((each, at) => [...(at === 0 ? [''] : []), ...laid(each, INDENT)]),
    ...(why?.sentences ?? []).flatMap(paragraph),
    ...(argued === null ? [] : paragraph(`In short: ${argued}.`)),
    ...(blame ? paragraph(`Rule: ${says} (${blame.rules.join(', ')}).`) : []),
    ...(blame ? paragraph(`See ${sources.join('; ')}.`) : []),
    ...paragraph(`(Model: ${design}, "${title}". The ${count} steps replay with fenceproof.)`),
  ];
  return `${lines.join('\n')}\n`;
}

export const mail: Reporter = {
  name: 'mail',
  forPeople: true,
  says: 'for a reply on a mailing list: 72 columns, plain ASCII, the steps and the argument',
  render,
};
