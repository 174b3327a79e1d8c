/** `fenceproof report`: a saved counterexample as text of some format, on standard output. */
import { type Command, Option } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import { boot } from '../../model/design.ts';
import { reporters } from '../../reports/index.ts';
import { tell } from '../../reports/telling.ts';
import { chooseProperties } from '../designs.ts';
import { readEntries } from '../entries.ts';
import { designOption } from '../options.ts';
import { heeding, oneLine, refusal } from '../refusal.ts';
import { hearSites } from '../sites.ts';
import { type Terminal, print } from '../terminal.ts';

interface Options {
  readonly design?: readonly string[];
  readonly format?: string;
  readonly mail: boolean;
}

export function addReport(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('report')
    .summary('a saved counterexample as a story, as the kernel would print it, or as data')
    .argument('<file>', 'a counterexample')
    .addOption(designOption("where the design is found when it is a user's own: ./my-driver.ts"))
    .addOption(
      new Option(
        '-f, --format <name>',
        `one of: ${reporters.map(({ name }) => name).join(', ')} (default: ${reporters[0]?.name})`,
      ),
    )
    .option('--mail', 'the same as --format mail: a reply for a mailing list', false)
    .action(async (file: string, options: Options) => finish(await reporting(file, options, terminal)));
}

async function reporting(file: string, { design, format: asked, mail }: Options, terminal: Terminal): Promise<number> {
  if (mail && asked !== undefined && asked !== 'mail')
    throw refusal(`--mail and --format ${oneLine(asked)} are two formats; choose one`);
  const format = mail ? 'mail' : (asked ?? reporters[0]?.name);
  const reporter = reporters.find(({ name }) => name === format);
  if (!reporter)
    throw refusal(
      `unknown format "${oneLine(format ?? '')}"; there are: ${reporters.map(({ name }) => name).join(', ')}`,
    );
  const siteOf = hearSites();
  const [given] = await readEntries([file], design ?? []);
  if (!given) throw refusal(`${file}: holds no entry`);
  const { path, entry, chosen } = given;
  if (entry.expect.verdict !== 'convicted') throw refusal(`${path}: is an acquittal; there is no schedule to report`);
  const { expect } = entry;
  const text = heeding(() => {
    const booted = boot(chosen.design, entry.knobs);
    return reporter.render(
      tell(booted, { ...caseOf(entry), knobs: booted.knobs }, chooseProperties([]), expect, true, siteOf),
      terminal.look,
    );
  }, path);
  if (reporter.forPeople) terminal.say(text.trimEnd());
  else print(terminal, text.trimEnd());
  return 0;
}
