/**
 * Are declared members really interchangeable? Checked while the search runs, and refused by name when they are not.
 *
 * It must hold of every reachable state and every renaming that a renamed process goes the renamed ways. A leaf answers
 * for all states that agree in what it reads. So for each leaf that is met, the values it reads are renamed by all
 * compositions of the generators (as many as there are different results, not n!), the process is asked at each of
 * them, and its ways are compared. When an image reads elsewhere, as a loop over the members does that stops
 * at the first, the question is widened by those slots and asked again. What is learned so about one leaf is remembered:
 * a second state with the same values there costs nothing.
 */
import type { Turn, Way } from '../learned.ts';
import { NotInterchangeable, type Renaming, type Symmetries, inverse } from './symmetry.ts';

/** Images to be asked in all; beyond, the claim is too dear to check. */
const MOST_IMAGES = 200_000;

interface Image {
  readonly process: number;
  readonly words: Uint16Array;
  readonly turn: Turn<unknown>;
  /** The slots of the question, where this image has them. */
  readonly question: readonly number[];
  /** What the members of the state in question have become. */
  readonly renaming: Renaming;
}

export class Equivariance<S extends object, F> {
  private readonly symmetries: Symmetries<S, F>;
  private readonly generators: readonly Renaming[];
  private readonly numberOf: ReadonlyMap<string, number>;
  /** Slots that a question about this leaf needs besides those it reads, by id of the turn. */
  private readonly wider = new Map<number, number[]>();
  private readonly checked = new Set<string>();
  private images = 0;

  constructor(symmetries: Symmetries<S, F>) {
    this.symmetries = symmetries;
    this.generators = symmetries.generators;
    this.numberOf = new Map(symmetries.learned.threads.map((thread, at) => [thread, at] as const));
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
  /** @throws when exchanging members changes what some process does in the state at `words[at]` */
  check(words: Uint16Array, at: number, turns: readonly Turn<F>[]): void {
    for (let process = 0; process < turns.length; process += 1) {
      const turn = turns[process] as Turn<F>;
      while (!this.checked.has(this.keyOf(turn, words, at))) this.checkLeaf(process, turn, words, at);
    }
  }

  private keyOf(turn: Turn<F>, words: Uint16Array, at: number): string {
    let key = `${turn.id}`;
    for (const slot of this.wider.get(turn.id) ?? []) key += ` ${slot}:${words[at + slot]}`;
    return key;
  }

  /** Ask every image of this leaf; widens the question and gives up when one of them reads elsewhere. */
  private checkLeaf(process: number, turn: Turn<F>, words: Uint16Array, at: number): void {
    const { symmetries } = this;
    const { learned } = symmetries;
    const key = this.keyOf(turn, words, at);
    const here = words.slice(at, at + learned.packing.width);
    const question = [...new Set([...turn.reads, ...(this.wider.get(turn.id) ?? [])])];
    const work: Image[] = [{ process, words: here, turn, question, renaming: symmetries.identity() }];
    const seen = new Set([imageKey(work[0] as Image)]);
    for (const image of work) {
      for (const generator of this.generators) {
        const next = this.imageOf(image, generator);
        const outside = [...next.turn.reads].find((slot) => !next.question.includes(slot));
        if (outside !== undefined) {
          const back = symmetries.slot(outside, inverse(next.renaming));
          this.wider.set(turn.id, [...(this.wider.get(turn.id) ?? []), back]);
          return;
        }
        this.compare(image, next, generator);
        const text = imageKey(next);
        if (seen.has(text)) continue;
        seen.add(text);
        work.push(next);
        this.images += 1;
        if (this.images > MOST_IMAGES)
          throw new NotInterchangeable(
            `too many images to check that members are interchangeable; ${learned.threads[process]} reads too widely`,
          );
      }
    }
    this.checked.add(key);
  }

  private imageOf(image: Image, generator: Renaming): Image {
    const { symmetries } = this;
    const { learned } = symmetries;
    const words = symmetries.apply(image.words, 0, generator).slice();
    const name = symmetries.name(learned.threads[image.process] as string, generator);
    const process = this.numberOf.get(name) as number;
    return {
      process,
      words,
      turn: learned.turn(process, words, 0),
      question: image.question.map((slot) => symmetries.slot(slot, generator)),
      renaming: image.renaming.map((member) => generator[member] as number),
    };
  }
  /** @throws when the ways of the image are not the images of the ways */
  private compare(image: Image, next: Image, generator: Renaming): void {
    const { symmetries } = this;
    const { learned } = symmetries;
    const ways = image.turn.ways.map((way) =>
      wayKey(way, (slot, id) => [symmetries.slot(slot, generator), symmetries.id(slot, id, generator)]),
    );
    const images = next.turn.ways.map((way) => wayKey(way, (slot, id) => [slot, id]));
    if (image.turn.open.kind === next.turn.open.kind && ways.sort().join('|') === images.sort().join('|')) return;
    const [from, to] = [learned.threads[image.process], learned.threads[next.process]];
    throw new NotInterchangeable(
      `not interchangeable: with ${this.symmetries.exchanged(generator)}, ${to} does not do what ${from} does (${image.turn.ways[0]?.line ?? image.turn.open.kind})`,
    );
  }
}

const imageKey = ({ process, words, question }: Image): string =>
  `${process} ${question
    .map((slot) => `${slot}:${words[slot]}`)
    .sort()
    .join()}`;

function wayKey(way: Way<unknown>, moved: (slot: number, id: number) => readonly [number, number]): string {
  const writes = Array.from(way.slots, (slot, each) => moved(slot, way.ids[each] as number).join(':')).sort();
  const facts = way.facts.map((fact) => (fact as { kind?: string }).kind ?? '');
  return `${way.nature} ${writes.join()} ${facts.join()}`;
}
