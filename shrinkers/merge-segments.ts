/**
 * Merge segments: words of one thread in a row move to another place, if that makes for fewer handovers.
 *
 * Every handover is a question to the reader, so a schedule with few of them is worth more than a short one with
 * many. To join a later segment to an earlier one of the same thread, and to move one out from between two others,
 * are both: one segment, another gap, fewer handovers.
 */
import type { Pass } from './pass.ts';
import { handovers, segmentsOf, withWords } from './words.ts';

export const mergeSegments: Pass = {
  name: 'merge-segments',
  says: 'moves words of one thread together, for fewer handovers',
  *proposals(bench) {
    for (let segment = segmentsOf(bench.now.schedule).length - 1; segment >= 0; segment -= 1)
      for (const schedule of moved(bench.now.schedule, segment))
        if (yield withWords(bench.now, schedule, bench.now.loop)) break;
    for (let segment = segmentsOf(bench.now.loop ?? []).length - 1; segment >= 0; segment -= 1)
      for (const loop of moved(bench.now.loop ?? [], segment))
        if (yield withWords(bench.now, bench.now.schedule, loop)) break;
  },
};

/** The words with this segment in every other gap that makes for fewer handovers, earliest first. */
function moved(words: readonly string[], segment: number): string[][] {
  const segments = segmentsOf(words);
  const moving = segments[segment];
  if (!moving) return [];
  const others = segments.filter((_each, at) => at !== segment);
  const before = handovers(words);
  return Array.from({ length: others.length + 1 }, (_, gap) =>
    [...others.slice(0, gap), moving, ...others.slice(gap)].flat(),
  ).filter((each) => handovers(each) < before);
}
