/**
 * fence-signals: every published fence signals in finite time, whatever user space does and however short memory is.
 *
 * Broken in two ways: everything that is owed has happened and the fence is still pending, or a fair execution can
 * go round for ever without signalling it. Kernel threads, hardware and timers are fair; user space owes nothing.
 */
import type { KernelState } from '../model/machine.ts';
import { missing } from '../model/objects/fence-container.ts';
import { isPromised } from '../model/objects/fence.ts';
import type { Blame, Link, Opens, Property } from './property.ts';

/** Follow the debts from the thread that owes the fence, until somebody is not waiting. */
function chain(opens: Opens, from: string | null): Link[] {
  const links: Link[] = [];
  for (let who = from; who !== null && !links.some((link) => link.who === who); ) {
    const open = opens[who];
    if (open?.kind !== 'blocked' && open?.kind !== 'idle') break;
    links.push({ who, wait: open.wait });
    who = open.wait.owedBy[0] ?? null;
  }
  return links;
}

/** Fences that are promised and pending; instead of a container those that it waits for, for they are the ones owed. */
const promised = (kernel: KernelState): string[] =>
  Object.keys(kernel.fences)
    .filter((fence) => isPromised(kernel, fence))
    .flatMap((fence) => missing(kernel, fence));

export const fenceSignals: Property = {
  name: 'fence-signals',
  says: 'every published fence signals in finite time, whatever user space does and however short memory is',
  sources: ['drivers/dma-buf/dma-fence.c', 'Documentation/driver-api/dma-buf.rst', 'T-1', 'T-2', 'T-5'],
  rest(machine, kernel, opens): Blame | undefined {
    const [fence] = promised(kernel);
    if (fence === undefined) return undefined;
    const by = kernel.fences[fence]?.promisedBy ?? null;
    const who =
      by === null
        ? 'nobody is left who owes it'
        : machine.threads[by]?.kind === 'user'
          ? `only ${by} can signal it, and user space owes nothing`
          : `${by}, which owes it, cannot go on`;
    return {
      property: 'fence-signals',
      kind: 'never signals',
      what: `${fence} is published and never signals: ${who}`,
      links: chain(opens, by),
      rules: ['T-1'],
    };
  },
  circle({ pending }): Blame | undefined {
    if (pending.length === 0) return undefined;
    return {
      property: 'fence-signals',
      kind: 'not in finite time',
      what: `${pending.join(', ')} is published and need not signal in finite time: a fair execution goes round for ever without it`,
      links: [],
      rules: ['T-1'],
    };
  },
};
