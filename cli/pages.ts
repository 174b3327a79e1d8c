/** Pages on disk: what they have in common is read from where the build left it, and what they say is written whole. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../corpus/store.ts';
import type { Booted } from '../model/design.ts';
import type { Odds } from '../properties/search/odds.ts';
import { type Assets, findingPage } from '../reports/html/document.ts';
import { findingOf } from '../reports/html/finding.ts';
import { PLAIN } from '../reports/reporter.ts';
import { story } from '../reports/story.ts';
import type { Telling } from '../reports/telling.ts';
import { packageRoot, version } from './files.ts';
import { heeding, refusal } from './refusal.ts';

const BUILT = join(packageRoot, 'dist', 'reports', 'html', 'page');

let known: Assets | undefined;
/** @throws a refusal in a checkout that was not built */
export function pageAssets(): Assets {
  if (known) return known;
  if (!existsSync(join(BUILT, 'page.js'))) throw refusal('the script of the pages is not built yet: npm run build');
  const read = (name: string): string => readFileSync(join(BUILT, name), 'utf8');
  return (known = { script: read('page.js'), style: read('page.css') });
}

/** What a page says besides its telling. */
export interface PageFacts {
  readonly odds: Odds;
  readonly again: string;
  readonly shortest?: string;
  readonly patient: boolean;
}
/** Write the page of one finding. @throws a refusal when the file cannot be written */
export function writePage(path: string, booted: Booted, telling: Telling, facts: PageFacts): void {
  const text = findingPage(
    findingOf(booted, telling, { ...facts, version }),
    story.render(telling, PLAIN),
    pageAssets(),
  );
  heeding(() => writeWhole(path, text), path);
}
