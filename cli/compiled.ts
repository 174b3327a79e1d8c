/**
 * The program compiled, for tests that start it as processes of its own: from sources it starts ten times as slowly, and
 * what is in dist may be old. Before the first test it is compiled again if a source is newer.
 */
import {
  type ChildProcessWithoutNullStreams,
  type SpawnSyncReturns,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot } from './files.ts';

const COMPILED = join(packageRoot, '.vitest', 'compiled');
const STAMP = join(COMPILED, 'stamp');
export const PROGRAM = join(COMPILED, 'dist', 'cli', 'fenceproof.js');

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function newestSource(): number {
  const project = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'node_modules/.package-lock.json'];
  const sources = ['model', 'properties', 'shrinkers', 'corpus', 'reports', 'cli'].flatMap((directory) =>
    readdirSync(join(packageRoot, directory), { recursive: true, withFileTypes: true })
      .filter((file) => file.isDirectory() || file.name.endsWith('.ts'))
      .map((file) => join(file.parentPath, file.name)),
  );
  return Math.max(...project.map((file) => modified(join(packageRoot, file))), ...sources.map(modified));
}

/** What vitest does before all tests. Two runs may do it at once: each compiles for itself, and one copy stays. */
export function setup(): void {
  if (modified(STAMP) > newestSource()) return;
  mkdirSync(dirname(COMPILED), { recursive: true });
  const fresh = mkdtempSync(`${COMPILED}-`);
  for (const file of ['package.json', 'tsconfig.json']) copyFileSync(join(packageRoot, file), join(fresh, file));
  for (const link of ['node_modules', 'corpus']) symlinkSync(join(packageRoot, link), join(fresh, link));
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const project = join(packageRoot, 'tsconfig.build.json');
  const options = ['--outDir', join(fresh, 'dist'), '--declaration', 'false', '--sourceMap', 'false'];
  execFileSync(process.execPath, [tsc, '-p', project, ...options]);
  writeFileSync(join(fresh, 'stamp'), '');
  rmSync(COMPILED, { recursive: true, force: true });
  try {
    renameSync(fresh, COMPILED);
  } catch {
    rmSync(fresh, { recursive: true }); // the other run's copy stands there, of the same sources
  }
}

interface Where {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}
/** Start the program with these arguments. */
export const startProgram = (args: readonly string[], where: Where): ChildProcessWithoutNullStreams =>
  spawn(process.execPath, [PROGRAM, ...args], where);
/** Run it to its end. */
export const runProgram = (args: readonly string[], where: Where): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, [PROGRAM, ...args], { ...where, encoding: 'utf8' });
