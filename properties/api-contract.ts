/**
 * api-contract: the rules of each call. The objects say as a fact when one is broken; see rule ids in model/objects.
 *
 * One rule no call can see by itself: nobody may hold a reservation while he waits for user space, or for a fence that
 * nobody else can reach yet (I-10, SO-16). Of the first it takes a state at rest to say that only user space is left.
 */
import type { KernelState, Machine, Thread } from '../model/machine.ts';
import { RESV } from '../model/objects/context.ts';
import { type Blame, type Opens, type Property, convictsOn } from './property.ts';

const misuse = convictsOn(
  {
    name: 'api-contract',
    says: 'the rules of each call: locks held, slots reserved, context may sleep, seqno order, error before signal',
    sources: ['drivers/dma-buf/dma-fence.c', 'drivers/dma-buf/dma-resv.c', 'fence-core appendix 3'],
    fact: 'misuse',
  },
  ({ rule, what }) => ({ kind: rule, what, rules: [rule] }),
);
const blame = (what: string): Blame => ({ property: misuse.name, kind: 'I-10', what, links: [], rules: ['I-10'] });

/** Does this thread, or whoever it waits for, wait for somebody in user space? */
function userBehind(machine: Machine, opens: Opens, from: string): string | undefined {
  const reached = new Set([from]);
  for (const at of reached) {
    const open = opens[at];
    if (open?.kind === 'blocked') for (const debtor of open.wait.owedBy) reached.add(debtor);
    else if (machine.threads[at]?.kind === 'user') return at;
  }
  return undefined;
}
const reservationsOf = (kernel: KernelState, thread: string): string[] =>
  (kernel.threads[thread] as Thread).held.flatMap(({ kind, class: of, object }) =>
    kind === 'lock' && of === RESV ? [object] : [],
  );

export const apiContract: Property = {
  ...misuse,
  hears: ['misuse', 'waitsForFence'],
  step(moment) {
    for (const fact of moment.facts) {
      if (fact.kind !== 'waitsForFence' || !fact.over.some((held) => held.kind === 'lock' && held.class === RESV))
        continue;
      const row = moment.kernel.fences[fact.fence];
      if (row?.initialised && !row.published)
        return blame(`${fact.thread} holds a reservation and waits for ${fact.fence}, which nobody else can reach yet`);
    }
    return misuse.step?.(moment);
  },
  rest(machine, kernel, opens) {
    for (const [thread, open] of Object.entries(opens)) {
      if (open.kind !== 'blocked' || open.wait.on !== 'fence') continue;
      const [resv] = reservationsOf(kernel, thread);
      const user = resv === undefined ? undefined : userBehind(machine, opens, thread);
      if (user !== undefined)
        return blame(
          `${thread} holds the reservation of ${resv} and waits for ${open.wait.object}, which only ${user} can signal`,
        );
    }
    return undefined;
  },
};
