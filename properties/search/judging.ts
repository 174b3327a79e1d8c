/**
 * What is to be said of a state, and of a step: every property asked, at engine speed. One home for which property is
 * asked when; whoever searches decides what to do with the answers.
 */
import type { KernelState, Machine } from '../../model/machine.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import type { Blame, Evidence, Opens, Property } from '../property.ts';
import { Chains } from './chains.ts';
import { StepJudges } from './judges.ts';
import type { Learned, Turn, Way } from './learned.ts';

/** Whoever is told. */
export interface Told {
  /** @param lasting it is the very same object whenever the same is said */
  blame(blame: Blame, lasting: boolean): void;
  evidence(property: Property, pieces: readonly Evidence[], lasting: boolean): void;
  witness(name: string): void;
  /** A property found something in who waits for whom; `blame` was told, or will be. */
  waiting?(property: Property, opens: Opens): void;
}

export class Judging {
  readonly steps: StepJudges;
  private readonly machine: Machine;
  private readonly learned: Learned;
  private readonly props: readonly Property[];
  private readonly chains: Chains;
  /** Witnesses by the ids of turns and ways: named once, looked up from then on. */
  private readonly waiters: (string | undefined)[] = [];
  private readonly seen: (readonly string[] | undefined)[] = [];

  constructor(machine: Machine, learned: Learned, props: readonly Property[]) {
    this.machine = machine;
    this.learned = learned;
    this.props = props;
    this.steps = new StepJudges(machine, learned, props);
    this.chains = new Chains(learned);
  }

  /** Of the state at `words[at]`, and of what every thread can do in it. */
  state(turns: readonly Turn[], words: Uint16Array, at: number, resting: boolean, told: Told): void {
    let blocked = false;
    for (const turn of turns)
      if (turn.open.kind === 'blocked') {
        blocked = true;
        told.witness(this.waiterOf(turn));
      }
    if (blocked && this.chains.any(turns)) {
      const opens = this.chains.opens(turns);
      for (const property of this.props) {
        const blame = property.waits?.(opens);
        if (!blame) continue;
        told.blame(blame, false);
        told.waiting?.(property, opens);
      }
    }
    if (!resting) return;
    const kernel = this.learned.packing.unpack<KernelState>(words, at);
    for (const property of this.props) {
      const blame = property.rest?.(this.machine, kernel, this.chains.opens(turns));
      if (blame) told.blame(blame, false);
    }
  }

  /** Of a step; the state after it stands at `words[0]`. */
  step(way: Way, words: Uint16Array, told: Told): void {
    if (way.facts.length === 0) return;
    for (const name of this.seenBy(way)) told.witness(name);
    const { step, gathers } = this.steps.of(way);
    for (const judge of step) {
      const blame = judge.of(words, 0);
      if (blame) told.blame(blame, !judge.tooWide);
    }
    for (const [property, gatherer] of gathers) {
      const pieces = gatherer.of(words, 0);
      if (pieces.length > 0) told.evidence(property, pieces, !gatherer.tooWide);
    }
  }

  private waiterOf({ id, open, threadAt }: Turn): string {
    const thread = this.learned.threads[threadAt] as string;
    return (this.waiters[id] ??= open.kind === 'blocked' ? waitWitness(thread, open.wait.object) : '');
  }
  private seenBy({ id, facts }: Way): readonly string[] {
    return (this.seen[id] ??= witnessesOf(facts));
  }
}
