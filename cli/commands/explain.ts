/**
 * `fenceproof explain`: why a saved counterexample is one; as a story on the terminal, or as a page to look around in.
 */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import { boot } from '../../model/design.ts';
import { story } from '../../reports/story.ts';
import { tell } from '../../reports/telling.ts';
import { chooseProperties } from '../designs.ts';
import { readEntries } from '../entries.ts';
import { asTyped } from '../files.ts';
import { designOption } from '../options.ts';
import { pageAssets, writePage } from '../pages.ts';
import { heeding, refusal } from '../refusal.ts';
import { replayCommand } from '../retell.ts';
import { oddsOf } from '../tasks/odds.ts';
import type { Terminal } from '../terminal.ts';

interface Options {
  readonly design?: readonly string[];
  readonly html: boolean;
  readonly out?: string;
}

export function addExplain(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('explain')
    .summary('why a saved counterexample is one: a story, or a page to look around in')
    .description(
      'Tell a saved counterexample as a story; or, with --html, write one file that opens in any browser without a network: step by step, who waits for whom and why, how likely the failure had become, and what follows from another choice.',
    )
    .argument('<file>', 'a counterexample')
    .addOption(designOption("where the design is found when it is a user's own: ./my-driver.ts"))
    .option('--html', 'write a page instead', false)
    .option('-o, --out <file>', 'where --html writes (default: beside you, named for the counterexample)')
    .action(async (file: string, options: Options) => finish(await explaining(file, options, terminal)));
}

async function explaining(file: string, { design, html, out }: Options, terminal: Terminal): Promise<number> {
  if (out !== undefined && !html) throw refusal('--out says where --html writes; add --html');
  if (html) pageAssets();
  const given = await readEntries([file], design ?? []);
  const [first] = given;
  if (!first || given.length > 1) throw refusal(`${file}: explain takes one entry, not a directory of them`);
  const { path, entry, chosen } = first;
  const { expect, found } = entry;
  if (expect.verdict !== 'convicted') throw refusal(`${path}: is an acquittal; there is no schedule to explain`);
  const properties = chooseProperties([]);
  const booted = heeding(() => boot(chosen.design, entry.knobs), path);
  const telling = heeding(() => tell(booted, { ...caseOf(entry), knobs: booted.knobs }, properties, expect), path);
  if (!html) {
    terminal.say(story.render(telling, terminal.look).trimEnd());
    return 0;
  }
  const to = resolve(out ?? `${basename(path, '.json')}.html`);
  writePage(to, booted, telling, {
    odds: oddsOf(booted, telling, properties, true),
    again: replayCommand(path, chosen.from),
    ...(found.shortest === undefined ? {} : { shortest: found.shortest }),
    patient: true,
  });
  terminal.say(`wrote ${asTyped(to)}`);
  return 0;
}
