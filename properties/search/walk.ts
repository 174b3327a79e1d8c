/**
 * One run: a walk through the learned machine under a strategy, every step and state judged; then the machine is left
 * to calm down, and what never comes to rest is looked at as a circle.
 *
 * Calming down takes only what is owed, threads in turn, the tamest way: user space does nothing more, memory is
 * there again. At rest the rest-properties judge. If a state comes back instead, the loop between is a candidate for
 * a fair circle, and the checker of lassos decides.
 */
import { word } from '../../model/case.ts';
import type { KernelState, Machine } from '../../model/machine.ts';
import { fairness } from '../lasso.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import type { Blame, Evidence, Property } from '../property.ts';
import { Chains } from './chains.ts';
import { StepJudges } from './judges.ts';
import { type Learned, type Turn, type Way, apply } from './learned.ts';
import type { Picker } from './strategies/strategy.ts';
import { Trodden } from './trodden.ts';

/** Steps that a machine may take to calm down before we say that it does not. */
const MOST_CALM_STEPS = 2_000;

export interface Report {
  blame(blame: Blame, schedule: () => readonly string[], loop?: readonly string[]): void;
  evidence(property: Property, pieces: readonly Evidence[], schedule: () => readonly string[]): void;
}

const NOBODY: Report = { blame: () => undefined, evidence: () => undefined };

/** Somebody who looks on, for what a campaign wants to know of its runs; asked in every state, so it must be quick. */
export interface Watcher {
  /** A state was reached, in which these are the turns. */
  looks(turns: readonly Turn[]): void;
  /** This step was taken, and this is the state after it. */
  steps(way: Way, words: Uint16Array): void;
}

export class Walker {
  readonly learned: Learned;
  readonly witnesses = new Set<string>();
  steps = 0;
  private readonly machine: Machine;
  private readonly props: readonly Property[];
  private readonly judges: StepJudges;
  private readonly chains: Chains;
  private readonly turns: Turn[];
  private readonly words: Uint16Array;
  private readonly trail: Way[] = [];
  private readonly witnessed = new Set<Turn | Way>();
  private readonly rested = new Map<number, Set<number>>();
  private readonly trodden = new Trodden(MOST_CALM_STEPS);
  private readonly ways: Way[] = [];
  private readonly watcher: Watcher | undefined;
  private report: Report = NOBODY;
  private readonly here = (): string[] => this.trail.map(word);
  private readonly blames = (blame: Blame): void => this.report.blame(blame, this.here);
  private readonly gathers = (property: Property, pieces: readonly Evidence[]): void =>
    this.report.evidence(property, pieces, this.here);
  private high = 0;
  private low = 0;
  private owed = false;
  private time = false;

  constructor(machine: Machine, learned: Learned, props: readonly Property[], watcher?: Watcher) {
    this.machine = machine;
    this.watcher = watcher;
    this.learned = learned;
    this.props = props;
    this.judges = new StepJudges(machine, learned, props);
    this.chains = new Chains(learned);
    this.turns = learned.threads.map(() => ({}) as Turn);
    this.words = new Uint16Array(learned.packing.width);
  }

  /** The steps of the run so far. */
  get taken(): readonly Way[] {
    return this.trail;
  }

  /** Walk from this packed state for at most `steps` steps, then calm down. */
  run(from: Uint16Array, picker: Picker, steps: number, report: Report): void {
    this.words.set(from);
    this.trail.length = 0;
    this.report = report;
    this.high = this.learned.packing.fingerprint(from, 'high');
    this.low = this.learned.packing.fingerprint(from, 'low');
    const { ways } = this;
    for (let step = 0; step < steps; step += 1) {
      this.look();
      ways.length = 0;
      for (const { ways: each } of this.turns)
        for (const way of each) if (!this.owed || way.nature !== 'time') ways.push(way);
      if (ways.length === 0) break;
      this.take(picker.pick(ways, step, this.turns));
    }
    this.calmDown();
    this.report = NOBODY;
  }

  /** What everybody can do now, and what there is to say about it. */
  private look(): void {
    const { threads } = this.learned;
    this.owed = false;
    this.time = false;
    let blocked = false;
    for (let thread = 0; thread < threads.length; thread += 1) {
      const turn = this.learned.turn(thread, this.words, 0);
      this.turns[thread] = turn;
      this.owed ||= turn.owed;
      this.time ||= turn.time;
      if (turn.open.kind !== 'blocked') continue;
      blocked = true;
      if (this.witnessed.has(turn)) continue;
      this.witnessed.add(turn);
      this.witnesses.add(waitWitness(threads[thread] as string, turn.open.wait.object));
    }
    this.watcher?.looks(this.turns);
    if (!blocked || !this.chains.any(this.turns)) return;
    const opens = this.chains.opens(this.turns);
    for (const property of this.props) {
      const blame = property.waits?.(opens);
      if (blame) this.blames(blame);
    }
  }
  private take(way: Way): void {
    apply(way, this.words, 0);
    this.high ^= way.high;
    this.low ^= way.low;
    this.trail.push(way);
    this.steps += 1;
    this.watcher?.steps(way, this.words);
    if (way.facts.length === 0) return;
    if (!this.witnessed.has(way)) {
      this.witnessed.add(way);
      for (const name of witnessesOf(way.facts)) this.witnesses.add(name);
    }
    this.judges.judge(way, this.words, this.blames, this.gathers);
  }

  private calmDown(): void {
    const { threads } = this.learned;
    this.trodden.forget();
    for (let step = 0, turnOf = 0; step < MOST_CALM_STEPS; step += 1) {
      this.look();
      if (!this.owed && !this.time) {
        this.rest();
        return;
      }
      const before = this.trodden.before(turnOf, this.high, this.low, this.trail.length);
      if (before >= 0) {
        this.loop(before);
        return;
      }
      const nature = this.owed ? 'owed' : 'time';
      let next: Way | undefined;
      for (let tried = 0; tried < threads.length && !next; tried += 1) {
        for (const way of (this.turns[turnOf] as Turn).ways)
          if (way.nature === nature) {
            next = way;
            break;
          }
        turnOf = (turnOf + 1) % threads.length;
      }
      this.take(next as Way);
    }
  }

  /** A state at rest is judged the first time it is met. */
  private rest(): void {
    const lows = this.rested.get(this.high) ?? new Set();
    if (lows.has(this.low)) return;
    this.rested.set(this.high, lows.add(this.low));
    const kernel = this.learned.packing.unpack<KernelState>(this.words, 0);
    const opens = this.chains.opens(this.turns);
    for (const property of this.props) {
      const blame = property.rest?.(this.machine, kernel, opens);
      if (blame) this.blames(blame);
    }
  }
  private loop(from: number): void {
    const words = this.here();
    const kernel = this.learned.packing.unpack<KernelState>(this.words, 0);
    const checked = fairness(this.machine, kernel, words.slice(from));
    if (!checked.fair) return;
    for (const property of this.props) {
      const blame = property.circle?.(checked.circle);
      if (blame) this.report.blame(blame, () => words.slice(0, from), words.slice(from));
    }
  }
}
