import { describe, expect, test } from 'vitest';
import { type Claim, claimed, edgesOf, everyState, neverReaching, questions } from '../constraints.ts';
import { type Graph, explore } from '../explore.ts';
import { fairLoop } from '../fair-loop.ts';
import { Learned } from '../learned.ts';
import { type PlainEdge, statesOnFairCircles, unfairTo } from '../plain-circles.ts';
import { Streett, marked, membersOf } from '../streett.ts';
import { type Relay, batonAt, fairRelay, relay } from './relay.ts';

function explored(n: number): Graph<Relay, never> {
  const learned = new Learned(relay(n));
  return explore(learned, learned.packing.pack(learned.system.boot), {
    maxStates: 1_000_000,
    patient: true,
    edges: true,
  });
}
const at = (graph: Graph<Relay, never>, state: number): number =>
  batonAt(graph.learned.packing.unpack<Relay>(graph.store.words, state * graph.learned.packing.width));

/** Does 'the baton is at post 0' lead to 'the baton has arrived'? The states under way, and where one can stay for ever. */
function underWay(graph: Graph<Relay, never>, n: number): Int32Array {
  const post = graph.learned.learner('where the baton is', batonAt);
  const postAt = (state: number): number => post.of(graph.store.words, state * graph.learned.packing.width);
  return neverReaching(
    edgesOf(graph),
    (state) => postAt(state) === 0,
    (state) => postAt(state) === n / 2,
  );
}
function stays(graph: Graph<Relay, never>, under: Int32Array, claims: readonly Claim<unknown>[]) {
  const streett = new Streett(edgesOf(graph), claimed(graph, claims, under));
  return { streett, components: streett.fair(under) };
}
const plainEdges = ({ first, to, wayOf, store }: Graph<Relay, never>): PlainEdge[] =>
  [...Array(store.count).keys()].flatMap((from) =>
    [...to.subarray(first[from], first[from + 1])].map((target, nth) => ({
      from,
      to: target,
      label: wayOf[(first[from] as number) + nth] as number,
    })),
  );

test('twelve runners have 28,672 states, and n of them (n/2 + 1) 2^n', () => {
  for (const n of [2, 4, 6, 8, 12]) expect(explored(n).store.count).toBe((n / 2 + 1) * 2 ** n);
  expect((12 / 2 + 1) * 2 ** 12).toBe(28_672);
});

describe('the baton arrives if and only if somebody at every post is treated with strong fairness', () => {
  const graph = explored(12);
  const under = underWay(graph, 12);
  for (const strong of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 48, 64])
    test(`with ${strong} strong constraints: ${strong >= 11 ? 'yes' : 'no'}`, () => {
      const { components } = stays(graph, under, fairRelay(12, strong));
      // Every post without a fair runner keeps the baton for ever, in all 2^12 states of the others.
      const open = Math.max(0, 6 - Math.ceil(strong / 2));
      expect(components.map(({ members }) => members.length)).toEqual(Array(open).fill(4_096));
    });
  test('a baton that stays is shown as a real walk that is fair, from the nearest state of the first open post', () => {
    const claims = fairRelay(12, 4);
    const { components, streett } = stays(graph, under, claims);
    const component = components.reduce((best, each) => (each.nearest < best.nearest ? each : best));
    const start = component.nearest;
    expect(at(graph, start)).toBe(2);
    expect(graph.schedule(start)).toHaveLength(4); // two runners wake, two pass
    const walked: PlainEdge[] = [];
    let from = start;
    for (const edge of fairLoop(streett, component)) {
      walked.push({ from, to: graph.to[edge] as number, label: graph.wayOf[edge] as number });
      from = graph.to[edge] as number;
    }
    expect(from).toBe(start);
    expect(walked).toHaveLength(24); // each of twelve wakes and sleeps
    expect(
      unfairTo(
        walked.map((each) => each.from),
        walked,
        questions(graph, claims),
      ),
    ).toBeUndefined();
  });
  test('with weak fairness to passing alone it need not arrive', () => {
    const claims = fairRelay(12, 12).map((claim) => ({ ...claim, strength: 'weak' as const }));
    expect(stays(graph, under, claims).components).toHaveLength(6);
  });
  test('the work is at most linear in the number of constraints', () => {
    const looked = (strong: number): number => stays(graph, under, fairRelay(12, strong)).streett.looked;
    const one = looked(1);
    for (const strong of [2, 4, 8, 12, 16, 32, 64]) expect(looked(strong)).toBeLessThanOrEqual(strong * one);
  });
});

describe('the search for circles and the plain one', () => {
  for (const n of [2, 4])
    test(`agree on ${n} runners, for every number of strong constraints`, () => {
      const graph = explored(n);
      for (let strong = 0; strong <= n; strong += 1) {
        const under = underWay(graph, n);
        const claims = fairRelay(n, strong);
        const { components } = stays(graph, under, claims);
        const plain = statesOnFairCircles([...under], plainEdges(graph), questions(graph, claims));
        expect([...membersOf(components)]).toEqual([...plain].sort((a, b) => a - b));
        expect(plain.size > 0).toBe(strong < n - 1);
      }
    });
});

test('a search without any constraint finds every circle', () => {
  const graph = explored(4);
  const edges = edgesOf(graph);
  const every = everyState(graph);
  expect(membersOf(new Streett(edges, marked(edges, [], every)).fair(every))).toHaveLength(graph.store.count);
});
