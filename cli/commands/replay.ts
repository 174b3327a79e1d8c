/**
 * `fenceproof replay`: play saved entries again and say, file by file, what became of them.
 *
 * Every file is read before the first is played, so that a damaged one is refused and not discovered half-way.
 */
import type { Command } from 'commander';
import { caseOf } from '../../corpus/entry.ts';
import type { Status } from '../../corpus/status.ts';
import { type Step, steps } from '../../corpus/steps.ts';
import { whyNotAlong } from '../../corpus/why.ts';
import { boot, showKnobs } from '../../model/design.ts';
import type { Look } from '../../reports/reporter.ts';
import { shownChange, waitText } from '../../reports/shown.ts';
import { chooseProperties } from '../designs.ts';
import { type Given, readEntries } from '../entries.ts';
import { asTyped } from '../files.ts';
import { hearInterrupts } from '../interrupt.ts';
import { designOption, jsonOption, quietOption, verboseOption, workersOption } from '../options.ts';
import { defaultWorkers, openPool } from '../pool.ts';
import { INTERRUPTED, heeding, refusal } from '../refusal.ts';
import { storyOf } from '../retell.ts';
import { type Terminal, print } from '../terminal.ts';

interface Options {
  readonly design?: readonly string[];
  readonly step: boolean;
  readonly whyNot?: string;
  readonly workers: number;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

export function addReplay(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('replay')
    .summary('play saved entries again and say what became of them')
    .description(
      'Play saved entries again: each reproduces, is different, passes, is vacuous, or is stale because its design changed. Ends with status 1 when any does anything but reproduce.',
    )
    .argument('<file...>', 'entries of the corpus, or directories of them')
    .addOption(designOption("where the design is found when it is a user's own: ./my-driver.ts"))
    .option('--step', 'walk through it: what each step changed, and who waits for whom and why', false)
    .option('--why-not <step>', 'say along the trace why this step, like user0 or ioctl/reclaim, cannot be taken')
    .addOption(workersOption(defaultWorkers))
    .addOption(verboseOption('tell the story of each counterexample'))
    .addOption(quietOption())
    .addOption(jsonOption('entry'))
    .action(async (files: readonly string[], options: Options) => finish(await replaying(files, options, terminal)));
}

async function replaying(files: readonly string[], options: Options, terminal: Terminal): Promise<number> {
  if (options.json && (options.step || options.whyNot !== undefined || options.verbose))
    throw refusal(
      '--json prints a line for each entry; leave out --step, --why-not and --verbose, or use report --format json',
    );
  const given = await readEntries(files, options.design ?? []);
  const pool = openPool(Math.min(options.workers, given.length));
  const interrupts = hearInterrupts(() => {
    pool.stop();
    terminal.warn('stopped');
  });
  const statuses: (Status | undefined)[] = given.map(() => undefined);
  let said = 0;
  try {
    await pool.each(given.entries(), async ([at, { entry, chosen }]) => {
      statuses[at] = await pool.run<'status'>({
        kind: 'status',
        entry,
        ...(chosen.from === undefined ? {} : { from: chosen.from }),
      });
      for (let status = statuses[said]; status; status = statuses[said]) {
        show(given[said], status, options, terminal);
        said += 1;
      }
    });
  } catch (error) {
    if (!pool.stopped) throw error;
  } finally {
    interrupts.forget();
    await pool.close();
  }
  if (interrupts.happened) return INTERRUPTED;
  const well = statuses.filter((status) => status?.status === 'reproduces').length;
  const done = { event: 'done', entries: given.length, reproduce: well };
  if (options.json) print(terminal, JSON.stringify(done));
  else if (given.length > 1 && !(options.quiet && well === given.length))
    terminal.say(`${given.length} entries, ${well} reproduce, ${given.length - well} do not`);
  return well === given.length ? 0 : 1;
}

function show(given: Given | undefined, status: Status, options: Options, terminal: Terminal): void {
  if (!given) return;
  const { say, look } = terminal;
  const { path, entry, chosen } = given;
  if (options.quiet && status.status === 'reproduces') return;
  if (options.json) {
    const { design, knobs, expect } = entry;
    const line = {
      event: 'entry',
      path: asTyped(path),
      design,
      knobs,
      expect,
      status: status.status,
      says: heard(status),
    };
    print(terminal, JSON.stringify(line));
    return;
  }
  const { paint } = look;
  const good = status.status === 'reproduces';
  const what = entry.expect.verdict === 'convicted' ? `${entry.expect.property} (${entry.expect.kind})` : 'acquitted';
  say(`${paint(good ? 'good' : 'bad', status.status)}  ${asTyped(path)}: ${what}: ${heard(status)}`);
  if (status.played === 'cannot be played') return;
  const booted = heeding(() => boot(chosen.design, entry.knobs), asTyped(path));
  if (options.step) {
    say(`\n${paint('title', entry.title)}\n${paint('dim', `${entry.design} ${showKnobs(booted.knobs)}`)}`);
    if (entry.expect.verdict === 'acquitted') say(`  seen: ${entry.expect.witnesses.join('; ')}`);
    for (const step of steps(booted, caseOf(entry))) say(stepText(step, look));
    say('');
  }
  if (options.whyNot !== undefined) {
    say(`\n${paint('name', options.whyNot)}: why not?`);
    for (const { from, to, says } of whyNotAlong(booted, caseOf(entry), options.whyNot))
      say(`  ${paint('dim', whenText(from, to))}  ${says}`);
    say('');
  }
  if (options.verbose && entry.expect.verdict === 'convicted')
    say(`\n${storyOf(booted, caseOf(entry), chooseProperties([]), entry.expect, look)}\n`);
}

const whenText = (from: number, to: number): string => {
  const start = from === 0 ? 'at the start' : `after step ${from}`;
  return from === to ? start : `${start} and on to step ${to}`;
};

/** A stale entry says what changed and what happens all the same. */
function heard({ status, played, changed, says }: Status): string {
  if (status !== 'stale') return says;
  const most = 4;
  const what = changed.slice(0, most).join(', ') + (changed.length > most ? ` and ${changed.length - most} more` : '');
  const now =
    played === 'cannot be played'
      ? says
      : played === 'reproduces'
        ? `still reproduces: ${says}`
        : `${played} now: ${says}`;
  return `${what}; ${now}`;
}

/** One step: the line of kernel code, the slots it wrote, and who is blocked after it. */
function stepText(step: Step, { paint }: Look): string {
  const head = `${String(step.number).padStart(4)}  ${paint('name', step.word)}  ${step.routine === '' || step.routine === step.thread ? '' : `${step.routine}: `}${step.line}`;
  if (step.skipped !== undefined) return `${head}\n        ${paint('bad', `skipped: ${step.skipped}`)}`;
  const facts = step.facts.flatMap((fact) =>
    fact.kind === 'witness'
      ? [`seen: ${fact.name}`]
      : fact.kind === 'misuse'
        ? [`misuse (${fact.rule}): ${fact.what}`]
        : [],
  );
  return [
    step.part === 'loop' ? `${head}  ${paint('dim', '(again and again)')}` : head,
    ...step.changes.map((change) => `        ${paint('dim', change.slot)}  ${shownChange(change).join(' → ')}`),
    ...facts.map((fact) => `        ${paint('wait', fact)}`),
    ...step.waiting.map(({ thread, wait }) => `        ${paint('wait', waitText(thread, wait))}`),
  ].join('\n');
}
