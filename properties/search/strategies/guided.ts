/**
 * Coverage-guided mutation: follows the words of a case that showed something new, cut, spliced or bent somewhere, and
 * goes on at random from where it ends. What counts as new is a feature of the model (campaign/features.ts).
 *
 * A word that cannot be followed is passed over, as everywhere. With nothing interesting known it is a random walk.
 */
import type { Way } from '../learned.ts';
import type { Random } from '../random.ts';
import type { WalkStrategy } from './strategy.ts';
import { moving, nthMoving, weather } from './strategy.ts';

/** Words that may be passed over before one step is chosen at random. */
const MOST_SKIPS = 8;
/** How often a word is not followed although it could be. */
const STRAY = 0.02;

export const guided: WalkStrategy = {
  kind: 'walk',
  name: 'guided',
  says: 'mutates the schedules and workloads of cases that showed a feature never seen before',
  begin(random, _threads, _steps, lore) {
    const rough = lore?.rough ?? 0.5;
    const script = lore?.script ?? [];
    let at = 0;
    return {
      pick(ways): Way {
        if (!random.chance(STRAY))
          for (let skipped = 0; at < script.length && skipped < MOST_SKIPS; skipped += 1) {
            const word = script[at] as string;
            at += 1;
            for (const way of ways) if (says(way, word)) return way;
          }
        return weather(random, ways, nthMoving(ways, random.below(moving(ways))), rough);
      },
    };
  },
};

/** Is this the word for this way? Compared in place, because it is asked at every step. */
function says({ thread, outcome }: Way, word: string): boolean {
  if (outcome === '') return word === thread;
  return (
    word.length === thread.length + 1 + outcome.length &&
    word.startsWith(thread) &&
    word.endsWith(outcome) &&
    word[thread.length] === '/'
  );
}

/** Another schedule made of one, or of two: a block left out, moved, doubled or swapped, or the tail of another. */
export function mutated(random: Random, words: readonly string[], other: readonly string[]): string[] {
  const from = random.below(words.length + 1);
  const to = Math.min(words.length, from + 1 + random.below(8));
  const block = words.slice(from, to);
  switch (random.below(6)) {
    case 0: // its beginning, and then whatever comes
      return words.slice(0, from);
    case 1: // without a block
      return [...words.slice(0, from), ...words.slice(to)];
    case 2: {
      // a block later
      const rest = [...words.slice(0, from), ...words.slice(to)];
      const place = from + random.below(Math.max(1, rest.length - from + 1));
      return [...rest.slice(0, place), ...block, ...rest.slice(place)];
    }
    case 3: // a block twice
      return [...words.slice(0, to), ...block, ...words.slice(to)];
    case 4: // the beginning of one and the end of another
      return [...words.slice(0, from), ...other.slice(random.below(other.length + 1))];
    default: {
      // two neighbours change places
      const at = random.below(Math.max(1, words.length - 1));
      const swapped = [...words];
      [swapped[at], swapped[at + 1]] = [words[at + 1] ?? '', words[at] ?? ''];
      return swapped.filter((word) => word !== '');
    }
  }
}
