/**
 * The lean search: breadth first like explore.ts, but of the states seen it keeps only 64-bit fingerprints, and in full
 * only the frontier. Two different states with one fingerprint would be taken for one: `omission` bounds how likely it
 * is that this happened at all. Parents are kept, so a trace can be rebuilt and judged by the plain reducer.
 *
 * Where the time goes is the table, which is larger than any cache. So candidates are only numbers at first (two lanes,
 * a parent, a way); a batch of them touches its places in the table in one loop, so that the memory can overlap the
 * accesses, and asks in a second; only new states are ever built.
 */
import { word } from '../../model/case.ts';
import type { ExploreOptions } from './explore.ts';
import { FingerprintTable } from './fingerprints.ts';
import { type Learned, type Turn, type Way, apply } from './learned.ts';
import { enlarged } from './store.ts';

export interface Lean {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
  readonly exhausted: boolean;
  readonly bytes: number;
  /** An upper bound of the probability that any state was left out because of equal fingerprints. */
  readonly omission: number;
  schedule(state: number): string[];
}
export interface LeanOptions<F> extends Omit<ExploreOptions<F>, 'edges'> {
  /** States to make room for at once. */
  readonly expect?: number;
}

const BATCH = 1024;

export function lean<S extends object, F>(learned: Learned<S, F>, from: Uint16Array, options: LeanOptions<F>): Lean {
  const search = new LeanSearch(learned, options);
  options.begins?.((state) => search.schedule(state));
  search.begin(from);
  while (search.level()) options.progress?.(search.count, search.base);
  const { count, transitions, depth, resting, stopped, bytes } = search;
  // Pairs of states times the chance that 64 bits agree.
  const omission = Math.min(1, (count * count) / 2 ** 65);
  return {
    states: count,
    transitions,
    depth,
    resting,
    exhausted: !stopped,
    bytes,
    omission,
    schedule: (state) => search.schedule(state),
  };
}

/** One level of states, in full. */
interface Frontier {
  words: Uint16Array;
  pairs: Int32Array;
  highs: Int32Array;
  lows: Int32Array;
  count: number;
}
function frontier(half: number, room = 1024): Frontier {
  const pairs = new Int32Array(half * room);
  return {
    pairs,
    words: new Uint16Array(pairs.buffer),
    highs: new Int32Array(room),
    lows: new Int32Array(room),
    count: 0,
  };
}
function wider(old: Frontier, half: number): Frontier {
  const larger = frontier(half, old.highs.length * 2);
  larger.pairs.set(old.pairs);
  larger.highs.set(old.highs);
  larger.lows.set(old.lows);
  larger.count = old.count;
  return larger;
}

/** The state of a search between two levels. Its loops work on local names: a closure would cost half the speed. */
class LeanSearch<S extends object, F> {
  count = 0;
  /** The number of the first state of the level. */
  base = 0;
  transitions = 0;
  depth = 0;
  resting = 0;
  stopped = false;
  private readonly learned: Learned<S, F>;
  private readonly options: LeanOptions<F>;
  private readonly half: number;
  private readonly table: FingerprintTable;
  private parents: Int32Array;
  private parentWays: Uint16Array;
  private now: Frontier;
  private next: Frontier;
  private readonly highs = new Int32Array(BATCH);
  private readonly lows = new Int32Array(BATCH);
  private readonly froms = new Int32Array(BATCH);
  private readonly ids = new Int32Array(BATCH);
  private readonly fresh = new Int32Array(BATCH);

  constructor(learned: Learned<S, F>, options: LeanOptions<F>) {
    this.learned = learned;
    this.options = options;
    this.half = learned.packing.width / 2;
    this.table = new FingerprintTable(options.expect ?? 0);
    this.parents = new Int32Array(Math.max(1024, options.expect ?? 0));
    this.parentWays = new Uint16Array(this.parents.length);
    this.now = frontier(this.half);
    this.next = frontier(this.half);
  }

  get bytes(): number {
    const level = ({ pairs, highs, lows }: Frontier): number => pairs.byteLength + highs.byteLength + lows.byteLength;
    return this.table.bytes + this.parents.byteLength + this.parentWays.byteLength + level(this.now) + level(this.next);
  }
  schedule(state: number): string[] {
    const words: string[] = [];
    for (let at = state; at > 0; at = this.parents[at] as number)
      words.push(word(this.learned.way(this.parentWays[at] as number)));
    return words.reverse();
  }

  begin(from: Uint16Array): void {
    const { packing } = this.learned;
    this.highs[0] = packing.fingerprint(from, 'high');
    this.lows[0] = packing.fingerprint(from, 'low');
    this.table.add(this.highs, this.lows, 1, this.fresh);
    this.now.words.set(from);
    this.now.highs[0] = this.highs[0];
    this.now.lows[0] = this.lows[0];
    this.now.count = 1;
    this.count = 1;
  }

  /** Expand one level; false when there is no further one. */
  level(): boolean {
    const { learned, now, highs, lows, froms, ids, options } = this;
    const { threads, packing } = learned;
    const { width } = packing;
    const { words } = now;
    const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
    let batch = 0;
    for (let state = 0; state < now.count; state += 1) {
      if (this.count > options.maxStates) {
        this.stopped = true;
        break;
      }
      const at = state * width;
      const high = now.highs[state] as number;
      const low = now.lows[state] as number;
      let owed = false;
      let time = false;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = learned.turn(thread, words, at);
        turns[thread] = turn;
        owed ||= turn.owed;
        time ||= turn.time;
      }
      if (!owed && !time) this.resting += 1;
      options.state?.(this.base + state, turns, words, at, !owed && !time);
      const held = options.patient && owed && time;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = turns[thread] as Turn<F>;
        const changes = turn.ids.length;
        for (let each = 0; each < changes; each += 1) {
          if (held && turn.ways[each]?.nature === 'time') continue;
          this.transitions += 1;
          if (options.step) this.show(turn.ways[each] as Way<F>, state);
          highs[batch] = high ^ (turn.highs[each] as number);
          lows[batch] = low ^ (turn.lows[each] as number);
          froms[batch] = state;
          ids[batch] = turn.ids[each] as number;
          batch += 1;
          if (batch === BATCH) {
            this.flush(batch);
            batch = 0;
          }
        }
      }
    }
    this.flush(batch);
    if (this.stopped || this.next.count === 0) return false;
    this.base += now.count;
    this.depth += 1;
    [this.now, this.next] = [this.next, this.now];
    this.next.count = 0;
    return true;
  }

  /** Ask the table about the batch, and build the states that are new. */
  private flush(batch: number): void {
    const { fresh, froms, ids, half, learned, now } = this;
    const news = this.table.add(this.highs, this.lows, batch, fresh);
    if (news === 0) return;
    while (this.next.count + news > this.next.highs.length) this.next = wider(this.next, half);
    this.makeRoom(news);
    const { next, parents, parentWays } = this;
    for (let nth = 0; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      const parent = froms[each] as number;
      const id = ids[each] as number;
      const at = next.count * half;
      const origin = parent * half;
      for (let pair = 0; pair < half; pair += 1) next.pairs[at + pair] = now.pairs[origin + pair] as number;
      apply(learned.way(id), next.words, at * 2);
      next.highs[next.count] = this.highs[each] as number;
      next.lows[next.count] = this.lows[each] as number;
      next.count += 1;
      parents[this.count] = this.base + parent;
      parentWays[this.count] = id;
      this.count += 1;
    }
  }
  private makeRoom(news: number): void {
    if (this.learned.waysMade > 0xffff)
      throw new Error('more than 65,535 different steps: something in the system grows for ever');
    while (this.count + news > this.parents.length) {
      this.parents = enlarged(this.parents);
      const ways = new Uint16Array(this.parents.length);
      ways.set(this.parentWays);
      this.parentWays = ways;
    }
  }
  /** Let the visitor look at a step, in the state after it. */
  private show(way: Way<F>, state: number): void {
    const { width } = this.learned.packing;
    const after = this.now.words.slice(state * width, (state + 1) * width);
    apply(way, after, 0);
    this.options.step?.(way, this.base + state, after);
  }
}
