/**
 * The words of a case as one list: first those of the schedule, then those of the loop.
 *
 * Why: a pass that drops or moves words means the same by it in both, and the boundary is kept for it here. Words of
 * one thread in a row are a segment; every boundary between two segments is a handover that a reader must follow.
 */
import { type Case, parseWord } from '../model/case.ts';
import type { Workload } from '../model/design.ts';

export const wordsOf = ({ schedule, loop = [] }: Case): readonly string[] => [...schedule, ...loop];

/** The same case with this schedule and loop; without a loop when that is empty. */
export function withWords(run: Case, schedule: readonly string[], loop: readonly string[] = []): Case {
  const { design, knobs, workload } = run;
  return { design, knobs, workload, schedule, ...(loop.length > 0 ? { loop } : {}) };
}

/** The same case with only the words that `keep` says yes to; places count through the loop. */
export function keepWords(run: Case, keep: (place: number, word: string) => boolean): Case {
  const { schedule, loop = [] } = run;
  return withWords(
    run,
    schedule.filter((word, at) => keep(at, word)),
    loop.filter((word, at) => keep(schedule.length + at, word)),
  );
}

/** The calls of every process that `keep` says yes to; places count from its first call. */
export const keepCalls = (workload: Workload, keep: (user: string, call: number) => boolean): Workload =>
  Object.fromEntries(
    Object.entries(workload).map(([user, calls]) => [user, calls.filter((_text, call) => keep(user, call))]),
  );

export const threadOf = (word: string): string => parseWord(word).thread;

/** Words of one thread in a row. */
export function segmentsOf(words: readonly string[]): string[][] {
  const segments: string[][] = [];
  words.forEach((word, at) => {
    const before = words[at - 1];
    if (before !== undefined && threadOf(before) === threadOf(word)) segments.at(-1)?.push(word);
    else segments.push([word]);
  });
  return segments;
}

/** How often another thread takes over. */
export const handovers = (words: readonly string[]): number => Math.max(0, segmentsOf(words).length - 1);
