/**
 * The oracle for fair circles: slow and obvious. For every set of strong constraints that might never be enabled, what
 * is left of the graph without them is taken apart by reachability, and a component is fair when it says so itself.
 *
 * This is the search that is exponential in the number of constraints; it shares no line with streett.ts.
 */
import { type Choice, choices, choicesOf, identity, opens } from '../../model/case.ts';
import { type KernelState, type Machine, type Open, reduce } from '../../model/machine.ts';
import { isPromised } from '../../model/objects/fence.ts';
import { getsSomethingDone, lineOf, underWay } from '../lasso.ts';
import type { Constraint } from './streett.ts';

export interface PlainEdge {
  readonly from: number;
  readonly to: number;
  readonly label: number;
}

/** Is going round through exactly these states and edges fair to everybody? The name of somebody to whom it is not. */
export function unfairTo(
  states: readonly number[],
  edges: readonly PlainEdge[],
  constraints: readonly Constraint[],
): string | undefined {
  return constraints.find((constraint) => {
    const taken =
      states.some((state) => constraint.takenIn?.(state)) || edges.some(({ label }) => constraint.takenBy?.(label));
    if (taken) return false;
    if (constraint.strength === 'weak') return states.every((state) => constraint.enabledIn(state));
    return (
      states.some((state) => constraint.enabledIn?.(state)) || edges.some(({ label }) => constraint.enabledBy?.(label))
    );
  })?.name;
}

/** All states among these through which a fair circle goes. */
export function statesOnFairCircles(
  among: readonly number[],
  edges: readonly PlainEdge[],
  constraints: readonly Constraint[],
): Set<number> {
  const strong = constraints.filter(
    (each) =>
      each.strength === 'strong' &&
      (among.some((state) => each.enabledIn?.(state)) || edges.some(({ label }) => each.enabledBy?.(label))),
  );
  if (strong.length > 16) throw new Error(`${strong.length} strong constraints are too many for the plain search`);
  const found = new Set<number>();
  for (let set = 0; set < 1 << strong.length; set += 1) {
    const never = strong.filter((_, at) => (set >> at) & 1);
    const states = among.filter(
      (state) => !never.some((each) => each.strength === 'strong' && each.enabledIn?.(state)),
    );
    const left = edges.filter(
      ({ label }) => !never.some((each) => each.strength === 'strong' && each.enabledBy?.(label)),
    );
    for (const component of components(states, left)) {
      const inside = left.filter(({ from, to }) => component.has(from) && component.has(to));
      if (inside.length > 0 && unfairTo([...component], inside, constraints) === undefined)
        for (const state of component) found.add(state);
    }
  }
  return found;
}

/** Strongly connected: whoever can be reached and reaches back. */
function components(states: readonly number[], edges: readonly PlainEdge[]): Set<number>[] {
  const left = new Set(states);
  const next = new Map<number, number[]>(states.map((state) => [state, []]));
  const before = new Map<number, number[]>(states.map((state) => [state, []]));
  for (const { from, to } of edges) {
    if (!left.has(from) || !left.has(to)) continue;
    next.get(from)?.push(to);
    before.get(to)?.push(from);
  }
  const reach = (from: number, along: ReadonlyMap<number, readonly number[]>): Set<number> => {
    const seen = new Set([from]);
    for (const state of seen) for (const each of along.get(state) ?? []) if (left.has(each)) seen.add(each);
    return seen;
  };
  const found: Set<number>[] = [];
  for (const state of states) {
    if (!left.has(state)) continue;
    const back = reach(state, before);
    const component = new Set([...reach(state, next)].filter((each) => back.has(each)));
    for (const each of component) left.delete(each);
    found.push(component);
  }
  return found;
}

interface Step extends PlainEdge {
  readonly choice: Choice;
  /** Where the thread stood. */
  readonly line: string;
  readonly tamest: boolean;
  readonly done: boolean;
}

/**
 * Threads that a fair execution can send round for ever for nothing, and fences it can leave pending: found by plain
 * search, with the readable code alone. With each, how many steps it takes to get to the first state of such a circle.
 * Nothing when there are more states than this.
 */
export function accusedPlainly(
  machine: Machine,
  boot: KernelState,
  patient: boolean,
  maxStates: number,
): ReadonlyMap<string, number> | undefined {
  const numbers = new Map([[identity(boot), 0]]);
  const kernels = [boot];
  const depths = [0];
  const opened: Record<string, Open>[] = [];
  const steps: Step[] = [];
  for (let from = 0; from < kernels.length; from += 1) {
    if (kernels.length > maxStates) return undefined;
    const kernel = kernels[from] as KernelState;
    const now = opens(machine, kernel);
    opened.push(now);
    for (const choice of choices(machine, kernel, patient)) {
      const after = structuredClone(kernel);
      reduce(machine, after, choice);
      const to = numbers.get(identity(after)) ?? kernels.push(after) - 1;
      numbers.set(identity(after), to);
      depths[to] ??= (depths[from] as number) + 1;
      const open = now[choice.thread];
      steps.push({
        from,
        to,
        label: steps.length,
        choice,
        line: lineOf(kernel, choice.thread),
        tamest: open?.kind === 'ready' && open.outcomes[0] === choice.outcome,
        done: getsSomethingDone(after.facts),
      });
    }
  }
  const at = (state: number, thread: string): Open => opened[state]?.[thread] as Open;
  const owed = (state: number, thread: string): boolean => {
    const open = at(state, thread);
    return open.kind === 'ready' && open.nature === 'owed';
  };
  const by = (thread: string) => (label: number) => steps[label]?.choice.thread === thread;
  const threads = Object.keys(machine.threads);
  const lines = new Set(
    steps.flatMap(({ choice, tamest, line }) => (choice.nature === 'owed' && !tamest ? [line] : [])),
  );
  const along = (line: string, tame: boolean) => (label: number) => {
    const step = steps[label];
    return step?.line === line && step.choice.nature === 'owed' && step.tamest === tame;
  };
  const constraints: Constraint[] = [
    ...threads.flatMap((thread): Constraint[] => [
      {
        name: thread,
        strength: 'weak',
        enabledIn: (state) => choicesOf(thread, at(state, thread)).some(({ nature }) => nature !== 'may'),
        takenBy: by(thread),
      },
      {
        name: `${thread}'s lock`,
        strength: 'strong',
        enabledIn: (state) => {
          const open = at(state, thread);
          return owed(state, thread) && open.kind === 'ready' && open.strong;
        },
        takenBy: by(thread),
      },
    ]),
    ...[...lines].map(
      (line): Constraint => ({
        name: line,
        strength: 'strong',
        enabledBy: along(line, false),
        takenBy: along(line, true),
      }),
    ),
  ];
  const every = [...kernels.keys()];
  const found = new Map<string, number>();
  const accuse = (whom: string, states: ReadonlySet<number>): void => {
    if (states.size > 0) found.set(whom, Math.min(...[...states].map((state) => depths[state] as number)));
  };
  for (const thread of threads) {
    const offered: Constraint = {
      name: 'is offered a turn',
      strength: 'weak',
      enabledIn: () => true,
      takenIn: (state) => owed(state, thread),
    };
    const working = every.filter((state) => underWay(at(state, thread)));
    const left = steps.filter(({ choice, done }) => !(choice.thread === thread && done));
    accuse(thread, statesOnFairCircles(working, left, [...constraints, offered]));
  }
  for (const fence of Object.keys(boot.fences)) {
    const pending = every.filter((state) => isPromised(kernels[state] as KernelState, fence));
    accuse(`fence ${fence}`, statesOnFairCircles(pending, steps, constraints));
  }
  return found;
}
