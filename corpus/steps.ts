/**
 * A case step by step: what each word did, as a difference of states, and who waits for whom after it.
 *
 * The states come out of the same reducer, run on an immer draft; the patches say which slots a step wrote, so
 * nobody compares whole states and nothing that changed can be left out.
 */
import { type Patch, enablePatches, produceWithPatches } from 'immer';
import { type Case, REBOOT, choiceOf, choices, opens, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import {
  type Fact,
  type Frame,
  type KernelState,
  type Thread,
  type Wait,
  reduce,
  resolved,
  standing,
} from '../model/machine.ts';
import { canonical, read } from '../model/schema.ts';
import { kernelSystem } from '../properties/search/system.ts';
import { whyNot } from '../properties/search/why-not.ts';

enablePatches();

/** One slot that a step wrote. */
export interface Change {
  readonly slot: string;
  readonly from: unknown;
  readonly to: unknown;
}
export interface Waiting {
  readonly thread: string;
  readonly wait: Wait;
}
export interface Step {
  /** Place in the schedule and then the loop, from 1. */
  readonly number: number;
  readonly part: 'schedule' | 'loop';
  /** As written, and as followed. */
  readonly given: string;
  readonly word: string;
  /** Why the word could not be followed, or nothing. */
  readonly skipped?: string;
  readonly thread: string;
  /** The routine and the line of kernel code that was executed. */
  readonly routine: string;
  readonly line: string;
  readonly changes: readonly Change[];
  readonly facts: readonly Fact[];
  /** Who is blocked after the step, for what. */
  readonly waiting: readonly Waiting[];
  /** The state after the step, frozen. */
  readonly kernel: KernelState;
}

/** Walk through a case, the loop once; every state is frozen and shares what did not change with the one before. */
export function* steps(booted: Booted, run: Case, patient = true): Generator<Step, void, undefined> {
  let kernel: KernelState = start(booted, run.workload);
  let number = 0;
  for (const part of ['schedule', 'loop'] as const) {
    for (const given of run[part] ?? []) {
      number += 1;
      if (given === REBOOT) {
        kernel = start(booted, run.workload);
        const line = 'the machine starts again';
        yield { ...{ number, part, given, word: given, thread: '', routine: '', line }, ...nothing(booted, kernel) };
        continue;
      }
      const taken = stepFrom(booted, kernel, given, patient);
      ({ kernel } = taken);
      yield { number, part, ...taken };
    }
  }
}

/** One word taken in this state, or why it cannot be. The state given is not written to. */
export function stepFrom(
  booted: Booted,
  before: KernelState,
  given: string,
  patient = true,
): Omit<Step, 'number' | 'part'> {
  const { machine } = booted;
  const choice = choiceOf(given, choices(machine, before, patient));
  const thread = choice?.thread ?? given.split('/')[0] ?? given;
  const at = lineAt(booted, before, thread);
  if (!choice) {
    const skipped = whyNot(kernelSystem(machine), before, given, patient)?.says ?? 'it cannot be taken';
    return { given, word: given, skipped, thread, ...at, ...nothing(booted, before) };
  }
  const [after, patches] = produceWithPatches(before, (draft: KernelState) => reduce(machine, draft, choice));
  const changes = changesOf(patches, before, after);
  const waiting = waitingIn(booted, after);
  return { given, word: word(choice), thread, ...at, changes, facts: after.facts, waiting, kernel: after };
}
const nothing = (booted: Booted, kernel: KernelState): Pick<Step, 'changes' | 'facts' | 'waiting' | 'kernel'> => ({
  changes: [],
  facts: [],
  waiting: waitingIn(booted, kernel),
  kernel,
});

/** The line a thread stands at, as kernel text. */
export function lineAt({ machine }: Booted, kernel: KernelState, name: string): { routine: string; line: string } {
  const thread = Object.hasOwn(kernel.threads, name) ? (kernel.threads[name] as Thread) : undefined;
  const instruction = thread && standing(machine, thread);
  if (!instruction) return { routine: '', line: '' };
  const frame = thread.frames.at(-1) as Frame;
  const op = machine.ops[instruction.op];
  return { routine: frame.routine, line: op?.text(resolved(instruction, frame.vars)) ?? instruction.op };
}

const waitingIn = ({ machine }: Booted, kernel: KernelState): Waiting[] =>
  Object.entries(opens(machine, kernel)).flatMap(([thread, open]) =>
    open.kind === 'blocked' ? [{ thread, wait: open.wait }] : [],
  );

/** The slots that the patches touch, with their values before and after; facts are an output and not shown here. */
function changesOf(patches: readonly Patch[], before: KernelState, after: KernelState): Change[] {
  const slots = new Map<string, readonly string[]>();
  for (const { path } of patches) {
    const [slice, ...rest] = path.map(String);
    if (slice === undefined || slice === 'facts') continue;
    const slot = slice === 'threads' ? threadSlot(rest) : [slice, ...rest.slice(0, 2)];
    slots.set(slot.join('.'), slot);
  }
  return [...slots]
    .map(([slot, path]) => ({ slot, from: read(before, path), to: read(after, path) }))
    .filter(({ from, to }) => canonical(from) !== canonical(to));
}
/** Of a thread: its stack, its return value, what it holds. */
const threadSlot = ([thread = '', field = '']: readonly string[]): string[] => ['threads', thread, field];
