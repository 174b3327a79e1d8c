/**
 * Remember a few bits of each state: the smallest memory, and a state whose bits were all set by others is taken for
 * seen and never looked at (G. J. Holzmann, An Analysis of Bitstate Hashing, 1998). Such a search finds bugs in spaces
 * that fit nowhere; it never says that every state was searched.
 */
import { mixed } from './nodes.ts';
import type { Arrays, Candidates, Doubt, Seen } from './seen.ts';

/** 16 MiB of bits, three for each state. */
export const USUAL_BITS = { log2: 27, hashes: 3 } as const;

export class BitSeen implements Seen {
  private readonly bits: Int32Array;
  private readonly shift: number;
  private readonly hashes: number;
  private set = 0;
  /** How many states are expected to have been taken for seen: for each new one, the chance that it had been missed. */
  private missed = 0;

  /** @throws when the array or the number of hashes makes no sense */
  constructor({ log2, hashes }: { readonly log2: number; readonly hashes: number } = USUAL_BITS) {
    if (!Number.isInteger(log2) || log2 < 5 || log2 > 32)
      throw new Error(`the bits must be 2^5 to 2^32, not 2^${log2}`);
    if (!Number.isInteger(hashes) || hashes < 1 || hashes > 16)
      throw new Error(`a state sets 1 to 16 bits, not ${hashes}`);
    this.bits = new Int32Array(2 ** (log2 - 5));
    this.shift = 32 - log2;
    this.hashes = hashes;
  }
  get bytes(): number {
    return this.bits.byteLength;
  }
  growth(): number {
    return 0;
  }

  add({ highs, lows }: Candidates, n: number, fresh: Int32Array): number {
    const { bits, shift, hashes } = this;
    let news = 0;
    let set = 0;
    for (let each = 0; each < n; each += 1) {
      const stride = mixed(highs[each] as number) | 1;
      let hash = mixed(lows[each] as number);
      let fresher = 0;
      for (let nth = 0; nth < hashes; nth += 1) {
        const bit = hash >>> shift;
        const at = bit >>> 5;
        const one = 1 << (bit & 31);
        const there = bits[at] as number;
        if ((there & one) === 0) {
          bits[at] = there | one;
          fresher += 1;
        }
        hash = (hash + stride) | 0;
      }
      if (fresher === 0) continue;
      set += fresher;
      fresh[news] = each;
      news += 1;
    }
    const chance = (this.set / (bits.length * 32)) ** hashes;
    this.set += set;
    this.missed += chance < 1 ? (news * chance) / (1 - chance) : 0;
    return news;
  }

  doubt(states: number): Doubt {
    const fraction = this.missed / (states + this.missed);
    const fill = (100 * this.set) / (this.bits.length * 32);
    return {
      exhaustive: false,
      says: `${this.hashes} bits are kept of a state and ${fill.toFixed(2)} % are set, so about ${percent(fraction)} of the states may be missed, and what is reached only through them`,
    };
  }
  /** The expected fraction of states taken for seen. */
  fraction(states: number): number {
    return this.missed / (states + this.missed);
  }
  save(): Arrays {
    return { bits: this.bits, counts: Float64Array.of(this.set, this.missed) };
  }
  restore({ bits, counts }: Arrays): void {
    if (bits?.length !== this.bits.length) throw new Error('it has another number of bits');
    this.bits.set(bits);
    [this.set, this.missed] = counts as unknown as [number, number];
  }
}

const percent = (fraction: number): string =>
  fraction === 0
    ? '0 %'
    : fraction < 1e-4
      ? `${(100 * fraction).toExponential(1)} %`
      : `${(100 * fraction).toFixed(2)} %`;
