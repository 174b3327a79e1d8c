/**
 * Interchangeable rows: a canonical form of states, found by signatures and not by trying n! permutations.
 *
 * A class lists members that may be exchanged, each a bundle of names: a process with its buffer, a resource manager.
 * Exchanging two members moves the slots of their rows, and renames what names them: values of `name` kinds, and words
 * equal to their names inside whole values. The canonical form sorts the members of every class by signature: the values
 * of a member's own slots, then, refined until nothing splits any more, the signatures of those it names and of
 * those that name it (colour refinement). What is equal still is told apart by taking one, whichever. When such members
 * are not really alike, two states of one orbit may get two forms: then fewer states are merged, and none wrongly, for
 * a form is always a renaming of the state.
 *
 * That the system treats the members alike is not believed but checked, by equivariance.ts.
 */
import { type Slot, canonical } from '../../../model/schema.ts';
import type { Learned } from '../learned.ts';

/** One interchangeable thing: names of rows and processes, at the same places as in the other members. */
export type Member = readonly string[];
export interface Symmetry {
  readonly classes: readonly (readonly Member[])[];
  /** Whole fields ('locks.readers') whose lists are kept sorted: to rename means to sort again. */
  readonly sorted?: readonly string[];
}

/** A text in words, with what stands between them: '1 2 job0' is where an iteration is, 'job0->lock' a lock. */
export const wordsOf = (text: string): string[] => text.match(/ |->|(?:(?! |->).)+/gs) ?? [text];

/** Why members are not interchangeable, naming what tells them apart. */
export class NotInterchangeable extends Error {}

/** A renaming: for each member, counted over all classes, the member that it becomes. */
export type Renaming = Int32Array;

/** A state that another becomes, and the renaming by which it does. */
export interface Image {
  readonly words: Uint16Array;
  readonly renaming: Renaming;
}

/** A value with names in it: whom it names, in order; in a list kept sorted by name the order says nothing. */
interface Naming {
  readonly members: readonly number[];
  readonly ordered: boolean;
  /** The value with the names taken out; equal for values that differ in nothing else. */
  readonly rest: number;
}

/** What takes a renaming back. */
export function inverse(renaming: Renaming): Renaming {
  const back = renaming.slice();
  renaming.forEach((to, from) => (back[to] = from));
  return back;
}

export class Symmetries<S extends object, F> {
  /** Members by class, counted over all classes. */
  readonly classes: readonly (readonly number[])[];
  readonly learned: Learned<S, F>;
  private readonly names: readonly Member[];
  private readonly memberOf = new Map<string, { member: number; role: number }>();
  private readonly sorted: ReadonlySet<string>;
  /** By member and place: its slots, the same places for all members of a class. */
  private readonly bundles: readonly (readonly number[])[];
  /** By slot: whose it is (or -1), and at which place. */
  private readonly owner: Int32Array;
  private readonly place: Int32Array;
  private readonly shared: readonly number[];
  private readonly namings: Map<number, Naming>[];
  private readonly rests = new Map<string, number>();
  private readonly renamed = new Map<string, number>();
  private readonly fieldOf: readonly string[];
  private readonly out: Uint16Array;

  /** @throws when the rows of the members do not correspond */
  constructor(learned: Learned<S, F>, { classes, sorted = [] }: Symmetry) {
    this.learned = learned;
    this.sorted = new Set(sorted);
    this.names = classes.flat();
    let count = 0;
    this.classes = classes.map((members) => members.map(() => (count += 1) - 1));
    this.names.forEach((names, member) => {
      names.forEach((name, role) => {
        if (this.memberOf.has(name)) throw new NotInterchangeable(`"${name}" is declared interchangeable twice`);
        this.memberOf.set(name, { member, role });
      });
    });
    const { packing } = learned;
    const { slots } = packing;
    this.fieldOf = slots.map(({ path }) => (path.length === 3 ? `${path[0]}.${path[2]}` : (path[0] as string)));
    this.owner = new Int32Array(slots.length).fill(-1);
    this.place = new Int32Array(slots.length);
    this.bundles = this.names.map((names) =>
      names.flatMap((name) => slots.flatMap(({ path }, slot) => (path.length > 1 && path[1] === name ? [slot] : []))),
    );
    this.bundles.forEach((bundle, member) => {
      bundle.forEach((slot, place) => {
        this.owner[slot] = member;
        this.place[slot] = place;
      });
    });
    for (const members of this.classes) this.mustCorrespond(members);
    this.shared = slots.flatMap((_, slot) => (this.owner[slot] === -1 ? [slot] : []));
    this.namings = slots.map(() => new Map<number, Naming>());
    this.out = new Uint16Array(packing.width);
  }

  /** The renamings that generate all others: two neighbours of a class exchanged. */
  get generators(): Renaming[] {
    return this.classes.flatMap((members) =>
      members.slice(1).map((second, at) => {
        const renaming = this.identity();
        const first = members[at] as number;
        renaming[first] = second;
        renaming[second] = first;
        return renaming;
      }),
    );
  }
  /**
   * Every state that the one at `words[at]` becomes, each once, itself first, and by which renaming: as many as there
   * are different ones, not n!.
   * @throws when there are more than `most`
   */
  orbit(words: Uint16Array, at: number, most: number): readonly Image[] {
    const { generators } = this;
    const here = words.slice(at, at + this.out.length);
    const images: Image[] = [{ words: here, renaming: this.identity() }];
    const seen = new Set([here.join()]);
    for (const image of images)
      for (const generator of generators) {
        const next = this.exchange(image, generator);
        const text = next.words.join();
        if (seen.has(text)) continue;
        seen.add(text);
        images.push(next);
        if (images.length > most) throw new NotInterchangeable(`more than ${most} images of one state`);
      }
    return images;
  }
  /** One more exchange. */
  exchange({ words, renaming }: Image, generator: Renaming): Image {
    return {
      words: this.apply(words, 0, generator).slice(),
      renaming: renaming.map((member) => generator[member] as number),
    };
  }
  /** The field of this slot, of whatever row: 'locks.readers'. */
  field(slot: number): string {
    return this.fieldOf[slot] as string;
  }
  /** The members that trade places, in words. */
  exchanged(renaming: Renaming): string {
    const moved = this.names.filter((_, member) => renaming[member] !== member);
    return `${moved.map((names) => names.join('+')).join(' and ')} exchanged`;
  }
  identity(): Renaming {
    return Int32Array.from(this.names, (_, member) => member);
  }

  /** The slot that this one becomes. */
  slot(slot: number, renaming: Renaming): number {
    const owner = this.owner[slot] as number;
    if (owner < 0) return slot;
    return (this.bundles[renaming[owner] as number] as readonly number[])[this.place[slot] as number] as number;
  }
  /** The number that stands for the value of this slot after renaming, in the slot that it becomes. */
  id(slot: number, id: number, renaming: Renaming): number {
    const { members } = this.naming(slot, id);
    if (members.length === 0) return id;
    let key = `${slot} ${id}`;
    for (const member of members) key += ` ${renaming[member]}`;
    const known = this.renamed.get(key);
    if (known !== undefined) return known;
    const { packing } = this.learned;
    const value = this.rename(packing.value(slot, id), renaming, this.fieldOf[slot]);
    const fresh = packing.intern(this.slot(slot, renaming), value);
    this.renamed.set(key, fresh);
    return fresh;
  }
  /** The name that this one becomes: of a process, a row, or anything else. */
  name(name: string, renaming: Renaming): string {
    const known = this.memberOf.get(name);
    if (known === undefined) return name;
    return (this.names[renaming[known.member] as number] as Member)[known.role] as string;
  }
  /** The text with every word that is a name replaced. */
  text(text: string, renaming: Renaming): string {
    return wordsOf(text)
      .map((each) => this.name(each, renaming))
      .join('');
  }
  /** The state after renaming; the answer is valid until the next call. */
  apply(words: Uint16Array, at: number, renaming: Renaming): Uint16Array {
    for (let slot = 0; slot < this.owner.length; slot += 1)
      this.out[this.slot(slot, renaming)] = this.id(slot, words[at + slot] as number, renaming);
    return this.out;
  }
  /** The value with every name in it replaced. */
  rename(value: unknown, renaming: Renaming, field = ''): unknown {
    if (typeof value === 'string') return this.text(value, renaming);
    if (Array.isArray(value)) {
      const list = value.map((each) => this.rename(each, renaming));
      return this.sorted.has(field) ? list.sort(byText) : list;
    }
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [this.name(key, renaming), this.rename(each, renaming)]),
    );
  }

  /** The renaming that leads to the canonical form of the state at `words[at]`. */
  canonical(words: Uint16Array, at: number): Renaming {
    const colours = this.coloured(words, at);
    const renaming = this.identity();
    for (const members of this.classes) {
      const order = [...members].sort((a, b) => (colours[a] as number) - (colours[b] as number) || a - b);
      order.forEach((member, rank) => (renaming[member] = members[rank] as number));
    }
    return renaming;
  }

  /** A colour for every member, different within a class; alike members are told apart at will. */
  private coloured(words: Uint16Array, at: number): Uint32Array {
    let colours = this.refined(words, at, this.firstColours(words, at));
    for (let single = 1; single <= this.names.length; single += 1) {
      const twin = this.firstTwin(colours);
      if (twin === undefined) return colours;
      if (!this.namesMembers(words, at)) return colours; // alike, and nobody can tell by whom they are named
      colours[twin] = mixed(colours[twin] as number, single);
      colours = this.refined(words, at, colours);
    }
    return colours;
  }
  private firstTwin(colours: Uint32Array): number | undefined {
    for (const members of this.classes) {
      const seen = new Set<number>();
      for (const member of members) {
        if (seen.has(colours[member] as number)) return member;
        seen.add(colours[member] as number);
      }
    }
    return undefined;
  }
  private namesMembers(words: Uint16Array, at: number): boolean {
    for (let slot = 0; slot < this.owner.length; slot += 1)
      if (this.naming(slot, words[at + slot] as number).members.length > 0) return true;
    return false;
  }
  private firstColours(words: Uint16Array, at: number): Uint32Array {
    const colours = new Uint32Array(this.names.length);
    this.classes.forEach((members, nth) => {
      for (const member of members) {
        let colour = mixed(0x9e3779b9, nth);
        for (const slot of this.bundles[member] as readonly number[])
          colour = mixed(colour, this.naming(slot, words[at + slot] as number).rest);
        colours[member] = colour;
      }
    });
    return colours;
  }
  /** Colours by whom one names and by whom one is named, until no colour splits any more. */
  private refined(words: Uint16Array, at: number, from: Uint32Array): Uint32Array {
    let colours = from;
    for (let different = new Set(colours).size; ; ) {
      const next = colours.slice();
      for (let slot = 0; slot < this.owner.length; slot += 1) {
        const { members, ordered } = this.naming(slot, words[at + slot] as number);
        if (members.length === 0) continue;
        const owner = this.owner[slot] as number;
        const where = owner < 0 ? mixed(0x51ed270b, slot) : mixed(this.place[slot] as number, colours[owner] as number);
        // Added, not chained: who is named from several places must not depend on the order of looking.
        members.forEach((member, index) => {
          const nth = ordered ? index : 0;
          next[member] = ((next[member] as number) + mixed(mixed(where, nth), 0x7feb352d)) >>> 0;
          if (owner >= 0)
            next[owner] =
              ((next[owner] as number) +
                mixed(mixed(this.place[slot] as number, nth), mixed(colours[member] as number, 0x846ca68b))) >>>
              0;
        });
      }
      const now = new Set(next).size;
      if (now <= different) return colours;
      different = now;
      colours = next;
    }
  }

  private naming(slot: number, id: number): Naming {
    const known = this.namings[slot] as Map<number, Naming>;
    let naming = known.get(id);
    if (!naming) {
      const members: number[] = [];
      const rest = this.withoutNames(this.learned.packing.value(slot, id), members);
      const ordered = !this.sorted.has(this.fieldOf[slot] as string);
      const text = ordered || !Array.isArray(rest) ? canonical(rest) : rest.map(canonical).sort().join();
      const number = this.rests.get(text) ?? this.rests.size;
      this.rests.set(text, number);
      naming = { members, ordered, rest: members.length === 0 && this.owner[slot] === -1 ? 0 : number };
      known.set(id, naming);
    }
    return naming;
  }
  private withoutNames(value: unknown, members: number[]): unknown {
    if (typeof value === 'string') {
      const words = wordsOf(value);
      if (words.length > 1) return ['words', ...words.map((each) => this.withoutNames(each, members))];
      const known = this.memberOf.get(value);
      if (known === undefined) return value;
      members.push(known.member);
      return ['name', known.role];
    }
    if (Array.isArray(value)) return value.map((each) => this.withoutNames(each, members));
    if (value === null || typeof value !== 'object') return value;
    return Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [this.withoutNames(key, members), this.withoutNames(each, members)]);
  }

  private mustCorrespond(members: readonly number[]): void {
    const { packing, system } = this.learned;
    const shape = (member: number): string =>
      canonical([
        (this.bundles[member] as readonly number[]).map((slot) => {
          const { path, kind } = packing.slots[slot] as Slot;
          return [path[0], path[2] ?? '', kind.kind];
        }),
        (this.names[member] as Member).map((name) => system.processes.includes(name)),
      ]);
    const [first, ...rest] = members;
    for (const other of rest)
      if (shape(other) !== shape(first as number))
        throw new NotInterchangeable(
          `${(this.names[first as number] as Member).join('+')} and ${(this.names[other] as Member).join('+')} are not alike: their rows differ`,
        );
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : canonical(value));
const byText = (a: unknown, b: unknown): number => (textOf(a) < textOf(b) ? -1 : textOf(a) > textOf(b) ? 1 : 0);

function mixed(a: number, b: number): number {
  let h = Math.imul(a ^ Math.imul(b + 0x9e3779b9, 0x85ebca6b), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x27d4eb2f);
  return (h ^ (h >>> 13)) >>> 0;
}
