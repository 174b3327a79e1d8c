/**
 * What a run showed, as features: small numbers made of stable names, so that they mean the same in every process.
 *
 * Features are: an instruction with the reason why it blocks, an edge of the wait-for graph, an edge of the order of
 * locks, two facts of different threads in a row, the state of an object, the way that an instruction went. Each run
 * stamps what it shows in a table (a bitmap that needs no wiping); the inner loop compares and stores numbers only.
 */
import { canonical } from '../../../model/schema.ts';
import type { Learned, Turn, Way } from '../learned.ts';
import { enlarged } from '../store.ts';
import type { Watcher } from '../walk.ts';

export const KINDS = [
  'instruction',
  'blocking reason',
  'wait-for edge',
  'lock-order edge',
  'fact pair',
  'object state',
  'way',
] as const;
export type FeatureKind = (typeof KINDS)[number];
const [AT, BLOCKED, DEBT, ORDER, PAIR, OBJECT, WAY] = KINDS.map((_, at) => at) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
/** The kind stands above the hash. */
const KIND_BITS = 28;
const HASH_MASK = (1 << KIND_BITS) - 1;
export const kindOf = (feature: number): FeatureKind => KINDS[feature >>> KIND_BITS] as FeatureKind;

/** What stands for the class of a fence, whose context only the whole state knows. */
export const FENCE = 'fence';

/** How often a feature was shown is not counted beyond this: once, twice, or more often. */
export const MOST_TIMES = 3;

const hashText = (text: string): number => {
  let h = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  return mixed(h);
};
const mixed = (value: number): number => {
  let h = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
};
const feature = (kind: number, hash: number): number => ((kind << KIND_BITS) | (hash & HASH_MASK)) >>> 0;
/** The place of an instruction, whoever is there: 'thread routine:pc' without the thread. */
export const placeOf = (line: string): string => line.slice(line.indexOf(' ') + 1);
/** That somebody stood at this place, 'routine:pc'. */
export const standsAt = (place: string): number => feature(AT, hashText(place));
/** That the instruction at this place went this way. */
export const wentBy = (place: string, outcome: string): number => feature(WAY, hashText(`${place}/${outcome}`));

interface Seen {
  /** In the table, by place. */
  readonly features: Int32Array;
  /** Of a way: the objects that it writes, and what its facts count as in a pair. */
  readonly objects: Int32Array;
  readonly fact: number;
}
const NONE = new Int32Array(0);

/** The features that one batch of runs showed. */
export class Features implements Watcher {
  /** By place in the table: the feature, the run that showed it last and first, and how many runs did. */
  private ids: number[] = [];
  private last: Int32Array = new Int32Array(1024);
  private first: Int32Array = new Int32Array(1024);
  private times: Uint8Array = new Uint8Array(1024);
  /** How often it was shown before this batch. */
  private before: Uint8Array = new Uint8Array(1024);
  /** Open addressing: a place, plus one. */
  private table: Int32Array = new Int32Array(4096);
  private run = 0;
  private readonly byTurn = new Map<Turn, Seen>();
  private readonly byWay = new Map<Way, Seen>();
  private readonly turns: (Turn | undefined)[];
  private readonly learned: Learned;
  /** Objects, as lists of slots, and the object that each slot belongs to; threads are no objects. */
  private readonly objects: Int32Array[] = [];
  private readonly objectOf: Int32Array;
  private pairThread = -1;
  private pairFact = 0;
  /** Features that the present run was the first to show, and after how many of its steps it showed the last of them. */
  news = 0;
  newsAt = 0;
  private step = 0;
  /** The class of each lock that was taken, and of each fence that was waited for. */
  readonly classes = new Map<string, string>();

  /** @param known features that earlier batches showed, and how often */
  constructor(learned: Learned, known: Iterable<readonly [feature: number, times: number]> = []) {
    this.learned = learned;
    this.turns = learned.threads.map(() => undefined);
    const { slots } = learned.packing;
    const rows = new Map<string, number[]>();
    slots.forEach(({ path }, slot) => {
      if (path[0] === 'threads') return;
      const row = path.slice(0, 2).join('\0');
      rows.set(row, [...(rows.get(row) ?? []), slot]);
    });
    this.objectOf = new Int32Array(slots.length).fill(-1);
    for (const own of rows.values()) {
      for (const slot of own) this.objectOf[slot] = this.objects.length;
      this.objects.push(Int32Array.from(own));
    }
    for (const [id, times] of known) this.before[this.placeOf(id)] = times;
  }

  /** The next run begins. */
  begin(): void {
    this.run += 1;
    this.news = 0;
    this.newsAt = 0;
    this.step = 0;
    this.turns.fill(undefined);
    this.pairThread = -1;
  }

  looks(turns: readonly Turn[]): void {
    for (let thread = 0; thread < turns.length; thread += 1) {
      const turn = turns[thread] as Turn;
      if (this.turns[thread] === turn) continue;
      this.turns[thread] = turn;
      this.mark((this.byTurn.get(turn) ?? this.meetTurn(turn)).features);
    }
  }
  steps(way: Way, words: Uint16Array): void {
    this.step += 1;
    const seen = this.byWay.get(way) ?? this.meetWay(way);
    this.mark(seen.features);
    const { packing } = this.learned;
    for (const object of seen.objects) {
      let sum = object;
      for (const slot of this.objects[object] as Int32Array) sum ^= packing.keyHigh(slot, words[slot] as number);
      this.stamp(feature(OBJECT, mixed(sum)));
    }
    if (seen.fact === 0) return;
    if (this.pairThread >= 0 && this.pairThread !== way.threadAt)
      this.stamp(feature(PAIR, mixed(Math.imul(this.pairFact, 31) ^ seen.fact)));
    this.pairThread = way.threadAt;
    this.pairFact = seen.fact;
  }

  /** What no batch showed before: the feature, the run (from 1) that showed it first, and in how many runs. */
  fresh(): (readonly [feature: number, run: number, times: number])[] {
    return this.ids.flatMap((id, place) =>
      this.before[place] === 0 && this.times[place] !== 0
        ? [[id, this.first[place] as number, this.times[place] as number] as const]
        : [],
    );
  }
  /** What was shown before, but not often enough to stop counting, and was shown again: in how many runs more. */
  again(): (readonly [feature: number, times: number])[] {
    return this.ids.flatMap((id, place) => {
      const before = this.before[place] as number;
      const more = Math.min(this.times[place] as number, MOST_TIMES - before);
      return before > 0 && more > 0 ? [[id, more] as const] : [];
    });
  }

  private mark(places: Int32Array): void {
    for (const place of places) this.note(place);
  }
  private note(place: number): void {
    if (this.last[place] === this.run) return;
    this.last[place] = this.run;
    const times = this.times[place] as number;
    if (times === 0) {
      this.first[place] = this.run;
      if (this.before[place] === 0) {
        this.news += 1;
        this.newsAt = this.step;
      }
    }
    if (times < MOST_TIMES) this.times[place] = times + 1;
  }
  private stamp(id: number): void {
    this.note(this.placeOf(id));
  }

  private placeOf(id: number): number {
    const mask = this.table.length - 1;
    let at = Math.imul(id, 0x9e3779b1) >>> 7;
    for (at &= mask; this.table[at] !== 0; at = (at + 1) & mask) {
      const place = (this.table[at] as number) - 1;
      if (this.ids[place] === id) return place;
    }
    const place = this.ids.length;
    this.ids.push(id);
    this.table[at] = place + 1;
    if (place * 2 > this.table.length) this.grow();
    if (place >= this.last.length - 1) {
      this.last = enlarged(this.last);
      this.first = enlarged(this.first);
      this.times = enlarged(this.times);
      this.before = enlarged(this.before);
    }
    return place;
  }
  private grow(): void {
    this.table = new Int32Array(this.table.length * 4);
    const mask = this.table.length - 1;
    this.ids.forEach((id, place) => {
      let at = (Math.imul(id, 0x9e3779b1) >>> 7) & mask;
      while (this.table[at] !== 0) at = (at + 1) & mask;
      this.table[at] = place + 1;
    });
  }

  private meetTurn(turn: Turn): Seen {
    const { open, line } = turn;
    const thread = this.learned.threads[turn.threadAt] as string;
    const ids = [standsAt(placeOf(line))];
    if (open.kind === 'blocked') {
      const { on, object, owedBy } = open.wait;
      ids.push(feature(BLOCKED, hashText(`${line} ${on} ${object}`)));
      for (const debtor of owedBy) ids.push(feature(DEBT, hashText(`${thread} ${object} ${debtor}`)));
    }
    const seen = { features: this.placesOf(ids), objects: NONE, fact: 0 };
    this.byTurn.set(turn, seen);
    return seen;
  }
  private meetWay(way: Way): Seen {
    const ids = [wentBy(placeOf(way.line), way.outcome)];
    const kinds: string[] = [];
    for (const fact of way.facts) {
      kinds.push(fact.kind);
      if (fact.kind === 'acquires') {
        this.classes.set(fact.object, fact.class);
        for (const held of fact.over) ids.push(feature(ORDER, hashText(`${held.class} > ${fact.class}`)));
      }
      if (fact.kind === 'waitsForFence') {
        this.classes.set(fact.fence, FENCE);
        for (const held of fact.over) ids.push(feature(ORDER, hashText(`${held.class} > fence ${fact.fence}`)));
      }
    }
    const objects = new Set<number>();
    for (const slot of way.slots) if ((this.objectOf[slot] as number) >= 0) objects.add(this.objectOf[slot] as number);
    const seen: Seen = {
      features: this.placesOf(ids),
      objects: Int32Array.from(objects),
      fact: kinds.length === 0 ? 0 : hashText(canonical([way.thread, ...new Set(kinds)])) || 1,
    };
    this.byWay.set(way, seen);
    return seen;
  }
  private placesOf(ids: readonly number[]): Int32Array {
    return Int32Array.from(ids, (id) => this.placeOf(id));
  }
}
