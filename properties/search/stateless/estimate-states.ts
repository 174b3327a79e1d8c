/**
 * How many states can a system reach? Asked before a long run, and answered with error bars, wide ones: nothing seen in
 * a part of a state space bounds the rest of it.
 *
 * States are counted breadth first as far as a budget goes; if that is all of them, the answer is exact. Else the sizes
 * of the levels are continued in two ways that err to different sides, and the answer is their geometric mean. One
 * continues the growth from level to level, which falls off in a straight line on a logarithmic scale. The other knows
 * from random walks how deep the system goes, and lets the sizes fall to one state there, in a parabola on that scale;
 * where walks come back to states they say less of that, and may not take the answer far from the other.
 *
 * Capture and recapture (Chao1, ACE) over random walks was tried and left out: walks meet few states often, and with a
 * tenth of the states seen the best of them was within a factor of two in a quarter of the systems whose size is known,
 * what is done here in half of them (49 of 99).
 */
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { Random } from '../random.ts';
import { StateStore } from '../store.ts';
import type { Estimate } from './estimate-schedules.ts';

export interface StatesOptions {
  readonly patient: boolean;
  readonly seed: number;
  /** States to count before guessing. */
  readonly budget?: number;
}
export interface StatesEstimate extends Estimate {
  /** States that were counted. */
  readonly found: number;
}

const BUDGET = 20_000;
/** States below which a search under way is over before anybody asks how long it will take. */
const FORESEEN_FROM = 20_000;
const WALKS = 200;
/** Steps of a walk; from one that is longer nothing is learned about how deep the system goes. */
const MOST_STEPS = 1_000;
/** Levels below which there is no growth to speak of. */
const FEW_LEVELS = 4;
/** What the truth may be off by, either way. With a tenth of the states counted that held for 90 systems of 99. */
const OFF = 10;
/** How far apart the two ways may be where walks go in circles. */
const MOST_APART = 16;
/** Nobody waits for a search as large as this. */
const TOO_MANY = 1e15;

export function estimateStates<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  { patient, seed, budget = BUDGET }: StatesOptions,
): StatesEstimate {
  const { levels, found, steps, exhausted } = counted(learned, from, patient, budget);
  if (exhausted) return { estimate: found, low: found, high: found, found, steps, how: 'all states were counted' };
  const walks = deepest(learned, from, patient, new Random(seed));
  const how = `${levels.length} levels with ${found} states, continued`;
  return { ...guess(levels, found, walks), found, steps: steps + walks.steps, how };
}

/** The same for a search that is under way, from the levels that it has behind it. */
export class Foresight {
  private readonly levels = [1];
  private readonly walks: () => Walks;
  private walked: Walks | undefined;
  private known = 1;

  constructor(
    learned: () => Learned<object, unknown>,
    from: (learned: Learned<object, unknown>) => Uint16Array,
    { patient, seed }: StatesOptions,
  ) {
    this.walks = () => {
      const fresh = learned();
      return deepest(fresh, from(fresh), patient, new Random(seed));
    };
  }
  /**
   * Told after each level, and as often as one likes in between.
   * @param depth of the level that is being expanded; what was found when it changes are the states up to it
   */
  note(states: number, depth: number): void {
    if (depth !== this.levels.length) return;
    this.levels.push(states - this.known);
    this.known = states;
  }
  /** How many states there may be; nothing when too few levels are behind the search. */
  guess(): Pick<Estimate, 'estimate' | 'low' | 'high'> | undefined {
    if (this.known < FORESEEN_FROM || this.levels.length < FEW_LEVELS) return undefined;
    this.walked ??= this.walks();
    return guess(this.levels, this.known, this.walked);
  }
}

function guess(levels: readonly number[], found: number, walks: Walks): Pick<Estimate, 'estimate' | 'low' | 'high'> {
  if (levels.length < FEW_LEVELS) return { estimate: Infinity, low: found, high: Infinity };
  const growing = continued(levels);
  const deep = walks.depth === undefined ? growing : falling(levels, walks.depth);
  const estimate = Math.sqrt(growing * (walks.circles ? Math.min(deep, growing * MOST_APART) : deep));
  const unbounded = estimate >= TOO_MANY;
  return {
    estimate: unbounded ? Infinity : Math.round(Math.max(estimate, found)),
    low: Math.round(Math.max(found, unbounded ? 0 : estimate / OFF)),
    high: unbounded ? Infinity : Math.round(Math.max(found, estimate) * OFF),
  };
}

function waysOf<S extends object, F>(
  learned: Learned<S, F>,
  words: Uint16Array,
  at: number,
  patient: boolean,
): Way<F>[] {
  const turns: Turn<F>[] = learned.threads.map((_, process) => learned.turn(process, words, at));
  const held = patient && turns.some(({ owed }) => owed);
  return turns.flatMap(({ ways }) => (held ? ways.filter(({ nature }) => nature !== 'time') : ways));
}

/** Sizes of the levels that fit the budget, breadth first. */
function counted<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  patient: boolean,
  budget: number,
): { levels: number[]; found: number; steps: number; exhausted: boolean } {
  const { packing } = learned;
  const store = new StateStore(packing.width);
  const candidate = from.slice();
  const pairs = new Int32Array(candidate.buffer);
  store.add(pairs, packing.fingerprint(from, 'high'), packing.fingerprint(from, 'low'));
  const levels = [1];
  let steps = 0;
  let levelEnd = 1;
  for (let state = 0; state < store.count; state += 1) {
    if (state === levelEnd) {
      levels.push(store.count - levelEnd);
      levelEnd = store.count;
    }
    if (store.count > budget) return { levels, found: store.count, steps, exhausted: false };
    for (const way of waysOf(learned, store.words, state * packing.width, patient)) {
      store.copy(state, pairs);
      apply(way, candidate, 0);
      store.add(pairs, store.high(state) ^ way.high, store.low(state) ^ way.low);
      steps += 1;
    }
  }
  return { levels, found: store.count, steps, exhausted: true };
}

/** Steps of the longest of some random walks, and whether one came back to a state; no depth when one does not end. */
interface Walks {
  readonly depth: number | undefined;
  readonly circles: boolean;
  readonly steps: number;
}
function deepest<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  patient: boolean,
  random: Random,
): Walks {
  let depth = 0;
  let circles = false;
  let steps = 0;
  const words = from.slice();
  for (let walk = 0; walk < WALKS; walk += 1) {
    words.set(from);
    const met = new Set<string>();
    for (let at = 0; ; at += 1) {
      const state = words.join();
      if (at > MOST_STEPS) return { depth: undefined, circles, steps };
      circles ||= met.has(state);
      met.add(state);
      const ways = waysOf(learned, words, 0, patient);
      depth = Math.max(depth, at);
      if (ways.length === 0) break;
      apply(ways[random.below(ways.length)] as Way<F>, words, 0);
      steps += 1;
    }
  }
  return { depth, circles, steps };
}

/** The straight line that fits values at 0, 1, 2, … best. */
function line(values: readonly number[]): { at0: number; slope: number } {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  const slope =
    squares === 0 ? 0 : values.reduce((sum, value, at) => sum + (at - middle) * (value - mean), 0) / squares;
  return { at0: mean - slope * middle, slope };
}
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** All states, if growth falls on as it did over the last two thirds of the levels. */
export function continued(levels: readonly number[]): number {
  const growth = levels.slice(1).map((size, at) => Math.log(size / (levels[at] as number)));
  const last = growth.slice(-Math.max(3, Math.floor((levels.length * 2) / 3)));
  const { at0, slope } = line(last);
  const falls = Math.min(slope, -0.001);
  let total = sum(levels);
  let size = levels.at(-1) as number;
  for (let at = last.length; size >= 1 && total < TOO_MANY; at += 1) {
    size *= Math.exp(at0 + falls * at);
    total += size;
  }
  return Math.min(total, TOO_MANY);
}

/** All states, if the sizes of the levels go on as they did of late and bend down to one state at this depth. */
export function falling(levels: readonly number[], depth: number): number {
  const known = sum(levels);
  const left = depth - (levels.length - 1);
  if (left <= 0) return known * 1.1;
  const logs = levels.map((size) => Math.log(size));
  const last = logs.at(-1) as number;
  const recent = line(logs.slice(-Math.max(3, Math.floor(levels.length / 3) + 1))).slope;
  const slope = Math.min(recent, (2 * last) / (levels.length - 1));
  const bend = (-last - slope * left) / left ** 2;
  let total = known;
  for (let at = 1; at <= left && total < TOO_MANY; at += 1) total += Math.exp(last + slope * at + bend * at ** 2);
  return Math.min(total, TOO_MANY);
}
