/** One counterexample, shrunk: what became of it, and what else was met; for people, in a line, and for programs. */
import type { Case } from '../model/case.ts';
import { type Blame, signature } from '../properties/property.ts';
import type { Look } from '../reports/reporter.ts';
import { grouped } from '../reports/row.ts';
import type { ShrinkDone } from './tasks/shrink.ts';

export interface Shrunk {
  /** As it was. */
  readonly run: Case;
  readonly blame: Blame;
  readonly shrunk: ShrinkDone;
  /** Where it is now, and the command that plays it. */
  readonly path: string;
  readonly again: string;
  /** Other bugs that were met on the way, and where they were kept. */
  readonly others: readonly { readonly blame: Blame; readonly path: string | null }[];
}

const wordsOf = ({ schedule, loop }: Case): number => schedule.length + (loop?.length ?? 0);
const became = ({ run, shrunk }: Shrunk): string => `${wordsOf(run)} words became ${wordsOf(shrunk.run)}`;
const proved = ({ shortest }: ShrinkDone): boolean => shortest === 'proved';
const claim = (shrunk: ShrinkDone): string => `shortest, ${proved(shrunk) ? 'proved' : 'not proved'}`;
const unfinished = ({ complete, why }: ShrinkDone): string[] =>
  complete ? [] : [`not minimal in everything else: ${why}; --steps sets the budget`];
const met = ({ others }: Shrunk): string[] =>
  others.map(({ blame, path }) => `also met ${signature(blame)}${path === null ? '; --out keeps it' : `: ${path}`}`);

export function textOf(done: Shrunk): string {
  const { shrunk, path, again } = done;
  return [
    `${became(done)} in ${grouped(shrunk.runs)} runs and ${grouped(shrunk.steps)} steps`,
    `${claim(shrunk)}: ${shrunk.because} (${grouped(shrunk.searched)} states searched)`,
    ...unfinished(shrunk),
    `saved ${path}`,
    again,
    ...met(done),
  ].join('\n');
}

/** A line, and one more for each thing that is not as it should be. */
export function briefOf(done: Shrunk, { paint }: Look): string {
  const { blame, shrunk, path } = done;
  const says = `${became(done)}; ${claim(shrunk)}`;
  return [
    `${paint('good', 'shrunk')}  ${path}: ${signature(blame)}: ${says}`,
    ...unfinished(shrunk),
    ...met(done),
  ].join('\n');
}

/** A line of JSON for what was asked for, and one for each other bug that was met. */
export function jsonOf({ run, blame, shrunk, path, others }: Shrunk): string[] {
  const { schedule, loop = null, workload, design, knobs } = shrunk.run;
  const { runs, steps, complete, why, shortest, because, searched } = shrunk;
  const lines = [
    {
      ...{ event: 'shrunk', path, design, knobs, property: blame.property, kind: blame.kind, what: blame.what },
      ...{ before: wordsOf(run), words: wordsOf(shrunk.run), workload, schedule, loop },
      ...{ runs, steps, complete, why, shortest, because, searched },
    },
    ...others.map(({ blame: { property, kind, what }, path: kept }) => ({
      ...{ event: 'met', path: kept, design, knobs, property, kind, what },
    })),
  ];
  return lines.map((line) => JSON.stringify(line));
}
