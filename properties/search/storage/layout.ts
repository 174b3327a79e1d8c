/**
 * How a packed state stands in whole words of 32 bits: every slot at a place of its own, as many bits as its largest
 * number needs.
 *
 * Numbers of values are found while searching, so a layout may come to be too narrow; then there is a wider one, and
 * whoever holds states in the old one moves them. What a step changes is the same in all states in which it can be
 * taken (what it replaces was read), so in any layout a step is a few words to be added by exclusive or.
 */
import type { Packing } from '../packed.ts';

const WORD = 32;
const SLOT = 16;

export class Layout {
  /** Words that a state takes. */
  readonly words: number;
  /** Bits used of the last word. */
  readonly lastBits: number;
  /** Every slot has half a word: the words are packed states as they are everywhere else. */
  readonly wide: boolean;
  /** By slot: at which bit it begins, counted over all words, and which bits are its own. */
  readonly places: Uint32Array;
  readonly mask: Uint16Array;

  /** @param bits by slot */
  private constructor(bits: readonly number[], wide: boolean) {
    this.wide = wide;
    this.places = new Uint32Array(bits.length);
    this.mask = Uint16Array.from(bits, (each) => 2 ** each - 1);
    const used: number[] = [0];
    bits.forEach((each, slot) => {
      let word = wide ? used.length - 1 : 0; // each at the first place that has room
      while ((used[word] ?? 0) + each > WORD) word += 1;
      this.places[slot] = word * WORD + (each === 0 ? 0 : (used[word] ?? 0));
      used[word] = (used[word] ?? 0) + each;
    });
    this.words = used.length;
    this.lastBits = used.at(-1) as number;
  }
  static wide({ width }: Packing): Layout {
    return new Layout(
      Array.from({ length: width }, () => SLOT),
      true,
    );
  }
  /** @param most by slot: the largest number that stands there */
  static tight(most: Uint16Array): Layout {
    return new Layout(
      Array.from(most, (number) => WORD - Math.clz32(number)),
      false,
    );
  }

  /** Is there room in every slot for these numbers? */
  holds(most: Uint16Array): boolean {
    for (let slot = 0; slot < most.length; slot += 1)
      if ((most[slot] as number) > (this.mask[slot] as number)) return false;
    return true;
  }
  /** Where a number does not fit, have room for one bit more than it needs. */
  ahead(most: Uint16Array): void {
    for (let slot = 0; slot < most.length; slot += 1) {
      const number = most[slot] as number;
      if (number > (this.mask[slot] as number)) most[slot] = Math.min(0xffff, number * 2);
    }
  }
  /** Write a state given by slots to `rows[to]` and on. */
  put(state: Uint16Array, at: number, rows: Int32Array, to: number): void {
    const { places } = this;
    for (let each = 0; each < this.words; each += 1) rows[to + each] = 0;
    for (let slot = 0; slot < places.length; slot += 1) {
      const place = places[slot] as number;
      const word = to + (place >> 5);
      rows[word] = (rows[word] as number) | ((state[at + slot] as number) << (place & 31));
    }
  }
  /** Write the state at `rows[from]` out by slots. */
  take(rows: Int32Array, from: number, state: Uint16Array): void {
    const { places, mask } = this;
    if (this.wide) {
      for (let pair = 0, at = from; pair < places.length; pair += 2, at += 1) {
        const both = rows[at] as number;
        state[pair] = both & 0xffff;
        state[pair + 1] = both >>> 16;
      }
      return;
    }
    for (let slot = 0; slot < places.length; slot += 1) {
      const place = places[slot] as number;
      state[slot] = ((rows[from + (place >> 5)] as number) >>> (place & 31)) & (mask[slot] as number);
    }
  }
  /** What is to be added by exclusive or when a slot changes: to which word, and what. */
  wordOf(slot: number): number {
    return (this.places[slot] as number) >> 5;
  }
  change(slot: number, before: number, after: number): number {
    return (before ^ after) << ((this.places[slot] as number) & 31);
  }
}
