/**
 * Drop pairs: two words at a time, wherever they stand.
 *
 * A lock and its unlock, an allocation and its release: neither can go alone, both can go together. Quadratic, so
 * only for cases that are short already.
 */
import type { Pass } from './pass.ts';
import { keepWords, wordsOf } from './words.ts';

const MOST_WORDS = 30;

export const dropPairs: Pass = {
  name: 'drop-pairs',
  says: `drops any two words of a case of at most ${MOST_WORDS}`,
  *proposals(bench) {
    if (wordsOf(bench.now).length > MOST_WORDS) return;
    for (let second = wordsOf(bench.now).length - 1; second > 0; second -= 1)
      for (let first = second - 1; first >= 0; first -= 1) {
        const [one, other] = [first, second];
        const dropped = yield keepWords(bench.now, (place) => place !== one && place !== other);
        if (dropped) break;
      }
  },
};
