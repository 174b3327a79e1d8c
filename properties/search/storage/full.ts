/** Remember every state in full, as store.ts does: exact, numbered in the order of discovery, and the largest. */
import { type Learned, apply } from '../learned.ts';
import { StateStore } from '../store.ts';
import type { Arrays, Candidates, Seen } from './seen.ts';

export class FullSeen implements Seen {
  readonly store: StateStore;
  /** After `add`: the number of the state that each candidate leads to. */
  numbers = new Int32Array(0);
  private readonly learned: Learned<object, unknown>;
  private readonly half: number;
  private readonly words: Uint16Array;
  private readonly pairs: Int32Array;

  constructor(learned: Learned<object, unknown>) {
    const { packing } = learned;
    this.learned = learned;
    this.half = packing.width / 2;
    this.words = new Uint16Array(packing.width);
    this.pairs = new Int32Array(this.words.buffer);
    this.store = new StateStore(packing.width);
  }
  get bytes(): number {
    return this.store.bytes;
  }
  growth(n: number): number {
    return this.store.growth(n);
  }

  add({ block, highs, lows, froms, ways }: Candidates, n: number, fresh: Int32Array): number {
    const { learned, half, words, pairs, store } = this;
    if (this.numbers.length < n) this.numbers = new Int32Array(n);
    const { numbers } = this;
    let news = 0;
    for (let each = 0; each < n; each += 1) {
      const origin = (froms[each] as number) * half;
      for (let pair = 0; pair < half; pair += 1) pairs[pair] = block.pairs[origin + pair] as number;
      const way = ways[each] as number;
      if (way >= 0) apply(learned.way(way), words, 0);
      const before = store.count;
      const number = store.add(pairs, highs[each] as number, lows[each] as number);
      numbers[each] = number;
      if (number !== before) continue;
      fresh[news] = each;
      news += 1;
    }
    return news;
  }

  doubt(): undefined {
    return undefined;
  }
  save(): Arrays {
    const { store } = this;
    return { states: store.words.subarray(0, store.count * this.half * 2) };
  }
  /** The fingerprints are made again from the states, which checks that both are of one system. */
  restore({ states }: Arrays): void {
    const { packing } = this.learned;
    const all = states as Uint16Array;
    for (let at = 0; at < all.length; at += packing.width) {
      this.words.set(all.subarray(at, at + packing.width));
      const high = packing.fingerprint(this.words, 'high');
      const number = this.store.add(this.pairs, high, packing.fingerprint(this.words, 'low'));
      if (number !== at / packing.width) throw new Error('a state stands in it twice');
    }
  }
}
