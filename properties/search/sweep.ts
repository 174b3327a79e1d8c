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
import { type ExploreOptions, explore } from './explore.ts';
import { StepJudges } from './judges.ts';
import { Learned, type Turn, type Way } from './learned.ts';
import { saidWithout } from './reductions/masked.ts';
import { reduced } from './reductions/reduced.ts';
import { refuses } from './refuses.ts';
import type { BreadthOptions } from './storage/breadth.ts';
import type { Found } from './storage/found.ts';
import { kernelSystem } from './system.ts';
import { verifyState } from './verify.ts';

export interface SweepOptions {
  readonly workload?: Workload;
  /** Stop after this many states and say that the search was not exhaustive. */
  readonly maxStates?: number;
  readonly patient?: boolean;
  /** Replay every n-th state on plain objects and compare; 0 never. */
  readonly verifyEvery?: number;
  /**
   * Search fewer states with the same verdicts (reductions/reduced.ts). Counterexamples are then not the shortest, and a
   * system that can go round for ever is searched in full after all when fair circles are asked for.
   */
  readonly reduce?: boolean;
  /** Search with another memory, with limits, from a checkpoint: see storage/breadth.ts. Not together with `reduce`. */
  readonly search?: SweepSearch;
  /** Called now and then with the number of states found and expanded. */
  readonly progress?: (states: number, expanded: number) => void;
}
export type SweepSearch = (
  learned: Learned,
  from: Uint16Array,
  visitors: ExploreOptions<Fact> & Pick<BreadthOptions<Fact>, 'remembers' | 'recalls'>,
) => Found<KernelState, Fact>;
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
  /** What the memory of the search may have left out, when it is not without loss. */
  readonly doubt?: string;
  /** What was not judged, because this search cannot, and why. */
  readonly refused?: string;
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

/** What a sweep knows between two levels, besides the search. */
interface Remembered {
  readonly findings: readonly Finding[];
  readonly witnesses: readonly string[];
  readonly evidence: readonly (readonly [string, readonly Occasion[]])[];
}
interface Occasion extends Evidence {
  readonly schedule: readonly string[];
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
    for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, { ...piece, schedule: at() });
  };

  const from = learned.packing.pack(start(booted, options.workload ?? booted.workload));
  const circles = props.some(({ circle }) => circle !== undefined);
  const doubts = new Set<string>();
  const visitors: Omit<ExploreOptions<Fact>, 'edges'> = {
    maxStates,
    patient,
    ...(progress ? { progress } : {}),
    begins: (shortest) => {
      schedule = shortest;
      if (options.reduce) for (const seen of [findings, witnesses, evidence, met, doubts]) seen.clear();
    },
    state(state, turns, words, at, resting) {
      if (verifyEvery > 0 && state % verifyEvery === 0) verifyState(machine, learned, words, at);
      const here = (): string[] => schedule(state);
      if (meet(turns) && chains.any(turns)) {
        const opens = chains.opens(turns);
        for (const property of props) {
          const blame = property.waits?.(opens);
          find(blame, here);
          if (options.reduce && blame)
            for (const doubt of saidWithout(opens, (masked) => property.waits?.(masked)) ?? ['too many wait'])
              doubts.add(doubt);
        }
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
  };
  const found = options.search?.(learned, from, {
    ...visitors,
    edges: circles,
    remembers: () => ({
      findings: [...findings.values()],
      witnesses: [...witnesses],
      evidence: [...evidence].map(([property, known]) => [property.name, [...known.values()]]),
    }),
    recalls: (remembered) => {
      const before = remembered as Remembered;
      for (const finding of before.findings) findings.set(signature(finding.blame), finding);
      for (const witness of before.witnesses) witnesses.add(witness);
      for (const [name, pieces] of before.evidence) {
        const property = props.find((each) => each.name === name);
        if (!property) throw new Error(`it judged by ${name}, which is not asked for now`);
        for (const piece of pieces) remember(property, [piece], () => [...piece.schedule]);
      }
    },
  });
  const exploring = !options.reduce && !found;
  const graph = exploring ? explore<KernelState, Fact>(learned, from, { ...visitors, edges: circles }) : found?.graph;
  const search = found
    ? { ...found, cyclic: false }
    : graph
      ? { ...graph, states: graph.store.count, bytes: graph.store.bytes, cyclic: false }
      : reduced<KernelState, Fact>(learned, from, {
          ...visitors,
          clusters: true,
          merges: true,
          debts: true,
          judge: judges,
        });

  for (const [property, known] of evidence) {
    const verdict = property.concludes?.(known);
    if (verdict) find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule ?? [])));
  }
  if (
    !graph &&
    !found &&
    search.exhausted &&
    ((circles && search.cyclic) || [...doubts].some((doubt) => !findings.has(doubt)))
  )
    return sweep(booted, props, { ...options, reduce: false });
  const refused = graph
    ? refuses({ circles, storage: 'full', edges: circles, reductions: [], exhausted: graph.exhausted })
    : undefined; // without the full graph there was no circle to look at
  if (graph && circles && !refused)
    for (const { circle, stem, loop } of fairCircles(machine, graph, patient))
      for (const property of props) find(property.circle?.(circle), () => [...stem], loop);
  const held = graph && circles && !refused && patient ? heldBack(graph) : undefined;
  const blind = found && circles && !graph ? 'fair circles are looked for only in the mode full' : undefined;
  const why = !search.exhausted
    ? (found?.why ?? `stopped after ${search.states} states`)
    : (blind ?? (held && `a loop holds ${held}'s time back for ever; search with timers at any time`));
  return {
    states: search.states,
    transitions: search.transitions,
    depth: search.depth,
    complete: why === undefined,
    ...(why === undefined ? {} : { why }),
    ...(found?.doubt ? { doubt: found.doubt.says } : {}),
    ...(refused === undefined ? {} : { refused }),
    findings: [...findings.values()],
    witnesses,
    resting: search.resting,
    learned: learned.leaves,
    bytes: search.bytes,
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
