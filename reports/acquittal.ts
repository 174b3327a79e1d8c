/**
 * What stands behind "nothing was found": how far a setting was searched, in what time, by which properties it was judged,
 * which of the situations that its design calls dangerous came about, and which did not.
 *
 * A conviction proves itself; an acquittal is worth what was searched. So it is told wherever the verdict is.
 */
import { type Design, type Knobs, type Workload, showKnobs } from '../model/design.ts';
import type { Look } from './reporter.ts';
import { grouped } from './row.ts';
import { labelled, titled } from './story.ts';

export interface Searched {
  /** States that were looked at. */
  readonly states: number;
  /** Steps between them. */
  readonly transitions: number;
  readonly depth: number;
  /** Why this is not every state that there is; nothing when it is. */
  readonly unfinished?: string;
  /** What the search could not judge, or may have left out. */
  readonly doubts: readonly string[];
  readonly time: 'patient' | 'any';
  /** What the users call: the bound of it all. */
  readonly workload: Workload;
  readonly judged: string;
  readonly seen: readonly string[];
  readonly unseen: readonly string[];
}

/** What no acquittal says. */
export const SAYS_NOTHING_OF =
  'more processes, buffers or jobs than the design has, how long anything takes, or what the model leaves out';

const TIMES = {
  patient: 'timers fire only when nothing else can move',
  any: 'timers fire at any time',
} as const;

/** Label by label, what was searched; the same on a terminal and on a page. */
export function searchedLines(searched: Searched): (readonly [label: string, text: string])[] {
  const { states, transitions, depth, unfinished, doubts, time, workload, judged, seen, unseen } = searched;
  const much = `${grouped(states)} state${states === 1 ? '' : 's'}, ${grouped(transitions)} steps between them, up to ${grouped(depth)} steps away; ${TIMES[time]}`;
  const calls = Object.entries(workload).map(([user, todo]) => `${user}: ${todo.join('; ') || 'nothing'}`);
  return [
    ['Searched', unfinished === undefined ? `every state: ${much}` : `not every state: ${much}; ${unfinished}`],
    ...doubts.map((doubt) => ['Doubt', doubt] as const),
    ...(calls.length > 0 ? [['Calls', calls.join(' · ')] as const] : []),
    ['Judged by', judged],
    ['Seen', seen.join('; ') || 'nothing that the design calls a witness'],
    ['Not seen', unseen.join('; ') || 'nothing: every witness of the design was seen'],
  ];
}

/** An acquittal of its own, for a person who doubts it. */
export interface Acquittal {
  readonly verdict: 'acquitted';
  readonly design: Pick<Design, 'name' | 'title' | 'sources'>;
  readonly knobs: Knobs;
  /** Why that was to be expected, in the words of the design. */
  readonly argued: string | null;
  readonly searched: Searched;
}
export function acquittalStory({ design, knobs, argued, searched }: Acquittal, look: Look): string {
  return [
    ...titled(design.title, look),
    '',
    ...labelled('Design', design.name, look),
    ...labelled('Setting', showKnobs(knobs), look),
    ...labelled('Verdict', 'acquitted: no property is broken in any state that was searched', look),
    '',
    ...searchedLines(searched).flatMap(([label, text]) => labelled(label, text, look)),
    '',
    ...labelled('Silent on', SAYS_NOTHING_OF, look),
    ...labelled('In short', argued ?? '', look),
    ...labelled('Sources', design.sources.join('; '), look),
  ].join('\n');
}
