/**
 * Packed states: one whole number per slot of the schema.
 *
 * Every value is interned: a slot holds the number of its value among the values seen in that field. Numbers depend
 * on the order of discovery and never leave the process; fingerprints are made of the content (slot path and
 * canonical text), so they agree across runs and processes.
 */
import { type Schema, type Slot, canonical, misfit, read, slotsOf } from '../../model/schema.ts';

type Values = Record<string, unknown>;

/** Numbers of values are kept in 16 bits. */
const MOST_VALUES = 0xffff;

/** The values seen in one field, and their numbers. */
class Interned {
  readonly texts: string[] = [];
  readonly values: unknown[] = [];
  private readonly numbers = new Map<string, number>();

  number(value: unknown, check: (value: unknown) => void): number {
    const text = canonical(value);
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    check(value);
    const number = this.texts.length;
    if (number > MOST_VALUES)
      throw new Error(`a field takes more than ${MOST_VALUES} values: something in it grows for ever`);
    this.numbers.set(text, number);
    this.texts.push(text);
    this.values.push(JSON.parse(text));
    return number;
  }
}

/** FNV-1a with a final mix, 32 bits; `seed` makes independent lanes. */
function hash(text: string, seed: number): number {
  let h = (0x811c9dc5 ^ seed) | 0;
  for (let at = 0; at < text.length; at += 1) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}

/** The packed layout of one machine's states. */
export class Packing {
  readonly slots: readonly Slot[];
  /** Slot number by path, joined with a character no name may contain. */
  readonly slotAt: ReadonlyMap<string, number>;
  private readonly fields: readonly Interned[];
  private readonly high: Int32Array[];
  private readonly low: Int32Array[];
  private readonly rows: (table: string) => readonly string[];
  private readonly template: string;
  readonly schema: Schema;
  /** Numbers that a state takes; even, so that states can be copied and compared two slots at a time. */
  readonly width: number;
  private readonly salt: number;

  /** @param salt another number makes other fingerprints of the same states */
  constructor(schema: Schema, boot: object, salt = 0) {
    this.schema = schema;
    this.salt = Math.imul(salt, 0x9e3779b1);
    this.slots = slotsOf(schema, boot as Values);
    this.width = this.slots.length + (this.slots.length % 2);
    this.slotAt = new Map(this.slots.map(({ path }, at) => [path.join('\0'), at]));
    const byField = new Map<string, Interned>();
    this.fields = this.slots.map(({ path }) => {
      const field = path.length === 3 ? `${path[0]}.${path[2]}` : (path[0] ?? '');
      const known = byField.get(field) ?? new Interned();
      byField.set(field, known);
      return known;
    });
    this.high = this.slots.map(() => new Int32Array(0));
    this.low = this.slots.map(() => new Int32Array(0));
    this.rows = (table) => Object.keys((boot as Values)[table] ?? {});
    this.template = JSON.stringify(boot);
  }

  /** How many values the declaration allows in this slot, where it says so. */
  domain(slot: number): number {
    const { kind } = this.slots[slot] as Slot;
    const none = kind.maybe ? 1 : 0;
    switch (kind.kind) {
      case 'flag':
        return 2 + none;
      case 'int':
        return (kind.max ?? 0) + 1 + none;
      case 'oneOf':
        return (kind.values?.length ?? 0) + none;
      case 'name':
        return this.rows(kind.of ?? '').length + none;
      case 'whole':
      case 'constant':
        return Infinity;
    }
  }
  /** The number of this value in this slot. @throws when the value does not fit the field. */
  intern(slot: number, value: unknown): number {
    const { path, kind } = this.slots[slot] as Slot;
    return (this.fields[slot] as Interned).number(value, (odd) => {
      const why = misfit(kind, odd, this.rows);
      if (why) throw new Error(`${path.join('.')}: ${why}`);
    });
  }
  /** The value behind a number; shared, not to be assigned to. */
  value(slot: number, id: number): unknown {
    return (this.fields[slot] as Interned).values[id];
  }
  /** A copy of the value that may be assigned to. */
  fresh(slot: number, id: number): unknown {
    const value = (this.fields[slot] as Interned).values[id];
    return value !== null && typeof value === 'object'
      ? JSON.parse((this.fields[slot] as Interned).texts[id] as string)
      : value;
  }

  /** Two 32-bit lanes of this slot holding this value; a state's fingerprint is the xor over its slots. */
  keyHigh(slot: number, id: number): number {
    return this.key(this.high, slot, id, 0x9e3779b9);
  }
  keyLow(slot: number, id: number): number {
    return this.key(this.low, slot, id, 0x85ebca6b);
  }
  private key(lane: Int32Array[], slot: number, id: number, seed: number): number {
    let known = lane[slot] as Int32Array;
    const texts = (this.fields[slot] as Interned).texts;
    if (id >= known.length) {
      const path = (this.slots[slot] as Slot).path.join('\0');
      known = Int32Array.from(texts, (text) => hash(`${path}\0${text}`, seed ^ this.salt));
      lane[slot] = known;
    }
    return known[id] as number;
  }

  /** One lane of a whole state's fingerprint. */
  fingerprint(words: Uint16Array, lane: 'high' | 'low'): number {
    let sum = 0;
    for (let slot = 0; slot < this.slots.length; slot += 1) {
      const id = words[slot] as number;
      sum ^= lane === 'high' ? this.keyHigh(slot, id) : this.keyLow(slot, id);
    }
    return sum;
  }

  pack(state: object): Uint16Array {
    const words = new Uint16Array(this.width);
    this.slots.forEach(({ path }, slot) => {
      words[slot] = this.intern(slot, read(state, path));
    });
    return words;
  }
  /** The plain state, constants and all; its own, free to assign to. */
  unpack<S extends object>(words: Uint16Array, at = 0): S {
    const state = JSON.parse(this.template) as Values;
    this.slots.forEach(({ path }, slot) => {
      const owner = path.slice(0, -1).reduce((in_, key) => in_[key] as Values, state);
      owner[path.at(-1) as string] = this.fresh(slot, words[at + slot] as number);
    });
    return state as S;
  }
}
