/**
 * A set of 64-bit keys, asked in batches: open addressing, two 32-bit halves side by side. Keys are fingerprints of
 * states, roots of trees, or states themselves: nothing is lost here.
 *
 * The table is larger than any cache. A batch first touches all its places, in a loop in which no access depends on
 * another, so that the memory overlaps them; only then it asks.
 *
 * It grows in place. A key stands at or after its home, and homes keep the order of the hashes, whatever the capacity:
 * so a run of neighbours, taken out from the end of the table backwards, finds its new homes behind all that is still to
 * be moved.
 */
import { RECENT, capacityFor, hash, reserved, roomFor } from './table.ts';

const LEAST = 4096;

export class FingerprintTable {
  count = 0;
  /** The sum of what touching saw: it keeps the touching loop from being thrown away. */
  touched = 0;
  private entries: Int32Array;
  private capacity: number;
  /** A place in which both halves are zero is free; so of the key that is zero is only known whether it is there. */
  private zero = false;
  private places = new Int32Array(1024);
  private asked = new Int32Array(1024);
  private readonly recentHighs = new Int32Array(RECENT);
  private readonly recentLows = new Int32Array(RECENT);

  /** @param expect keys to make room for at once */
  constructor(expect = 0) {
    this.capacity = capacityFor(expect, LEAST);
    this.entries = reserved(roomFor(this.capacity) * 2, this.capacity * 2);
    this.recentLows[0] = 1; // the key that is zero belongs here, and was not seen; this one belongs elsewhere
  }
  get bytes(): number {
    return this.capacity * 8;
  }
  /** Bytes that adding `n` may take on top. */
  growth(n: number): number {
    const capacity = capacityFor(this.count + n, this.capacity);
    return capacity * 8 - this.bytes + (capacity * 2 > this.entries.length ? this.bytes : 0);
  }
  /** The keys, low half and high half in turn; what is assigned is added. */
  get content(): Int32Array {
    const { entries } = this;
    const keys = new Int32Array(this.count * 2);
    let at = this.zero ? 2 : 0;
    for (let place = 0; place < this.capacity * 2; place += 2) {
      if (entries[place] === 0 && entries[place + 1] === 0) continue;
      keys[at] = entries[place] as number;
      keys[at + 1] = entries[place + 1] as number;
      at += 2;
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
    const capacity = capacityFor(this.count + n, this.capacity);
    if (capacity !== this.capacity) this.grow(capacity);
    if (n > this.places.length) {
      this.places = new Int32Array(n);
      this.asked = new Int32Array(n);
    }
    const { entries, places, asked, recentHighs, recentLows } = this;
    const scale = capacity / 2 ** 32;
    const end = capacity * 2;
    let questions = 0;
    for (let each = 0; each < n; each += 1) {
      const low = lows[each] as number;
      const high = highs[each] as number;
      const hashed = hash(low, high);
      const recent = hashed & (RECENT - 1);
      if (recentHighs[recent] === high && recentLows[recent] === low) continue;
      recentHighs[recent] = high;
      recentLows[recent] = low;
      places[questions] = ((hashed >>> 0) * scale) << 1;
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
      const high = highs[each] as number;
      let place = places[nth] as number;
      for (;;) {
        const there = entries[place] as number;
        const next = entries[place + 1] as number;
        if (there === low && next === high && (low | high) !== 0) break;
        if ((there | next) === 0) {
          if ((low | high) === 0 && this.zero) break;
          this.zero ||= (low | high) === 0;
          entries[place] = low;
          entries[place + 1] = high;
          fresh[news] = each;
          news += 1;
          break;
        }
        place += 2;
        if (place === end) place = 0;
      }
    }
    this.count += news;
    return news;
  }

  private grow(capacity: number): void {
    const before = this.capacity * 2;
    if (capacity * 2 > this.entries.length) {
      const entries = reserved(roomFor(capacity) * 2, capacity * 2);
      entries.set(this.entries.subarray(0, before));
      this.entries = entries;
    }
    this.capacity = capacity;
    const { entries } = this;
    const scale = capacity / 2 ** 32;
    const end = capacity * 2;
    let run: Int32Array = new Int32Array(512);
    for (let place = before - 2; place >= 0; place -= 2) {
      let taken = 0;
      for (; place >= 0; place -= 2) {
        const low = entries[place] as number;
        const high = entries[place + 1] as number;
        if ((low | high) === 0) break;
        if (taken === run.length) {
          const longer = new Int32Array(taken * 2);
          longer.set(run);
          run = longer;
        }
        run[taken] = low;
        run[taken + 1] = high;
        taken += 2;
        entries[place] = 0;
        entries[place + 1] = 0;
      }
      while (taken > 0) {
        taken -= 2;
        const low = run[taken] as number;
        const high = run[taken + 1] as number;
        let home = ((hash(low, high) >>> 0) * scale) << 1;
        while (((entries[home] as number) | (entries[home + 1] as number)) !== 0) {
          home += 2;
          if (home === end) home = 0;
        }
        entries[home] = low;
        entries[home + 1] = high;
      }
    }
  }
}

/** Add the keys that another table gave as its content. @throws when one is there already */
export function addAll(table: Pick<FingerprintTable, 'add'>, keys: Int32Array): void {
  const n = 1024;
  const lows = new Int32Array(n);
  const highs = new Int32Array(n);
  const fresh = new Int32Array(n);
  for (let from = 0; from < keys.length; from += n * 2) {
    const some = Math.min(n, (keys.length - from) / 2);
    for (let each = 0; each < some; each += 1) {
      lows[each] = keys[from + each * 2] as number;
      highs[each] = keys[from + each * 2 + 1] as number;
    }
    if (table.add(highs, lows, some, fresh) !== some) throw new Error('a key stands in it twice');
  }
}
