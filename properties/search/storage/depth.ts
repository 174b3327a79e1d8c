/**
 * Depth first, with undo: one state in full, changed by each step and changed back on the way up. Besides the memory of
 * what was seen it keeps only the way on which it stands, so it is the smallest search there is, and it is deep at
 * once: a violation a thousand steps from the start is met long before breadth first gets there. Its counts are those
 * of the breadth-first search; its schedules are not the shortest.
 */
import { word } from '../../../model/case.ts';
import type { ExploreOptions } from '../explore.ts';
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { enlarged } from '../store.ts';
import { type Found, found } from './found.ts';
import { Block } from './level.ts';
import { type Limits, isNoMemory, noMemory, tooManyBytes, tooManyStates } from './limits.ts';
import { type Candidates, type Mode, type Seen, type SeenOptions, newSeen } from './seen.ts';

export interface DepthOptions<F> extends Omit<ExploreOptions<F>, 'edges'>, Limits, SeenOptions {
  readonly mode: Mode;
}
const PROGRESS_EVERY = 16_384;

/**
 * `begins` hands out the schedule of a state on the way on which the search stands; asked for another state later, it
 * throws, so a visitor takes the schedule when it sees the state.
 */
export function depthFirst<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: DepthOptions<F>,
): Found<S, F> {
  const search = new Depth(learned, options);
  options.begins?.((state) => search.schedule(state));
  let why: string | undefined;
  try {
    why = search.run(from);
  } catch (error) {
    if (!isNoMemory(error)) throw error;
    why = noMemory(search.bytes);
  }
  return found(search, search.seen, why);
}

class Depth<S extends object, F> {
  states = 0;
  transitions = 0;
  /** Steps of the longest way on which it stood. */
  depth = 0;
  resting = 0;
  readonly seen: Seen;
  private readonly learned: Learned<S, F>;
  private readonly options: DepthOptions<F>;
  /** The state on which it stands, and its fingerprint. */
  private readonly here: Block;
  private high = 0;
  private low = 0;
  private readonly candidates: Candidates;
  private readonly fresh = new Int32Array(1);
  private readonly after: Uint16Array;
  /** Steps of the way on which it stands. */
  private at = 0;
  /** The way on which it stands: the states, how each was reached, and what each step overwrote. */
  private path: Int32Array = new Int32Array(1024);
  private ways: Int32Array = new Int32Array(1024);
  /** Where to go on in the state at each depth: which process, which of its ways; and whether time is held back. */
  private threads: Int32Array = new Int32Array(1024);
  private nths: Int32Array = new Int32Array(1024);
  private helds: Int32Array = new Int32Array(1024);
  private undo: Int32Array = new Int32Array(4096);
  private undone = 0;

  constructor(learned: Learned<S, F>, options: DepthOptions<F>) {
    this.learned = learned;
    this.options = options;
    // One state at a time: there is no frontier to pack, and a tree is as small as packed states are.
    this.seen = newSeen(
      options.mode === 'packed' ? 'tree' : options.mode,
      learned as unknown as Learned<object, unknown>,
      options,
    );
    this.here = new Block(learned.packing.width / 2, 1);
    this.after = new Uint16Array(learned.packing.width);
    const one = (): Int32Array => new Int32Array(1);
    this.candidates = { block: this.here, highs: one(), lows: one(), froms: one(), ways: one() };
  }

  /** All that were found were looked at. */
  get expanded(): number {
    return this.states;
  }
  get bytes(): number {
    return this.seen.bytes + this.here.rows.byteLength + 5 * this.path.byteLength + this.undo.byteLength;
  }
  schedule(state: number): string[] {
    for (let at = this.at; at >= 0; at -= 1)
      if (this.path[at] === state)
        return Array.from({ length: at }, (_, step) => word(this.learned.way(this.ways[step + 1] as number)));
    throw new Error(`depth first knows the way on which it stands only, and state ${state} is not on it`);
  }

  /** @returns the limit that ended it */
  run(from: Uint16Array): string | undefined {
    const { learned, here, candidates } = this;
    const { packing } = learned;
    here.halves.set(from);
    candidates.highs[0] = this.high = packing.fingerprint(from, 'high');
    candidates.lows[0] = this.low = packing.fingerprint(from, 'low');
    candidates.ways[0] = -1;
    this.seen.folding?.stand(from, 0);
    this.seen.folding?.key(-1, candidates.highs, candidates.lows, 0);
    const tooLittle = this.fits();
    if (tooLittle !== undefined) return tooLittle;
    this.seen.add(candidates, 1, this.fresh);
    this.arrive();
    while (this.at >= 0) {
      const why = this.onward();
      if (why !== undefined) return why;
    }
    return undefined;
  }

  /** Go on from where the search stands: one step down into a new state, or back up when there is none. */
  private onward(): string | undefined {
    const { learned, here, candidates, options, at: depth, seen } = this;
    const { highs, lows, ways } = candidates;
    const { folding } = seen;
    folding?.stand(here.halves, 0);
    let nth = this.nths[depth] as number;
    for (let thread = this.threads[depth] as number; thread < learned.threads.length; thread += 1) {
      const turn = learned.turn(thread, here.halves, 0);
      for (; nth < turn.ids.length; nth += 1) {
        if (this.helds[depth] === 1 && turn.ways[nth]?.nature === 'time') continue;
        this.transitions += 1;
        if (options.step) this.show(turn.ways[nth] as Way<F>);
        const why = this.fits();
        if (why !== undefined) return why;
        if (folding) folding.key(turn.ids[nth] as number, highs, lows, 0);
        else {
          highs[0] = this.high ^ (turn.highs[nth] as number);
          lows[0] = this.low ^ (turn.lows[nth] as number);
        }
        ways[0] = turn.ids[nth] as number;
        if (seen.add(candidates, 1, this.fresh) === 0) continue;
        if (this.states >= options.maxStates) return tooManyStates(options.maxStates);
        this.threads[depth] = thread;
        this.nths[depth] = nth + 1;
        this.go(turn.ways[nth] as Way<F>);
        this.arrive();
        return undefined;
      }
      nth = 0;
    }
    this.back();
    return undefined;
  }

  /** Look at the state on which the search now stands for the first time. */
  private arrive(): void {
    const { learned, here, options } = this;
    const turns: Turn<F>[] = [];
    let owed = false;
    let time = false;
    for (let thread = 0; thread < learned.threads.length; thread += 1) {
      const turn = learned.turn(thread, here.halves, 0);
      if (options.state) turns.push(turn);
      owed ||= turn.owed;
      time ||= turn.time;
    }
    const resting = !owed && !time;
    if (resting) this.resting += 1;
    this.path[this.at] = this.states;
    this.threads[this.at] = 0;
    this.nths[this.at] = 0;
    this.helds[this.at] = options.patient && owed && time ? 1 : 0;
    this.states += 1;
    options.state?.(this.states - 1, turns, here.halves, 0, resting);
    if (options.progress && this.states % PROGRESS_EVERY === 0)
      options.progress(this.states, this.states - this.at, this.at);
  }
  private go(way: Way<F>): void {
    const { here } = this;
    const { slots } = way;
    while (this.undone + slots.length > this.undo.length) this.undo = enlarged(this.undo);
    for (let each = 0; each < slots.length; each += 1)
      this.undo[this.undone + each] = here.halves[slots[each] as number] as number;
    this.undone += slots.length;
    apply(way, here.halves, 0);
    this.high ^= way.high;
    this.low ^= way.low;
    this.at += 1;
    if (this.at > this.depth) this.depth = this.at;
    if (this.at === this.path.length) {
      this.path = enlarged(this.path);
      this.ways = enlarged(this.ways);
      this.threads = enlarged(this.threads);
      this.nths = enlarged(this.nths);
      this.helds = enlarged(this.helds);
    }
    this.ways[this.at] = way.id;
  }
  private back(): void {
    const { here } = this;
    if (this.at > 0) {
      const way = this.learned.way(this.ways[this.at] as number);
      this.undone -= way.slots.length;
      for (let each = 0; each < way.slots.length; each += 1)
        here.halves[way.slots[each] as number] = this.undo[this.undone + each] as number;
      this.high ^= way.high;
      this.low ^= way.low;
    }
    this.at -= 1;
  }

  private fits(): string | undefined {
    const { maxBytes } = this.options;
    if (maxBytes === undefined) return undefined;
    const { seen, at, path, undone, undo } = this;
    const stack = at + 2 > path.length ? path.byteLength * 10 : 0;
    const overwritten = undone + this.learned.packing.width > undo.length ? undo.byteLength * 2 : 0;
    const growth = seen.growth(1) + stack + overwritten;
    return this.bytes + growth > maxBytes ? tooManyBytes(maxBytes, this.bytes, growth) : undefined;
  }
  /** Let the visitor look at a step, in the state after it. */
  private show(way: Way<F>): void {
    this.after.set(this.here.halves);
    apply(way, this.after, 0);
    this.options.step?.(way, this.path[this.at] as number, this.after);
  }
}
