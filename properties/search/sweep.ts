/**
 * The sweep: every state that a booted design can reach, breadth first, each property judged on the way.
 *
 * The first violation of each signature is one of the shortest there are. States that break a property are expanded
 * like any other, so one sweep finds everything. Patient time holds timers back while a fair thread can move.
 */
import { REBOOT, word } from '../../model/case.ts';
import { type Booted, type Workload, start } from '../../model/design.ts';
import type { KernelState, Open } from '../../model/machine.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import { fairCircles, heldBack } from './circles.ts';
import { Chains } from './chains.ts';
import { StepJudges } from './judges.ts';
import { Learned, type Turn, type Way, apply } from './learned.ts';
import { StateStore, enlarged } from './store.ts';
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
}

export const DEFAULT_MAX_STATES = 5_000_000;
const PROGRESS_EVERY = 16_384;

/** Explored states with the edges between them, for whoever looks for circles. */
export interface Graph {
  readonly learned: Learned;
  readonly store: StateStore;
  /** Edges of state s: from `first[s]` to `first[s + 1]`. */
  readonly first: Int32Array;
  readonly to: Int32Array;
  readonly way: readonly Way[];
  readonly wayOf: Int32Array;
  schedule(state: number): string[];
}

export function sweep(booted: Booted, props: readonly Property[], options: SweepOptions = {}): Sweep {
  const { maxStates = DEFAULT_MAX_STATES, patient = true, verifyEvery = 0 } = options;
  const learned = new Learned(booted.machine);
  const { packing, threads } = learned;
  const { width } = packing;
  const store = new StateStore(width);
  const findings = new Map<string, Finding>();
  const witnesses = new Set<string>();
  const circling = props.some(({ circle }) => circle !== undefined);

  let parents: Int32Array = new Int32Array(1024);
  let parentWays: Int32Array = new Int32Array(1024);
  let first: Int32Array = new Int32Array(1024);
  let to: Int32Array = new Int32Array(4096);
  let wayOf: Int32Array = new Int32Array(4096);
  const ways: Way[] = [];
  const waySeen = new Map<Way, number>();
  const judges = new StepJudges(learned, props);
  const chains = new Chains(learned);
  const evidence = new Map<Property, Map<string, Evidence & { readonly schedule: () => string[] }>>();

  const schedule = (state: number): string[] => {
    const words: string[] = [];
    for (let at = state; at > 0; at = parents[at] as number) words.push(word(ways[parentWays[at] as number] as Way));
    return words.reverse();
  };
  const find = (blame: Blame | undefined, at: () => string[]): void => {
    if (blame && !findings.has(signature(blame))) findings.set(signature(blame), { blame, schedule: at() });
  };
  const numberOf = (way: Way): number => {
    const known = waySeen.get(way);
    if (known !== undefined) return known;
    waySeen.set(way, ways.length);
    ways.push(way);
    for (const name of witnessesOf(way.facts)) witnesses.add(name);
    return ways.length - 1;
  };

  const candidate = packing.pack(start(booted, options.workload ?? booted.workload));
  store.add(candidate, packing.fingerprint(candidate, 'high'), packing.fingerprint(candidate, 'low'));

  const turns: Turn[] = threads.map(() => ({}) as Turn);
  let expanded = 0;
  let transitions = 0;
  let resting = 0;
  let depth = 0;
  let levelEnd = 1;
  const witnessed = new Set<Turn>();

  for (; expanded < store.count && store.count <= maxStates; expanded += 1) {
    if (expanded === levelEnd) {
      depth += 1;
      levelEnd = store.count;
    }
    const state = expanded;
    const at = state * width;
    if (options.progress && expanded % PROGRESS_EVERY === 0) options.progress(store.count, expanded);
    if (verifyEvery > 0 && state % verifyEvery === 0) verifyState(learned, store.words, at);

    let owed = false;
    let time = false;
    let blocked = false;
    for (let thread = 0; thread < threads.length; thread += 1) {
      const turn = learned.turn(thread, store.words, at);
      turns[thread] = turn;
      owed ||= turn.owed;
      time ||= turn.time;
      if (turn.open.kind === 'blocked') {
        blocked = true;
        if (!witnessed.has(turn)) {
          witnessed.add(turn);
          witnesses.add(waitWitness(threads[thread] as string, turn.open.wait.object));
        }
      }
    }
    if (blocked && chains.any(turns)) {
      const opens = chains.opens(turns);
      for (const property of props) find(property.waits?.(opens), () => schedule(state));
    }
    if (!owed && !time) {
      resting += 1;
      const kernel = packing.unpack<KernelState>(store.words, at);
      for (const property of props)
        if (property.rest) find(property.rest(booted.machine, kernel, chains.opens(turns)), () => schedule(state));
    }

    if (expanded + 1 >= first.length) first = enlarged(first);
    first[state] = transitions;
    for (let thread = 0; thread < threads.length; thread += 1) {
      for (const way of (turns[thread] as Turn).ways) {
        if (patient && owed && way.nature === 'time') continue;
        for (let slot = 0; slot < width; slot += 1) candidate[slot] = store.words[at + slot] as number;
        apply(way, candidate, 0);
        const before = store.count;
        const next = store.add(candidate, store.high(state) ^ way.high, store.low(state) ^ way.low);
        const number = numberOf(way);
        if (next === before) {
          if (next >= parents.length) {
            parents = enlarged(parents);
            parentWays = enlarged(parentWays);
          }
          parents[next] = state;
          parentWays[next] = number;
        }
        if (way.facts.length > 0) judgeStep(way, state);
        if (transitions >= to.length) {
          to = enlarged(to);
          wayOf = enlarged(wayOf);
        }
        to[transitions] = next;
        wayOf[transitions] = number;
        transitions += 1;
      }
    }
    first[state + 1] = transitions;
  }

  /** The facts of this step, in the state after it, which stands in `candidate`. */
  function judgeStep(way: Way, state: number): void {
    const here = (): string[] => [...schedule(state), word(way)];
    judges.judge(
      way,
      candidate,
      (blame) => find(blame, here),
      (property, pieces) => {
        const known = evidence.get(property) ?? new Map<string, Evidence & { readonly schedule: () => string[] }>();
        evidence.set(property, known);
        for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, { ...piece, schedule: here });
      },
    );
  }

  for (const [property, known] of evidence) {
    const verdict = property.concludes?.(known);
    if (verdict) find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule() ?? [])));
  }
  const exhausted = expanded === store.count;
  const graph: Graph = { learned, store, first, to, way: ways, wayOf, schedule };
  if (circling && exhausted) {
    for (const { circle, stem, loop } of fairCircles(graph))
      for (const property of props) {
        const blame = property.circle?.(circle);
        if (blame && !findings.has(signature(blame))) findings.set(signature(blame), { blame, schedule: stem, loop });
      }
  }
  const held = exhausted && patient ? heldBack(graph) : undefined;
  const why = !exhausted
    ? `stopped after ${store.count} states`
    : held && `a loop holds ${held}'s time back for ever; search with timers at any time`;
  return {
    states: store.count,
    transitions,
    depth,
    complete: why === undefined,
    ...(why === undefined ? {} : { why }),
    findings: [...findings.values()],
    witnesses,
    resting,
    learned: learned.leaves,
    bytes: store.bytes,
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
