/**
 * The sweep: every state that a booted design can reach, breadth first, each property judged on the way.
 *
 * The first violation of each signature is one of the shortest there are. States that break a property are expanded
 * like any other, so one sweep finds everything. Patient time holds timers back while a fair thread can move.
 */
import { REBOOT, word } from '../../model/case.ts';
import { type Booted, type Workload, start } from '../../model/design.ts';
import type { Fact, KernelState } from '../../model/machine.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import { Chains } from './chains.ts';
import { fairCircles, heldBack } from './circles.ts';
import { explore } from './explore.ts';
import { StepJudges } from './judges.ts';
import { Learned, type Turn, type Way } from './learned.ts';
import { kernelSystem } from './system.ts';
import { verifyState } from './verify.ts';

export interface SweepOptions {
  readonly workload?: Workload;
  /** Stop after this many states and say that the search was not exhaustive. */
  readonly maxStates?: number;
  readonly patient?: boolean;
  /** Replay every n-th state on plain objects and compare; 0 never. */
  readonly verifyEvery?: number;
  /** Called now and then with the number of states found and expanded. */
  readonly progress?: (states: number, expanded: number) => void;
}
export interface Finding {
  readonly blame: Blame;
  readonly schedule: readonly string[];
  readonly loop?: readonly string[];
}
export interface Sweep {
  readonly states: number;
  readonly transitions: number;
  /** Steps of the longest shortest way to a state. */
  readonly depth: number;
  /** Every reachable state was expanded, and nothing that could happen was held back for ever. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly why?: string;
  readonly findings: readonly Finding[];
  readonly witnesses: ReadonlySet<string>;
  /** States in which nothing that is owed can happen. */
  readonly resting: number;
  /** How many combinations the readable code ran for. */
  readonly learned: number;
  readonly bytes: number;
  /** Processes and judgements that read too widely to be learned in full, by name. */
  readonly tooWide: readonly string[];
}

export const DEFAULT_MAX_STATES = 5_000_000;

interface Occasion extends Evidence {
  readonly schedule: () => string[];
}

export function sweep(booted: Booted, props: readonly Property[], options: SweepOptions = {}): Sweep {
  const { machine } = booted;
  const { maxStates = DEFAULT_MAX_STATES, patient = true, verifyEvery = 0, progress } = options;
  const learned = new Learned(kernelSystem(machine));
  const judges = new StepJudges(machine, learned, props);
  const chains = new Chains(learned);
  const findings = new Map<string, Finding>();
  const witnesses = new Set<string>();
  const evidence = new Map<Property, Map<string, Occasion>>();
  const met = new Set<Turn | Way>();
  let schedule: (state: number) => string[] = () => [];

  const find = (blame: Blame | undefined, at: () => string[], loop?: readonly string[]): void => {
    if (blame && !findings.has(signature(blame)))
      findings.set(signature(blame), { blame, schedule: at(), ...(loop ? { loop } : {}) });
  };
  const meet = (turns: readonly Turn[]): boolean => {
    let blocked = false;
    turns.forEach((turn, thread) => {
      if (turn.open.kind !== 'blocked') return;
      blocked = true;
      if (met.has(turn)) return;
      met.add(turn);
      witnesses.add(waitWitness(learned.threads[thread] as string, turn.open.wait.object));
    });
    return blocked;
  };
  const remember = (property: Property, pieces: readonly Evidence[], at: () => string[]): void => {
    const known = evidence.get(property) ?? new Map<string, Occasion>();
    evidence.set(property, known);
    for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, { ...piece, schedule: at });
  };

  const from = learned.packing.pack(start(booted, options.workload ?? booted.workload));
  const graph = explore<KernelState, Fact>(learned, from, {
    maxStates,
    patient,
    edges: props.some(({ circle }) => circle !== undefined),
    ...(progress ? { progress } : {}),
    begins: (shortest) => {
      schedule = shortest;
    },
    state(state, turns, words, at, resting) {
      if (verifyEvery > 0 && state % verifyEvery === 0) verifyState(machine, learned, words, at);
      const here = (): string[] => schedule(state);
      if (meet(turns) && chains.any(turns)) {
        const opens = chains.opens(turns);
        for (const property of props) find(property.waits?.(opens), here);
      }
      if (!resting) return;
      const kernel = learned.packing.unpack<KernelState>(words, at);
      for (const property of props) if (property.rest) find(property.rest(machine, kernel, chains.opens(turns)), here);
    },
    step(way, state, words) {
      if (way.facts.length === 0) return;
      if (!met.has(way)) {
        met.add(way);
        for (const name of witnessesOf(way.facts)) witnesses.add(name);
      }
      const here = (): string[] => [...schedule(state), word(way)];
      judges.judge(
        way,
        words,
        (blame) => find(blame, here),
        (property, pieces) => remember(property, pieces, here),
      );
    },
  });

  for (const [property, known] of evidence) {
    const verdict = property.concludes?.(known);
    if (verdict) find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule() ?? [])));
  }
  if (graph.exhausted && graph.first.length > 0)
    for (const { circle, stem, loop } of fairCircles(machine, graph))
      for (const property of props) find(property.circle?.(circle), () => [...stem], loop);
  const held = graph.exhausted && patient && graph.first.length > 0 ? heldBack(graph) : undefined;
  const why = !graph.exhausted
    ? `stopped after ${graph.store.count} states`
    : held && `a loop holds ${held}'s time back for ever; search with timers at any time`;
  return {
    states: graph.store.count,
    transitions: graph.transitions,
    depth: graph.depth,
    complete: why === undefined,
    ...(why === undefined ? {} : { why }),
    findings: [...findings.values()],
    witnesses,
    resting: graph.resting,
    learned: learned.leaves,
    bytes: graph.store.bytes,
    tooWide: learned.tooWide,
  };
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
