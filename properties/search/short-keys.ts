/**
 * A set of keys of up to 40 bits, asked in batches like fingerprints.ts, but a place holds only 32 of them: the others
 * say, mixed with those, in which part of the table it stands. Nothing is lost (J. G. Cleary, Compact Hash Tables
 * Using Bidirectional Linear Probing, 1984, has the idea).
 *
 * All parts are of one size and grow together, in place, the last one first.
 */
import { RECENT, capacityFor, hash, reserved, roomFor } from './table.ts';
import { addAll } from './fingerprints.ts';

/** Bits of the high half at most. */
export const MOST_HIGH_BITS = 8;
/** Places of a part at least: fewer would be filled too unevenly. */
const LEAST = 1024;

export class ShortKeys {
  count = 0;
  /** The sum of what touching saw: it keeps the touching loop from being thrown away. */
  touched = 0;
  /** All parts one after another; zero is a free place. */
  private entries: Int32Array;
  /** Places of all parts, and of one. */
  private capacity: number;
  private size: number;
  private readonly parts: number;
  /** By part: how many keys are there, and whether one is that is written as zero. */
  private readonly counts: Int32Array;
  private readonly zeros: Uint8Array;
  private places = new Int32Array(1024);
  private asked = new Int32Array(1024);
  private readonly recentHighs = new Int32Array(RECENT).fill(-1); // no key has this
  private readonly recentLows = new Int32Array(RECENT);

  /**
   * @param expect keys to make room for at once
   * @param highBits bits that the high half of a key may use
   */
  constructor(expect: number, highBits: number) {
    if (highBits > MOST_HIGH_BITS) throw new Error(`${32 + highBits} bits are too many for a short key`);
    this.parts = 1 << highBits;
    this.counts = new Int32Array(this.parts);
    this.zeros = new Uint8Array(this.parts);
    this.size = Math.ceil(capacityFor(expect, LEAST * this.parts) / this.parts);
    this.capacity = this.size * this.parts;
    this.entries = reserved(roomFor(this.capacity), this.capacity);
  }

  get bytes(): number {
    return this.capacity * 4;
  }
  /** Bytes that adding `n` may take on top. */
  growth(n: number): number {
    // One step more than needed: a part may fill up before its time.
    const capacity = capacityFor(this.count + n, this.capacity) + this.parts;
    return capacity * 4 - this.bytes + this.size * 4 + (capacity > this.entries.length ? this.bytes : 0);
  }
  /** The keys, low half and high half in turn; what is assigned is added. */
  get content(): Int32Array {
    const { entries, size, parts } = this;
    const keys = new Int32Array(this.count * 2);
    let at = 0;
    for (let part = 0; part < parts; part += 1) {
      if (this.zeros[part] === 1) {
        keys[at + 1] = part ^ partOf(hash(0, 0), 0, parts);
        at += 2;
      }
      for (let place = part * size; place < (part + 1) * size; place += 1) {
        const low = entries[place] as number;
        if (low === 0) continue;
        keys[at] = low;
        keys[at + 1] = part ^ partOf(hash(low, 0), 0, parts);
        at += 2;
      }
    }
    return keys;
  }
  set content(keys: Int32Array) {
    addAll(this, keys);
  }

  /**
   * Add keys 0 … n - 1, given as two halves.
   * @param fresh receives the numbers of those that were not in the set, in order
   * @returns how many those were
   */
  add(highs: Int32Array, lows: Int32Array, n: number, fresh: Int32Array): number {
    if (n > this.places.length) {
      this.places = new Int32Array(n);
      this.asked = new Int32Array(n);
    }
    const capacity = capacityFor(this.count + n, this.capacity);
    if (capacity !== this.capacity) this.grow(capacity);
    const { entries, parts, size, counts, places, asked, recentHighs, recentLows } = this;
    const scale = size / 2 ** 32;
    let questions = 0;
    for (let each = 0; each < n; each += 1) {
      const low = lows[each] as number;
      const high = highs[each] as number;
      const hashed = hash(low, 0);
      const recent = (hashed ^ high) & (RECENT - 1);
      if (recentHighs[recent] === high && recentLows[recent] === low) continue;
      recentHighs[recent] = high;
      recentLows[recent] = low;
      places[questions] = partOf(hashed, high, parts) * size + (((hashed >>> 0) * scale) | 0);
      asked[questions] = each;
      questions += 1;
    }
    let touched = 0;
    for (let nth = 0; nth < questions; nth += 1) touched ^= entries[places[nth] as number] as number;
    this.touched ^= touched;
    let news = 0;
    for (let nth = 0; nth < questions; nth += 1) {
      const each = asked[nth] as number;
      const low = lows[each] as number;
      let place = places[nth] as number;
      let there = entries[place] as number;
      if (there === low && low !== 0) continue;
      const part = partOf(hash(low, 0), highs[each] as number, parts);
      if (low === 0) {
        if (this.zeros[part] === 1) continue;
        this.zeros[part] = 1;
      } else {
        const end = (part + 1) * size;
        while (there !== low && there !== 0) {
          place += 1;
          if (place === end) place -= size;
          there = entries[place] as number;
        }
        if (there === low) continue;
        entries[place] = low;
      }
      fresh[news] = each;
      news += 1;
      const full = (counts[part] as number) + 1;
      counts[part] = full;
      if (full < size - 1) continue;
      // A part is full before its time: grow, and ask the rest again.
      this.count += news;
      this.grow(capacity + parts * LEAST);
      return news + this.rest(highs, lows, nth + 1, questions, fresh, news);
    }
    this.count += news;
    return news;
  }
  /** Ask questions `from` … `questions` - 1 again, in a table that has grown. */
  private rest(
    highs: Int32Array,
    lows: Int32Array,
    from: number,
    questions: number,
    fresh: Int32Array,
    news: number,
  ): number {
    const { recentHighs } = this;
    const each = this.asked.slice(from, questions);
    recentHighs.fill(-1); // they were put down as seen, and were not asked about yet
    const more = new Int32Array(each.length);
    const found = this.add(
      Int32Array.from(each, (nth) => highs[nth] as number),
      Int32Array.from(each, (nth) => lows[nth] as number),
      each.length,
      more,
    );
    for (let nth = 0; nth < found; nth += 1) fresh[news + nth] = each[more[nth] as number] as number;
    return found;
  }

  private grow(atLeast: number): void {
    const { parts, size: before } = this;
    const size = Math.ceil(atLeast / parts);
    const capacity = size * parts;
    if (capacity > this.entries.length) {
      const entries = reserved(roomFor(capacity), capacity);
      entries.set(this.entries.subarray(0, this.capacity));
      this.entries = entries;
    }
    this.size = size;
    this.capacity = capacity;
    const { entries } = this;
    const scale = size / 2 ** 32;
    const moved = new Int32Array(before);
    for (let part = parts - 1; part >= 0; part -= 1) {
      moved.set(entries.subarray(part * before, (part + 1) * before));
      entries.fill(0, part * before, (part + 1) * before);
      const start = part * size;
      const end = start + size;
      for (let at = 0; at < before; at += 1) {
        const low = moved[at] as number;
        if (low === 0) continue;
        let place = start + (((hash(low, 0) >>> 0) * scale) | 0);
        while (entries[place] !== 0) {
          place += 1;
          if (place === end) place = start;
        }
        entries[place] = low;
      }
    }
  }
}

/** In which part a key stands; of the part and the low half it follows what the high half is. */
const partOf = (hashed: number, high: number, parts: number): number => (high ^ (hashed >>> 8)) & (parts - 1);
