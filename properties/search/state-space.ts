/**
 * A small state space as data, for whoever draws it: every state, what each thread does there, every step, and what is
 * broken where. On plain objects, like the plain sweep: it is for spaces that a person can look at.
 */
import { choices, identity, opens, word } from '../../model/case.ts';
import { type Booted, start } from '../../model/design.ts';
import { type KernelState, type Open, reduce } from '../../model/machine.ts';
import type { Property } from '../property.ts';

/** More states than these nobody looks at, and Graphviz takes minutes to lay them out. */
export const MOST_DRAWN = 500;

export interface DrawnState {
  readonly threads: readonly { readonly name: string; readonly state: Open['kind']; readonly waitsFor: string }[];
  /** Nothing that is owed can happen here. */
  readonly resting: boolean;
  /** Properties that the state itself breaks. */
  readonly breaks: readonly string[];
}
export interface DrawnStep {
  readonly from: number;
  readonly to: number;
  readonly word: string;
  /** Properties that the step itself breaks. */
  readonly breaks: readonly string[];
}
export interface StateSpace {
  /** By number, in the order of discovery; state 0 is the start. */
  readonly states: readonly DrawnState[];
  readonly steps: readonly DrawnStep[];
}

/**
 * Every state and step of the bounded search.
 * @throws when there are more states than `most`, saying how many it may be
 */
export function stateSpace(booted: Booted, props: readonly Property[], patient = true, most = MOST_DRAWN): StateSpace {
  const { machine } = booted;
  const first = start(booted, booted.workload);
  const numbers = new Map([[identity(first), 0]]);
  const queue = [first];
  const states: DrawnState[] = [];
  const steps: DrawnStep[] = [];
  for (const [from, kernel] of queue.entries()) {
    const now = opens(machine, kernel);
    const all = choices(machine, kernel, patient);
    const resting = all.every(({ nature }) => nature === 'may');
    const blames = props.flatMap((property) => [
      property.waits?.(now),
      resting ? property.rest?.(machine, kernel, now) : undefined,
    ]);
    states.push({
      threads: Object.entries(now).map(([name, each]) => ({
        name,
        state: each.kind,
        waitsFor: each.kind === 'blocked' ? each.wait.object : '',
      })),
      resting,
      breaks: [...new Set(blames.flatMap((blame) => (blame ? [blame.property] : [])))],
    });
    for (const choice of all) {
      const after: KernelState = structuredClone(kernel);
      reduce(machine, after, choice);
      const moment = { machine, kernel: after, thread: choice.thread, facts: after.facts };
      const broken = props.flatMap(({ hears, step, name }) =>
        (!hears || after.facts.some(({ kind }) => hears.includes(kind))) && step?.(moment) ? [name] : [],
      );
      const text = identity(after);
      const to = numbers.get(text) ?? numbers.size;
      if (!numbers.has(text)) {
        if (to >= most)
          throw new Error(`more than ${most} states are too many to draw; choose a smaller setting or workload`);
        numbers.set(text, to);
        queue.push(after);
      }
      steps.push({ from, to, word: word(choice), breaks: broken });
    }
  }
  return { states, steps };
}
