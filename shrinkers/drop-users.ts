/** Drop users: a process with everything it calls and does. */
import type { Pass } from './pass.ts';
import { keepWords, threadOf } from './words.ts';

export const dropUsers: Pass = {
  name: 'drop-users',
  says: 'drops a process with all its calls',
  *proposals(bench) {
    for (const user of Object.keys(bench.now.workload)) {
      const workload = Object.fromEntries(Object.entries(bench.now.workload).filter(([name]) => name !== user));
      yield { ...keepWords(bench.now, (_place, word) => threadOf(word) !== user), workload };
    }
  },
};
