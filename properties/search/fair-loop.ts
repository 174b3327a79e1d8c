/**
 * One loop through a fair component: a real walk that meets every constraint, not the component as if it were a walk.
 *
 * It begins and ends in the state of the component that is nearest to boot, so the stem is as short as any. From there
 * it goes to the nearest answer for whoever still asks on the way, and back. The shortest of all loops is hard to find
 * (even to approximate: Ehlers, How Hard Is Finding Shortest Counter-Example Lassos in Model Checking?, 2019), so what
 * is promised is less: no round trip in it is superfluous, and `oneMinimal` makes it such that no single word is.
 */
import { type Component, type Streett, meets } from './streett.ts';

/** Rounds of cutting round trips are for loops up to this length; a longer one is left as it is. */
const LONGEST_TO_SHORTEN = 1_000;

/**
 * The edges of the loop, in order.
 * @param counting the constraints to meet, as a bitset; those of the last search when left out
 */
export function fairLoop(streett: Streett, component: Component, counting = streett.counting): number[] {
  const { graph, marks } = streett;
  const paths = new Paths(streett, component);
  const loop: number[] = [];
  let at = component.nearest;
  for (let round = 0; round <= 2 * marks.count + 2; round += 1) {
    const missing = unanswered(streett, component.nearest, loop, counting);
    const path = missing
      ? paths.nearest(
          at,
          (edge) =>
            meets(missing, marks.labelAnswers, graph.label[edge] as number, marks.words) ||
            meets(missing, marks.stateAnswers, graph.to[edge] as number, marks.words),
        )
      : at === component.nearest && loop.length > 0
        ? undefined
        : paths.nearest(at, (edge) => graph.to[edge] === component.nearest);
    if (!path) return withoutDetours(streett, component.nearest, loop, counting);
    for (const edge of path) loop.push(edge);
    at = graph.to[loop.at(-1) as number] as number;
  }
  throw new Error('a fair component has no fair loop: the search and the loop disagree about who is answered');
}

/** The constraints that ask somewhere on this walk and are answered nowhere on it, as a bitset; nothing when all are. */
export function unanswered(
  { graph, marks }: Streett,
  start: number,
  walk: readonly number[],
  counting: Int32Array,
): Int32Array | undefined {
  const { words, stateAsks, stateAnswers, labelAsks, labelAnswers } = marks;
  const missing = new Int32Array(words);
  let any = false;
  for (let word = 0; word < words; word += 1) {
    let asks = stateAsks[start * words + word] as number;
    let answers = stateAnswers[start * words + word] as number;
    for (const edge of walk) {
      const state = (graph.to[edge] as number) * words + word;
      const label = (graph.label[edge] as number) * words + word;
      asks |= (stateAsks[state] as number) | (labelAsks[label] as number);
      answers |= (stateAnswers[state] as number) | (labelAnswers[label] as number);
    }
    missing[word] = asks & ~answers & (counting[word] as number);
    any ||= missing[word] !== 0;
  }
  return any ? missing : undefined;
}

/** Without round trips that nobody needs, longest first. */
function withoutDetours(streett: Streett, start: number, loop: number[], counting: Int32Array): number[] {
  if (loop.length > LONGEST_TO_SHORTEN) return loop;
  let kept = loop;
  const stateAt = (place: number): number =>
    place === 0 ? start : (streett.graph.to[kept[place - 1] as number] as number);
  for (let from = 0; from < kept.length; from += 1)
    for (let end = kept.length; end > from; end -= 1) {
      if (stateAt(from) !== stateAt(end)) continue;
      const shorter = [...kept.slice(0, from), ...kept.slice(end)];
      if (shorter.length === 0 || unanswered(streett, start, shorter, counting)) continue;
      kept = shorter;
      end = kept.length + 1;
    }
  return kept;
}

/** Shortest paths inside one component. */
class Paths {
  private readonly streett: Streett;
  private readonly component: Component;
  private readonly cameBy: Int32Array;
  private readonly cameFrom: Int32Array;
  private readonly seen: Int32Array;
  private readonly queue: Int32Array;
  private searches = 0;

  constructor(streett: Streett, component: Component) {
    const { states } = streett.graph;
    this.streett = streett;
    this.component = component;
    this.cameBy = new Int32Array(states);
    this.cameFrom = new Int32Array(states);
    this.seen = new Int32Array(states);
    this.queue = new Int32Array(component.members.length);
  }

  /** A shortest path whose last edge is wanted. */
  nearest(from: number, wanted: (edge: number) => boolean): number[] {
    const { streett, component, cameBy, cameFrom, seen, queue } = this;
    const { first, to } = streett.graph;
    const search = (this.searches += 1);
    queue[0] = from;
    seen[from] = search;
    for (let next = 0, filled = 1; next < filled; next += 1) {
      const state = queue[next] as number;
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
        if (!streett.inside(edge, component)) continue;
        if (wanted(edge)) {
          const path = [edge];
          for (let at = state; at !== from; at = cameFrom[at] as number) path.push(cameBy[at] as number);
          return path.reverse();
        }
        const target = to[edge] as number;
        if (seen[target] === search) continue;
        seen[target] = search;
        cameBy[target] = edge;
        cameFrom[target] = state;
        queue[filled++] = target;
      }
    }
    throw new Error('a strongly connected component is not connected');
  }
}

export interface Minimal {
  readonly words: readonly string[];
  /** No single word can be left out; false when the limit of steps was reached before that was known. */
  readonly minimal: boolean;
}

/**
 * Leave out single words as long as what is left is still good.
 * @param steps how many words may be played in all; the answer says whether that was enough
 */
export function oneMinimal(
  words: readonly string[],
  good: (words: readonly string[]) => boolean,
  steps: number,
): Minimal {
  let kept = words;
  let played = 0;
  for (let at = 0, since = 0; since < kept.length; at = at + 1 < kept.length ? at + 1 : 0) {
    const shorter = [...kept.slice(0, at), ...kept.slice(at + 1)];
    played += shorter.length;
    if (played > steps) return { words: kept, minimal: false };
    if (shorter.length > 0 && good(shorter)) {
      kept = shorter;
      since = 0;
      at -= 1;
    } else since += 1;
  }
  return { words: kept, minimal: true };
}
