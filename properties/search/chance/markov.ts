/**
 * A Markov chain over all states of a system and what a run has shown so far: at random, any thread that can move is as
 * likely as any other, and then any way it may go. How likely is it that a run comes to show everything?
 *
 * What must come and what cannot is decided on the graph; the rest lies between two bounds that close on it (Haddad and
 * Monmege, Interval iteration algorithm for MDPs and IMDPs, 2018).
 */
import { REBOOT, word } from '../../../model/case.ts';
import type { Fact, KernelState } from '../../../model/machine.ts';
import { type Graph, explore } from '../explore.ts';
import type { Learned, Way } from '../learned.ts';
import type { Awaited } from './awaited.ts';

/** The bounds are close enough, or have been moved so often. */
const CLOSE = 1e-9;
const MOST_ROUNDS = 20_000;
/** Where an edge leads by which it has come. */
const COME = -1;

/** Places with edges between them: those of place p from `first[p]` to `first[p + 1]`. */
interface Places {
  readonly count: number;
  readonly first: Int32Array;
  readonly to: Int32Array;
}
interface Chain extends Places {
  readonly weight: Float64Array;
  /** The places that a schedule leads through, the start first; `COME` once it has come. */
  readonly path: readonly number[];
}
/** Bounds after every step of a schedule, and how many states there are. */
export interface Solved {
  readonly along: readonly { readonly low: number; readonly high: number }[];
  readonly states: number;
}

/** @returns nothing when there are more states than that */
export function solve(
  learned: Learned,
  from: Uint16Array,
  schedule: readonly string[],
  awaited: Awaited,
  limits: { readonly maxStates: number; readonly patient: boolean },
): Solved | undefined {
  const inState: number[] = [];
  const byEdge: number[] = [];
  const graph = explore(learned, from, {
    ...limits,
    edges: true,
    state: (_state, turns, words, at, resting) => void inState.push(awaited.in(turns, words, at, resting)),
    step: (way, _from, words) => void byEdge.push(awaited.by(way, words)),
  });
  if (!graph.exhausted) return undefined;
  const shown = Uint32Array.from(inState);
  awaited.spread?.(graph, shown);
  const chain = chainOf(graph, schedule, shown, byEdge, awaited.all);
  const { low, high } = bounds(chain);
  const along = chain.path.map((place) =>
    place === COME ? { low: 1, high: 1 } : { low: low[place] as number, high: high[place] as number },
  );
  return { along, states: graph.expanded };
}

/** Of every edge of the graph: how likely it is where it begins. */
function weights({ first, way, wayOf, expanded, transitions, learned }: Graph<KernelState, Fact>): Float64Array {
  const weight = new Float64Array(transitions);
  const ways = new Int32Array(learned.threads.length);
  for (let state = 0; state < expanded; state += 1) {
    const [begin, end] = [first[state] as number, first[state + 1] as number];
    let threads = 0;
    ways.fill(0);
    for (let edge = begin; edge < end; edge += 1) {
      const { threadAt } = way[wayOf[edge] as number] as Way;
      if (ways[threadAt] === 0) threads += 1;
      ways[threadAt] = (ways[threadAt] as number) + 1;
    }
    for (let edge = begin; edge < end; edge += 1) {
      const { threadAt } = way[wayOf[edge] as number] as Way;
      weight[edge] = 1 / threads / (ways[threadAt] as number);
    }
  }
  return weight;
}

/** A place is a state with what was shown on the way to it, as far as the schedule or a run at random leads there. */
function chainOf(
  graph: Graph<KernelState, Fact>,
  schedule: readonly string[],
  shown: Uint32Array,
  byEdge: readonly number[],
  all: number,
): Chain {
  const { first, to, way, wayOf, expanded } = graph;
  const likely = weights(graph);
  /** By state and what was shown, in all but the last of its sets: the place. */
  const numbers = new Int32Array(expanded * all).fill(COME);
  const states: number[] = [];
  const known: number[] = [];
  const placeOf = (state: number, before: number): number => {
    const now = before | (shown[state] as number);
    if (now === all) return COME;
    const key = state * all + now;
    if (numbers[key] === COME) {
      numbers[key] = states.length;
      states.push(state);
      known.push(now);
    }
    return numbers[key] as number;
  };
  const after = (place: number, edge: number): number =>
    placeOf(to[edge] as number, (known[place] as number) | (byEdge[edge] as number));

  const path = [placeOf(0, 0)];
  for (const text of schedule) {
    const at = path.at(-1) as number;
    if (at === COME) {
      path.push(COME);
      continue;
    }
    const state = states[at] as number;
    let next: number | undefined = text === REBOOT ? placeOf(0, known[at] as number) : undefined;
    for (let edge = first[state] as number; edge < (first[state + 1] as number) && next === undefined; edge += 1)
      if (word(way[wayOf[edge] as number] as Way) === text) next = after(at, edge);
    if (next === undefined) break;
    path.push(next);
  }

  const starts: number[] = [];
  const targets: number[] = [];
  const weight: number[] = [];
  for (let place = 0; place < states.length; place += 1) {
    starts.push(targets.length);
    const state = states[place] as number;
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
      targets.push(after(place, edge));
      weight.push(likely[edge] as number);
    }
  }
  starts.push(targets.length);
  return {
    count: states.length,
    first: Int32Array.from(starts),
    to: Int32Array.from(targets),
    weight: Float64Array.from(weight),
    path,
  };
}

/** Add to these places all that lead to one of them. */
export function leadingTo({ first, to, count }: Places, among: Uint8Array): void {
  const starts = new Int32Array(count + 1);
  for (const target of to) if (target !== COME) starts[target + 1] = (starts[target + 1] as number) + 1;
  for (let place = 0; place < count; place += 1)
    starts[place + 1] = (starts[place + 1] as number) + (starts[place] as number);
  const origins = new Int32Array(starts[count] as number);
  const fill = starts.slice(0, count);
  for (let place = 0; place < count; place += 1)
    for (let edge = first[place] as number; edge < (first[place + 1] as number); edge += 1) {
      const target = to[edge] as number;
      if (target === COME) continue;
      origins[fill[target] as number] = place;
      fill[target] = (fill[target] as number) + 1;
    }
  const open = [...among.keys()].filter((place) => among[place] === 1);
  for (let place = open.pop(); place !== undefined; place = open.pop())
    for (let at = starts[place] as number; at < (starts[place + 1] as number); at += 1) {
      const origin = origins[at] as number;
      if (among[origin] === 1) continue;
      among[origin] = 1;
      open.push(origin);
    }
}

/** Bounds of every place: 0 and 1 are decided on the graph, and never by rounding. */
function bounds({ first, to, weight, count }: Chain): { low: Float64Array; high: Float64Array } {
  const mayCome = new Uint8Array(count);
  for (let place = 0; place < count; place += 1)
    for (let edge = first[place] as number; edge < (first[place + 1] as number); edge += 1)
      if (to[edge] === COME) mayCome[place] = 1;
  leadingTo({ first, to, count }, mayCome);
  const mayEscape = mayCome.map((may) => 1 - may);
  leadingTo({ first, to, count }, mayEscape);

  const low = new Float64Array(count);
  const high = new Float64Array(count);
  const unknown: number[] = [];
  for (let place = count - 1; place >= 0; place -= 1) {
    if (!mayEscape[place]) low[place] = high[place] = 1;
    else if (mayCome[place]) {
      high[place] = 1;
      unknown.push(place);
    }
  }
  for (let round = 0, gap = 1; gap > CLOSE && round < MOST_ROUNDS; round += 1) {
    gap = 0;
    for (const place of unknown) {
      let [below, above] = [0, 0];
      for (let edge = first[place] as number; edge < (first[place + 1] as number); edge += 1) {
        const chance = weight[edge] as number;
        const target = to[edge] as number;
        below += chance * (target === COME ? 1 : (low[target] as number));
        above += chance * (target === COME ? 1 : (high[target] as number));
      }
      // It can be avoided, so it is not certain, however close.
      low[place] = Math.min(below, 1 - Number.EPSILON);
      high[place] = above;
      gap = Math.max(gap, above - below);
    }
  }
  return { low, high };
}
