/** The entries that a command is given: files and directories, read and checked before anything is done with them. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from '../corpus/entry.ts';
import { loadEntry } from '../corpus/store.ts';
import { type Chosen, among, chooseDesigns } from './designs.ts';
import { meetingOf } from './meeting.ts';
import { oneLine, refusal } from './refusal.ts';

export interface Given {
  readonly path: string;
  readonly entry: Entry;
  readonly chosen: Chosen;
}

/**
 * Read every file, and find the design of each: among the designs given, and then among those built in.
 * @throws a refusal at the first file that cannot be read or whose design is unknown
 */
export async function readEntries(paths: readonly string[], designs: readonly string[]): Promise<Given[]> {
  const named = designs.length > 0 ? await chooseDesigns(designs) : [];
  const all = [...named, ...(await chooseDesigns([]))];
  const find = among(all);
  return paths.flatMap(filesIn).map((path) => {
    const loaded = loadEntry(path);
    if ('wrong' in loaded) throw refusal(`${oneLine(path)}: ${loaded.wrong}`);
    const { entry } = loaded;
    const chosen = find(entry.design) ?? meetingOf(entry.design, find);
    if (!chosen) {
      const names = all.map(({ design }) => design.name).join(', ');
      throw refusal(
        `${oneLine(path)}: unknown design "${oneLine(entry.design)}"; there are: ${names}; a design of your own is given with --design ./its-file.ts`,
      );
    }
    return { path, entry, chosen };
  });
}

/** A directory stands for the entries in it. */
function filesIn(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path];
  const files = readdirSync(path)
    .filter((file) => file.endsWith('.json'))
    .sort();
  if (files.length === 0) throw refusal(`${oneLine(path)}: holds no entries`);
  return files.map((file) => join(path, file));
}
