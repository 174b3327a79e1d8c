/**
 * The lean search: breadth first like explore.ts, but of the states seen it keeps only 64-bit fingerprints, and in full
 * only the frontier. Two different states with one fingerprint would be taken for one: `omission` bounds how likely it
 * is that this happened at all. Parents are kept, so a trace can be rebuilt and judged by the plain reducer.
 *
 * Where the time goes is the table, which is larger than any cache. So candidates are only numbers at first (two lanes,
 * a parent, a way); a batch of them touches its places in the table in one loop, so that the memory can overlap the
 * accesses, and asks in a second; only new states are ever built. And of steps that commute most are not asked about:
 *
 * Let state s have been found from p by a step b, and let a be a step of a process with a smaller number than b's that
 * commutes with b: it was possible in p, and leads to q. Then s.a = q.b, so a need not be taken in s. Nothing is lost:
 * say a state is at depth d + 1, and all states up to depth d were found at their depth. Of the steps into it from depth
 * d, if a in s is left out, b in q is another one, of a process with a greater number. If that is left out too, there
 * is a third one of a still greater number, and so on; the last one is taken. (This is a sleep set of length one, which
 * needs no memory and, in breadth-first order, no second visit: P. Godefroid, Partial-Order Methods for the
 * Verification of Concurrent Systems, 1996, chapter 5.) Time is left out of this: patience depends on all processes.
 * All states, their depths, and the number of steps are those of the full search.
 */
import { word } from '../../model/case.ts';
import { COMMUTES, Commuting, TOUCHED } from './commuting.ts';
import type { ExploreOptions } from './explore.ts';
import { FingerprintTable } from './fingerprints.ts';
import { type Learned, MOST_TURNS, type Turn, type Way, apply } from './learned.ts';
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
  while (search.level()) options.progress?.(search.count, search.base, search.depth);
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

/** Some states of one level, in full: rows of numbers, one a state. */
interface Chunk {
  readonly rows: Int32Array;
  /** The same memory, two numbers at a time: the slots, the turn of each process, the step by which it was found. */
  readonly words: Uint16Array;
  count: number;
}
/** States of a chunk. Small enough that little is left unused, and that it may still be in a cache when it is read. */
const CHUNK = 4096;
/** States whose parents are kept in one piece. */
const PIECE = 1 << 18;

/** What the inner loop needs to know of the turns, by id: the numbers of their ways follow one another. */
class Numbers<F> {
  /** By turn: its first way, and the one after its last. */
  first: Int32Array = new Int32Array(64);
  end: Int32Array = new Int32Array(64);
  /** OWED and TIME. */
  flags: Int32Array = new Int32Array(64);
  /** By way: how it changes the fingerprint, and whose it is. */
  highs: Int32Array = new Int32Array(64);
  lows: Int32Array = new Int32Array(64);
  threads: Int32Array = new Int32Array(64);
  /** By way: where in `writes` its slots and their values begin, and where they end. */
  changes: Int32Array = new Int32Array(65);
  writes: Int32Array = new Int32Array(64);
  private turns = 0;
  private ways = 0;

  /** Take what was learned since. */
  learn({ everyTurn, waysMade }: { readonly everyTurn: readonly Turn<F>[]; readonly waysMade: number }): void {
    if (waysMade >= MOST_NUMBERS || everyTurn.length === MOST_TURNS)
      throw new Error('more than 65,534 different steps: something in the system grows for ever');
    while (everyTurn.length > this.first.length) {
      this.first = enlarged(this.first);
      this.end = enlarged(this.end);
      this.flags = enlarged(this.flags);
    }
    while (waysMade >= this.highs.length) {
      this.highs = enlarged(this.highs);
      this.lows = enlarged(this.lows);
      this.threads = enlarged(this.threads);
      this.changes = enlarged(this.changes);
    }
    for (; this.turns < everyTurn.length; this.turns += 1) {
      const { owed, time, ways } = everyTurn[this.turns] as Turn<F>;
      this.first[this.turns] = this.ways;
      for (const way of ways) this.add(way);
      this.end[this.turns] = this.ways;
      this.flags[this.turns] = (owed ? OWED : 0) | (time ? TIME : 0);
    }
  }
  private add({ id, high, low, threadAt, slots, ids }: Way<F>): void {
    if (id !== this.ways) throw new Error(`way ${id} comes where way ${this.ways} was expected`);
    this.highs[id] = high;
    this.lows[id] = low;
    this.threads[id] = threadAt;
    let at = this.changes[id] as number;
    while (at + slots.length * 2 > this.writes.length) this.writes = enlarged(this.writes);
    for (let each = 0; each < slots.length; each += 1) {
      this.writes[at] = slots[each] as number;
      this.writes[at + 1] = ids[each] as number;
      at += 2;
    }
    this.changes[id + 1] = at;
    this.ways += 1;
  }
}
const OWED = 1;
const TIME = 2;
/** The last number that a frontier can keep; more steps or turns than that is a system in which something grows. */
const MOST_NUMBERS = 0xffff;
/** The boot state was found by no step. */
const NO_WAY = MOST_NUMBERS;

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
  private readonly threads: number;
  private readonly table: FingerprintTable;
  private readonly commuting: Commuting<S, F>;
  private known = 0;
  private readonly numbers = new Numbers<F>();
  private readonly parents: Int32Array[] = [];
  private readonly parentWays: Uint16Array[] = [];
  /** Numbers of a row: the slots and what is kept besides, then the two lanes of the fingerprint. */
  private readonly stride: number;
  private now: Chunk[] = [];
  private next: Chunk[] = [];
  private readonly spare: Chunk[] = [];
  private readonly highs = new Int32Array(BATCH);
  private readonly lows = new Int32Array(BATCH);
  private readonly froms = new Int32Array(BATCH);
  private readonly ids = new Int32Array(BATCH);
  private readonly fresh = new Int32Array(BATCH);

  constructor(learned: Learned<S, F>, options: LeanOptions<F>) {
    this.learned = learned;
    this.options = options;
    this.half = learned.packing.width / 2;
    this.threads = learned.threads.length;
    this.stride = this.half + Math.ceil((this.threads + 1) / 2) + 2;
    this.table = new FingerprintTable(options.expect ?? 0);
    this.commuting = new Commuting(learned);
  }

  get bytes(): number {
    const chunks = this.now.length + this.next.length + this.spare.length;
    const parents = this.parents.length * PIECE * 6;
    return this.table.bytes + parents + this.commuting.bytes + chunks * CHUNK * this.stride * 4;
  }
  schedule(state: number): string[] {
    const words: string[] = [];
    for (let at = state; at > 0; at = this.parents[Math.floor(at / PIECE)]?.[at % PIECE] as number)
      words.push(word(this.learned.way(this.parentWays[Math.floor(at / PIECE)]?.[at % PIECE] as number)));
    return words.reverse();
  }

  begin(from: Uint16Array): void {
    const { packing } = this.learned;
    this.highs[0] = packing.fingerprint(from, 'high');
    this.lows[0] = packing.fingerprint(from, 'low');
    this.table.add(this.highs, this.lows, 1, this.fresh);
    const { rows, words } = this.room();
    words.set(from);
    rows[this.stride - 2] = this.highs[0];
    rows[this.stride - 1] = this.lows[0];
    for (let thread = 0; thread < this.threads; thread += 1) words[this.half * 2 + thread] = this.ask(thread, from, 0);
    words[this.half * 2 + this.threads] = NO_WAY;
    (this.next[0] as Chunk).count = 1;
    this.remember(0, 0, 0);
    this.count = 1;
    [this.now, this.next] = [this.next, this.now];
  }

  /** Expand one level; false when there is no further one. */
  level(): boolean {
    let done = 0;
    for (const chunk of this.now) {
      this.expand(chunk, this.base + done);
      if (this.stopped) return false;
      done += chunk.count;
      chunk.count = 0;
      this.spare.push(chunk);
    }
    this.now = this.next;
    this.next = [];
    if (this.now.length === 0) return false;
    this.base += done;
    this.depth += 1;
    return true;
  }
  /** @param base the number of the first state of the chunk */
  private expand({ rows, words, count }: Chunk, base: number): void {
    const { highs, lows, froms, ids, options, threads, commuting, stride, numbers } = this;
    const { state: look, step: show, patient, maxStates } = options;
    const known = this.learned.everyTurn;
    const turnsAt = this.half * 2;
    let { first: firsts, end: ends, flags: flagsOf, highs: highsOf, lows: lowsOf } = numbers;
    let batch = 0;
    for (let state = 0; state < count; state += 1) {
      if (this.count > maxStates) {
        this.stopped = true;
        break;
      }
      const row = state * stride;
      const mine = row * 2 + turnsAt;
      const high = rows[row + stride - 2] as number;
      const low = rows[row + stride - 1] as number;
      let flags = 0;
      for (let thread = 0; thread < threads; thread += 1) flags |= flagsOf[words[mine + thread] as number] as number;
      if (flags === 0) this.resting += 1;
      if (look) this.show(look, base + state, words, row * 2, flags === 0);
      const held = patient && flags === (OWED | TIME);
      const by = words[mine + threads] as number;
      const before = by === NO_WAY || show ? 0 : (numbers.threads[by] as number);
      for (let thread = 0; thread < threads; thread += 1) {
        const turn = words[mine + thread] as number;
        const first = firsts[turn] as number;
        const end = ends[turn] as number;
        if (thread < before && (commuting.of(by, turn) & COMMUTES) !== 0) {
          this.transitions += end - first;
          continue;
        }
        const timed = held && ((flagsOf[turn] as number) & TIME) !== 0;
        for (let id = first; id < end; id += 1) {
          if (timed && known[turn]?.ways[id - first]?.nature === 'time') continue;
          this.transitions += 1;
          if (show) this.showStep(show, this.learned.way(id), base + state, words, row * 2);
          highs[batch] = high ^ (highsOf[id] as number);
          lows[batch] = low ^ (lowsOf[id] as number);
          froms[batch] = state;
          ids[batch] = id;
          batch += 1;
          if (batch === BATCH) {
            this.flush(batch, rows, base);
            ({ first: firsts, end: ends, flags: flagsOf, highs: highsOf, lows: lowsOf } = numbers);
            batch = 0;
          }
        }
      }
    }
    this.flush(batch, rows, base);
  }

  /** Ask the table about the batch, and build the states that are new, from rows whose first state has number `base`. */
  private flush(batch: number, rows: Int32Array, base: number): void {
    const { fresh, froms, ids, highs, lows, threads, stride, commuting, numbers } = this;
    const turnsAt = this.half * 2;
    const news = this.table.add(highs, lows, batch, fresh);
    for (let nth = 0; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      const parent = froms[each] as number;
      const id = ids[each] as number;
      const chunk = this.room();
      const to = chunk.count * stride;
      const origin = parent * stride;
      for (let at = 0; at < stride - 2; at += 1) chunk.rows[to + at] = rows[origin + at] as number;
      chunk.rows[to + stride - 2] = highs[each] as number;
      chunk.rows[to + stride - 1] = lows[each] as number;
      const slotsAt = to * 2;
      const theirs = slotsAt + turnsAt;
      for (let at = numbers.changes[id] as number; at < (numbers.changes[id + 1] as number); at += 2)
        chunk.words[slotsAt + (numbers.writes[at] as number)] = numbers.writes[at + 1] as number;
      for (let which = commuting.affects(id) - 1; which >= 0; which -= 1) {
        const thread = commuting.mayAffect(id, which);
        if ((commuting.of(id, chunk.words[theirs + thread] as number) & TOUCHED) !== 0)
          chunk.words[theirs + thread] = this.ask(thread, chunk.words, slotsAt);
      }
      chunk.words[theirs + threads] = id;
      chunk.count += 1;
      this.remember(this.count, base + parent, id);
      this.count += 1;
    }
  }
  /** The chunk of the next level that has room for one more state. */
  private room(): Chunk {
    const last = this.next[this.next.length - 1];
    if (last !== undefined && last.count < CHUNK) return last;
    let fresh = this.spare.pop();
    if (fresh === undefined) {
      const rows = new Int32Array(CHUNK * this.stride);
      fresh = { rows, words: new Uint16Array(rows.buffer), count: 0 };
    }
    this.next.push(fresh);
    return fresh;
  }
  private remember(state: number, parent: number, way: number): void {
    const at = state % PIECE;
    if (at === 0) {
      this.parents.push(new Int32Array(PIECE));
      this.parentWays.push(new Uint16Array(PIECE));
    }
    (this.parents[this.parents.length - 1] as Int32Array)[at] = parent;
    (this.parentWays[this.parentWays.length - 1] as Uint16Array)[at] = way;
  }
  /** What a process can do, as the number of its turn. */
  private ask(thread: number, words: Uint16Array, at: number): number {
    const { id } = this.learned.turn(thread, words, at);
    if (id >= this.known) {
      this.numbers.learn(this.learned);
      this.commuting.meet();
      this.known = this.learned.everyTurn.length;
    }
    return id;
  }
  /** Let the visitor look at a state. */
  private show(
    look: NonNullable<LeanOptions<F>['state']>,
    state: number,
    words: Uint16Array,
    at: number,
    resting: boolean,
  ): void {
    const { everyTurn, packing } = this.learned;
    const turns: Turn<F>[] = [];
    for (let thread = 0; thread < this.threads; thread += 1)
      turns.push(everyTurn[words[at + packing.width + thread] as number] as Turn<F>);
    look(state, turns, words, at, resting);
  }
  /** Let the visitor look at a step, in the state after it. */
  private showStep(
    step: NonNullable<LeanOptions<F>['step']>,
    way: Way<F>,
    state: number,
    words: Uint16Array,
    at: number,
  ): void {
    const after = words.slice(at, at + this.learned.packing.width);
    apply(way, after, 0);
    step(way, state, after);
  }
}
