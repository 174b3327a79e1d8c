/** Remember every state in full, as store.ts does, but laid out in bits: exact, and numbered in the order of discovery. */
import type { Learned } from '../learned.ts';
import { StateStore, type States } from '../store.ts';
import { Layout } from './layout.ts';
import type { Arrays, Candidates, Seen } from './seen.ts';

export class FullSeen implements Seen {
  /** After `add`: the number of the state that each candidate leads to. */
  numbers = new Int32Array(0);
  private readonly learned: Learned<object, unknown>;
  private layout: Layout;
  private rows: StateStore;
  /** A state as a row, and by slots. */
  private row: Int32Array;
  private readonly state: Uint16Array;
  /** By way: the words of a row that it changes, each with what is added to it by exclusive or. */
  private patches: (Int32Array | undefined)[] = [];

  constructor(learned: Learned<object, unknown>) {
    this.learned = learned;
    this.layout = Layout.wide(learned.packing);
    this.state = new Uint16Array(learned.packing.width);
    this.row = new Int32Array(this.layout.words);
    this.rows = new StateStore(this.layout.words * 2);
  }
  get bytes(): number {
    return this.rows.bytes;
  }
  growth(n: number): number {
    return this.rows.growth(n);
  }

  add({ block, highs, lows, froms, ways }: Candidates, n: number, fresh: Int32Array): number {
    const { row, rows: store } = this;
    const { rows, stride } = block;
    const { words } = this.layout;
    if (this.numbers.length < n) this.numbers = new Int32Array(n);
    const { numbers } = this;
    store.touch(highs, lows, n);
    let news = 0;
    for (let each = 0; each < n; each += 1) {
      const origin = (froms[each] as number) * stride;
      for (let at = 0; at < words; at += 1) row[at] = rows[origin + at] as number;
      const way = ways[each] as number;
      if (way >= 0) {
        const patch = this.patches[way] ?? this.patchOf(way);
        for (let at = 0; at < patch.length; at += 2) {
          const word = patch[at] as number;
          row[word] = (row[word] as number) ^ (patch[at + 1] as number);
        }
      }
      const before = store.count;
      const number = store.add(row, highs[each] as number, lows[each] as number);
      numbers[each] = number;
      if (number !== before) continue;
      fresh[news] = each;
      news += 1;
    }
    return news;
  }
  /** The same states under another layout. */
  rekey(_from: Layout, to: Layout): undefined {
    const { layout, rows: old, state } = this;
    const { count } = old;
    const row = new Int32Array(to.words);
    const rows = new StateStore(to.words * 2);
    for (let number = 0; number < count; number += 1) {
      old.copy(number, this.row);
      layout.take(this.row, 0, state);
      to.put(state, 0, row, 0);
      if (rows.add(row, old.high(number), old.low(number)) !== number)
        throw new Error('two states became one when they were written in another way');
    }
    this.row = row;
    this.rows = rows;
    this.layout = to;
    this.patches = [];
  }
  private patchOf(id: number): Int32Array {
    const { slots, ids, olds } = this.learned.way(id);
    const { layout } = this;
    const patch = Int32Array.from(
      [...slots].flatMap((slot, nth) => [
        layout.wordOf(slot),
        layout.change(slot, olds[nth] as number, ids[nth] as number),
      ]),
    );
    this.patches[id] = patch;
    return patch;
  }

  /** The states, for whoever goes through the graph; by slots when somebody asks for them so. */
  get states(): States {
    const { rows } = this;
    const all = (): Uint16Array => this.unpacked();
    let words: Uint16Array | undefined;
    return {
      count: rows.count,
      bytes: rows.bytes,
      high: (state) => rows.high(state),
      low: (state) => rows.low(state),
      get words() {
        return (words ??= all());
      },
    };
  }
  private unpacked(): Uint16Array {
    const { rows, row, state, layout } = this;
    const words = new Uint16Array(rows.count * state.length);
    for (let number = 0; number < rows.count; number += 1) {
      rows.copy(number, row);
      layout.take(row, 0, state);
      words.set(state, number * state.length);
    }
    return words;
  }

  doubt(): undefined {
    return undefined;
  }
  save(): Arrays {
    return { states: this.unpacked() };
  }
  /** The fingerprints are made again from the states, which checks that both are of one system. */
  restore({ states }: Arrays): void {
    const { packing } = this.learned;
    const { state, row, rows, layout } = this;
    const all = states as Uint16Array;
    for (let at = 0; at < all.length; at += packing.width) {
      state.set(all.subarray(at, at + packing.width));
      layout.put(state, 0, row, 0);
      const number = rows.add(row, packing.fingerprint(state, 'high'), packing.fingerprint(state, 'low'));
      if (number !== at / packing.width) throw new Error('a state stands in it twice');
    }
  }
}
