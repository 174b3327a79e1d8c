/**
 * The nearest fair circle with a verdict: the fewest words to a state and round from it, whatever the processes call.
 *
 * A circle can begin in any of its states, so it is enough to look at those that begin in the one nearest to boot. From
 * each state in turn, nearest first, the walks back to it are searched breadth first together with what fairness and
 * the accusation need to know of a walk: who was owed a turn all the way, who was offered a lock, who moved, who got
 * something done, what went its tamest way (lasso.ts). Walks that cannot be back in time are not gone on with. A process
 * that begins a call on the way has one call less to make and is never back.
 */
import type { KernelState } from '../../model/machine.ts';
import { isPromised } from '../../model/objects/fence.ts';
import { getsSomethingDone, underWay } from '../lasso.ts';
import { signature } from '../property.ts';
import { AnyCalls, type Path, type Taken } from './any-calls.ts';
import { Learned, type Turn, type Way } from './learned.ts';
import type { Learner } from './learner.ts';
import type { Nearest, NearestRequest } from './nearest.ts';
import { kernelSystem } from './system.ts';

export interface Lasso extends Path {
  readonly loop: readonly string[];
}
/** Threads, fences and lines are kept as the bits of one number. */
const MOST_BITS = 31;
/** Edges are objects here: more states than this would take gigabytes. */
const MOST_STATES = 200_000;

interface Edge {
  readonly to: number;
  readonly word: string;
  readonly moves: number;
  readonly done: number;
  /** Where an owed step stood, or nothing, and whether it goes its tamest way. */
  readonly line: string;
  readonly tamest: boolean;
}
/** What is to be said of one state. */
interface Standing {
  readonly always: number;
  readonly offered: number;
  readonly strong: number;
  readonly working: number;
  readonly pending: number;
}
/** What is to be said of a walk. */
interface Walked extends Standing {
  readonly moved: number;
  readonly done: number;
  readonly wild: number;
  readonly tame: number;
}
/** Where a walk has come to, and how. */
interface Place {
  readonly state: number;
  readonly walked: Walked;
  readonly from: Place | undefined;
  readonly word: string;
}
const ALL = 0x7fffffff;
const NOTHING: Walked = {
  ...{ always: ALL, offered: 0, strong: 0, working: ALL, pending: ALL },
  ...{ moved: 0, done: 0, wild: 0, tame: 0 },
};

/** A shortest lasso, or how far there is none: up to the bound, unless the states or walks ran out first. */
export function nearestCircle(request: NearestRequest): Nearest<Lasso> {
  return new Circles(request).search();
}

class Circles {
  private readonly request: NearestRequest;
  private readonly learned: Learned;
  private readonly space: AnyCalls;
  private readonly fences: readonly string[];
  private readonly promised: readonly Learner<KernelState, boolean>[];
  /** By line that goes some other way somewhere: its bit. */
  private readonly lines = new Map<string, number>();
  /** By state: its level, its edges but for those that begin a call, and what is to be said of it. */
  private readonly levels: number[] = [];
  private readonly edges: (readonly Edge[])[] = [];
  private readonly before: number[][] = [];
  private readonly standings: Standing[] = [];
  private readonly accused = new Map<string, boolean>();
  private walks = 0;

  constructor(request: NearestRequest) {
    const { booted, patient } = request;
    this.request = request;
    this.learned = new Learned(kernelSystem(booted.machine));
    this.space = new AnyCalls(booted, this.learned, patient);
    this.fences = Object.keys(booted.machine.boot.fences);
    this.promised = this.fences.map((fence) =>
      this.learned.learner(`is ${fence} pending`, (kernel) => isPromised(kernel, fence)),
    );
  }

  search(): Nearest<Lasso> {
    const { space, request } = this;
    const reach = this.explore();
    let best: Lasso | undefined;
    let bound = reach === undefined ? request.fewerThan : Math.min(request.fewerThan, reach + 2);
    const end = (cleared: number): Nearest<Lasso> => ({
      cleared,
      searched: space.count + this.walks,
      ...(best ? { found: best } : {}),
    });
    if (Math.max(this.learned.threads.length, this.fences.length, this.lines.size) > MOST_BITS) return end(0);
    for (let root = 0; root < this.edges.length; root += 1) {
      const stem = this.levels[root] as number;
      if (stem + 1 >= bound) break;
      const loop = this.round(root, bound - 1 - stem);
      if (loop === 'spent') return end(stem);
      if (!loop) continue;
      bound = stem + loop.length;
      best = { ...space.path(root), loop };
    }
    return end(bound - 1);
  }

  /** All states that a lasso of fewer words can leave. @returns the last whole level, when the states ran out */
  private explore(): number | undefined {
    const { space, request, levels } = this;
    space.next.set(space.boot);
    levels[space.add(-1, { word: '' })] = 0;
    let whole: number | undefined;
    for (let state = 0; state < space.count && whole === undefined; state += 1) {
      const level = levels[state] as number;
      if (level + 1 >= request.fewerThan) break;
      if (space.count > Math.min(request.maxStates, MOST_STATES)) whole = level - 1;
      else this.expand(state, level);
    }
    this.edges.forEach((edges, from) => {
      for (const { to } of edges) (this.before[to] ??= []).push(from);
    });
    return whole;
  }
  private expand(state: number, level: number): void {
    const look = this.space.look(state);
    const edges: Edge[] = [];
    const arrive = (taken: Taken): number => {
      const to = this.space.add(state, taken);
      this.levels[to] ??= level + 1;
      return to;
    };
    this.standings[state] = this.standing(look.turns, look.words);
    this.space.each(look, (way, taken) => {
      const to = arrive(taken);
      if (!taken.begins) edges.push({ to, word: taken.word, ...this.said(way, look.turns[way.threadAt] as Turn) });
      return false;
    });
    this.edges[state] = edges;
  }
  private standing(turns: readonly Turn[], words: Uint16Array): Standing {
    const bits = (holds: (turn: Turn) => boolean): number =>
      turns.reduce((sum, turn, at) => (holds(turn) ? sum | (1 << at) : sum), 0);
    const ready = ({ open }: Turn): boolean => open.kind === 'ready' && open.nature === 'owed';
    const pending = this.promised.map((fence) => fence.of(words, 0));
    return {
      always: bits(({ owed, time }) => owed || time),
      offered: bits(ready),
      strong: bits((turn) => ready(turn) && turn.open.kind === 'ready' && turn.open.strong),
      working: bits(({ open }) => underWay(open)),
      pending: pending.reduce((sum, is, at) => (is ? sum | (1 << at) : sum), 0),
    };
  }
  private said(way: Way, { open }: Turn): Omit<Edge, 'to' | 'word'> {
    const moves = 1 << way.threadAt;
    const line = open.kind === 'ready' && open.nature === 'owed' ? way.line : '';
    if (line !== '' && !way.tamest && !this.lines.has(line)) this.lines.set(line, 1 << this.lines.size);
    return { moves, done: getsSomethingDone(way.facts) ? moves : 0, line, tamest: way.tamest };
  }

  /** The words of a shortest fair and accused walk of at most `most` words from this state back to it. */
  private round(root: number, most: number): readonly string[] | 'spent' | undefined {
    const back = this.waysBack(root, most);
    if (!back.has(root)) return undefined;
    const seen = new Set<string>();
    let level: Place[] = [{ state: root, walked: NOTHING, from: undefined, word: '' }];
    for (let words = 1; words <= most && level.length > 0; words += 1) {
      const next: Place[] = [];
      for (const place of level)
        for (const edge of this.edges[place.state] ?? []) {
          const home = edge.to === root;
          if (!home && words + (back.get(edge.to) ?? Infinity) > most) continue;
          const walked = this.after(place, edge);
          if (!this.accuses(walked)) continue;
          const text = `${edge.to} ${Object.values(walked).join(' ')}`;
          if (seen.has(text)) continue;
          seen.add(text);
          this.walks += 1;
          if (this.walks > this.request.maxStates) return 'spent';
          const here: Place = { state: edge.to, walked, from: place, word: edge.word };
          if (home && isFair(walked) && this.convicts(root, walked)) {
            const loop: string[] = [];
            for (let at: Place | undefined = here; at?.from; at = at.from) loop.unshift(at.word);
            return loop;
          }
          if (!home || words + (back.get(root) as number) <= most) next.push(here);
        }
      level = next;
    }
    return undefined;
  }
  private after({ walked, state }: Place, { moves, done, line, tamest }: Edge): Walked {
    const here = this.standings[state] as Standing;
    const bit = this.lines.get(line) ?? 0;
    return {
      always: walked.always & here.always,
      offered: walked.offered | here.offered,
      strong: walked.strong | here.strong,
      working: walked.working & here.working,
      pending: walked.pending & here.pending,
      moved: walked.moved | moves,
      done: walked.done | done,
      wild: walked.wild | (tamest ? 0 : bit),
      tame: walked.tame | (tamest ? bit : 0),
    };
  }
  /** By state: how many words at least lead back, through states that are no nearer to boot. */
  private waysBack(root: number, most: number): Map<number, number> {
    const nearest = this.levels[root] as number;
    const back = new Map<number, number>();
    let level = [root];
    for (let words = 1; words <= most && level.length > 0; words += 1) {
      const next: number[] = [];
      for (const state of level)
        for (const from of this.before[state] ?? []) {
          if (back.has(from) || (this.levels[from] as number) < nearest) continue;
          back.set(from, words);
          if (from !== root) next.push(from);
        }
      level = next;
    }
    return back;
  }

  /** May a circle with this walk in it be accused? Both who is fruitless and what is pending only ever become fewer. */
  private accuses({ working, done, pending }: Walked): boolean {
    const key = `${working & ~done} ${pending}`;
    const known = this.accused.get(key) ?? this.asked(0, working & ~done, pending);
    this.accused.set(key, known);
    return known;
  }
  private convicts(root: number, { working, offered, done, pending }: Walked): boolean {
    return this.asked(root, working & offered & ~done, pending);
  }
  private asked(state: number, fruitless: number, pending: number): boolean {
    const { property, want } = this.request;
    const named = (names: readonly string[], bits: number): string[] => names.filter((_, at) => (bits >> at) & 1);
    const blame = property.circle?.({
      kernel: this.learned.packing.unpack<KernelState>(this.space.look(state).words),
      fruitless: named(this.learned.threads, fruitless),
      pending: named(this.fences, pending),
    });
    return blame !== undefined && signature(blame) === signature(want);
  }
}

const isFair = ({ always, strong, moved, wild, tame }: Walked): boolean =>
  ((always | strong) & ~moved) === 0 && (wild & ~tame) === 0;
