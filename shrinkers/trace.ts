/**
 * A case as it was followed: every word with the outcome it meant, the tamer ways there were, and the call it was
 * part of. Words that could not be followed are left out, for they change nothing.
 *
 * Why: a pass must know which words belong together (a call and its body) and what else could have happened, and
 * both are facts of the run, not of the text.
 */
import { type Case, REBOOT, choiceOf, choices, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { type KernelState, reduce } from '../model/machine.ts';
import { canonical } from '../model/schema.ts';

export interface Step {
  readonly word: string;
  /** Words for the same step with a tamer outcome, tamest first. */
  readonly tamer: readonly string[];
  /** The call of the process's workload, by place, that this step is part of; nothing for other threads. */
  readonly call: number | undefined;
  /** The state after it, as text, to be compared with others. */
  readonly state: () => string;
}
export interface Trace {
  readonly schedule: readonly Step[];
  readonly loop: readonly Step[];
}

/** The state as text; equal texts are equal states. */
const identity = (kernel: KernelState): string => canonical({ ...kernel, facts: [] });

/** Follow the case and write down what happened. `states` keeps the states as well, which costs a text a step. */
export function traceOf(booted: Booted, run: Case, patient: boolean, states = false): Trace {
  let kernel = start(booted, run.workload);
  const calls = new Map<string, number | undefined>();

  const take = (text: string): Step | undefined => {
    if (text === REBOOT) {
      kernel = start(booted, run.workload);
      calls.clear();
      return { word: text, tamer: [], call: undefined, state: stateNow() };
    }
    const all = choices(booted.machine, kernel, patient);
    const choice = choiceOf(text, all);
    if (!choice) return undefined;
    const ways = all.filter(({ thread }) => thread === choice.thread);
    const todo = kernel.users[choice.thread]?.todo ?? [];
    reduce(booted.machine, kernel, choice);
    if ((kernel.users[choice.thread]?.todo.length ?? 0) < todo.length) {
      const began = choice.outcome === todo[0]?.call;
      calls.set(choice.thread, began ? (run.workload[choice.thread]?.length ?? 0) - todo.length : undefined);
    }
    return {
      word: word(choice),
      tamer: ways.slice(0, ways.indexOf(choice)).map(word),
      call: calls.get(choice.thread),
      state: stateNow(),
    };
  };
  const stateNow = (): (() => string) => {
    if (!states) return () => '';
    const text = identity(kernel);
    return () => text;
  };
  const takeAll = (words: readonly string[]): Step[] => words.map(take).filter((step) => step !== undefined);
  return { schedule: takeAll(run.schedule), loop: takeAll(run.loop ?? []) };
}
