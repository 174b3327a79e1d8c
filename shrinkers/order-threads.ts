/**
 * Order threads: neighbours that stand against the order of declaration change places while the verdict stays.
 *
 * Many schedules tell one story; this picks one of them, so that the same bug found twice is found to be the same.
 * First whole segments, then single words; the driver refuses what makes for more handovers.
 */
import type { Case } from '../model/case.ts';
import type { Bench, Pass } from './pass.ts';
import { segmentsOf, threadOf, withWords } from './words.ts';

export const orderThreads: Pass = {
  name: 'order-threads',
  says: 'lets neighbours change places into the order of declaration',
  *proposals(bench) {
    yield* swaps(bench, segmentsOf);
    yield* swaps(bench, (words) => words.map((word) => [word]));
  },
};

type Pieces = (words: readonly string[]) => string[][];

function* swaps(bench: Bench, pieces: Pieces): Generator<Case, void, boolean> {
  const order = Object.keys(bench.booted.machine.threads);
  const rank = (piece: readonly string[] | undefined): number => order.indexOf(threadOf(piece?.[0] ?? ''));
  const parts = [
    { words: () => bench.now.schedule, put: (words: string[]) => withWords(bench.now, words, bench.now.loop) },
    { words: () => bench.now.loop ?? [], put: (words: string[]) => withWords(bench.now, bench.now.schedule, words) },
  ];
  for (const { words, put } of parts)
    for (let at = 1; at < pieces(words()).length; at += 1) {
      const now = pieces(words());
      if (rank(now[at - 1]) <= rank(now[at])) continue;
      const [one, other] = [now[at - 1] as string[], now[at] as string[]];
      const swapped = yield put([...now.slice(0, at - 1), other, one, ...now.slice(at + 1)].flat());
      if (swapped) at = Math.max(0, at - 2); // what moved forward may go further
    }
}
