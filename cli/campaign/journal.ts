/**
 * The journal of a campaign: one line a record, only ever appended to, each with a sum over itself.
 *
 * A process that is killed while it writes leaves at most one line that is not whole, the last; it is cut off when the
 * journal is opened again, and that batch is played again. Anything else that is damaged is refused with its line.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readSync, truncateSync, writeSync } from 'node:fs';
import type { Case } from '../../model/case.ts';
import type { Blame } from '../../properties/property.ts';
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import type { Deadlocks } from '../../properties/search/campaign/realised.ts';
import { asTyped } from '../files.ts';
import { refusal } from '../refusal.ts';

/** A batch that was played. */
export interface BatchRecord {
  readonly kind: 'batch';
  readonly chain: number;
  readonly round: number;
  readonly done: BatchDone;
}
/** A batch that could not be played, because the harness failed: it crashed a worker, or did not come to an end. */
export interface BrokenRecord {
  readonly kind: 'broken';
  readonly chain: number;
  readonly round: number;
  readonly why: string;
}
/** What became of a finding when it was shrunk; `of` is the hash of the case that it was. */
export interface ShrunkRecord {
  readonly kind: 'shrunk';
  readonly of: string;
  readonly run: Case;
  /** 'proved', or 'not proved: ' and why. */
  readonly shortest: string;
  /** Other bugs that shrinking came across. */
  readonly others: readonly { readonly blame: Blame; readonly run: Case }[];
}
/** Can a predicted circle in the order of locks become a deadlock at this setting? */
export interface ProofRecord extends Deadlocks {
  readonly kind: 'proof';
  readonly setting: number;
}
/** The planted bug: in which run it was found, or 0. */
export interface CanaryRecord {
  readonly kind: 'canary';
  readonly run: number;
  readonly of: number;
}
export type Record = BatchRecord | BrokenRecord | ShrunkRecord | ProofRecord | CanaryRecord;

/** Equal names are records of the same thing, and then they are equal. */
export function nameOf(record: Record): string {
  switch (record.kind) {
    case 'batch':
    case 'broken':
      return `batch ${String(record.chain).padStart(6, '0')} ${String(record.round).padStart(9, '0')}`;
    case 'shrunk':
      return `shrunk ${record.of}`;
    case 'proof':
      return `proof ${String(record.setting).padStart(6, '0')}`;
    case 'canary':
      return 'canary';
  }
}

const sumOf = (json: string): string => createHash('sha256').update(json).digest('hex').slice(0, 12);
export const lineOf = (record: Record): string => {
  const json = JSON.stringify(record);
  return `${sumOf(json)} ${json}\n`;
};
function parseLine(line: string): Record | undefined {
  const json = line.slice(13);
  return line[12] === ' ' && sumOf(json) === line.slice(0, 12) ? (JSON.parse(json) as Record) : undefined;
}

/** Bytes that are read at a time: a journal may be larger than memory. */
const CHUNK = 1 << 22;

/**
 * Read a journal record by record.
 * @returns how many bytes of it are whole
 * @throws when a line that is not the last is damaged
 */
export function readJournal(path: string, each: (record: Record) => void): number {
  if (!existsSync(path)) return 0;
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    let rest: Buffer = Buffer.alloc(0);
    let whole = 0;
    let line = 0;
    for (let at = 0; at < size; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK, size - at));
      const read = readSync(file, chunk, 0, chunk.length, at);
      if (read === 0) break;
      at += read;
      rest = Buffer.concat([rest, chunk.subarray(0, read)]);
      let from = 0;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
        line += 1;
        const record = parseLine(rest.toString('utf8', from, end));
        const length = end + 1 - from;
        if (!record && whole + length < size)
          throw refusal(
            `${asTyped(path)}:${line}: this record is damaged; restore the file, or begin anew in another directory`,
          );
        if (!record) return whole;
        each(record);
        whole += length;
        from = end + 1;
      }
      rest = rest.subarray(from);
    }
    return whole;
  } finally {
    closeSync(file);
  }
}

/** Bytes after which what was written is also brought to the disk. */
const SYNC_EVERY = 1 << 20;

export class Journal {
  private readonly file: number;
  private unsynced = 0;

  /** Open to go on with it; `before` is told of every record that stands in it. What is not whole at its end is cut off. */
  constructor(path: string, before: (record: Record) => void) {
    const whole = readJournal(path, before);
    if (existsSync(path)) truncateSync(path, whole);
    this.file = openSync(path, 'a');
  }
  append(record: Record): void {
    const line = lineOf(record);
    writeSync(this.file, line);
    this.unsynced += line.length;
    if (this.unsynced < SYNC_EVERY) return;
    fsyncSync(this.file);
    this.unsynced = 0;
  }
  close(): void {
    fsyncSync(this.file);
    closeSync(this.file);
  }
}
