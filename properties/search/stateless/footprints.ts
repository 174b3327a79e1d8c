/**
 * What a step reads and writes, as bit masks over the slots, for searches that ask "do these two meet?" all the time.
 *
 * A stand is what one process can do in one state, and everything that decided it: a blocked process has one too, and
 * whoever writes into its reads may set it free. In patient time a timer's turn also depends on nobody else being owed
 * a step; then the processes are asked in order until one is, and what they read counts as read.
 */
import { type Learned, type Turn, type Way, apply } from '../learned.ts';

export type Mask = Int32Array;
export interface Stand<F> {
  readonly turn: Turn<F>;
  /** What it can do, time that must be patient left out. */
  readonly ways: readonly Way<F>[];
  readonly reads: Mask;
  /** By way. */
  readonly writes: readonly Mask[];
  /** What any of its ways writes. */
  readonly mayWrite: Mask;
}

/** A stand's ways are numbered in one word. */
export const MOST_WAYS = 31;

export function meets(a: Mask, b: Mask): boolean {
  for (let at = 0; at < a.length; at += 1) if (((a[at] as number) & (b[at] as number)) !== 0) return true;
  return false;
}

export interface Footing<F> {
  /** What time brings comes only when nothing that is owed can move. */
  readonly patient: boolean;
  /** Is coming to rest a step? */
  readonly rests: boolean;
  /** The slots on which depends what is to be said of a step; the state after it stands at `words[0]`. */
  readonly asks?: ((way: Way<F>, words: Uint16Array) => readonly number[]) | undefined;
}

export class Footprints<S extends object, F> {
  /** Whoever can take steps: the processes, and one more that comes to rest. */
  readonly movers: number;
  private readonly learned: Learned<S, F>;
  private readonly footing: Footing<F>;
  private readonly size: number;
  private readonly usual: (Stand<F> | undefined)[] = [];
  private readonly after: Uint16Array;
  private readonly stopping: Mask;
  private readonly stop: Way<F>;

  constructor(learned: Learned<S, F>, footing: Footing<F>) {
    const { slots, width } = learned.packing;
    this.learned = learned;
    this.footing = footing;
    this.movers = learned.threads.length + (footing.rests ? 1 : 0);
    this.size = (slots.length + 32) >> 5; // one slot more than there are
    this.after = new Uint16Array(width);
    this.stopping = this.mask([slots.length]);
    const none = new Uint16Array(0);
    this.stop = {
      ...{
        slots: none,
        ids: none,
        olds: none,
        high: 0,
        low: 0,
        thread: '',
        threadAt: learned.threads.length,
        outcome: '',
        line: '',
      },
      ...{ nature: 'may', tamest: true, facts: [], id: -1, nth: 0 },
    };
  }

  /** What everybody can do in the state at `words[0]`, into `stands`. */
  look(words: Uint16Array, stands: Stand<F>[]): void {
    const { learned, footing } = this;
    let late = false;
    for (let process = 0; process < learned.threads.length; process += 1) {
      const turn = learned.turn(process, words, 0);
      const stand = (this.usual[turn.id] ??= this.standOf(turn));
      stands[process] = footing.asks ? this.asked(stand, words, footing.asks) : stand;
      late ||= turn.time;
    }
    if (late && footing.patient) this.holdBack(stands);
    if (footing.rests) this.rest(stands);
  }

  /** All the slots that decide what this turn offers. */
  reads(turn: Turn<F>): Mask {
    return this.mask([...turn.reads, this.learned.packing.slots.length]);
  }
  /** All the slots that this way changes. */
  writes(way: Way<F>): Mask {
    return this.mask(way.slots);
  }

  private standOf(turn: Turn<F>): Stand<F> {
    if (turn.ways.length > MOST_WAYS)
      throw new Error(
        `${turn.ways[0]?.thread} has ${turn.ways.length} ways to go at once; the stateless search takes ${MOST_WAYS}`,
      );
    const writes = turn.ways.map((way) => this.writes(way));
    return { turn, ways: turn.ways, reads: this.reads(turn), writes, mayWrite: this.union(writes) };
  }
  private asked(stand: Stand<F>, words: Uint16Array, asks: NonNullable<Footing<F>['asks']>): Stand<F> {
    const masks = stand.ways.flatMap((way) => {
      if (way.facts.length === 0) return [];
      this.after.set(words);
      apply(way, this.after, 0);
      const slots = asks(way, this.after);
      return slots.length > 0 ? [this.mask(slots)] : [];
    });
    return masks.length > 0 ? { ...stand, reads: this.union([stand.reads, ...masks]) } : stand;
  }
  /** Patient time: timers wait while anybody is owed a step, and so depend on the first who is. */
  private holdBack(stands: Stand<F>[]): void {
    const { length } = this.learned.threads;
    let owing = 0;
    while (owing < length && !stands[owing]?.turn.owed) owing += 1;
    const asked = stands.slice(0, Math.min(owing + 1, length)).map(({ reads }) => reads);
    for (let process = 0; process < length; process += 1) {
      const stand = stands[process] as Stand<F>;
      if (!stand.turn.time) continue;
      const free = stand.ways.flatMap((way, nth) => (owing === length || way.nature !== 'time' ? [nth] : []));
      const writes = free.map((nth) => stand.writes[nth] as Mask);
      stands[process] = {
        turn: stand.turn,
        ways: free.map((nth) => stand.ways[nth] as Way<F>),
        reads: this.union([stand.reads, ...asked]),
        writes,
        mayWrite: this.union(writes),
      };
    }
  }
  /** To come to rest is possible when nobody is owed a step and no time passes. */
  private rest(stands: Stand<F>[]): void {
    const { length } = this.learned.threads;
    let moving = 0;
    while (moving < length && !stands[moving]?.turn.owed && !stands[moving]?.turn.time) moving += 1;
    const resting = moving === length;
    stands[length] = {
      turn: stands[0]?.turn as Turn<F>,
      ways: resting ? [this.stop] : [],
      reads: this.union(stands.slice(0, Math.min(moving + 1, length)).map(({ reads }) => reads)),
      writes: resting ? [this.stopping] : [],
      mayWrite: resting ? this.stopping : this.mask([]),
    };
  }
  private mask(slots: Iterable<number>): Mask {
    const mask = new Int32Array(this.size);
    for (const slot of slots) mask[slot >> 5] = (mask[slot >> 5] as number) | (1 << (slot & 31));
    return mask;
  }
  private union(masks: readonly Mask[]): Mask {
    const all = new Int32Array(this.size);
    for (const mask of masks)
      for (let at = 0; at < all.length; at += 1) all[at] = (all[at] as number) | (mask[at] as number);
    return all;
  }
}
