/**
 * Breadth first, with any memory: like explore.ts and lean.ts, level by level, but how states are remembered is a
 * matter of the mode; limits end the search with a sentence, and between two levels it can be written down and later
 * be gone on with.
 *
 * States are numbered in the order of discovery in every mode, so all exact modes agree in every number and every
 * schedule. In the mode `full` the edges can be kept, for whoever looks for circles.
 *
 * When nobody looks at the steps, those that commute with the one before are counted and not asked about, as in
 * lean.ts: see there why no state and no depth is lost by it. Which of the shortest ways a schedule is may differ then.
 */
import { word } from '../../../model/case.ts';
import type { ExploreOptions } from '../explore.ts';
import { COMMUTES, Commuting } from '../commuting.ts';
import { type Learned, MOST_TURNS, type Turn, type Way, apply } from '../learned.ts';
import { enlarged } from '../store.ts';
import { type Found, found } from './found.ts';
import { FullSeen } from './full.ts';
import { Block, Levels } from './level.ts';
import { type Limits, isNoMemory, noMemory, tooManyBytes, tooManyStates } from './limits.ts';
import { Origins } from './origins.ts';
import { Parents } from './parents.ts';
import { type Arrays, type Candidates, type Mode, type Seen, type SeenOptions, newSeen } from './seen.ts';
import { type Values, learnValues, valuesOf } from './values.ts';
import { Words } from './words.ts';

export interface BreadthOptions<F> extends ExploreOptions<F>, Limits, SeenOptions {
  readonly mode: Mode;
  /**
   * Called between two levels. `snapshot` gives all it takes to go on from here, as views that must be used at once.
   * What is returned ends the search, as the reason why it is partial.
   */
  readonly between?: (snapshot: () => Snapshot, states: number) => string | undefined;
  /** Go on from here instead of from the start. @throws when it is not of this system */
  readonly resume?: Snapshot;
  /** What the visitor remembers, as JSON, for the snapshot; and the same handed back. */
  readonly remembers?: () => unknown;
  readonly recalls?: (remembered: unknown) => void;
}
export interface FoundFirst<S extends object, F> extends Found<S, F> {
  /** The words of a shortest way from the start to this state. */
  schedule(state: number): string[];
}
/** A search between two levels, as plain data. */
export interface Snapshot {
  readonly facts: {
    readonly states: number;
    readonly transitions: number;
    readonly depth: number;
    readonly resting: number;
    readonly base: number;
    readonly words: readonly string[];
    readonly values: Values;
    readonly visitor: unknown;
  };
  readonly arrays: Arrays;
}

const BATCH = 1024;
/** States of the level whose schedules are followed again when a snapshot is gone on with. */
const REPLAYED = 16;

/** @throws when `resume` does not fit this system, saying how */
export function breadthFirst<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: BreadthOptions<F>,
): FoundFirst<S, F> {
  const search = new Breadth(learned, options);
  options.begins?.((state) => search.schedule(state));
  let why = search.begin(from);
  while (why === undefined && search.level()) {
    options.progress?.(search.states, search.base, search.depth);
    why = options.between?.(() => search.snapshot(), search.states);
  }
  return search.found(why ?? search.why);
}

class Breadth<S extends object, F> {
  states = 0;
  /** The number of the first state that is not expanded yet. */
  base = 0;
  why: string | undefined;
  expanded = 0;
  transitions = 0;
  depth = 0;
  resting = 0;
  private readonly learned: Learned<S, F>;
  private readonly options: BreadthOptions<F>;
  private readonly seen: Seen;
  private readonly words = new Words();
  private readonly parents = new Parents();
  private readonly levels: Levels;
  private readonly candidates: Candidates;
  private readonly fresh = new Int32Array(BATCH);
  private readonly after: Uint16Array;
  private readonly edges: Edges<F> | undefined;
  /** Nothing when every step is to be asked about. */
  private commuting: Commuting<S, F> | undefined;
  private turnsMet = 0;
  private readonly origins: Origins<S, F>;

  constructor(learned: Learned<S, F>, options: BreadthOptions<F>) {
    const { width } = learned.packing;
    this.learned = learned;
    this.options = options;
    if (options.edges && options.mode !== 'full')
      throw new Error(`edges are kept in the mode full, not in the mode ${options.mode}`);
    this.seen = newSeen(options.mode, learned as unknown as Learned<object, unknown>, options);
    this.levels = new Levels(this.seen.folding ? 0 : width);
    this.after = new Uint16Array(width);
    this.edges = options.edges ? new Edges<F>() : undefined;
    const all = options.edges || options.step !== undefined || options.mode === 'bits';
    this.origins = new Origins(learned);
    this.commuting = all ? undefined : new Commuting(learned);
    this.candidates = {
      block: this.levels.open(),
      highs: new Int32Array(BATCH),
      lows: new Int32Array(BATCH),
      froms: new Int32Array(BATCH),
      ways: new Int32Array(BATCH),
    };
  }

  get bytes(): number {
    const { seen, parents, levels, edges, commuting } = this;
    return seen.bytes + parents.bytes + levels.bytes + (edges?.bytes ?? 0) + (commuting?.bytes ?? 0);
  }
  schedule(state: number): string[] {
    const texts: string[] = [];
    for (let at = state; at > 0; at = this.parents.parent(at - 1))
      texts.push(this.words.text(this.parents.word(at - 1)));
    return texts.reverse();
  }
  found(limit: string | undefined): FoundFirst<S, F> {
    const { learned, seen, edges } = this;
    const all: Found<S, F> = found(this, seen, limit);
    const schedule = (state: number): string[] => this.schedule(state);
    if (!edges) return { ...all, schedule };
    const { first, to, way, wayOf } = edges;
    const { store } = seen as FullSeen;
    return { ...all, schedule, graph: { ...all, learned, store, first, to, way, wayOf, schedule } };
  }

  /** @returns why it cannot even begin */
  begin(from: Uint16Array): string | undefined {
    const { candidates, levels, options, seen } = this;
    if (options.resume) {
      this.restore(options.resume, from);
      return undefined;
    }
    return this.heeding(() => {
      const why = this.fits(1);
      if (why !== undefined) return why;
      candidates.block = levels.open();
      this.enter(from, -1);
      candidates.highs[0] = candidates.block.highs[0] as number;
      candidates.lows[0] = candidates.block.lows[0] as number;
      candidates.ways[0] = -1;
      seen.add(candidates, 1, this.fresh);
      this.states = 1;
      levels.turn();
      return undefined;
    });
  }
  /** One more state of the next level, given in full. */
  private enter(state: Uint16Array, by: number): void {
    const { packing } = this.learned;
    const { folding } = this.seen;
    const block = this.levels.open();
    if (folding) {
      folding.stand(state, 0);
      folding.key(-1, block.highs, block.lows, block.count);
    } else {
      block.words.set(state, block.count * packing.width);
      block.highs[block.count] = packing.fingerprint(state, 'high');
      block.lows[block.count] = packing.fingerprint(state, 'low');
    }
    block.bys[block.count] = by;
    block.count += 1;
  }

  /** Expand one level; false when there is no further one, or a limit is met. */
  level(): boolean {
    const { levels } = this;
    this.why = this.heeding(() => {
      for (let block = levels.now[0]; block; block = levels.now[0]) {
        const why = this.expand(block);
        if (why !== undefined) return why;
        this.base += block.count;
        levels.done();
        this.options.progress?.(this.states, this.base, this.depth);
      }
      return undefined;
    });
    if (this.why !== undefined || levels.next.length === 0) return false;
    this.depth += 1;
    levels.turn();
    return true;
  }

  /** Take every step out of the states of a block, of which the first has the number `base`. */
  private expand(block: Block): string | undefined {
    const { learned, options, edges, candidates, base } = this;
    const { highs, lows, froms, ways } = candidates;
    const { folding } = this.seen;
    const { threads, packing } = learned;
    const words = folding?.words ?? block.words;
    candidates.block = block;
    const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
    let batch = 0;
    for (let state = 0; state < block.count; state += 1) {
      if (this.states > options.maxStates) return tooManyStates(options.maxStates);
      const high = block.highs[state] as number;
      const low = block.lows[state] as number;
      if (folding) folding.unfold(high, low);
      const at = folding ? 0 : state * packing.width;
      let owed = false;
      let time = false;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = learned.turn(thread, words, at);
        turns[thread] = turn;
        owed ||= turn.owed;
        time ||= turn.time;
        if (this.commuting) this.origins.meet(turn, words, at);
      }
      if (!owed && !time) this.resting += 1;
      this.expanded += 1;
      options.state?.(base + state, turns, words, at, !owed && !time);
      edges?.leave(base + state, this.transitions);
      const held = options.patient && owed && time;
      const by = block.bys[state] as number;
      const commuting = by < 0 ? undefined : this.met();
      const before = commuting === undefined ? 0 : learned.way(by).threadAt;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = turns[thread] as Turn<F>;
        const changes = turn.ids.length;
        if (thread < before && ((commuting as Commuting<S, F>).of(by, turn.id) & COMMUTES) !== 0) {
          this.transitions += changes;
          continue;
        }
        for (let each = 0; each < changes; each += 1) {
          if (held && turn.ways[each]?.nature === 'time') continue;
          this.transitions += 1;
          if (options.step) this.show(turn.ways[each] as Way<F>, base + state, words, at);
          edges?.take(turn, each, base + state);
          if (folding) folding.key(turn.ids[each] as number, highs, lows, batch);
          else {
            highs[batch] = high ^ (turn.highs[each] as number);
            lows[batch] = low ^ (turn.lows[each] as number);
          }
          froms[batch] = state;
          ways[batch] = turn.ids[each] as number;
          batch += 1;
          if (batch === BATCH) {
            const why = this.flush(batch);
            if (why !== undefined) return why;
            batch = 0;
          }
        }
      }
      edges?.leave(base + state + 1, this.transitions);
    }
    return this.flush(batch);
  }

  /** What commutes with what, with all that was learned so far; nothing when too much was for it to be known. */
  private met(): Commuting<S, F> | undefined {
    const { length } = this.learned.everyTurn;
    if (length !== this.turnsMet) {
      if (length === MOST_TURNS) this.commuting = undefined;
      this.commuting?.meet();
      this.turnsMet = length;
    }
    return this.commuting;
  }

  /** Ask the memory about the batch, and build the states that are new. @returns the limit that stands against it */
  private flush(batch: number): string | undefined {
    const why = this.fits(batch);
    if (why !== undefined) return why;
    const { fresh, candidates, learned, levels, words, edges, parents, base, seen } = this;
    const { block, froms, ways, highs, lows } = candidates;
    const half = learned.packing.width / 2;
    const keysOnly = seen.folding !== undefined;
    const news = seen.add(candidates, batch, fresh);
    edges?.arrive((seen as FullSeen).numbers, batch);
    for (let nth = 0; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      const from = froms[each] as number;
      const way = learned.way(ways[each] as number);
      const next = levels.open();
      const { count } = next;
      if (!keysOnly) {
        const at = count * half;
        const origin = from * half;
        for (let pair = 0; pair < half; pair += 1) next.pairs[at + pair] = block.pairs[origin + pair] as number;
        apply(way, next.words, at * 2);
      }
      next.highs[count] = highs[each] as number;
      next.lows[count] = lows[each] as number;
      next.bys[count] = way.id;
      next.count = count + 1;
      parents.push(base + from, words.number(way));
      this.states += 1;
    }
    return undefined;
  }

  /** Would adding so many states, and everything that goes with them, keep within the limit? */
  private fits(n: number): string | undefined {
    const { maxBytes } = this.options;
    if (maxBytes === undefined) return undefined;
    const growth = this.growth(n);
    return this.bytes + growth > maxBytes ? tooManyBytes(maxBytes, this.bytes, growth) : undefined;
  }
  private growth(n: number): number {
    const { parents, states, seen, levels, edges } = this;
    return seen.growth(n) + levels.growth(n) + parents.growth(n) + (edges?.growth(states + n, BATCH) ?? 0);
  }
  /** A limit that shows only when memory is asked for is a limit like any other. */
  private heeding(run: () => string | undefined): string | undefined {
    try {
      return run();
    } catch (error) {
      if (isNoMemory(error)) return noMemory(this.bytes);
      throw error;
    }
  }
  /** Let the visitor look at a step, in the state after it. */
  private show(way: Way<F>, from: number, words: Uint16Array, at: number): void {
    const { after } = this;
    for (let slot = 0; slot < after.length; slot += 1) after[slot] = words[at + slot] as number;
    apply(way, after, 0);
    this.options.step?.(way, from, after);
  }

  snapshot(): Snapshot {
    const { learned, states, parents, seen, words, edges, options, commuting, origins } = this;
    const { transitions, depth, resting, base } = this;
    const { width } = learned.packing;
    const level = new Uint16Array((states - base) * width);
    const ids = new Int32Array(states - base);
    let nth = 0;
    this.eachOfLevel((state, from, by) => {
      for (let slot = 0; slot < width; slot += 1) level[nth * width + slot] = state[from + slot] as number;
      ids[nth] = by;
      nth += 1;
    });
    return {
      facts: {
        states,
        transitions,
        depth,
        resting,
        base,
        words: words.texts,
        values: valuesOf(learned.packing),
        visitor: options.remembers?.() ?? null,
      },
      arrays: {
        level,
        ...parents.save(),
        ...seen.save(),
        ...(commuting ? origins.save(ids) : {}),
        ...edges?.save(base),
      },
    };
  }
  /** The states of this level, in full, each at a place in some words. */
  private eachOfLevel(look: (words: Uint16Array, at: number, by: number) => void): void {
    const { folding } = this.seen;
    for (const block of this.levels.now)
      for (let state = 0; state < block.count; state += 1) {
        folding?.unfold(block.highs[state] as number, block.lows[state] as number);
        const at = folding ? 0 : state * this.learned.packing.width;
        look(folding?.words ?? block.words, at, block.bys[state] as number);
      }
  }

  private restore({ facts, arrays }: Snapshot, from: Uint16Array): void {
    const { learned, levels, seen, words, options, parents } = this;
    const { packing } = learned;
    const level = arrays['level'];
    if (!level || level.length !== (facts.states - facts.base) * packing.width)
      throw new Error('its last level has another number of states than it says');
    learnValues(packing, facts.values);
    words.restore(facts.words);
    seen.restore(arrays);
    parents.restore(arrays);
    if (parents.count !== facts.states - 1) throw new Error('it does not say where every state comes from');
    const bys = this.commuting ? this.origins.restore(arrays) : undefined;
    for (let at = 0; at < level.length; at += packing.width)
      this.enter(level.subarray(at, at + packing.width) as Uint16Array, bys?.[at / packing.width] ?? -1);
    levels.turn();
    this.states = facts.states;
    this.transitions = facts.transitions;
    this.depth = facts.depth;
    this.resting = facts.resting;
    this.base = this.expanded = facts.base;
    this.replay(from, level as Uint16Array);
    this.edges?.restore(arrays, learned, (seen as FullSeen).store.words);
    options.recalls?.(facts.visitor);
  }
  /** Follow the schedules of some states of the level: a system whose steps have changed meanwhile does not get there. */
  private replay(from: Uint16Array, level: Uint16Array): void {
    const { learned, base } = this;
    const { width } = learned.packing;
    const states = level.length / width;
    const apart = Math.max(1, Math.floor(states / REPLAYED));
    for (let state = 0; state < states; state += apart) {
      const words = from.slice();
      for (const text of this.schedule(base + state)) {
        const way = learned.threads
          .flatMap((_, thread) => learned.turn(thread, words, 0).ways)
          .find((each) => word(each) === text);
        if (!way) throw new Error(`${text} cannot be taken any more on the way to state ${base + state}`);
        apply(way, words, 0);
      }
      if (words.some((id, slot) => id !== level[state * width + slot]))
        throw new Error(`the way to state ${base + state} leads elsewhere now`);
    }
  }
}

/** The edges of the graph so far, as explore.ts keeps them. */
class Edges<F> {
  first: Int32Array = new Int32Array(1024);
  to: Int32Array = new Int32Array(4096);
  wayOf: Int32Array = new Int32Array(4096);
  readonly way: Way<F>[] = [];
  private readonly numbers: number[] = []; // by id of the way
  /** Where each way was first taken: the state, the process, and which of its ways. That is how it is found again. */
  private readonly origins: number[] = [];
  private taken = 0;
  private arrived = 0;

  get bytes(): number {
    return this.first.byteLength + this.to.byteLength + this.wayOf.byteLength;
  }
  /** Bytes that going on to so many states, and taking so many steps more, may take on top. */
  growth(states: number, steps: number): number {
    const edges = this.taken + steps >= this.to.length ? this.to.length * 16 : 0;
    return edges + (states + 1 >= this.first.length ? this.first.length * 8 : 0);
  }
  leave(state: number, transitions: number): void {
    if (state >= this.first.length) this.first = enlarged(this.first);
    this.first[state] = transitions;
  }
  take(turn: Turn<F>, nth: number, from: number): void {
    if (this.taken >= this.to.length) {
      this.to = enlarged(this.to);
      this.wayOf = enlarged(this.wayOf);
    }
    const way = turn.ways[nth] as Way<F>;
    this.wayOf[this.taken] = this.numbers[way.id] ?? this.meet(way, nth, from);
    this.taken += 1;
  }
  private meet(way: Way<F>, nth: number, from: number): number {
    this.numbers[way.id] = this.way.length;
    this.way.push(way);
    this.origins.push(from, way.threadAt, nth);
    return this.way.length - 1;
  }
  arrive(numbers: Int32Array, n: number): void {
    for (let each = 0; each < n; each += 1) this.to[this.arrived + each] = numbers[each] as number;
    this.arrived += n;
  }

  /** @param expanded how many states were expanded */
  save(expanded: number): Arrays {
    return {
      first: this.first.subarray(0, expanded + 1),
      to: this.to.subarray(0, this.taken),
      wayOf: this.wayOf.subarray(0, this.taken),
      edgeOrigins: Int32Array.from(this.origins),
    };
  }
  restore<S extends object>(arrays: Arrays, learned: Learned<S, F>, states: Uint16Array): void {
    const { width } = learned.packing;
    this.first = Int32Array.from(arrays['first'] as Int32Array);
    this.to = Int32Array.from(arrays['to'] as Int32Array);
    this.wayOf = Int32Array.from(arrays['wayOf'] as Int32Array);
    this.taken = this.arrived = this.to.length;
    const origins = arrays['edgeOrigins'] as Int32Array;
    for (let at = 0; at < origins.length; at += 3) {
      const [from, thread, nth] = [...origins.subarray(at, at + 3)] as [number, number, number];
      const way = learned.turn(thread, states, from * width).ways[nth];
      if (!way) throw new Error(`way ${nth} of process ${thread} in state ${from} is gone`);
      this.meet(way, nth, from);
    }
  }
}
