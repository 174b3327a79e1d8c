/**
 * A set of 64-bit fingerprints, asked in batches: open addressing, two 32-bit lanes side by side.
 *
 * The table is larger than any cache. A batch first touches all its places, in a loop in which no access depends on
 * another, so that the memory overlaps them; only then it asks.
 */

/** Fingerprints seen lately, direct-mapped: small enough for a fast cache, and most repetitions come soon. */
const RECENT = 1 << 15;
/** The table grows when it is fuller than this. */
const FULLEST = 0.7;

/** All zero means a free place. */
const nonZero = (high: number, low: number): number => (high === 0 && low === 0 ? 1 : high);

export class FingerprintTable {
  count = 0;
  /** The sum of what touching saw: it keeps the touching loop from being thrown away. */
  touched = 0;
  private entries: Int32Array;
  private mask: number;
  private places = new Int32Array(1024);
  private asked = new Int32Array(1024);
  private readonly recentHighs = new Int32Array(RECENT);
  private readonly recentLows = new Int32Array(RECENT);

  /** @param expect fingerprints to make room for at once */
  constructor(expect = 0) {
    let capacity = 4096;
    while (capacity * FULLEST < expect) capacity *= 2;
    this.entries = new Int32Array(capacity * 2);
    this.mask = capacity - 1;
  }
  get bytes(): number {
    return this.entries.byteLength;
  }
  /** Bytes that adding `n` may take on top, while the old table is still there. */
  growth(n: number): number {
    let capacity = this.mask + 1;
    while (this.count + n > capacity * FULLEST) capacity *= 2;
    return capacity === this.mask + 1 ? 0 : capacity * 8;
  }
  /** The table as it is, free places and all; what is assigned becomes the table. */
  get content(): Int32Array {
    return this.entries;
  }
  set content(entries: Int32Array) {
    const capacity = entries.length / 2;
    let count = 0;
    for (let at = 0; at < entries.length; at += 2) if (entries[at] !== 0 || entries[at + 1] !== 0) count += 1;
    if (!Number.isInteger(Math.log2(capacity)) || count > capacity * FULLEST)
      throw new Error(`${count} fingerprints in ${capacity} places are no table`);
    this.entries = entries;
    this.mask = capacity - 1;
    this.count = count;
  }

  /**
   * Add fingerprints 0 … n - 1 of the two lanes.
   * @param fresh receives the numbers of those that were not in the set, in order
   * @returns how many those were
   */
  add(highs: Int32Array, lows: Int32Array, n: number, fresh: Int32Array): number {
    while (this.count + n > (this.mask + 1) * FULLEST) this.grow();
    if (n > this.places.length) {
      this.places = new Int32Array(n);
      this.asked = new Int32Array(n);
    }
    const { entries, mask, places, asked, recentHighs, recentLows } = this;
    let questions = 0;
    for (let each = 0; each < n; each += 1) {
      const low = lows[each] as number;
      const high = nonZero(highs[each] as number, low);
      const hashed = low ^ Math.imul(high, 0x9e3779b1);
      const recent = hashed & (RECENT - 1);
      if (recentHighs[recent] === high && recentLows[recent] === low) continue;
      recentHighs[recent] = high;
      recentLows[recent] = low;
      places[questions] = hashed & mask;
      asked[questions] = each;
      questions += 1;
    }
    let touched = 0;
    for (let nth = 0; nth < questions; nth += 1) touched ^= entries[(places[nth] as number) * 2] as number;
    this.touched ^= touched;
    let news = 0;
    for (let nth = 0; nth < questions; nth += 1) {
      const each = asked[nth] as number;
      const low = lows[each] as number;
      const high = nonZero(highs[each] as number, low);
      for (let place = places[nth] as number; ; place = (place + 1) & mask) {
        const there = entries[place * 2] as number;
        if (there === high && entries[place * 2 + 1] === low) break;
        if (there === 0 && entries[place * 2 + 1] === 0) {
          entries[place * 2] = high;
          entries[place * 2 + 1] = low;
          fresh[news] = each;
          news += 1;
          break;
        }
      }
    }
    this.count += news;
    return news;
  }

  private grow(): void {
    const old = this.entries;
    this.mask = this.mask * 2 + 1;
    this.entries = new Int32Array((this.mask + 1) * 2);
    const { entries, mask } = this;
    for (let at = 0; at < old.length; at += 2) {
      const high = old[at] as number;
      const low = old[at + 1] as number;
      if (high === 0 && low === 0) continue;
      let place = (low ^ Math.imul(high, 0x9e3779b1)) & mask;
      while (entries[place * 2] !== 0 || entries[place * 2 + 1] !== 0) place = (place + 1) & mask;
      entries[place * 2] = high;
      entries[place * 2 + 1] = low;
    }
  }
}
