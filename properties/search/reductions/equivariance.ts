/**
 * Are declared members really interchangeable? Checked while the search runs, and refused by name when they are not.
 *
 * It must hold of every reachable state and every renaming that a renamed process goes the renamed ways. A leaf answers
 * for all states that agree in what it reads. So for each leaf that is met, the values it reads are renamed by all
 * compositions of the generators (as many as there are different results, not n!), the process is asked at each of
 * them, and its ways are compared. When an image reads elsewhere, as a loop over the members does that stops
 * at the first, the question is widened by those slots and asked again. What is learned so about one leaf is remembered:
 * a second state with the same values there costs nothing.
 *
 * Whoever searches one state of each orbit is told of these images: all leaves of all states are among them. And so are
 * all steps of which anything is to be said, when the question is widened by what the judge reads.
 */
import type { Turn, Way } from '../learned.ts';
import { apply } from '../learned.ts';
import { type Image, NotInterchangeable, type Renaming, type Symmetries, inverse } from './symmetry.ts';

/** Images to be asked in all; beyond, the claim is too dear to check. */
const MOST_IMAGES = 200_000;

/** A state in which other members have traded places, and the slots of the question, where it has them. */
interface Asked extends Image {
  readonly process: number;
  readonly question: readonly number[];
}
/** A leaf in such a state. */
export type LookAtLeaf<F> = (image: Image, turn: Turn<F>) => void;
/** A step in such a state, and the state after it. */
export type LookAtStep<F> = (image: Image, turn: Turn<F>, way: Way<F>, after: Uint16Array) => void;
/** Of which slots depends what is to be said of this way; the state after it starts at `words[0]`. */
type SlotsOf<F> = (way: Way<F>, words: Uint16Array) => Iterable<number>;

export class Equivariance<S extends object, F> {
  private readonly symmetries: Symmetries<S, F>;
  private readonly generators: readonly Renaming[];
  private readonly numberOf: ReadonlyMap<string, number>;
  /** Slots that a question about this leaf needs besides those it reads, by id of the turn. */
  private readonly wider = new Map<number, number[]>();
  private readonly checked = new Set<string>();
  /** By id of the way: slots that a question about it needs, and the values there for which it was asked. */
  private readonly steps: ({ readonly slots: Set<number>; readonly asked: Set<string> } | undefined)[] = [];
  private images = 0;

  constructor(symmetries: Symmetries<S, F>) {
    this.symmetries = symmetries;
    this.generators = symmetries.generators;
    this.numberOf = new Map(symmetries.learned.threads.map((thread, at) => [thread, at] as const));
  }

  /** The process that this one becomes. */
  process(at: number, renaming: Renaming): number {
    const { symmetries, numberOf } = this;
    return numberOf.get(symmetries.name(symmetries.learned.threads[at] as string, renaming)) as number;
  }
  /** @throws when the members of a class do not begin alike */
  checkStart(words: Uint16Array): void {
    for (const renaming of this.generators) {
      const renamed = this.symmetries.apply(words, 0, renaming);
      const { packing } = this.symmetries.learned;
      packing.slots.forEach(({ path }, slot) => {
        if (renamed[slot] !== words[slot])
          throw new NotInterchangeable(
            `not interchangeable: ${path.join('.')} begins differently for ${this.symmetries.exchanged(renaming)}`,
          );
      });
    }
  }
  /**
   * @param look is told of every image of every leaf here, except of those that were looked at before
   * @throws when exchanging members changes what some process does in the state at `words[at]`
   */
  check(words: Uint16Array, at: number, turns: readonly Turn<F>[], look: LookAtLeaf<F>): void {
    for (let process = 0; process < turns.length; process += 1) {
      const turn = turns[process] as Turn<F>;
      while (!this.checked.has(this.keyOf(turn, words, at))) this.checkLeaf(process, turn, words, at, look);
    }
  }
  /**
   * Look at every image of a step, as far as it differs in what the process or the judge reads, except at those of which
   * it is known already.
   * @throws when an image of the process cannot go the image of this way
   */
  look(
    turn: Turn<F>,
    way: Way<F>,
    before: Uint16Array,
    after: Uint16Array,
    slotsOf: SlotsOf<F>,
    look: LookAtStep<F>,
  ): void {
    const step = (this.steps[way.id] ??= { slots: new Set(turn.reads), asked: new Set() });
    for (;;) {
      if (step.asked.has(valuesAt(step.slots, after))) return;
      const missing = this.lookAtStep(way, before, after, slotsOf, step.slots, look);
      if (missing.length === 0) break;
      for (const slot of missing) step.slots.add(slot);
      step.asked.clear();
    }
    step.asked.add(valuesAt(step.slots, after));
  }
  /** @returns slots by which the question has to be widened; nothing when all images were looked at */
  private lookAtStep(
    way: Way<F>,
    before: Uint16Array,
    after: Uint16Array,
    slotsOf: SlotsOf<F>,
    question: ReadonlySet<number>,
    look: LookAtStep<F>,
  ): readonly number[] {
    const { symmetries } = this;
    const { learned } = symmetries;
    const first = [...slotsOf(way, after)].filter((slot) => !question.has(slot));
    if (first.length > 0) return first;
    for (const image of this.imagesOf(way.threadAt, before, 0, [...question])) {
      const { renaming, words, process } = image;
      const turn = learned.turn(process, words, 0);
      const then = symmetries.apply(after, 0, renaming).slice();
      const outcome = symmetries.text(way.outcome, renaming);
      const its = turn.ways.find((each) => each.outcome === outcome && leads(each, words, then));
      if (!its) throw new NotInterchangeable(`not interchangeable: ${way.line} has no image that goes ${outcome}`);
      const outside = [...slotsOf(its, then)].filter((slot) => !image.question.includes(slot));
      if (outside.length > 0) return outside.map((slot) => symmetries.slot(slot, inverse(renaming)));
      look(image, turn, its, then);
    }
    return [];
  }

  private keyOf(turn: Turn<F>, words: Uint16Array, at: number): string {
    let key = `${turn.id}`;
    for (const slot of this.wider.get(turn.id) ?? []) key += ` ${slot}:${words[at + slot]}`;
    return key;
  }

  /** Ask every image of this leaf; widens the question and gives up when one of them reads elsewhere. */
  private checkLeaf(process: number, turn: Turn<F>, words: Uint16Array, at: number, look: LookAtLeaf<F>): void {
    const { symmetries, generators } = this;
    const { learned } = symmetries;
    const key = this.keyOf(turn, words, at);
    const wider = this.wider.get(turn.id) ?? [];
    const images: number[] = [];
    for (const image of this.imagesOf(process, words, at, [...new Set([...turn.reads, ...wider])])) {
      const its = learned.turn(image.process, image.words, 0);
      const outside = [...its.reads].find((slot) => !image.question.includes(slot));
      if (outside !== undefined) {
        this.wider.set(turn.id, [...wider, symmetries.slot(outside, inverse(image.renaming))]);
        return;
      }
      for (const generator of generators) {
        const next = this.exchange(image, generator);
        this.compare(image.process, its, next.process, learned.turn(next.process, next.words, 0), generator);
      }
      look(image, its);
      images.push(its.id);
    }
    this.checked.add(key);
    // The images of an image are the same.
    if (wider.length === 0) for (const id of images) this.checked.add(`${id}`);
  }

  /** A state, with what is asked of it, and all that it becomes: each once, as far as the question can tell. */
  private *imagesOf(process: number, words: Uint16Array, at: number, question: readonly number[]): Generator<Asked> {
    const { symmetries, generators } = this;
    const here = words.slice(at, at + symmetries.learned.packing.width);
    const work: Asked[] = [{ process, words: here, question, renaming: symmetries.identity() }];
    const seen = new Set(work.map(textOf));
    for (const image of work) {
      yield image;
      for (const generator of generators) {
        const next = this.exchange(image, generator);
        const text = textOf(next);
        if (seen.has(text)) continue;
        seen.add(text);
        work.push(next);
        this.images += 1;
        if (this.images > MOST_IMAGES)
          throw new NotInterchangeable(
            `too many images to check that members are interchangeable; ${symmetries.learned.threads[process]} reads too widely`,
          );
      }
    }
  }
  private exchange(image: Asked, generator: Renaming): Asked {
    const { symmetries } = this;
    return {
      ...symmetries.exchange(image, generator),
      process: this.process(image.process, generator),
      question: image.question.map((slot) => symmetries.slot(slot, generator)),
    };
  }
  /** @throws when the ways of the image are not the images of the ways */
  private compare(from: number, turn: Turn<F>, to: number, its: Turn<F>, generator: Renaming): void {
    const { symmetries } = this;
    const { threads } = symmetries.learned;
    const ways = turn.ways.map((way) =>
      wayKey(way, (slot, id) => [symmetries.slot(slot, generator), symmetries.id(slot, id, generator)]),
    );
    const images = its.ways.map((way) => wayKey(way, (slot, id) => [slot, id]));
    if (turn.open.kind === its.open.kind && ways.sort().join('|') === images.sort().join('|')) return;
    throw new NotInterchangeable(
      `not interchangeable: with ${symmetries.exchanged(generator)}, ${threads[to]} does not do what ${threads[from]} does (${turn.ways[0]?.line ?? turn.open.kind})`,
    );
  }
}

const textOf = ({ process, words, question }: Asked): string =>
  `${process} ${question
    .map((slot) => `${slot}:${words[slot]}`)
    .sort()
    .join()}`;
function valuesAt(slots: Iterable<number>, words: Uint16Array): string {
  let text = '';
  for (const slot of slots) text += ` ${words[slot]}`;
  return text;
}
function wayKey(way: Way<unknown>, moved: (slot: number, id: number) => readonly [number, number]): string {
  const writes = Array.from(way.slots, (slot, each) => moved(slot, way.ids[each] as number).join(':')).sort();
  const facts = way.facts.map((fact) => (fact as { kind?: string }).kind ?? '');
  return `${way.nature} ${writes.join()} ${facts.join()}`;
}
/** Does this way lead from one state to the other? */
function leads(way: Way<unknown>, from: Uint16Array, to: Uint16Array): boolean {
  const after = from.slice();
  apply(way, after, 0);
  return after.every((value, slot) => value === to[slot]);
}
