/**
 * no-deadlock: no circle of debts.
 *
 * Threads that can move, or whose wait ends by itself, owe nobody any more; strike them out, then those who wait only
 * for struck-out ones, and so on. What is left waits for each other for ever. A wait for any one of several debtors
 * is struck out as soon as one of them is: so "wait for any" needs a knot, "wait for all" only a circle.
 */
import type { Open } from '../model/machine.ts';
import type { Blame, Link, Opens, Property } from './property.ts';

/** The debtors of a thread that cannot move by itself, or nothing. */
export const debtorsOf = (open: Open): readonly string[] | undefined =>
  open.kind === 'blocked' && open.wait.bounded === undefined && open.wait.owedBy.length > 0
    ? open.wait.owedBy
    : undefined;

/** The threads that wait for each other for ever: what is left after striking out. */
export function stuck(opens: Opens): ReadonlySet<string> {
  const left = new Set(Object.keys(opens).filter((thread) => debtorsOf(opens[thread] as Open)));
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    for (const thread of left) {
      const open = opens[thread] as Extract<Open, { kind: 'blocked' }>;
      const owing = open.wait.owedBy.filter((debtor) => left.has(debtor)).length;
      if (owing === 0 || (open.wait.any && owing < open.wait.owedBy.length)) left.delete(thread);
    }
  }
  return left;
}

/** One circle among stuck threads, beginning with the first of them in the order of declaration. */
export function circleAmong(opens: Opens, threads: ReadonlySet<string>): Link[] {
  const order = Object.keys(opens);
  const path: string[] = [];
  let at = order.find((thread) => threads.has(thread)) as string;
  while (!path.includes(at)) {
    path.push(at);
    at = debtorsOf(opens[at] as Open)?.find((debtor) => threads.has(debtor)) as string;
  }
  const circle = path.slice(path.indexOf(at));
  const first = circle.reduce(
    (best, thread, index) => (order.indexOf(thread) < order.indexOf(circle[best] as string) ? index : best),
    0,
  );
  return [...circle.slice(first), ...circle.slice(0, first)].map((who) => ({
    who,
    wait: (opens[who] as Extract<Open, { kind: 'blocked' }>).wait,
  }));
}

export const noDeadlock: Property = {
  name: 'no-deadlock',
  says: 'no circle of debts among locks, fences, reclaim, notifiers, work items, counted resources, hardware and user space',
  sources: ['drivers/dma-buf/dma-fence.c', 'L-17', 'T-5', 'C1..C38'],
  waits(opens): Blame | undefined {
    const threads = stuck(opens);
    if (threads.size === 0) return undefined;
    const links = circleAmong(opens, threads);
    const on = [...new Set(links.map(({ wait }) => wait.on))].sort().join('+');
    const self =
      links.length === 1
        ? `${links[0]?.who} waits for itself`
        : `${links.map(({ who }) => who).join(', ')} wait for each other`;
    return {
      property: 'no-deadlock',
      kind: `circle of ${on}`,
      what: `${self}: nobody can go on`,
      links,
      rules: ['T-5'],
    };
  },
};
