/** The recipes for clusters in docs/overnight.md, played by a plain shell: what they say is what these machines would run. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PROGRAM, runProgram } from '../compiled.ts';
import { packageRoot } from '../files.ts';
import { ended } from '../ran.ts';
import { recordsIn } from './whole-journal.ts';

const PARTS = 3;
const CAMPAIGN = ['-d', 'canary-signal-forgotten', '--batch', '100', '--lanes', '6'];
const checkout = dirname(dirname(dirname(PROGRAM)));

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true, force: true }));

/** The script under this heading, for fewer and smaller parts and a volume of our own. */
function recipe(heading: string, until: string): string {
  const text = readFileSync(join(packageRoot, 'docs/overnight.md'), 'utf8');
  const section = text.split(`### ${heading}\n`)[1]?.split('\n### ')[0] ?? '';
  const [, yaml] = /\n {12}- \|\n((?: {14}.*\n)+)/.exec(section) ?? [];
  const [, shell] = /```sh\n([^`]+)```/.exec(section) ?? [];
  const script = yaml?.replace(/^ {14}/gm, '') ?? shell;
  if (script === undefined) throw new Error(`there is no script under "${heading}"`);
  const changes = [
    ['/16', `/${PARTS}`],
    [' --until 8h', ` --until ${until} ${CAMPAIGN.join(' ')}`],
    [/(?<![\w-])\/?night\/part/g, `${room}/part`],
  ] as const;
  return changes.reduce((changed, [from, to]) => {
    const next = changed.replaceAll(from, to);
    expect(next, String(from)).not.toBe(changed);
    return next;
  }, script);
}
const parts = Array.from({ length: PARTS }, (_, part) => part);
const whole = (...names: string[]): string => {
  const { status } = runProgram(['merge', ...names, '--out', 'whole'], { cwd: room });
  expect(status).toBeLessThanOrEqual(1);
  const journal = readFileSync(join(room, 'whole', 'journal.jsonl'), 'utf8');
  rmSync(join(room, 'whole'), { recursive: true });
  return journal;
};
/** The same campaign in one piece. */
function inOnePiece(): string {
  runProgram(['campaign', ...CAMPAIGN, '--until', '3000runs', '--out', 'alone'], { cwd: room });
  return whole('alone');
}
const KUBERNETES = 'A Kubernetes indexed Job';
const SLURM = 'A Slurm array';
const environment = (at: number): Record<string, string> => ({
  JOB_COMPLETION_INDEX: String(at),
  SLURM_ARRAY_TASK_ID: String(at + 1),
  SLURM_CPUS_PER_TASK: '1',
});

describe.each([
  [KUBERNETES, 0],
  [SLURM, 1],
])('%s', (heading, first) => {
  test('plays parts that add up to the campaign in one piece', { tags: ['long'] }, () => {
    const script = recipe(heading, '3000runs');
    for (const part of parts) {
      const env = { ...process.env, ...environment(part) };
      const { status, stderr } = spawnSync('sh', ['-c', script], { cwd: checkout, env, encoding: 'utf8' });
      expect(status, stderr).toBeLessThanOrEqual(1);
    }
    expect(whole(...parts.map((part) => `part${part + first}`))).toBe(inOnePiece());
  });
});

test('a Slurm part that is told that its time is over ends with everything saved', { tags: ['long'] }, async () => {
  const script = recipe(SLURM, '8h');
  const child = spawn('sh', ['-c', script], { cwd: checkout, env: { ...process.env, ...environment(0) } });
  const end = ended(child);
  const journal = join(room, 'part1', 'journal.jsonl');
  const records = (): number => {
    try {
      return recordsIn(journal).records.length;
    } catch {
      return 0;
    }
  };
  for (let waited = 0; waited < 60_000 && records() < 5; waited += 50)
    await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGINT');
  const { out } = await end;
  expect(out).toContain('stopped by hand after');
  const { records: saved, whole: bytes } = recordsIn(journal);
  expect(saved.length).toBeGreaterThanOrEqual(5);
  expect(bytes).toBe(readFileSync(journal).length);
});
