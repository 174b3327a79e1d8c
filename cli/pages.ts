/**
 * Pages on disk: what they have in common is read from where the build left it; a directory of them has an index, and each
 * is named like the entry of the corpus that is about the same finding.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Entry, hashOf, identityOf } from '../corpus/entry.ts';
import { ensureWritable, fileNameOf, writeWhole } from '../corpus/store.ts';
import type { Assets } from '../reports/html/document.ts';
import { type Listed, listingPage } from '../reports/html/listing.ts';
import { packageRoot } from './files.ts';
import { heeding, refusal } from './refusal.ts';

const BUILT = join(packageRoot, 'dist', 'reports', 'html', 'page');

let known: Assets | undefined;
/** @throws a refusal in a checkout that was not built */
export function pageAssets(): Assets {
  if (known) return known;
  if (!existsSync(join(BUILT, 'page.js'))) throw refusal('the script of the pages is not built yet: npm run build');
  const read = (name: string): string => readFileSync(join(BUILT, name), 'utf8');
  return (known = { script: read('page.js'), style: read('page.css'), licenses: read('licenses.md') });
}

/** A directory that is filled with pages. */
export class Pages {
  readonly directory: string;
  private readonly taken = new Map<string, string>();

  /** @throws a refusal when nothing can be written there */
  constructor(directory: string) {
    pageAssets();
    heeding(() => ensureWritable(directory));
    this.directory = directory;
  }
  /** The file for this finding; two findings whose short names are equal do not share one. */
  pathFor(entry: Pick<Entry, 'design' | 'knobs' | 'expect'>): string {
    const identity = identityOf(entry);
    const short = fileNameOf(entry);
    const name = (this.taken.get(short) ?? identity) === identity ? short : `${short}.${hashOf(identity)}`;
    this.taken.set(short, this.taken.get(short) ?? identity);
    return join(this.directory, `${name}.html`);
  }
  /** @returns the path of the index */
  writeIndex(heading: string, rows: readonly Listed[]): string {
    const path = join(this.directory, 'index.html');
    heeding(() => writeWhole(path, listingPage(heading, rows, pageAssets().style)), path);
    return path;
  }
}
export const hrefOf = (path: string): string => basename(path);
