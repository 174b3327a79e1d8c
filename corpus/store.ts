/**
 * The corpus on disk: one JSON file an entry, written whole or not at all.
 *
 * A file is named for what it shows, so that a directory listing reads as a table of contents, and so that the same
 * finding always lands in the same file.
 */
import {
  type Stats,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Entry, type Parsed, hashOf, identityOf, parseEntry, writeEntry } from './entry.ts';

/** Larger files are not even read; a schedule of 100,000 usual words fits. */
export const MAX_BYTES = 4 * 1024 * 1024;
const LONGEST_NAME = 160;

/** An entry and where it came from, or what is wrong with that file. */
export type Loaded = { readonly path: string } & Parsed;

/** Read one file; everything that can be wrong with it comes back as one line. */
export function loadEntry(path: string): Loaded {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    return { path, wrong: reason(error) };
  }
  if (!stats.isFile()) return { path, wrong: 'is not a file' };
  if (stats.size > MAX_BYTES) return { path, wrong: `has ${stats.size} bytes; an entry has at most ${MAX_BYTES}` };
  try {
    return { path, ...parseEntry(readFileSync(path, 'utf8')) };
  } catch (error) {
    return { path, wrong: reason(error) };
  }
}

/** Every entry of a directory, in order of file names; a directory that is not there holds none. */
export function loadDirectory(directory: string): Loaded[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => loadEntry(join(directory, file)));
}

/** The name of the file in which an entry belongs: design, knob values, property and kind. */
export function fileNameOf(entry: Pick<Entry, 'design' | 'knobs' | 'expect'>): string {
  const verdict = entry.expect.verdict === 'convicted' ? [entry.expect.property, entry.expect.kind] : ['acquitted'];
  const parts = [entry.design, Object.values(entry.knobs).join('-'), ...verdict];
  const short = parts
    .map((part) => part.replace(/[^A-Za-z0-9_+-]+/g, '-').replace(/^-+|-+$/g, ''))
    .filter((part) => part !== '')
    .join('.');
  return short.length <= LONGEST_NAME ? short : `${short.slice(0, LONGEST_NAME)}.${hashOf(identityOf(entry))}`;
}

/**
 * Write an entry into a directory, over an older one of the same finding.
 * @returns the path of the file
 * @throws when the directory cannot be made or written, in one line
 */
export function saveEntry(directory: string, entry: Entry): string {
  try {
    makeDirectory(directory);
    const path = placeFor(directory, entry);
    writeWhole(path, writeEntry(entry));
    return path;
  } catch (error) {
    throw new Error(`cannot write to ${directory}: ${reason(error)}`, { cause: error });
  }
}

/** Two findings whose short names are equal get a hash of what they are about behind the name. */
function placeFor(directory: string, entry: Entry): string {
  const name = fileNameOf(entry);
  const plain = join(directory, `${name}.json`);
  if (!existsSync(plain)) return plain;
  const there = loadEntry(plain);
  if ('entry' in there && identityOf(there.entry) === identityOf(entry)) return plain;
  return join(directory, `${name}.${hashOf(identityOf(entry))}.json`);
}

/** A reader sees the old file or the new one, never a part: a new file is renamed over the old. */
export function writeWhole(path: string, text: string): void {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, text, { flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** Is this a directory into which a file can be written? Found out by writing one. @throws in one line when not */
export function ensureWritable(directory: string): void {
  try {
    makeDirectory(directory);
    const probe = join(directory, `.fenceproof.${process.pid}.tmp`);
    writeFileSync(probe, '', { flag: 'wx' });
    rmSync(probe);
  } catch (error) {
    throw new Error(`cannot write to ${directory}: ${reason(error)}`, { cause: error });
  }
}

/** Level by level: where the kernel answers ENOENT for a new name, as in /proc, Node's own recursion never ends. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  const above = dirname(resolve(directory));
  if (above !== resolve(directory)) makeDirectory(above);
  mkdirSync(directory);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left',
  EISDIR: 'is a directory',
  ENOTDIR: 'part of the path is not a directory',
  EEXIST: 'something else is in the way',
  ENAMETOOLONG: 'the name is too long',
};
function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && REASONS[code]) || message.split('\n')[0] || 'unknown reason';
}
