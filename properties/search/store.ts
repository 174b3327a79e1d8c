/** States by number, for whoever goes through them. */
export interface States {
  /** All states by slots, one after another. */
  readonly words: Uint16Array;
  readonly count: number;
  readonly bytes: number;
  /** The two lanes of a state's fingerprint. */
  high(state: number): number;
  low(state: number): number;
}

/** Numbers in a line of the cache. */
const LINE = 16;

/**
 * The set of states seen: every state in full, found by a 64-bit fingerprint, and compared number by number when the
 * fingerprints agree. Nothing is ever taken for seen that was not: the count is exact.
 */
export class StateStore implements States {
  /** All states, one after another. */
  words: Uint16Array;
  count = 0;
  /** The same memory, two slots at a time. */
  private pairs: Int32Array;
  private readonly width: number;
  private readonly half: number;
  /** Pairs of (high lane, state number + 1); a zero second entry is free. */
  private table: Int32Array;
  private lows: Int32Array;
  private highs: Int32Array;
  private mask: number;
  private found = new Int32Array(1024);
  /** The sum of what touching saw: it keeps the touching loops from being thrown away. */
  touched = 0;

  /** @param width slots of a state, an even number */
  constructor(width: number) {
    this.width = width;
    this.half = width / 2;
    this.words = new Uint16Array(width * 1024);
    this.pairs = new Int32Array(this.words.buffer);
    this.lows = new Int32Array(1024);
    this.highs = new Int32Array(1024);
    this.table = new Int32Array(4096 * 2);
    this.mask = 4095;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.words.byteLength + this.table.byteLength + this.lows.byteLength + this.highs.byteLength;
  }
  /** Bytes that adding `n` states may take on top, while the old room is still there. */
  growth(n: number): number {
    const after = this.count + n;
    const doubled = (room: number, needed: number): number => (needed > room ? doubled(room * 2, needed) : room);
    const words = doubled(this.words.length, after * this.width);
    const lanes = doubled(this.lows.length, after);
    const places = doubled(this.mask + 1, (after + 1) * 2);
    return (
      (words === this.words.length ? 0 : words * 2) +
      (lanes === this.lows.length ? 0 : lanes * 8) +
      (places === this.mask + 1 ? 0 : places * 8)
    );
  }
  high(state: number): number {
    return this.highs[state] as number;
  }
  low(state: number): number {
    return this.lows[state] as number;
  }

  /**
   * The number of a state; a new one is `count - 1` afterwards.
   * @param candidate the state as pairs of slots, from 0
   */
  add(candidate: Int32Array, high: number, low: number): number {
    if ((this.count + 1) * 2 > this.mask) this.grow();
    for (let probe = (low ^ Math.imul(high, 0x9e3779b1)) & this.mask; ; probe = (probe + 1) & this.mask) {
      const number = this.table[probe * 2 + 1] as number;
      if (number === 0) return this.insert(candidate, high, low, probe);
      if (this.table[probe * 2] === high && this.lows[number - 1] === low && this.same(candidate, number - 1))
        return number - 1;
    }
  }
  /**
   * Touch what asking for these fingerprints will touch, in loops in which no access depends on another, so that the
   * memory overlaps them.
   */
  touch(highs: Int32Array, lows: Int32Array, n: number): void {
    if (n > this.found.length) this.found = new Int32Array(n);
    const { table, mask, found, pairs, half } = this;
    for (let each = 0; each < n; each += 1) {
      const probe = ((lows[each] as number) ^ Math.imul(highs[each] as number, 0x9e3779b1)) & mask;
      found[each] = table[probe * 2 + 1] as number;
    }
    let touched = 0;
    for (let each = 0; each < n; each += 1) {
      const state = found[each] as number;
      if (state === 0) continue;
      touched ^= this.lows[state - 1] as number;
      for (let at = (state - 1) * half, end = at + half; at < end; at += LINE) touched ^= pairs[at] as number;
    }
    this.touched ^= touched;
  }
  /** Was this state added? */
  has(candidate: Int32Array, high: number, low: number): boolean {
    for (let probe = (low ^ Math.imul(high, 0x9e3779b1)) & this.mask; ; probe = (probe + 1) & this.mask) {
      const number = this.table[probe * 2 + 1] as number;
      if (number === 0) return false;
      if (this.table[probe * 2] === high && this.lows[number - 1] === low && this.same(candidate, number - 1))
        return true;
    }
  }
  /** Copy a state out, as pairs of slots. */
  copy(state: number, candidate: Int32Array): void {
    const at = state * this.half;
    for (let pair = 0; pair < this.half; pair += 1) candidate[pair] = this.pairs[at + pair] as number;
  }

  private same(candidate: Int32Array, state: number): boolean {
    const at = state * this.half;
    for (let pair = 0; pair < this.half; pair += 1) if (this.pairs[at + pair] !== candidate[pair]) return false;
    return true;
  }
  private insert(candidate: Int32Array, high: number, low: number, probe: number): number {
    const state = this.count;
    this.count += 1;
    if (this.count * this.width > this.words.length) {
      const larger = new Int32Array(this.pairs.length * 2);
      larger.set(this.pairs);
      this.pairs = larger;
      this.words = new Uint16Array(larger.buffer);
    }
    if (this.count > this.lows.length) {
      this.lows = enlarged(this.lows);
      this.highs = enlarged(this.highs);
    }
    const at = state * this.half;
    for (let pair = 0; pair < this.half; pair += 1) this.pairs[at + pair] = candidate[pair] as number;
    this.lows[state] = low;
    this.highs[state] = high;
    this.table[probe * 2] = high;
    this.table[probe * 2 + 1] = state + 1;
    return state;
  }
  private grow(): void {
    const old = this.table;
    this.mask = this.mask * 2 + 1;
    this.table = new Int32Array((this.mask + 1) * 2);
    for (let at = 0; at < old.length; at += 2) {
      const number = old[at + 1] as number;
      if (number === 0) continue;
      let probe = ((this.lows[number - 1] as number) ^ Math.imul(old[at] as number, 0x9e3779b1)) & this.mask;
      while (this.table[probe * 2 + 1] !== 0) probe = (probe + 1) & this.mask;
      this.table[probe * 2] = old[at] as number;
      this.table[probe * 2 + 1] = number;
    }
  }
}

/** The same numbers with room for as many again. */
export function enlarged<Numbers extends Int32Array | Uint8Array>(numbers: Numbers): Numbers {
  const larger = new (numbers.constructor as new (length: number) => Numbers)(numbers.length * 2);
  larger.set(numbers);
  return larger;
}
