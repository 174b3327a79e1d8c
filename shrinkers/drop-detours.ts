/**
 * Drop detours: words that lead from a state back to the same state.
 *
 * A long random walk is mostly that, and one look at its states finds every detour at once, whatever its length.
 * Inside a loop a detour is a smaller loop that need not be gone round.
 */
import type { Pass } from './pass.ts';
import { statesOf } from './trace.ts';
import { keepWords } from './words.ts';

interface Detour {
  readonly from: number;
  readonly to: number;
}

export const dropDetours: Pass = {
  name: 'drop-detours',
  says: 'drops words that lead from a state back to the same state',
  *proposals(bench) {
    const all = detoursOf(bench.now.schedule.length, statesOf(bench.booted, bench.now, bench.patient));
    if (all.length === 0) return;
    const onDetour = (place: number): boolean => all.some(({ from, to }) => from <= place && place < to);
    const together = yield keepWords(bench.now, (place) => !onDetour(place));
    if (together || all.length === 1) return;
    // Backwards, so that places before a dropped detour stay what they are.
    for (const { from, to } of all.reverse()) yield keepWords(bench.now, (place) => place < from || place >= to);
  },
};

/** The longest detours from the first place on, none inside another; none crosses from the schedule into the loop. */
function detoursOf(stem: number, states: readonly string[]): Detour[] {
  const detours: Detour[] = [];
  const look = (begin: number, end: number, ends: (from: number) => number): void => {
    for (let from = begin; from < end; from += 1) {
      const to = states.lastIndexOf(states[from] as string, ends(from));
      if (to <= from) continue;
      detours.push({ from, to });
      from = to - 1;
    }
  };
  const end = states.length - 1;
  look(0, stem, () => stem);
  look(stem, end, (from) => (from === stem ? end - 1 : end)); // the whole loop is no detour of itself
  return detours;
}
