/** Drop objects: all calls that name one of them, with the words that carried them out. A buffer less is a story less. */
import { parseCall } from '../model/design.ts';
import type { Pass } from './pass.ts';
import { keepCalls, keepWords, threadOf } from './words.ts';

export const dropObjects: Pass = {
  name: 'drop-objects',
  says: 'drops every call that names one object, with its words',
  *proposals(bench) {
    const named = (text: string): string[] => Object.values(parseCall(bench.booted, text).with);
    for (const object of new Set(Object.values(bench.now.workload).flat().flatMap(named))) {
      const { now, trace } = bench;
      const steps = [...trace.schedule, ...trace.loop];
      const names = (user: string, call: number | undefined): boolean =>
        call !== undefined && named(now.workload[user]?.[call] ?? '').includes(object);
      const workload = keepCalls(now.workload, (user, call) => !names(user, call));
      yield { ...keepWords(now, (place, word) => !names(threadOf(word), steps[place]?.call)), workload };
    }
  },
};
