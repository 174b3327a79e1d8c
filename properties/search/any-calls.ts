/**
 * A booted design whose processes may call anything: its states, numbered as they are found, and the way back to boot.
 *
 * A search of one workload cannot say that no other workload is quicker. Here nothing is ever left to call: a process in
 * user space may begin any call with any arguments, each time anew. So the states of all workloads are searched at once,
 * and they are fewer than those of one long workload, for what is still to be called tells no states apart. A path is a
 * case: what the processes called on it is its workload.
 */
import { word } from '../../model/case.ts';
import { type Booted, type Workload, mayCall, start } from '../../model/design.ts';
import { type Call, showCall } from '../../model/objects/user.ts';
import { type Learned, type Turn, type Way, apply } from './learned.ts';
import { StateStore, enlarged } from './store.ts';

/** A step: its word, and the call that a process begins with it. */
export interface Taken {
  readonly word: string;
  readonly begins?: { readonly user: string; readonly call: Call };
}
export interface Path {
  readonly workload: Workload;
  readonly schedule: readonly string[];
}

/** What everybody can do in one state. */
export interface Look {
  readonly words: Uint16Array;
  readonly turns: readonly Turn[];
  readonly owed: boolean;
  readonly resting: boolean;
}

/** Every call there is, with all arguments that are declared. */
function callsOf({ calls }: Booted): Call[] {
  return Object.entries(calls).flatMap(([call, { params }]) =>
    Object.entries(params)
      .reduce<Record<string, string>[]>(
        (all, [param, values]) => all.flatMap((each) => values.map((value) => ({ ...each, [param]: value }))),
        [{}],
      )
      .map((given) => ({ call, with: given })),
  );
}

export class AnyCalls {
  /** A state, then the marks of whoever searches. */
  readonly next: Uint16Array;
  readonly boot: Uint16Array;
  private readonly learned: Learned;
  private readonly patient: boolean;
  private readonly store: StateStore;
  private readonly pairs: Int32Array;
  private readonly width: number;
  private readonly row: number;
  private readonly ahead: Uint16Array;
  private readonly callers: readonly {
    readonly user: string;
    readonly threadAt: number;
    readonly slot: number;
    /** What this process may call. */
    readonly calls: readonly Call[];
  }[];
  private parents: Int32Array = new Int32Array(1024);
  private takenBy: Int32Array = new Int32Array(1024);
  private readonly steps: Taken[] = [];
  private readonly numbers = new Map<string, number>();

  /** @param marks numbers that a search adds to every state, to tell equal ones apart; an even number of them */
  constructor(booted: Booted, learned: Learned, patient: boolean, marks = 0) {
    this.learned = learned;
    this.patient = patient;
    this.width = learned.packing.width;
    this.row = this.width + marks;
    this.store = new StateStore(this.row);
    this.next = new Uint16Array(this.row);
    this.pairs = new Int32Array(this.next.buffer);
    this.ahead = new Uint16Array(this.width);
    this.boot = learned.packing.pack(start(booted, {}));
    const calls = callsOf(booted);
    this.callers = Object.keys(booted.machine.boot.users).map((user) => ({
      user,
      threadAt: learned.threads.indexOf(user),
      slot: learned.packing.slotAt.get(['users', user, 'todo'].join('\0')) as number,
      calls: calls.filter(({ call }) => mayCall(booted, user, call)),
    }));
  }

  get count(): number {
    return this.store.count;
  }
  /** A mark of this state. */
  mark(state: number, mark: number): number {
    return this.store.words[state * this.row + this.width + mark] as number;
  }

  look(state: number): Look {
    const words = this.store.words.slice(state * this.row, state * this.row + this.width);
    const turns = this.learned.threads.map((_, thread) => this.learned.turn(thread, words, 0));
    const owed = turns.some((turn) => turn.owed);
    return { words, turns, owed, resting: !owed && !turns.some((turn) => turn.time) };
  }

  /** Take every step from here, until one is enough: `next` then holds the state after it, without marks. */
  each(look: Look, enough: (way: Way, taken: Taken) => boolean): Taken | undefined {
    for (const { ways } of look.turns)
      for (const way of ways) {
        if (this.patient && look.owed && way.nature === 'time') continue;
        const taken = { word: word(way) };
        this.next.set(look.words);
        apply(way, this.next, 0);
        if (enough(way, taken)) return taken;
      }
    for (const { user, threadAt, slot, calls } of this.callers) {
      if (look.turns[threadAt]?.open.kind !== 'idle') continue;
      for (const call of calls) {
        this.ahead.set(look.words);
        this.ahead[slot] = this.learned.packing.intern(slot, [call]);
        for (const way of this.learned.turn(threadAt, this.ahead, 0).ways) {
          const taken = { word: word(way), begins: { user, call } };
          this.next.set(this.ahead);
          apply(way, this.next, 0);
          if (enough(way, taken)) return taken;
        }
      }
    }
    return undefined;
  }

  /** The number of the state in `next`, marks and all; it is new when that is the last. */
  add(parent: number, taken: Taken): number {
    const { packing } = this.learned;
    const { store, next, width, row } = this;
    let more = 0;
    for (let at = width; at < row; at += 1) more = Math.imul(more ^ (next[at] as number), 0x9e3779b1) + at;
    const before = store.count;
    const state = store.add(
      this.pairs,
      packing.fingerprint(next, 'high') ^ more,
      packing.fingerprint(next, 'low') ^ more,
    );
    if (store.count === before) return state;
    if (store.count > this.parents.length) {
      this.parents = enlarged(this.parents);
      this.takenBy = enlarged(this.takenBy);
    }
    this.parents[state] = parent;
    this.takenBy[state] = this.numberOf(taken);
    return state;
  }

  /** From boot to this state, and by these steps on. */
  path(state: number, ...further: readonly Taken[]): Path {
    const path = [...further];
    for (let at = state; at > 0; at = this.parents[at] as number)
      path.unshift(this.steps[this.takenBy[at] as number] as Taken);
    const workload: Record<string, string[]> = {};
    for (const { begins } of path) if (begins) (workload[begins.user] ??= []).push(showCall(begins.call));
    return { workload, schedule: path.map((each) => each.word) };
  }

  private numberOf(taken: Taken): number {
    const { begins } = taken;
    const text = begins ? `${begins.user} ${taken.word} ${showCall(begins.call)}` : taken.word;
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    this.numbers.set(text, this.steps.length);
    this.steps.push(taken);
    return this.steps.length - 1;
  }
}
