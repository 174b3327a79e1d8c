/** Tame outcomes: a step goes the tamest way with which the verdict stays. What is left wild is bad weather that matters. */
import type { Pass } from './pass.ts';
import { withWords, wordsOf } from './words.ts';

export const tameOutcomes: Pass = {
  name: 'tame-outcomes',
  says: 'lets a step go a tamer way, tamest first',
  *proposals(bench) {
    for (let place = wordsOf(bench.now).length - 1; place >= 0; place -= 1) {
      const { schedule, loop } = bench.trace;
      for (const tamer of [...schedule, ...loop][place]?.tamer ?? []) {
        const words = wordsOf(bench.now).map((word, at) => (at === place ? tamer : word));
        const stem = bench.now.schedule.length;
        if (yield withWords(bench.now, words.slice(0, stem), words.slice(stem))) break;
      }
    }
  },
};
