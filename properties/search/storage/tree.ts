/**
 * Remember every state without loss in about as much room as a fingerprint: tree compression (A. Laarman, J. van de
 * Pol, M. Weber, Parallel Recursive State Compression for Free, SPIN 2011).
 *
 * A state is folded pair by pair: two neighbours become the number of that pair in a table shared by all levels, and
 * so on until one pair is left, which is the state. Neighbouring slots take few combinations, so the inner table stays
 * small and a state costs one pair. A step changes few slots, so only the nodes above them are looked up again.
 *
 * Pairs are compared, never only hashed: equal roots mean equal states. The roots stand in the same table as
 * fingerprints do; mixing them first is one-to-one.
 */
import { FingerprintTable } from '../fingerprints.ts';
import type { Learned, Way } from '../learned.ts';
import { NodeTable, mixed } from './nodes.ts';
import type { Arrays, Candidates, Folding, Seen } from './seen.ts';

/** Fewer leaves are filled up with zeros, so that the left half of a root is always a number of a node, never zero. */
const LEAST_LEAVES = 4;
/** Keys that are made before the next question. */
const AHEAD = 1024;
const NONE = -1;
/** Numbers that a node takes in a plan. */
const STEP = 6;

export class TreeSeen implements Seen, Folding {
  readonly folding: Folding = this;
  readonly words: Uint16Array;
  private readonly learned: Learned<object, unknown>;
  private readonly roots: FingerprintTable;
  private readonly nodes = new NodeTable();
  /** The shape, by place: leaves first, then level by level; the last two places are the root. */
  private readonly leaves: number;
  private readonly lefts: Int32Array;
  private readonly rights: Int32Array;
  private readonly parents: Int32Array;
  /** The folded state on which it stands, and the same while a step is tried. */
  private readonly base: Int32Array;
  private readonly folded: Int32Array;
  private readonly dirty: Uint8Array;
  /**
   * By id of the way: where its nodes begin; the slots that it writes and what; the nodes above them from below, each
   * with its two children, and with the last pair that stood there and its number.
   */
  private readonly plans: (Int32Array | undefined)[] = [];

  constructor(learned: Learned<object, unknown>, expect = 0) {
    this.learned = learned;
    this.roots = new FingerprintTable(expect);
    this.leaves = Math.max(LEAST_LEAVES, learned.packing.width / 2);
    const lefts: number[] = Array.from({ length: this.leaves }, () => NONE);
    const rights = [...lefts];
    for (let from = 0, size = this.leaves; size > 2; ) {
      const next = Math.ceil(size / 2);
      for (let at = 0; at < next; at += 1) {
        lefts.push(from + at * 2);
        rights.push(at * 2 + 1 < size ? from + at * 2 + 1 : NONE);
      }
      from += size;
      size = next;
    }
    this.lefts = Int32Array.from(lefts);
    this.rights = Int32Array.from(rights);
    const places = lefts.length;
    this.parents = new Int32Array(places).fill(NONE);
    for (let place = this.leaves; place < places; place += 1) {
      this.parents[lefts[place] as number] = place;
      if (rights[place] !== NONE) this.parents[rights[place] as number] = place;
    }
    this.base = new Int32Array(places);
    this.folded = new Int32Array(places);
    this.words = new Uint16Array(this.folded.buffer);
    this.dirty = new Uint8Array(places);
  }

  get bytes(): number {
    return this.roots.bytes + this.nodes.bytes;
  }
  /** How many pairs stand in the shared table. */
  get shared(): number {
    return this.nodes.count;
  }
  growth(n: number): number {
    return this.roots.growth(n) + this.nodes.growth((n + AHEAD) * (this.base.length - this.leaves));
  }

  add({ highs, lows }: Candidates, n: number, fresh: Int32Array): number {
    return this.roots.add(highs, lows, n, fresh);
  }
  addKeys(highs: Int32Array, lows: Int32Array, n: number, fresh: Int32Array): number {
    return this.roots.add(highs, lows, n, fresh);
  }

  key(way: number, highs: Int32Array, lows: Int32Array, at: number): void {
    const { base, folded, words, nodes, learned } = this;
    const root = base.length - 2;
    let left = base[root] as number;
    let right = base[root + 1] as number;
    if (way >= 0) {
      const plan = this.plans[way] ?? this.planOf(learned.way(way));
      const nodesFrom = plan[0] as number;
      for (let at = 1; at < nodesFrom; at += 2) words[plan[at] as number] = plan[at + 1] as number;
      for (let at = nodesFrom; at < plan.length; at += STEP) {
        const one = folded[plan[at + 1] as number] as number;
        const right = plan[at + 2] as number;
        if (right === NONE) {
          folded[plan[at] as number] = one;
          continue;
        }
        const other = folded[right] as number;
        if (plan[at + 3] !== one || plan[at + 4] !== other) {
          plan[at + 3] = one;
          plan[at + 4] = other;
          plan[at + 5] = nodes.number(one, other);
        }
        folded[plan[at] as number] = plan[at + 5] as number;
      }
      left = folded[root] as number;
      right = folded[root + 1] as number;
      for (let at = 1; at < nodesFrom; at += 2) {
        const leaf = (plan[at] as number) >> 1;
        folded[leaf] = base[leaf] as number;
      }
      for (let at = nodesFrom; at < plan.length; at += STEP)
        folded[plan[at] as number] = base[plan[at] as number] as number;
    }
    const low = right ^ mixed(left);
    lows[at] = low;
    highs[at] = left ^ mixed(low);
  }

  /** Folded from the state before, from which it mostly differs in a few slots. */
  stand(words: Uint16Array, at: number): void {
    const { base, folded, dirty, parents, lefts, rights, leaves, nodes } = this;
    const { width } = this.learned.packing;
    for (let slot = 0; slot < width; slot += 1) {
      const id = words[at + slot] as number;
      if (this.words[slot] === id) continue;
      this.words[slot] = id;
      dirty[slot >> 1] = 1;
    }
    for (let place = 0; place < base.length; place += 1) {
      if (place >= leaves) {
        if (dirty[place] === 0 && base[place] !== 0) continue;
        const left = base[lefts[place] as number] as number;
        const right = rights[place] as number;
        folded[place] = right === NONE ? left : nodes.number(left, base[right] as number);
      } else if (dirty[place] === 0) continue;
      dirty[place] = 0;
      if (base[place] === folded[place]) continue;
      base[place] = folded[place] as number;
      if (parents[place] !== NONE) dirty[parents[place] as number] = 1;
    }
  }
  /** Unfolded from the root, without the nodes that it has in common with the state before. */
  unfold(high: number, low: number): void {
    const { base, folded, dirty, lefts, rights, leaves, nodes } = this;
    const root = base.length - 2;
    const first = high ^ mixed(low);
    folded[root] = first;
    folded[root + 1] = low ^ mixed(first);
    dirty[root] = 1;
    dirty[root + 1] = 1;
    for (let place = base.length - 1; place >= leaves; place -= 1) {
      if (dirty[place] === 0) continue;
      dirty[place] = 0;
      const value = folded[place] as number;
      if (base[place] === value) continue;
      base[place] = value;
      const left = lefts[place] as number;
      const right = rights[place] as number;
      folded[left] = right === NONE ? value : nodes.left(value);
      dirty[left] = 1;
      if (right === NONE) continue;
      folded[right] = nodes.right(value);
      dirty[right] = 1;
    }
    for (let leaf = 0; leaf < leaves; leaf += 1) {
      if (dirty[leaf] === 0) continue;
      dirty[leaf] = 0;
      base[leaf] = folded[leaf] as number;
    }
  }

  private planOf(way: Way<unknown>): Int32Array {
    const { lefts, rights, parents, leaves } = this;
    const places = new Set<number>();
    for (const slot of way.slots)
      for (let place = slot >> 1; place !== NONE; place = parents[place] as number) places.add(place);
    const writes = [...way.slots].flatMap((slot, each) => [slot, way.ids[each] as number]);
    const nodes = [...places]
      .filter((place) => place >= leaves)
      .sort((a, b) => a - b)
      .flatMap((place) => [place, lefts[place] as number, rights[place] as number, 0, 0, this.nodes.number(0, 0)]);
    const plan = Int32Array.from([1 + writes.length, ...writes, ...nodes]);
    this.plans[way.id] = plan;
    return plan;
  }

  doubt(): undefined {
    return undefined;
  }
  save(): Arrays {
    return { roots: this.roots.content, nodes: this.nodes.content };
  }
  restore({ roots, nodes }: Arrays): void {
    this.roots.content = roots as Int32Array;
    this.nodes.content = nodes as Int32Array;
  }
}
