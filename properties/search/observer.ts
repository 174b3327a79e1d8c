/**
 * What a sweep notices: every state and step that a search shows it, judged by every property, and remembered.
 *
 * Whoever searches (explore.ts, reductions/, storage/) only walks; it is told nothing of properties. The first occasion
 * of each signature is kept, and breadth first shows the nearest first.
 */
import { REBOOT, word } from '../../model/case.ts';
import type { Fact, KernelState, Machine } from '../../model/machine.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import { Chains } from './chains.ts';
import type { ExploreOptions } from './explore.ts';
import { StepJudges } from './judges.ts';
import type { Learned, Turn, Way } from './learned.ts';
import { saidWithout } from './reductions/masked.ts';
import { verifyState } from './verify.ts';

export interface Finding {
  readonly blame: Blame;
  readonly schedule: readonly string[];
  readonly loop?: readonly string[];
}
interface Occasion extends Evidence {
  readonly schedule: readonly string[];
}
/** What an observer knows between two levels. */
interface Remembered {
  readonly findings: readonly Finding[];
  readonly witnesses: readonly string[];
  readonly evidence: readonly (readonly [string, readonly Occasion[]])[];
}

export interface ObserverOptions {
  readonly verifyEvery: number;
  /** The search leaves states out: whatever a kept state may hide of another circle of debts becomes a doubt. */
  readonly reduce: boolean;
}

export class Observer {
  readonly judges: StepJudges;
  readonly findings = new Map<string, Finding>();
  readonly witnesses = new Set<string>();
  /** Signatures that a reduced search may have hidden. */
  readonly doubts = new Set<string>();
  private readonly machine: Machine;
  private readonly learned: Learned;
  private readonly props: readonly Property[];
  private readonly options: ObserverOptions;
  private readonly chains: Chains;
  private readonly evidence = new Map<Property, Map<string, Occasion>>();
  private readonly met = new Set<Turn | Way>();
  private schedule: (state: number) => string[] = () => [];

  constructor(machine: Machine, learned: Learned, props: readonly Property[], options: ObserverOptions) {
    this.machine = machine;
    this.learned = learned;
    this.props = props;
    this.options = options;
    this.judges = new StepJudges(machine, learned, props);
    this.chains = new Chains(learned);
  }

  /** What to hand to a search. */
  readonly visitors: Required<Pick<ExploreOptions<Fact>, 'begins' | 'state' | 'step'>> = {
    begins: (shortest) => {
      this.schedule = shortest;
      if (!this.options.reduce) return; // a reduced search may begin again, knowing more
      for (const seen of [this.findings, this.witnesses, this.evidence, this.met, this.doubts]) seen.clear();
    },
    state: (state, turns, words, at, resting) => this.state(state, turns, words, at, resting),
    step: (way, state, words) => this.step(way, state, words),
  };

  find(blame: Blame | undefined, at: () => readonly string[], loop?: readonly string[]): void {
    if (!blame || this.findings.has(signature(blame))) return;
    this.findings.set(signature(blame), { blame, schedule: at(), ...(loop ? { loop } : {}) });
  }

  /** The verdicts of properties that remember, on all that was gathered. */
  conclude(): void {
    for (const [property, known] of this.evidence) {
      const verdict = property.concludes?.(known);
      if (verdict) this.find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule ?? [])));
    }
  }

  /** All it knows, as data, and back: for a search that is interrupted and resumed. */
  remembers(): Remembered {
    return {
      findings: [...this.findings.values()],
      witnesses: [...this.witnesses],
      evidence: [...this.evidence].map(([property, known]) => [property.name, [...known.values()]]),
    };
  }
  /** @throws when it judged by a property that is not asked for now */
  recalls(before: Remembered): void {
    for (const finding of before.findings) this.findings.set(signature(finding.blame), finding);
    for (const witness of before.witnesses) this.witnesses.add(witness);
    for (const [name, pieces] of before.evidence) {
      const property = this.props.find((each) => each.name === name);
      if (!property) throw new Error(`it judged by ${name}, which is not asked for now`);
      for (const piece of pieces) this.gather(property, [piece], () => [...piece.schedule]);
    }
  }

  private state(state: number, turns: readonly Turn[], words: Uint16Array, at: number, resting: boolean): void {
    const { verifyEvery, reduce } = this.options;
    if (verifyEvery > 0 && state % verifyEvery === 0) verifyState(this.machine, this.learned, words, at);
    const here = (): string[] => this.schedule(state);
    if (this.meet(turns) && this.chains.any(turns)) {
      const opens = this.chains.opens(turns);
      for (const { waits } of this.props) {
        const blame = waits?.(opens);
        this.find(blame, here);
        if (!reduce || !blame) continue;
        for (const doubt of saidWithout(opens, (masked) => waits?.(masked)) ?? ['too many wait'])
          this.doubts.add(doubt);
      }
    }
    if (!resting) return;
    const kernel = this.learned.packing.unpack<KernelState>(words, at);
    for (const property of this.props)
      if (property.rest) this.find(property.rest(this.machine, kernel, this.chains.opens(turns)), here);
  }

  private step(way: Way, state: number, words: Uint16Array): void {
    if (way.facts.length === 0) return;
    if (!this.met.has(way)) {
      this.met.add(way);
      for (const name of witnessesOf(way.facts)) this.witnesses.add(name);
    }
    const here = (): string[] => [...this.schedule(state), word(way)];
    this.judges.judge(
      way,
      words,
      (blame) => this.find(blame, here),
      (property, pieces) => this.gather(property, pieces, here),
    );
  }

  /** Note who waits for what; true when anybody is blocked. */
  private meet(turns: readonly Turn[]): boolean {
    let blocked = false;
    turns.forEach((turn, thread) => {
      if (turn.open.kind !== 'blocked') return;
      blocked = true;
      if (this.met.has(turn)) return;
      this.met.add(turn);
      this.witnesses.add(waitWitness(this.learned.threads[thread] as string, turn.open.wait.object));
    });
    return blocked;
  }
  private gather(property: Property, pieces: readonly Evidence[], at: () => readonly string[]): void {
    const known = this.evidence.get(property) ?? new Map<string, Occasion>();
    this.evidence.set(property, known);
    for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, { ...piece, schedule: at() });
  }
}

/** Schedules one after another, with a reboot between; one that another begins with is left out. */
export function joined(schedules: readonly (readonly string[])[]): string[] {
  const texts = schedules.map((each) => each.join('\n'));
  const needed = schedules.filter(
    (each, at) =>
      !texts.some(
        (other, index) =>
          index !== at && `${other}\n`.startsWith(`${each.join('\n')}\n`) && (other !== texts[at] || index < at),
      ),
  );
  return needed.flatMap((each, at) => (at === 0 ? each : [REBOOT, ...each]));
}
