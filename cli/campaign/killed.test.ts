import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProgram } from '../compiled.ts';
import { type Ended, ended } from '../ran.ts';
import { recordsIn } from './whole-journal.ts';

let room = '';
beforeAll(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterAll(() => rmSync(room, { recursive: true }));

const start = (args: readonly string[], cwd = room): ChildProcess => startProgram(args, { cwd });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const journalOf = (name: string): string => join(room, name, 'journal.jsonl');
const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

/** Numbers that are the same every time, spread over 0 … 1. */
const spread = (nth: number): number => (nth * 0.618_033_988_7) % 1;

/** Kill a campaign so often with SIGKILL, each time after a little more was written, and let it come to its end. */
async function killed(name: string, kills: number, campaign: readonly string[]): Promise<number> {
  let lost = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const before = sizeOf(journalOf(name));
    const child = start([...campaign, '--out', name]);
    const end = ended(child);
    for (let waited = 0; waited < 20_000 && sizeOf(journalOf(name)) === before; waited += 5) await pause(5);
    await pause(spread(kill) * 60);
    child.kill('SIGKILL');
    if ((await end).status !== null) break; // it had come to its end
    const { records, whole } = recordsIn(journalOf(name));
    if (whole < sizeOf(journalOf(name))) lost += 1;
    expect(records.length).toBeGreaterThan(0);
  }
  expect((await ended(start([...campaign, '--out', name]))).status).not.toBe(2);
  return lost;
}
const wholeOf = async (name: string): Promise<string> => {
  await ended(start(['merge', name, '--out', `${name}-whole`]));
  return readFileSync(journalOf(`${name}-whole`), 'utf8');
};

async function survives(kills: number, runs: string): Promise<void> {
  const campaign = [
    'campaign',
    '-d',
    'canary-signal-forgotten',
    '--batch',
    '100',
    '--lanes',
    '4',
    '--until',
    runs,
    '--workers',
    '2',
    '--json',
  ];
  const undisturbed = await ended(start([...campaign, '--out', `calm${kills}`]));
  await killed(`killed${kills}`, kills, campaign);
  const resumed = await ended(start([...campaign, '--out', `killed${kills}`]));
  const report = ({ out }: Ended): string =>
    out.split('\n').find((line) => line.includes('"event":"report"')) ?? 'none';
  expect(report(resumed)).toBe(report(undisturbed));
  expect(await wholeOf(`killed${kills}`)).toBe(await wholeOf(`calm${kills}`));
}

describe('kill -9', () => {
  test('at one moment loses nothing but the batches under way', () => survives(1, '2000runs'), 300_000);
  test('at a hundred moments loses nothing but the batches under way', { tags: ['long'] }, () =>
    survives(100, '60000runs'),
  );
});

/** A design that does what it should in the main thread, and something else where a worker boots it. */
const bad = (what: string): string => `
import { isMainThread } from 'node:worker_threads';
import { design, must, mutex_lock, mutex_unlock } from 'fenceproof';
export default design({
  name: 'bad', title: 'A harness that fails', sources: [], knobs: { worker: ['good', 'bad'] }, expect: [],
  kernel: ({ worker }) => {
    if (worker === 'bad' && !isMainThread) { ${what} }
    return { objects: { locks: { a: {} } }, threads: { one: must([mutex_lock('a'), mutex_unlock('a')]) } };
  },
});
`;

describe('one worker that fails', () => {
  const contained = async (name: string, what: string, why: RegExp, ...more: string[]): Promise<void> => {
    writeFileSync(join(room, `${name}.ts`), bad(what));
    const { status, out } = await ended(
      start([
        'campaign',
        '-d',
        `./${name}.ts`,
        '--out',
        name,
        '--batch',
        '100',
        '--lanes',
        '1',
        '--until',
        '600runs',
        '--workers',
        '2',
        ...more,
      ]),
    );
    expect(status).toBe(1);
    expect(out).toContain('findings against the harness');
    expect(out).toMatch(why);
    const { records } = recordsIn(journalOf(name));
    // The good setting goes on; the bad one is given up after two batches.
    expect(records.filter(({ kind }) => kind === 'batch')).toHaveLength(3);
    expect(records.filter(({ kind }) => kind === 'broken')).toHaveLength(2);
  };
  test(
    'by ending is contained and reported, and the campaign goes on',
    () => contained('crashes', 'process.exit(7);', /bad worker=bad: batch 1\.0: .*(exit|terminat)/i),
    300_000,
  );
  test('by standing still for ever is contained and reported, and the campaign goes on', { tags: ['long'] }, () =>
    contained('hangs', 'for (;;);', /bad worker=bad: batch 1\.0: it stood still for 6 s/, '--patience', '6s'),
  );
});

test('Ctrl-C ends after the batches under way with everything saved, and says how to go on', async () => {
  const child = start(['campaign', '-d', 'canary-abba', '--out', 'stopped', '--until', '8h', '--workers', '1']);
  const end = ended(child);
  for (let waited = 0; waited < 20_000 && sizeOf(journalOf('stopped')) < 2_000; waited += 20) await pause(20);
  child.kill('SIGINT');
  const { status, out, err } = await end;
  expect([status, err]).toEqual([130, 'stopping after the batches under way; everything is saved\n']);
  expect(out).toMatch(/stopped by hand after .* go on with: fenceproof campaign --out stopped$/m);
  expect(existsSync(join(room, 'stopped', 'lock'))).toBe(false);
}, 300_000);
