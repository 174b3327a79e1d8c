/**
 * Fairness of an explored system, said in the terms of a system: claims of processes, actions and objects.
 *
 * A claim looks at what one process is open for and at the ways it takes, never at a state. So it is asked once for
 * every turn and way that the system has, a few hundred times, and states are marked by putting bits together: one
 * pass over the states for all claims, not a pass for each.
 */
import type { Graph } from './explore.ts';
import type { Turn, Way } from './learned.ts';
import { type Constraint, type Edges, type Marks, Streett, bitset, marked, membersOf, noMarks } from './streett.ts';

/** A claim stands in a state where one process is open for what it claims, and is met by what one process does. */
export interface Claim<F> {
  readonly name: string;
  readonly strength: Constraint['strength'];
  /** Is it enabled in a state in which process number `thread` is open for this? */
  readonly enabledAt?: (turn: Turn<F>, thread: number) => boolean;
  readonly enabledBy?: (way: Way<F>) => boolean;
  readonly takenAt?: (turn: Turn<F>, thread: number) => boolean;
  readonly takenBy?: (way: Way<F>) => boolean;
}

/** The edges of an explored system; their labels are its ways. */
export const edgesOf = <S extends object, F>({ first, to, way, wayOf, store }: Graph<S, F>): Edges => ({
  first,
  to,
  label: wayOf,
  states: store.count,
  labels: way.length,
});
export const everyState = <S extends object, F>({ store }: Graph<S, F>): Int32Array =>
  Int32Array.from({ length: store.count }, (_, state) => state);

/** Fairness to a set of actions, such as all of one process, or all that take one fork. */
export const fairTo = (
  strength: Constraint['strength'],
  name: string,
  about: (way: Way<unknown>) => boolean,
): Claim<unknown> => ({ name, strength, enabledAt: ({ ways }) => ways.some(about), takenBy: about });
export const fairToProcess = (strength: Constraint['strength'], process: string): Claim<unknown> =>
  fairTo(strength, process, ({ thread }) => thread === process);

/** Every claim as bits on these states and on all ways. */
export function claimed<S extends object, F>(
  { learned, store, way }: Graph<S, F>,
  claims: readonly Claim<F>[],
  among: Int32Array,
): Marks {
  const { threads, packing } = learned;
  const marks = noMarks(claims.length, store.count, way.length);
  const { words, stateAsks, stateAnswers, labelAsks, labelAnswers } = marks;
  const those = (holds: (claim: Claim<F>) => boolean | undefined): Int32Array =>
    bitset(
      marks,
      [...claims.keys()].filter((number) => holds(claims[number] as Claim<F>)),
    );
  const weak = those(({ strength }) => strength === 'weak');
  way.forEach((each, label) => {
    labelAsks.set(
      those(({ strength, enabledBy }) => strength === 'strong' && enabledBy?.(each)),
      label * words,
    );
    labelAnswers.set(
      those(({ takenBy }) => takenBy?.(each)),
      label * words,
    );
  });
  /** By number of the turn: whose claims it enables, then whose it meets. */
  const byTurn: Int32Array[] = [];
  const learn = (turn: Turn<F>, thread: number): Int32Array => {
    const bits = new Int32Array(2 * words);
    bits.set(those(({ enabledAt }) => enabledAt?.(turn, thread)));
    bits.set(
      those(({ takenAt }) => takenAt?.(turn, thread)),
      words,
    );
    return (byTurn[turn.id] = bits);
  };
  const here = new Int32Array(2 * words);
  for (const state of among) {
    here.fill(0);
    for (let thread = 0; thread < threads.length; thread += 1) {
      const turn = learned.turn(thread, store.words, state * packing.width);
      const bits = byTurn[turn.id] ?? learn(turn, thread);
      for (let word = 0; word < here.length; word += 1) here[word] = (here[word] as number) | (bits[word] as number);
    }
    for (let word = 0; word < words; word += 1) {
      const enabled = here[word] as number;
      const waits = weak[word] as number;
      stateAsks[state * words + word] = enabled | waits;
      stateAnswers[state * words + word] = (here[words + word] as number) | (waits & ~enabled);
    }
  }
  return marks;
}

/** The same claims as questions about states and labels, one by one: for whoever wants to check an answer. */
export function questions<S extends object, F>(
  { learned, store, way }: Graph<S, F>,
  claims: readonly Claim<F>[],
): Constraint[] {
  type Ask = Claim<F>['enabledAt'];
  const inState = (ask: Ask) => (state: number) =>
    ask !== undefined &&
    learned.threads.some((_, thread) => ask(learned.turn(thread, store.words, state * learned.packing.width), thread));
  const by = (ask: Claim<F>['enabledBy']) => (label: number) => ask?.(way[label] as Way<F>) === true;
  return claims.map(({ name, strength, enabledAt, enabledBy, takenAt, takenBy }) => {
    const taken = { name, takenIn: inState(takenAt), takenBy: by(takenBy), enabledIn: inState(enabledAt) };
    return strength === 'weak' ? { strength, ...taken } : { strength, ...taken, enabledBy: by(enabledBy) };
  });
}

/** States that can stay outside the goal, as far as edges go: from a state in `from`, through none in `goal`. */
export function neverReaching(
  { first, to, states }: Edges,
  from: (state: number) => boolean,
  goal: (state: number) => boolean,
): Int32Array {
  const seen = new Uint8Array(states);
  const queue = new Int32Array(states);
  let filled = 0;
  const visit = (state: number): void => {
    if (seen[state] !== 0 || goal(state)) return;
    seen[state] = 1;
    queue[filled++] = state;
  };
  for (let state = 0; state < states; state += 1) if (from(state)) visit(state);
  for (let next = 0; next < filled; next += 1) {
    const state = queue[next] as number;
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) visit(to[edge] as number);
  }
  return queue.slice(0, filled).sort();
}

/** The states that lie on a circle at all, in order; without fairness. */
export const onCircles = (edges: Edges, among: Int32Array): Int32Array =>
  membersOf(new Streett(edges, marked(edges, [], among)).fair(among));
