/** What came of one setting in a run of `check` or `fuzz`, for the formats that tell a whole run to other programs. */
import { showKnobs } from '../model/design.ts';
import { signature } from '../properties/property.ts';
import { type Site, type Step, type Telling, stepsOf } from './telling.ts';

/** A counterexample of a setting. */
export interface Found {
  readonly telling: Telling;
  /** The design says that this is to be found, or the corpus has it already. */
  readonly expected: boolean;
}
export interface Result {
  readonly design: string;
  /** As text: 'order=opposite'. */
  readonly knobs: string;
  /** What else is not as it should be, in words: a verdict that was expected and not reached, a search that did not end. */
  readonly oddities: readonly string[];
  readonly found: readonly Found[];
  readonly seconds: number;
  /** Where the design begins, when that is known. */
  readonly site?: Site;
}

/** Everything that is not as it should be, in lines. */
export const complaints = ({ found, oddities }: Result): string[] => [
  ...found.flatMap(({ telling: { blame }, expected }) =>
    blame && !expected ? [`${signature(blame)}: ${blame.what}`] : [],
  ),
  ...oddities,
];

/** One counterexample as a result of its own. */
export function resultOf(telling: Telling): Result {
  const { design, knobs, blame } = telling;
  return {
    design,
    knobs: showKnobs(knobs),
    seconds: 0,
    oddities: [],
    found: blame ? [{ telling, expected: false }] : [],
  };
}

/** The step at which the verdict shows: the last order that closes a circle of classes, or the last step. */
export const lastStep = (telling: Telling): Step | undefined => {
  const steps = stepsOf(telling);
  return (
    (telling.judgedBy === 'orders' ? steps.findLast(({ evidence }) => evidence.length > 0) : undefined) ?? steps.at(-1)
  );
};

/** Where to look first: the line of whoever waits in the verdict's first debt, or the last step. */
export function siteOfVerdict(telling: Telling): Site | undefined {
  const first = telling.judgedBy === 'orders' ? undefined : telling.blame?.links[0]?.who;
  const stands = telling.final.find(({ thread, state }) => thread === first && state === 'blocked');
  return stands?.site ?? lastStep(telling)?.site ?? stepsOf(telling).findLast(({ site }) => site)?.site;
}
