/**
 * Breadth first, with any memory: the steps are those of expander.ts, how states are remembered is a matter of the
 * mode; limits end the search with a sentence, and between two levels it can be written down and later be gone on with.
 *
 * States are numbered in the order of discovery in every mode, so all exact modes agree in every number and every
 * schedule. In the mode `full` the edges can be kept, for whoever looks for circles.
 */
import { word } from '../../../model/case.ts';
import type { ExploreOptions } from '../explore.ts';
import { type Learned, type Turn, apply } from '../learned.ts';
import { Edges } from './edges.ts';
import { Expander, type Host } from './expander.ts';
import { type Found, found } from './found.ts';
import { FullSeen } from './full.ts';
import type { Layout } from './layout.ts';
import { type Limits, isNoMemory, noMemory, tooManyBytes, tooManyStates } from './limits.ts';
import { Origins } from './origins.ts';
import { Parents } from './parents.ts';
import { type Arrays, type Candidates, type Folding, type Mode, type Seen, type SeenOptions, newSeen } from './seen.ts';
import { type Values, learnValues, valuesOf } from './values.ts';
import { Words } from './words.ts';

export interface BreadthOptions<F> extends ExploreOptions<F>, Limits, SeenOptions {
  readonly mode: Mode;
  /**
   * Called between two levels. `snapshot` gives all it takes to go on from here, as views that must be used at once.
   * What is returned ends the search, as the reason why it is partial.
   */
  readonly between?: (snapshot: () => Snapshot, states: number) => string | undefined;
  /** Go on from here instead of from the start. @throws when it is not of this system */
  readonly resume?: Snapshot;
  /** What the visitor remembers, as JSON, for the snapshot; and the same handed back. */
  readonly remembers?: () => unknown;
  readonly recalls?: (remembered: unknown) => void;
}
export interface FoundFirst<S extends object, F> extends Found<S, F> {
  /** The words of a shortest way from the start to this state. */
  schedule(state: number): string[];
}
/** A search between two levels, as plain data. */
export interface Snapshot {
  readonly facts: {
    readonly states: number;
    readonly transitions: number;
    readonly depth: number;
    readonly resting: number;
    readonly base: number;
    readonly words: readonly string[];
    readonly values: Values;
    readonly visitor: unknown;
  };
  readonly arrays: Arrays;
}

/** Batches from one sign of life to the next. */
const PROGRESS_EVERY = 64;
/** Candidates that are asked about at once, about: what a limit has to leave room for. */
const AHEAD = 1024;
/** States of the level whose schedules are followed again when a snapshot is gone on with. */
const REPLAYED = 16;

/** @throws when `resume` does not fit this system, saying how */
export function breadthFirst<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: BreadthOptions<F>,
): FoundFirst<S, F> {
  const search = new Breadth(learned, options);
  options.begins?.((state) => search.schedule(state));
  let why = search.begin(from);
  while (why === undefined && search.level()) {
    options.progress?.(search.states, search.base, search.depth);
    why = options.between?.(() => search.snapshot(), search.states);
  }
  return search.found(why ?? search.why);
}

/** A limit that is met in the middle of learning. */
class LimitMet extends Error {}

class Breadth<S extends object, F> implements Host<F> {
  states = 0;
  why: string | undefined;
  depth = 0;
  readonly edges: Edges<S, F> | undefined;
  readonly state: Host<F>['state'];
  readonly step: Host<F>['step'];
  readonly silent: Host<F>['silent'];
  private readonly learned: Learned<S, F>;
  private readonly options: BreadthOptions<F>;
  private readonly seen: Seen;
  private readonly words = new Words();
  private readonly parents = new Parents();
  private readonly expander: Expander<S, F>;
  private looks = 0;
  /** Every step is asked about, so by which way a state was found does not matter. */
  private readonly all: boolean;
  private readonly origins: Origins<S, F>;
  private readonly fresh = new Int32Array(1);

  constructor(learned: Learned<S, F>, options: BreadthOptions<F>) {
    this.learned = learned;
    this.options = options;
    if (options.edges && options.mode !== 'full')
      throw new Error(`edges are kept in the mode full, not in the mode ${options.mode}`);
    this.seen = newSeen(options.mode, learned as unknown as Learned<object, unknown>, options);
    this.edges = options.edges ? new Edges(learned) : undefined;
    this.state = options.state;
    this.step = options.step;
    this.silent = options.silent;
    this.all = options.edges || options.step !== undefined || options.mode === 'bits';
    this.origins = new Origins(learned);
    this.expander = new Expander(learned, this, {
      patient: options.patient,
      all: this.all,
      keys: this.seen.folding ?? (options.mode === 'packed' ? 'states' : 'fingerprints'),
    });
  }

  get bytes(): number {
    const { seen, parents, expander, edges } = this;
    return seen.bytes + parents.bytes + expander.bytes + (edges?.bytes ?? 0);
  }
  /** The number of the first state of the level. */
  get base(): number {
    return this.expander.base;
  }
  get expanded(): number {
    return this.expander.expanded;
  }
  get transitions(): number {
    return this.expander.transitions;
  }
  get resting(): number {
    return this.expander.resting;
  }
  schedule(state: number): string[] {
    const texts: string[] = [];
    for (let at = state; at > 0; at = this.parents.parent(at - 1))
      texts.push(this.words.text(this.parents.word(at - 1)));
    return texts.reverse();
  }
  found(limit: string | undefined): FoundFirst<S, F> {
    const { learned, seen, edges } = this;
    const all: Found<S, F> = found(this, seen, limit);
    const schedule = (state: number): string[] => this.schedule(state);
    if (!edges) return { ...all, schedule };
    const { first, to, way, wayOf } = edges;
    const { states: store } = seen as FullSeen;
    return { ...all, schedule, graph: { ...all, learned, store, first, to, way, wayOf, schedule } };
  }

  /** @returns why it cannot even begin */
  begin(from: Uint16Array): string | undefined {
    const { options, expander } = this;
    if (options.resume) {
      this.restore(options.resume, from);
      return undefined;
    }
    return this.heeding(() => {
      const why = this.fits(1);
      if (why !== undefined) return why;
      const first = expander.entered(expander.enter(from, 0));
      this.seen.add(first, 1, this.fresh);
      this.states = 1;
      expander.levels.turn();
      return undefined;
    });
  }
  /** Expand one level; false when there is no further one, or a limit is met. */
  level(): boolean {
    const { expander } = this;
    this.why = this.heeding(() => {
      expander.expand();
      return this.why;
    });
    if (this.why !== undefined || expander.levels.next.length === 0) return false;
    this.depth += 1;
    expander.levels.turn();
    return true;
  }

  get stopped(): boolean {
    const { maxStates, progress } = this.options;
    this.looks += 1;
    if (progress && this.looks % PROGRESS_EVERY === 0) progress(this.states, this.expanded, this.depth);
    if (this.states > maxStates) this.why = tooManyStates(maxStates);
    return this.why !== undefined;
  }
  ask(candidates: Candidates, n: number, fresh: Int32Array): number {
    this.why = this.fits(n);
    if (this.why !== undefined) return -1;
    const { seen, edges, parents, words, learned } = this;
    const { base } = this.expander;
    const { froms, ways } = candidates;
    const news = seen.add(candidates, n, fresh);
    edges?.arrive((seen as FullSeen).numbers, n);
    for (let nth = 0; nth < news; nth += 1) {
      const each = fresh[nth] as number;
      parents.push(base + (froms[each] as number), words.of(ways[each] as number, learned));
    }
    this.states += news;
    return news;
  }
  rekey(from: Layout, to: Layout): Folding | undefined {
    if (!this.seen.rekey) return undefined;
    this.mayTake(this.seen.bytes);
    return this.seen.rekey(from, to);
  }
  meets(turn: Turn<F>, words: Uint16Array, at: number): void {
    if (!this.all) this.origins.meet(turn, words, at);
  }
  mayTake(more: number): void {
    const { maxBytes } = this.options;
    if (maxBytes !== undefined && this.bytes + more > maxBytes)
      throw new LimitMet(tooManyBytes(maxBytes, this.bytes, more));
  }

  /** Would adding so many states, and everything that goes with them, keep within the limit? */
  private fits(n: number): string | undefined {
    const { maxBytes } = this.options;
    if (maxBytes === undefined) return undefined;
    const growth = this.growth(n);
    return this.bytes + growth > maxBytes ? tooManyBytes(maxBytes, this.bytes, growth) : undefined;
  }
  private growth(n: number): number {
    const { parents, states, seen, expander, edges } = this;
    return seen.growth(n) + expander.levels.growth(n) + parents.growth(n) + (edges?.growth(states + n, n + AHEAD) ?? 0);
  }
  /** A limit that shows only when memory is asked for is a limit like any other. */
  private heeding(run: () => string | undefined): string | undefined {
    try {
      return run();
    } catch (error) {
      if (error instanceof LimitMet) return error.message;
      if (isNoMemory(error)) return noMemory(this.bytes);
      throw error;
    }
  }

  snapshot(): Snapshot {
    const { learned, states, parents, seen, words, edges, options, origins, expander } = this;
    const { transitions, depth, resting, base } = this;
    const { width } = learned.packing;
    const level = new Uint16Array((states - base) * width);
    const ids = new Int32Array(states - base);
    let nth = 0;
    expander.each((state, by) => {
      level.set(state, nth * width);
      ids[nth] = by;
      nth += 1;
    });
    return {
      facts: {
        states,
        transitions,
        depth,
        resting,
        base,
        words: words.texts,
        values: valuesOf(learned.packing),
        visitor: options.remembers?.() ?? null,
      },
      arrays: {
        level,
        most: expander.most,
        ...parents.save(),
        ...seen.save(),
        ...(this.all ? {} : origins.save(ids)),
        ...edges?.save(base),
      },
    };
  }

  private restore({ facts, arrays }: Snapshot, from: Uint16Array): void {
    const { learned, expander, seen, words, options, parents } = this;
    const { packing } = learned;
    const { level, most } = arrays;
    if (!level || level.length !== (facts.states - facts.base) * packing.width)
      throw new Error('its last level has another number of states than it says');
    if (most?.length !== packing.width) throw new Error('it does not say how large its numbers are');
    learnValues(packing, facts.values);
    words.restore(facts.words);
    expander.widen(most as Uint16Array);
    seen.restore(arrays);
    parents.restore(arrays);
    if (parents.count !== facts.states - 1) throw new Error('it does not say where every state comes from');
    const bys = this.all ? undefined : this.origins.restore(arrays);
    for (let at = 0; at < level.length; at += packing.width) {
      const by = bys?.[at / packing.width];
      expander.enter(level as Uint16Array, at, by !== undefined && by >= 0 ? by : undefined);
    }
    expander.levels.turn();
    expander.base = expander.expanded = facts.base;
    expander.transitions = facts.transitions;
    expander.resting = facts.resting;
    this.states = facts.states;
    this.depth = facts.depth;
    this.replay(from, level as Uint16Array);
    this.edges?.restore(arrays, (seen as FullSeen).states.words);
    options.recalls?.(facts.visitor);
  }
  /** Follow the schedules of some states of the level: a system whose steps have changed meanwhile does not get there. */
  private replay(from: Uint16Array, level: Uint16Array): void {
    const { learned } = this;
    const { base } = this.expander;
    const { width } = learned.packing;
    const states = level.length / width;
    const apart = Math.max(1, Math.floor(states / REPLAYED));
    for (let state = 0; state < states; state += apart) {
      const words = from.slice();
      for (const text of this.schedule(base + state)) {
        const way = learned.threads
          .flatMap((_, thread) => learned.turn(thread, words, 0).ways)
          .find((each) => word(each) === text);
        if (!way) throw new Error(`${text} cannot be taken any more on the way to state ${base + state}`);
        apply(way, words, 0);
      }
      if (words.some((id, slot) => id !== level[state * width + slot]))
        throw new Error(`the way to state ${base + state} leads elsewhere now`);
    }
  }
}
