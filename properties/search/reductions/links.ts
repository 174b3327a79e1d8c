/**
 * The edges of a reduced graph, from one state that is kept to the next. On a straight road that is more than one step:
 * then the edge knows who was passed over all the way, and by which step it began.
 */
import { enlarged } from '../store.ts';
import type { Edges } from '../streett.ts';

const NONE = -1;

/** Edges that nobody tells apart by a label, with what is known of them. */
export interface Linked extends Edges {
  /** By edge: the way by which it begins, and who was passed over on it, as a set of bits. */
  readonly ways: Int32Array;
  readonly passed: Int32Array;
}

export class Links {
  private heads: Int32Array = new Int32Array(1024).fill(NONE);
  // Edges, each with the next of the same state.
  private next: Int32Array = new Int32Array(1024);
  private to: Int32Array = new Int32Array(1024);
  private ways: Int32Array = new Int32Array(1024);
  private passed: Int32Array = new Int32Array(1024);
  private made = 0;

  get bytes(): number {
    return 4 * this.heads.length + 16 * this.next.length;
  }
  add(from: number, to: number, way: number, passed: number): void {
    while (from >= this.heads.length) {
      const { length } = this.heads;
      this.heads = enlarged(this.heads).fill(NONE, length);
    }
    if (this.made >= this.to.length) {
      this.to = enlarged(this.to);
      this.next = enlarged(this.next);
      this.ways = enlarged(this.ways);
      this.passed = enlarged(this.passed);
    }
    this.to[this.made] = to;
    this.ways[this.made] = way;
    this.passed[this.made] = passed;
    this.next[this.made] = this.heads[from] as number;
    this.heads[from] = this.made;
    this.made += 1;
  }
  /** The edges of this state are no more. */
  forget(from: number): void {
    if (from < this.heads.length) this.heads[from] = NONE;
  }

  /** The edges of those of `states` states that are wanted, state by state. */
  all(states: number, wanted: (state: number) => boolean = () => true): Linked {
    const first = new Int32Array(states + 1);
    const to = new Int32Array(this.made);
    const ways = new Int32Array(this.made);
    const passed = new Int32Array(this.made);
    let count = 0;
    for (let state = 0; state < states; state += 1) {
      first[state] = count;
      if (state < this.heads.length && wanted(state))
        for (let edge = this.heads[state] as number; edge !== NONE; edge = this.next[edge] as number) {
          to[count] = this.to[edge] as number;
          ways[count] = this.ways[edge] as number;
          passed[count] = this.passed[edge] as number;
          count += 1;
        }
    }
    first[states] = count;
    const made = { to: to.subarray(0, count), ways: ways.subarray(0, count), passed: passed.subarray(0, count) };
    return { first, ...made, label: new Int32Array(count), states, labels: 1 };
  }
}
