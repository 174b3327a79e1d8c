/**
 * From where, and by which word, each state was found first, in about one and a quarter bytes a state.
 *
 * Breadth first finds states in the order of the states they are found from, so the parents never decrease: one bit
 * for every step from one parent to the next, one for every child, two bits a state in all (P. Elias, 1974). A parent
 * is asked for only when a schedule is told, so a lookup may count some bits.
 */
import type { Arrays } from './seen.ts';

/** Bits, and words, stand in pieces of this many bytes, so that nothing is copied to make room. */
const PIECE = 1 << 16;
const PIECE_BITS = PIECE * 8;
/** A mark at every so many children. */
const MARK_EVERY = 2048;

export class Parents {
  count = 0;
  private readonly bits: Uint8Array[] = [];
  private length = 0;
  private last = 0;
  /** The bit at which child number n · MARK_EVERY stands. */
  private marks = new Float64Array(64);
  /** The low and high bytes of the words; the high ones only when there are more than 256 words. */
  private readonly lows: Uint8Array[] = [];
  private readonly highs: Uint8Array[] = [];

  get bytes(): number {
    return (this.bits.length + this.lows.length + this.highs.length) * PIECE + this.marks.byteLength;
  }
  /** Bytes that `n` states more may take on top. */
  growth(n: number): number {
    const words = Math.ceil((this.count + n) / PIECE) - this.lows.length;
    return (2 * Math.max(0, words) + 2 + Math.ceil(n / PIECE)) * PIECE;
  }

  /** Child number `count` was found from this parent, by the word with this number. Parents never decrease. */
  push(parent: number, word: number): void {
    for (; this.last < parent; this.last += 1) this.bit(1);
    if (this.count % MARK_EVERY === 0) this.mark();
    this.bit(0);
    const piece = Math.floor(this.count / PIECE);
    const at = this.count % PIECE;
    (this.lows[piece] ??= new Uint8Array(PIECE))[at] = word & 0xff;
    if (word > 0xff) {
      while (this.highs.length < piece) this.highs.push(new Uint8Array(PIECE));
      (this.highs[piece] ??= new Uint8Array(PIECE))[at] = word >> 8;
    }
    this.count += 1;
  }
  /** From which state child number `child` was found. */
  parent(child: number): number {
    let at = this.marks[Math.floor(child / MARK_EVERY)] as number;
    for (let zeros = child % MARK_EVERY; ; at += 1) {
      if (((this.bits[Math.floor(at / PIECE_BITS)] as Uint8Array)[(at % PIECE_BITS) >> 3] as number) & (1 << (at & 7)))
        continue;
      if (zeros === 0) return at - child;
      zeros -= 1;
    }
  }
  /** The number of the word by which it was found. */
  word(child: number): number {
    const piece = Math.floor(child / PIECE);
    const at = child % PIECE;
    return ((this.lows[piece] as Uint8Array)[at] as number) | ((this.highs[piece]?.[at] ?? 0) << 8);
  }

  save(): Arrays {
    const parents = new Int32Array(this.count);
    const words = new Uint16Array(this.count);
    let zeros = 0;
    for (let at = 0; zeros < this.count; at += 1) {
      const piece = this.bits[Math.floor(at / PIECE_BITS)] as Uint8Array;
      if ((piece[(at % PIECE_BITS) >> 3] as number) & (1 << (at & 7))) continue;
      parents[zeros] = at - zeros;
      words[zeros] = this.word(zeros);
      zeros += 1;
    }
    return { parents, parentWords: words };
  }
  restore({ parents, parentWords }: Arrays): void {
    if (!parents || parents.length !== parentWords?.length) throw new Error('it does not say where states come from');
    for (let child = 0; child < parents.length; child += 1) {
      const parent = parents[child] as number;
      if (parent < this.last || parent > child) throw new Error(`state ${child + 1} cannot come from state ${parent}`);
      this.push(parent, parentWords[child] as number);
    }
  }

  private bit(value: 0 | 1): void {
    const at = this.length % PIECE_BITS;
    if (at === 0) this.bits.push(new Uint8Array(PIECE));
    if (value === 1) {
      const piece = this.bits.at(-1) as Uint8Array;
      piece[at >> 3] = (piece[at >> 3] as number) | (1 << (at & 7));
    }
    this.length += 1;
  }
  private mark(): void {
    const nth = this.count / MARK_EVERY;
    if (nth === this.marks.length) {
      const larger = new Float64Array(nth * 2);
      larger.set(this.marks);
      this.marks = larger;
    }
    this.marks[nth] = this.length;
  }
}
