/**
 * Which ways to search do not go together: a verdict on fair circles needs every state and every edge of them, and
 * whatever leaves some out can hide a circle, make one up, or change who is treated fairly on it. Persistent sets and merged
 * steps leave none of those out where circles are asked for: reductions/provisos.ts.
 *
 * An unsound combination is refused by name; it is never quietly left out, and never answered.
 */

/** How a search keeps the states it has seen. */
export type Storage = 'full' | 'tree' | 'fingerprints' | 'bitstate';
export type Reduction = 'sleep sets' | 'persistent sets' | 'merged steps' | 'symmetry' | 'seqno shifting';

export interface Combination {
  /** Fair circles are asked for. */
  readonly circles: boolean;
  readonly storage: Storage;
  /** The edges between states are kept. */
  readonly edges: boolean;
  readonly reductions: readonly Reduction[];
  /** Every reachable state was expanded; left out before the search. */
  readonly exhausted?: boolean;
}

const HIDES: Readonly<Partial<Record<Reduction, string>>> = {
  'sleep sets': 'they leave out edges, and a circle may need just those',
  symmetry: 'a circle of classes may swap the threads each time round, so that nobody is passed over',
  'seqno shifting': 'a circle of classes may never come back to the same numbers',
};

/** Why these do not go together, or nothing. */
export function refuses({ circles, storage, edges, reductions, exhausted }: Combination): string | undefined {
  if (!circles) return undefined;
  if (storage === 'bitstate')
    return 'no fair circles with bitstate: a state that is taken for seen is never expanded, and its circles are lost';
  if (storage === 'fingerprints')
    return 'no fair circles with fingerprints only: two states with one fingerprint close a circle that is none';
  const reduction = reductions.find((each) => HIDES[each] !== undefined);
  if (reduction !== undefined) return `no fair circles with ${reduction}: ${HIDES[reduction]}`;
  if (!edges) return 'no fair circles without edges: the search did not keep where steps lead';
  if (exhausted === false)
    return 'no fair circles in a search that was not exhausted: what was not expanded looks like a state without a way out';
  return undefined;
}

/** Why these do not go together with each other, or nothing. */
export function refusesTogether(reductions: readonly Reduction[]): string | undefined {
  const other = reductions.find((each) => each !== 'seqno shifting');
  if (other === undefined || !reductions.includes('seqno shifting')) return undefined;
  return `no seqno shifting with ${other}: what may happen later is learned with the numbers of the states that are kept, and not with those that they stand for`;
}

/** Why these do not go together with a search of another kind (with a memory or a schedule of its own), or nothing. */
export function refusesSearch(reductions: readonly Reduction[]): string | undefined {
  const [reduction] = reductions;
  return (
    reduction &&
    `no ${reduction} in a search with another memory: the reduced search learns on the way what it may leave out, and keeps its states in full`
  );
}
