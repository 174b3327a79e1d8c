/**
 * A recording view of one packed state: the same readable code runs on it as on a plain object, and afterwards it is
 * known which slots were read, in what order, and what was written.
 *
 * No Proxy: accessors made once per machine. A value that is kept as a whole is read as a fresh copy, which the step
 * may change in place; at the end it is compared and written only if it changed.
 */
import { type Schema, read } from '../../model/schema.ts';
import type { Packing } from './packed.ts';

/** What a step writes, and how the fingerprint changes. */
export interface Writes {
  readonly slots: Uint16Array;
  readonly ids: Uint16Array;
  /** What stood there before: a step can be taken only where it does. */
  readonly olds: Uint16Array;
  readonly high: number;
  readonly low: number;
}

export class Recorder<S extends object> {
  readonly view: S;
  /** Slots read since `begin`, in order, each once. */
  readonly reads: number[] = [];
  private readonly packing: Packing;
  private readonly touched: boolean[];
  private readonly overlay = new Map<number, unknown>();
  private words: Uint16Array = new Uint16Array(0);
  private at = 0;
  private writable = true;

  constructor(packing: Packing, boot: object) {
    this.packing = packing;
    this.touched = packing.slots.map(() => false);
    this.view = this.build(packing.schema, boot) as S;
  }

  /** Look at the state that starts at `words[at]`; forgets what was recorded. */
  begin(words: Uint16Array, at: number): void {
    this.words = words;
    this.at = at;
    for (const slot of this.reads) this.touched[slot] = false;
    this.reads.length = 0;
    this.overlay.clear();
    this.writable = true;
  }
  /** Back to the state as `begin` found it; the reads stay recorded. */
  rewind(): void {
    this.overlay.clear();
  }
  /** Run something that may only look. @throws when it assigns. */
  looking<R>(look: () => R): R {
    this.writable = false;
    const answer = look();
    this.writable = true;
    if (this.changes().slots.length > 0) throw new Error('waits() or outcomes() changed the state; only run() may');
    this.overlay.clear();
    return answer;
  }

  /** The slots whose value is now another than at `begin`. */
  changes(): Writes {
    const slots: number[] = [];
    const ids: number[] = [];
    const olds: number[] = [];
    let high = 0;
    let low = 0;
    for (const [slot, value] of this.overlay) {
      const before = this.words[this.at + slot] as number;
      const after = this.packing.intern(slot, value);
      if (after === before) continue;
      slots.push(slot);
      ids.push(after);
      olds.push(before);
      high ^= this.packing.keyHigh(slot, before) ^ this.packing.keyHigh(slot, after);
      low ^= this.packing.keyLow(slot, before) ^ this.packing.keyLow(slot, after);
    }
    return { slots: Uint16Array.from(slots), ids: Uint16Array.from(ids), olds: Uint16Array.from(olds), high, low };
  }

  private get(slot: number): unknown {
    const known = this.overlay.get(slot);
    if (known !== undefined || this.overlay.has(slot)) return known;
    this.record(slot);
    const value = this.packing.fresh(slot, this.words[this.at + slot] as number);
    if (value !== null && typeof value === 'object') this.overlay.set(slot, value);
    return value;
  }
  private set(slot: number, value: unknown): void {
    if (!this.writable)
      throw new Error(`waits() or outcomes() assigns to ${this.packing.slots[slot]?.path.join('.')}; only run() may`);
    this.record(slot); // a blind write too: what it replaces is part of the path
    this.overlay.set(slot, value);
  }
  private record(slot: number): void {
    if (this.touched[slot]) return;
    this.touched[slot] = true;
    this.reads.push(slot);
  }

  private build(schema: Schema, boot: object): object {
    const view: Record<string, unknown> = { facts: [] };
    const define = (owner: object, key: string, path: readonly string[]): void => {
      const slot = this.packing.slotAt.get(path.join('\0'));
      if (slot === undefined) {
        const constant: unknown = read(boot, path);
        Object.defineProperty(owner, key, { enumerable: true, value: constant, writable: false });
      } else {
        Object.defineProperty(owner, key, {
          enumerable: true,
          get: () => this.get(slot),
          set: (value: unknown) => {
            this.set(slot, value);
          },
        });
      }
    };
    for (const [slice, shape] of Object.entries(schema)) {
      if (shape.kind !== 'table' && shape.kind !== 'tableOf') {
        define(view, slice, [slice]);
        continue;
      }
      const rows = {};
      for (const row of Object.keys(read(boot, [slice]) as object)) {
        if (shape.kind === 'tableOf') {
          define(rows, row, [slice, row]);
          continue;
        }
        const record = {};
        for (const field of Object.keys(shape.fields)) define(record, field, [slice, row, field]);
        Object.defineProperty(rows, row, { enumerable: true, value: Object.preventExtensions(record) });
      }
      Object.defineProperty(view, slice, { enumerable: true, value: Object.preventExtensions(rows) });
    }
    return Object.preventExtensions(view);
  }
}
