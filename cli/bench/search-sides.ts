/** The sides that search a classic system, which need nothing of designs. */
import { claimed, edgesOf, neverReaching } from '../../properties/search/constraints.ts';
import { batonAt, fairRelay, relay } from '../../properties/search/classics/relay.ts';
import { twoPhaseCommit } from '../../properties/search/classics/two-phase-commit.ts';
import { Learned } from '../../properties/search/learned.ts';
import { reduced } from '../../properties/search/reductions/reduced.ts';
import { Symmetries } from '../../properties/search/reductions/symmetry.ts';
import { breadthFirst } from '../../properties/search/storage/breadth.ts';
import { Streett } from '../../properties/search/streett.ts';
import { searchTogether } from '../search-crew.ts';
import type { Sides } from './side.ts';

const UNBOUNDED = { maxStates: Number.MAX_SAFE_INTEGER, patient: true } as const;
/** Runners of the relay on which fairness is measured: 28,672 states. */
const RUNNERS = 12;

export const searchSides: Sides = {
  search({ n = 3, mode = 'fingerprints' }) {
    const learned = new Learned(twoPhaseCommit(n));
    const from = learned.packing.pack(learned.system.boot);
    const { states, transitions, depth } = breadthFirst(learned, from, { ...UNBOUNDED, mode, edges: false });
    return { states, transitions, depth };
  },
  async together({ n = 3, workers = 1 }) {
    const module = new URL('../../properties/search/classics/two-phase-commit.js', import.meta.url).href;
    const recipe = { module, name: 'twoPhaseCommit', args: [n], patient: true };
    const { states, transitions, depth } = await searchTogether(recipe, workers, UNBOUNDED);
    return { states, transitions, depth };
  },
  /** How many orbits, and how many steps out of one state of each. */
  orbits({ n = 3 }) {
    const learned = new Learned(twoPhaseCommit(n));
    const managers = Array.from({ length: n }, (_, at) => [`rm${at}`]);
    const from = learned.packing.pack(learned.system.boot);
    const symmetries = new Symmetries(learned, { classes: [managers] });
    const nothingElse = { clusters: false, merges: false, debts: false };
    const { states, transitions } = reduced(learned, from, { ...UNBOUNDED, ...nothingElse, symmetries });
    return { states, transitions };
  },
  /** Will the baton of twelve runners arrive? */
  fairness({ constraints = 1, strong = true }) {
    const learned = new Learned(relay(RUNNERS));
    const from = learned.packing.pack(learned.system.boot);
    const { graph } = breadthFirst(learned, from, { ...UNBOUNDED, mode: 'full', edges: true });
    if (!graph) throw new Error('a search with edges told no graph');
    const post = learned.learner('where the baton is', batonAt);
    const postAt = (state: number): number => post.of(graph.store.words, state * learned.packing.width);
    const edges = edgesOf(graph);
    const under = neverReaching(
      edges,
      (state) => postAt(state) === 0,
      (state) => postAt(state) === RUNNERS / 2,
    );
    const claims = fairRelay(RUNNERS, constraints).map((claim) =>
      strong ? claim : { ...claim, strength: 'weak' as const },
    );
    const stays = new Streett(edges, claimed(graph, claims, under)).fair(under);
    const arrives = stays.length === 0 ? ['it arrives'] : [`it may stay at ${stays.length} posts`];
    return { states: graph.store.count, transitions: graph.transitions, found: arrives };
  },
};
