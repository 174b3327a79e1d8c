/**
 * The states that a reduced search keeps: one of each orbit, where members are interchangeable or numbers shifted.
 *
 * A state is asked for by its canonical form, but what is kept besides is the state itself, and the search goes on from
 * there: so every schedule is one that the system really takes. Without forms the two are the same.
 */
import { StateStore, type States } from '../store.ts';
import type { Packing } from '../packed.ts';

/** The canonical form of a state; the answer is valid until the next call. */
export type FormOf = (words: Uint16Array) => Uint16Array;

export class Kept {
  private readonly forms: StateStore;
  private readonly formOf: FormOf | undefined;
  private readonly packing: Packing;
  private readonly width: number;
  private originals: Uint16Array;
  private readonly form: Uint16Array;
  private readonly pairs: Int32Array;

  constructor(packing: Packing, formOf: FormOf | undefined) {
    const { width } = packing;
    this.packing = packing;
    this.width = width;
    this.formOf = formOf;
    this.forms = new StateStore(width);
    this.originals = new Uint16Array(formOf ? width * 1024 : 0);
    this.form = new Uint16Array(width);
    this.pairs = new Int32Array(this.form.buffer);
  }

  get count(): number {
    return this.forms.count;
  }
  get bytes(): number {
    return this.forms.bytes + this.originals.byteLength;
  }
  /** The forms of the states, by number; where there are none, the states themselves. */
  get states(): States {
    return this.forms;
  }
  /** All states, one after another. */
  get words(): Uint16Array {
    return this.formOf ? this.originals : this.forms.words;
  }

  /** The number of a state, or of one of its orbit; a new one is `count - 1` afterwards. Its fingerprint is given. */
  add(candidate: Uint16Array, high: number, low: number): number {
    const [asked, highs, lows] = this.asked(candidate, high, low);
    const before = this.forms.count;
    const state = this.forms.add(asked, highs, lows);
    if (this.formOf && this.forms.count > before) {
      if (this.forms.count * this.width > this.originals.length) {
        const larger = new Uint16Array(this.originals.length * 2);
        larger.set(this.originals);
        this.originals = larger;
      }
      this.originals.set(candidate.subarray(0, this.width), state * this.width);
    }
    return state;
  }
  /** Was this state added, or one of its orbit? */
  has(candidate: Uint16Array, high: number, low: number): boolean {
    return this.forms.has(...this.asked(candidate, high, low));
  }

  private asked(candidate: Uint16Array, high: number, low: number): [Int32Array, number, number] {
    const { formOf, form, packing } = this;
    if (!formOf) {
      form.set(candidate);
      return [this.pairs, high, low];
    }
    form.set(formOf(candidate));
    return [this.pairs, packing.fingerprint(form, 'high'), packing.fingerprint(form, 'low')];
  }
}
