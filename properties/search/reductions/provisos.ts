/**
 * Which states of a reduced graph have to be expanded further, so that nobody is put off for ever.
 *
 * For states at rest, leaves and circles of debts it is enough that from every state one can be reached that is expanded
 * in full (A. Valmari, Stubborn Sets for Reduced State Space Generation, 1989). So one state is expanded of every
 * strongly connected component that cannot be left and has none.
 *
 * For fair circles more is needed. Take an execution of the full graph that comes to a fair circle and goes round it for
 * ever, by every step of it. Follow it in the reduced graph: from a state that is expanded in full take its first step,
 * elsewhere its first step of the cluster, which commutes with all before it. There is one: without it the process
 * that the cluster began with would be owed a turn all the way round and take none, and the circle would not be fair.
 * What remains to be followed comes after a finite part to the same circle, so this can be repeated for ever, and from
 * some moment on it stays in one component C of the reduced graph.
 * - Say every state of C is expanded in full, one step an edge. Then from that moment on the execution is followed step by
 *   step, and C contains its circle, every state and every edge.
 * - Say some process is passed over in C: it is owed a turn everywhere in C, is always open for the very same (one leaf),
 *   and takes no step in C. And on each circle in C lies a state that is expanded in full. Then no step of the execution
 *   waits for ever, so all of them are taken in C, and none is a step of that process. None changes what it reads either:
 *   what a step writes is the same wherever it is taken, and in C it changed nothing of that. So the process is owed a turn
 *   all the way round the circle and takes none: it is not fair. So such a C keeps no circle from being found.
 * When every component is of one of the two sorts, every fair circle of the full graph is in the reduced one, with all of its
 * edges; and a circle there is one of the full graph.
 */
import { type Component, Streett, noMarks } from '../streett.ts';
import type { Linked } from './links.ts';

/** How a state was expanded: some processes, all of them, or all of them and every edge is one step. */
export const PARTLY = 0;
export const FULLY = 1;
export const STEPWISE = 2;

/** What is to be done, and whether there is a circle at all. */
export interface Proviso {
  readonly cyclic: boolean;
  readonly fully: readonly number[];
  readonly stepwise: readonly number[];
}

/** Every state can get to one that is expanded in full. */
export function mayBeLeft(linked: Linked, standing: Int32Array): Proviso {
  const { components, leaves } = componentsOf(linked, everyState(linked));
  const stuck = components.filter(
    (component) => !leaves(component) && component.members.every((state) => standing[state] === PARTLY),
  );
  return { cyclic: components.length > 0, fully: stuck.map(({ nearest }) => nearest), stepwise: [] };
}

/**
 * Every fair circle is kept.
 * @param passedOver those of these processes (a set of bits) that are open for the very same in all of these states
 */
export function keepsFairCircles(
  linked: Linked,
  standing: Int32Array,
  passedOver: (states: Int32Array, processes: number) => number,
): Proviso {
  const { components, within } = componentsOf(linked, everyState(linked));
  const stepwise: number[] = [];
  const unbroken: number[] = [];
  for (const component of components) {
    const still = within(component).reduce((sum, edge) => sum & (linked.passed[edge] as number), -1);
    const passed = still !== 0 && passedOver(component.members, still) !== 0;
    for (const state of component.members)
      if (passed && standing[state] === PARTLY) unbroken.push(state);
      else if (!passed && standing[state] !== STEPWISE) stepwise.push(state);
  }
  const circles = componentsOf(linked, Int32Array.from(unbroken)).components;
  return { cyclic: components.length > 0, fully: circles.map(({ nearest }) => nearest), stepwise };
}

const everyState = ({ states }: Linked): Int32Array => Int32Array.from({ length: states }, (_, state) => state);

/** The strongly connected components with an edge inside, among these states. */
function componentsOf(
  linked: Linked,
  among: Int32Array,
): {
  readonly components: readonly Component[];
  /** Has this one an edge to another? */
  readonly leaves: (component: Component) => boolean;
  readonly within: (component: Component) => readonly number[];
} {
  const streett = new Streett(linked, noMarks(0, linked.states, linked.labels));
  const edges = ({ members }: Component): number[] =>
    [...members].flatMap((state) => {
      const from = linked.first[state] as number;
      return Array.from({ length: (linked.first[state + 1] as number) - from }, (_, nth) => from + nth);
    });
  return {
    components: streett.fair(among),
    leaves: (component) => edges(component).some((edge) => !streett.inside(edge, component)),
    within: (component) => edges(component).filter((edge) => streett.inside(edge, component)),
  };
}
