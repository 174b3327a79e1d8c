import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadDirectory } from '../corpus/store.ts';
import { startProgram } from './compiled.ts';
import { ended } from './ran.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

/** The program as a process of its own, in a directory that is not the checkout. */
const start = (args: readonly string[], env: Record<string, string> = {}): ChildProcess =>
  startProgram(args, { cwd: room, env: { ...process.env, ...env } });

test('from another directory, into a pipe: results without colours, nothing on standard error', async () => {
  const { status, out, err } = await ended(start(['check', 'canary-abba', '--workers', '1'], { FORCE_COLOR: '1' }));
  expect([status, err]).toEqual([0, '']);
  expect(out).toContain('2 settings, 2 as they should be, 0 not');
  expect(out).not.toContain('\u001b[');
});

test('Ctrl-C ends a long fuzz with 130, keeps what was found, and leaves no half-written file', async () => {
  const out = join(room, 'found');
  const long = start([
    'fuzz',
    '--out',
    out,
    '--steps',
    '1_000_000_000',
    '--workers',
    '1',
    '--design',
    'canary-abba',
    '-k',
    'order=opposite',
  ]);
  const end = ended(long);
  for (let waited = 0; waited < 20_000 && !(existsSync(out) && readdirSync(out).length === 2); waited += 50)
    await new Promise((resolve) => setTimeout(resolve, 50));
  long.kill('SIGINT');
  const { status, err, out: said } = await end;
  expect([status, err]).toEqual([130, 'stopping; what was found is kept\n']);
  expect(said).toContain('not found before it was stopped');
  expect(readdirSync(out)).toEqual([
    'canary-abba.opposite.lock-order.circular-dependency.json',
    'canary-abba.opposite.no-deadlock.circle-of-mutex.json',
  ]);
  expect(loadDirectory(out).filter((loaded) => 'wrong' in loaded)).toEqual([]);
});

test('a closed pipe ends the program without a word', async () => {
  const child = start(['list']);
  child.stdout?.destroy();
  const { status, err } = await ended(child);
  expect([status, err]).toEqual([141, '']);
});
