/**
 * A small state space for Graphviz: a node is a state, an arrow a step. What breaks a property is red, where nothing
 * that is owed can happen has a double frame, and a thread that waits says for what.
 */
import { Digraph, Edge, Node, toDot } from 'ts-graphviz';
import type { DrawnState, StateSpace } from '../properties/search/state-space.ts';

const RED = '#b00020';

const idOf = (state: number): string => `s${state}`;

/** Who is not at rest in a state, a line each; a state in which all have ended says so. */
function label({ threads, breaks }: DrawnState, number: number): string {
  const shown = threads.filter(({ state }) => state === 'ready' || state === 'blocked');
  const lines = shown.map(({ name, state, waitsFor }) =>
    state === 'blocked' ? `${name} waits for ${waitsFor}` : name,
  );
  return [
    String(number),
    ...(lines.length > 0 ? lines : ['all at rest']),
    ...breaks.map((each) => `breaks ${each}`),
  ].join('\n');
}

/** @param name what is drawn, for the title: a design and its setting */
export function dot({ states, steps }: StateSpace, name: string): string {
  const graph = new Digraph('states', { label: `${name}: ${states.length} states`, rankdir: 'TB' });
  const nodes = states.map((state, number) => {
    const node = new Node(idOf(number), {
      label: label(state, number),
      shape: 'box',
      ...(number === 0 ? { style: 'bold' } : {}),
      ...(state.resting ? { peripheries: 2 } : {}),
      ...(state.breaks.length > 0 ? { color: RED, fontcolor: RED } : {}),
    });
    graph.addNode(node);
    return node;
  });
  for (const { from, to, word, breaks } of steps) {
    const ends = [nodes[from] as Node, nodes[to] as Node] as const;
    const text = [word, ...breaks.map((each) => `breaks ${each}`)].join('\n');
    graph.addEdge(new Edge([...ends], { label: text, ...(breaks.length > 0 ? { color: RED, fontcolor: RED } : {}) }));
  }
  return `${toDot(graph)}\n`;
}
