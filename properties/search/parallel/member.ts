/**
 * One worker of a parallel search: it expands its share of each level, and of the states that nobody had seen before
 * it, those that it saw first are its share of the next. Only fingerprints are shared while it works; states go to
 * another worker between two levels, and only when shares are too unequal.
 *
 * Who sees a state first is chance. So nothing that a search tells may depend on it: counts and depths do not, and what
 * was noticed is chosen, of all that is in one level, by content.
 */
import { word } from '../../../model/case.ts';
import type { Learned, Turn, Way } from '../learned.ts';
import { Expander, type Host } from '../storage/expander.ts';
import type { Candidates } from '../storage/seen.ts';
import { type Parcel, Post } from './parcel.ts';
import { SharedTable } from './shared-table.ts';

/** What is to be noticed: names of it, none most of the time. Each name is told once, where it shows first. */
export interface Watch<F> {
  state?(turns: readonly Turn<F>[], words: Uint16Array, at: number, resting: boolean): readonly string[];
  /** `words` is the state after the step, from 0. */
  step?(way: Way<F>, words: Uint16Array): readonly string[];
}
/** Where something was noticed: the fingerprint of a state, and the word of a step out of it. */
export interface Sight {
  readonly name: string;
  readonly high: number;
  readonly low: number;
  readonly word?: string;
}
/** What a worker did of a level. */
export interface Expanded {
  /** The table must grow before it can go on. */
  readonly full: boolean;
  /** States expanded, steps taken, and states at rest, since the last answer. */
  readonly expanded: number;
  readonly transitions: number;
  readonly resting: number;
  readonly sights: readonly Sight[];
  /** Bytes that are this worker's own. */
  readonly bytes: number;
  /** Combinations that it has learned, and what reads too widely to be learned in full. */
  readonly learned: number;
  readonly tooWide: readonly string[];
}
/** What can be asked of a worker; in the same process at once, in another thread with a promise of the answer. */
export interface Worker {
  use(memory: SharedArrayBuffer, header: SharedArrayBuffer): void;
  move(memory: SharedArrayBuffer, from: number, to: number): void;
  /** Begin with the start state as the level. */
  begin(): void;
  /** Go on with the level. `known` are names that need not be noticed any more. */
  expand(known: readonly string[]): Expanded;
  /** The next level becomes the level. @returns how many states of it are here */
  turn(): number;
  give(n: number, from: number, to: number): Parcel;
  take(parcel: Parcel): void;
}

/** Which of two sights of one name is told, whoever saw it: the smaller fingerprint, then the smaller word. */
export function smaller(a: Sight, b: Sight): Sight {
  if (a.high !== b.high) return a.high < b.high ? a : b;
  if (a.low !== b.low) return a.low < b.low ? a : b;
  return (a.word ?? '') <= (b.word ?? '') ? a : b;
}

export class Member<S extends object, F> implements Worker, Host<F> {
  readonly state: Host<F>['state'];
  readonly step: Host<F>['step'];
  private readonly learned: Learned<S, F>;
  private readonly from: Uint16Array;
  private readonly expander: Expander<S, F>;
  private readonly post: Post;
  private table: SharedTable | undefined;
  private full = false;
  private readonly fresh = new Int32Array(1);
  private readonly sights = new Map<string, Sight>();
  private known: ReadonlySet<string> = new Set();

  constructor(learned: Learned<S, F>, from: Uint16Array, patient: boolean, watch: Watch<F> = {}) {
    this.learned = learned;
    this.from = from;
    this.post = new Post(learned.packing);
    if (watch.state)
      this.state = (_state, turns, words, at, resting) => this.notice(watch.state?.(turns, words, at, resting) ?? []);
    if (watch.step) this.step = (way, _from, words) => this.notice(watch.step?.(way, words) ?? [], word(way));
    this.expander = new Expander(learned, this, {
      patient,
      all: watch.step !== undefined,
      keys: 'fingerprints',
    });
  }

  use(memory: SharedArrayBuffer, header: SharedArrayBuffer): void {
    this.table ??= new SharedTable(header);
    this.table.use(memory);
  }
  move(memory: SharedArrayBuffer, from: number, to: number): void {
    this.table?.move(memory, from, to);
  }
  begin(): void {
    const { highs, lows } = this.expander.entered(this.expander.enter(this.from, 0));
    this.table?.add(highs, lows, 1, this.fresh);
    this.expander.levels.turn();
  }
  turn(): number {
    const { levels } = this.expander;
    levels.turn();
    return levels.now.reduce((sum, { count }) => sum + count, 0);
  }

  expand(known: readonly string[]): Expanded {
    const { expander } = this;
    this.known = new Set(known);
    this.full = false;
    expander.expand();
    const { expanded, transitions, resting, bytes } = expander;
    const sights = [...this.sights.values()];
    expander.expanded = expander.transitions = expander.resting = 0;
    this.sights.clear();
    const { leaves: learned, tooWide } = this.learned;
    return { full: this.full, expanded, transitions, resting, sights, bytes, learned, tooWide };
  }

  get stopped(): boolean {
    return this.table === undefined || this.table.stopped;
  }
  ask({ highs, lows }: Candidates, n: number, fresh: Int32Array): number {
    const { table } = this;
    this.full = !table?.takes(n);
    return table && !this.full ? table.add(highs, lows, n, fresh) : -1;
  }

  give(n: number, from: number, to: number): Parcel {
    const { width } = this.learned.packing;
    const words = new Uint16Array(n * width);
    for (let given = 0; given < n; given += 1) this.expander.leave(words, given * width);
    return this.post.write(from, to, words);
  }
  take(parcel: Parcel): void {
    const { levels } = this.expander;
    const { width } = this.learned.packing;
    this.post.read(parcel);
    levels.next = [];
    for (let at = 0; at < parcel.words.length; at += width) this.expander.enter(parcel.words, at);
    levels.now.push(...levels.next);
    levels.next = [];
  }

  private notice(names: readonly string[], by?: string): void {
    const { high, low } = this.expander;
    for (const name of names) {
      if (this.known.has(name)) continue;
      const sight: Sight = { name, high, low, ...(by === undefined ? {} : { word: by }) };
      const before = this.sights.get(name);
      this.sights.set(name, before ? smaller(before, sight) : sight);
    }
  }
}
