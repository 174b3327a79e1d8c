/** Every counterexample that the corpus keeps of a design that there is, told once for all tests. Only tests import it. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { caseOf } from '../corpus/entry.ts';
import { loadDirectory } from '../corpus/store.ts';
import { boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { type SiteOf, type Telling, tell } from './telling.ts';

const CASES = join(dirname(fileURLToPath(import.meta.url)), '..', 'corpus', 'cases');
const byName = new Map(designs.map((each) => [each.name, each]));
/** Every line has a place here, so that places are told wherever there is room for one. */
export const somewhere: SiteOf = (line) => ({ file: 'drivers/my driver.ts', line: line.op.length, column: 7 });

export const tellings: readonly Telling[] = loadDirectory(CASES).flatMap((loaded) => {
  const design = 'entry' in loaded ? byName.get(loaded.entry.design) : undefined;
  if (!('entry' in loaded) || !design || loaded.entry.expect.verdict !== 'convicted') return [];
  const { entry } = loaded;
  const booted = boot(design, entry.knobs);
  return [tell(booted, { ...caseOf(entry), knobs: booted.knobs }, properties, entry.expect as never, true, somewhere)];
});
