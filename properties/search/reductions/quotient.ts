/**
 * Every state that a system can reach, up to the exchange of interchangeable members: breadth first, one state of each
 * orbit.
 *
 * A state is asked for by its canonical form, but the search goes on from the state itself, so every schedule is one
 * that the system really takes. Fair circles are not looked for: a circle of orbits need not be one of states.
 */
import { word } from '../../../model/case.ts';
import type { ExploreOptions } from '../explore.ts';
import { type Turn, type Way, apply } from '../learned.ts';
import { StateStore, enlarged } from '../store.ts';
import { Equivariance } from './equivariance.ts';
import type { Symmetries } from './symmetry.ts';

export interface Quotient {
  /** Orbits found. */
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Orbits at rest. */
  readonly resting: number;
  readonly exhausted: boolean;
  readonly bytes: number;
  schedule(state: number): string[];
}

/** @throws when the members are not interchangeable, naming the process that tells them apart */
export function quotient<S extends object, F>(
  symmetries: Symmetries<S, F>,
  from: Uint16Array,
  options: Omit<ExploreOptions<F>, 'edges'>,
): Quotient {
  const { learned } = symmetries;
  const { packing, threads } = learned;
  const { width } = packing;
  const equivariance = new Equivariance(symmetries);
  equivariance.checkStart(from);
  const store = new StateStore(width);
  let originals = new Uint16Array(width * 1024);
  let parents: Int32Array = new Int32Array(1024);
  let parentWays: Int32Array = new Int32Array(1024);
  const schedule = (state: number): string[] => {
    const words: string[] = [];
    for (let at = state; at > 0; at = parents[at] as number) words.push(word(learned.way(parentWays[at] as number)));
    return words.reverse();
  };
  options.begins?.(schedule);

  const candidate = from.slice();
  const form = new Uint16Array(width);
  const pairs = new Int32Array(form.buffer);
  const add = (): number => {
    form.set(symmetries.apply(candidate, 0, symmetries.canonical(candidate, 0)));
    const before = store.count;
    const state = store.add(pairs, packing.fingerprint(form, 'high'), packing.fingerprint(form, 'low'));
    if (store.count === before) return state;
    if (store.count * width > originals.length) {
      const larger = new Uint16Array(originals.length * 2);
      larger.set(originals);
      originals = larger;
    }
    originals.set(candidate, state * width);
    return state;
  };

  add();
  const turns: Turn<F>[] = threads.map(() => ({}) as Turn<F>);
  let expanded = 0;
  let transitions = 0;
  let resting = 0;
  let depth = 0;
  let levelEnd = 1;
  for (; expanded < store.count && store.count <= options.maxStates; expanded += 1) {
    if (expanded === levelEnd) {
      depth += 1;
      levelEnd = store.count;
    }
    const at = expanded * width;
    let owed = false;
    let time = false;
    for (let thread = 0; thread < threads.length; thread += 1) {
      const turn = learned.turn(thread, originals, at);
      turns[thread] = turn;
      owed ||= turn.owed;
      time ||= turn.time;
    }
    equivariance.check(originals, at, turns);
    const rests = !owed && !time;
    if (rests) resting += 1;
    options.state?.(expanded, turns, originals, at, rests);
    for (const turn of turns)
      for (const way of turn.ways) {
        if (options.patient && owed && way.nature === 'time') continue;
        take(way, at);
      }
  }
  function take(way: Way<F>, at: number): void {
    for (let slot = 0; slot < width; slot += 1) candidate[slot] = originals[at + slot] as number;
    apply(way, candidate, 0);
    transitions += 1;
    options.step?.(way, expanded, candidate);
    const before = store.count;
    const next = add();
    if (next !== before) return;
    if (next >= parents.length) {
      parents = enlarged(parents);
      parentWays = enlarged(parentWays);
    }
    parents[next] = expanded;
    parentWays[next] = way.id;
  }
  const exhausted = expanded === store.count;
  const bytes = store.bytes + originals.byteLength + parents.byteLength * 2;
  return { states: store.count, transitions, depth, resting, exhausted, bytes, schedule };
}
