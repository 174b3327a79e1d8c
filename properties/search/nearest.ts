/**
 * The nearest case with a verdict: breadth first in words, up to a bound, whatever the processes call.
 *
 * Every state of a level is judged before any step that leaves it, so what is found first is shortest, also for a
 * property that judges both. A property that remembers is searched in pairs of a state and what was gathered on the way,
 * and a reboot is a step that keeps the latter. Circles are looked for in nearest-circle.ts.
 */
import { REBOOT } from '../../model/case.ts';
import type { Booted } from '../../model/design.ts';
import { type Blame, type Evidence, type Property, signature } from '../property.ts';
import { AnyCalls, type Look, type Path, type Taken } from './any-calls.ts';
import { Judging, type Told } from './judging.ts';
import { Learned, type Way } from './learned.ts';
import { kernelSystem } from './system.ts';

export interface NearestRequest {
  readonly booted: Booted;
  readonly property: Property;
  readonly want: Pick<Blame, 'property' | 'kind'>;
  /** Only cases of fewer words are looked for, and of fewer reboots whatever their words. */
  readonly fewerThan: number;
  readonly reboots: number;
  readonly maxStates: number;
  readonly patient: boolean;
}
export interface Nearest<P = Path> {
  /** One of the shortest cases with the verdict, of those with the fewest reboots. */
  readonly found?: P;
  /** No case of at most so many words has the verdict. */
  readonly cleared: number;
  /** States, each told apart by what was gathered on the way. */
  readonly searched: number;
}

/** A shortest case, or how far there is none: up to the bound, unless the states ran out first. */
export function nearest(request: NearestRequest): Nearest {
  const { property, booted, fewerThan, reboots, maxStates } = request;
  const learned = new Learned(kernelSystem(booted.machine));
  if (!property.gathers) return new Levels(request, learned).search(fewerThan, maxStates);
  let searched = 0;
  for (let boots = 0; ; boots += 1) {
    const bound = boots < reboots ? Infinity : fewerThan;
    // Pieces that can be part of no verdict would only tell states apart, so first of all: which are there?
    const there = new Levels(request, learned);
    const reach = there.search(bound, maxStates - searched);
    searched += reach.searched;
    const weighty = property.weighs?.(there.gathered) ?? new Set(there.gathered.keys());
    const pairs = new Levels(request, learned, { boots, weighty });
    const near = pairs.search(Math.min(bound, reach.cleared + 1), maxStates - searched);
    searched += near.searched;
    if (near.found || boots === reboots) return { ...near, searched };
    if (near.cleared !== Infinity) return { cleared: 0, searched };
  }
}

/** What tells equal states apart: pieces that may be part of a verdict, and how often the machine was booted again. */
interface Remembering {
  readonly boots: number;
  readonly weighty: ReadonlySet<string>;
}
/** What was gathered on the way to a state, as far as it weighs. */
interface Memory {
  readonly pieces: ReadonlyMap<string, Evidence>;
  readonly guilty: boolean;
  /** The memory that these pieces make of it; what is learned is one object for ever. */
  readonly after: Map<readonly Evidence[], number>;
}
/** The marks of a state. */
const MEMORY = 0;
const BOOTS = 1;

class Levels {
  /** Everything that any step was heard to gather. */
  readonly gathered = new Map<string, Evidence>();
  private readonly request: NearestRequest;
  private readonly space: AnyCalls;
  private readonly width: number;
  private readonly judging: Judging;
  private readonly wanted: string;
  private readonly remembering: Remembering | undefined;
  private readonly memories: Memory[] = [];
  private readonly memoryAt = new Map<string, number>();
  private guilty = false;
  private heard: (readonly Evidence[])[] = [];
  private readonly told: Told = {
    blame: (blame) => {
      this.guilty ||= signature(blame) === this.wanted;
    },
    evidence: (_property, pieces) => {
      this.heard.push(pieces);
    },
    witness: () => {},
  };

  constructor(request: NearestRequest, learned: Learned, remembering?: Remembering) {
    const { booted, property, want, patient } = request;
    this.request = request;
    this.remembering = remembering;
    this.wanted = signature(want);
    this.width = learned.packing.width;
    this.judging = new Judging(booted.machine, learned, [property]);
    this.space = new AnyCalls(booted, learned, patient, 2);
    this.memory(new Map());
  }

  search(fewerThan: number, maxStates: number): Nearest {
    const { space } = this;
    const end = (cleared: number, found?: Path): Nearest => ({
      cleared,
      searched: space.count,
      ...(found ? { found } : {}),
    });
    space.next.set(space.boot);
    space.add(-1, { word: '' });
    for (let words = 0, from = 0; ; words += 1) {
      const to = space.count;
      for (let state = from; state < to; state += 1) if (this.convicts(state)) return end(words - 1, space.path(state));
      if (from === to) return end(Infinity);
      if (words + 1 >= fewerThan) return end(words);
      for (let state = from; state < to; state += 1) {
        const taken = this.expand(state);
        if (taken) return end(words, space.path(state, taken));
        if (space.count > maxStates) return end(words);
      }
      from = to;
    }
  }

  /** Is the verdict to be said of the state alone? */
  private convicts(state: number): boolean {
    const { property } = this.request;
    if (!property.waits && !property.rest) return false;
    const { turns, words, resting } = this.space.look(state);
    this.guilty = false;
    this.judging.state(turns, words, 0, resting, this.told);
    return this.guilty;
  }

  /** Take every step until one convicts. */
  private expand(state: number): Taken | undefined {
    const { space, width } = this;
    const look: Look = space.look(state);
    const memory = space.mark(state, MEMORY);
    const boots = space.mark(state, BOOTS);
    const mark = (now: number, rebooted: number): void => {
      space.next[width + MEMORY] = now;
      space.next[width + BOOTS] = rebooted;
    };
    const convicting = space.each(look, (way, taken) => {
      const now = this.judged(way, memory);
      if (now === undefined) return true;
      mark(now, boots);
      space.add(state, taken);
      return false;
    });
    if (convicting || boots === (this.remembering?.boots ?? 0)) return convicting;
    space.next.set(space.boot);
    mark(memory, boots + 1);
    space.add(state, { word: REBOOT });
    return undefined;
  }
  /** The memory after this step, to the state in `next`; nothing when it brings the verdict. */
  private judged(way: Way, memory: number): number | undefined {
    this.guilty = false;
    this.heard = [];
    this.judging.step(way, this.space.next, this.told);
    if (this.guilty) return undefined;
    const now = this.heard.reduce((known, pieces) => this.remember(known, pieces), memory);
    return this.memories[now]?.guilty ? undefined : now;
  }

  private remember(memory: number, pieces: readonly Evidence[]): number {
    if (!this.remembering) {
      for (const piece of pieces) this.gathered.set(piece.key, piece);
      return memory;
    }
    const { weighty } = this.remembering;
    const { after, pieces: known } = this.memories[memory] as Memory;
    const before = after.get(pieces);
    if (before !== undefined) return before;
    const fresh = pieces.filter(({ key }) => weighty.has(key) && !known.has(key));
    const now =
      fresh.length === 0 ? memory : this.memory(new Map([...known, ...fresh.map((each) => [each.key, each] as const)]));
    after.set(pieces, now);
    return now;
  }
  private memory(pieces: ReadonlyMap<string, Evidence>): number {
    const text = [...pieces.keys()].sort().join('\n');
    const known = this.memoryAt.get(text);
    if (known !== undefined) return known;
    const verdict = pieces.size > 0 ? this.request.property.concludes?.(pieces)?.blame : undefined;
    const guilty = verdict !== undefined && signature(verdict) === this.wanted;
    this.memoryAt.set(text, this.memories.length);
    this.memories.push({ pieces, guilty, after: new Map() });
    return this.memories.length - 1;
  }
}
