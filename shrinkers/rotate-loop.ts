/**
 * Rotate the loop: a schedule need only lead to the first state that lies on the loop, wherever that is.
 *
 * The loop then begins there. Its words are the same in another order, and the schedule is shorter.
 */
import type { Pass } from './pass.ts';
import { statesOf } from './trace.ts';
import { withWords } from './words.ts';

export const rotateLoop: Pass = {
  name: 'rotate-loop',
  says: 'begins the loop where the schedule first meets it',
  *proposals(bench) {
    const { schedule, loop = [] } = bench.now;
    if (loop.length === 0) return;
    const states = statesOf(bench.booted, bench.now, bench.patient);
    const circle = states.slice(schedule.length, -1);
    for (const [at, state] of states.slice(0, schedule.length).entries()) {
      const entry = circle.indexOf(state);
      if (entry < 0) continue;
      yield withWords(bench.now, schedule.slice(0, at), [...loop.slice(entry), ...loop.slice(0, entry)]);
      return;
    }
  },
};
