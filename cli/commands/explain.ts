/**
 * `fenceproof explain`: why a saved counterexample is one; as a story on the terminal, or as a page to look around in. Of
 * a directory of entries it makes a page each, and an index.
 */
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { type Convicted, caseOf } from '../../corpus/entry.ts';
import { writeWhole } from '../../corpus/store.ts';
import { boot, showKnobs } from '../../model/design.ts';
import { signature } from '../../properties/property.ts';
import { type Listed, listingPage } from '../../reports/html/listing.ts';
import { acquittalStory } from '../../reports/acquittal.ts';
import { chooseProperties } from '../designs.ts';
import { type Given, readEntries } from '../entries.ts';
import { asTyped } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { designOption, workersOption } from '../options.ts';
import { Pages, hrefOf, pageAssets } from '../pages.ts';
import { type Pool, defaultWorkers, openPool } from '../pool.ts';
import { Progress } from '../progress.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { replayCommand, storyOf } from '../retell.ts';
import { acquittalOf, searchedThen } from '../searched.ts';
import type { PageDone } from '../tasks/page.ts';
import type { Terminal } from '../terminal.ts';

interface Options {
  readonly design?: readonly string[];
  readonly html: boolean;
  readonly out?: string;
  readonly workers: number;
}

export function addExplain(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('explain')
    .summary('why a saved counterexample is one: a story, or a page to look around in')
    .description(
      'Tell a saved counterexample as a story; or, with --html, write one file that opens in any browser without a network: step by step, who waits for whom and why, how likely the failure had become, and what follows from another choice. Of a directory of entries, --html makes a directory of pages with an index.',
    )
    .argument('<file>', 'a counterexample, or an acquittal; with --html, or a directory of entries')
    .addOption(designOption("where the design is found when it is a user's own: ./my-driver.ts"))
    .option('--html', 'write a page instead', false)
    .option('-o, --out <path>', 'where --html writes (default: here, under the name of the file or directory)')
    .addOption(workersOption(defaultWorkers))
    .action(async (file: string, options: Options) => finish(await explaining(file, options, terminal)));
}

async function explaining(file: string, options: Options, terminal: Terminal): Promise<number> {
  const { design, html, out } = options;
  if (out !== undefined && !html) throw refusal('--out says where --html writes; add --html');
  const many = isDirectory(file);
  if (many && !html) throw refusal(`${file}: is a directory; one story is told of one file, with --html pages of many`);
  if (html) pageAssets();
  const given = await readEntries([file], design ?? []);
  if (many) return explainAll(given, resolve(out ?? `${basename(resolve(file))}-pages`), options, terminal);
  const [first] = given;
  if (!first) throw refusal(`${file}: holds no entry`);
  const { path, entry, chosen } = first;
  const { expect } = entry;
  if (html) {
    const name = `${basename(path, '.json')}.html`;
    const into = out !== undefined && isDirectory(out);
    const to = into ? resolve(out, name) : resolve(out ?? name);
    if (expect.verdict === 'convicted') await pageOf(openPool(0), first, expect, to);
    else heeding(() => writeWhole(to, acquittalPage(first)), to);
    terminal.say(`wrote ${asTyped(to)}`);
    return 0;
  }
  const text = heeding(() => {
    const booted = boot(chosen.design, entry.knobs);
    if (expect.verdict === 'acquitted') return acquittalStory(acquittalOf(booted, expect), terminal.look);
    return storyOf(booted, { ...caseOf(entry), knobs: booted.knobs }, chooseProperties([]), expect, terminal.look);
  }, path);
  terminal.say(text);
  return 0;
}

/** An acquittal has no steps to walk through: its page is the row of an index. */
function acquittalPage({ path, entry, chosen }: Given): string {
  const [row] = rowsOf([{ path, entry, chosen }], [], []);
  return listingPage(basename(path, '.json'), row ? [row] : [], pageAssets().style);
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

const pageOf = (pool: Pool, { path, entry, chosen }: Given, want: Convicted, to: string): Promise<PageDone> =>
  pool.run<'page'>({
    kind: 'page',
    setting: {
      design: entry.design,
      knobs: entry.knobs,
      ...(chosen.from === undefined ? {} : { from: chosen.from }),
    },
    properties: chooseProperties([]).map(({ name }) => name),
    counters: pool.counters,
    run: caseOf(entry),
    want,
    patient: true,
    path: to,
    again: replayCommand(path, chosen.from),
    ...(entry.found.shortest === undefined ? {} : { shortest: entry.found.shortest }),
  });

async function explainAll(
  given: readonly Given[],
  directory: string,
  { workers }: Options,
  terminal: Terminal,
): Promise<number> {
  const pages = new Pages(directory);
  const paths = given.map(({ entry }) => pages.pathFor(entry));
  const pool = openPool(Math.min(workers, given.length));
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn('stopped');
  });
  const done: (PageDone | undefined)[] = given.map(() => undefined);
  let finished = 0;
  const progress = new Progress(terminal, () => `explaining: ${finished}/${given.length} entries`);
  try {
    await pool.each(given.entries(), async ([at, each]) => {
      const { expect } = each.entry;
      if (expect.verdict === 'convicted') done[at] = await pageOf(pool, each, expect, paths[at] as string);
      finished += 1;
    });
  } catch (error) {
    if (!pool.stopped) throw error;
  } finally {
    interrupts.forget();
    progress.end();
    await pool.close();
  }
  if (interrupts.happened) return INTERRUPTED;
  const index = pages.writeIndex(basename(directory), rowsOf(given, done, paths));
  terminal.say(`wrote ${asTyped(index)} and ${done.filter((each) => each !== undefined).length} pages`);
  return 0;
}

/** A row a setting: what the entries about it say together. */
function rowsOf(given: readonly Given[], done: readonly (PageDone | undefined)[], paths: readonly string[]): Listed[] {
  const rows = new Map<string, Listed>();
  given.forEach(({ path, entry, chosen }, at) => {
    const { design, knobs, expect } = entry;
    const text = showKnobs(knobs);
    const before = rows.get(`${design} ${text}`);
    const row: Listed = before ?? {
      design,
      knobs: text,
      title: chosen.design.title,
      verdict: 'acquitted',
      findings: [],
    };
    const page = done[at];
    rows.set(`${design} ${text}`, {
      ...row,
      ...(expect.verdict === 'acquitted'
        ? {
            ...{ states: expect.states, depth: expect.depth },
            searched: searchedThen(
              heeding(() => boot(chosen.design, knobs), path),
              expect,
            ),
          }
        : {}),
      ...(expect.verdict === 'convicted' && page
        ? {
            verdict: 'convicted' as const,
            findings: [
              ...row.findings,
              {
                signature: signature(expect),
                what: page.what ?? 'no longer broken',
                steps: page.steps,
                href: hrefOf(paths[at] as string),
              },
            ],
          }
        : {}),
    });
  });
  return [...rows.values()];
}
