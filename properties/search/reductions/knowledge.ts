/**
 * What each process may still read and write, as far as it is known: the learned leaves, arranged by where in its own
 * course a process stands.
 *
 * Where it stands is told by its control slots: those that every leaf of the process reads and no other process writes.
 * So they change only by its own ways, and the leaves with their ways are a graph over their values. `reach` follows
 * that graph from one state, for several processes at once, while the others stand still: a slot that none of them
 * writes keeps its value, one that some of them write has that or a value that they write, and a leaf that asks for
 * another cannot come.
 *
 * Who waits takes no step: what he read to find that out is in nobody's way. (Whether he is seen to wait for another
 * who waits is another matter, and cluster.ts asks for it.) But where a process may ask a question and nobody knows yet
 * what it does with the answer, all that it has asked up to there counts as read: so the order in which it gets
 * that answer is followed, and then it is known (see reduced.ts for why that makes the search find it).
 */
import { type Learned, MOST_TURNS, type Turn } from '../learned.ts';
import type { Mover } from './judgements.ts';

/** One leaf of one process, with the values that it was met with. */
interface Leaf<F> extends Mover<F> {
  readonly thread: number;
  number: number;
  /** Slots in the order in which they are asked, and the values found there. */
  readonly reads: Int32Array;
  readonly found: Int32Array;
  /** Slots that it may write while somebody else is owed a turn, and at all. */
  readonly writes: readonly number[];
  readonly writesEver: ReadonlySet<number>;
  /** Whom it waits for, if its wait does not end by itself. */
  readonly debtors: readonly number[];
  /** The place among the nodes of its process, and the places that its ways lead to. */
  node: number;
  next: number[];
}
/** Somebody who waits and whose wait does not end by itself. */
export interface Waiting {
  readonly turn: Turn<unknown>;
  readonly debtors: readonly number[];
  readonly values: ReadonlyMap<number, number>;
}
/** The leaves of one process by where it stands. */
interface Course<F> {
  readonly leaves: Leaf<F>[];
  /** The leaves by place, as questions; nothing where no leaf was met yet. */
  nodes: (Question<F> | Leaf<F> | undefined)[];
}
/** A slot that the process asks for, and what it does or asks next by the value it finds there. */
interface Question<F> {
  readonly slot: number;
  /** The slot tells where the process stands: only it writes it. */
  readonly own: boolean;
  readonly next: Map<number, Question<F> | Leaf<F>>;
}

export class Knowledge<S extends object, F> {
  /** Grows with everything that is learned; a decision is as old as the version it was made with. */
  version = 0;
  private readonly learned: Learned<S, F>;
  private readonly patient: boolean;
  private readonly leaves: (Leaf<F> | undefined)[] = []; // by id of the turn
  private readonly courses: readonly Course<F>[];
  private arranged = -1;
  private readonly clashes = new Map<number, boolean>();
  // What `reach` found, valid while the stamp is that of the last call.
  private stamp = 0;
  private grown = false;
  private readonly slots: number;
  private readonly numberOf: ReadonlyMap<string, number>;
  private readonly writtenAt: Int32Array; // by slot
  private readonly written: number[][]; // values by slot
  private readonly writtenBy: Int32Array; // by process and slot
  private readonly touchedBy: Int32Array; // by process and slot
  private readonly activeAt: Int32Array; // by process
  private readonly reached: number[][]; // nodes by process
  private readonly takenAt: Int32Array[]; // by process and leaf
  private readonly taken: Leaf<F>[][]; // by process
  private readonly nodeAt: Int32Array[]; // by process and node

  /** @param patient what time brings comes only when nobody is owed a turn */
  constructor(learned: Learned<S, F>, patient: boolean) {
    this.learned = learned;
    this.patient = patient;
    const processes = learned.threads.length;
    this.slots = learned.packing.slots.length;
    this.courses = learned.threads.map(() => ({ leaves: [], nodes: [] }));
    this.numberOf = new Map(learned.threads.map((name, at) => [name, at] as const));
    this.writtenAt = new Int32Array(this.slots);
    this.written = learned.packing.slots.map(() => []);
    this.writtenBy = new Int32Array(processes * this.slots);
    this.touchedBy = new Int32Array(processes * this.slots);
    this.activeAt = new Int32Array(processes);
    this.reached = learned.threads.map(() => []);
    this.taken = learned.threads.map(() => []);
    this.takenAt = learned.threads.map(() => new Int32Array(16));
    this.nodeAt = learned.threads.map(() => new Int32Array(16));
  }

  /** This leaf was met, in the state at `words[at]`. */
  meet(thread: number, turn: Turn<F>, words: Uint16Array, at: number): void {
    if (this.leaves[turn.id]) return;
    const ways = this.patient ? turn.ways.filter(({ nature }) => nature !== 'time') : turn.ways;
    const reads = Int32Array.from(this.readsOf(turn));
    const found = reads.map((slot) => words[at + slot] as number);
    const values = new Map(Array.from(reads, (slot, nth) => [slot, found[nth] as number]));
    const leaf: Leaf<F> = {
      turn,
      thread,
      number: 0,
      reads,
      found,
      values,
      writes: [...new Set(ways.flatMap(({ slots }) => [...slots]))],
      writesEver: turn.writes,
      debtors: this.debtorsOf(turn),
      ways: ways.map(({ slots, ids }) => ({
        slots,
        ids,
        after: new Map([...values, ...Array.from(slots, (slot, each) => [slot, ids[each] as number] as const)]),
      })),
      node: -1,
      next: [],
    };
    this.leaves[turn.id] = leaf;
    (this.courses[thread] as Course<F>).leaves.push(leaf);
    this.version += 1;
  }
  /** The slots that decide this leaf, in the order in which they are asked. */
  protected readsOf(turn: Turn<F>): readonly number[] {
    return [...turn.reads];
  }

  /** May this turn be taken while somebody is owed one? */
  movable(turn: Turn<F>): boolean {
    return (this.leaves[turn.id] as Leaf<F>).ways.length > 0;
  }

  /**
   * Follow all that may happen from the state at `words[at]` while the processes in `still` do not move.
   * @param still by process, whether it stands still
   */
  reach(turns: readonly Turn<F>[], still: readonly boolean[], words: Uint16Array, at: number): void {
    this.arrange();
    this.stamp += 1;
    const { stamp } = this;
    for (let thread = 0; thread < turns.length; thread += 1) {
      (this.reached[thread] as number[]).length = 0;
      (this.taken[thread] as Leaf<F>[]).length = 0;
      if (!still[thread] && this.movable(turns[thread] as Turn<F>)) this.wake(thread, turns[thread] as Turn<F>);
    }
    for (let changed = true; changed; ) {
      changed = false;
      for (let thread = 0; thread < turns.length; thread += 1) {
        if (still[thread]) continue;
        const turn = turns[thread] as Turn<F>;
        if (this.activeAt[thread] !== stamp) {
          if (!(this.leaves[turn.id] as Leaf<F>).reads.some((slot) => this.writtenAt[slot] === stamp)) continue;
          this.wake(thread, turn);
          changed = true;
        }
        if (this.follow(thread, words, at)) changed = true;
      }
    }
  }
  /** After `reach`: can this process move at all before one of those that stand still? */
  active(thread: number): boolean {
    return this.activeAt[thread] === this.stamp;
  }
  /** After `reach`: may the steps of this process, before one of those that stand still, meet this leaf of another? */
  meets(thread: number, turn: Turn<F>): boolean {
    const base = thread * this.slots;
    const { writes, reads } = this.leaves[turn.id] as Leaf<F>;
    for (const slot of writes) if (this.touchedBy[base + slot] === this.stamp) return true;
    for (const slot of reads) if (this.writtenBy[base + slot] === this.stamp) return true;
    return false;
  }
  /** Does a step of one, as things stand, depend on the other? */
  clash(mover: Turn<F>, other: Turn<F>): boolean {
    const key = mover.id * MOST_TURNS + other.id;
    let known = this.clashes.get(key);
    if (known === undefined) {
      const a = this.leaves[mover.id] as Leaf<F>;
      const b = this.leaves[other.id] as Leaf<F>;
      known = a.ways.length > 0 && (this.disturbs(mover, other) || b.writes.some((slot) => a.values.has(slot)));
      this.clashes.set(key, known);
    }
    return known;
  }
  /** After `reach`: the leaves of this process that may come before one of those that stand still moves. */
  ahead(thread: number): readonly Mover<F>[] {
    return this.taken[thread] as Leaf<F>[];
  }
  mover(turn: Turn<F>): Mover<F> {
    return this.leaves[turn.id] as Leaf<F>;
  }
  /**
   * After `reach`: what this process may wait for, before one of those that stand still moves: for whom, and the slots
   * that decide it.
   */
  waits(thread: number, turn: Turn<F>): readonly Waiting[] {
    const leaves = this.active(thread) ? (this.taken[thread] as Leaf<F>[]) : [this.leaves[turn.id] as Leaf<F>];
    return leaves.filter(({ debtors }) => debtors.length > 0);
  }
  /** What the ways of this turn write while somebody is owed one. */
  writes(turn: Turn<F>): readonly number[] {
    return (this.leaves[turn.id] as Leaf<F>).writes;
  }
  /** Does a step of `mover` change what decides the leaf `other`? */
  disturbs(mover: Turn<F>, other: Turn<F>): boolean {
    const { values } = this.leaves[other.id] as Leaf<F>;
    return (this.leaves[mover.id] as Leaf<F>).writes.some((slot) => values.has(slot));
  }

  private debtorsOf({ open }: Turn<F>): readonly number[] {
    if (open.kind !== 'blocked' || open.wait.bounded !== undefined) return [];
    return open.wait.owedBy.map((debtor) => this.numberOf.get(debtor) as number);
  }

  private wake(thread: number, turn: Turn<F>): void {
    this.activeAt[thread] = this.stamp;
    this.enter(thread, (this.leaves[turn.id] as Leaf<F>).node);
  }
  private enter(thread: number, node: number): void {
    const entered = this.nodeAt[thread] as Int32Array;
    if (entered[node] === this.stamp) return;
    entered[node] = this.stamp;
    (this.reached[thread] as number[]).push(node);
  }
  /** Take every leaf at the places reached to which the values that the slots may have by then lead. */
  private follow(thread: number, words: Uint16Array, at: number): boolean {
    const { nodes } = this.courses[thread] as Course<F>;
    const places = this.reached[thread] as number[];
    this.grown = false;
    for (let place = 0; place < places.length; place += 1)
      this.answer(thread, nodes[places[place] as number], words, at, []);
    return this.grown;
  }
  private answer(
    thread: number,
    node: Question<F> | Leaf<F> | undefined,
    words: Uint16Array,
    at: number,
    asked: number[],
  ): void {
    if (!node) return;
    if (!('slot' in node)) {
      this.take(thread, node);
      return;
    }
    const { slot, own, next } = node;
    asked.push(slot);
    if (own) for (const then of next.values()) this.answer(thread, then, words, at, asked);
    else {
      this.answerTo(thread, node, words[at + slot] as number, words, at, asked);
      if (this.writtenAt[slot] === this.stamp) {
        const values = this.written[slot] as number[];
        for (let nth = 0; nth < values.length; nth += 1)
          this.answerTo(thread, node, values[nth] as number, words, at, asked);
      }
    }
    asked.pop();
  }
  private answerTo(
    thread: number,
    { next }: Question<F>,
    value: number,
    words: Uint16Array,
    at: number,
    asked: number[],
  ): void {
    const then = next.get(value);
    if (then) this.answer(thread, then, words, at, asked);
    else this.wonder(thread, asked);
  }
  /** Nobody knows yet what the process does with the last of these answers: all of them may decide it. */
  protected wonder(thread: number, asked: readonly number[]): void {
    for (const slot of asked) this.touchedBy[thread * this.slots + slot] = this.stamp;
  }
  private take(thread: number, leaf: Leaf<F>): void {
    const { stamp, writtenAt, touchedBy, writtenBy } = this;
    const taken = this.takenAt[thread] as Int32Array;
    if (taken[leaf.number] === stamp) return;
    taken[leaf.number] = stamp;
    this.grown = true;
    (this.taken[thread] as Leaf<F>[]).push(leaf);
    if (leaf.ways.length === 0) return; // it stands still there, and no step of it depends on anything
    const base = thread * this.slots;
    for (const slot of leaf.reads) touchedBy[base + slot] = stamp;
    for (const { slots, ids } of leaf.ways)
      for (let each = 0; each < slots.length; each += 1) {
        const slot = slots[each] as number;
        if (writtenAt[slot] !== stamp) (this.written[slot] as number[]).length = 0;
        writtenAt[slot] = stamp;
        writtenBy[base + slot] = stamp;
        touchedBy[base + slot] = stamp;
        const values = this.written[slot] as number[];
        if (!values.includes(ids[each] as number)) values.push(ids[each] as number);
      }
    for (const node of leaf.next) this.enter(thread, node);
  }

  /** Sort the leaves by where their process stands, if any were learned since. */
  private arrange(): void {
    if (this.arranged === this.version) return;
    this.arranged = this.version;
    const writers = new Map<number, Set<number>>();
    for (const { leaves } of this.courses)
      for (const leaf of leaves)
        for (const slot of leaf.writesEver) writers.set(slot, (writers.get(slot) ?? new Set()).add(leaf.thread));
    this.courses.forEach((course, thread) => {
      const [first, ...rest] = course.leaves;
      const control = [...(first?.reads ?? [])].filter(
        (slot) =>
          rest.every(({ values }) => values.has(slot)) &&
          [...(writers.get(slot) ?? [])].every((writer) => writer === thread),
      );
      const numbers = new Map<string, number>();
      course.nodes = [];
      const nodeOf = (values: readonly number[]): number => {
        const text = values.join();
        const known = numbers.get(text);
        if (known !== undefined) return known;
        numbers.set(text, course.nodes.length);
        course.nodes.push(undefined);
        return course.nodes.length - 1;
      };
      course.leaves.forEach((leaf, number) => {
        const here = control.map((slot) => leaf.values.get(slot) as number);
        leaf.node = nodeOf(here);
        leaf.number = number;
        course.nodes[leaf.node] = placed(course.nodes[leaf.node], leaf, control);
        leaf.next = leaf.ways.map(({ slots, ids }) => {
          const after = [...here];
          slots.forEach((slot, each) => {
            const place = control.indexOf(slot);
            if (place >= 0) after[place] = ids[each] as number;
          });
          return nodeOf(after);
        });
      });
      this.takenAt[thread] = new Int32Array(course.leaves.length + 1);
      this.nodeAt[thread] = new Int32Array(course.nodes.length + 1);
    });
  }
}

/** The questions with one more leaf among their answers. */
function placed<F>(
  root: Question<F> | Leaf<F> | undefined,
  leaf: Leaf<F>,
  control: readonly number[],
): Question<F> | Leaf<F> {
  const [first, ...rest] = leaf.reads;
  if (first === undefined) return leaf;
  const asks = (slot: number): Question<F> => ({ slot, own: control.includes(slot), next: new Map() });
  const top = (root as Question<F> | undefined) ?? asks(first);
  let at = top;
  rest.forEach((slot, nth) => {
    const value = leaf.found[nth] as number;
    const known = (at.next.get(value) as Question<F> | undefined) ?? asks(slot);
    at.next.set(value, known);
    at = known;
  });
  at.next.set(leaf.found[rest.length] as number, leaf);
  return top;
}
