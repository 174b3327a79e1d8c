/**
 * A predicted circle in the order of locks: can it become a deadlock? Every state of the design's own workload is asked,
 * up to a bound. When all were, and no deadlock is among the locks of the circle, guards forbid it within that bound.
 */
import { follow } from '../../../model/case.ts';
import { type Booted, start } from '../../../model/design.ts';
import { FENCE_MAP } from '../../../model/objects/context.ts';
import { groupOf } from '../../circle-of-debts.ts';
import { noDeadlock } from '../../no-deadlock.ts';
import type { Blame, Property } from '../../property.ts';
import type { Finding } from '../observer.ts';
import { sweep } from '../sweep.ts';
import { FENCE } from './features.ts';

export interface Deadlock {
  readonly group: string;
  /** Lock classes of what its threads wait for, where they are known. */
  readonly classes: readonly string[];
}
export interface Deadlocks {
  readonly states: number;
  readonly complete: boolean;
  readonly deadlocks: readonly Deadlock[];
}

/** Each circle of debts a finding of its own. */
const apart: Property = {
  name: noDeadlock.name,
  says: noDeadlock.says,
  sources: noDeadlock.sources,
  waits(opens): Blame | undefined {
    const blame = noDeadlock.waits?.(opens);
    return blame && { ...blame, kind: groupOf(blame) };
  },
};

/** All deadlocks of the design's own workload, by their circles. */
export function deadlocksOf(booted: Booted, maxStates: number): Deadlocks {
  const { states, complete, findings } = sweep(booted, [apart], { maxStates });
  const deadlocks = findings.map((finding) => ({ group: finding.blame.kind, classes: classesIn(booted, finding) }));
  return { states, complete, deadlocks };
}

/** The classes of what is waited for, as the steps on the way there said them. */
function classesIn(booted: Booted, { blame, schedule }: Finding): string[] {
  const kernel = start(booted, booted.workload);
  const classes = new Map<string, string>();
  for (const word of schedule)
    for (const fact of follow(booted.machine, kernel, word).facts)
      if (fact.kind === 'acquires') classes.set(fact.object, fact.class);
      else if (fact.kind === 'waitsForFence') classes.set(fact.fence, FENCE);
  return [
    ...new Set(blame.links.flatMap(({ wait }) => (wait.on === 'fence' ? FENCE : (classes.get(wait.object) ?? [])))),
  ].sort();
}

/** Is this a deadlock among the classes of that circle and nothing else, two of them where it has two? */
export function makesReal({ classes }: Pick<Deadlock, 'classes'>, circle: readonly string[]): boolean {
  return classes.length >= Math.min(2, circle.length) && classes.every((name) => isIn(name, circle));
}
/** Has it anything to do with the circle? */
export const touches = ({ classes }: Pick<Deadlock, 'classes'>, circle: readonly string[]): boolean =>
  classes.some((name) => isIn(name, circle));
const isIn = (name: string, circle: readonly string[]): boolean =>
  circle.some((each) => each === name || (name === FENCE && (each === FENCE_MAP || each.startsWith(`${FENCE} `))));
