/**
 * What a step means for what the other processes can do: does a process have to be asked again after it, and could it
 * have gone first as well? Both follow from the learned footprints; each pair is thought about once.
 */
import type { Learned, Turn, Way } from './learned.ts';

/** The step writes what the turn read: the process has to be asked again. */
export const TOUCHED = 2;
/** All that the turn can do commutes with the step, and neither comes with time. */
export const COMMUTES = 4;
const KNOWN = 1;
/** Pairs of a way and a turn that are remembered; a byte each. */
const MOST_PAIRS = 1 << 26;

export class Commuting<S extends object, F> {
  private readonly learned: Learned<S, F>;
  /** The turn that each way belongs to. */
  private readonly turnOf: Turn<F>[] = [];
  private met = 0;
  /** Which processes have ever read a slot. */
  private readonly readers: Set<number>[];
  private listed = 0;
  /** By way: how many processes have ever read what it writes, and which. */
  private affected = new Int32Array(0);
  private readonly stride: number;
  /** A row a way, a column a turn. */
  private pairs = new Uint8Array(0);
  private rows = 0;
  private shift = 0;

  constructor(learned: Learned<S, F>) {
    this.learned = learned;
    this.stride = learned.threads.length + 1;
    this.readers = learned.packing.slots.map(() => new Set());
  }
  get bytes(): number {
    return this.pairs.byteLength + this.affected.byteLength;
  }

  /** Make room for all that was learned since; to be called before a new way or turn is asked about. */
  meet(): void {
    const { everyTurn, waysMade } = this.learned;
    for (; this.met < everyTurn.length; this.met += 1) {
      const turn = everyTurn[this.met] as Turn<F>;
      for (const { id } of turn.ways) this.turnOf[id] = turn;
      for (const slot of turn.reads) {
        if (this.readers[slot]?.has(turn.threadAt)) continue;
        this.readers[slot]?.add(turn.threadAt);
        this.listed = 0; // the lists of earlier ways may be short of this one
      }
    }
    this.list(waysMade);
    if (waysMade <= this.rows && everyTurn.length <= 1 << this.shift && this.rows > 0) return;
    this.rows = Math.max(64, waysMade * 2);
    this.shift = Math.max(6, Math.ceil(Math.log2(everyTurn.length * 2)));
    const size = this.rows * 2 ** this.shift;
    this.pairs = new Uint8Array(size <= MOST_PAIRS ? size : 0);
  }
  /** How many processes may have to be asked again after this way, at most; `mayAffect` numbers them from 0. */
  affects(way: number): number {
    return this.affected[way * this.stride] as number;
  }
  mayAffect(way: number, nth: number): number {
    return this.affected[way * this.stride + 1 + nth] as number;
  }
  /** What this way means for this turn: flags, other bits to be ignored. */
  of(way: number, turn: number): number {
    const known = this.pairs[(way << this.shift) | turn];
    return known === undefined || known === 0 ? this.think(way, turn) : known;
  }

  private list(ways: number): void {
    const { stride, learned, readers } = this;
    if (ways * stride > this.affected.length) {
      this.affected = new Int32Array(ways * stride * 2);
      this.listed = 0;
    }
    for (; this.listed < ways; this.listed += 1) {
      const threads = new Set([...learned.way(this.listed).slots].flatMap((slot) => [...(readers[slot] ?? [])]));
      this.affected.set([threads.size, ...threads], this.listed * stride);
    }
  }
  private think(way: number, turn: number): number {
    const step = this.learned.way(way);
    const other = this.learned.everyTurn[turn] as Turn<F>;
    const flags = KNOWN | (touches(step, other) ? TOUCHED : this.commute(step, other) ? COMMUTES : 0);
    // Beyond MOST_PAIRS there is no table, and this assigns to nothing.
    this.pairs[(way << this.shift) | turn] = flags;
    return flags;
  }
  /** For a turn that the step does not touch: does the turn leave alone what the step's process read? */
  private commute(step: Way<F>, other: Turn<F>): boolean {
    if (step.nature === 'time' || other.time) return false;
    const { reads } = this.turnOf[step.id] as Turn<F>;
    for (const slot of other.writes) if (reads.has(slot)) return false;
    return true;
  }
}

function touches<F>({ slots }: Way<F>, { reads, writes }: Turn<F>): boolean {
  for (const slot of slots) if (reads.has(slot) || writes.has(slot)) return true;
  return false;
}
