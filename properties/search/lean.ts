/**
 * The lean search: breadth first like explore.ts, but of the states seen it keeps only 64-bit fingerprints, and in full
 * only the frontier. Two different states with one fingerprint would be taken for one: `omission` says how likely it
 * is that this happened at all. Parents are kept, so a trace can be rebuilt and judged by the plain reducer.
 *
 * Where the time goes is the table, which is larger than any cache. So candidates are only numbers at first (two lanes,
 * a parent, a way); a batch of them touches its places in the table in one loop, so that the memory can overlap the
 * accesses, and asks in a second; only new states are ever built.
 */
import { word } from '../../model/case.ts';
import type { ExploreOptions } from './explore.ts';
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

const BATCH = 1024;
/** The table grows when it is fuller than this. */
const FULLEST = 0.7;

export function lean<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: Omit<ExploreOptions<F>, 'edges'> & { readonly expect?: number },
): Lean {
  const { packing, threads } = learned;
  const { width } = packing;
  const half = width / 2;
  const { maxStates, patient } = options;
  let capacity = 4096;
  while (capacity * FULLEST < (options.expect ?? 0)) capacity *= 2;
  let table = new Int32Array(capacity * 2);
  let parents: Int32Array = new Int32Array(Math.max(1024, options.expect ?? 0));
  let parentWays: Uint16Array = new Uint16Array(parents.length);
  let count = 0;

  let now = frontier(width);
  let next = frontier(width);
  const ways: Way<F>[] = [];
  const numbers: number[] = [];
  const numberOf = (way: Way<F>): number => {
    const known = numbers[way.id];
    if (known !== undefined) return known;
    numbers[way.id] = ways.length;
    ways.push(way);
    if (ways.length > 0xffff)
      throw new Error('more than 65,535 different steps: something in the system grows for ever');
    return ways.length - 1;
  };
  const schedule = (state: number): string[] => {
    const words: string[] = [];
    for (let at = state; at > 0; at = parents[at] as number) words.push(word(ways[parentWays[at] as number] as Way<F>));
    return words.reverse();
  };
  options.begins?.(schedule);

  const scratch = new Uint16Array(width);
  const scratchPairs = new Int32Array(scratch.buffer);
  const highs = new Int32Array(BATCH);
  const lows = new Int32Array(BATCH);
  const places = new Int32Array(BATCH);
  const froms = new Int32Array(BATCH);
  const batchWays: Way<F>[] = Array.from({ length: BATCH });
  let batch = 0;
  let base = 0; // number of the first state of the level
  let touched = 0;

  const grow = (): void => {
    const old = table;
    capacity *= 2;
    table = new Int32Array(capacity * 2);
    for (let at = 0; at < old.length; at += 2) {
      const high = old[at] as number;
      const low = old[at + 1] as number;
      if (high === 0 && low === 0) continue;
      let place = (low ^ Math.imul(high, 0x9e3779b1)) & (capacity - 1);
      while (table[place * 2] !== 0 || table[place * 2 + 1] !== 0) place = (place + 1) & (capacity - 1);
      table[place * 2] = high;
      table[place * 2 + 1] = low;
    }
  };
  /** Build the state that candidate `each` of the batch stands for, and put it on the next level. */
  const build = (each: number): void => {
    const parent = froms[each] as number;
    const way = batchWays[each] as Way<F>;
    next = next.count * width >= next.words.length ? wider(next, width) : next;
    const at = next.count * half;
    const origin = parent * half;
    for (let pair = 0; pair < half; pair += 1) next.pairs[at + pair] = now.pairs[origin + pair] as number;
    apply(way, next.words, at * 2);
    next.highs[next.count] = highs[each] as number;
    next.lows[next.count] = lows[each] as number;
    next.count += 1;
    if (count >= parents.length) {
      parents = enlarged(parents);
      const more = new Uint16Array(parents.length);
      more.set(parentWays);
      parentWays = more;
    }
    parents[count] = base + parent;
    parentWays[count] = numberOf(way);
    count += 1;
  };
  const flush = (): void => {
    while (count + batch > capacity * FULLEST) grow();
    const mask = capacity - 1;
    for (let each = 0; each < batch; each += 1) {
      const place = ((lows[each] as number) ^ Math.imul(highs[each] as number, 0x9e3779b1)) & mask;
      places[each] = place;
      touched += table[place * 2] as number;
    }
    for (let each = 0; each < batch; each += 1) {
      const high = highs[each] as number;
      const low = lows[each] as number;
      for (let place = places[each] as number; ; place = (place + 1) & mask) {
        const there = table[place * 2] as number;
        if (there === high && table[place * 2 + 1] === low) break;
        if (there === 0 && table[place * 2 + 1] === 0) {
          table[place * 2] = high;
          table[place * 2 + 1] = low;
          build(each);
          break;
        }
      }
    }
    batch = 0;
  };
  const offer = (parent: number, way: Way<F>): void => {
    let high = (now.highs[parent] as number) ^ way.high;
    const low = (now.lows[parent] as number) ^ way.low;
    if (high === 0 && low === 0) high = 1; // all zero means a free place
    highs[batch] = high;
    lows[batch] = low;
    froms[batch] = parent;
    batchWays[batch] = way;
    batch += 1;
    if (batch === BATCH) flush();
  };

  // Boot is offered like any other state, by a way that changes nothing.
  now.pairs.set(new Int32Array(from.slice().buffer));
  now.highs[0] = packing.fingerprint(from, 'high');
  now.lows[0] = packing.fingerprint(from, 'low');
  now.count = 1;
  offer(0, STANDING as unknown as Way<F>);
  flush();
  [now, next] = [next, now];
  next.count = 0;
  ways.length = 0;
  numbers.length = 0;

  const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
  let transitions = 0;
  let resting = 0;
  let depth = 0;
  let stopped = false;
  for (;;) {
    const level = now.count;
    for (let state = 0; state < level; state += 1) {
      const at = state * width;
      if (count > maxStates) {
        stopped = true;
        break;
      }
      let owed = false;
      let time = false;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = learned.turn(thread, now.words, at);
        turns[thread] = turn;
        owed ||= turn.owed;
        time ||= turn.time;
      }
      if (!owed && !time) resting += 1;
      options.state?.(base + state, turns, now.words, at, !owed && !time);
      for (let thread = 0; thread < threads.length; thread += 1) {
        const list = (turns[thread] as Turn<F>).ways;
        for (let each = 0; each < list.length; each += 1) {
          const way = list[each] as Way<F>;
          if (patient && owed && way.nature === 'time') continue;
          transitions += 1;
          if (options.step && way.facts.length > 0) {
            for (let pair = 0; pair < half; pair += 1) scratchPairs[pair] = now.pairs[state * half + pair] as number;
            apply(way, scratch, 0);
            options.step(way, base + state, scratch);
          }
          if (way.slots.length > 0) offer(state, way);
        }
      }
    }
    flush();
    options.progress?.(count, base + level);
    if (stopped || next.count === 0) break;
    base += level;
    depth += 1;
    [now, next] = [next, now];
    next.count = 0;
  }
  const bytes =
    table.byteLength +
    parents.byteLength +
    parentWays.byteLength +
    now.words.byteLength +
    next.words.byteLength +
    16 * (now.highs.length + next.highs.length);
  // Pairs of states times the chance that 64 bits agree; `touched` keeps the touching loop from being thrown away.
  const omission = Math.min(1, (count * count) / 2 ** 65) + touched * 0;
  return { states: count, transitions, depth, resting, exhausted: !stopped, bytes, omission, schedule };
}

const STANDING = {
  slots: new Uint16Array(0),
  ids: new Uint16Array(0),
  high: 0,
  low: 0,
  facts: [],
  id: 0,
  thread: '',
  threadAt: 0,
  outcome: '',
  line: '',
  nature: 'owed',
  tamest: true,
};

/** One level of states, in full. */
interface Frontier {
  words: Uint16Array;
  pairs: Int32Array;
  highs: Int32Array;
  lows: Int32Array;
  count: number;
}
function frontier(width: number, room = 1024): Frontier {
  const pairs = new Int32Array((width / 2) * room);
  return {
    pairs,
    words: new Uint16Array(pairs.buffer),
    highs: new Int32Array(room),
    lows: new Int32Array(room),
    count: 0,
  };
}
function wider(old: Frontier, width: number): Frontier {
  const larger = frontier(width, old.highs.length * 2);
  larger.pairs.set(old.pairs);
  larger.highs.set(old.highs);
  larger.lows.set(old.lows);
  larger.count = old.count;
  return larger;
}
