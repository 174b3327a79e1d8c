/** Drop threads: all words of one thread. One success takes a whole character out of the story. */
import { REBOOT } from '../model/case.ts';
import type { Pass } from './pass.ts';
import { keepWords, threadOf, wordsOf } from './words.ts';

export const dropThreads: Pass = {
  name: 'drop-threads',
  says: 'drops all words of one thread',
  *proposals(bench) {
    for (const thread of new Set(wordsOf(bench.now).map(threadOf)))
      if (thread !== REBOOT) yield keepWords(bench.now, (_place, word) => threadOf(word) !== thread);
  },
};
