/**
 * A case as it was followed: every word with the outcome it meant, the tamer ways there were, and the call it was
 * part of. Words that could not be followed are left out, for they change nothing.
 *
 * Why: a pass must know which words belong together (a call and its body) and what else could have happened, and
 * both are facts of the run, not of the text.
 */
import { type Case, REBOOT, choiceOf, choices, follow, identity, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { type KernelState, reduce } from '../model/machine.ts';
import { wordsOf } from './words.ts';

export interface Step {
  readonly word: string;
  /** Words for the same step with a tamer outcome, tamest first. */
  readonly tamer: readonly string[];
  /** The call of the process's workload, by place, that this step is part of; nothing for other threads. */
  readonly call: number | undefined;
}
export interface Trace {
  readonly schedule: readonly Step[];
  readonly loop: readonly Step[];
}

/** Follow the case and write down what happened. */
export function traceOf(booted: Booted, run: Case, patient: boolean): Trace {
  let kernel = start(booted, run.workload);
  const calls = new Map<string, number | undefined>();

  const take = (text: string): Step | undefined => {
    if (text === REBOOT) {
      kernel = start(booted, run.workload);
      calls.clear();
      return { word: text, tamer: [], call: undefined };
    }
    const all = choices(booted.machine, kernel, patient);
    const choice = choiceOf(text, all);
    if (!choice) return undefined;
    const ways = all.filter(({ thread }) => thread === choice.thread);
    const todo = kernel.users[choice.thread]?.todo ?? [];
    reduce(booted.machine, kernel, choice);
    if ((kernel.users[choice.thread]?.todo.length ?? 0) < todo.length) {
      const called = choice.outcome === todo[0]?.call; // otherwise it was killed, and no call is under way
      calls.set(choice.thread, called ? (run.workload[choice.thread]?.length ?? 0) - todo.length : undefined);
    }
    return { word: word(choice), tamer: ways.slice(0, ways.indexOf(choice)).map(word), call: calls.get(choice.thread) };
  };
  const takeAll = (words: readonly string[]): Step[] => words.map(take).filter((step) => step !== undefined);
  return { schedule: takeAll(run.schedule), loop: takeAll(run.loop ?? []) };
}

/** The state as text before each word, and after the last one; equal texts are equal states. */
export function statesOf(booted: Booted, run: Case, patient: boolean): string[] {
  let kernel: KernelState = start(booted, run.workload);
  const text = (): string => identity(kernel);
  return [
    text(),
    ...wordsOf(run).map((each) => {
      if (each === REBOOT) kernel = start(booted, run.workload);
      else follow(booted.machine, kernel, each, patient);
      return text();
    }),
  ];
}
