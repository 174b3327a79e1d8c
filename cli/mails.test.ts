/** The pages about the mails say what the corpus holds, and nothing else. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../corpus/entry.ts';
import { loadDirectory } from '../corpus/store.ts';
import { designs } from '../model/designs/index.ts';
import { fillPage } from '../reports/page.ts';
import { packageCorpus, packageRoot } from './files.ts';

const entries = loadDirectory(packageCorpus).flatMap((loaded) => ('entry' in loaded ? [loaded.entry] : []));
const folder = join(packageRoot, 'docs', 'mails');
const fill = (text: string, known: readonly Entry[] = entries): string => fillPage(text, designs, known);

describe('docs/mails', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.md')))
    test(`${file} shows what the corpus holds (GOLDEN=write writes it)`, () => {
      const path = join(folder, file);
      const page = readFileSync(path, 'utf8');
      const filled = fill(page);
      if (process.env['GOLDEN'] === 'write') writeFileSync(path, filled);
      else expect(page).toBe(filled);
      expect(filled).not.toContain('**Not borne out**');
      expect(filled).toContain('**Borne out**');
    });
});

describe('a place in a page', () => {
  test('says that a claim is borne out by what was found', () => {
    const page = fill('<!-- claim: canary-abba order=opposite: no-deadlock, not api-contract -->\n<!-- end -->\n');
    expect(page).toContain('**Borne out** by `canary-abba`');
    expect(page).toMatch(/`order=opposite`: ✗ .*`no-deadlock` \(circle of mutex\) in \d+ steps/);
    expect(fill(page)).toBe(page);
  });
  test('says that it is not, when something else was found', () => {
    for (const claims of ['nothing', 'fence-signals', 'not no-deadlock'])
      expect(fill(`<!-- claim: canary-abba order=opposite: ${claims} -->\n`)).toContain('**Not borne out**');
    expect(fill('<!-- claim: canary-abba order=same: no-deadlock -->\n')).toContain('**Not borne out**');
    expect(fill('<!-- claim: canary-abba order=same: nothing -->\n')).toContain('**Borne out**');
  });
  test('counts every setting that fits: one that does not bear the claim out is enough', () => {
    expect(fill('<!-- claim: canary-abba: no-deadlock -->\n')).toContain('**Not borne out**');
  });
  test('a matrix tells who hangs from who keeps the promise', () => {
    const page = fill('<!-- matrix: canary-abba, canary-signal-forgotten -->\n');
    expect(page).toMatch(/`order=same` \|( ✓ \|){6} keeps the promise \|/);
    expect(page).toMatch(/`order=opposite` \|.* hangs \|/);
  });
  test('what cannot be said is refused, with what there is', () => {
    expect(() => fill('<!-- claim: evict: nothing -->\n')).toThrow(/unknown design "evict"; there are: canary-abba/);
    expect(() => fill('<!-- claim: canary-abba order=odd: nothing -->\n')).toThrow('has no setting order=odd');
    expect(() => fill('<!-- claim: canary-abba: no-fun -->\n')).toThrow(/unknown property "no-fun"; there are: fence-/);
    expect(() => fill('<!-- claim: canary-abba: nothing -->\n', [])).toThrow('the corpus holds nothing of canary-abba');
  });
});
