/**
 * Drop reboots: what lockdep pieced together from several runs, in one run if it can be.
 *
 * Simply joined, the second part often cannot begin, because the first one still holds what it needs. So whoever has
 * no part in the second is also let run on in between until nothing is owed to them; other passes shorten that.
 */
import { type Case, REBOOT, choices, follow, word } from '../model/case.ts';
import { start } from '../model/design.ts';
import type { Bench, Pass } from './pass.ts';
import { threadOf, withWords } from './words.ts';

/** Words added between two parts at most; a part that takes longer to calm down is no simplification. */
const MOST_WORDS_BETWEEN = 200;

export const dropReboot: Pass = {
  name: 'drop-reboot',
  says: 'joins two runs into one, letting the first come to its end',
  *proposals(bench) {
    for (let at = bench.now.schedule.lastIndexOf(REBOOT); at >= 0; ) {
      const { schedule } = bench.now;
      const from = schedule.lastIndexOf(REBOOT, at - 1) + 1;
      const next = schedule.indexOf(REBOOT, at + 1);
      const to = next < 0 ? schedule.length : next;
      const [first, second] = [schedule.slice(from, at), schedule.slice(at + 1, to)];
      const joined = [
        [...first, ...second],
        [...second, ...first],
        [...first, ...runOn(bench, first, second), ...second],
        [...second, ...runOn(bench, second, first), ...first],
      ];
      for (const words of joined) if (yield replaced(bench.now, from, to, words)) break;
      at = at > 0 ? bench.now.schedule.lastIndexOf(REBOOT, at - 1) : -1;
    }
  },
};

function replaced(run: Case, from: number, to: number, words: readonly string[]): Case {
  const { schedule, loop } = run;
  return withWords(run, [...schedule.slice(0, from), ...words, ...schedule.slice(to)], loop);
}

/** Words by which, after these, everybody who has no part in what comes next gets what they are owed. */
function runOn({ booted, now, patient }: Bench, after: readonly string[], next: readonly string[]): string[] {
  const kernel = start(booted, now.workload);
  for (const each of after) follow(booted.machine, kernel, each, patient);
  const spared = new Set(next.map(threadOf));
  const words: string[] = [];
  while (words.length < MOST_WORDS_BETWEEN) {
    const choice = choices(booted.machine, kernel, patient).find(
      ({ thread, nature }) => nature === 'owed' && !spared.has(thread),
    );
    if (!choice) break;
    words.push(word(choice));
    follow(booted.machine, kernel, word(choice), patient);
  }
  return words;
}
