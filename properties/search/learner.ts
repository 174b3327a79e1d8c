/**
 * Learn a function of the state once for each combination of values it reads, and from then on only walk a tree.
 *
 * A path of the tree is the sequence of slots that the function read with the values it found; the leaf is its
 * answer. Reads follow from the values read before, so every walk asks the same questions in the same order; a
 * function for which that fails has hidden state, and is named.
 *
 * The tree is one array of numbers. A branch is: its slot, how many kids it has room for, the kids by value. A kid is 0
 * when nothing is known yet, the place of a branch when positive, the complement of the number of a leaf when negative.
 */
import type { Packing } from './packed.ts';
import type { Recorder } from './recorder.ts';
import { enlarged } from './store.ts';

/** Leaves that one function may learn; beyond it reads too widely to be worth remembering. */
const MOST_LEAVES = 200_000;
const UNKNOWN = 0;
/** A branch begins with its slot and its room. */
const HEAD = 2;

/** One answer, and the values (as numbers) that were read on the way to it, in the order of reading. */
export interface Leaf<R> {
  readonly slots: readonly number[];
  readonly ids: readonly number[];
  readonly answer: R;
}

/** By slot: at which bit of a row it begins, and which bits are its own; see storage/layout.ts. */
export interface Bits {
  readonly places: Uint32Array;
  readonly mask: Uint16Array;
}

export class Learner<S extends object, R> {
  readonly name: string;
  private readonly recorder: Recorder<S>;
  private readonly packing: Packing;
  private readonly ask: (recorder: Recorder<S>) => R;
  private tree: Int32Array = new Int32Array(64);
  private used = 1; // place 0 means unknown
  private root = UNKNOWN;
  private readonly answers: R[] = [];
  private readonly most: number;

  /**
   * @param ask answers from `recorder.view`; everything it needs to know it must read there
   * @param most leaves to remember
   */
  constructor(
    name: string,
    packing: Packing,
    recorder: Recorder<S>,
    ask: (recorder: Recorder<S>) => R,
    most = MOST_LEAVES,
  ) {
    this.most = most;
    this.name = name;
    this.packing = packing;
    this.recorder = recorder;
    this.ask = ask;
  }

  get leaves(): number {
    return this.answers.length;
  }
  /** It reads more than is worth remembering: from here on the readable code runs every time it does not know. */
  get tooWide(): boolean {
    return this.answers.length >= this.most;
  }

  /** All that was learned: no two paths hold in one state. */
  paths(): Leaf<R>[] {
    const found: Leaf<R>[] = [];
    const visit = (node: number, slots: readonly number[], ids: readonly number[]): void => {
      if (node < 0) found.push({ slots, ids, answer: this.answers[~node] as R });
      if (node <= 0) return;
      const slot = this.tree[node] as number;
      for (let id = 0; id < (this.tree[node + 1] as number); id += 1)
        visit(this.tree[node + HEAD + id] as number, [...slots, slot], [...ids, id]);
    };
    visit(this.root, [], []);
    return found;
  }

  /** The answer for the state that starts at `words[at]`. */
  of(words: Uint16Array, at: number): R {
    const tree = this.tree;
    let node = this.root;
    while (node > 0) {
      const id = words[at + (tree[node] as number)] as number;
      node = id < (tree[node + 1] as number) ? (tree[node + HEAD + id] as number) : UNKNOWN;
    }
    return node < 0 ? (this.answers[~node] as R) : this.learn(words, at);
  }

  /** The answer for a state that is laid out in bits at `rows[at]`, if it was learned. */
  known(rows: Int32Array, at: number, { places, mask }: Bits): R | undefined {
    const tree = this.tree;
    let node = this.root;
    while (node > 0) {
      const slot = tree[node] as number;
      const place = places[slot] as number;
      const id = ((rows[at + (place >> 5)] as number) >>> (place & 31)) & (mask[slot] as number);
      node = id < (tree[node + 1] as number) ? (tree[node + HEAD + id] as number) : UNKNOWN;
    }
    return node < 0 ? this.answers[~node] : undefined;
  }

  /** The slots on which the answer for this state depends, in the order in which they are asked. */
  slots(words: Uint16Array, at: number): readonly number[] {
    this.of(words, at);
    const asked: number[] = [];
    let node = this.root;
    while (node > 0) {
      const slot = this.tree[node] as number;
      const id = words[at + slot] as number;
      asked.push(slot);
      node = id < (this.tree[node + 1] as number) ? (this.tree[node + HEAD + id] as number) : UNKNOWN;
    }
    return node < 0 ? asked : [...this.recorder.reads]; // too many leaves: it was asked just now
  }

  private learn(words: Uint16Array, at: number): R {
    this.recorder.begin(words, at);
    const answer = this.ask(this.recorder);
    if (this.answers.length >= this.most) return answer; // still right, only not remembered
    this.answers.push(answer);
    const leaf = ~(this.answers.length - 1);
    let link = -1; // the place that points to `node`; -1 is the root
    let node = this.root;
    for (const slot of this.recorder.reads) {
      if (node < 0) throw new Error(this.notAFunction(slot, -1));
      const id = words[at + slot] as number;
      if (node === UNKNOWN) node = this.point(link, this.branch(slot, id + 1));
      else if (this.tree[node] !== slot) throw new Error(this.notAFunction(slot, this.tree[node] as number));
      else if (id >= (this.tree[node + 1] as number)) node = this.point(link, this.wider(node, id + 1));
      link = node + HEAD + id;
      node = this.tree[link] as number;
    }
    if (node !== UNKNOWN) throw new Error(this.notAFunction(-1, node < 0 ? -1 : (this.tree[node] as number)));
    this.point(link, leaf);
    return answer;
  }

  private point(link: number, to: number): number {
    if (link < 0) this.root = to;
    else this.tree[link] = to;
    return to;
  }
  private branch(slot: number, room: number): number {
    const at = this.used;
    this.used += HEAD + room;
    while (this.used > this.tree.length) this.tree = enlarged(this.tree);
    this.tree[at] = slot;
    this.tree[at + 1] = room;
    return at;
  }
  /** The same branch with room for more kids, in a new place. */
  private wider(node: number, room: number): number {
    const old = this.tree[node + 1] as number;
    const at = this.branch(this.tree[node] as number, Math.max(room, old * 2));
    this.tree.copyWithin(at + HEAD, node + HEAD, node + HEAD + old);
    return at;
  }

  private notAFunction(now: number, before: number): string {
    const at = (slot: number): string => this.packing.slots[slot]?.path.join('.') ?? 'nothing more';
    return `${this.name} is not a function of the state it reads: after the same values it read ${at(before)} before and ${at(now)} now`;
  }
}
