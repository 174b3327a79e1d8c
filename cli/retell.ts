/** How a case is told on the terminal, and the command that shows it again. */
import type { Case } from '../model/case.ts';
import { type Booted, showKnobs } from '../model/design.ts';
import { type Property, signature } from '../properties/property.ts';
import type { Look } from '../reports/reporter.ts';
import { story } from '../reports/story.ts';
import { tell } from '../reports/telling.ts';
import type { Want } from '../shrinkers/shrink.ts';
import type { Setting } from './designs.ts';
import { asTyped, quoted } from './files.ts';
import type { Confirmed } from './tasks/task.ts';

export const storyOf = (
  booted: Booted,
  run: Case,
  props: readonly Property[],
  want: Want,
  look: Look,
  patient = true,
): string => story.render(tell(booted, run, props, want, patient), look).trimEnd();

/** A counterexample in a line, with what the plain reducer makes of it. */
export const lineOf = ({ blame, schedule, loop, confirmed }: Confirmed, { paint }: Look): string =>
  `${signature(blame)} in ${schedule.length}${loop ? ` + ${loop.length} for ever` : ''} words: ${blame.what}${confirmed ? '' : paint('bad', ' (the plain reducer does not say so: please report this)')}`;

/** What to paste to see a saved entry again; a user's own design must be named. */
export const replayCommand = (path: string, from?: string): string =>
  [
    'npx fenceproof replay',
    ...(from === undefined ? [] : ['--design', quoted(asTyped(from))]),
    quoted(asTyped(path)),
  ].join(' ');
/** What to paste to search a setting again. */
export const checkCommand = ({ design, from, knobs }: Setting): string =>
  [
    `npx fenceproof check ${from === undefined ? quoted(design) : quoted(asTyped(from))}`,
    ...(Object.keys(knobs).length === 0 ? [] : ['--knobs', ...showKnobs(knobs).split(' ').map(quoted)]),
  ].join(' ');
