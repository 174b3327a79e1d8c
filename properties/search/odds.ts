/**
 * The odds: along a schedule that breaks a property, how likely had the failure become after each step, if from there on
 * the scheduler picked at random; and which was the last step after which it could still be avoided?
 *
 * At random: any thread that can move, each as likely, and then any way it may go, each as likely; in patient time. Where
 * every state can be searched, the odds are the absorption probabilities of that Markov chain: what must happen and what
 * cannot are decided on the graph, the rest lies between two bounds that close on it (Haddad and Monmege, Interval
 * iteration algorithm for MDPs and IMDPs, 2018). Elsewhere walks are counted, and the odds are an interval around them.
 */
import { type Case, REBOOT, word } from '../../model/case.ts';
import { type Booted, start } from '../../model/design.ts';
import type { Fact, KernelState } from '../../model/machine.ts';
import { type Blame, type Property, signature } from '../property.ts';
import { type Graph, explore } from './explore.ts';
import { Judging, type Told } from './judging.ts';
import { Learned, type Turn, type Way, apply } from './learned.ts';
import { Random } from './random.ts';
import { grouped } from './storage/limits.ts';
import { kernelSystem } from './system.ts';

/** Between these lies the probability that the failure comes. */
export interface Likely {
  readonly low: number;
  readonly high: number;
}
export interface After extends Likely {
  /** After so many steps of the schedule; 0 is the start. */
  readonly step: number;
}
export type Odds =
  | {
      readonly kind: 'exact';
      readonly states: number;
      /** After every step. */
      readonly along: readonly After[];
      /** After so many steps some way on avoided the failure, and after more none does; nothing when none ever did. */
      readonly lastAvoidable?: number;
    }
  | {
      readonly kind: 'sampled';
      /** Walks from each of the steps. */
      readonly walks: number;
      /** Why not every state was searched. */
      readonly why: string;
      /** After steps spread over the schedule. */
      readonly along: readonly After[];
      /** A walk that went on from here ended without the failure: it was avoidable at least up to here. */
      readonly lastAvoidable?: number;
    }
  /** Chance has nothing to say about it. */
  | { readonly kind: 'none'; readonly why: string };

export interface OddsOptions {
  /** States that are searched before walks are counted instead. */
  readonly maxStates?: number;
  readonly patient?: boolean;
  /** Walks from each step that is looked at. */
  readonly walks?: number;
  readonly seed?: number;
}

const MOST_STATES = 200_000;
const WALKS = 200;
/** Steps of the schedule from which walks begin. */
const MOST_PLACES = 40;
/** Steps of one walk, before it is given up as undecided. */
const MOST_STEPS = 2_000;
/** The bounds are close enough, or have been moved so often. */
const CLOSE = 1e-9;
const MOST_ROUNDS = 20_000;
/** Of the normal distribution: 95 of 100 intervals hold the truth. */
const Z = 1.96;

/** The odds of this blame along the schedule, which ends where the property is broken. */
export function oddsAlong(
  booted: Booted,
  run: Case,
  props: readonly Property[],
  want: Pick<Blame, 'property' | 'kind'>,
  options: OddsOptions = {},
): Odds {
  const property = props.find(({ name }) => name === want.property);
  if (!property || run.schedule.includes(REBOOT) || property.concludes)
    return { kind: 'none', why: 'it is judged over all runs together, so there is no run that it strikes or spares' };
  if (run.loop && run.loop.length > 0)
    return {
      kind: 'none',
      why: 'what is wrong is that the steps can go round for ever, and no single step decides it',
    };
  const { maxStates = MOST_STATES, patient = true, walks = WALKS, seed = 1 } = options;
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, run.workload));
  const fails = new Fails(booted, learned, property, signature(want));
  const chain = new Chain(learned, from, fails, { maxStates, patient });
  if (chain.graph.exhausted) return exact(chain, run.schedule);
  const why = `there are more than ${grouped(maxStates)} states`;
  return sampled(new Walks({ learned, fails, patient, walks, seed }), from, run.schedule, why);
}

/**
 * How likely the failure is from where this schedule leads, by counting walks; nothing when chance has nothing to say about
 * such a failure, or when the schedule cannot be followed.
 */
export function likelyFrom(
  booted: Booted,
  run: Case,
  props: readonly Property[],
  want: Pick<Blame, 'property' | 'kind'>,
  { patient = true, walks = WALKS, seed = 1 }: Omit<OddsOptions, 'maxStates'> = {},
): (Likely & { readonly walks: number }) | undefined {
  const property = props.find(({ name }) => name === want.property);
  if (!property || property.concludes) return undefined;
  const learned = new Learned(kernelSystem(booted.machine));
  const words = learned.packing.pack(start(booted, run.workload));
  const all = new Walks({
    learned,
    fails: new Fails(booted, learned, property, signature(want)),
    patient,
    walks,
    seed,
  });
  if (!run.schedule.every((text) => all.follow(words, text))) return undefined;
  return { ...all.around(words).likely, walks };
}

/** Where the property is broken: in a state, or by a step. */
class Fails {
  private readonly judging: Judging;
  private readonly wanted: string;
  private hit = false;
  private readonly told: Told = {
    blame: (blame) => {
      this.hit ||= signature(blame) === this.wanted;
    },
    evidence: () => undefined,
    witness: () => undefined,
  };

  constructor({ machine }: Booted, learned: Learned, property: Property, wanted: string) {
    this.judging = new Judging(machine, learned, [property]);
    this.wanted = wanted;
  }
  in(turns: readonly Turn[], words: Uint16Array, at: number, resting: boolean): boolean {
    this.hit = false;
    this.judging.state(turns, words, at, resting, this.told);
    return this.hit;
  }
  by(way: Way, words: Uint16Array): boolean {
    this.hit = false;
    this.judging.step(way, words, this.told);
    return this.hit;
  }
}

/** The graph of all states as a chain: what fails, and how likely each edge is. */
class Chain {
  readonly graph: Graph<KernelState, Fact>;
  readonly badStates: Uint8Array;
  private readonly bad: number[] = [];
  private readonly badEdges: number[] = [];
  private edges = 0;

  constructor(
    learned: Learned,
    from: Uint16Array,
    fails: Fails,
    limits: { readonly maxStates: number; readonly patient: boolean },
  ) {
    this.graph = explore(learned, from, {
      ...limits,
      edges: true,
      state: (state, turns, words, at, resting) => {
        if (fails.in(turns, words, at, resting)) this.bad.push(state);
      },
      step: (way, _from, words) => {
        if (fails.by(way, words)) this.badEdges.push(this.edges);
        this.edges += 1;
      },
    });
    this.badStates = new Uint8Array(this.graph.expanded);
    for (const state of this.bad) this.badStates[state] = 1;
  }

  /** Of every edge: is it as likely as what, and does it fail? A failure ends the run, so a failed state leads nowhere. */
  weights(): { readonly weight: Float64Array; readonly fails: Uint8Array } {
    const { first, to, way, wayOf, expanded, transitions } = this.graph;
    const weight = new Float64Array(transitions);
    const fails = new Uint8Array(transitions);
    for (const edge of this.badEdges) fails[edge] = 1;
    const ways = new Int32Array(this.graph.learned.threads.length);
    for (let state = 0; state < expanded; state += 1) {
      const [begin, end] = [first[state] as number, first[state + 1] as number];
      let threads = 0;
      ways.fill(0);
      for (let edge = begin; edge < end; edge += 1) {
        const { threadAt } = way[wayOf[edge] as number] as Way;
        if (ways[threadAt] === 0) threads += 1;
        ways[threadAt] = (ways[threadAt] as number) + 1;
      }
      for (let edge = begin; edge < end; edge += 1) {
        const { threadAt } = way[wayOf[edge] as number] as Way;
        weight[edge] = 1 / threads / (ways[threadAt] as number);
        if (this.badStates[to[edge] as number]) fails[edge] = 1;
      }
    }
    return { weight, fails };
  }

  /** The states that these words lead through, as far as they can be followed. */
  along(schedule: readonly string[]): number[] {
    const { first, to, way, wayOf } = this.graph;
    const states = [0];
    for (const text of schedule) {
      const state = states.at(-1) as number;
      let next: number | undefined;
      for (let edge = first[state] as number; edge < (first[state + 1] as number) && next === undefined; edge += 1)
        if (word(way[wayOf[edge] as number] as Way) === text) next = to[edge];
      if (next === undefined) break;
      states.push(next);
    }
    return states;
  }
}

function exact(chain: Chain, schedule: readonly string[]): Odds {
  const { low, high, states } = solved(chain);
  const path = chain.along(schedule);
  // The last step is the failure itself, whatever state it leads to.
  const along = path.map((state, step): After => {
    const done = step === schedule.length;
    return { step, low: done ? 1 : (low[state] as number), high: done ? 1 : (high[state] as number) };
  });
  const lastAvoidable = along.findLastIndex((each) => each.low < 1);
  return { kind: 'exact', states, along, ...(lastAvoidable < 0 ? {} : { lastAvoidable }) };
}

/** Which states lead to a state of the set by edges that are not left out, going backwards. */
function leadingTo(
  { first, to, expanded }: Graph<KernelState, Fact>,
  among: Uint8Array,
  passes: (edge: number, from: number) => boolean,
): void {
  const counts = new Int32Array(expanded + 1);
  const each = (see: (edge: number, from: number) => void): void => {
    for (let state = 0; state < expanded; state += 1)
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
        if (passes(edge, state)) see(edge, state);
  };
  each((edge) => {
    counts[(to[edge] as number) + 1] = (counts[(to[edge] as number) + 1] as number) + 1;
  });
  for (let state = 0; state < expanded; state += 1)
    counts[state + 1] = (counts[state + 1] as number) + (counts[state] as number);
  const origins = new Int32Array(counts[expanded] as number);
  const fill = counts.slice(0, expanded);
  each((edge, from) => {
    const target = to[edge] as number;
    origins[fill[target] as number] = from;
    fill[target] = (fill[target] as number) + 1;
  });
  const open: number[] = [];
  for (let state = 0; state < expanded; state += 1) if (among[state]) open.push(state);
  for (let state = open.pop(); state !== undefined; state = open.pop())
    for (let at = counts[state] as number; at < (counts[state + 1] as number); at += 1) {
      const origin = origins[at] as number;
      if (among[origin]) continue;
      among[origin] = 1;
      open.push(origin);
    }
}

/** Bounds of every state: 0 and 1 are decided on the graph, and never by rounding. */
function solved(chain: Chain): { low: Float64Array; high: Float64Array; states: number } {
  const { graph, badStates } = chain;
  const { first, to, expanded } = graph;
  const { weight, fails } = chain.weights();
  const mayFail = badStates.slice();
  for (let state = 0; state < expanded; state += 1)
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
      if (fails[edge]) mayFail[state] = 1;
  leadingTo(graph, mayFail, (_edge, from) => !badStates[from]);
  const mayEscape = mayFail.map((may) => 1 - may);
  leadingTo(graph, mayEscape, (edge, from) => !fails[edge] && !badStates[from]);

  const low = new Float64Array(expanded);
  const high = new Float64Array(expanded);
  const unknown: number[] = [];
  for (let state = expanded - 1; state >= 0; state -= 1) {
    if (!mayEscape[state]) low[state] = high[state] = 1;
    else if (mayFail[state]) {
      high[state] = 1;
      unknown.push(state);
    }
  }
  for (let round = 0, gap = 1; gap > CLOSE && round < MOST_ROUNDS; round += 1) {
    gap = 0;
    for (const state of unknown) {
      let [below, above] = [0, 0];
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
        const chance = weight[edge] as number;
        below += chance * (fails[edge] ? 1 : (low[to[edge] as number] as number));
        above += chance * (fails[edge] ? 1 : (high[to[edge] as number] as number));
      }
      // It can be avoided, so it is not certain, however close.
      low[state] = Math.min(below, 1 - Number.EPSILON);
      high[state] = above;
      gap = Math.max(gap, above - below);
    }
  }
  return { low, high, states: expanded };
}

interface Walking {
  readonly learned: Learned;
  readonly fails: Fails;
  readonly patient: boolean;
  readonly walks: number;
  readonly seed: number;
}

/** Random walks, counted. */
class Walks {
  readonly count: number;
  private readonly walking: Walking;
  private readonly random: Random;
  private readonly turns: Turn[];
  private readonly words: Uint16Array;

  constructor(walking: Walking) {
    this.walking = walking;
    this.count = walking.walks;
    this.random = new Random(walking.seed);
    this.turns = walking.learned.threads.map(() => ({}) as Turn);
    this.words = new Uint16Array(walking.learned.packing.width);
  }

  /** The odds from here, and how many walks ended without the failure. Those that were given up count for either. */
  around(words: Uint16Array): { readonly likely: Likely; readonly escaped: number } {
    const all = { fail: 0, end: 0, 'given up': 0 };
    for (let walk = 0; walk < this.count; walk += 1) all[this.walk(words)] += 1;
    const { low } = wilson(all.fail, this.count);
    const { high } = wilson(this.count - all.end, this.count);
    return { likely: { low, high }, escaped: all.end };
  }
  private walk(from: Uint16Array): 'fail' | 'end' | 'given up' {
    const { words, random, walking } = this;
    words.set(from);
    for (let step = 0; step < MOST_STEPS; step += 1) {
      const able = this.look();
      if (able === 'fail') return 'fail';
      const turn = able[random.below(able.length)];
      if (!turn) return 'end';
      const way = turn[random.below(turn.length)] as Way;
      apply(way, words, 0);
      if (walking.fails.by(way, words)) return 'fail';
    }
    return 'given up';
  }
  /** The ways of every thread that can move, or that the state is a failure. */
  private look(): 'fail' | readonly (readonly Way[])[] {
    const { turns, words, walking } = this;
    const { learned, fails, patient } = walking;
    for (let thread = 0; thread < turns.length; thread += 1) turns[thread] = learned.turn(thread, words, 0);
    const owed = turns.some((turn) => turn.owed);
    if (fails.in(turns, words, 0, !owed && !turns.some((turn) => turn.time))) return 'fail';
    return turns
      .map(({ ways }) => (patient && owed ? ways.filter(({ nature }) => nature !== 'time') : ways))
      .filter(({ length }) => length > 0);
  }
  /** Take this word; false when it cannot be taken. */
  follow(words: Uint16Array, text: string): boolean {
    const { learned } = this.walking;
    for (let thread = 0; thread < learned.threads.length; thread += 1) {
      const way = learned.turn(thread, words, 0).ways.find((each) => word(each) === text);
      if (!way) continue;
      apply(way, words, 0);
      return true;
    }
    return false;
  }
}

function sampled(walks: Walks, from: Uint16Array, schedule: readonly string[], why: string): Odds {
  const places = new Set(
    Array.from({ length: MOST_PLACES }, (_, at) => Math.round((at * (schedule.length - 1)) / (MOST_PLACES - 1))),
  );
  const along: After[] = [];
  let lastAvoidable: number | undefined;
  const words = from.slice();
  for (let step = 0; step < schedule.length; step += 1) {
    if (places.has(step)) {
      const { likely, escaped } = walks.around(words);
      along.push({ step, ...likely });
      if (escaped > 0) lastAvoidable = step;
    }
    if (!walks.follow(words, schedule[step] as string)) break;
  }
  along.push({ step: schedule.length, low: 1, high: 1 });
  return { kind: 'sampled', walks: walks.count, why, along, ...(lastAvoidable === undefined ? {} : { lastAvoidable }) };
}

/** Wilson's interval of a proportion (Journal of the American Statistical Association 22, 1927). */
function wilson(hits: number, of: number): Likely {
  const share = hits / of;
  const scale = 1 + Z ** 2 / of;
  const middle = (share + Z ** 2 / (2 * of)) / scale;
  const reach = (Z / scale) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return { low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}
