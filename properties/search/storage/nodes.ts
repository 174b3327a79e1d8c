/** Pairs of numbers, each stored once and numbered from 1 in the order in which they came. */
import { enlarged } from '../store.ts';

/** The index grows when it is fuller than this. */
const FULLEST = 0.6;

/** A mix of 32 bits in which every bit matters to every other; zero stays zero. */
export function mixed(number: number): number {
  let h = Math.imul(number ^ (number >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}

/** Numbers of an entry of the index. */
const ENTRY = 4;

function hashed(left: number, right: number): number {
  const h = Math.imul(left ^ Math.imul(right, 0x9e3779b1), 0x7feb352d);
  return h ^ (h >>> 15);
}

export class NodeTable {
  count = 0;
  /** Left and right of node n at 2n and 2n + 1. */
  private pairs: Int32Array = new Int32Array(4096);
  /** By hash: left, right, the number, and nothing; no number is a free place. A question is one access to memory. */
  private index: Int32Array = new Int32Array(4096 * ENTRY);
  private mask = 4095;

  get bytes(): number {
    return this.pairs.byteLength + this.index.byteLength;
  }
  growth(n: number): number {
    let room = this.pairs.length;
    while ((this.count + n + 1) * 2 > room) room *= 2;
    const before = this.mask + 1;
    let places = before;
    while (this.count + n > places * FULLEST) places *= 2;
    return (room === this.pairs.length ? 0 : room * 4) + (places === before ? 0 : places * 2 * ENTRY * 4);
  }

  /** The number of this pair, which is new if it was not there. */
  number(left: number, right: number): number {
    const { index, mask } = this;
    for (let place = hashed(left, right) & mask; ; place = (place + 1) & mask) {
      const at = place * ENTRY;
      const node = index[at + 2] as number;
      if (node === 0) return this.insert(left, right, at);
      if (index[at] === left && index[at + 1] === right) return node;
    }
  }

  left(node: number): number {
    return this.pairs[node * 2] as number;
  }
  right(node: number): number {
    return this.pairs[node * 2 + 1] as number;
  }

  get content(): Int32Array {
    return this.pairs.subarray(2, (this.count + 1) * 2);
  }
  set content(pairs: Int32Array) {
    for (let at = 0; at < pairs.length; at += 2)
      if (this.number(pairs[at] as number, pairs[at + 1] as number) !== at / 2 + 1)
        throw new Error('a pair stands in it twice');
  }

  private insert(left: number, right: number, at: number): number {
    this.count += 1;
    const node = this.count;
    if ((node + 1) * 2 > this.pairs.length) this.pairs = enlarged(this.pairs);
    this.pairs[node * 2] = left;
    this.pairs[node * 2 + 1] = right;
    this.index[at] = left;
    this.index[at + 1] = right;
    this.index[at + 2] = node;
    if (node > (this.mask + 1) * FULLEST) this.grow();
    return node;
  }
  private grow(): void {
    const mask = this.mask * 2 + 1;
    const index = new Int32Array((mask + 1) * ENTRY);
    const { pairs } = this;
    for (let node = 1; node <= this.count; node += 1) {
      const left = pairs[node * 2] as number;
      const right = pairs[node * 2 + 1] as number;
      let place = hashed(left, right) & mask;
      while (index[place * ENTRY + 2] !== 0) place = (place + 1) & mask;
      index[place * ENTRY] = left;
      index[place * ENTRY + 1] = right;
      index[place * ENTRY + 2] = node;
    }
    this.index = index;
    this.mask = mask;
  }
}
