/**
 * The directory of a campaign: its plan, its journal, its findings, and a lock so that two processes do not write to one
 * journal. Nothing else is written anywhere, so a checkout that cannot be written to is good enough.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeEntry } from '../../corpus/entry.ts';
import { ensureWritable, fileNameOf, writeWhole } from '../../corpus/store.ts';
import type { Booted } from '../../model/design.ts';
import { asTyped } from '../files.ts';
import { convictedEntry } from '../record.ts';
import { heeding, refusal } from '../refusal.ts';
import type { ShrunkRecord } from './journal.ts';
import { type Plan, identityOfPlan, parsePlan, writePlan } from './plan.ts';
import { type Raw, UNSHRUNK, hashOfRaw } from './summary.ts';

const PLAN = 'campaign.json';
const LOCK = 'lock';
export const journalIn = (directory: string): string => join(directory, 'journal.jsonl');
export const findingsIn = (directory: string): string => join(directory, 'findings');

/** The plan of a campaign that was begun here, or nothing. @throws when the file is none */
export function planIn(directory: string): Plan | undefined {
  const path = join(directory, PLAN);
  return existsSync(path) ? heeding(() => parsePlan(readFileSync(path, 'utf8')), asTyped(path)) : undefined;
}

/** Make it the directory of this campaign. @throws when it is the directory of another */
export function settle(directory: string, plan: Plan): void {
  heeding(() => ensureWritable(directory));
  const there = planIn(directory);
  if (there && identityOfPlan(there) !== identityOfPlan(plan))
    throw refusal(`${asTyped(directory)} holds another campaign: ${differences(there, plan).join('; ')}`);
  if (!there) writeWhole(join(directory, PLAN), writePlan(plan));
}

/** In what two plans differ, in words. */
export function differences(there: Plan, here: Plan): string[] {
  const lists = (['properties', 'strategies'] as const).filter((part) => there[part].join() !== here[part].join());
  const numbers = (['seed', 'runs', 'lanes'] as const).filter((part) => there[part] !== here[part]);
  const namesOf = ({ settings }: Plan): string => JSON.stringify(settings.map(({ design, knobs }) => [design, knobs]));
  if (namesOf(there) !== namesOf(here))
    return [`${there.settings.length} settings there, ${here.settings.length} others here`];
  const changed = there.settings.filter(({ programs }, at) => programs !== here.settings[at]?.programs);
  return [
    ...numbers.map((part) => `${part} ${there[part]} there, ${here[part]} here`),
    ...lists.map((part) => `other ${part}`),
    ...(changed.length > 0
      ? [
          `${[...new Set(changed.map(({ design }) => design))].join(', ')} changed since, and old batches say nothing of it`,
        ]
      : []),
  ];
}

/** Keep others out. @returns what lets them in again; @throws when somebody is at work here */
export function lock(directory: string): () => void {
  const path = join(directory, LOCK);
  const me = `${hostname()} ${process.pid}`;
  for (let tried = 0; ; tried += 1) {
    try {
      writeFileSync(path, me, { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tried > 0)
        throw refusal(`cannot lock ${asTyped(directory)}: ${(error as Error).message}`);
      const [host = '', pid = ''] = readFileSync(path, 'utf8').split(' ');
      if (host !== hostname() || alive(Number(pid)))
        throw refusal(
          `${asTyped(directory)} is in use by process ${pid} on ${host}; if it is not, remove ${asTyped(path)}`,
        );
      rmSync(path, { force: true });
    }
  }
}
function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Write a finding beside the journal, shrunk or not yet, as an entry that every command reads. @returns its path */
export function keep(
  directory: string,
  booted: Booted,
  raw: Raw,
  shrunk?: Pick<ShrunkRecord, 'run' | 'shortest'>,
): string {
  const { blame, strategy, seed, runs, steps } = raw;
  const shortest = shrunk?.shortest ?? UNSHRUNK;
  const found = { by: 'fuzz', strategy, seed, runs, steps, shortest } as const;
  const entry = convictedEntry(booted, shrunk?.run ?? raw.run, blame, found);
  const findings = findingsIn(directory);
  mkdirSync(findings, { recursive: true });
  const path = join(findings, `${fileNameOf(entry)}.${hashOfRaw(raw)}.json`);
  writeWhole(path, writeEntry(entry));
  return path;
}
