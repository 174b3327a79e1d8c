/** What a search found, and how far it can be trusted: the same for every order and every memory. */
import type { Graph } from '../explore.ts';
import type { Doubt, Seen } from './seen.ts';

export interface Found<S extends object, F> {
  readonly states: number;
  /** States that were looked at; fewer than were found when a limit ended the search. */
  readonly expanded: number;
  readonly transitions: number;
  /** Steps of the longest shortest way to a state; depth first, of the longest way on which it stood. */
  readonly depth: number;
  /** States in which nothing that is owed can happen. */
  readonly resting: number;
  /** Every reachable state was expanded, as far as the mode can know. */
  readonly exhausted: boolean;
  /** Why it is not exhausted, in words. */
  readonly why?: string;
  /** What the mode may have left out. */
  readonly doubt?: Doubt;
  readonly bytes: number;
  /** The edges, when they were asked for, in the mode `full`. */
  readonly graph?: Graph<S, F>;
}

type Counts = Pick<Found<object, never>, 'states' | 'expanded' | 'transitions' | 'depth' | 'resting' | 'bytes'>;

/** @param limit what ended the search before it was done */
export function found<S extends object, F>(counts: Counts, seen: Seen, limit: string | undefined): Found<S, F> {
  const { states, expanded, transitions, depth, resting, bytes } = counts;
  const doubt = seen.doubt(states);
  const why = limit ?? (doubt?.exhaustive === false ? doubt.says : undefined);
  return {
    states,
    expanded,
    transitions,
    depth,
    resting,
    bytes,
    exhausted: why === undefined,
    ...(why === undefined ? {} : { why }),
    ...(doubt ? { doubt } : {}),
  };
}
