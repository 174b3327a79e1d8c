/**
 * A hunt: many runs of one setting that share what is remembered from run to run.
 *
 * The first occasion of every finding is kept as a case. Evidence of properties that remember is kept over all runs of
 * the same workload, as lockdep keeps it over uptime; the schedules it came from are then played one after another.
 */
import { type Case, caseAt } from '../../model/case.ts';
import { type Booted, type Workload, start } from '../../model/design.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import type { Learned } from './learned.ts';
import { joined } from './observer.ts';
import type { Picker } from './strategies/strategy.ts';
import { type Report, type Watcher, Walker } from './walk.ts';

/** Steps of one run before it is left to calm down; drawn a run, because short and long runs find different bugs. */
export const RUN_STEPS = [20, 60, 200] as const;
/** Packed workloads that are kept. */
const MOST_STARTS = 10_000;

/** A finding on its first occasion: by which strategy, in which run, after how many steps of the hunt. */
export interface Found {
  readonly blame: Blame;
  readonly run: Case;
  readonly strategy: string;
  readonly runs: number;
  readonly steps: number;
}
interface Known {
  readonly pieces: Map<string, Evidence & { readonly schedule: readonly string[] }>;
  /** Answers of the learned gatherers that were looked at already; each is one object for ever. */
  readonly looked: Set<readonly Evidence[]>;
}
/** One run: what the processes call, who chooses, and for how many steps. */
export interface HuntedRun {
  readonly workload: Workload;
  readonly strategy: string;
  readonly picker: Picker;
  readonly steps: number;
}

export class Hunt {
  readonly found = new Map<string, Found>();
  runs = 0;
  readonly walker: Walker;
  private readonly booted: Booted;
  private readonly learned: Learned;
  private readonly keyOf: (blame: Blame) => string;
  private readonly evidence = new Map<Property, Map<Uint16Array, Known>>();
  private readonly starts = new Map<string, Uint16Array>();
  private from: Uint16Array = new Uint16Array(0);
  private now: HuntedRun | undefined;

  /**
   * @param keyOf findings with equal keys are kept once
   * @param watcher looks on at every step
   */
  constructor(
    booted: Booted,
    learned: Learned,
    properties: readonly Property[],
    keyOf: (blame: Blame) => string = signature,
    watcher?: Watcher,
  ) {
    this.booted = booted;
    this.learned = learned;
    this.keyOf = keyOf;
    this.walker = new Walker(booted.machine, learned, properties, watcher);
  }
  get steps(): number {
    return this.walker.steps;
  }

  play(run: HuntedRun): void {
    this.now = run;
    this.from = this.startOf(run.workload);
    this.walker.run(this.from, run.picker, run.steps, this.report);
    this.runs += 1;
  }

  /** All pieces of evidence that a property has gathered, whatever the workload; equal keys once. */
  *gathered(property: Property): Iterable<Evidence> {
    for (const { pieces } of this.evidence.get(property)?.values() ?? []) yield* pieces.values();
  }

  private startOf(workload: Workload): Uint16Array {
    const text = JSON.stringify(workload);
    const from = this.starts.get(text) ?? this.learned.packing.pack(start(this.booted, workload));
    if (this.starts.size < MOST_STARTS) this.starts.set(text, from);
    return from;
  }

  private readonly report: Report = {
    blame: (blame, schedule, loop) => {
      const key = this.keyOf(blame);
      if (this.found.has(key)) return;
      const { workload, strategy } = this.now as HuntedRun;
      const run = caseAt(this.booted, workload, { schedule: schedule(), ...(loop ? { loop } : {}) });
      this.found.set(key, { blame, run, strategy, runs: this.runs + 1, steps: this.walker.steps });
    },
    evidence: (property, pieces, schedule) => {
      let places = this.evidence.get(property);
      if (!places) this.evidence.set(property, (places = new Map<Uint16Array, Known>()));
      let known = places.get(this.from);
      if (!known) places.set(this.from, (known = { pieces: new Map(), looked: new Set() }));
      if (known.looked.has(pieces)) return;
      known.looked.add(pieces);
      const words = schedule();
      const before = known.pieces.size;
      for (const piece of pieces)
        if (!known.pieces.has(piece.key)) known.pieces.set(piece.key, { ...piece, schedule: words });
      const verdict = known.pieces.size > before ? property.concludes?.(known.pieces) : undefined;
      const { pieces: all } = known;
      if (verdict)
        this.report.blame(verdict.blame, () => joined(verdict.keys.map((key) => all.get(key)?.schedule ?? [])));
    },
  };
}
