/**
 * Every state that a small kernel can reach, on plain objects: for tests that claim something of all interleavings.
 *
 * The sweep of the harness does the same for designs, fast and with properties; this is the slow and obvious one that a
 * test of an object may use. It holds nothing back: timers fire at any time.
 */
import { choices, identity } from './case.ts';
import { type Kernel, start } from './design.ts';
import { type Fact, type KernelState, reduce } from './machine.ts';
import { bootKernel } from './stage.ts';

/** More than this is no test of an object any more. */
const MOST_STATES = 100_000;

export interface Everywhere {
  readonly states: number;
  /** States in which nobody can take a step. */
  readonly ends: readonly KernelState[];
  /** Facts of all steps, as texts, each once. */
  readonly facts: ReadonlySet<string>;
}
/** @throws when there are too many states. */
export function everywhere(of: Kernel): Everywhere {
  const booted = bootKernel(of);
  const queue = [start(booted, booted.workload)];
  const seen = new Set(queue.map(identity));
  const ends: KernelState[] = [];
  const facts = new Set<string>();
  for (const kernel of queue) {
    if (seen.size > MOST_STATES) throw new Error(`this kernel has more than ${MOST_STATES} states`);
    const all = choices(booted.machine, kernel, false);
    if (all.length === 0) ends.push(kernel);
    for (const choice of all) {
      const after = structuredClone(kernel);
      reduce(booted.machine, after, choice);
      for (const fact of after.facts) facts.add(tell(fact));
      const key = identity(after);
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push(after);
    }
  }
  return { states: seen.size, ends, facts };
}
/** A fact as a test wants to name it: 'misuse F-26', 'witness lost'; any other by its kind. */
const tell = (fact: Fact): string =>
  fact.kind === 'misuse' ? `misuse ${fact.rule}` : fact.kind === 'witness' ? `witness ${fact.name}` : fact.kind;
