/**
 * A case: all it takes to see something again. Plain data with stable names, never indexes or seeds, so that it still
 * means something when a line of it is deleted, and when the design around it changes.
 */
import type { Booted, Knobs, Workload } from './design.ts';
import type { Action, Fact, KernelState, Machine, Nature, Open } from './machine.ts';
import { open, reduce } from './machine.ts';
import { canonical } from './schema.ts';

export interface Case {
  readonly design: string;
  readonly knobs: Knobs;
  readonly workload: Workload;
  /** Words like 'ioctl/reclaim' or 'gpu': who moves, and which way. 'reboot' starts the machine again (lockdep remembers). */
  readonly schedule: readonly string[];
  /** Words that lead back to the state after `schedule`, for a circle that can go on for ever. */
  readonly loop?: readonly string[];
}

/** What happened at a booted setting, as a case. */
export const caseAt = (
  { design: { name }, knobs }: Pick<Booted, 'design' | 'knobs'>,
  workload: Workload,
  { schedule, loop }: Pick<Case, 'schedule' | 'loop'>,
): Case => ({ design: name, knobs, workload, schedule, ...(loop ? { loop } : {}) });

/** Equal states are equal texts; the facts of the step that led to a state are no part of it. */
export const identity = (kernel: KernelState): string => canonical({ ...kernel, facts: [] });

export const REBOOT = 'reboot';
export const word = ({ thread, outcome }: Action): string => (outcome === '' ? thread : `${thread}/${outcome}`);
export function parseWord(text: string): Action {
  const slash = text.indexOf('/');
  return slash < 0 ? { thread: text, outcome: '' } : { thread: text.slice(0, slash), outcome: text.slice(slash + 1) };
}

export interface Choice extends Action {
  readonly nature: Nature;
}
const NONE: readonly Choice[] = [];

/** What a thread may do, given what it is open for. */
export function choicesOf(thread: string, open: Open): readonly Choice[] {
  switch (open.kind) {
    case 'ready':
      return open.outcomes.map((outcome) => ({ thread, outcome, nature: open.nature }));
    case 'blocked':
      return open.outcomes.map((outcome) => ({
        thread,
        outcome,
        nature: outcome === open.wait.bounded ? 'time' : 'may',
      }));
    case 'idle':
    case 'finished':
      return NONE;
  }
}

/** All that every thread is open for, by name. */
export function opens(machine: Machine, kernel: KernelState): Record<string, Open> {
  return Object.fromEntries(Object.keys(machine.threads).map((thread) => [thread, open(machine, kernel, thread)]));
}

/** In patient time, what time brings comes only when no fair thread can move. */
export const patiently = (all: readonly Choice[]): readonly Choice[] =>
  all.some(({ nature }) => nature === 'owed') ? all.filter(({ nature }) => nature !== 'time') : all;

/** Everything that may happen next. */
export function choices(machine: Machine, kernel: KernelState, patient = true): readonly Choice[] {
  const all = Object.entries(opens(machine, kernel)).flatMap(([thread, open]) => choicesOf(thread, open));
  return patient ? patiently(all) : all;
}

/** One step as it happened, or a word that could not be followed. */
export interface Played {
  readonly word: string;
  readonly choice: Choice | undefined;
  readonly facts: readonly Fact[];
}

/** The choice that a word means here: its outcome, or the tamest when it names none; nothing when it cannot be. */
export function choiceOf(text: string, all: readonly Choice[]): Choice | undefined {
  const { thread, outcome } = parseWord(text);
  return all.find((each) => each.thread === thread && (each.outcome === outcome || outcome === ''));
}

/** Take one word on a plain (or draft) state. An unusable word is a recorded skip, never an error. */
export function follow(machine: Machine, kernel: KernelState, text: string, patient = true): Played {
  const choice = choiceOf(text, choices(machine, kernel, patient));
  if (!choice) return { word: text, choice: undefined, facts: [] };
  reduce(machine, kernel, choice);
  return { word: word(choice), choice, facts: kernel.facts };
}
