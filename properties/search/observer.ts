/**
 * What a sweep notices: every state and step that a search shows it, judged by every property, and remembered.
 *
 * Whoever searches (explore.ts, reductions/, storage/) only walks; it is told nothing of properties. The first occasion
 * of each signature is kept, and breadth first shows the nearest first.
 */
import { REBOOT, word } from '../../model/case.ts';
import type { Fact, Machine } from '../../model/machine.ts';
import { type Blame, type Evidence, type Opens, type Property, signature } from '../property.ts';
import type { ExploreOptions } from './explore.ts';
import type { StepJudges } from './judges.ts';
import { Judging, type Told } from './judging.ts';
import type { Learned, Way } from './learned.ts';
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

export class Observer implements Told {
  readonly findings = new Map<string, Finding>();
  readonly witnesses = new Set<string>();
  /** Signatures that a reduced search may have hidden. */
  readonly doubts = new Set<string>();
  private readonly machine: Machine;
  private readonly learned: Learned;
  private readonly props: readonly Property[];
  private readonly options: ObserverOptions;
  private readonly judging: Judging;
  private readonly gathered = new Map<Property, Map<string, Occasion>>();
  /** Learned verdicts and pieces of evidence that were taken in: the same object again says nothing new. */
  private readonly heard = new Set<Blame | readonly Evidence[]>();
  private schedule: (state: number) => string[] = () => [];
  /** What is being judged: a state, or the step that leaves it. */
  private now = 0;
  private by: Way | undefined;

  constructor(machine: Machine, learned: Learned, props: readonly Property[], options: ObserverOptions) {
    this.machine = machine;
    this.learned = learned;
    this.props = props;
    this.options = options;
    this.judging = new Judging(machine, learned, props);
  }
  get judges(): StepJudges {
    return this.judging.steps;
  }

  /** What to hand to a search. */
  readonly visitors: Required<Pick<ExploreOptions<Fact>, 'begins' | 'state' | 'step' | 'silent'>> = {
    begins: (shortest) => {
      this.schedule = shortest; // a reduced search may begin again: what it showed remains true
    },
    state: (state, turns, words, at, resting) => {
      const { verifyEvery } = this.options;
      if (verifyEvery > 0 && state % verifyEvery === 0) verifyState(this.machine, this.learned, words, at);
      this.now = state;
      this.by = undefined;
      this.judging.state(turns, words, at, resting, this);
    },
    step: (way, state, words) => {
      this.now = state;
      this.by = way;
      this.judging.step(way, words, this);
    },
    silent: (way) => way.facts.length === 0,
  };

  blame(blame: Blame, lasting: boolean): void {
    if (this.heard.has(blame)) return;
    if (lasting) this.heard.add(blame);
    this.find(blame, () => this.here());
  }
  evidence(property: Property, pieces: readonly Evidence[], lasting: boolean): void {
    if (this.heard.has(pieces)) return;
    if (lasting) this.heard.add(pieces);
    this.gather(property, pieces, () => this.here());
  }
  witness(name: string): void {
    this.witnesses.add(name);
  }
  /** In a search that leaves states out, this state may stand for others in which only some of these wait. */
  waiting(property: Property, opens: Opens): void {
    if (!this.options.reduce) return;
    for (const doubt of saidWithout(opens, (masked) => property.waits?.(masked)) ?? ['too many wait'])
      this.doubts.add(doubt);
  }

  find(blame: Blame | undefined, at: () => readonly string[], loop?: readonly string[]): void {
    if (!blame || this.findings.has(signature(blame))) return;
    this.findings.set(signature(blame), { blame, schedule: at(), ...(loop ? { loop } : {}) });
  }

  /** The verdicts of properties that remember, on all that was gathered. */
  conclude(): void {
    for (const [property, known] of this.gathered) {
      const verdict = property.concludes?.(known);
      if (verdict) this.find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule ?? [])));
    }
  }

  /** All it knows, as data, and back: for a search that is interrupted and resumed. */
  remembers(): Remembered {
    return {
      findings: [...this.findings.values()],
      witnesses: [...this.witnesses],
      evidence: [...this.gathered].map(([property, known]) => [property.name, [...known.values()]]),
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

  private here(): string[] {
    return [...this.schedule(this.now), ...(this.by ? [word(this.by)] : [])];
  }
  private gather(property: Property, pieces: readonly Evidence[], at: () => readonly string[]): void {
    const known = this.gathered.get(property) ?? new Map<string, Occasion>();
    this.gathered.set(property, known);
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
