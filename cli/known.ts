/**
 * What the corpus already knows, for commands that find things: which findings are no news, and which must be found
 * again.
 */
import { resolve } from 'node:path';
import { type Entry, identityOf } from '../corpus/entry.ts';
import { loadDirectory } from '../corpus/store.ts';
import type { Want } from '../shrinkers/shrink.ts';
import type { Setting } from './designs.ts';
import { asTyped, packageCorpus } from './files.ts';
import type { Terminal } from './terminal.ts';

export interface Known {
  readonly path: string;
  readonly entry: Entry;
}
export interface Corpus {
  /** The entry for this bug at this setting, or nothing. */
  of(setting: Setting, want: Want): Known | undefined;
  /** The counterexamples known for a setting. */
  at(setting: Setting): readonly Known[];
}

const key = (setting: Setting, { property, kind }: Want): string =>
  identityOf({ design: setting.design, knobs: setting.knobs, expect: { verdict: 'convicted', property, kind } });

/**
 * Read the package's corpus and the directory for findings. The package's corpus speaks for the built-in designs only:
 * a user's own may have the name of one of them. A file that is no entry is complained about and not counted.
 */
export function readCorpus(out: string, terminal: Terminal): Corpus {
  const read = (directory: string): Known[] =>
    loadDirectory(directory).flatMap((loaded) => {
      if ('entry' in loaded) return [loaded];
      terminal.warn(`${asTyped(loaded.path)}: ${loaded.wrong}; it does not count as known`);
      return [];
    });
  const here = resolve(out);
  const own = read(here);
  const packaged = here === packageCorpus ? own : [...own, ...read(packageCorpus)];
  const convicted = (all: readonly Known[]): Map<string, Known> =>
    new Map(
      all
        .filter(({ entry }) => entry.expect.verdict === 'convicted')
        .toReversed()
        .map((known) => [identityOf(known.entry), known]),
    );
  const [forOwn, forBuiltIn] = [convicted(own), convicted(packaged)];
  const speaking = (setting: Setting): Map<string, Known> => (setting.from === undefined ? forBuiltIn : forOwn);
  return {
    of: (setting, want) => speaking(setting).get(key(setting, want)),
    at: (setting) =>
      [...speaking(setting).values()].filter(
        ({ entry }) => entry.expect.verdict === 'convicted' && identityOf(entry) === key(setting, entry.expect),
      ),
  };
}
