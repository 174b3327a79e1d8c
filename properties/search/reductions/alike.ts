/**
 * Which members of a system might be interchangeable? A guess from how it begins and from what it does then; whether it
 * is right, equivariance.ts checks in every state that is searched.
 *
 * Two processes are taken for partners. Where the values of their rows differ, they must differ in names: the names that
 * stand at the same place are partners too, and so are their rows, and so on. What is named only in programs shows when
 * both take the same step. So some states near the beginning are compared with their images, and whatever a step
 * writes in one must be what its image writes in the other, but for the names: those are partners as well.
 */
import { canonical, read } from '../../../model/schema.ts';
import { Learned, MOST_TURNS, type Way, apply } from '../learned.ts';
import { type Member, type Renaming, Symmetries, type Symmetry, wordsOf } from './symmetry.ts';

/** States compared with their images for each guess. */
const MOST_COMPARED = 4000;

type Partners = ReadonlyMap<string, string>;

/** Classes of processes, with all that goes with them, that behave alike as far as was looked; or nothing. */
export function interchangeable<S extends object, F>(
  { system, packing }: Learned<S, F>,
  from: Uint16Array,
): Symmetry | undefined {
  // Images under a wrong guess are states that nobody reaches: what is learned of them is thrown away.
  const guesses = new Guesses(new Learned(system), packing.unpack<S>(from, 0));
  const classes: Member[][] = [];
  const placed = new Set<string>();
  for (const first of system.processes) {
    if (placed.has(first)) continue;
    const members: Member[] = [];
    for (const second of system.processes) {
      if (second === first || placed.has(second)) continue;
      const partners = guesses.partnersOf(first, second);
      if (!partners) continue;
      const own = [...partners].filter((_, nth) => nth % 2 === 0);
      const names = own.map(([name]) => name);
      if (members.length === 0) members.push(names);
      if ((members[0] as Member).join() !== names.join()) continue;
      const others = own.map(([, name]) => name);
      if (members.flat().some((name) => others.includes(name))) continue;
      members.push(others);
    }
    if (members.length < 2) continue;
    for (const name of members.flat()) placed.add(name);
    classes.push(members);
  }
  return classes.length === 0 ? undefined : { classes, sorted: [...guesses.sorted] };
}

class Guesses<S extends object, F> {
  /** Fields whose lists were found to be kept sorted, whatever the names in them. */
  readonly sorted = new Set<string>();
  private readonly learned: Learned<S, F>;
  private readonly from: Uint16Array;
  /** By name: the fields of all its rows, with the values they begin with. */
  private readonly rows = new Map<string, readonly (readonly [string, unknown])[]>();
  private nearby: readonly Uint16Array[] | undefined;

  constructor(learned: Learned<S, F>, start: S) {
    this.learned = learned;
    this.from = learned.packing.pack(start);
    for (const [table, { kind }] of Object.entries(learned.system.schema)) {
      if (kind !== 'table' && kind !== 'tableOf') continue;
      for (const name of Object.keys(read(learned.system.boot, [table]) as object)) {
        const row = read(start, [table, name]);
        const fields: (readonly [string, unknown])[] =
          kind === 'tableOf'
            ? [[table, row]]
            : Object.entries(row as object).map(([field, value]) => [`${table}.${field}`, value] as const);
        this.rows.set(name, [...(this.rows.get(name) ?? []), ...fields]);
      }
    }
  }

  /** Who must be whose partner when these two are, or nothing when they cannot be. */
  partnersOf(one: string, other: string): Partners | undefined {
    const partners = new Map<string, string>();
    if (!this.pair(partners, one, other)) return undefined;
    for (;;) {
      const known = partners.size + this.sorted.size;
      if (!this.agree(partners)) return undefined;
      if (partners.size + this.sorted.size === known) return partners;
    }
  }

  /** Make partners of two names and of all that their rows name. @returns whether that is possible */
  private pair(partners: Map<string, string>, one: string, other: string): boolean {
    const [of, to] = [partners.get(one), partners.get(other)];
    if (of !== undefined || to !== undefined) return of === other && to === one;
    const [ours, theirs] = [this.rows.get(one), this.rows.get(other)];
    if (one === other || !ours || !theirs || ours.length !== theirs.length) return false;
    partners.set(one, other);
    partners.set(other, one);
    return ours.every(([field, value], nth) => {
      const [field2, value2] = theirs[nth] as readonly [string, unknown];
      return field === field2 && this.fits(partners, value, value2);
    });
  }
  /** Is one value the other but for names, which then are partners? */
  private fits(partners: Map<string, string>, one: unknown, other: unknown): boolean {
    if (typeof one === 'string' && typeof other === 'string') {
      const words = wordsOf(one);
      if (words.length > 1) return this.fits(partners, words, wordsOf(other));
      return one === other ? !partners.has(one) : this.pair(partners, one, other);
    }
    if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') return one === other;
    const [keys, keys2] = [Object.keys(one), Object.keys(other)];
    return (
      keys.length === keys2.length &&
      keys.every((key, nth) => {
        const key2 = Array.isArray(one) ? key : (keys2[nth] as string);
        const same = key === key2 ? !partners.has(key) : this.pair(partners, key, key2);
        return same && this.fits(partners, one[key as keyof typeof one], other[key2 as keyof typeof other]);
      })
    );
  }

  /**
   * Compare states with their images, up to the first that tells of more partners.
   * @returns false when a process does not do what its partner does
   */
  private agree(partners: Map<string, string>): boolean {
    const own = [...partners].filter((_, nth) => nth % 2 === 0);
    try {
      const members = [own.map(([name]) => name), own.map(([, name]) => name)];
      const symmetries = new Symmetries(this.learned, { classes: [members], sorted: [...this.sorted] });
      return this.comparedUnder(symmetries, partners);
    } catch {
      return false; // the rows differ, or the image is a state that the readable code finds absurd
    }
  }
  private comparedUnder(symmetries: Symmetries<S, F>, partners: Map<string, string>): boolean {
    const { learned } = this;
    const [exchange] = symmetries.generators;
    if (!exchange || symmetries.apply(this.from, 0, exchange).join() !== this.from.join()) return false;
    const becomes = learned.threads.map((name) => learned.threads.indexOf(symmetries.name(name, exchange)));
    const compared = new Set<number>();
    for (const state of (this.nearby ??= this.statesNearby())) {
      const image = symmetries.apply(state, 0, exchange).slice();
      for (const [at, to] of becomes.entries()) {
        const turn = learned.turn(at, state, 0);
        const its = learned.turn(to, image, 0);
        const both = turn.id * MOST_TURNS + its.id;
        if (compared.has(both)) continue;
        compared.add(both);
        if (turn.ways.length !== its.ways.length) return false;
        for (const [nth, way] of turn.ways.entries()) {
          const same = this.sameWay(way, its.ways[nth] as Way<F>, symmetries, exchange, partners);
          if (same !== 'the same') return same === 'more partners';
        }
      }
    }
    return true;
  }
  private sameWay(
    way: Way<F>,
    its: Way<F>,
    symmetries: Symmetries<S, F>,
    exchange: Renaming,
    partners: Map<string, string>,
  ): 'the same' | 'more partners' | 'not the same' {
    const { packing } = this.learned;
    const known = partners.size;
    for (const [nth, slot] of way.slots.entries()) {
      const place = its.slots.indexOf(symmetries.slot(slot, exchange));
      if (place < 0) continue; // a slot that only partners yet to be found exchange
      const value = packing.value(slot, way.ids[nth] as number);
      const image = packing.value(its.slots[place] as number, its.ids[place] as number);
      const field = symmetries.field(slot);
      if (canonical(symmetries.rename(value, exchange, field)) === canonical(image)) continue;
      if (!this.sorted.has(field) && sameMembers(symmetries.rename(value, exchange), image)) this.sorted.add(field);
      else if (!this.fits(partners, value, image) || partners.size === known) return 'not the same';
      return 'more partners';
    }
    return 'the same';
  }
  private statesNearby(): Uint16Array[] {
    const { learned, from } = this;
    const seen = new Set([from.join()]);
    const states = [from];
    for (const state of states)
      for (const at of learned.threads.keys())
        for (const way of learned.turn(at, state, 0).ways) {
          if (states.length >= MOST_COMPARED) return states;
          const next = state.slice();
          apply(way, next, 0);
          if (seen.has(next.join())) continue;
          seen.add(next.join());
          states.push(next);
        }
    return states;
  }
}

/** The same list but for its order? */
const sameMembers = (one: unknown, other: unknown): boolean =>
  Array.isArray(one) &&
  Array.isArray(other) &&
  canonical(one.map(canonical).sort()) === canonical(other.map(canonical).sort());
