/**
 * Does one step change what is said of another?
 *
 * What is said of a step (a property's verdict on its facts, the evidence it gives) may depend on more of the state than
 * the step reads. Two steps that commute then still do not, for the judge. The slots he reads would tell, but too
 * harshly: he asks who owes each fence, and the answer is the same as long as it is not this thread. So what matters is
 * whether the answer changes. Every step that is judged leaves a context: the values the judge asked for, and what he
 * said. A mover that fits the context is applied to it, forwards and backwards, and the judge is asked again; the
 * context this makes is one more to be tried with every mover, whether any state has it or not. So when nobody changes
 * an answer, every order of them gets the same one.
 */
import type { Learned, Turn, Way } from '../learned.ts';

/** Whoever has something to say of steps. */
export interface Judge<F> {
  /** What is to be said of this way, as a text; the state after it starts at `words[0]`. */
  says(way: Way<F>, words: Uint16Array): string;
  /** The slots on which that depends. */
  slots(way: Way<F>, words: Uint16Array): Iterable<number>;
}

interface Context {
  /** Slots that the judge asked for; their values stand in `words`, a state after the step. */
  readonly slots: ReadonlySet<number>;
  readonly words: Uint16Array;
  readonly said: string;
}
interface Judged<F> {
  readonly way: Way<F>;
  readonly contexts: Context[];
  readonly known: Set<string>;
  /** All slots that the judge ever asked for here, and what he said by their values. */
  asked: readonly number[];
  readonly answers: Map<string, string>;
}
interface Pair {
  changes: boolean;
  /** How many contexts of each way were tried. */
  readonly tried: number[];
}
/** A leaf as a mover: the values that it was met with, and what its ways write. */
export interface Mover<F> {
  readonly turn: Turn<F>;
  readonly values: ReadonlyMap<number, number>;
  /** What each of its ways writes, and all those values afterwards. */
  readonly ways: readonly {
    readonly slots: Uint16Array;
    readonly ids: Uint16Array;
    readonly after: ReadonlyMap<number, number>;
  }[];
}

/** Contexts of one step after which every mover that touches what the judge read is taken to change the answer. */
const MOST_CONTEXTS = 1000;

export class Judgements<S extends object, F> {
  /** Grows with every context. */
  version = 0;
  private readonly learned: Learned<S, F>;
  private readonly judge: Judge<F>;
  private readonly scratch: Uint16Array;
  private readonly byTurn = new Map<number, Judged<F>[]>();
  private readonly byWay: (Judged<F> | undefined)[] = [];
  private readonly pairs = new Map<number, Map<number, Pair>>();

  constructor(learned: Learned<S, F>, judge: Judge<F>) {
    this.learned = learned;
    this.judge = judge;
    this.scratch = new Uint16Array(learned.packing.width);
  }

  /** This way of this turn was taken; the state after it starts at `words[0]`. */
  meet(turn: Turn<F>, way: Way<F>, words: Uint16Array): void {
    let judged = this.byWay[way.id];
    if (!judged) {
      judged = { way, contexts: [], known: new Set(), asked: [], answers: new Map() };
      this.byWay[way.id] = judged;
      this.byTurn.set(turn.id, [...(this.byTurn.get(turn.id) ?? []), judged]);
    }
    this.add(judged, words);
  }
  /** Is anything ever said of the steps of this turn? */
  concerns(turn: Turn<F>): boolean {
    return this.byTurn.has(turn.id);
  }

  /** Might a step of `mover` change what is said of a step of `turn`? */
  changes(turn: Turn<F>, mover: Mover<F>): boolean {
    const judged = this.byTurn.get(turn.id);
    if (!judged) return false;
    let movers = this.pairs.get(turn.id);
    if (!movers) this.pairs.set(turn.id, (movers = new Map<number, Pair>()));
    let pair = movers.get(mover.turn.id);
    if (!pair) movers.set(mover.turn.id, (pair = { changes: false, tried: [] }));
    for (let nth = 0; nth < judged.length && !pair.changes; nth += 1) {
      const { contexts } = judged[nth] as Judged<F>;
      let tried = pair.tried[nth] ?? 0;
      for (; tried < contexts.length && !pair.changes; tried += 1)
        pair.changes = this.changesIn(judged[nth] as Judged<F>, contexts[tried] as Context, mover);
      pair.tried[nth] = tried;
    }
    return pair.changes;
  }

  /** @returns what is said in this state; its context is known afterwards */
  private add(judged: Judged<F>, words: Uint16Array): string {
    const known = judged.answers.get(keyOf(judged.asked, words));
    if (known !== undefined) return known;
    const slots = new Set(this.judge.slots(judged.way, words));
    const said = this.judge.says(judged.way, words);
    const key = [...slots].join() + keyOf([...slots], words);
    if (!judged.known.has(key)) {
      judged.known.add(key);
      judged.contexts.push({ slots, words: words.slice(0, this.learned.packing.width), said });
      this.version += 1;
    }
    const asked = [...new Set([...judged.asked, ...slots])];
    if (asked.length > judged.asked.length) judged.answers.clear();
    judged.asked = asked;
    judged.answers.set(keyOf(asked, words), said);
    return said;
  }

  private changesIn(judged: Judged<F>, context: Context, mover: Mover<F>): boolean {
    for (const { slots, after } of mover.ways) {
      if (!touches(slots, context)) continue;
      if (judged.contexts.length >= MOST_CONTEXTS) return true;
      if (this.differs(judged, context, slots, mover.values, after)) return true;
      if (this.differs(judged, context, slots, after, mover.values)) return true;
    }
    return false;
  }
  /** Does the judge say something else when these slots, with all that the mover reads, go from one to the other? */
  private differs(
    judged: Judged<F>,
    context: Context,
    slots: Uint16Array,
    from: ReadonlyMap<number, number>,
    to: ReadonlyMap<number, number>,
  ): boolean {
    for (const slot of context.slots) {
      const value = from.get(slot);
      if (value !== undefined && value !== context.words[slot]) return false;
    }
    this.scratch.set(context.words);
    for (const slot of slots) this.scratch[slot] = to.get(slot) as number;
    return this.imagined(judged, this.scratch) !== context.said;
  }
  /** What the judge says in a state that perhaps nobody ever reaches; nothing when he finds it absurd. */
  private imagined(judged: Judged<F>, words: Uint16Array): string | undefined {
    try {
      return this.add(judged, words);
    } catch {
      return undefined;
    }
  }
}

function touches(slots: Uint16Array, context: Context): boolean {
  for (const slot of slots) if (context.slots.has(slot)) return true;
  return false;
}

function keyOf(slots: readonly number[], words: Uint16Array): string {
  let key = '';
  for (const slot of slots) key += String.fromCharCode(words[slot] as number);
  return key;
}
