/**
 * `fenceproof merge`: the parts of a campaign, played anywhere, put together in a new directory. Records are named for what
 * they are about, so order and overlaps do not matter, and equal sets of batches give equal bytes.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { writeWhole } from '../../corpus/store.ts';
import { canonical } from '../../model/schema.ts';
import { campaignReport } from '../../reports/campaign.ts';
import { differences, findingsIn, journalIn, keep, planIn, settle } from '../campaign/directory.ts';
import { type Record as Line, lineOf, nameOf, readJournal } from '../campaign/journal.ts';
import { type Plan, corpusFor, identityOfPlan, settingOf } from '../campaign/plan.ts';
import { endOf, hashOfRaw, rawFindings, remembered, standingOf, summaryOf } from '../campaign/summary.ts';
import { Records } from '../campaign/records.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { asTyped } from '../files.ts';
import { readCorpus } from '../known.ts';
import { quietOption } from '../options.ts';
import { refusal } from '../refusal.ts';
import { type Terminal, print } from '../terminal.ts';

interface Options {
  readonly out: string;
  readonly quiet: boolean;
  readonly json: boolean;
}

export function addMerge(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('merge')
    .summary('put parts of a campaign together, in any order')
    .argument('<directory...>', 'directories of parts with the same plan')
    .requiredOption('-o, --out <directory>', 'a directory for the whole')
    .addOption(quietOption())
    .addOption(new Option('--json', 'print the report as one line of JSON').default(false))
    .action(async (parts: readonly string[], options: Options) => finish(await merging(parts, options, terminal)));
}

async function merging(parts: readonly string[], options: Options, terminal: Terminal): Promise<number> {
  const plans = parts.map((part) => {
    const plan = planIn(resolve(part));
    if (!plan) throw refusal(`${asTyped(resolve(part))}: there is no campaign in it`);
    return plan;
  });
  const plan = plans[0] as Plan;
  plans.forEach((each, at) => {
    if (identityOfPlan(each) !== identityOfPlan(plan))
      throw refusal(
        `${asTyped(resolve(parts[at] as string))} is a part of another campaign: ${differences(plan, each).join('; ')}`,
      );
  });
  const out = resolve(options.out);
  const all = new Map<string, { readonly record: Line; readonly part: string }>();
  for (const part of [...parts, ...(planIn(out) ? [out] : [])])
    readJournal(journalIn(resolve(part)), (record) => {
      const there = all.get(nameOf(record));
      if (there && canonical(there.record) !== canonical(record)) {
        // A batch that one part could play and the other could not was played.
        if (there.record.kind === record.kind)
          throw refusal(
            `${nameOf(record)} differs between ${there.part} and ${part}: they were not played by the same fenceproof`,
          );
        if (record.kind === 'broken') return;
      }
      all.set(nameOf(record), { record, part });
    });
  settle(out, plan);
  const lines = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { record }]) => record);
  writeWhole(journalIn(out), lines.map(lineOf).join(''));

  const records = new Records(plan.settings.length);
  for (const line of lines) records.add(line);
  const corpus = readCorpus(corpusFor(plan), terminal);
  const properties = chooseProperties(plan.properties);
  mkdirSync(findingsIn(out), { recursive: true });
  for (const [number, raws] of rawFindings(plan, records)) {
    const setting = settingOf(plan, number);
    const booted = await bootSetting(setting);
    const there = remembered(booted, corpus.at(setting), properties);
    for (const raw of raws.values())
      if (!standingOf(raw, there).known) keep(out, booted, raw, records.shrunk.get(hashOfRaw(raw)));
  }
  const summary = await summaryOf(plan, records, { corpus, properties });
  const status = endOf(summary);
  if (options.json) print(terminal, JSON.stringify({ event: 'report', report: summary }));
  else if (!options.quiet || status !== 0) terminal.say(campaignReport(summary, terminal.look));
  return status;
}
