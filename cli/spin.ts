/**
 * Spin at work: `spin -a`, the C compiler, and the verifier that comes out of it, in a folder of their own.
 *
 * The verifier keeps every state in full (no hashing of states, no reduction), runs on after every error, and so counts
 * exactly what there is.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Full storage, every interleaving; safety only, for which nothing needs to be remembered but the states. */
export const EXACT: readonly string[] = ['-O2', '-DSAFETY', '-DNOREDUCE'];
/** The search is for models of up to some millions of states; one that takes longer is refused. */
const MOST_MILLISECONDS = 600_000;
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Spin's own line about itself, or nothing when it is not installed. */
export function spinVersion(): string | undefined {
  const { status, stdout } = spawnSync('spin', ['-V'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** How to get it, for whoever has not. */
export const HOW_TO_INSTALL = 'Spin is not installed; on Debian and Ubuntu: apt-get install spin gcc libc6-dev';

/** A folder that is gone afterwards. */
export function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'fenceproof-spin-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Build the verifier of a model in a folder.
 * @returns the path of the program
 * @throws when Spin or the compiler refuses, with their words
 */
export function verifierOf(text: string, folder: string, name = 'pan', flags: readonly string[] = EXACT): string {
  writeFileSync(join(folder, 'model.pml'), text);
  must('spin', spawnSync('spin', ['-a', 'model.pml'], options(folder)));
  must('gcc', spawnSync('gcc', [...flags, '-w', '-o', name, 'pan.c'], options(folder)));
  return join(folder, name);
}

/**
 * All that the verifier says of a model, for `recount`.
 * @param depth steps that a search path may have: no more than there are states
 */
export const spinRun =
  (depth: number) =>
  (text: string): string => {
    if (spinVersion() === undefined) throw new Error(HOW_TO_INSTALL);
    return inFolder((folder) => {
      const program = verifierOf(text, folder, 'pan', [...EXACT, '-O1', `-DVECTORSZ=${vectorSize(text)}`]);
      return must('pan', spawnSync(program, [`-m${depth + 10}`, '-c0', '-n'], options(folder)));
    });
  };

/** Room for the variables of a model: four bytes each, and some for the processes. */
const vectorSize = (text: string): number => {
  const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  return Math.max(1024, 256 + 4 * count(/^(?:byte|short|int) /gm) + 16 * count(/^active proctype/gm));
};

const options = (folder: string) =>
  ({ cwd: folder, encoding: 'utf8', timeout: MOST_MILLISECONDS, maxBuffer: MOST_OUTPUT_BYTES }) as const;
function must(what: string, { error, status, signal, stdout, stderr }: SpawnSyncReturns<string>): string {
  if (error) throw new Error(`${what}: ${error.message}`);
  if (status !== 0)
    throw new Error(`${what} ended with ${signal ?? status}: ${(stderr || stdout).trim().slice(0, 2000)}`);
  return stdout;
}
