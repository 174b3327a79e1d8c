/** no-leak: when every program has ended and the machine has calmed down, nothing is left (rule I-16). */
import type { Machine } from '../model/machine.ts';
import type { Opens, Property } from './property.ts';

/** Has everybody who began also ended? A thread that still waits has not, nor has a program with more to do. */
const allEnded = (machine: Machine, opens: Opens): boolean =>
  Object.entries(opens).every(
    ([thread, open]) =>
      open.kind === 'finished' ||
      open.kind === 'idle' ||
      (open.kind === 'ready' && open.nature === 'may' && machine.threads[thread]?.kind !== 'user'),
  );

export const noLeak: Property = {
  name: 'no-leak',
  says: 'when all user programs ended and the machine calmed down, no page, slot, pin, lock or queued work is left',
  sources: ['I-16', 'no-leak'],
  rest(machine, kernel, opens) {
    if (!allEnded(machine, opens)) return undefined;
    if (Object.values(kernel.users).some(({ todo }) => todo.length > 0)) return undefined;
    const left = machine.leftovers(kernel);
    if (left.length === 0) return undefined;
    return {
      property: 'no-leak',
      kind: 'left over',
      what: `everybody has ended, and ${left.join('; ')}`,
      links: [],
      rules: ['I-16'],
    };
  },
};
