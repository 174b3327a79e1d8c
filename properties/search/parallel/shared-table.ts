/**
 * A set of 64-bit fingerprints in memory that several workers share. A free place is claimed by one atomic exchange of
 * its first half; everything else is plain reading, because a place that is taken never changes again. Whoever sees a
 * first half without its second one waits the few nanoseconds until it is there.
 *
 * Homes keep the order of the hashes, whatever the capacity: so moving to a larger table goes through both in order, and
 * each worker moves a part to a part of its own, but for the borders.
 */
import { RECENT, hash } from '../table.ts';

/** Beyond this the table must be replaced by a larger one before anything is added. */
const FULLEST = 0.7;
const LEAST = 1 << 16;
/** Half of an entry is never zero: zero is a free place. */
const INSTEAD = 0x2545f491;

/** Places in the header. */
const COUNT = 0;
const STOP = 1;
const MOST = 2;

/** What all workers know of each other: how many states there are, whether to stop, and when there are too many. */
export function newHeader(maxStates: number): SharedArrayBuffer {
  const header = new SharedArrayBuffer(12);
  new Int32Array(header)[MOST] = Math.min(maxStates, 2 ** 31 - 1);
  return header;
}
export const bytesOfTable = (capacity: number): number => capacity * 8;
/** Places for at least so many fingerprints. */
export function capacityFor(count: number): number {
  let capacity = LEAST;
  while (count > capacity * FULLEST) capacity *= 2;
  return capacity;
}

export class SharedTable {
  private readonly header: Int32Array;
  private entries: Int32Array = new Int32Array(0);
  private mask = -1;
  /** From a hash of 32 bits to a place. */
  private scale = 0;
  private touched = 0;
  private places = new Int32Array(1024);
  private asked = new Int32Array(1024);
  private readonly recentHighs = new Int32Array(RECENT);
  private readonly recentLows = new Int32Array(RECENT);

  constructor(header: SharedArrayBuffer) {
    this.header = new Int32Array(header);
  }
  /** How many fingerprints all workers have added. */
  get count(): number {
    return Atomics.load(this.header, COUNT);
  }
  /** Everybody is to come to an end. */
  get stopped(): boolean {
    return Atomics.load(this.header, STOP) !== 0 || this.count > (this.header[MOST] as number);
  }
  stop(): void {
    Atomics.store(this.header, STOP, 1);
  }
  /** Work on this memory from now on. */
  use(memory: SharedArrayBuffer): void {
    this.entries = new Int32Array(memory);
    this.mask = this.entries.length / 2 - 1;
    this.scale = (this.mask + 1) / 2 ** 32;
  }
  /** Is there room for `n` more, whatever the others add meanwhile? */
  takes(n: number): boolean {
    return this.count + n <= (this.mask + 1) * FULLEST;
  }

  /**
   * Add fingerprints 0 … n - 1 of the two lanes.
   * @param fresh receives the numbers of those that this call was the first of all to add, in order
   * @returns how many those were
   */
  add(highs: Int32Array, lows: Int32Array, n: number, fresh: Int32Array): number {
    if (n > this.places.length) {
      this.places = new Int32Array(n);
      this.asked = new Int32Array(n);
    }
    const { entries, mask, scale, places, asked, recentHighs, recentLows } = this;
    let questions = 0;
    for (let each = 0; each < n; each += 1) {
      const low = (lows[each] as number) || INSTEAD;
      const high = (highs[each] as number) || INSTEAD;
      const hashed = hash(low, high);
      const recent = hashed & (RECENT - 1);
      if (recentHighs[recent] === high && recentLows[recent] === low) continue;
      recentHighs[recent] = high;
      recentLows[recent] = low;
      places[questions] = ((hashed >>> 0) * scale) | 0;
      asked[questions] = each;
      questions += 1;
    }
    let touched = 0;
    for (let nth = 0; nth < questions; nth += 1) touched ^= entries[(places[nth] as number) * 2] as number;
    this.touched ^= touched;
    let news = 0;
    for (let nth = 0; nth < questions; nth += 1) {
      const each = asked[nth] as number;
      const low = (lows[each] as number) || INSTEAD;
      const high = (highs[each] as number) || INSTEAD;
      for (let place = places[nth] as number; ; place = (place + 1) & mask) {
        let there = entries[place * 2] as number;
        if (there === 0) {
          there = Atomics.compareExchange(entries, place * 2, 0, high);
          if (there === 0) {
            Atomics.store(entries, place * 2 + 1, low);
            fresh[news] = each;
            news += 1;
            break;
          }
        }
        if (there === high && this.second(place) === low) break;
      }
    }
    Atomics.add(this.header, COUNT, news);
    return news;
  }
  /** Move a part of an older table into this one: entries `from` … `to` - 1 of it. Everybody may do a part at once. */
  move(memory: SharedArrayBuffer, from: number, to: number): void {
    const { entries, mask, scale } = this;
    const old = new Int32Array(memory);
    for (let at = from * 2; at < to * 2; at += 2) {
      const high = old[at] as number;
      const low = old[at + 1] as number;
      if (high === 0) continue;
      let place = ((hash(low, high) >>> 0) * scale) | 0;
      while (entries[place * 2] !== 0 || Atomics.compareExchange(entries, place * 2, 0, high) !== 0)
        place = (place + 1) & mask;
      entries[place * 2 + 1] = low;
    }
  }

  private second(place: number): number {
    let low = this.entries[place * 2 + 1] as number;
    while (low === 0) low = Atomics.load(this.entries, place * 2 + 1);
    return low;
  }
}
