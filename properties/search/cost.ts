/**
 * What a design costs: how often, in the worst of all its executions, it does what takes memory or time.
 *
 * A verdict says whether something needless was done; which of two sound designs is cheaper is a number: the dearest way
 * through all states, without end where a circle costs something.
 */
import { type Booted, start } from '../../model/design.ts';
import type { Fact, KernelState } from '../../model/machine.ts';
import { edgesOf, everyState } from './constraints.ts';
import { type Graph, explore } from './explore.ts';
import { Learned } from './learned.ts';
import { Streett, noMarks } from './streett.ts';
import { kernelSystem } from './system.ts';

/** What is counted, and how much of it one fact is. */
export interface Tally {
  readonly name: string;
  readonly of: (fact: Fact) => number;
}
export const TALLIES: readonly Tally[] = [
  { name: 'pages populated', of: (fact) => (fact.kind === 'populated' ? fact.pages : 0) },
  {
    name: 'populated needlessly',
    of: (fact) => (fact.kind === 'populated' && fact.needless !== null ? fact.pages : 0),
  },
  { name: 'queues stopped', of: (fact) => (fact.kind === 'stopped' ? 1 : 0) },
  { name: 'stopped needlessly', of: (fact) => (fact.kind === 'stopped' && fact.needless !== null ? 1 : 0) },
  { name: 'pages moved', of: (fact) => (fact.kind === 'bytesMoved' ? fact.pages : 0) },
  { name: 'jobs punished', of: (fact) => (fact.kind === 'punished' ? 1 : 0) },
];

export interface Cost {
  readonly name: string;
  /** `Infinity` when it can go on for ever. */
  readonly most: number;
}
export interface CostOptions {
  readonly maxStates: number;
  readonly patient: boolean;
  readonly tallies?: readonly Tally[];
}

/** @returns nothing when there are more states than may be searched: half of a graph has no longest way */
export function costs(booted: Booted, { maxStates, patient, tallies = TALLIES }: CostOptions): Cost[] | undefined {
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, booted.workload));
  const graph = explore(learned, from, { maxStates, patient, edges: true });
  if (!graph.exhausted) return undefined;
  const order = condensed(graph);
  return tallies.map(({ name, of }) => {
    const price = Float64Array.from(graph.way, ({ facts }) => facts.reduce((sum, fact) => sum + of(fact), 0));
    return { name, most: dearest(graph, price, order) };
  });
}

type Explored = Graph<KernelState, Fact>;

/** States with those on a circle put together: which group a state is in, and the groups, each after those it leads to. */
interface Groups {
  readonly of: Int32Array;
  readonly lastFirst: readonly (readonly number[])[];
}
function condensed(graph: Explored): Groups {
  const { first, to } = graph;
  const edges = edgesOf(graph);
  const members: number[][] = [];
  const of = new Int32Array(edges.states).fill(-1);
  for (const component of new Streett(edges, noMarks(0, edges.states, edges.labels)).fair(everyState(graph))) {
    for (const state of component.members) of[state] = members.length;
    members.push([...component.members]);
  }
  for (let state = 0; state < edges.states; state += 1)
    if (of[state] === -1) {
      of[state] = members.length;
      members.push([state]);
    }
  const next = members.map((group) => [
    ...new Set(
      group.flatMap((state) => [...to.subarray(first[state], first[state + 1])].map((other) => of[other] as number)),
    ),
  ]);
  // Depth first, without recursion: a group is done when all that it leads to is.
  const lastFirst: (readonly number[])[] = [];
  const begun = new Uint8Array(members.length);
  const at = new Int32Array(members.length);
  for (const path = [of[0] as number]; path.length > 0; ) {
    const group = path.at(-1) as number;
    begun[group] = 1;
    const onward = next[group] as number[];
    while ((at[group] as number) < onward.length && begun[onward[at[group] as number] as number] === 1)
      at[group] = (at[group] as number) + 1;
    if ((at[group] as number) < onward.length) path.push(onward[at[group] as number] as number);
    else lastFirst.push(members[path.pop() as number] as number[]);
  }
  return { of, lastFirst };
}

/** The price of the dearest way from the first state on. */
function dearest({ first, to, wayOf }: Explored, price: Float64Array, { of, lastFirst }: Groups): number {
  const most = new Float64Array(lastFirst.length);
  for (const group of lastFirst) {
    const here = of[group[0] as number] as number;
    for (const state of group)
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
        const [there, cost] = [of[to[edge] as number] as number, price[wayOf[edge] as number] as number];
        const onward = there !== here ? cost + (most[there] as number) : cost > 0 ? Number.POSITIVE_INFINITY : 0;
        most[here] = Math.max(most[here] as number, onward);
      }
  }
  return most[of[0] as number] as number;
}
