/** What the inner loop of a search needs to know of turns and ways, as numbers: the ways of a turn follow one another. */
import type { Learned, Turn, Way } from '../learned.ts';
import { enlarged } from '../store.ts';
import type { Layout } from './layout.ts';

export const OWED = 1;
export const TIME = 2;

export class Numbers<S extends object, F> {
  /** By turn: its first way, the one after its last, OWED and TIME. */
  first: Int32Array = new Int32Array(64);
  end: Int32Array = new Int32Array(64);
  flags: Int32Array = new Int32Array(64);
  /** By way: how it changes the two lanes of the key, whose it is, and whether it comes with time. */
  highs: Int32Array = new Int32Array(64);
  lows: Int32Array = new Int32Array(64);
  threads: Int32Array = new Int32Array(64);
  timed: Int32Array = new Int32Array(64);
  /** By way: where in `writes` its slots begin, each with the number it writes and the one it replaces. */
  changes: Int32Array = new Int32Array(65);
  writes: Int32Array = new Int32Array(64);
  /** By way: where in `patches` its words of a row begin, each with what is added to it by exclusive or. */
  spots: Int32Array = new Int32Array(65);
  patches: Int32Array = new Int32Array(64);
  /** By slot: the largest number that any way writes there, or any state had that was met. */
  readonly most: Uint16Array;
  /** The most ways that a turn has, and whether any turn has ways that come with time. */
  mostWays = 1;
  anyTime = false;
  private turns = 0;
  ways = 0;
  private readonly layout: Layout;
  private readonly linear: boolean;

  /**
   * @param linear the state itself, in two words, is the key
   * @param most what is known before
   */
  constructor(layout: Layout, linear: boolean, most: Uint16Array) {
    this.layout = layout;
    this.linear = linear;
    this.most = most;
  }

  /** Take what was learned since. */
  learn({ everyTurn, waysMade }: Learned<S, F>): void {
    while (everyTurn.length > this.first.length) {
      this.first = enlarged(this.first);
      this.end = enlarged(this.end);
      this.flags = enlarged(this.flags);
    }
    while (waysMade >= this.highs.length) {
      this.highs = enlarged(this.highs);
      this.lows = enlarged(this.lows);
      this.threads = enlarged(this.threads);
      this.timed = enlarged(this.timed);
      this.changes = enlarged(this.changes);
      this.spots = enlarged(this.spots);
    }
    for (; this.turns < everyTurn.length; this.turns += 1) {
      const { owed, time, ways } = everyTurn[this.turns] as Turn<F>;
      this.first[this.turns] = this.ways;
      for (const way of ways) this.add(way);
      this.end[this.turns] = this.ways;
      this.flags[this.turns] = (owed ? OWED : 0) | (time ? TIME : 0);
      this.anyTime ||= time;
      this.mostWays = Math.max(this.mostWays, ways.length);
    }
  }

  private add(way: Way<F>): void {
    const { id, slots, ids, olds, nature } = way;
    if (id !== this.ways) throw new Error(`way ${id} comes where way ${this.ways} was expected`);
    const { layout, most } = this;
    let high = 0;
    let low = 0;
    let at = this.changes[id] as number;
    let spot = this.spots[id] as number;
    while (at + slots.length * 3 > this.writes.length) this.writes = enlarged(this.writes);
    while (spot + slots.length * 2 > this.patches.length) this.patches = enlarged(this.patches);
    for (let each = 0; each < slots.length; each += 1) {
      const slot = slots[each] as number;
      const after = ids[each] as number;
      const before = olds[each] as number;
      if (after > (most[slot] as number)) most[slot] = after;
      this.writes[at] = slot;
      this.writes[at + 1] = after;
      this.writes[at + 2] = before;
      at += 3;
      const word = layout.wordOf(slot);
      const change = layout.change(slot, before, after);
      if (word === 0) low ^= change;
      else high ^= change; // with a key of two words there is no other
      this.patches[spot] = word;
      this.patches[spot + 1] = change;
      spot += 2;
    }
    this.highs[id] = this.linear ? high : way.high;
    this.lows[id] = this.linear ? low : way.low;
    this.threads[id] = way.threadAt;
    this.timed[id] = nature === 'time' ? 1 : 0;
    this.changes[id + 1] = at;
    this.spots[id + 1] = spot;
    this.ways += 1;
  }
}
