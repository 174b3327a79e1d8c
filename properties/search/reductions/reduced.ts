/**
 * The reduced search: of the orders in which independent steps can be taken it follows some, and of the states on a
 * straight road it keeps the last. What it leaves out is derived from the learned footprints alone.
 *
 * Where a cluster of processes can be expanded alone (cluster.ts), the others wait. Let a path of the full graph lead
 * from a state that is expanded by its cluster to something of interest. If the cluster moves on the path, its first
 * step commutes with all before it: taking it first leads to the same end by one step less. If not, any step of the
 * cluster is independent of the whole path, and the path is still there after it. For the path to get shorter in the
 * end nobody may be put off for ever: from every state the search can get to one that is expanded in full. So
 * - every state at rest is found, and the search finds no other (at such an end the cluster, being owed, has moved);
 * - every way of every leaf is taken, with the same facts and the same judgements of them, and every leaf is met: so
 *   are all witnesses. A step that changes what is said of another depends on it (judgements.ts);
 * - every circle of debts is seen, in a state that differs at most in what processes outside of the circle do;
 * - there is an endless path if and only if the full graph has one. Fair circles are kept only where they are asked for,
 *   by another condition on who is put off (provisos.ts), and not among what stands for other states.
 *
 * With sleep sets a step that was followed from a state sleeps in what follows from there by other steps, as long as it
 * commutes with all of them: it leads where it led, in another order. A state that is come to again with fewer asleep is
 * expanded again. Take a state of the search and a path from it to something of interest such that no step that sleeps
 * there could be the first of it, nor be added to it without harm. The cluster moves on the path, or any step of it can
 * be added. Of its steps that could so be the first, take the one that the search follows first: it does not
 * sleep, and none that sleeps after it could be the first of what remains. So by induction over the search, which
 * comes to an end where nothing goes round, the path is followed to its end or past it (Godefroid's argument, with
 * clusters). At boot nobody sleeps. A reduced search without a circle leaves no place for longer paths than its own, so
 * the system has none either; where it finds one, the search is made again without sleep.
 *
 * Where members may be exchanged, a state counts as found when one of its orbit is. An exchange makes a path of a path and
 * keeps what is independent, so all of the above holds of orbits; who sleeps is renamed with the state. Not every image is
 * shown, for there may be n!, but one for every leaf, and for every step of which anything is said as far as its process and
 * the judge can tell it from others (equivariance.ts): so leaves, witnesses and what is said of steps are those of all
 * states. What rests is shown in every image. Of circles of debts is said what kind they are, and not whose.
 *
 * Clusters rest on what is known of others' futures, and leaves become known on the way. So the search goes round until
 * a round learns nothing new. Then nothing is unknown: take a shortest path from a state of the search to a leaf that
 * was never met. All before its end is known, so the argument above shortens it, unless the cluster stands still on the
 * path. Then the process that gets to that leaf asks something there to which the answer is not known to lead anywhere,
 * and all that it asks counts as read: if the cluster's step wrote any of it, the process would have joined the
 * cluster. So the step leaves it alone, and the leaf is as near as before after it, and never met there either.
 */
import { word } from '../../../model/case.ts';
import type { Graph } from '../explore.ts';
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { enlarged } from '../store.ts';
import { Clusters } from './cluster.ts';
import { Equivariance } from './equivariance.ts';
import { type Judge, Judgements } from './judgements.ts';
import { type FormOf, Kept } from './kept.ts';
import { Knowledge } from './knowledge.ts';
import { Links } from './links.ts';
import { FULLY, PARTLY, type Proviso, STEPWISE, keepsFairCircles, mayBeLeft } from './provisos.ts';
import type { Shifts } from './shift.ts';
import { type Image, type Renaming, type Symmetries, inverse } from './symmetry.ts';

export interface ReducedOptions<F, S extends object = object> {
  /** Stop after this many states. */
  readonly maxStates: number;
  readonly patient: boolean;
  /** Leave out orders of independent steps: where a cluster is enough, expand no more. */
  readonly clusters: boolean;
  /**
   * Do not keep states from which one step is followed: it rides with the step before. Without `clusters` this is all:
   * a step that nobody else can meddle with, and that can go one way only, is taken first.
   */
  readonly merges: boolean;
  /**
   * Leave out steps that were followed from an earlier state and commute with all that came since (sleep sets). Alone
   * that saves transitions, not states; with clusters the states too to which only such steps lead from a cluster.
   * A system that can go round is searched without.
   */
  readonly sleeps?: boolean;
  /**
   * Members that may be exchanged: of states that differ by that one is kept. Shown to visitors are besides: an image of
   * a state for every leaf that its images have, all images of a state at rest, and of a step with facts those that the
   * judge can tell apart; each with a number for `schedule` that knows which image it is.
   */
  readonly symmetries?: Symmetries<S, F>;
  /** Sequence numbers of which only the distance matters; with nothing else, see refuses.ts. */
  readonly shifts?: Shifts<S, F>;
  /** Circles of debts are looked for: see every one of them. */
  readonly debts: boolean;
  /**
   * Fair circles will be looked for: keep every one of them, with all of its edges (provisos.ts). Not together with
   * symmetries and shifts: a circle of what stands for others need not be one of states.
   */
  readonly circles?: boolean;
  /** Told before the first state of every round: forget what was seen in the round before. */
  readonly begins?: (schedule: (state: number) => string[]) => void;
  /** Look at a state, kept or not, and at what every process can do in it. */
  readonly state?: (state: number, turns: readonly Turn<F>[], words: Uint16Array, at: number, resting: boolean) => void;
  /** Look at a step; the state after it stands at `words[0]`. */
  readonly step?: (way: Way<F>, from: number, words: Uint16Array) => void;
  /** Whoever has something to say of steps with facts: every answer is to come up. */
  readonly judge?: Judge<F>;
  readonly progress?: (states: number, expanded: number, depth: number) => void;
  /** Nobody may be put off for ever; another one, or none, only where a test shows that it is needed. */
  readonly proviso?: typeof keepsFairCircles | undefined;
}
export interface Reduced<S extends object = object, F = unknown> {
  /** States kept in the last round. */
  readonly states: number;
  /** Of these, how many were expanded: all, unless a limit ended the search. */
  readonly expanded: number;
  /** States looked at in the last round, those on straight roads as often as they were passed. */
  readonly visited: number;
  readonly transitions: number;
  /** Steps of the longest way by which a state was found. */
  readonly depth: number;
  readonly resting: number;
  readonly exhausted: boolean;
  /** Does the system have an endless execution? Known only when exhausted. */
  readonly cyclic: boolean;
  readonly rounds: number;
  readonly bytes: number;
  schedule(state: number): string[];
  /** Where circles were asked for: the states and edges among which all fair ones are. */
  readonly graph?: Graph<S, F>;
}

/** Steps of a straight road after which a state is kept all the same: the road may be a circle. */
const LONGEST_ROAD = 64;
/** States of the first round, and how many times more those of each next one: most is learned from few. */
const FIRST_ROUND = 256;
const LONGER = 8;
const PROGRESS_EVERY = 4096;
/** Processes that fit into one number as a set. */
const MOST_SLEEPERS = 31;
const NOBODY = 0;
const NONE = -1;

export function reduced<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: ReducedOptions<F, S>,
): Reduced<S, F> {
  const knowledge = new Knowledge<S, F>(learned, options.patient);
  const judgements = options.judge && new Judgements(learned, options.judge);
  const { symmetries } = options;
  const version = (): number => knowledge.version + (judgements?.version ?? 0);
  if (options.shifts && (options.clusters || options.merges || options.sleeps || options.symmetries))
    throw new Error('numbers are shifted only where nothing else is left out');
  if (options.circles && (options.shifts || options.symmetries))
    throw new Error('circles of what stands for other states are not kept');
  let sleeps = options.sleeps === true && learned.threads.length <= MOST_SLEEPERS;
  const learns = options.clusters || options.merges || sleeps;
  for (let rounds = 1, limit = learns ? FIRST_ROUND : options.maxStates; ; rounds += 1) {
    const before = version();
    // Where nobody's future is asked for, or a process reads more widely than can be remembered: expand everything.
    const blind = learned.tooWide.length > 0 || !learns;
    const orbits = symmetries && orbitsOf(symmetries, from);
    const round = new Round(learned, knowledge, judgements, { ...options, sleeps: sleeps && !blind }, blind, orbits);
    options.begins?.((state) => round.schedule(state));
    const exhausted = round.run(from, Math.min(limit, options.maxStates));
    if (!exhausted && limit < options.maxStates) {
      limit *= LONGER;
      continue;
    }
    if (exhausted && sleeps && round.cyclic) {
      sleeps = false;
      continue;
    }
    if (exhausted && !blind && (version() !== before || learned.tooWide.length > 0)) continue;
    const { expanded, visited, transitions, depth, resting, cyclic, bytes } = round;
    return {
      states: round.count,
      expanded,
      visited,
      transitions,
      depth,
      resting,
      exhausted,
      cyclic,
      rounds,
      bytes,
      schedule: (state) => round.schedule(state),
      ...(options.circles && exhausted ? { graph: round.graph() } : {}),
    };
  }
}

/** Images of one state at rest, all of which are shown. */
const MOST_AT_REST = 5040;
interface Orbits<S extends object, F> {
  readonly symmetries: Symmetries<S, F>;
  readonly equivariance: Equivariance<S, F>;
}
function orbitsOf<S extends object, F>(symmetries: Symmetries<S, F>, from: Uint16Array): Orbits<S, F> {
  const equivariance = new Equivariance(symmetries);
  equivariance.checkStart(from);
  return { symmetries, equivariance };
}

class Round<S extends object, F> {
  expanded = 0;
  visited = 0;
  transitions = 0;
  depth = 0;
  resting = 0;
  cyclic = false;
  private readonly learned: Learned<S, F>;
  private readonly knowledge: Knowledge<S, F>;
  private readonly judgements: Judgements<S, F> | undefined;
  private readonly options: ReducedOptions<F, S>;
  private readonly blind: boolean;
  private readonly clusters: Clusters<S, F>;
  private readonly orbits: Orbits<S, F> | undefined;
  /** States and images that were shown as such: the state looked at, and what its members have become. */
  private readonly shown: { readonly number: number; readonly renaming: Renaming }[] = [];
  private readonly store: Kept;
  private readonly candidate: Uint16Array;
  // Every state looked at has a number here: where it was come from, and by which way.
  private parents: Int32Array = new Int32Array(1024);
  private ways: Int32Array = new Int32Array(1024);
  private depths: Int32Array = new Int32Array(1024);
  // By state kept: its number among those looked at, and how it was expanded.
  private numbers: Int32Array = new Int32Array(1024);
  private standing: Int32Array = new Int32Array(1024);
  /** By state kept: who sleeps in it, as a set of bits. */
  private sleepers: Int32Array = new Int32Array(1024);
  /** States that were expanded while somebody slept in them who is to be followed after all. */
  private readonly woken: number[] = [];
  /** The cluster that a state was found to have before it was kept. */
  private readonly planned: (readonly number[] | undefined)[] = [];
  private readonly links = new Links();
  /** Every image of every state at rest: two states of one orbit may have been kept, and are to be counted once. */
  private readonly atRest = new Set<string>();
  /** Who was passed over on the road that was gone last, as a set of bits. */
  private passed = NOBODY;
  /** The last state that was expanded. */
  private last = NONE;

  constructor(
    learned: Learned<S, F>,
    knowledge: Knowledge<S, F>,
    judgements: Judgements<S, F> | undefined,
    options: ReducedOptions<F, S>,
    blind: boolean,
    orbits: Orbits<S, F> | undefined,
  ) {
    this.learned = learned;
    this.knowledge = knowledge;
    this.judgements = judgements;
    this.blind = blind;
    this.options = options;
    this.clusters = new Clusters(knowledge, judgements, options.debts, (turn) => this.allowed(turn, true));
    const { width } = learned.packing;
    this.orbits = orbits;
    this.store = new Kept(learned.packing, formOf(orbits?.symmetries, options.shifts));
    this.candidate = new Uint16Array(width);
  }

  get count(): number {
    return this.store.count;
  }
  get bytes(): number {
    return this.store.bytes + 12 * this.parents.length + 12 * this.numbers.length + this.links.bytes;
  }

  /** @param shown the number of a state that was looked at, as it was shown: which image of it included */
  schedule(shown: number): string[] {
    const words: string[] = [];
    const image = shown % 2 === 1 ? this.shown[(shown - 1) / 2] : undefined;
    const renaming = image?.renaming;
    for (let at = image ? image.number : shown / 2; this.parents[at] !== NONE; at = this.parents[at] as number)
      words.push(this.wordOf(this.learned.way(this.ways[at] as number), renaming));
    return words.reverse();
  }

  private wordOf(way: Way<F>, renaming: Renaming | undefined): string {
    const symmetries = this.orbits?.symmetries;
    if (!symmetries || !renaming) return word(way);
    return word({ thread: symmetries.name(way.thread, renaming), outcome: symmetries.text(way.outcome, renaming) });
  }

  /** @returns whether every state of the reduced graph was expanded */
  run(from: Uint16Array, maxStates: number): boolean {
    const { packing } = this.learned;
    this.candidate.set(from);
    this.keep(
      this.store.add(from, packing.fingerprint(from, 'high'), packing.fingerprint(from, 'low')),
      this.look(NONE, 0),
      undefined,
      NOBODY,
    );
    for (;;) {
      for (; this.expanded < this.store.count; this.expanded += 1) {
        const { expanded } = this;
        if (this.store.count > maxStates) return false;
        if (this.options.progress && expanded % PROGRESS_EVERY === 0)
          this.options.progress(this.store.count, expanded, this.depth);
        this.expand(expanded);
      }
      const again = this.woken.pop();
      if (again !== undefined) {
        this.expand(again, false);
        continue;
      }
      const { cyclic, fully, stepwise } = this.putOff();
      this.cyclic = cyclic;
      // Where nothing goes round nobody is put off for ever; and if something does, the search is made without sleep.
      if (fully.length + stepwise.length === 0 || this.options.sleeps) return true;
      for (const state of fully) this.expandFully(state, FULLY);
      for (const state of stepwise) this.expandFully(state, STEPWISE);
    }
  }
  private putOff(): Proviso {
    const { links, store, standing, options } = this;
    const proviso = options.proviso ?? (options.circles ? keepsFairCircles : mayBeLeft);
    return proviso(links.all(store.count), standing, (states, processes) => this.openForTheSame(states, processes));
  }
  /** Those of these processes, a set of bits, that are open for the very same in all of these states. */
  private openForTheSame(states: Int32Array, processes: number): number {
    const { learned, store } = this;
    const { width } = learned.packing;
    const turnAt = (state: number, thread: number): number => learned.turn(thread, store.words, state * width).id;
    let same = NOBODY;
    for (let thread = 0; processes >>> thread !== 0 && thread < MOST_SLEEPERS; thread += 1) {
      if (((processes >>> thread) & 1) === 0) continue;
      const turn = turnAt(states[0] as number, thread);
      if (states.every((state) => turnAt(state, thread) === turn)) same |= 1 << thread;
    }
    return same;
  }

  /** The states, with the edges of those that were expanded in full, one step an edge. */
  graph(): Graph<S, F> {
    const { links, store, standing, learned, expanded, transitions, depth, resting } = this;
    const { first, to, ways } = links.all(store.count, (state) => standing[state] === STEPWISE);
    const way: Way<F>[] = [];
    const numbers = new Map<number, number>();
    const wayOf = ways.map((id) => {
      const known = numbers.get(id) ?? way.push(learned.way(id)) - 1;
      numbers.set(id, known);
      return known;
    });
    const schedule = (state: number): string[] => this.schedule((this.numbers[state] as number) * 2);
    const { states } = store;
    const more = { expanded, transitions, depth, resting, exhausted: true };
    return { learned, store: states, first, to, way, wayOf, schedule, ...more };
  }

  /** A number for a state that is looked at. */
  private look(parent: number, way: number): number {
    const number = this.visited;
    this.visited += 1;
    if (number >= this.parents.length) {
      this.parents = enlarged(this.parents);
      this.ways = enlarged(this.ways);
      this.depths = enlarged(this.depths);
    }
    this.parents[number] = parent;
    this.ways[number] = way;
    const depth = parent === NONE ? 0 : (this.depths[parent] as number) + 1;
    this.depths[number] = depth;
    this.depth = Math.max(this.depth, depth);
    return number;
  }
  private keep(state: number, number: number, cluster: readonly number[] | undefined, sleepers: number): void {
    if (state >= this.numbers.length) {
      this.numbers = enlarged(this.numbers);
      this.standing = enlarged(this.standing);
      this.sleepers = enlarged(this.sleepers);
    }
    this.numbers[state] = number;
    this.standing[state] = PARTLY;
    this.sleepers[state] = sleepers;
    this.planned[state] = cluster;
  }

  /** What every process can do in the state at `words[at]`. */
  private turnsOf(words: Uint16Array, at: number): Turn<F>[] {
    return this.learned.threads.map((_, thread) => {
      const turn = this.learned.turn(thread, words, at);
      if (!this.blind) this.knowledge.meet(thread, turn, words, at);
      return turn;
    });
  }
  /** Show a state, and as many of its images as have something to show. @throws when it has no images */
  private show(number: number, turns: readonly Turn<F>[], words: Uint16Array, at: number, rests: boolean): void {
    this.options.state?.(number * 2, turns, words, at, rests);
    this.options.shifts?.check(words, at, turns);
    if (!this.orbits) {
      if (rests) this.resting += 1;
      return;
    }
    const { symmetries, equivariance } = this.orbits;
    const showImage = (image: Image): void =>
      this.options.state?.(this.numberOf(number, image), this.turnsOf(image.words, 0), image.words, 0, rests);
    equivariance.check(words, at, turns, (image) => {
      if (isMoved(image)) showImage(image);
    });
    if (!rests) return;
    for (const image of symmetries.orbit(words, at, MOST_AT_REST)) {
      const text = image.words.join();
      if (!this.atRest.has(text) && isMoved(image)) showImage(image);
      this.atRest.add(text);
    }
    this.resting = this.atRest.size;
  }
  private numberOf(number: number, { renaming }: Image): number {
    return this.shown.push({ number, renaming }) * 2 - 1;
  }
  /** Show a step and, if anything is to be said of it, its images; the state after it stands in `candidate`. */
  private showStep(turn: Turn<F>, way: Way<F>, from: number, before: Uint16Array | undefined): void {
    const judgements = this.blind ? undefined : this.judgements;
    if (way.facts.length > 0) judgements?.meet(turn, way, this.candidate);
    this.options.step?.(way, from * 2, this.candidate);
    if (!this.orbits || !before) return;
    const { equivariance } = this.orbits;
    const slotsOf = (each: Way<F>, words: Uint16Array): Iterable<number> =>
      this.options.judge?.slots(each, words) ?? [];
    equivariance.look(turn, way, before, this.candidate, slotsOf, (image, its, theirs, after) => {
      if (!isMoved(image)) return;
      judgements?.meet(its, theirs, after);
      this.options.step?.(theirs, this.numberOf(from, image), after);
    });
  }
  private allowed(turn: Turn<F>, owed: boolean): number {
    if (!this.options.patient || !owed || !turn.time) return turn.ways.length;
    return turn.ways.filter(({ nature }) => nature !== 'time').length;
  }

  /** @param first it was not expanded before */
  private expand(state: number, first = true): void {
    const at = state * this.learned.packing.width;
    const { words } = this.store;
    const turns = this.turnsOf(words, at);
    const owed = turns.some((turn) => turn.owed);
    const number = this.numbers[state] as number;
    // Who sleeps was followed by what is owed only: time and choice are not.
    if (!owed) this.sleepers[state] = NOBODY;
    if (first) {
      const rests = !owed && turns.every((turn) => !turn.time);
      this.show(number, turns, words, at, rests);
      this.last = state;
    }
    const planned = this.planned[state];
    this.planned[state] = undefined;
    const cluster = planned ?? (owed ? this.clusterOf(turns, words, at) : undefined);
    if (!cluster) this.standing[state] = FULLY;
    this.follow(state, number, turns, cluster ?? [...turns.keys()], owed);
  }
  private expandFully(state: number, standing: typeof FULLY | typeof STEPWISE): void {
    const turns = this.turnsOf(this.store.words, state * this.learned.packing.width);
    this.standing[state] = standing;
    if (standing === STEPWISE) this.links.forget(state);
    const owed = turns.some((turn) => turn.owed);
    this.follow(state, this.numbers[state] as number, turns, [...turns.keys()], owed);
  }
  private follow(
    state: number,
    number: number,
    turns: readonly Turn<F>[],
    among: readonly number[],
    owed: boolean,
  ): void {
    let asleep = this.sleepers[state] as number;
    // In any order; with the last first more sleeps on most designs (docs/performance.md).
    const awake = among
      .filter((thread) => ((asleep >> thread) & 1) === 0 && this.allowed(turns[thread] as Turn<F>, owed))
      .sort((a, b) => b - a);
    const sleeps = this.options.sleeps === true && owed;
    const rides = this.options.merges && this.standing[state] !== STEPWISE;
    const { packing } = this.learned;
    const { width } = packing;
    const at = state * width;
    const high = packing.fingerprint(this.store.words.subarray(at, at + width), 'high');
    const low = packing.fingerprint(this.store.words.subarray(at, at + width), 'low');
    for (const thread of awake) {
      const turn = turns[thread] as Turn<F>;
      const still = this.stillAsleep(asleep, turn, turns);
      for (const way of turn.ways) {
        if (this.options.patient && owed && way.nature === 'time') continue;
        for (let slot = 0; slot < width; slot += 1) this.candidate[slot] = this.store.words[at + slot] as number;
        this.passed = this.passedOver(turns, thread, turns);
        const next = this.take(number, turns, way, high, low, still, rides);
        if (next !== NONE) this.links.add(state, next, way.id, this.passed);
      }
      if (sleeps) asleep |= 1 << thread;
    }
  }
  /** Who of these sleeps on when this turn is taken: those whose steps commute with it, for the judge too. */
  private stillAsleep(asleep: number, taken: Turn<F>, turns: readonly Turn<F>[]): number {
    let still = NOBODY;
    for (let thread = 0; asleep >> thread !== 0; thread += 1)
      if ((asleep >> thread) & 1 && this.commute(taken, turns[thread] as Turn<F>)) still |= 1 << thread;
    return still;
  }
  private commute(one: Turn<F>, other: Turn<F>): boolean {
    const { knowledge, judgements } = this;
    if (knowledge.clash(one, other)) return false;
    if (!judgements) return true;
    return !judgements.changes(one, knowledge.mover(other)) && !judgements.changes(other, knowledge.mover(one));
  }

  /**
   * Take a step from the state in `candidate`, and go on while there is one step to follow.
   * @param turns what every process can do there
   * @param rides keep no state from which one step is followed
   * @returns the state kept, or NONE when all that could be followed at the end sleeps
   */
  private take(
    from: number,
    turns: readonly Turn<F>[],
    way: Way<F>,
    high: number,
    low: number,
    sleepers: number,
    rides: boolean,
  ): number {
    let number = from;
    let lastTurn = turns[way.threadAt] as Turn<F>;
    let last = way;
    let highs = high;
    let lows = low;
    let asleep = sleepers;
    for (let length = 0; ; length += 1) {
      const came = this.orbits && last.facts.length > 0 ? this.candidate.slice() : undefined;
      apply(last, this.candidate, 0);
      highs ^= last.high;
      lows ^= last.low;
      this.transitions += 1;
      this.showStep(lastTurn, last, number, came);
      const before = this.store.count;
      const planned = rides && length < LONGEST_ROAD ? this.plan(highs, lows, asleep) : undefined;
      if (planned?.only) {
        number = this.look(number, last.id);
        this.show(number, planned.turns, this.candidate, 0, false);
        if (planned.only === 'nobody') return NONE;
        // As in `expand`: who sleeps was followed by what is owed only.
        asleep = planned.turns.some(({ owed }) => owed)
          ? this.stillAsleep(asleep, planned.only, planned.turns)
          : NOBODY;
        this.passed &= this.passedOver(planned.turns, planned.only.threadAt, turns);
        lastTurn = planned.only;
        last = this.onlyWay(planned.only);
        continue;
      }
      const next = this.store.add(this.candidate, highs, lows);
      if (next === before) this.keep(next, this.look(number, last.id), planned?.cluster, asleep);
      else this.wake(next, this.asleepThere(next, asleep));
      return next;
    }
  }
  /** Who is owed a turn, is open for the same as before, and is not the one who takes a step, as a set of bits. */
  private passedOver(turns: readonly Turn<F>[], mover: number, before: readonly Turn<F>[]): number {
    if (!this.options.circles) return NOBODY;
    let passed = NOBODY;
    for (let thread = 0; thread < turns.length && thread < MOST_SLEEPERS; thread += 1) {
      const turn = turns[thread] as Turn<F>;
      if (turn.owed && thread !== mover && turn.id === (before[thread] as Turn<F>).id) passed |= 1 << thread;
    }
    return passed;
  }
  /** Who of those asleep in `candidate` they are in the state of its orbit that was kept. */
  private asleepThere(state: number, asleep: number): number {
    if (!this.orbits || asleep === NOBODY) return asleep;
    const { symmetries, equivariance } = this.orbits;
    const { width } = this.learned.packing;
    const here = symmetries.canonical(this.candidate, 0);
    const back = inverse(symmetries.canonical(this.store.words, state * width));
    let theirs = NOBODY;
    for (let thread = 0; asleep >> thread !== 0; thread += 1)
      if ((asleep >> thread) & 1) theirs |= 1 << equivariance.process(equivariance.process(thread, here), back);
    return theirs;
  }
  /** This state is come to again: who slept in it only on the way of before is to be followed after all. */
  private wake(state: number, asleep: number): void {
    const before = this.sleepers[state] as number;
    if ((before & ~asleep) === 0) return;
    this.sleepers[state] = before & asleep;
    if (state <= this.last) this.woken.push(state);
  }
  /**
   * How the state in `candidate` would be expanded, if it is new and somebody is owed a turn in it; and who is the only
   * one to be followed then, if there is only one.
   */
  private plan(
    high: number,
    low: number,
    asleep: number,
  ):
    | {
        readonly turns: readonly Turn<F>[];
        readonly cluster: readonly number[] | undefined;
        readonly only: Turn<F> | 'nobody' | undefined;
      }
    | undefined {
    if (this.store.has(this.candidate, high, low)) return undefined;
    const turns = this.turnsOf(this.candidate, 0);
    if (!turns.some((turn) => turn.owed)) return this.planForTime(turns);
    const cluster = this.clusterOf(turns, this.candidate, 0);
    const movers = (cluster ?? [...turns.keys()])
      .filter((thread) => ((asleep >> thread) & 1) === 0)
      .map((thread) => turns[thread] as Turn<F>)
      .filter((turn) => this.allowed(turn, true) > 0);
    if (movers.length === 0) return { turns, cluster, only: 'nobody' };
    const [only, ...others] = movers as [Turn<F>, ...Turn<F>[]];
    return { turns, cluster, only: others.length === 0 && this.allowed(only, true) === 1 ? only : undefined };
  }
  /** Nobody is owed a turn: time goes on, and when it can bring one step only, and nothing else can come, that is followed. */
  private planForTime(turns: readonly Turn<F>[]): ReturnType<Round<S, F>['plan']> {
    const [only, ...others] = turns.filter(({ ways }) => ways.length > 0);
    return only?.time && only.ways.length === 1 && others.length === 0
      ? { turns, cluster: undefined, only }
      : undefined;
  }
  /** The processes that are enough to expand here, if anything less than all is. */
  private clusterOf(turns: readonly Turn<F>[], words: Uint16Array, at: number): readonly number[] | undefined {
    const { clusters, merges } = this.options;
    if (this.blind || (!clusters && !merges)) return undefined;
    const cluster = this.clusters.of(turns, words, at);
    if (clusters || !cluster) return cluster;
    const [only] = cluster;
    return cluster.length === 1 && this.allowed(turns[only as number] as Turn<F>, true) === 1 ? cluster : undefined;
  }
  private onlyWay(turn: Turn<F>): Way<F> {
    return (turn.ways.find(({ nature }) => !this.options.patient || nature !== 'time') ?? turn.ways[0]) as Way<F>;
  }
}

const isMoved = ({ renaming }: Image): boolean => renaming.some((to, from) => to !== from);

function formOf<S extends object, F>(
  symmetries: Symmetries<S, F> | undefined,
  shifts: Shifts<S, F> | undefined,
): FormOf | undefined {
  if (symmetries) return (words) => symmetries.apply(words, 0, symmetries.canonical(words, 0));
  return shifts && ((words) => shifts.form(words));
}
