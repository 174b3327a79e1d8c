/** The edges of a graph of states while it is found, as explore.ts keeps them: from where, by which way, to where. */
import type { Learned, Way } from '../learned.ts';
import { enlarged } from '../store.ts';
import type { Arrays } from './seen.ts';

export class Edges<S extends object, F> {
  private readonly learned: Learned<S, F>;
  first: Int32Array = new Int32Array(1024);
  to: Int32Array = new Int32Array(4096);
  wayOf: Int32Array = new Int32Array(4096);
  readonly way: Way<F>[] = [];
  private readonly numbers: number[] = []; // by id of the way
  /** Where each way was first taken: the state, the process, and which of its ways. That is how it is found again. */
  private readonly origins: number[] = [];
  private taken = 0;
  private arrived = 0;

  constructor(learned: Learned<S, F>) {
    this.learned = learned;
  }

  get bytes(): number {
    return this.first.byteLength + this.to.byteLength + this.wayOf.byteLength;
  }
  /** Bytes that going on to so many states, and taking so many steps more, may take on top. */
  growth(states: number, steps: number): number {
    const edges = this.taken + steps >= this.to.length ? this.to.length * 16 : 0;
    return edges + (states + 1 >= this.first.length ? this.first.length * 8 : 0);
  }
  leave(state: number, transitions: number): void {
    if (state >= this.first.length) this.first = enlarged(this.first);
    this.first[state] = transitions;
  }
  take(way: number, from: number): void {
    if (this.taken >= this.to.length) {
      this.to = enlarged(this.to);
      this.wayOf = enlarged(this.wayOf);
    }
    this.wayOf[this.taken] = this.numbers[way] ?? this.meet(this.learned.way(way), from);
    this.taken += 1;
  }
  private meet(way: Way<F>, from: number): number {
    this.numbers[way.id] = this.way.length;
    this.way.push(way);
    this.origins.push(from, way.threadAt, way.nth);
    return this.way.length - 1;
  }
  arrive(numbers: Int32Array, n: number): void {
    for (let each = 0; each < n; each += 1) this.to[this.arrived + each] = numbers[each] as number;
    this.arrived += n;
  }

  /** @param expanded how many states were expanded */
  save(expanded: number): Arrays {
    return {
      first: this.first.subarray(0, expanded + 1),
      to: this.to.subarray(0, this.taken),
      wayOf: this.wayOf.subarray(0, this.taken),
      edgeOrigins: Int32Array.from(this.origins),
    };
  }
  restore(arrays: Arrays, states: Uint16Array): void {
    const { learned } = this;
    const { width } = learned.packing;
    this.first = Int32Array.from(arrays['first'] as Int32Array);
    this.to = Int32Array.from(arrays['to'] as Int32Array);
    this.wayOf = Int32Array.from(arrays['wayOf'] as Int32Array);
    this.taken = this.arrived = this.to.length;
    const origins = arrays['edgeOrigins'] as Int32Array;
    for (let at = 0; at < origins.length; at += 3) {
      const [from, thread, nth] = [...origins.subarray(at, at + 3)] as [number, number, number];
      const way = learned.turn(thread, states, from * width).ways[nth];
      if (!way) throw new Error(`way ${nth} of process ${thread} in state ${from} is gone`);
      this.meet(way, from);
    }
  }
}
