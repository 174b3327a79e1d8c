import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { twoPhaseCommit } from '../properties/search/classics/two-phase-commit.ts';
import { Learned } from '../properties/search/learned.ts';
import {
  type BreadthOptions,
  type FoundFirst,
  type Snapshot,
  breadthFirst,
} from '../properties/search/storage/breadth.ts';
import { type About, systemHash } from '../properties/search/storage/checkpoint.ts';
import { checkpointEvery, readCheckpoint, writeCheckpoint } from './checkpoint.ts';

const directory = mkdtempSync(join(tmpdir(), 'fenceproof-checkpoint-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const aboutOf = (n: number): About => ({ system: systemHash(twoPhaseCommit(n)), mode: 'tree' });
function search(n: number, options: Partial<BreadthOptions<never>>): FoundFirst<object, never> {
  const learned = new Learned<object, never>(twoPhaseCommit(n));
  return breadthFirst(learned, learned.packing.pack(learned.system.boot), {
    mode: 'tree',
    maxStates: Number.MAX_SAFE_INTEGER,
    patient: true,
    edges: false,
    ...options,
  });
}
/** Write one after every level, and stop after so many. */
function stopped(path: string, levels: number): void {
  let level = 0;
  search(4, {
    between(snapshot) {
      writeCheckpoint(path, aboutOf(4), snapshot());
      level += 1;
      return level === levels ? 'stopped by the test' : undefined;
    },
  });
}

describe('a checkpoint on disk', () => {
  test('is gone on with', () => {
    const path = join(directory, 'whole');
    stopped(path, 5);
    const { states, transitions, depth } = search(4, { resume: readCheckpoint(path, aboutOf(4)) });
    const undisturbed = search(4, {});
    expect([states, transitions, depth]).toEqual([1568, undisturbed.transitions, undisturbed.depth]);
  });
  test('is refused with its name, in one line, when it is not there, damaged, or of another search', () => {
    const path = join(directory, 'refused');
    expect(() => readCheckpoint(path, aboutOf(4))).toThrow(`cannot go on from ${path}: ENOENT: no such file`);
    stopped(path, 2);
    expect(() => readCheckpoint(path, aboutOf(5))).toThrow(/: the checkpoint is of another search: its system is /);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, bytes.length - 9));
    expect(() => readCheckpoint(path, aboutOf(4))).toThrow(/^cannot go on from .*: the checkpoint is cut short: .*$/);
    bytes[bytes.length - 40] = 1 + (bytes[bytes.length - 40] as number);
    writeFileSync(path, bytes);
    expect(() => readCheckpoint(path, aboutOf(4))).toThrow(/^cannot go on from .*: the checkpoint is damaged: .*$/);
    writeFileSync(path, 'something else');
    expect(() => readCheckpoint(path, aboutOf(4))).toThrow(/: this is not a checkpoint of fenceproof$/);
  });
  test('stays as it was when the disk is full: a warning, and the search goes on', () => {
    const place = join(directory, 'full-disk');
    mkdirSync(place);
    const path = join(place, 'checkpoint');
    stopped(path, 3);
    const before = readFileSync(path);
    const warnings: string[] = [];
    const found = search(4, {
      between(snapshot) {
        if (!existsSync(`${path}.part`)) symlinkSync('/dev/full', `${path}.part`);
        return checkpointEvery(0, path, aboutOf(4), (line) => warnings.push(line))(snapshot);
      },
    });
    expect(found.exhausted).toBe(true);
    expect(warnings[0]).toMatch(
      /^cannot write the checkpoint .*: ENOSPC: no space left on device, write; the search goes on without it$/,
    );
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(place)).toEqual(['checkpoint']);
  });
  test('is written when the time has come and not before, and warns once', () => {
    const path = join(directory, 'no-such-directory', 'checkpoint');
    const warnings: string[] = [];
    const snapshots: Snapshot[] = [];
    const taking = (take: () => Snapshot) => () => {
      snapshots.push(take());
      return snapshots.at(-1) as Snapshot;
    };
    const now = checkpointEvery(0, path, aboutOf(4), (line) => warnings.push(line));
    const later = checkpointEvery(3600, path, aboutOf(4), (line) => warnings.push(line));
    search(4, { between: (snapshot) => later(taking(snapshot)) });
    expect(snapshots).toEqual([]);
    search(4, { between: (snapshot) => now(taking(snapshot)) });
    expect(snapshots.length).toBeGreaterThan(5);
    expect(warnings.length).toBe(1);
  });
});

test('a search that is killed with SIGKILL, again and again, ends as one that is not', { tags: ['long'] }, async () => {
  const n = 8;
  const path = join(directory, 'killed');
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const child = `
    const { existsSync } = await import('node:fs');
    const { twoPhaseCommit } = await import(${url('../properties/search/classics/two-phase-commit.ts')});
    const { Learned } = await import(${url('../properties/search/learned.ts')});
    const { breadthFirst } = await import(${url('../properties/search/storage/breadth.ts')});
    const { checkpointEvery, readCheckpoint } = await import(${url('./checkpoint.ts')});
    const [path, about] = [${JSON.stringify(path)}, ${JSON.stringify(aboutOf(n))}];
    const learned = new Learned(twoPhaseCommit(${n}));
    const every = checkpointEvery(0.05, path, about, console.error);
    breadthFirst(learned, learned.packing.pack(learned.system.boot), {
      mode: 'tree', maxStates: 1e9, patient: true, edges: false, between: every,
      ...(existsSync(path) ? { resume: readCheckpoint(path, about) } : {}),
    });
    console.log('came to its end');`;
  const bases: number[] = [];
  for (const wait of [150, 400, 250]) {
    const before = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    const running = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', child]);
    let said = '';
    running.stdout.on('data', (data: Buffer) => (said += data.toString()));
    running.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const ended = new Promise((resolve) => running.on('exit', (_code, signal) => resolve(signal)));
    while (running.exitCode === null && (!existsSync(path) || readFileSync(path).equals(before))) await sleep(20);
    await sleep(wait);
    running.kill('SIGKILL');
    expect([await ended, said]).toEqual(['SIGKILL', '']);
    bases.push(readCheckpoint(path, aboutOf(n)).facts.base);
  }
  expect(bases).toEqual(bases.toSorted((a, b) => a - b));
  expect(bases[0]).toBeLessThan(bases[2] as number);
  const schedules = (resume?: Snapshot): unknown => {
    const { states, transitions, depth, resting, schedule } = search(n, resume ? { resume } : {});
    const some = Array.from({ length: 200 }, (_, nth) => schedule(Math.floor((nth * states) / 200)).join(' '));
    return { states, transitions, depth, resting, some };
  };
  expect(schedules(readCheckpoint(path, aboutOf(n)))).toEqual(schedules());
});
