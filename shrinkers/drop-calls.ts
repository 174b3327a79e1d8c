/**
 * Drop calls: first all that are never begun, then one call of one process, with the words that carried it out; then the call alone.
 *
 * Alone it may still do: its words then carry out the call that moves up, or turn out to be unusable.
 */
import type { Case } from '../model/case.ts';
import type { Bench, Pass } from './pass.ts';
import { keepCalls, keepWords, threadOf } from './words.ts';

export const dropCalls: Pass = {
  name: 'drop-calls',
  says: 'drops a call from the workload, with or without its words',
  *proposals(bench) {
    yield withoutIdleCalls(bench);
    for (const user of Object.keys(bench.now.workload))
      for (let call = (bench.now.workload[user]?.length ?? 0) - 1; call >= 0; call -= 1) {
        const { schedule, loop } = bench.trace;
        const steps = [...schedule, ...loop];
        const without = withoutCall(bench.now, user, call);
        const words = keepWords(without, (place, word) => threadOf(word) !== user || steps[place]?.call !== call);
        if (!(yield words)) yield without;
      }
  },
};

const withoutCall = (run: Case, user: string, call: number): Case => ({
  ...run,
  workload: keepCalls(run.workload, (caller, at) => caller !== user || at !== call),
});

function withoutIdleCalls({ now, trace }: Bench): Case {
  const begun = new Set([...trace.schedule, ...trace.loop].map(({ word, call }) => `${threadOf(word)} ${call}`));
  return { ...now, workload: keepCalls(now.workload, (user, call) => begun.has(`${user} ${call}`)) };
}
