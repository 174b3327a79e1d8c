/**
 * States on their way from one worker to another. Numbers of values differ between workers, so the values go along as
 * texts, each once; the receiver learns them and translates.
 */
import type { Packing } from '../packed.ts';
import { type Values, valuesOf } from '../storage/values.ts';

export interface Parcel {
  /** Values by field that the receiver may not know, and how many the sender has told it of before. */
  readonly values: Values;
  readonly before: Readonly<Record<string, number>>;
  readonly from: number;
  readonly words: Uint16Array<ArrayBuffer>;
}

/** What one worker has told each other one, and what each other one has told it. */
export class Post {
  private readonly packing: Packing;
  /** By receiver and field: how many values it was told of. */
  private readonly told = new Map<number, Record<string, number>>();
  /** By sender and field: the numbers here of the values there. */
  private readonly heard = new Map<number, Record<string, number[]>>();
  private readonly fields: readonly string[];

  constructor(packing: Packing) {
    this.packing = packing;
    this.fields = packing.slots.map(({ path }) => (path.length === 3 ? `${path[0]}.${path[2]}` : (path[0] as string)));
  }

  write(from: number, to: number, words: Parcel['words']): Parcel {
    const before = this.told.get(to) ?? {};
    const all = Object.entries(valuesOf(this.packing));
    this.told.set(to, Object.fromEntries(all.map(([field, texts]) => [field, texts.length])));
    return {
      words,
      from,
      before,
      values: Object.fromEntries(all.map(([field, texts]) => [field, texts.slice(before[field] ?? 0)])),
    };
  }
  /** Translate a parcel's words in place. @throws when it speaks of a value that was never told */
  read({ from, values, words }: Parcel): void {
    const { packing, fields } = this;
    const numbers = this.heard.get(from) ?? {};
    this.heard.set(from, numbers);
    fields.forEach((field, slot) => {
      const known = (numbers[field] ??= []);
      for (const text of values[field] ?? []) known.push(packing.intern(slot, JSON.parse(text)));
      delete (values as Record<string, unknown>)[field];
    });
    const maps = fields.map((field) => Uint16Array.from(numbers[field] as number[]));
    for (let at = 0; at < words.length; at += packing.width)
      maps.forEach((map, slot) => {
        const there = words[at + slot] as number;
        if (there >= map.length) throw new Error(`a state with value ${there} of ${fields[slot]}, which nobody told`);
        words[at + slot] = map[there] as number;
      });
  }
}
