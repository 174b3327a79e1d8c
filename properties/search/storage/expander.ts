/**
 * The inner loop of every breadth-first search: take all steps out of the states of a level, ask a memory which of the
 * states they lead to are new, and build those. How states are remembered, by one process or by several that share a
 * memory, is the host's business.
 *
 * Where the time goes is the table, which is larger than any cache. So candidates are only numbers at first (two lanes
 * of a key, a state, a way); a batch of them is asked about at once, so that the memory can overlap the accesses; only
 * new states are ever built. What each process can do is carried along with a state, and asked again only of processes
 * that read what the step wrote. And of steps that commute most are not asked about:
 *
 * Let state s have been found from p by a step b, and let a be a step of a process with a smaller number than b's that
 * commutes with b: it was possible in p, and leads to q. Then s.a = q.b, so a need not be taken in s. Nothing is lost:
 * say a state is at depth d + 1, and all states up to depth d were found at their depth. Of the steps into it from depth
 * d, if a in s is left out, b in q is another one, of a process with a greater number. If that is left out too, there
 * is a third one of a still greater number, and so on; the last one is taken. (This is a sleep set of length one, which
 * needs no memory and, in breadth-first order, no second visit: P. Godefroid, Partial-Order Methods for the
 * Verification of Concurrent Systems, 1996, chapter 5.) Time is left out of this: patience depends on all processes.
 * All states, their depths, and the number of steps are those of the full search. Which of the shortest ways a schedule
 * is may differ. Whoever wants to see every step gets every step.
 */
import { COMMUTES, Commuting, TOUCHED } from '../commuting.ts';
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { Layout } from './layout.ts';
import { type Block, Levels, names, noWay, shapeOf, turnsOf } from './level.ts';
import { Numbers, OWED, TIME } from './numbers.ts';
import type { Candidates, Folding } from './seen.ts';

/** Who remembers states, and whoever looks at them. */
export interface Host<F> {
  /** An end has come; asked now and then. */
  readonly stopped: boolean;
  /**
   * Which of the candidates 0 … n - 1 lead to new states? `fresh` receives their numbers, in order.
   * @returns how many those are, or less than zero when it cannot take them now
   */
  ask(candidates: Candidates, n: number, fresh: Int32Array): number;
  /**
   * States are laid out otherwise from now on.
   * @returns a folding, when states do not go on being their own keys
   */
  rekey?(from: Layout, to: Layout): Folding | undefined;
  /** So many bytes more are needed. @throws when that is too much */
  mayTake?(bytes: number): void;
  /** This turn is met in the state at `words[at]`. */
  meets?(turn: Turn<F>, words: Uint16Array, at: number): void;
  /** As in ExploreOptions; `state` counts from the first state of the search. */
  state?:
    | ((state: number, turns: readonly Turn<F>[], words: Uint16Array, at: number, resting: boolean) => void)
    | undefined;
  step?: ((way: Way<F>, from: number, words: Uint16Array) => void) | undefined;
  /** Steps that nobody wants to look at. */
  silent?: ((way: Way<F>) => boolean) | undefined;
  /** Whoever keeps the edges: told before the steps of a state, of each step, and after the last. */
  readonly edges?:
    | { leave(state: number, transitions: number): void; take(way: number, from: number): void }
    | undefined;
}
export interface Expanding {
  readonly patient: boolean;
  /** Every step is to be asked about. */
  readonly all: boolean;
  /** What a candidate is known by: a fingerprint, the state itself while it has at most 64 bits, or what a folding makes. */
  readonly keys: 'fingerprints' | 'states' | Folding;
}

const BATCH = 1024;
const FEW_VALUES = 4;
/** Not asked yet whether anybody wants to look. */
const UNASKED = 0;
const HEARD = 1;
const SILENT = 2;

export class Expander<S extends object, F> {
  /** The number of the first state of the oldest block. */
  base = 0;
  expanded = 0;
  transitions = 0;
  resting = 0;
  /** The key of the state that the host looks at. */
  high = 0;
  low = 0;
  readonly levels: Levels;
  private readonly learned: Learned<S, F>;
  private readonly host: Host<F>;
  private readonly patient: boolean;
  private readonly all: boolean;
  private readonly threads: number;
  private readonly commuting: Commuting<S, F>;
  private linear: boolean;
  private folding: Folding | undefined;
  private numbers: Numbers<S, F>;
  private known = 0;
  /** Where it stands in the oldest block, and what it has not asked about yet. */
  private at = 0;
  private batch = 0;
  /** The batch was collected while states were their own keys, and now they are not. */
  private rekeyed = false;
  private candidates: Candidates;
  private fresh = new Int32Array(0);
  private heard = new Uint8Array(64);
  /** By turn: was it met in a state of this search? */
  private met = new Uint8Array(64);
  /** A state by slots; what every process said. */
  private readonly here: Uint16Array;
  private readonly asked: Int32Array;
  private readonly shown: Turn<F>[] = [];

  constructor(learned: Learned<S, F>, host: Host<F>, { patient, all, keys }: Expanding) {
    const { packing, threads } = learned;
    this.learned = learned;
    this.host = host;
    this.patient = patient;
    this.all = all;
    this.threads = threads.length;
    this.commuting = new Commuting(learned);
    this.linear = keys === 'states';
    this.folding = typeof keys === 'string' ? undefined : keys;
    const most = new Uint16Array(packing.width);
    const layout = Layout.tight(most);
    this.numbers = new Numbers(layout, this.linear, most);
    this.levels = new Levels(shapeOf(layout, this.linear, this.threads, 0));
    this.here = new Uint16Array(packing.width);
    this.asked = new Int32Array(this.threads);
    this.candidates = candidatesFor(0, this.levels.open());
    this.reserve();
  }

  get bytes(): number {
    return this.levels.bytes + this.commuting.bytes;
  }
  get layout(): Layout {
    return this.levels.shape.layout;
  }

  /** By slot: the largest number that stands there anywhere, which says how states are laid out. */
  get most(): Uint16Array {
    return this.numbers.most;
  }
  /** Make room for such numbers, before anything is entered. */
  widen(most: Uint16Array): void {
    most.forEach((number, slot) => (this.numbers.most[slot] = number));
    this.refit();
  }

  /** One more state of the next level, given by slots at `words[at]`; `by` is the way by which it was found, if known. */
  enter(words: Uint16Array, at: number, by?: number): Block {
    const { learned, levels, threads, folding } = this;
    const { most } = this.numbers;
    const { width } = learned.packing;
    for (let slot = 0; slot < width; slot += 1)
      if ((words[at + slot] as number) > (most[slot] as number)) most[slot] = words[at + slot] as number;
    for (let thread = 0; thread < threads; thread += 1) this.asked[thread] = this.ask(thread, words, at);
    this.refit();
    const { shape } = levels;
    const block = levels.open();
    const { rows } = block;
    const row = block.count * shape.stride;
    rows.fill(0, row, row + shape.stride);
    shape.layout.put(words, at, rows, row);
    if (folding) {
      folding.stand(words, at);
      this.folded(folding, rows, row + shape.keyAt);
    } else if (!this.linear) {
      const state = words.subarray(at, at + width);
      rows[row + shape.keyAt] = learned.packing.fingerprint(state, 'low');
      rows[row + shape.keyAt + 1] = learned.packing.fingerprint(state, 'high');
    }
    const turns = turnsOf(block, shape);
    const mine = (row + shape.turnsAt) * shape.turnsPerWord;
    for (let thread = 0; thread < threads; thread += 1) turns[mine + thread] = this.asked[thread] as number;
    turns[mine + threads] = by ?? noWay(shape);
    block.count += 1;
    return block;
  }
  /** The candidate that is the last state entered, and no step: for the first question. */
  entered(block: Block): Candidates {
    const { candidates, levels } = this;
    const { keyAt, stride } = levels.shape;
    const row = (block.count - 1) * stride + keyAt;
    candidates.block = block;
    candidates.lows[0] = block.rows[row] as number;
    candidates.highs[0] = block.rows[row + 1] as number;
    candidates.froms[0] = block.count - 1;
    candidates.ways[0] = -1;
    return candidates;
  }

  /** Take the last state of the level out of it, to `words[at]` and on. */
  leave(words: Uint16Array, at: number): void {
    const { levels, here } = this;
    const { layout, stride } = levels.shape;
    const block = levels.now.at(-1) as Block;
    block.count -= 1;
    layout.take(block.rows, block.count * stride, here);
    words.set(here, at);
    if (block.count === 0) levels.now.pop();
  }

  /** Expand the level. @returns false when the host could not take candidates, or has stopped; to be called again */
  expand(): boolean {
    const { levels, host } = this;
    for (let block = levels.now[0]; block; block = levels.now[0]) {
      if (this.batch > 0 && !this.flush()) return false;
      while (this.at < (levels.now[0] as Block).count) {
        if (host.stopped) return false;
        this.collect(levels.now[0] as Block); // a new one when rows came to look different
        if (!this.flush()) return false;
      }
      this.base += block.count;
      this.at = 0;
      levels.done();
    }
    return true;
  }

  /** Every state of this level, by slots from 0, and the way by which it was found, less than zero when that is not known. */
  each(look: (state: Uint16Array, by: number) => void): void {
    const { levels, threads, here } = this;
    const { layout, stride, turnsAt, turnsPerWord } = levels.shape;
    for (const block of levels.now)
      for (let state = 0; state < block.count; state += 1) {
        layout.take(block.rows, state * stride, here);
        const by = turnsOf(block, levels.shape)[(state * stride + turnsAt) * turnsPerWord + threads] as number;
        look(here, by === noWay(levels.shape) ? -1 : by);
      }
  }

  /** Take steps out of states of the block until there is a batch of candidates. */
  private collect(block: Block): void {
    const { numbers, threads, commuting, host, patient, all, folding } = this;
    const { stride, keyAt, turnsAt, turnsPerWord } = this.levels.shape;
    const { first, end, flags, highs: highsOf, lows: lowsOf, threads: threadsOf, timed } = numbers;
    const { highs, lows, froms, ways } = this.candidates;
    const { edges, step } = host;
    const { rows, count } = block;
    const { shape } = this.levels;
    const turns = turnsOf(block, shape);
    const none = noWay(shape);
    this.rekeyed = false;
    const visited = host.state !== undefined || step !== undefined;
    /** What everybody is open for decides about time, and whoever looks wants to know it, before any step is taken. */
    const ahead = visited || numbers.anyTime;
    this.candidates.block = block;
    let batch = 0;
    let state = this.at;
    for (; state < count && batch < BATCH; state += 1) {
      const row = state * stride;
      const mine = (row + turnsAt) * turnsPerWord;
      const low = rows[row + keyAt] as number;
      const high = rows[row + keyAt + 1] as number;
      let flag = 0;
      if (ahead)
        for (let thread = 0; thread < threads; thread += 1) flag |= flags[turns[mine + thread] as number] as number;
      if (visited) {
        this.high = high;
        this.low = low;
        this.visit(block, state, turns, mine, flag === 0);
      }
      if (folding) folding.unfold(high, low);
      edges?.leave(this.base + state, this.transitions);
      const held = patient && flag === (OWED | TIME);
      const by = turns[mine + threads] as number;
      const before = all || by === none ? 0 : (threadsOf[by] as number);
      for (let thread = 0; thread < threads; thread += 1) {
        const turn = turns[mine + thread] as number;
        const last = end[turn] as number;
        flag |= flags[turn] as number;
        let way = first[turn] as number;
        if (thread < before && (commuting.of(by, turn) & COMMUTES) !== 0) {
          this.transitions += last - way;
          continue;
        }
        for (; way < last; way += 1) {
          if (held && timed[way] === 1) continue;
          this.transitions += 1;
          if (step !== undefined) this.show(step, way, this.base + state);
          if (edges !== undefined) edges.take(way, this.base + state);
          if (folding) folding.key(way, highs, lows, batch);
          else {
            highs[batch] = high ^ (highsOf[way] as number);
            lows[batch] = low ^ (lowsOf[way] as number);
          }
          froms[batch] = state;
          ways[batch] = way;
          batch += 1;
        }
      }
      if (flag === 0) this.resting += 1;
      edges?.leave(this.base + state + 1, this.transitions);
    }
    this.expanded += state - this.at;
    this.at = state;
    this.batch = batch;
  }

  /** Ask the host about what was collected, and build the states that are new. @returns whether it took them */
  private flush(): boolean {
    const news = this.host.ask(this.candidates, this.batch, this.fresh);
    if (news < 0) return false;
    for (let nth = 0; nth < news; ) nth = this.build(nth, news);
    this.batch = 0;
    this.reserve();
    return true;
  }
  /** Build new states, up to the first at which rows come to look different. @returns which is the next */
  private build(from: number, news: number): number {
    const { fresh, levels, numbers, threads, linear, commuting, learned, met } = this;
    const { froms, ways, highs, lows } = this.candidates;
    const { shape } = levels;
    const { layout, stride, keyAt, turnsAt, turnsPerWord } = shape;
    const { rows } = levels.now[0] as Block;
    const { spots, patches } = numbers;
    for (let nth = from; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      const way = ways[each] as number;
      const origin = (froms[each] as number) * stride;
      const block = levels.open();
      const target = block.rows;
      const to = block.count * stride;
      for (let at = 0; at < stride; at += 1) target[to + at] = rows[origin + at] as number;
      for (let at = spots[way] as number, last = spots[way + 1] as number; at < last; at += 2) {
        const place = to + (patches[at] as number);
        target[place] = (target[place] as number) ^ (patches[at + 1] as number);
      }
      const turns = turnsOf(block, shape);
      const mine = (to + turnsAt) * turnsPerWord;
      // Ask those processes again that read what the way writes.
      for (let which = commuting.affects(way) - 1; which >= 0; which -= 1) {
        const thread = commuting.mayAffect(way, which);
        if ((commuting.of(way, turns[mine + thread] as number) & TOUCHED) === 0) continue;
        const turn = learned.known(thread, target, to, layout);
        if (turn !== undefined && met[turn.id] === 1) {
          turns[mine + thread] = turn.id;
          continue;
        }
        layout.take(target, to, this.here);
        const id = this.ask(thread, this.here, 0);
        if (learned.everyTurn.length !== this.known) this.refit();
        if (levels.shape !== shape) return nth; // to be built again, otherwise
        turns[mine + thread] = id;
      }
      if (!linear) {
        if (this.rekeyed) this.keyAgain(way, target, to + keyAt, each);
        target[to + keyAt] = lows[each] as number;
        target[to + keyAt + 1] = highs[each] as number;
      }
      turns[mine + threads] = way;
      block.count += 1;
    }
    return news;
  }
  private ask(thread: number, words: Uint16Array, at: number): number {
    const turn = this.learned.turn(thread, words, at);
    if (turn.id >= this.met.length) {
      const larger = new Uint8Array(turn.id * 2);
      larger.set(this.met);
      this.met = larger;
    }
    if (this.met[turn.id] === 0) this.host.meets?.(turn, words, at);
    this.met[turn.id] = 1;
    return turn.id;
  }

  /** Take in what was learned; where that does not fit into a row, change what rows look like. */
  private refit(): void {
    const { learned, numbers, levels } = this;
    const first = this.known === 0;
    if (first) this.makeRoom();
    numbers.learn(learned);
    this.commuting.meet();
    this.known = learned.everyTurn.length;
    const named = Math.max(this.known, learned.waysMade);
    if (this.layout.holds(numbers.most) && names(levels.shape, named)) return;
    const old = levels.shape;
    // Keys have no bits to spare; rows have, and are moved less often for it.
    if (!this.linear && !first) old.layout.ahead(numbers.most);
    const layout = Layout.tight(numbers.most);
    this.host.mayTake?.(levels.moreAs(shapeOf(layout, this.linear, this.threads, named)));
    const made = this.host.rekey?.(old.layout, layout);
    if (made) {
      this.folding = made;
      this.linear = false;
      this.rekeyed = true;
    }
    const { folding, linear, threads } = this;
    this.numbers = new Numbers(layout, linear, numbers.most);
    this.numbers.learn(learned);
    const shape = shapeOf(layout, linear, threads, named);
    const state = new Uint16Array(learned.packing.width);
    levels.reshape(shape, (from, to, nth) => {
      const source = nth * old.stride;
      const target = nth * shape.stride;
      old.layout.take(from.rows, source, state);
      layout.put(state, 0, to.rows, target);
      if (old.keyAt > 0) {
        to.rows[target + shape.keyAt] = from.rows[source + old.keyAt] as number;
        to.rows[target + shape.keyAt + 1] = from.rows[source + old.keyAt + 1] as number;
      } else if (folding) {
        folding.stand(state, 0);
        this.folded(folding, to.rows, target + shape.keyAt);
      }
      const before = turnsOf(from, old);
      const after = turnsOf(to, shape);
      const theirs = (source + old.turnsAt) * old.turnsPerWord;
      const mine = (target + shape.turnsAt) * shape.turnsPerWord;
      for (let thread = 0; thread < threads; thread += 1) after[mine + thread] = before[theirs + thread] as number;
      const by = before[theirs + threads] as number;
      after[mine + threads] = by === noWay(old) ? noWay(shape) : by;
    });
  }
  /** The key of a candidate that was collected while states were their own keys; its state's row has its parent's. */
  private keyAgain(way: number, rows: Int32Array, at: number, each: number): void {
    const { folding, candidates } = this;
    if (!folding) return;
    folding.unfold(rows[at + 1] as number, rows[at] as number);
    folding.key(way, candidates.highs, candidates.lows, each);
  }
  /** A slot that takes few values has room for all of them from the start: to move all states later costs more. */
  private makeRoom(): void {
    const { packing } = this.learned;
    const { most } = this.numbers;
    packing.slots.forEach((_, slot) => {
      const values = packing.domain(slot);
      if (values <= FEW_VALUES) most[slot] = Math.max(most[slot] as number, values - 1);
    });
  }
  private folded(folding: Folding, rows: Int32Array, at: number): void {
    const { highs, lows } = KEY;
    folding.key(-1, highs, lows, 0);
    rows[at] = lows[0] as number;
    rows[at + 1] = highs[0] as number;
  }
  /** Room for a batch, and for all the steps out of one state on top. */
  private reserve(): void {
    const needed = BATCH + this.numbers.mostWays * this.threads;
    if (needed <= this.fresh.length) return;
    this.fresh = new Int32Array(needed * 2);
    this.candidates = candidatesFor(needed * 2, this.candidates.block);
  }

  /** Let the host look at a state; `here` is that state afterwards. */
  private visit(
    block: Block,
    state: number,
    turns: Uint8Array | Uint16Array | Int32Array,
    mine: number,
    resting: boolean,
  ): void {
    const { host, shown, learned, here } = this;
    const { layout, stride } = this.levels.shape;
    layout.take(block.rows, state * stride, here);
    if (!host.state) return;
    for (let thread = 0; thread < this.threads; thread += 1)
      shown[thread] = learned.everyTurn[turns[mine + thread] as number] as Turn<F>;
    host.state(this.base + state, shown, here, 0, resting);
  }
  /** Let the host look at a step, in the state after it; that the state is changed back the way itself says. */
  private show(step: NonNullable<Host<F>['step']>, id: number, from: number): void {
    if (this.heard[id] === SILENT) return;
    const way = this.learned.way(id);
    if (!this.heard[id]) this.listen(way);
    if (this.heard[id] === SILENT) return;
    const { here } = this;
    const { slots, olds } = way;
    apply(way, here, 0);
    step(way, from, here);
    for (let each = 0; each < slots.length; each += 1) here[slots[each] as number] = olds[each] as number;
  }
  private listen(way: Way<F>): void {
    if (way.id >= this.heard.length) {
      const larger = new Uint8Array(way.id * 2).fill(UNASKED);
      larger.set(this.heard);
      this.heard = larger;
    }
    this.heard[way.id] = this.host.silent?.(way) ? SILENT : HEARD;
  }
}

const KEY = { highs: new Int32Array(1), lows: new Int32Array(1) };
function candidatesFor(room: number, block: Block): Candidates {
  return {
    block,
    highs: new Int32Array(room),
    lows: new Int32Array(room),
    froms: new Int32Array(room),
    ways: new Int32Array(room),
  };
}
