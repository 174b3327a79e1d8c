/**
 * The stateless search: the schedules of one workload, one of each sort, and no memory of states seen.
 *
 * Two neighbouring steps of different processes are independent when neither writes what the other reads; schedules
 * that differ only in the order of such steps are of one sort (A. Mazurkiewicz, 1977), and end in the same state. The
 * search takes one schedule of each sort: at every state it explores a source set of processes, found by looking for
 * races in the schedules already taken (P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas, POPL 2014), and sleep sets
 * (P. Godefroid, 1996) keep it from taking a sort twice; what was begun and turns out to be known is counted as blocked.
 *
 * Three things are unlike the published algorithm, because what a step reads here depends on the values it finds:
 *
 * - A race puts on the list somebody from the causal past of the later step. The paper accepts any initial step of what
 *   the earlier one did not cause, and needs for that (its property 7 of happens-before) that a third step cannot make
 *   the race vanish.
 * - A blocked process races too, with whoever wrote what keeps it blocked (C. Flanagan, P. Godefroid, POPL 2005). If
 *   it could not have moved before that write either, what else might have set it free is put on the list when it
 *   comes: see `watch`.
 * - A process with several ways to go takes all of them, and each sleeps on its own. Where only some sleep, everybody
 *   is explored.
 *
 * Where schedules end, and what is said of their steps, is the same for all schedules of a sort and thus decided. States
 * on the way are not: of those the search sees only some. With `rests`, a schedule may also end wherever nothing is owed.
 */
import { word } from '../../../model/case.ts';
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { Footprints, type Mask, type Stand, meets } from './footprints.ts';

export interface SchedulesOptions<F> {
  /** What time brings comes only when nothing that is owed can move. */
  readonly patient: boolean;
  /** Steps of one schedule; a longer one is cut off, and counted as such. */
  readonly maxDepth: number;
  /** Steps of the whole search. */
  readonly maxSteps: number;
  /** A schedule may also end where nothing that is owed can happen: every state at rest is then a final one. */
  readonly rests?: boolean;
  /** The slots on which depends what is to be said of a step; the state after it stands at `words[0]`. */
  readonly asks?: (way: Way<F>, words: Uint16Array) => readonly number[];
  /** Explore every process everywhere and leave the reduction to the sleep sets: the same sorts, more begun in vain. */
  readonly everybody?: boolean;
  /** Look at a state as it is reached, and at what everybody can do in it. */
  readonly state?: (turns: readonly Turn<F>[], words: Uint16Array, schedule: () => string[]) => void;
  /** Look at a step; the state after it stands at `words[0]`. */
  readonly step?: (way: Way<F>, words: Uint16Array, schedule: () => string[]) => void;
  /** Look at a state in which a schedule ends, each time one does. */
  readonly final?: (turns: readonly Turn<F>[], words: Uint16Array, schedule: () => string[]) => void;
}
export interface Schedules {
  /** Schedules taken to their end: one of each sort. */
  readonly executions: number;
  /** Schedules begun and given up, because all that was left to do had been done in another order. */
  readonly blocked: number;
  /** Schedules cut off. */
  readonly cut: number;
  readonly steps: number;
  /** Steps of the longest schedule. */
  readonly depth: number;
  /** Fingerprints of the states in which schedules end. */
  readonly finals: ReadonlySet<string>;
  /** One schedule of every sort was taken to its end. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly why?: string;
}

export function schedules<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: SchedulesOptions<F>,
): Schedules {
  const search = new ScheduleSearch(learned, options);
  search.run(from);
  const { executions, blocked, cut, steps, depth, finals, stopped } = search;
  const why = stopped ?? (cut > 0 ? `${cut} schedules were cut off at depth ${options.maxDepth}` : undefined);
  const complete = why === undefined;
  return { executions, blocked, cut, steps, depth, finals, complete, ...(complete ? {} : { why }) };
}

/** A state on the way of the schedule that is being taken, and the step taken from it. */
interface Moment<F> {
  readonly words: Uint16Array;
  readonly pairs: Int32Array;
  readonly stands: Stand<F>[];
  high: number;
  low: number;
  /** By process, a bit for each way that need not be taken from here: asleep on arrival, or taken since. */
  readonly done: Int32Array;
  readonly asleep: Int32Array;
  /** Processes to be explored from here. */
  readonly explore: Uint8Array;
  everybody: boolean;
  /** By process, where its last step before this state is; -1 for none. */
  readonly last: Int32Array;

  process: number;
  nth: number;
  reads: Mask;
  writes: Mask;
  /** By process, how many of its steps happened before this one, itself included. */
  readonly clock: Int32Array;
  /** Processes that could not freely move here, and whose turn this step changes. */
  readonly watched: number[];
}

const NOTHING: Mask = new Int32Array(0);
const ways = ({ ways: { length } }: Stand<unknown>): number => (1 << length) - 1;

export class ScheduleSearch<S extends object, F> {
  executions = 0;
  blocked = 0;
  cut = 0;
  steps = 0;
  depth = 0;
  stopped: string | undefined;
  readonly finals = new Set<string>();
  private readonly learned: Learned<S, F>;
  private readonly options: SchedulesOptions<F>;
  private readonly footprints: Footprints<S, F>;
  private readonly movers: number;
  private readonly moments: Moment<F>[] = [];
  private readonly races: number[] = [];
  private readonly past: number[] = [];
  /** By process, how many of its steps happened before the step just looked at. */
  readonly clock: Int32Array;

  constructor(learned: Learned<S, F>, options: SchedulesOptions<F>) {
    this.learned = learned;
    this.options = options;
    const { patient, rests = false, asks } = options;
    this.footprints = new Footprints(learned, { patient, rests, asks });
    this.movers = this.footprints.movers;
    this.clock = new Int32Array(this.movers);
  }

  run(from: Uint16Array): void {
    const { packing } = this.learned;
    const first = this.moment(0);
    first.words.set(from);
    first.high = packing.fingerprint(from, 'high');
    first.low = packing.fingerprint(from, 'low');
    first.asleep.fill(0);
    first.last.fill(-1);
    this.arrive(0);
    let depth = 0;
    while (!this.stopped) {
      const moment = this.moments[depth] as Moment<F>;
      const process = this.next(moment);
      if (process < 0) {
        if (depth === 0) return;
        depth -= 1;
        continue;
      }
      this.take(depth, process);
      depth += 1;
      this.arrive(depth);
    }
  }

  /** The next process to explore from here, or -1. */
  private next({ explore, stands, done }: Moment<F>): number {
    for (let process = 0; process < this.movers; process += 1)
      if (explore[process] === 1 && done[process] !== ways(stands[process] as Stand<F>)) return process;
    return -1;
  }

  /** Take the first way of this process that is not done, and stand in the state after it. */
  private take(depth: number, process: number): void {
    const here = this.moments[depth] as Moment<F>;
    const stand = here.stands[process] as Stand<F>;
    const nth = 31 - Math.clz32(~(here.done[process] as number) & -~(here.done[process] as number));
    const way = stand.ways[nth] as Way<F>;
    here.process = process;
    here.nth = nth;
    here.reads = stand.reads;
    here.writes = stand.writes[nth] as Mask;
    if (way.id >= 0) this.steps += 1;
    this.look(depth, process, here.reads, here.writes);
    here.clock.set(this.clock);
    here.clock[process] = (here.clock[process] as number) + 1;
    this.race(depth, process, nth);
    this.watch(depth, process, nth);

    const after = this.moment(depth + 1);
    after.pairs.set(here.pairs);
    apply(way, after.words, 0);
    after.high = here.high ^ way.high;
    after.low = here.low ^ way.low;
    after.last.set(here.last);
    after.last[process] = depth;
    this.carry(here, after);
    here.done[process] = (here.done[process] as number) | (1 << nth);
    here.watched.length = 0;
    for (let other = 0; other < this.movers; other += 1) {
      const theirs = here.stands[other] as Stand<F>;
      const free = theirs.ways.length > 0 && here.asleep[other] === 0;
      if (other !== process && !free && meets(here.writes, theirs.reads)) here.watched.push(other);
    }
    if (way.id >= 0) this.options.step?.(way, after.words, () => this.schedule(depth + 1));
  }

  /** Who sleeps in the state after a step: whoever did before, and is independent of it. */
  carry(here: Moment<F>, after: Moment<F>): void {
    for (let other = 0; other < this.movers; other += 1) {
      let still = 0;
      const done = here.done[other] as number;
      if (done !== 0 && other !== here.process) {
        const { reads, writes } = here.stands[other] as Stand<F>;
        if (!meets(here.writes, reads))
          for (let nth = 0; nth < writes.length; nth += 1)
            if ((done & (1 << nth)) !== 0 && !meets(writes[nth] as Mask, here.reads)) still |= 1 << nth;
      }
      after.asleep[other] = still;
    }
  }

  /** Look around in a state just reached, and choose whom to explore first. */
  private arrive(depth: number): void {
    const here = this.moments[depth] as Moment<F>;
    const { stands, asleep, done, explore } = here;
    this.footprints.look(here.words, stands);
    done.set(asleep);
    explore.fill(0);
    here.everybody = false;
    const before = this.moments[depth - 1];
    if (before?.process === this.learned.threads.length) {
      this.wake(before); // to rest is to leave undone whatever else was possible
      this.end(depth);
      return;
    }
    this.depth = Math.max(this.depth, depth);
    if (this.cyclic(depth)) return;
    this.options.state?.(this.turns(here), here.words, () => this.schedule(depth));
    let canMove = false;
    let isAwake = false;
    let first = -1;
    for (let process = 0; process < this.movers; process += 1) {
      const stand = stands[process] as Stand<F>;
      if (stand.ways.length === 0) {
        if (depth > 0) this.stuck(depth, process, stand);
        continue;
      }
      canMove = true;
      isAwake ||= asleep[process] !== ways(stand);
      if (first < 0 && asleep[process] === 0) first = process;
    }
    if (!canMove) this.end(depth);
    else if (!isAwake) this.blocked += 1;
    else if (depth >= this.options.maxDepth) this.cut += 1;
    else if (this.steps >= this.options.maxSteps) this.stopped = `stopped after ${this.steps} steps`;
    else if (first < 0 || this.options.everybody) this.wake(here);
    else explore[first] = 1;
  }
  private end(depth: number): void {
    const here = this.moments[depth] as Moment<F>;
    this.executions += 1;
    this.finals.add(`${(here.high >>> 0).toString(16)}:${(here.low >>> 0).toString(16)}`);
    this.options.final?.(this.turns(here), here.words, () => this.schedule(depth));
  }
  /** A workload that comes back to where it was has schedules without end. */
  private cyclic(depth: number): boolean {
    const here = this.moments[depth] as Moment<F>;
    for (let at = 0; at < depth; at += 1) {
      const before = this.moments[at] as Moment<F>;
      if (before.high !== here.high || before.low !== here.low) continue;
      if (!before.pairs.every((pair, slot) => pair === here.pairs[slot])) continue;
      this.stopped = `the workload can go in a circle: step ${depth} leads back to the state after step ${at}`;
      return true;
    }
    return false;
  }

  /** A process that cannot move races with whoever wrote what it reads; asked once after every change. */
  private stuck(depth: number, process: number, { reads }: Stand<F>): void {
    const step = this.moments[depth - 1] as Moment<F>;
    if (step.process !== process && !meets(step.writes, reads)) return;
    this.look(depth, process, reads, NOTHING);
    this.race(depth, process, -1);
  }

  /** What happened before a step with this footprint, into `clock`, and which steps it races with, into `races`. */
  private look(depth: number, process: number, reads: Mask, writes: Mask): void {
    const { moments, clock, races } = this;
    races.length = 0;
    const own = (moments[depth] as Moment<F>).last[process] as number;
    if (own < 0) clock.fill(0);
    else clock.set((moments[own] as Moment<F>).clock);
    for (let at = depth - 1; at >= 0; at -= 1) {
      const step = moments[at] as Moment<F>;
      if ((clock[step.process] as number) >= (step.clock[step.process] as number)) continue;
      if (!meets(step.writes, reads) && !meets(writes, step.reads)) continue;
      races.push(at); // nothing between the two: later steps were merged before
      for (let each = 0; each < clock.length; each += 1)
        if ((step.clock[each] as number) > (clock[each] as number)) clock[each] = step.clock[each] as number;
    }
  }
  /** The first steps of what led to the step just looked at, and did not come of the step at `at`; into `past`. */
  initials(at: number, depth: number): readonly number[] {
    const { moments, clock, past } = this;
    past.length = 0;
    const step = moments[at] as Moment<F>;
    const nth = step.clock[step.process] as number;
    for (let each = at + 1; each < depth; each += 1) {
      const other = moments[each] as Moment<F>;
      if ((clock[other.process] as number) < (other.clock[other.process] as number)) continue;
      if ((other.clock[step.process] as number) >= nth) continue;
      // A step in between that is no initial comes after one that is.
      const comesAfter = past.some((first) => {
        const before = moments[first] as Moment<F>;
        return (other.clock[before.process] as number) >= (before.clock[before.process] as number);
      });
      if (!comesAfter) past.push(each);
    }
    return past;
  }

  /** Put on the lists what it takes for the step just looked at to come before those it races with; -1 is no step. */
  race(depth: number, process: number, nth: number): void {
    for (const at of this.races) {
      const before = this.moments[at] as Moment<F>;
      if (before.everybody || this.shown(at, depth)) continue;
      const reads = (this.moments[depth] as Moment<F>).stands[process]?.reads as Mask;
      if (nth >= 0 && !meets(before.writes, reads)) this.add(before, process, nth);
      else this.addFree(before, process);
    }
  }
  /**
   * Two independent steps that both change what a third, unable to move, was waiting for: the first may hide from it
   * what the second does, so that the race of the two is seen nowhere else.
   */
  watch(depth: number, process: number, nth: number): void {
    const { reads, writes } = this.moments[depth] as Moment<F>;
    for (let at = depth - 1; at >= 0; at -= 1) {
      const before = this.moments[at] as Moment<F>;
      if (before.watched.length === 0 || before.everybody) continue;
      if ((this.clock[before.process] as number) >= (before.clock[before.process] as number)) continue;
      const after = this.moments[at + 1] as Moment<F>;
      const seen = before.watched.some((other) => {
        if (other === process) return false;
        const theirs = before.stands[other] as Stand<F>;
        if (!meets(writes, theirs.reads) && !meets(theirs.mayWrite, reads)) return false;
        return !meets(writes, (after.stands[other] as Stand<F>).reads);
      });
      if (seen && !this.shown(at, depth)) this.add(before, process, nth);
    }
  }

  /** Is there a step between the two that has to come first, and is it now on the list? */
  private shown(at: number, depth: number): boolean {
    const before = this.moments[at] as Moment<F>;
    const initials = this.initials(at, depth);
    if (initials.length === 0) return false;
    let fresh = -1;
    for (const each of initials) {
      const { process, nth } = this.moments[each] as Moment<F>;
      if (before.explore[process] === 1 || ((before.asleep[process] as number) & (1 << nth)) !== 0) return true;
      if (fresh < 0 && before.asleep[process] === 0) fresh = process;
    }
    if (fresh < 0) this.wake(before);
    else before.explore[fresh] = 1;
    return true;
  }
  /** Explore a process whose step was possible in this state, the same way. */
  private add(before: Moment<F>, process: number, nth: number): void {
    if (((before.asleep[process] as number) & (1 << nth)) !== 0) return;
    if (before.asleep[process] === 0) before.explore[process] = 1;
    else this.wake(before);
  }
  /** Explore a process, if it could move in this state. */
  private addFree(before: Moment<F>, process: number): void {
    const stand = before.stands[process] as Stand<F>;
    if (stand.ways.length === 0 || before.asleep[process] === ways(stand)) return;
    if (before.asleep[process] === 0) before.explore[process] = 1;
    else this.wake(before);
  }
  wake(moment: Moment<F>): void {
    moment.everybody = true;
    moment.explore.fill(1);
  }

  private schedule(depth: number): string[] {
    return this.moments
      .slice(0, depth)
      .map(({ stands, process, nth }) => stands[process]?.ways[nth] as Way<F>)
      .filter(({ id }) => id >= 0)
      .map(word);
  }
  private turns({ stands }: Moment<F>): Turn<F>[] {
    return this.learned.threads.map((_, process) => (stands[process] as Stand<F>).turn);
  }
  private moment(depth: number): Moment<F> {
    const pairs = new Int32Array(this.learned.packing.width / 2);
    return (this.moments[depth] ??= {
      pairs,
      words: new Uint16Array(pairs.buffer),
      stands: [],
      high: 0,
      low: 0,
      done: new Int32Array(this.movers),
      asleep: new Int32Array(this.movers),
      explore: new Uint8Array(this.movers),
      everybody: false,
      last: new Int32Array(this.movers),
      process: -1,
      nth: -1,
      reads: NOTHING,
      writes: NOTHING,
      clock: new Int32Array(this.movers),
      watched: [],
    });
  }
}
