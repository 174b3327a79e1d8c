/** Tame arguments: each argument of each call at the first of its declared values with which the verdict stays. */
import { parseCall } from '../model/design.ts';
import { showCall } from '../model/objects/user.ts';
import type { Pass } from './pass.ts';

export const tameArguments: Pass = {
  name: 'tame-arguments',
  says: 'sets an argument of a call to a value declared earlier',
  *proposals(bench) {
    for (const [user, calls] of Object.entries(bench.now.workload))
      for (let at = 0; at < calls.length; at += 1) {
        const { call, with: given } = parseCall(bench.booted, calls[at] as string);
        for (const [param, values] of Object.entries(bench.booted.calls[call]?.params ?? {}))
          for (const value of values.slice(0, values.indexOf(given[param] ?? ''))) {
            const now = bench.now.workload[user] ?? [];
            const text = showCall({
              call,
              with: { ...parseCall(bench.booted, now[at] as string).with, [param]: value },
            });
            const workload = { ...bench.now.workload, [user]: now.map((each, place) => (place === at ? text : each)) };
            if (yield { ...bench.now, workload }) break;
          }
      }
  },
};
