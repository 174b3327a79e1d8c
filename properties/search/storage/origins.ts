/**
 * Ways, written down. An id of a way means nothing to another run, but there the way is found by asking again: so of
 * each turn a state is kept in which it was met, and a way is one of a turn.
 */
import type { Learned, Turn } from '../learned.ts';
import type { Arrays } from './seen.ts';

const UNKNOWN = -1;

export class Origins<S extends object, F> {
  private readonly learned: Learned<S, F>;
  /** By id of the turn. */
  private readonly states: (Uint16Array | undefined)[] = [];
  private readonly turns: Turn<F>[] = [];

  constructor(learned: Learned<S, F>) {
    this.learned = learned;
  }
  /** This turn is met in the state at `words[at]`. */
  meet(turn: Turn<F>, words: Uint16Array, at: number): void {
    if (this.states[turn.id] !== undefined) return;
    this.states[turn.id] = words.slice(at, at + this.learned.packing.width);
    this.turns.push(turn);
  }

  /** Ids of ways as pairs: which turn, and which of its ways; and the turns, as the process and a state. */
  save(ids: Int32Array): Arrays {
    const { width } = this.learned.packing;
    const places = new Map(
      this.turns.flatMap(({ ways }, turn) => ways.map(({ id }, nth): [number, [number, number]] => [id, [turn, nth]])),
    );
    const origins = new Int32Array(this.turns.length * (width + 1));
    this.turns.forEach(({ id, threadAt }, nth) => {
      origins[nth * (width + 1)] = threadAt;
      origins.set(this.states[id] as Uint16Array, nth * (width + 1) + 1);
    });
    const bys = new Int32Array(ids.length * 2);
    ids.forEach((id, nth) => bys.set(places.get(id) ?? [UNKNOWN, 0], nth * 2));
    return { origins, bys };
  }
  /** The same ways by the ids that they have here. @throws when one is not there any more */
  restore({ origins, bys }: Arrays): Int32Array {
    const { width } = this.learned.packing;
    if (!origins || !bys) throw new Error('it does not say by which steps states were found');
    for (let at = 0; at < origins.length; at += width + 1) {
      const words = Uint16Array.from(origins.subarray(at + 1, at + 1 + width));
      this.meet(this.learned.turn(origins[at] as number, words, 0), words, 0);
    }
    return Int32Array.from({ length: bys.length / 2 }, (_, nth) => {
      const turn = bys[nth * 2] as number;
      if (turn === UNKNOWN) return UNKNOWN;
      const way = this.turns[turn]?.ways[bys[nth * 2 + 1] as number];
      if (!way) throw new Error('a step that was taken before cannot be taken any more');
      return way.id;
    });
  }
}
