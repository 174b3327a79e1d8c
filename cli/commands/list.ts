/** `fenceproof list`: what there is. Every name that another command takes stands here. */
import type { Command } from 'commander';
import { type Design, type Expectation, expected, settings, showKnobs } from '../../model/design.ts';
import { properties } from '../../properties/index.ts';
import { portfolio, strategies } from '../../properties/search/strategies/index.ts';
import { reporters, runFormats, tables } from '../../reports/index.ts';
import type { Look } from '../../reports/reporter.ts';
import { chooseDesigns } from '../designs.ts';
import { jsonOption, quietOption } from '../options.ts';
import { refusal } from '../refusal.ts';
import { type Terminal, print } from '../terminal.ts';

const PARTS = ['designs', 'properties', 'strategies', 'formats'] as const;
type Part = (typeof PARTS)[number];

interface Options {
  readonly quiet: boolean;
  readonly json: boolean;
}
/** One thing that there is: its name alone, a line of JSON, a text for people. */
interface Item {
  readonly name: string;
  readonly data: { readonly event: string } & Readonly<Record<string, unknown>>;
  readonly text: (look: Look) => readonly string[];
  /** The first of those that only some commands take says which. */
  readonly under?: string;
}

export function addList(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('list')
    .summary('designs with their knobs, properties, strategies, report formats')
    .argument('[part]', `one of: ${PARTS.join(', ')}; or a design, for all of its settings`)
    .addOption(quietOption('print names only, one a line; of a design, its settings'))
    .addOption(jsonOption('name'))
    .action(async (part: string | undefined, options: Options) => finish(await listing(part, options, terminal)));
}

async function listing(part: string | undefined, { quiet, json }: Options, terminal: Terminal): Promise<number> {
  const { look, say } = terminal;
  const asked = PARTS.filter((each) => part === undefined || part === each);
  const groups = asked.length > 0 ? await Promise.all(asked.map(partOf)) : await designsNamed(part ?? '');
  for (const item of groups.flatMap(({ items }) => items))
    if (json) print(terminal, JSON.stringify(item.data));
    else if (quiet) print(terminal, item.name);
  if (!json && !quiet) say(groups.map((group) => groupText(group, look)).join(asked.length > 0 ? '\n\n' : '\n'));
  return 0;
}

interface Group {
  readonly heading: (look: Look) => string;
  readonly items: readonly Item[];
  readonly ending?: string;
}
const groupText = ({ heading, items, ending }: Group, look: Look): string =>
  [
    heading(look),
    ...items.flatMap(({ text, under }) => [
      ...(under === undefined ? [] : [look.paint('dim', `  ${under}:`)]),
      ...text(look).map((line) => `  ${line}`),
    ]),
    ...(ending === undefined ? [] : [look.paint('dim', `  ${ending}`)]),
  ].join('\n');

async function partOf(part: Part): Promise<Group> {
  const items = {
    designs: async () => (await chooseDesigns([])).map(({ design }) => designItem(design)),
    properties: () => properties.map((each) => said('property', each)),
    strategies: () => {
      const more = portfolio.filter((each) => !strategies.includes(each));
      return [
        ...strategies.map((each) => {
          const both = portfolio.some(({ name }) => name === each.name);
          return said('strategy', each, { of: both ? ['fuzz', 'campaign'] : ['fuzz'] });
        }),
        ...under(
          'and of a campaign',
          more.map((each) => said('strategy', each, { of: ['campaign'] })),
        ),
      ];
    },
    formats: () => [
      ...reporters.map((each) => {
        const run = runFormats.some(({ name }) => name === each.name);
        return said('format', each, { of: run ? ['report', 'check', 'fuzz'] : ['report'] });
      }),
      ...under(
        'and of check',
        tables.map((each) => said('format', each, { of: ['check'] })),
      ),
    ],
  }[part];
  return { heading: ({ paint }) => paint('heading', part), items: await items() };
}
const under = (says: string, items: readonly Item[]): Item[] =>
  items.map((item, at) => (at === 0 ? { ...item, under: says } : item));
const said = (event: string, { name, says }: { readonly name: string; readonly says: string }, more = {}): Item => ({
  name,
  data: { event, name, says, ...more },
  text: ({ paint }) => [`${paint('name', name)}  ${says}`],
});

const convictedText = ({ convicts }: Expectation): string => `convicted of ${convicts?.join(', ') ?? 'something'}`;

function designItem({ name, title, knobs, expect, sources }: Design): Item {
  return {
    name,
    data: { event: 'design', name, title, knobs, expect, sources },
    text: ({ paint }) => [
      `${paint('name', name)}  ${title}`,
      ...Object.entries(knobs).map(([knob, values]) => `    ${knob}: ${values.join(' · ')}`),
      ...expect.map((expectation) => {
        const at =
          Object.entries(expectation.when)
            .map(([knob, value]) => `${knob}=${[value].flat().join('|')}`)
            .join(' ') || 'any setting';
        return paint('dim', `    ${at}: ${expectation.acquits ? 'acquitted' : convictedText(expectation)}`);
      }),
    ],
  };
}

/** A design, a setting at a time. */
async function designsNamed(name: string): Promise<Group[]> {
  const chosen = await chooseDesigns([name]).catch((error: Error) => {
    throw refusal(`${error.message}; parts of the list are: ${PARTS.join(', ')}`);
  });
  return chosen.map(({ design }) => ({
    heading: ({ paint }) => `${paint('name', design.name)}  ${design.title}`,
    items: settings(design).map((knobs): Item => {
      const expectation = expected(design, knobs);
      const { acquits = false, convicts = [], spares = [], because = null } = expectation ?? {};
      const at = showKnobs(knobs);
      return {
        name: at,
        data: { event: 'setting', design: design.name, knobs, open: !expectation, acquits, convicts, spares, because },
        text: ({ paint }) => {
          const verdict = acquits
            ? paint('good', 'acquitted')
            : expectation
              ? paint('bad', convictedText(expectation))
              : 'an open question';
          return [`${at || '(no knobs)'}: ${verdict}${expectation ? paint('dim', ` (${because})`) : ''}`];
        },
      };
    }),
    ending: `sources: ${design.sources.join('; ')}`,
  }));
}
