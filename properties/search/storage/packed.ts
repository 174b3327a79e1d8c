/**
 * Remember every state without loss, as it is: while the bits of a state fit into 64, they are its key, and the table of
 * fingerprints holds nothing but states. States that come to need more bits are remembered as trees from then on.
 */
import { FingerprintTable } from '../fingerprints.ts';
import type { Learned } from '../learned.ts';
import { MOST_HIGH_BITS, ShortKeys } from '../short-keys.ts';
import { Layout } from './layout.ts';
import type { Arrays, Candidates, Folding, Seen } from './seen.ts';
import { TreeSeen } from './tree.ts';

const WORDS = 2;
const BATCH = 1024;

export class PackedSeen implements Seen {
  private table: FingerprintTable | ShortKeys;
  private readonly learned: Learned<object, unknown>;
  private readonly expect: number;
  private tree: TreeSeen | undefined;

  constructor(learned: Learned<object, unknown>, expect = 0) {
    this.learned = learned;
    this.expect = expect;
    this.table = new ShortKeys(expect, 0);
  }
  get bytes(): number {
    return this.tree?.bytes ?? this.table.bytes;
  }
  growth(n: number): number {
    return this.tree?.growth(n) ?? this.table.growth(n);
  }
  add(candidates: Candidates, n: number, fresh: Int32Array): number {
    return this.tree?.add(candidates, n, fresh) ?? this.table.add(candidates.highs, candidates.lows, n, fresh);
  }

  /**
   * The same states under another layout.
   * @returns what makes keys from now on, when a state does not fit into a key any more
   */
  rekey(from: Layout, to: Layout): Folding | undefined {
    if (this.tree) return undefined; // a tree is made of slots, wherever they stand
    const old = this.table.content;
    const { width } = this.learned.packing;
    const state = new Uint16Array(width);
    const rows = new Int32Array(Math.max(WORDS, to.words));
    const tree = to.words > WORDS ? new TreeSeen(this.learned, this.expect) : undefined;
    const highBits = to.words === WORDS ? to.lastBits : 0;
    const expect = tree ? 0 : Math.max(this.expect, this.table.count);
    const table = highBits > MOST_HIGH_BITS ? new FingerprintTable(expect) : new ShortKeys(expect, highBits);
    const highs = new Int32Array(BATCH);
    const lows = new Int32Array(BATCH);
    const fresh = new Int32Array(BATCH);
    for (let at = 0; at < old.length; ) {
      let n = 0;
      for (; n < BATCH && at < old.length; n += 1, at += 2) {
        from.take(old, at, state);
        if (tree) {
          tree.stand(state, 0);
          tree.key(-1, highs, lows, n);
          continue;
        }
        to.put(state, 0, rows, 0);
        lows[n] = rows[0] as number;
        highs[n] = rows[1] as number;
      }
      const news = tree ? tree.addKeys(highs, lows, n, fresh) : table.add(highs, lows, n, fresh);
      if (news !== n) throw new Error('two states became one when they were written in another way');
    }
    this.table = table;
    this.tree = tree;
    return tree;
  }

  doubt(): undefined {
    return undefined;
  }
  save(): Arrays {
    return this.tree?.save() ?? { keys: this.table.content };
  }
  /** The layout must be the one that states had before. */
  restore(arrays: Arrays): void {
    if (this.tree) this.tree.restore(arrays);
    else this.table.content = arrays['keys'] as Int32Array;
  }
}
