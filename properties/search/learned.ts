/**
 * A system, learned: what each process is open for and what each of its ways does, as trees over packed states.
 * The readable instructions run only on a miss, through the recording view; there is no second semantics.
 */
import { choicesOf } from '../../model/case.ts';
import type { Fact, KernelState, Nature, Open } from '../../model/machine.ts';
import { type Bits, type Leaf, Learner } from './learner.ts';
import { Packing } from './packed.ts';
import { Recorder, type Writes } from './recorder.ts';
import type { System } from './system.ts';

/** Ids of turns stay below this as long as every process reads little enough to be remembered by half a word. */
export const MOST_TURNS = 0x10000;

/** One way a process may go from here, and what it changes. */
export interface Way<F = Fact> extends Writes {
  readonly thread: string;
  readonly threadAt: number;
  readonly outcome: string;
  /** Where the process stood. */
  readonly line: string;
  readonly nature: Nature;
  /** The way this instruction goes when nothing is against it. */
  readonly tamest: boolean;
  readonly facts: readonly F[];
  /** A number of its own, for what others remember about this way. */
  readonly id: number;
  /** Which of the ways of its turn it is. */
  readonly nth: number;
}
/** All that one process can do in the states of one leaf. */
export interface Turn<F = Fact> {
  readonly open: Open;
  /** Where the process stands. */
  readonly line: string;
  readonly ways: readonly Way<F>[];
  readonly owed: boolean;
  readonly time: boolean;
  /** A number of its own among all turns of the system. */
  readonly id: number;
  readonly threadAt: number;
  /** Slots that decide what the process can do and what it does, and slots that it may write. */
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
  /** The ways once more, as numbers: fingerprint changes and ids, for the inner loop of a search. */
  readonly highs: Int32Array;
  readonly lows: Int32Array;
  readonly ids: Int32Array;
}

/** Can these two go in either order, with the same effect, from every state in which both leaves hold? */
export function independent(a: Turn<unknown>, b: Turn<unknown>): boolean {
  const meets = (writes: ReadonlySet<number>, other: Turn<unknown>): boolean => {
    for (const slot of writes) if (other.reads.has(slot) || other.writes.has(slot)) return true;
    return false;
  };
  return !meets(a.writes, b) && !meets(b.writes, a);
}

export class Learned<S extends object = KernelState, F = Fact> {
  readonly system: System<S, F>;
  readonly packing: Packing;
  readonly threads: readonly string[];
  private readonly recorder: Recorder<S>;
  private readonly turns: readonly Learner<S, Turn<F>>[];
  private readonly questions: { readonly name: string; readonly tooWide: boolean }[] = [];
  private ways = 0;
  private readonly made: Way<F>[] = [];
  private readonly turnsMade: Turn<F>[] = [];

  /** @param salt another number makes other fingerprints of the same states */
  constructor(system: System<S, F>, salt = 0) {
    this.system = system;
    this.packing = new Packing(system.schema, system.boot, salt);
    this.recorder = new Recorder<S>(this.packing, system.boot);
    this.threads = system.processes;
    this.turns = this.threads.map((thread, threadAt) => this.learnerOf(thread, threadAt));
  }

  /** What process number `threadAt` can do in the state at `words[at]`. */
  turn(threadAt: number, words: Uint16Array, at: number): Turn<F> {
    return (this.turns[threadAt] as Learner<S, Turn<F>>).of(words, at);
  }

  /** The same for a state laid out in bits at `rows[at]`; nothing when that was not learned yet. */
  known(threadAt: number, rows: Int32Array, at: number, bits: Bits): Turn<F> | undefined {
    return (this.turns[threadAt] as Learner<S, Turn<F>>).known(rows, at, bits);
  }

  /** All that was learned of process number `threadAt`. @throws when that was too much to remember */
  leavesOf(threadAt: number): Leaf<Turn<F>>[] {
    const learner = this.turns[threadAt] as Learner<S, Turn<F>>;
    if (learner.tooWide) throw new Error(`${learner.name} reads too widely: not all that it can do is remembered`);
    return learner.paths();
  }

  /** How many ways have an id so far. */
  get waysMade(): number {
    return this.ways;
  }
  /** The way with this id. */
  way(id: number): Way<F> {
    return this.made[id] as Way<F>;
  }

  /** The turns that were learned, by id. A process that reads too widely to be remembered makes a new one every time. */
  get everyTurn(): readonly Turn<F>[] {
    return this.turnsMade;
  }

  /** A function of the state, learned in the same way. */
  learner<R>(name: string, ask: (state: S) => R): Learner<S, R> {
    const learner = new Learner<S, R>(name, this.packing, this.recorder, (recorder) =>
      recorder.looking(() => ask(recorder.view)),
    );
    this.questions.push(learner);
    return learner;
  }

  /** Processes and questions that read too widely to be remembered, by name. */
  get tooWide(): readonly string[] {
    return [...this.turns, ...this.questions].filter((learner) => learner.tooWide).map(({ name }) => name);
  }
  /** How many combinations were learned, over all processes. */
  get leaves(): number {
    return this.turns.reduce((sum, { leaves }) => sum + leaves, 0);
  }

  private learnerOf(thread: string, threadAt: number): Learner<S, Turn<F>> {
    return new Learner(`thread ${thread}`, this.packing, this.recorder, (recorder) => {
      const now = recorder.looking(() => this.system.open(recorder.view, thread));
      const line = recorder.looking(() => this.system.line(recorder.view, thread));
      const ways = choicesOf(thread, now).map(({ outcome, nature }, nth): Way<F> => {
        recorder.rewind();
        const facts = structuredClone(this.system.step(recorder.view, thread, outcome));
        const way: Way<F> = {
          ...recorder.changes(),
          thread,
          threadAt,
          outcome,
          line,
          nature,
          tamest: nth === 0,
          nth,
          facts,
          id: (this.ways += 1) - 1,
        };
        this.made.push(way);
        return way;
      });
      recorder.rewind();
      const turn: Turn<F> = {
        id: this.turnsMade.length,
        threadAt,
        reads: new Set(recorder.reads),
        writes: new Set(ways.flatMap(({ slots }) => [...slots])),
        highs: Int32Array.from(ways, ({ high }) => high),
        lows: Int32Array.from(ways, ({ low }) => low),
        ids: Int32Array.from(ways, ({ id }) => id),
        open: now,
        line,
        ways,
        owed: ways.some(({ nature }) => nature === 'owed'),
        time: ways.some(({ nature }) => nature === 'time'),
      };
      this.turnsMade.push(turn);
      return turn;
    });
  }
}

/** Write a way's changes to a packed state. */
export function apply({ slots, ids }: Writes, words: Uint16Array, at: number): void {
  for (let each = 0; each < slots.length; each += 1) words[at + (slots[each] as number)] = ids[each] as number;
}
