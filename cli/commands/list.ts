/** `fenceproof list`: what there is. Every name that another command takes stands here. */
import type { Command } from 'commander';
import { expected, settings, showKnobs } from '../../model/design.ts';
import { properties } from '../../properties/index.ts';
import { portfolio, strategies } from '../../properties/search/strategies/index.ts';
import { reporters } from '../../reports/index.ts';
import { chooseDesigns } from '../designs.ts';
import { refusal } from '../refusal.ts';
import type { Terminal } from '../terminal.ts';

const PARTS = ['designs', 'properties', 'strategies', 'formats'] as const;
type Part = (typeof PARTS)[number];

export function addList(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('list')
    .summary('designs with their knobs, properties, strategies, report formats')
    .argument('[part]', `one of: ${PARTS.join(', ')}; or a design, for all of its settings`)
    .action(async (part: string | undefined) => finish(await listing(part, terminal)));
}

async function listing(part: string | undefined, terminal: Terminal): Promise<number> {
  if (part === undefined) {
    const all = await Promise.all(PARTS.map((each) => partText(each, terminal)));
    terminal.say(all.join('\n\n'));
    return 0;
  }
  if (PARTS.includes(part as Part)) {
    terminal.say(await partText(part as Part, terminal));
    return 0;
  }
  const chosen = await chooseDesigns([part]).catch((error: Error) => {
    throw refusal(`${error.message}; parts of the list are: ${PARTS.join(', ')}`);
  });
  for (const { design } of chosen) {
    terminal.say(`${terminal.look.paint('name', design.name)}  ${design.title}`);
    for (const knobs of settings(design)) {
      const expectation = expected(design, knobs);
      const verdict = expectation?.acquits
        ? terminal.look.paint('good', 'acquitted')
        : expectation
          ? terminal.look.paint('bad', `convicted of ${expectation.convicts?.join(', ') ?? 'something'}`)
          : 'an open question';
      terminal.say(
        `  ${showKnobs(knobs) || '(no knobs)'}: ${verdict}${expectation ? terminal.look.paint('dim', ` (${expectation.because})`) : ''}`,
      );
    }
    terminal.say(terminal.look.paint('dim', `  sources: ${design.sources.join('; ')}`));
  }
  return 0;
}

async function partText(part: Part, { look: { paint } }: Terminal): Promise<string> {
  const lines = (items: readonly { readonly name: string; readonly says: string }[]): string[] =>
    items.map(({ name, says }) => `  ${paint('name', name)}  ${says}`);
  const body = {
    designs: async () =>
      (await chooseDesigns([])).flatMap(({ design }) => [
        `  ${paint('name', design.name)}  ${design.title}`,
        ...Object.entries(design.knobs).map(([knob, values]) => `      ${knob}: ${values.join(' · ')}`),
        ...design.expect.map(({ when, acquits, convicts }) => {
          const at =
            Object.entries(when)
              .map(([knob, value]) => `${knob}=${[value].flat().join('|')}`)
              .join(' ') || 'any setting';
          return paint(
            'dim',
            `      ${at}: ${acquits ? 'acquitted' : `convicted of ${convicts?.join(', ') ?? 'something'}`}`,
          );
        }),
      ]),
    properties: () => Promise.resolve(lines(properties)),
    strategies: () =>
      Promise.resolve([
        ...lines(strategies),
        paint('dim', '  and of a campaign:'),
        ...lines(portfolio.filter((each) => !strategies.includes(each))),
      ]),
    formats: () => Promise.resolve(lines(reporters)),
  }[part];
  return [paint('heading', part), ...(await body())].join('\n');
}
