/**
 * Completion for shells: `fenceproof completion bash` prints the script, which then asks `fenceproof complete -- …` at
 * every Tab. Commands and options come from commander; what they take (designs, formats, knobs) is added here.
 */
import { readdirSync } from 'node:fs';
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { type Design, PROPERTIES } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { strategies } from '../properties/search/strategies/index.ts';
import { reporters, runFormats, tables } from '../reports/index.ts';

interface Said {
  readonly name: string;
  readonly says: string;
}
const named = (all: readonly Said[]): readonly (readonly [string, string])[] =>
  all.map(({ name, says }) => [name, says]);
const OF_DESIGNS = designs.map(({ name, title }) => [name, title] as const);
const settingsOf = ({ name, knobs }: Design): (readonly [string, string])[] =>
  Object.entries(knobs).flatMap(([knob, values]) => values.map((value) => [`${knob}=${value}`, name] as const));

/** What an option takes, by its long name, in commands that have it. */
const TAKES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  design: OF_DESIGNS,
  property: PROPERTIES.map((name) => [name, ''] as const),
  strategy: named(strategies),
  knobs: designs.flatMap(settingsOf),
};
const FORMATS: Readonly<Record<string, readonly Said[]>> = {
  check: [...tables, ...runFormats],
  fuzz: runFormats,
  report: reporters,
};

/** Files and directories that begin like this; directories with a slash, so that Tab goes on below them. */
function filesLike(typed: string): string[] {
  const below = typed.slice(0, typed.lastIndexOf('/') + 1);
  try {
    return readdirSync(below === '' ? '.' : below, { withFileTypes: true })
      .filter((each) => each.isDirectory() || /\.(json|[cm]?[jt]s)$/.test(each.name))
      .map((each) => `${below}${each.name}${each.isDirectory() ? '/' : ''}`)
      .filter((path) => path.startsWith(typed));
  } catch {
    return []; // there is no such directory: nothing to offer
  }
}

/**
 * Add both commands; call it when all others are there.
 * @param typed the word that is being completed
 */
export function addCompletion(program: Command, typed: string): void {
  const { commands } = tab(program, { completionCommandName: 'completion' });
  for (const [name, { options, arguments: takes }] of commands) {
    for (const [option, values] of Object.entries({ ...TAKES, format: named(FORMATS[name] ?? []) })) {
      const known = options.get(option);
      if (known) known.handler = (complete) => values.forEach(([value, says]) => complete(value, says));
    }
    for (const [argument, taken] of takes)
      taken.handler = (complete) => {
        if (argument === 'design') for (const [value, says] of OF_DESIGNS) complete(value, says);
        if (argument === 'design' || argument === 'file') for (const path of filesLike(typed)) complete(path, '');
      };
  }
}
