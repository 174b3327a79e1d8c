/**
 * fast-check's own command shrinker, put to a case as if fast-check had drawn it: the yardstick for ours.
 *
 * Every word is a command. It may run where the word can be followed, and it fails where the verdict shows; the loop of a
 * lasso begins at a command of its own. Generation is rigged to give the case; the shrinking is all `fc.commands`.
 */
import fc from 'fast-check';
import type { Case } from '../model/case.ts';
import type { Booted } from '../model/design.ts';
import { judge } from '../properties/judge.ts';
import { type Property, signature } from '../properties/property.ts';
import type { Want } from './shrink.ts';
import { withWords, wordsOf } from './words.ts';

export interface CommandShrunk {
  readonly case: Case;
  /** Cases judged, and words played. */
  readonly runs: number;
  readonly steps: number;
  /** It had nothing left to propose when it ended. */
  readonly complete: boolean;
}
/** How far a run has come, and what is known of it. */
interface Progress {
  place: number;
  readonly unusable: ReadonlySet<number>;
  /** Where the verdict shows; beyond the last place when it does not. */
  readonly verdict: number;
}
class Convicted extends Error {}
type Commands = Iterable<fc.Command<Progress, undefined>>;

const LOOP = 'the loop begins';

class Word implements fc.Command<Progress, undefined> {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  check(progress: Readonly<Progress>): boolean {
    (progress as Progress).place += 1;
    return !progress.unusable.has(progress.place - 1);
  }
  run({ place, verdict }: Progress): void {
    if (place > verdict) throw new Convicted();
  }
  toString(): string {
    return this.text;
  }
}

/** One word after another, whatever is drawn. */
class InTurn extends fc.Arbitrary<Word> {
  private readonly words: Iterator<string>;
  constructor(words: readonly string[]) {
    super();
    this.words = words[Symbol.iterator]();
  }
  generate(): fc.Value<Word> {
    return new fc.Value(new Word(this.words.next().value as string), undefined);
  }
  canShrinkWithoutContext(_value: unknown): _value is Word {
    return false;
  }
  shrink(): fc.Stream<fc.Value<Word>> {
    return fc.Stream.nil();
  }
}
/** The commands of this case, and all that `fc.commands` makes of them. */
class Given extends fc.Arbitrary<Commands> {
  private readonly commands: fc.Arbitrary<Commands>;
  constructor(words: readonly string[]) {
    super();
    this.commands = fc.commands([new InTurn(words)], { maxCommands: words.length, size: 'max' });
  }
  generate(mrng: fc.Random): fc.Value<Commands> {
    const longest = Object.assign(Object.create(mrng) as fc.Random, {
      nextInt: (_least: number, most: number) => most,
    });
    return this.commands.generate(longest, undefined);
  }
  canShrinkWithoutContext(_value: unknown): _value is Commands {
    return false;
  }
  shrink(value: Commands, context: unknown): fc.Stream<fc.Value<Commands>> {
    return this.commands.shrink(value, context);
  }
}

/** @param mostRuns after so many runs it is told that nothing fails any more */
export function commandShrink(
  booted: Booted,
  run: Case,
  want: Want,
  properties: readonly Property[],
  mostRuns: number,
): CommandShrunk {
  let runs = 0;
  let steps = 0;
  let complete = true;
  const caseOf = (commands: Commands): Case => {
    const words = [...commands].map(String);
    const loop = words.indexOf(LOOP);
    return loop < 0 ? withWords(run, words) : withWords(run, words.slice(0, loop), words.slice(loop + 1));
  };
  const predicate = (commands: Commands): void => {
    if (runs >= mostRuns) {
      complete = false;
      return;
    }
    const candidate = caseOf(commands);
    runs += 1;
    steps += wordsOf(candidate).length;
    const { verdicts, skipped } = judge(booted, candidate, properties);
    const after = verdicts.find(({ blame }) => signature(blame) === signature(want))?.after ?? Infinity;
    const verdict = after > candidate.schedule.length ? after : after - 1; // the loop begins with one more
    fc.modelRun(() => ({ model: { place: 0, unusable: new Set(skipped), verdict }, real: undefined }), commands);
  };
  const given = [...run.schedule, ...(run.loop ? [LOOP, ...run.loop] : [])];
  const { counterexample } = fc.check(fc.property(new Given(given), predicate), { numRuns: 1, seed: 1 });
  if (!counterexample) throw new Error(`this case does not break ${signature(want)}`);
  return { case: caseOf(counterexample[0]), runs, steps, complete };
}
