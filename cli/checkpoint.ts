/**
 * Checkpoints on disk: every so many seconds, between two levels, the search is written to a file beside the old one,
 * which is replaced only when the new one is whole. Whatever kills the search, what is found afterwards is a whole
 * checkpoint: the new one or the one before.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Snapshot } from '../properties/search/storage/breadth.ts';
import { type About, decodeCheckpoint, encodeCheckpoint } from '../properties/search/storage/checkpoint.ts';
import { oneLine, refusal } from './refusal.ts';

/**
 * Write a checkpoint over the one that is there, whole or not at all.
 * @throws in one line, when the disk does not take it; the one before is still there then
 */
export function writeCheckpoint(path: string, about: About, snapshot: Snapshot): void {
  const part = `${path}.part`;
  try {
    const file = openSync(part, 'w');
    try {
      for (const piece of encodeCheckpoint(about, snapshot))
        for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw new Error(`cannot write the checkpoint ${path}: ${oneLine((error as Error).message)}`, { cause: error });
  }
}

/** @throws a refusal, in one line, when the file is not there, damaged, or of another version or search */
export function readCheckpoint(path: string, about: About): Snapshot {
  try {
    return decodeCheckpoint(readFileSync(path), about);
  } catch (error) {
    throw refusal(`cannot go on from ${path}: ${oneLine((error as Error).message)}`);
  }
}

/**
 * What to call between two levels: writes a checkpoint when the last one is older than `seconds`. A disk that does not
 * take it costs the checkpoint, not the search.
 * @param warn told once when a checkpoint could not be written
 * @param stopped asked each time: then one is written at once, and the search ends
 */
export function checkpointEvery(
  seconds: number,
  path: string,
  about: About,
  warn: (line: string) => void,
  stopped: () => boolean = () => false,
): (snapshot: () => Snapshot) => string | undefined {
  let written = performance.now();
  let warned = false;
  return (snapshot) => {
    const stop = stopped();
    if (!stop && performance.now() - written < seconds * 1000) return undefined;
    try {
      writeCheckpoint(path, about, snapshot());
      warned = false;
    } catch (error) {
      if (!warned) warn(`${(error as Error).message}; the search goes on without it`);
      warned = true;
    }
    written = performance.now();
    return stop ? 'it was interrupted' : undefined;
  };
}
