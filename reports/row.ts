/** One line of a table of verdicts: a setting of a design, what was expected of it, and what a search found. */
import { type Booted, type Expectation, expected, showKnobs } from '../model/design.ts';
import type { Sweep } from '../properties/search/sweep.ts';

export interface Row {
  readonly design: string;
  /** As text: 'order=opposite'. */
  readonly knobs: string;
  readonly expected: string;
  readonly verdict: 'convicted' | 'acquitted' | 'not finished' | 'never got there';
  /** The verdict is the expected one; null when nobody said what to expect. */
  readonly asExpected: boolean | null;
  /** Properties that were broken, each once. */
  readonly properties: readonly string[];
  /** How far the search went. */
  readonly states: number;
  /** Steps of the longest shortest way to a state. */
  readonly depth: number;
}

/** A sweep of one setting as a row, with what the design's authors were promised about it. */
export function rowOf({ design, knobs }: Booted, sweep: Sweep): Row {
  const expectation = expected(design, knobs);
  const properties = [...new Set(sweep.findings.map(({ blame }) => blame.property))];
  const unseen = (expectation?.witnesses ?? []).filter((name) => !sweep.witnesses.has(name));
  return {
    design: design.name,
    knobs: showKnobs(knobs),
    expected: expectedText(expectation),
    verdict: verdictOf(properties.length > 0, sweep.complete, unseen.length > 0),
    asExpected: expectation ? fits(expectation, properties) && sweep.complete && unseen.length === 0 : null,
    properties,
    states: sweep.states,
    depth: sweep.depth,
  };
}

const expectedText = (expectation: Expectation | undefined): string => {
  if (!expectation) return 'open';
  const { convicts = [], spares = [], acquits } = expectation;
  const not = spares.map((name) => `not ${name}`);
  return [...convicts, ...not, ...(acquits ? ['nothing'] : [])].join(', ') || 'open';
};
const fits = ({ convicts = [], spares = [], acquits }: Expectation, found: readonly string[]): boolean =>
  convicts.every((name) => found.includes(name)) &&
  !spares.some((name) => found.includes(name)) &&
  !(acquits && found.length > 0);

/** Nothing found counts only when everything was searched and the dangerous situation was reached. */
function verdictOf(broken: boolean, complete: boolean, unseen: boolean): Row['verdict'] {
  if (broken) return 'convicted';
  if (!complete) return 'not finished';
  return unseen ? 'never got there' : 'acquitted';
}

/** '✓' as expected, '✗' otherwise, '?' when nobody said what to expect. */
export const mark = ({ asExpected }: Pick<Row, 'asExpected'>): string =>
  asExpected === null ? '?' : asExpected ? '✓' : '✗';

/** 12345 as '12,345', the same in every locale. */
export const grouped = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
