/**
 * A breadth-first search by several workers, level by level: they expand their shares, then shares are made equal.
 * Between two levels the table grows, if it must, each worker moving a part of it.
 *
 * The answer is the same for any number of workers. Which schedule leads to what was noticed is found afterwards, by a
 * search in one thread up to that depth, so it does not depend on who saw what first either.
 */
import { word } from '../../../model/case.ts';
import { type Learned, apply } from '../learned.ts';
import { breadthFirst } from '../storage/breadth.ts';
import type { Found } from '../storage/found.ts';
import { type Limits, tooManyBytes, tooManyStates } from '../storage/limits.ts';
import { omission, odds } from '../storage/fingerprint-seen.ts';
import { type Expanded, type Sight, type Worker, smaller } from './member.ts';
import { SharedTable, bytesOfTable, capacityFor, newHeader } from './shared-table.ts';

/** A worker that answers later. */
export type Hand = { readonly [K in keyof Worker]: (...args: Parameters<Worker[K]>) => Promise<ReturnType<Worker[K]>> };
export type DeepSight = Sight & { /** Steps from the start to the state. */ readonly depth: number };
export interface Together extends Omit<Found<object, never>, 'graph'> {
  /** The first sight of each name, in the order of depth, then of names. */
  readonly sights: readonly DeepSight[];
  /** The most combinations that one worker learned, and what read too widely to be learned in full. */
  readonly learned: number;
  readonly tooWide: readonly string[];
}
export interface TogetherOptions extends Limits {
  /** States to make room for at once. */
  readonly expect?: number;
  /** Called after each level, and now and then in one, with the number of states found and expanded and the level. */
  readonly progress?: (states: number, expanded: number, depth: number) => void;
}

/** How often it is said how far it is, in the middle of a level. */
const REPORT_MS = 200;
/** Smaller levels are not worth sharing. */
const WORTH_SHARING = 2048;
/** States of the next level that a state of this one is expected to bring; the table can grow in the middle as well. */
const EXPECTED = 2;

/** A worker that ends before its time ends the search, with what was counted until then. */
export async function together(hands: readonly Hand[], options: TogetherOptions): Promise<Together> {
  const search = new Common(hands, options);
  const reporting = setInterval(() => search.report(), REPORT_MS);
  let why: string | undefined;
  try {
    why = await search.run();
  } catch (error) {
    search.stop();
    why = (error as Error).message;
  } finally {
    clearInterval(reporting);
  }
  return search.found(why);
}

class Common {
  private readonly hands: readonly Hand[];
  private readonly options: TogetherOptions;
  private readonly header: SharedArrayBuffer;
  private readonly table: SharedTable;
  private memory: SharedArrayBuffer | undefined;
  private capacity = 0;
  private readonly bytes: number[];
  private depth = 0;
  private expanded = 0;
  private transitions = 0;
  private resting = 0;
  private readonly sights = new Map<string, DeepSight>();
  private learned = 0;
  private readonly tooWide = new Set<string>();

  constructor(hands: readonly Hand[], options: TogetherOptions) {
    this.hands = hands;
    this.options = options;
    this.header = newHeader(options.maxStates);
    this.table = new SharedTable(this.header);
    this.bytes = hands.map(() => 0);
  }

  report(): void {
    this.options.progress?.(this.table.count, this.expanded, this.depth);
  }
  /** Whoever is still at work comes to an end soon. */
  stop(): void {
    this.table.stop();
  }
  found(why: string | undefined): Together {
    const { depth, expanded, transitions, resting } = this;
    const states = this.table.count;
    return {
      states,
      expanded,
      transitions,
      depth,
      resting,
      bytes: this.held,
      exhausted: why === undefined,
      ...(why === undefined ? {} : { why }),
      doubt: {
        exhaustive: true,
        says: `a state was left out with a probability of at most ${odds(omission(states))}`,
      },
      sights: [...this.sights.values()].sort((a, b) => a.depth - b.depth || (a.name < b.name ? -1 : 1)),
      learned: this.learned,
      tooWide: [...this.tooWide].sort(),
    };
  }

  /** @returns what ended it before it was done */
  async run(): Promise<string | undefined> {
    const { hands, options } = this;
    const tooLarge = await this.grow(options.expect ?? 0);
    if (tooLarge !== undefined) return tooLarge;
    await hands[0]?.begin();
    for (let sizes: number[] = hands.map((_, nth) => (nth === 0 ? 1 : 0)); ; this.depth += 1) {
      this.report();
      const level = sizes.reduce((sum, size) => sum + size, 0);
      const why = this.beyond() ?? (await this.grow(this.table.count + level * EXPECTED)) ?? (await this.expand());
      if (why !== undefined) return why;
      sizes = await Promise.all(hands.map((hand) => hand.turn()));
      if (sizes.every((size) => size === 0)) return undefined;
      await this.share(sizes);
    }
  }

  private get held(): number {
    return (this.memory?.byteLength ?? 0) + this.bytes.reduce((sum, bytes) => sum + bytes, 0);
  }
  private beyond(): string | undefined {
    const { maxStates, maxBytes } = this.options;
    if (this.table.count > maxStates) return tooManyStates(maxStates);
    return maxBytes !== undefined && this.held > maxBytes ? tooManyBytes(maxBytes, this.held, 0) : undefined;
  }

  /** Everybody expands its share; when the table is full in the middle of it, it grows, and they go on. */
  private async expand(): Promise<string | undefined> {
    const known = [...this.sights.keys()];
    const seen = new Map<string, Sight>();
    for (let busy = [...this.hands.keys()]; busy.length > 0; ) {
      const done = await Promise.all(busy.map((nth) => (this.hands[nth] as Hand).expand(known)));
      done.forEach((each, at) => this.count(each, busy[at] as number, seen));
      busy = busy.filter((_, at) => done[at]?.full);
      const why = busy.length > 0 ? (this.beyond() ?? (await this.grow(this.table.count * 2))) : undefined;
      if (why !== undefined) return why;
    }
    for (const sight of seen.values()) this.sights.set(sight.name, { ...sight, depth: this.depth });
    return undefined;
  }
  private count(done: Expanded, nth: number, seen: Map<string, Sight>): void {
    this.expanded += done.expanded;
    this.transitions += done.transitions;
    this.resting += done.resting;
    this.bytes[nth] = done.bytes;
    this.learned = Math.max(this.learned, done.learned);
    for (const name of done.tooWide) this.tooWide.add(name);
    for (const sight of done.sights) {
      const other = seen.get(sight.name);
      seen.set(sight.name, other ? smaller(other, sight) : sight);
    }
  }

  /** Make room for so many fingerprints. @returns the limit that stands against it */
  private async grow(count: number): Promise<string | undefined> {
    const capacity = capacityFor(count);
    if (capacity <= this.capacity) return undefined;
    const { hands, header, memory: old, capacity: before } = this;
    const { maxBytes } = this.options;
    const growth = bytesOfTable(capacity);
    if (maxBytes !== undefined && this.held + growth > maxBytes) return tooManyBytes(maxBytes, this.held, growth);
    const memory = new SharedArrayBuffer(growth);
    this.memory = memory;
    this.capacity = capacity;
    await Promise.all(hands.map((hand) => hand.use(memory, header)));
    if (!old) return undefined;
    const part = (nth: number): number => Math.floor((before * nth) / hands.length);
    await Promise.all(hands.map((hand, nth) => hand.move(old, part(nth), part(nth + 1))));
    return undefined;
  }

  /** From whoever has more than a fair share to whoever has less. */
  private async share(sizes: number[]): Promise<void> {
    const { hands } = this;
    const all = sizes.reduce((sum, size) => sum + size, 0);
    if (all < WORTH_SHARING) return;
    const fair = Math.ceil(all / hands.length);
    for (let poor = 0; poor < hands.length; poor += 1)
      for (let rich = 0; rich < hands.length; rich += 1) {
        const much = Math.min((sizes[rich] as number) - fair, fair - (sizes[poor] as number));
        if (much < fair / 16) continue;
        await (hands[poor] as Hand).take(await (hands[rich] as Hand).give(much, rich, poor));
        sizes[rich] = (sizes[rich] as number) - much;
        sizes[poor] = (sizes[poor] as number) + much;
      }
  }
}

/**
 * Schedules to what was noticed, by name: each of the shortest there is, and the same whoever noticed it.
 * @param learned of the same system, for a search in this thread
 */
export function trails<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  patient: boolean,
  sights: readonly DeepSight[],
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const deepest = Math.max(...sights.map(({ depth }) => depth));
  let schedule: (state: number) => string[] = () => [];
  let depth = 0;
  const look = (state: number, words: Uint16Array): void => {
    const high = learned.packing.fingerprint(words, 'high');
    const low = learned.packing.fingerprint(words, 'low');
    for (const sight of sights)
      if (sight.depth === depth && sight.high === high && sight.low === low)
        found.set(sight.name, [...schedule(state), ...(sight.word === undefined ? [] : [sight.word])]);
  };
  if (sights.length > 0)
    breadthFirst(learned, from, {
      mode: 'fingerprints',
      maxStates: Number.MAX_SAFE_INTEGER,
      patient,
      edges: false,
      begins: (shortest) => (schedule = shortest),
      state: (state, _turns, words, at) => {
        if (sights.some((sight) => sight.depth === depth)) look(state, words.subarray(at, at + learned.packing.width));
      },
      between: () => {
        depth += 1;
        return depth > deepest ? 'everything was found' : undefined;
      },
    });
  const lost = sights.find(({ name }) => !found.has(name));
  if (lost) throw new Error(`the search in one thread does not come to what the others noticed: ${lost.name}`);
  return found;
}

/** Follow words by what was learned. @returns the state after them, or nothing when one cannot be taken */
export function follow<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  words: readonly string[],
): Uint16Array | undefined {
  const state = from.slice();
  for (const text of words) {
    const way = learned.threads
      .flatMap((_, thread) => learned.turn(thread, state, 0).ways)
      .find((each) => word(each) === text);
    if (!way) return undefined;
    apply(way, state, 0);
  }
  return state;
}
