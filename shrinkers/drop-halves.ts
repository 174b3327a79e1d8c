/**
 * Drop halves: blocks of 64, 32, … 1 words, each size once from the back to the front.
 *
 * After a success the walk carries on where it is: what stands before the block is untouched, and what stands behind
 * it was tried already. Twice as fast as ddmin, and the fewer words matter the faster.
 */
import type { Pass } from './pass.ts';
import { keepWords, wordsOf } from './words.ts';

const LARGEST_BLOCK = 64;

export const dropHalves: Pass = {
  name: 'drop-halves',
  says: 'drops blocks of words, large ones first, from the back',
  *proposals(bench) {
    for (let size = LARGEST_BLOCK; size >= 1; size = Math.floor(size / 2)) {
      for (let end = wordsOf(bench.now).length; end > 0; end = Math.min(end - size, wordsOf(bench.now).length)) {
        const [from, to] = [end - size, end];
        yield keepWords(bench.now, (place) => place < from || place >= to);
      }
    }
  },
};
