/**
 * Learn a function of the state once for each combination of values it reads, and from then on only walk a tree.
 *
 * A path of the tree is the sequence of slots that the function read with the values it found; the leaf is its
 * answer. Reads follow from the values read before, so every walk asks the same questions in the same order; a
 * function for which that fails has hidden state, and is named.
 */
import type { Packing } from './packed.ts';
import type { Recorder } from './recorder.ts';

interface Leaf<R> {
  readonly slot: -1;
  readonly answer: R;
}
interface Branch<R> {
  readonly slot: number;
  readonly kids: (Node<R> | undefined)[];
}
type Node<R> = Leaf<R> | Branch<R>;

/** Leaves that one function may learn; beyond it reads too widely to be worth remembering. */
const MOST_LEAVES = 200_000;

export class Learner<S extends object, R> {
  private root: Node<R> | undefined;
  leaves = 0;
  readonly name: string;
  private readonly recorder: Recorder<S>;
  private readonly packing: Packing;
  private readonly ask: (recorder: Recorder<S>) => R;

  /** @param ask answers from `recorder.view`; everything it needs to know it must read there. */
  constructor(name: string, packing: Packing, recorder: Recorder<S>, ask: (recorder: Recorder<S>) => R) {
    this.name = name;
    this.packing = packing;
    this.recorder = recorder;
    this.ask = ask;
  }

  /** The answer for the state that starts at `words[at]`. */
  of(words: Int32Array, at: number): R {
    let node = this.root;
    while (node !== undefined) {
      if (node.slot < 0) return (node as Leaf<R>).answer;
      node = (node as Branch<R>).kids[words[at + node.slot] as number];
    }
    return this.learn(words, at);
  }

  private learn(words: Int32Array, at: number): R {
    this.recorder.begin(words, at);
    const answer = this.ask(this.recorder);
    if (this.leaves >= MOST_LEAVES) return answer; // still right, only not remembered
    this.leaves += 1;
    const leaf: Leaf<R> = { slot: -1, answer };
    const { reads } = this.recorder;
    let parent: Branch<R> | undefined;
    let node = this.root;
    for (const slot of reads) {
      if (node === undefined) {
        node = { slot, kids: [] };
        if (parent) parent.kids[words[at + parent.slot] as number] = node;
        else this.root = node;
      } else if (node.slot !== slot) {
        throw new Error(this.notAFunction(slot, node.slot));
      }
      parent = node as Branch<R>;
      node = parent.kids[words[at + slot] as number];
    }
    if (node !== undefined) throw new Error(this.notAFunction(-1, node.slot));
    if (parent) parent.kids[words[at + parent.slot] as number] = leaf;
    else this.root = leaf;
    return answer;
  }

  private notAFunction(now: number, before: number): string {
    const at = (slot: number): string => this.packing.slots[slot]?.path.join('.') ?? 'nothing more';
    return `${this.name} is not a function of the state it reads: after the same values it read ${at(before)} before and ${at(now)} now`;
  }
}
