/**
 * One worker of a parallel search: it expands its share of each level, and of the states that nobody had seen before
 * it, those that it saw first are its share of the next. Only fingerprints are shared while it works; states go to
 * another worker between two levels, and only when shares are too unequal.
 *
 * Who sees a state first is chance. So nothing that a search tells may depend on it: counts and depths do not, and what
 * was noticed is chosen, of all that is in one level, by content.
 */
import { word } from '../../../model/case.ts';
import { COMMUTES, Commuting } from '../commuting.ts';
import { type Learned, MOST_TURNS, type Turn, type Way, apply } from '../learned.ts';
import { type Block, Levels } from '../storage/level.ts';
import { type Parcel, Post } from './parcel.ts';
import { SharedTable } from './shared-table.ts';

/** What is to be noticed: names of it, none most of the time. Each name is told once, where it shows first. */
export interface Watch<F> {
  state?(turns: readonly Turn<F>[], words: Uint16Array, at: number, resting: boolean): readonly string[];
  /** `words` is the state after the step, from 0. */
  step?(way: Way<F>, words: Uint16Array): readonly string[];
}
/** Where something was noticed: the fingerprint of a state, and the word of a step out of it. */
export interface Sight {
  readonly name: string;
  readonly high: number;
  readonly low: number;
  readonly word?: string;
}
/** What a worker did of a level. */
export interface Expanded {
  /** The table must grow before it can go on. */
  readonly full: boolean;
  /** States expanded, steps taken, and states at rest, since the last answer. */
  readonly expanded: number;
  readonly transitions: number;
  readonly resting: number;
  readonly sights: readonly Sight[];
  /** Bytes that are this worker's own. */
  readonly bytes: number;
  /** Combinations that it has learned, and what reads too widely to be learned in full. */
  readonly learned: number;
  readonly tooWide: readonly string[];
}
/** What can be asked of a worker; in the same process at once, in another thread with a promise of the answer. */
export interface Worker {
  use(memory: SharedArrayBuffer, header: SharedArrayBuffer): void;
  move(memory: SharedArrayBuffer, from: number, to: number): void;
  /** Begin with the start state as the level. */
  begin(): void;
  /** Go on with the level. `known` are names that need not be noticed any more. */
  expand(known: readonly string[]): Expanded;
  /** The next level becomes the level. @returns how many states of it are here */
  turn(): number;
  give(n: number, from: number, to: number): Parcel;
  take(parcel: Parcel): void;
}

const BATCH = 1024;

/** Which of two sights of one name is told, whoever saw it: the smaller fingerprint, then the smaller word. */
export function smaller(a: Sight, b: Sight): Sight {
  if (a.high !== b.high) return a.high < b.high ? a : b;
  if (a.low !== b.low) return a.low < b.low ? a : b;
  return (a.word ?? '') <= (b.word ?? '') ? a : b;
}

export class Member<S extends object, F> implements Worker {
  private readonly learned: Learned<S, F>;
  private readonly from: Uint16Array;
  private readonly patient: boolean;
  private readonly watch: Watch<F>;
  private readonly levels: Levels;
  private readonly post: Post;
  private table: SharedTable | undefined;
  private commuting: Commuting<S, F> | undefined;
  private turnsMet = 0;
  /** Where it stands in the oldest block of the level, and what it has not asked about yet. */
  private at = 0;
  private batch = 0;
  private highs = new Int32Array(BATCH * 2);
  private lows = new Int32Array(BATCH * 2);
  private froms = new Int32Array(BATCH * 2);
  private ways = new Int32Array(BATCH * 2);
  private fresh = new Int32Array(BATCH * 2);
  private readonly after: Uint16Array;
  private expanded = 0;
  private transitions = 0;
  private resting = 0;
  private readonly sights = new Map<string, Sight>();
  private known: ReadonlySet<string> = new Set();

  constructor(learned: Learned<S, F>, from: Uint16Array, patient: boolean, watch: Watch<F> = {}) {
    this.learned = learned;
    this.from = from;
    this.patient = patient;
    this.watch = watch;
    this.levels = new Levels(learned.packing.width);
    this.post = new Post(learned.packing);
    this.after = new Uint16Array(learned.packing.width);
    this.commuting = watch.step ? undefined : new Commuting(learned);
  }

  use(memory: SharedArrayBuffer, header: SharedArrayBuffer): void {
    this.table ??= new SharedTable(header);
    this.table.use(memory);
  }
  move(memory: SharedArrayBuffer, from: number, to: number): void {
    this.table?.move(memory, from, to);
  }
  begin(): void {
    const { packing } = this.learned;
    this.enter(this.from, 0, packing.fingerprint(this.from, 'high'), packing.fingerprint(this.from, 'low'));
    const { highs, lows } = this.levels.open();
    this.table?.add(highs, lows, 1, this.fresh);
    this.levels.turn();
  }
  turn(): number {
    this.levels.turn();
    return this.levels.now.reduce((sum, { count }) => sum + count, 0);
  }

  expand(known: readonly string[]): Expanded {
    this.known = new Set(known);
    let full = this.batch > 0 && !this.flush();
    for (let block = this.levels.now[0]; block && !full && !this.table?.stopped; block = this.levels.now[0]) {
      full = !this.expandBlock(block);
      if (full || this.at < block.count) break;
      this.at = 0;
      this.levels.done();
    }
    const { expanded, transitions, resting } = this;
    const sights = [...this.sights.values()];
    this.expanded = this.transitions = this.resting = 0;
    this.sights.clear();
    const { leaves: learned, tooWide } = this.learned;
    return { full, expanded, transitions, resting, sights, bytes: this.levels.bytes, learned, tooWide };
  }

  /** @returns whether the table took everything */
  private expandBlock(block: Block): boolean {
    const { learned, patient, watch } = this;
    const { threads, packing } = learned;
    const { words } = block;
    const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
    while (this.at < block.count && !this.table?.stopped) {
      const state = this.at;
      const at = state * packing.width;
      const high = block.highs[state] as number;
      const low = block.lows[state] as number;
      let owed = false;
      let time = false;
      let ways = 0;
      for (let thread = 0; thread < threads.length; thread += 1) {
        const turn = learned.turn(thread, words, at);
        turns[thread] = turn;
        owed ||= turn.owed;
        time ||= turn.time;
        ways += turn.ids.length;
      }
      const resting = !owed && !time;
      if (resting) this.resting += 1;
      if (watch.state) this.notice(watch.state(turns, words, at, resting), high, low);
      this.reserve(ways);
      const { highs, lows, froms, ways: ids } = this;
      const held = patient && owed && time;
      const by = block.bys[state] as number;
      const commuting = by < 0 ? undefined : this.met();
      const before = commuting === undefined ? 0 : learned.way(by).threadAt;
      let { batch } = this;
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
          if (watch.step) this.show(watch, turn.ways[each] as Way<F>, high, low, words, at);
          highs[batch] = high ^ (turn.highs[each] as number);
          lows[batch] = low ^ (turn.lows[each] as number);
          froms[batch] = state;
          ids[batch] = turn.ids[each] as number;
          batch += 1;
        }
      }
      this.batch = batch;
      this.at += 1;
      this.expanded += 1;
      if ((batch >= BATCH || this.at === block.count) && !this.flush()) return false;
    }
    return true;
  }
  /** Ask the table about what was collected, and build the states that are new. @returns whether it had room */
  private flush(): boolean {
    const { learned, levels, table, batch, fresh, froms, ways, highs, lows } = this;
    const block = levels.now[0];
    if (!table || !block) return true;
    if (!table.takes(batch)) return false;
    const half = learned.packing.width / 2;
    const news = table.add(highs, lows, batch, fresh);
    for (let nth = 0; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      const way = learned.way(ways[each] as number);
      const next = levels.open();
      const { count } = next;
      const to = count * half;
      const origin = (froms[each] as number) * half;
      for (let pair = 0; pair < half; pair += 1) next.pairs[to + pair] = block.pairs[origin + pair] as number;
      apply(way, next.words, to * 2);
      next.highs[count] = highs[each] as number;
      next.lows[count] = lows[each] as number;
      next.bys[count] = way.id;
      next.count = count + 1;
    }
    this.batch = 0;
    return true;
  }

  give(n: number, from: number, to: number): Parcel {
    const { width } = this.learned.packing;
    const words = new Uint16Array(n * width);
    const highs = new Int32Array(n);
    const lows = new Int32Array(n);
    for (let given = 0; given < n; ) {
      const block = this.levels.now.at(-1) as Block;
      const some = Math.min(block.count, n - given);
      const first = block.count - some;
      words.set(block.words.subarray(first * width, block.count * width), given * width);
      highs.set(block.highs.subarray(first, block.count), given);
      lows.set(block.lows.subarray(first, block.count), given);
      block.count = first;
      given += some;
      if (block.count === 0) this.levels.now.pop();
    }
    return this.post.write(from, to, { words, highs, lows });
  }
  take(parcel: Parcel): void {
    this.post.read(parcel);
    const mine = this.levels.now;
    this.levels.next = [];
    const { width } = this.learned.packing;
    for (let state = 0; state < parcel.highs.length; state += 1)
      this.enter(parcel.words, state * width, parcel.highs[state] as number, parcel.lows[state] as number);
    this.levels.now = [...mine, ...this.levels.next];
    this.levels.next = [];
  }

  /** One more state of the next level, given in full; by which step it was found is not known here. */
  private enter(words: Uint16Array, at: number, high: number, low: number): void {
    const { width } = this.learned.packing;
    const block = this.levels.open();
    block.words.set(words.subarray(at, at + width), block.count * width);
    block.highs[block.count] = high;
    block.lows[block.count] = low;
    block.bys[block.count] = -1;
    block.count += 1;
  }
  private reserve(ways: number): void {
    if (this.batch + ways <= this.highs.length) return;
    const larger = (old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const array = new Int32Array((this.batch + ways) * 2);
      array.set(old);
      return array;
    };
    this.highs = larger(this.highs);
    this.lows = larger(this.lows);
    this.froms = larger(this.froms);
    this.ways = larger(this.ways);
    this.fresh = larger(this.fresh);
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
  private show(watch: Watch<F>, way: Way<F>, high: number, low: number, words: Uint16Array, at: number): void {
    const { after } = this;
    for (let slot = 0; slot < after.length; slot += 1) after[slot] = words[at + slot] as number;
    apply(way, after, 0);
    this.notice(watch.step?.(way, after) ?? [], high, low, word(way));
  }
  private notice(names: readonly string[], high: number, low: number, by?: string): void {
    for (const name of names) {
      if (this.known.has(name)) continue;
      const sight: Sight = { name, high, low, ...(by === undefined ? {} : { word: by }) };
      const before = this.sights.get(name);
      this.sights.set(name, before ? smaller(before, sight) : sight);
    }
  }
}
