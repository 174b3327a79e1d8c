/**
 * A machine, learned: what each thread is open for and what each of its ways does, as trees over packed states.
 * The readable instructions run only on a miss, through the recording view; there is no second semantics.
 */
import {
  type Fact,
  type KernelState,
  type Machine,
  type Nature,
  type Open,
  open,
  reduce,
} from '../../model/machine.ts';
import { choicesOf } from '../../model/case.ts';
import { lineOf } from '../lasso.ts';
import { Learner } from './learner.ts';
import { Packing } from './packed.ts';
import { Recorder, type Writes } from './recorder.ts';

/** One way a thread may go from here, and what it changes. */
export interface Way extends Writes {
  readonly thread: string;
  readonly threadAt: number;
  readonly outcome: string;
  /** Where the thread stood, as 'thread routine:pc'. */
  readonly line: string;
  readonly nature: Nature;
  /** The way this instruction goes when nothing is against it. */
  readonly tamest: boolean;
  readonly facts: readonly Fact[];
  /** A number of its own, for what others remember about this way. */
  readonly id: number;
}
/** All that one thread can do in the states of one leaf. */
export interface Turn {
  readonly open: Open;
  readonly ways: readonly Way[];
  readonly owed: boolean;
  readonly time: boolean;
}

export class Learned {
  readonly machine: Machine;
  readonly packing: Packing;
  readonly recorder: Recorder<KernelState>;
  readonly threads: readonly string[];
  private readonly turns: readonly Learner<KernelState, Turn>[];
  private ways = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.packing = new Packing(machine.schema, machine.boot);
    this.recorder = new Recorder<KernelState>(this.packing, machine.boot);
    this.threads = Object.keys(machine.threads);
    this.turns = this.threads.map((thread, threadAt) => this.learnerOf(thread, threadAt));
  }

  /** What thread number `threadAt` can do in the state at `words[at]`. */
  turn(threadAt: number, words: Int32Array, at: number): Turn {
    return (this.turns[threadAt] as Learner<KernelState, Turn>).of(words, at);
  }

  /** A function of the state, learned in the same way. */
  learner<R>(name: string, ask: (kernel: KernelState) => R): Learner<KernelState, R> {
    return new Learner(name, this.packing, this.recorder, (recorder) => recorder.looking(() => ask(recorder.view)));
  }

  /** How many combinations were learned, over all threads. */
  get leaves(): number {
    return this.turns.reduce((sum, { leaves }) => sum + leaves, 0);
  }

  private learnerOf(thread: string, threadAt: number): Learner<KernelState, Turn> {
    return new Learner(`thread ${thread}`, this.packing, this.recorder, (recorder) => {
      const now = recorder.looking(() => open(this.machine, recorder.view, thread));
      const line = recorder.looking(() => lineOf(recorder.view, thread));
      const ways = choicesOf(thread, now).map(({ outcome, nature }, nth): Way => {
        recorder.rewind();
        reduce(this.machine, recorder.view, { thread, outcome });
        const facts = structuredClone(recorder.view.facts);
        return {
          ...recorder.changes(),
          thread,
          threadAt,
          outcome,
          line,
          nature,
          tamest: nth === 0,
          facts,
          id: (this.ways += 1) - 1,
        };
      });
      recorder.rewind();
      return {
        open: now,
        ways,
        owed: ways.some(({ nature }) => nature === 'owed'),
        time: ways.some(({ nature }) => nature === 'time'),
      };
    });
  }
}

/** Write a way's changes to a packed state. */
export function apply({ slots, ids }: Writes, words: Int32Array, at: number): void {
  for (let each = 0; each < slots.length; each += 1) words[at + (slots[each] as number)] = ids[each] as number;
}
