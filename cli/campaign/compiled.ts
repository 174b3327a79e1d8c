/**
 * A compiled copy of the program for tests that start it as processes of its own: workers run compiled code, and what is
 * in dist may be old.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot } from '../files.ts';
import { type Record as Line, readJournal } from './journal.ts';

/** Compile into this directory. @returns how to start the program there with some arguments */
export function compileInto(room: string): (args: readonly string[], cwd?: string) => ChildProcess {
  for (const file of ['package.json', 'tsconfig.json']) copyFileSync(join(packageRoot, file), join(room, file));
  for (const directory of ['node_modules', 'corpus']) symlinkSync(join(packageRoot, directory), join(room, directory));
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const project = join(packageRoot, 'tsconfig.build.json');
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', join(room, 'dist'), '--declaration', 'false']);
  return (args, cwd = room) => spawn(process.execPath, [join(room, 'dist/cli/fenceproof.js'), ...args], { cwd });
}

/** All records of a journal, and how many bytes of it are whole. */
export function recordsIn(path: string): { readonly records: readonly Line[]; readonly whole: number } {
  const records: Line[] = [];
  const whole = readJournal(path, (record) => records.push(record));
  return { records, whole };
}
