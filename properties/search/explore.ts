/**
 * Every state that a system can reach, breadth first. The engine knows no kernel and no property: visitors look at
 * states and steps as they come.
 *
 * States are numbered in the order of discovery, so the parents of a state lead back to boot on a shortest way.
 */
import { word } from '../../model/case.ts';
import { type Learned, type Turn, type Way, apply } from './learned.ts';
import { type States, StateStore, enlarged } from './store.ts';

export interface ExploreOptions<F> {
  /** Stop after this many states. */
  readonly maxStates: number;
  /** What time brings comes only when nothing that is owed can move. */
  readonly patient: boolean;
  /** Keep the edges, for whoever looks for circles. */
  readonly edges: boolean;
  /** Told before the first state: how to get the words of a shortest way to a state. */
  readonly begins?: (schedule: (state: number) => string[]) => void;
  /** Look at a state that is about to be expanded, and at what every process can do in it. */
  readonly state?: (state: number, turns: readonly Turn<F>[], words: Uint16Array, at: number, resting: boolean) => void;
  /** Look at a step; the state after it stands at `words[0]`. Called for every edge, also into states seen before. */
  readonly step?: (way: Way<F>, from: number, words: Uint16Array) => void;
  /** Steps that `step` has nothing to say about, in whatever state they are taken: it need not be called for them. */
  readonly silent?: (way: Way<F>) => boolean;
  /** Called now and then, and after every level, with the number of states found and expanded and the level. */
  readonly progress?: (states: number, expanded: number, depth: number) => void;
}

/** Explored states with the edges between them. */
export interface Graph<S extends object, F> {
  readonly learned: Learned<S, F>;
  readonly store: States;
  /** Edges of state s: from `first[s]` to `first[s + 1]`. */
  readonly first: Int32Array;
  readonly to: Int32Array;
  readonly way: readonly Way<F>[];
  readonly wayOf: Int32Array;
  /** The words of a shortest way from boot to this state. */
  schedule(state: number): string[];
  /** States that were looked at. */
  readonly expanded: number;
  readonly transitions: number;
  /** Steps of the longest shortest way to a state. */
  readonly depth: number;
  /** States in which nothing that is owed can happen. */
  readonly resting: number;
  /** Every reachable state was expanded. */
  readonly exhausted: boolean;
}

const PROGRESS_EVERY = 16_384;

export function explore<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: ExploreOptions<F>,
): Graph<S, F> {
  const { packing, threads } = learned;
  const { width } = packing;
  const { maxStates, patient, edges } = options;
  const store = new StateStore(width);
  let parents: Int32Array = new Int32Array(1024);
  let parentWays: Int32Array = new Int32Array(1024);
  let first: Int32Array = new Int32Array(edges ? 1024 : 0);
  let to: Int32Array = new Int32Array(edges ? 4096 : 0);
  let wayOf: Int32Array = new Int32Array(edges ? 4096 : 0);
  const ways: Way<F>[] = [];
  const numbers: number[] = []; // by id of the way

  const numberOf = (way: Way<F>): number => {
    const known = numbers[way.id];
    if (known !== undefined) return known;
    numbers[way.id] = ways.length;
    ways.push(way);
    return ways.length - 1;
  };
  const schedule = (state: number): string[] => {
    const words: string[] = [];
    for (let at = state; at > 0; at = parents[at] as number) words.push(word(ways[parentWays[at] as number] as Way<F>));
    return words.reverse();
  };

  options.begins?.(schedule);
  const candidate = from.slice();
  const pairs = new Int32Array(candidate.buffer);
  store.add(pairs, packing.fingerprint(candidate, 'high'), packing.fingerprint(candidate, 'low'));
  const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
  let expanded = 0;
  let transitions = 0;
  let resting = 0;
  let depth = 0;
  let levelEnd = 1;
  for (; expanded < store.count && store.count <= maxStates; expanded += 1) {
    if (expanded === levelEnd) {
      depth += 1;
      levelEnd = store.count;
      options.progress?.(store.count, expanded, depth);
    }
    const at = expanded * width;
    if (options.progress && expanded % PROGRESS_EVERY === 0) options.progress(store.count, expanded, depth);
    let owed = false;
    let time = false;
    for (let thread = 0; thread < threads.length; thread += 1) {
      const turn = learned.turn(thread, store.words, at);
      turns[thread] = turn;
      owed ||= turn.owed;
      time ||= turn.time;
    }
    const rests = !owed && !time;
    if (rests) resting += 1;
    options.state?.(expanded, turns, store.words, at, rests);
    if (edges) {
      if (expanded + 1 >= first.length) first = enlarged(first);
      first[expanded] = transitions;
    }
    for (const turn of turns) {
      for (const way of turn.ways) {
        if (patient && owed && way.nature === 'time') continue;
        store.copy(expanded, pairs);
        apply(way, candidate, 0);
        const before = store.count;
        const next = store.add(pairs, store.high(expanded) ^ way.high, store.low(expanded) ^ way.low);
        if (next === before) {
          if (next >= parents.length) {
            parents = enlarged(parents);
            parentWays = enlarged(parentWays);
          }
          parents[next] = expanded;
          parentWays[next] = numberOf(way);
        }
        options.step?.(way, expanded, candidate);
        if (edges) {
          if (transitions >= to.length) {
            to = enlarged(to);
            wayOf = enlarged(wayOf);
          }
          to[transitions] = next;
          wayOf[transitions] = numberOf(way);
        }
        transitions += 1;
      }
    }
    if (edges) first[expanded + 1] = transitions;
  }
  const exhausted = expanded === store.count;
  return { learned, store, first, to, way: ways, wayOf, schedule, expanded, transitions, depth, resting, exhausted };
}
