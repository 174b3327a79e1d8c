/** `fenceproof report`: a saved counterexample as text of some format, on standard output. */
import { type Command, Option } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import { boot } from '../../model/design.ts';
import { acquittalStory } from '../../reports/acquittal.ts';
import { reporters } from '../../reports/index.ts';
import { asJson, json } from '../../reports/json.ts';
import { story } from '../../reports/story.ts';
import { tell } from '../../reports/telling.ts';
import { chooseProperties } from '../designs.ts';
import { readEntries } from '../entries.ts';
import { designOption } from '../options.ts';
import { heeding, oneLine, refusal } from '../refusal.ts';
import { acquittalOf } from '../searched.ts';
import { hearSites } from '../sites.ts';
import { type Terminal, print } from '../terminal.ts';

interface Options {
  readonly design?: readonly string[];
  readonly format?: string;
  readonly mail: boolean;
}

/** What there is to say of a search that found nothing; the other formats tell steps. */
const OF_ACQUITTALS: readonly string[] = [story.name, json.name];

export function addReport(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('report')
    .summary('a saved counterexample as a story, as the kernel would print it, or as data')
    .argument('<file>', 'a counterexample, or an acquittal: what was searched')
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
  const { expect } = entry;
  if (expect.verdict === 'acquitted' && !OF_ACQUITTALS.includes(reporter.name))
    throw refusal(
      `${path}: is an acquittal; there are no steps to tell as ${reporter.name}; formats of acquittals: ${OF_ACQUITTALS.join(', ')}`,
    );
  const text = heeding(() => {
    const booted = boot(chosen.design, entry.knobs);
    if (expect.verdict === 'acquitted') {
      const acquittal = acquittalOf(booted, expect);
      return reporter.forPeople ? acquittalStory(acquittal, terminal.look) : asJson(acquittal);
    }
    return reporter.render(
      tell(booted, { ...caseOf(entry), knobs: booted.knobs }, chooseProperties([]), expect, true, siteOf),
      terminal.look,
    );
  }, path);
  if (reporter.forPeople) terminal.say(text.trimEnd());
  else print(terminal, text.trimEnd());
  return 0;
}
