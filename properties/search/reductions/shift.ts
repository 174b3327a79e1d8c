/**
 * Sequence numbers that only their distance gives a meaning: states that differ by a shift of all numbers of a timeline
 * are one.
 *
 * A field says so in the schema (`seqno`): its numbers go round, as the kernel's 32-bit seqnos do, and are compared by
 * difference. That nobody looks at a number itself is not believed but checked: in every state, under every shift, each
 * process must do the same by as much later numbers. The canonical form has 0 in the first slot of each timeline; the
 * search goes on from the state itself.
 */
import type { Learned, Turn, Way } from '../learned.ts';

/** Shifts of all timelines beyond which the claim is too dear to check. */
const MOST_SHIFTS = 256;

interface Timeline {
  readonly name: string;
  readonly slots: readonly number[];
  readonly numbers: number;
}
/** By how much each timeline is shifted. */
type Shift = readonly number[];

export class Shifts<S extends object, F> {
  private readonly learned: Learned<S, F>;
  private readonly timelines: readonly Timeline[];
  private readonly timelineOf: Int32Array;
  private readonly all: readonly Shift[];
  private readonly out: Uint16Array;
  private readonly image: Uint16Array;
  private readonly compared = new Set<string>();

  /** @throws when there are more shifts than can be checked, or one timeline counts differently in different fields */
  constructor(learned: Learned<S, F>) {
    this.learned = learned;
    const { slots, width } = learned.packing;
    const timelines = new Map<string, { slots: number[]; numbers: number }>();
    slots.forEach(({ kind, path }, slot) => {
      if (kind.timeline === undefined) return;
      const numbers = (kind.max as number) + 1;
      const known = timelines.get(kind.timeline) ?? { slots: [], numbers };
      if (known.numbers !== numbers)
        throw new Error(`${path.join('.')} counts to ${numbers} on ${kind.timeline}, others to ${known.numbers}`);
      known.slots.push(slot);
      timelines.set(kind.timeline, known);
    });
    this.timelines = [...timelines].map(([name, each]) => ({ name, ...each }));
    this.timelineOf = new Int32Array(slots.length).fill(-1);
    this.timelines.forEach((each, nth) => each.slots.forEach((slot) => (this.timelineOf[slot] = nth)));
    const count = this.timelines.reduce((product, { numbers }) => product * numbers, 1);
    if (count > MOST_SHIFTS) throw new Error(`${count} ways to shift the numbers are too many to check`);
    this.all = this.timelines
      .reduce<Shift[]>(
        (shifts, { numbers }) => shifts.flatMap((each) => Array.from({ length: numbers }, (_, by) => [...each, by])),
        [[]],
      )
      .slice(1);
    this.out = new Uint16Array(width);
    this.image = new Uint16Array(width);
  }

  /** The state in which the first number of each timeline is 0; the answer is valid until the next call. */
  form(words: Uint16Array): Uint16Array {
    const { packing } = this.learned;
    const back = this.timelines.map(
      ({ slots: [first], numbers }) =>
        (numbers - (packing.value(first as number, words[first as number] as number) as number)) % numbers,
    );
    return this.shifted(words, 0, back, this.out);
  }
  /** @throws when somebody does something else where the numbers are others, naming him */
  check(words: Uint16Array, at: number, turns: readonly Turn<F>[]): void {
    for (const shift of this.all) {
      this.shifted(words, at, shift, this.image);
      for (const [process, turn] of turns.entries()) {
        const its = this.learned.turn(process, this.image, 0);
        const pair = `${shift.join()} ${turn.id} ${its.id}`;
        if (this.compared.has(pair)) continue;
        this.compared.add(pair);
        const expected = turn.ways.map((way) => wayKey(way, (slot, id) => this.id(slot, id, shift)));
        const found = its.ways.map((way) => wayKey(way, (_slot, id) => id));
        if (turn.open.kind === its.open.kind && expected.sort().join('|') === found.sort().join('|')) continue;
        const by = this.timelines.map(({ name }, nth) => `${name} by ${shift[nth]}`).join(', ');
        throw new Error(
          `a number itself matters: with ${by}, ${this.learned.threads[process]} does not do what it does without`,
        );
      }
    }
  }

  private shifted(words: Uint16Array, at: number, shift: Shift, out: Uint16Array): Uint16Array {
    for (let slot = 0; slot < this.timelineOf.length; slot += 1)
      out[slot] = this.id(slot, words[at + slot] as number, shift);
    return out;
  }
  private id(slot: number, id: number, shift: Shift): number {
    const timeline = this.timelineOf[slot] as number;
    if (timeline < 0) return id;
    const { packing } = this.learned;
    const { numbers } = this.timelines[timeline] as Timeline;
    return packing.intern(slot, ((packing.value(slot, id) as number) + (shift[timeline] as number)) % numbers);
  }
}

/** What a way does, but for slots that it writes with the value that they have. */
function wayKey<F>(way: Way<F>, moved: (slot: number, id: number) => number): string {
  const writes = Array.from(way.slots, (slot, nth) => `${slot}:${moved(slot, way.ids[nth] as number)}`).sort();
  return `${way.outcome} ${way.nature} ${writes.join()} ${JSON.stringify(way.facts)}`;
}
