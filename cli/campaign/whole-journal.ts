/** What a test wants to know of a journal. */
import { type Record as Line, readJournal } from './journal.ts';

/** All records of a journal, and how many bytes of it are whole. */
export function recordsIn(path: string): { readonly records: readonly Line[]; readonly whole: number } {
  const records: Line[] = [];
  const whole = readJournal(path, (record) => records.push(record));
  return { records, whole };
}
