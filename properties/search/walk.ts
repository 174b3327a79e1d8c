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

/** Steps that a machine may take to calm down before we say that it does not. */
const MOST_CALM_STEPS = 2_000;

export interface Report {
  blame(blame: Blame, schedule: () => readonly string[], loop?: readonly string[]): void;
  evidence(property: Property, pieces: readonly Evidence[], schedule: () => readonly string[]): void;
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
  private high = 0;
  private low = 0;
  private owed = false;
  private time = false;

  constructor(machine: Machine, learned: Learned, props: readonly Property[]) {
    this.machine = machine;
    this.learned = learned;
    this.props = props;
    this.judges = new StepJudges(machine, learned, props);
    this.chains = new Chains(learned);
    this.turns = learned.threads.map(() => ({}) as Turn);
    this.words = new Uint16Array(learned.packing.width);
  }

  /** Walk from this packed state for at most `steps` steps, then calm down. */
  run(from: Uint16Array, picker: Picker, steps: number, report: Report): void {
    this.words.set(from);
    this.trail.length = 0;
    this.high = this.learned.packing.fingerprint(from, 'high');
    this.low = this.learned.packing.fingerprint(from, 'low');
    const ways: Way[] = [];
    for (let step = 0; step < steps; step += 1) {
      this.look(report);
      ways.length = 0;
      for (const { ways: each } of this.turns)
        for (const way of each) if (!this.owed || way.nature !== 'time') ways.push(way);
      if (ways.length === 0) break;
      this.take(picker.pick(ways, step), report);
    }
    this.calmDown(report);
  }

  private schedule(): string[] {
    return this.trail.map(word);
  }

  /** What everybody can do now, and what there is to say about it. */
  private look(report: Report): void {
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
    if (!blocked || !this.chains.any(this.turns)) return;
    const opens = this.chains.opens(this.turns);
    for (const property of this.props) {
      const blame = property.waits?.(opens);
      if (blame) report.blame(blame, () => this.schedule());
    }
  }
  private take(way: Way, report: Report): void {
    apply(way, this.words, 0);
    this.high ^= way.high;
    this.low ^= way.low;
    this.trail.push(way);
    this.steps += 1;
    if (way.facts.length === 0) return;
    if (!this.witnessed.has(way)) {
      this.witnessed.add(way);
      for (const name of witnessesOf(way.facts)) this.witnesses.add(name);
    }
    this.judges.judge(
      way,
      this.words,
      (blame) => report.blame(blame, () => this.schedule()),
      (property, pieces) => report.evidence(property, pieces, () => this.schedule()),
    );
  }

  private calmDown(report: Report): void {
    const seen = new Map<string, number>();
    const { threads } = this.learned;
    for (let step = 0, turnOf = 0; step < MOST_CALM_STEPS; step += 1) {
      this.look(report);
      if (!this.owed && !this.time) {
        this.rest(report);
        return;
      }
      const key = `${turnOf} ${this.high} ${this.low}`;
      const before = seen.get(key);
      if (before !== undefined) {
        this.loop(before, report);
        return;
      }
      seen.set(key, this.trail.length);
      const nature = this.owed ? 'owed' : 'time';
      let next: Way | undefined;
      for (let tried = 0; tried < threads.length && !next; tried += 1) {
        next = (this.turns[turnOf] as Turn).ways.find((way) => way.nature === nature);
        turnOf = (turnOf + 1) % threads.length;
      }
      this.take(next as Way, report);
    }
  }

  /** A state at rest is judged the first time it is met. */
  private rest(report: Report): void {
    const lows = this.rested.get(this.high) ?? new Set();
    if (lows.has(this.low)) return;
    this.rested.set(this.high, lows.add(this.low));
    const kernel = this.learned.packing.unpack<KernelState>(this.words, 0);
    const opens = this.chains.opens(this.turns);
    for (const property of this.props) {
      const blame = property.rest?.(this.machine, kernel, opens);
      if (blame) report.blame(blame, () => this.schedule());
    }
  }
  private loop(from: number, report: Report): void {
    const words = this.schedule();
    const kernel = this.learned.packing.unpack<KernelState>(this.words, 0);
    const checked = fairness(this.machine, kernel, words.slice(from));
    if (!checked.fair) return;
    for (const property of this.props) {
      const blame = property.circle?.(checked.circle);
      if (blame) report.blame(blame, () => words.slice(0, from), words.slice(from));
    }
  }
}
