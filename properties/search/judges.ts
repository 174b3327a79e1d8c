/**
 * Properties at engine speed: what a property says of a step is learned per way, like the steps themselves, so its
 * code runs once for each combination of values it reads.
 */
import type { KernelState, Machine } from '../../model/machine.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import type { Learned, Way } from './learned.ts';
import type { Learner } from './learner.ts';

/** Learned answers: the same object for the same answer, so whoever has heard it can tell. */
export interface Judges {
  readonly step: readonly Learner<KernelState, Blame | undefined>[];
  readonly gathers: readonly (readonly [Property, Learner<KernelState, readonly Evidence[]>])[];
}

export class StepJudges {
  private readonly machine: Machine;
  private readonly learned: Learned;
  private readonly props: readonly Property[];
  private readonly byWay: (Judges | undefined)[] = [];

  constructor(machine: Machine, learned: Learned, props: readonly Property[]) {
    this.machine = machine;
    this.learned = learned;
    this.props = props;
  }

  /** What there is to ask about this way, in the state after it. */
  of(way: Way): Judges {
    return (this.byWay[way.id] ??= this.judgesOf(way));
  }
  /** Call `blame` and `evidence` for all that is to be said of this way; the state after it starts at `words[0]`. */
  judge(
    way: Way,
    words: Uint16Array,
    blame: (blame: Blame) => void,
    evidence: (property: Property, pieces: readonly Evidence[]) => void,
  ): void {
    const judges = this.of(way);
    for (const judge of judges.step) {
      const verdict = judge.of(words, 0);
      if (verdict) blame(verdict);
    }
    for (const [property, gatherer] of judges.gathers) {
      const pieces = gatherer.of(words, 0);
      if (pieces.length > 0) evidence(property, pieces);
    }
  }

  /** The slots on which depends what is to be said of this way; the state after it starts at `words[0]`. */
  slots(way: Way, words: Uint16Array): readonly number[] {
    const judges = this.of(way);
    return [...judges.step, ...judges.gathers.map(([, gatherer]) => gatherer)].flatMap((learner) =>
      learner.slots(words, 0),
    );
  }
  /** All that is to be said of this way, as a text: the signatures of the verdicts, and the keys of the evidence. */
  says(way: Way, words: Uint16Array): string {
    const { step, gathers } = this.of(way);
    const verdicts = step.flatMap((judge) => judge.of(words, 0) ?? []).map(signature);
    const evidence = gathers.flatMap(([, gatherer]) => gatherer.of(words, 0)).map(({ key }) => key);
    return [...verdicts, ...evidence].join('\n');
  }

  private judgesOf(way: Way): Judges {
    const heard = this.props.filter(
      ({ hears }) => hears !== undefined && way.facts.some(({ kind }) => hears.includes(kind)),
    );
    const moment = (kernel: KernelState) => ({
      machine: this.machine,
      kernel,
      thread: way.thread,
      facts: way.facts,
    });
    return {
      step: heard
        .filter((property) => property.step)
        .map((property) =>
          this.learned.learner(`${property.name} of ${way.line}`, (kernel) => property.step?.(moment(kernel))),
        ),
      gathers: heard
        .filter((property) => property.gathers)
        .map(
          (property) =>
            [
              property,
              this.learned.learner(
                `${property.name} of ${way.line}`,
                (kernel) => property.gathers?.(moment(kernel)) ?? [],
              ),
            ] as const,
        ),
    };
  }
}
