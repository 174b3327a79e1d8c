import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Design } from '../model/design.ts';
import { runProgram, startProgram } from './compiled.ts';
import { loadDesigns } from './designs.ts';
import './vitest.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

const run = (...args: string[]) => runProgram(args, { cwd: room });

test('init writes a design that check finds as it should be, and a test that says the same', {
  timeout: 120_000,
}, async () => {
  const { status, stdout } = run('init', 'my-driver');
  expect(status).toBe(0);
  expect(stdout).toContain('npx fenceproof check ./my-driver.ts');
  expect(readdirSync(room)).toEqual(['my-driver.test.ts', 'my-driver.ts']);
  const checked = run('check', './my-driver.ts', '--workers', '0');
  expect([checked.status, checked.stdout]).toEqual([
    0,
    expect.stringContaining('2 settings, 2 as they should be, 0 not'),
  ]);

  const [{ design }] = (await loadDesigns(join(room, 'my-driver.ts'))) as [{ design: Design }];
  const written = readFileSync(join(room, 'my-driver.test.ts'), 'utf8');
  expect(written).toContain("expect(myDriver).toBeAcquitted({ knobs: { ioctl_waits: 'after_unlock' } });");
  expect(design).toBeAcquitted({ knobs: { ioctl_waits: 'after_unlock' } });
  expect(written).toContain(
    "expect(myDriver).toBeConvictedBy('no-deadlock', { knobs: { ioctl_waits: 'under_the_lock' } });",
  );
  expect(design).toBeConvictedBy('no-deadlock', { knobs: { ioctl_waits: 'under_the_lock' } });
});

test('init overwrites nothing, and refuses what is no name or a name that is taken', { timeout: 120_000 }, () => {
  writeFileSync(join(room, 'my-driver.test.ts'), 'mine');
  const refused = (name: string, says: RegExp): void => {
    const { status, stdout, stderr } = run('init', name);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(says);
  };
  refused('my-driver', /my-driver\.test\.ts: there already; nothing was written/);
  refused('../escape', /lower case, digits, hyphens/);
  refused('canary-abba', /built in already/);
  expect(readdirSync(room)).toEqual(['my-driver.test.ts']);
  expect(readFileSync(join(room, 'my-driver.test.ts'), 'utf8')).toBe('mine');
});

/** Wait until a process has said something. */
async function until(child: ChildProcess, said: () => string, what: RegExp): Promise<void> {
  for (let waited = 0; !what.test(said()); waited += 50) {
    if (waited > 100_000 || child.exitCode !== null) throw new Error(`${String(what)} was never said, only: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('watch checks again when the file changes, and Ctrl-C is its end', { timeout: 240_000 }, async () => {
  run('init', 'my-driver');
  const path = join(room, 'my-driver.ts');
  const child = startProgram(['watch', './my-driver.ts', '--', '--workers', '0'], { cwd: room });
  let out = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  const ended = new Promise((resolve) => child.on('close', resolve));
  await until(child, () => out, /2 as they should be, 0 not\n.*as it should be; watching my-driver\.ts/s);
  out = '';
  writeFileSync(path, readFileSync(path, 'utf8').replace('acquits: true', "convicts: ['no-leak']"));
  await until(child, () => out, /my-driver\.ts changed.*1 as they should be, 1 not\n.*status 1; watching/s);
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

test('watch refuses what is no file', () => {
  const { status, stderr } = run('watch', './nothing.ts');
  expect([status, stderr]).toEqual([2, 'fenceproof: ./nothing.ts: is not a file\n']);
});
