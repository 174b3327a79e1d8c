/**
 * The plain sweep: breadth first on plain objects, states told apart by their canonical text, every property called
 * directly. Slow and obvious; it is the oracle that the learning sweep is compared with.
 */
import { choices, identity, opens } from '../../model/case.ts';
import { type Booted, type Workload, start } from '../../model/design.ts';
import { reduce } from '../../model/machine.ts';
import { waitWitness, witnessesOf } from '../judge.ts';
import { type Evidence, type Property, signature } from '../property.ts';

export interface PlainSweep {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly resting: number;
  /** Shortest length by signature; of remembering properties and circles only whether they convict (-1). */
  readonly found: ReadonlyMap<string, number>;
  readonly witnesses: ReadonlySet<string>;
}

export function plainSweep(
  booted: Booted,
  props: readonly Property[],
  workload: Workload = booted.workload,
  maxStates = 200_000,
): PlainSweep {
  const { machine } = booted;
  const first = start(booted, workload);
  const seen = new Map([[identity(first), 0]]);
  const queue = [first];
  const found = new Map<string, number>();
  const witnesses = new Set<string>();
  const evidence = new Map<Property, Map<string, Evidence>>();
  let transitions = 0;
  let resting = 0;
  let depth = 0;
  const say = (blame: ReturnType<NonNullable<Property['waits']>>, length: number): void => {
    if (blame && !found.has(signature(blame))) found.set(signature(blame), length);
  };
  for (const kernel of queue) {
    if (seen.size > maxStates)
      throw new Error(`the plain sweep is for small systems; this one has more than ${maxStates} states`);
    const at = seen.get(identity(kernel)) as number;
    depth = Math.max(depth, at);
    const now = opens(machine, kernel);
    for (const [thread, open] of Object.entries(now))
      if (open.kind === 'blocked') witnesses.add(waitWitness(thread, open.wait.object));
    for (const property of props) say(property.waits?.(now), at);
    const all = choices(machine, kernel);
    if (all.every(({ nature }) => nature === 'may')) {
      resting += 1;
      for (const property of props) say(property.rest?.(machine, kernel, now), at);
    }
    for (const choice of all) {
      const after = structuredClone(kernel);
      reduce(machine, after, choice);
      transitions += 1;
      const moment = { machine, kernel: after, thread: choice.thread, facts: after.facts };
      for (const name of witnessesOf(after.facts)) witnesses.add(name);
      for (const property of props) {
        if (property.hears && !after.facts.some(({ kind }) => property.hears?.includes(kind))) continue;
        say(property.step?.(moment), at + 1);
        const known = evidence.get(property) ?? new Map<string, Evidence>();
        evidence.set(property, known);
        for (const piece of property.gathers?.(moment) ?? []) if (!known.has(piece.key)) known.set(piece.key, piece);
      }
      const text = identity(after);
      if (seen.has(text)) continue;
      seen.set(text, at + 1);
      queue.push(after);
    }
  }
  for (const [property, known] of evidence) say(property.concludes?.(known)?.blame, -1);
  return { states: seen.size, transitions, depth, resting, found, witnesses };
}
