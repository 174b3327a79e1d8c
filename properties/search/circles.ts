/**
 * Fair circles: can a fair execution go round for ever, and in which states?
 *
 * Strongly connected components, pruned until what is left is fair (Streett emptiness): weak fairness, a timer that
 * is due, and "could always move and never does" throw a component away; an offered lock never taken throws away the
 * states that offer it; an instruction that never goes its tamest way throws away its other ways. Linear in the
 * number of constraints, a component at a time. Each circle is then walked as one real loop and handed to the
 * independent checker in ../lasso.ts.
 */
import { word } from '../../model/case.ts';
import type { Fact, KernelState, Machine } from '../../model/machine.ts';
import { fairness, getsSomethingDone, isPromised, underWay } from '../lasso.ts';
import type { Circle } from '../property.ts';
import type { Way } from './learned.ts';
import type { Graph as AnyGraph } from './explore.ts';

type Graph = AnyGraph<KernelState, Fact>;

export interface FairCircle {
  readonly circle: Circle;
  readonly stem: readonly string[];
  readonly loop: readonly string[];
}

/**
 * Fair circles for everything that could be complained about, shortest first: for every thread, those in which it is under way and gets
 * nothing done; for every fence, those in which it stays published and pending.
 */
export function fairCircles(machine: Machine, graph: Graph): FairCircle[] {
  const every = Int32Array.from({ length: graph.store.count }, (_, state) => state);
  const cyclic = components(graph, every, new Set()).flatMap((component) => [...component]);
  if (cyclic.length === 0) return [];
  const states = Int32Array.from(cyclic).sort();
  const { learned, store } = graph;
  const { packing, threads } = learned;
  const fruitless = threads.flatMap((thread, threadAt) => {
    const banned = new Set(
      graph.way.flatMap((way, number) => (way.threadAt === threadAt && getsSomethingDone(way.facts) ? [number] : [])),
    );
    const working = states.filter((state) => underWay(learned.turn(threadAt, store.words, state * packing.width).open));
    return within(machine, graph, working, banned).filter(({ circle }) => circle.fruitless.includes(thread));
  });
  const pendingFences = Object.keys(machine.boot.fences).flatMap((fence) => {
    const pending = learned.learner(`is ${fence} pending`, (kernel) => isPromised(kernel, fence));
    return within(
      machine,
      graph,
      states.filter((state) => pending.of(store.words, state * packing.width)),
      new Set(),
    );
  });
  const length = ({ stem, loop }: FairCircle): number => stem.length + loop.length;
  return [...fruitless, ...pendingFences].sort((a, b) => length(a) - length(b));
}

/** All maximal fair components among these states, each with one loop through it that the checker confirms. */
function within(machine: Machine, graph: Graph, among: Int32Array, without: ReadonlySet<number>): FairCircle[] {
  const found: FairCircle[] = [];
  const work: { states: Int32Array; banned: ReadonlySet<number> }[] = [{ states: among, banned: without }];
  for (let task = work.pop(); task; task = work.pop()) {
    for (const component of components(graph, task.states, task.banned)) {
      const verdict = examine(graph, component, task.banned);
      if (verdict.kind === 'drop') continue;
      if (verdict.kind === 'again') work.push({ states: verdict.states, banned: verdict.banned });
      else found.push(lasso(machine, graph, component, task.banned));
    }
  }
  return found;
}

/**
 * A thread whose time never comes because others go round without it: in patient time such a loop hides what the
 * timer would do, so a search that met one was not exhaustive.
 */
export function heldBack(graph: Graph): string | undefined {
  const { learned, store } = graph;
  const { packing, threads } = learned;
  const every = Int32Array.from({ length: store.count }, (_, state) => state);
  for (const component of components(graph, every, new Set()))
    for (let thread = 0; thread < threads.length; thread += 1)
      if (component.every((state) => learned.turn(thread, store.words, state * packing.width).time))
        return threads[thread];
  return undefined;
}

/** Tarjan's algorithm, iterative, on the given states without the banned ways; only components with an edge inside. */
function components(graph: Graph, states: Int32Array, banned: ReadonlySet<number>): Int32Array[] {
  const { first, to, wayOf, store } = graph;
  const inside = new Uint8Array(store.count);
  for (const state of states) inside[state] = 1;
  const index = new Int32Array(store.count);
  const lowest = new Int32Array(store.count);
  const onStack = new Uint8Array(store.count);
  const stack: number[] = [];
  const result: Int32Array[] = [];
  let next = 1;
  const calls: number[] = [];
  const edges: number[] = [];
  for (const root of states) {
    if (index[root] !== 0) continue;
    calls.push(root);
    edges.push(first[root] as number);
    index[root] = lowest[root] = next++;
    stack.push(root);
    onStack[root] = 1;
    while (calls.length > 0) {
      const state = calls.at(-1) as number;
      const edge = edges.at(-1) as number;
      if (edge < (first[state + 1] as number)) {
        edges[edges.length - 1] = edge + 1;
        const target = to[edge] as number;
        if (!inside[target] || banned.has(wayOf[edge] as number)) continue;
        if (index[target] === 0) {
          calls.push(target);
          edges.push(first[target] as number);
          index[target] = lowest[target] = next++;
          stack.push(target);
          onStack[target] = 1;
        } else if (onStack[target]) lowest[state] = Math.min(lowest[state] as number, index[target] as number);
        continue;
      }
      calls.pop();
      edges.pop();
      const parent = calls.at(-1);
      if (parent !== undefined) lowest[parent] = Math.min(lowest[parent] as number, lowest[state] as number);
      if (lowest[state] !== index[state]) continue;
      const component: number[] = [];
      for (let member = -1; member !== state; ) {
        member = stack.pop() as number;
        onStack[member] = 0;
        component.push(member);
      }
      const loops = component.length > 1 || hasSelfLoop(graph, state, banned);
      if (loops) result.push(Int32Array.from(component).sort());
    }
  }
  return result;
}

function hasSelfLoop({ first, to, wayOf }: Graph, state: number, banned: ReadonlySet<number>): boolean {
  for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
    if (to[edge] === state && !banned.has(wayOf[edge] as number)) return true;
  return false;
}

type Examined =
  | { readonly kind: 'fair' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'again'; readonly states: Int32Array; readonly banned: ReadonlySet<number> };

/** Is this component fair as it is, never, or only a part of it? */
function examine(graph: Graph, component: Int32Array, banned: ReadonlySet<number>): Examined {
  const { learned, store } = graph;
  const { threads, packing } = learned;
  const moved = new Set<number>();
  const tame = new Set<string>();
  const wild = new Map<string, number[]>();
  eachEdgeInside(graph, component, banned, (_from, _to, number) => {
    const way = graph.way[number] as Way;
    moved.add(way.threadAt);
    if (way.nature !== 'owed') return;
    if (way.tamest) tame.add(way.line);
    else wild.set(way.line, [...(wild.get(way.line) ?? []), number]);
  });
  for (let thread = 0; thread < threads.length; thread += 1) {
    if (moved.has(thread)) continue;
    let always = true;
    const offers: number[] = [];
    for (const state of component) {
      const turn = learned.turn(thread, store.words, state * packing.width);
      if (!turn.owed && !turn.time) always = false;
      if (turn.open.kind === 'ready' && turn.open.strong && turn.open.nature === 'owed') offers.push(state);
    }
    if (always) return { kind: 'drop' };
    if (offers.length > 0) {
      const out = new Set(offers);
      return { kind: 'again', states: component.filter((state) => !out.has(state)), banned };
    }
  }
  const stubborn = [...wild].filter(([line]) => !tame.has(line)).flatMap(([, numbers]) => numbers);
  if (stubborn.length > 0) return { kind: 'again', states: component, banned: new Set([...banned, ...stubborn]) };
  return { kind: 'fair' };
}

function eachEdgeInside(
  { first, to, wayOf }: Graph,
  component: Int32Array,
  banned: ReadonlySet<number>,
  visit: (from: number, target: number, way: number) => void,
): void {
  const inside = new Set(component);
  for (const state of component)
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
      if (inside.has(to[edge] as number) && !banned.has(wayOf[edge] as number))
        visit(state, to[edge] as number, wayOf[edge] as number);
}

/**
 * One loop through a fair component that meets every constraint: from the state nearest to boot, to a witness of each
 * constraint in turn, and back. Shortest stem; the loop is made minimal later, by the shrinker.
 */
function lasso(machine: Machine, graph: Graph, component: Int32Array, banned: ReadonlySet<number>): FairCircle {
  const { learned, store } = graph;
  const { packing, threads } = learned;
  const start = component[0] as number; // breadth first numbers states by depth
  const goals: ((from: number, way: Way) => boolean)[] = [];
  const movedBy = new Set<number>();
  const lines = new Map<string, boolean>();
  eachEdgeInside(graph, component, banned, (_from, _target, number) => {
    const way = graph.way[number] as Way;
    movedBy.add(way.threadAt);
    if (way.nature === 'owed' && !way.tamest) lines.set(way.line, true);
  });
  for (let thread = 0; thread < threads.length; thread += 1) {
    const turnAt = (state: number) => learned.turn(thread, store.words, state * packing.width);
    if (movedBy.has(thread)) goals.push((_from, way) => way.threadAt === thread);
    else goals.push((from) => !turnAt(from).owed && !turnAt(from).time);
  }
  for (const line of lines.keys()) goals.push((_from, way) => way.line === line && way.tamest);
  const loop: number[] = [];
  let at = start;
  const go = (goal: (from: number, way: Way, target: number) => boolean): void => {
    const path = pathInside(graph, component, banned, at, goal);
    for (const [number, target] of path) {
      loop.push(number);
      at = target;
    }
  };
  for (const goal of goals) {
    const met = loopMeets(graph, start, loop, goal);
    if (!met) go(goal);
  }
  if (at !== start || loop.length === 0) go((_from, _way, target) => target === start);
  const words = loop.map((number) => word(graph.way[number] as Way));
  const kernel = packing.unpack<KernelState>(store.words, start * packing.width);
  const checked = fairness(machine, kernel, words);
  if (!checked.fair) throw new Error(`the search found a fair circle that its checker denies: ${checked.why}`);
  return { circle: checked.circle, stem: graph.schedule(start), loop: words };
}

function loopMeets(
  graph: Graph,
  start: number,
  loop: readonly number[],
  goal: (from: number, way: Way) => boolean,
): boolean {
  let at = start;
  for (const number of loop) {
    const way = graph.way[number] as Way;
    if (goal(at, way)) return true;
    at = follow(graph, at, number);
  }
  return false;
}
function follow({ first, to, wayOf }: Graph, from: number, number: number): number {
  for (let edge = first[from] as number; edge < (first[from + 1] as number); edge += 1)
    if (wayOf[edge] === number) return to[edge] as number;
  throw new Error('an edge of the loop is not in the graph');
}

/** A shortest path inside the component whose last edge meets the goal, as [way, target] pairs. */
function pathInside(
  graph: Graph,
  component: Int32Array,
  banned: ReadonlySet<number>,
  from: number,
  goal: (from: number, way: Way, target: number) => boolean,
): [number, number][] {
  const { first, to, wayOf } = graph;
  const inside = new Set(component);
  const cameBy = new Map<number, { from: number; way: number }>();
  const queue = [from];
  const seen = new Set(queue);
  for (const state of queue)
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
      const target = to[edge] as number;
      const number = wayOf[edge] as number;
      if (!inside.has(target) || banned.has(number)) continue;
      if (goal(state, graph.way[number] as Way, target)) {
        const path: [number, number][] = [[number, target]];
        for (let at = state; at !== from; ) {
          const step = cameBy.get(at) as { from: number; way: number };
          path.unshift([step.way, at]);
          at = step.from;
        }
        return path;
      }
      if (!seen.has(target)) {
        seen.add(target);
        cameBy.set(target, { from: state, way: number });
        queue.push(target);
      }
    }
  throw new Error('a strongly connected component is not connected');
}
