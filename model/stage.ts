/**
 * A stage for tests: boots a mini design from blocks, and moves its threads word by word on a plain kernel.
 *
 * A test of an object is a claim about a few lines of kernel text. The stage writes no state and knows no object: what
 * it shows is what `follow` and `open` say, so a claim made here holds in every search.
 */
import { follow } from './case.ts';
import { type Booted, type Kernel, boot, design, must, start } from './design.ts';
import { type Block, type Fact, type KernelState, type Open, type Thread, open as openFor, reduce } from './machine.ts';

/** Steps that one thread may take in a row before we say that it goes round in a circle. */
const MOST_STEPS = 20_000;

/** A design without knobs or expectations around this kernel. */
export const bootKernel = (kernel: Kernel): Booted =>
  boot(
    design({ name: 'stage', title: 'a stage for a test', sources: [], knobs: {}, kernel: () => kernel, expect: [] }),
  );

export interface Stage {
  readonly booted: Booted;
  readonly kernel: KernelState;
  /** Take these words in order; the facts of all of them. @throws when a word cannot be taken, saying who stands where. */
  plays(...words: readonly string[]): Fact[];
  /** Let this thread go on, the tamest way, until it waits or has ended; the facts of all its steps. */
  runs(thread: string): Fact[];
  open(thread: string): Open;
  /** Why it waits, in words; nothing when it does not. */
  because(thread: string): string | undefined;
  /** The ways it may go, when it is ready. */
  ways(thread: string): readonly string[];
  ret(thread: string): string;
}

/** Put this kernel on the stage. */
export function stage(of: Kernel): Stage {
  const booted = bootKernel(of);
  const { machine } = booted;
  const kernel = start(booted, booted.workload);
  const open = (thread: string): Open => openFor(machine, kernel, thread);
  const because = (thread: string): string | undefined => {
    const now = open(thread);
    return now.kind === 'blocked' || now.kind === 'idle' ? now.wait.because : undefined;
  };
  const take = (word: string): readonly Fact[] => {
    const played = follow(machine, kernel, word);
    if (played.choice) return played.facts;
    const standing = Object.keys(machine.threads).map((thread) => `${thread} ${because(thread) ?? open(thread).kind}`);
    throw new Error(`"${word}" cannot be taken here: ${standing.join('; ')}`);
  };
  return {
    booted,
    kernel,
    open,
    because,
    plays: (...words) => words.flatMap(take),
    runs: (thread) => {
      const facts: Fact[] = [];
      for (let steps = 0, now = open(thread); now.kind === 'ready'; steps += 1, now = open(thread)) {
        if (steps === MOST_STEPS) throw new Error(`${thread} takes ${MOST_STEPS} steps and does not come to an end`);
        if (now.nature !== 'owed') facts.push(...take(thread));
        else {
          // What is owed may always be taken: nobody else need be asked.
          reduce(machine, kernel, { thread, outcome: now.outcomes[0] as string });
          facts.push(...kernel.facts);
        }
      }
      return facts;
    },
    ways: (thread) => {
      const now = open(thread);
      return now.kind === 'ready' ? now.outcomes : [];
    },
    ret: (thread) => (kernel.threads[thread] as Thread).ret,
  };
}

/** Run one thread alone to its end, the tamest way: what its last line returned, and what happened on the way. */
export function alone(body: Block, kernel: Omit<Kernel, 'threads'> = {}): { ret: string; facts: Fact[]; at: Stage } {
  const at = stage({ ...kernel, threads: { task: must(body) } });
  const facts = at.runs('task');
  const end = facts.findLast((fact) => fact.kind === 'returned' && fact.to === 'nobody');
  return { ret: end?.kind === 'returned' ? end.ret : `still waits: ${at.because('task')}`, facts, at };
}

/** The rules that were broken, in order. */
export const misuses = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'misuse' ? [fact.rule] : []));
/** The situations that were reached, in order. */
export const witnessed = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'witness' ? [fact.name] : []));
