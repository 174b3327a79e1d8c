/**
 * What may come as a run goes on: a property is broken, every piece of a verdict on all runs is gathered, or a circle is
 * entered. What is awaited consists of pieces; they are bits of a number, and it has come when all of them are set.
 */
import { type Case, REBOOT, word } from '../../../model/case.ts';
import { type Booted, start } from '../../../model/design.ts';
import type { Fact, KernelState } from '../../../model/machine.ts';
import { type Blame, type Evidence, type Property, signature } from '../../property.ts';
import type { Graph } from '../explore.ts';
import { Judging, type Told } from '../judging.ts';
import { type Learned, type Turn, type Way, apply } from '../learned.ts';
import { leadingTo } from './markov.ts';

export interface Awaited {
  /** What it means that it comes, as a clause, where that is more than that the property is broken. */
  readonly comes?: string;
  /** All pieces. */
  readonly all: number;
  /** The pieces that this state shows. */
  in(turns: readonly Turn[], words: Uint16Array, at: number, resting: boolean): number;
  /** The pieces that this step shows; the state after it stands at `words[0]`. */
  by(way: Way, words: Uint16Array): number;
  /** Where all states are known, more of them may be found to show pieces. */
  spread?(graph: Graph<KernelState, Fact>, shown: Uint32Array): void;
}

/** More pieces than this are not told apart: every state is searched once for each set of them. */
const MOST_PIECES = 5;

/** What is awaited of the run on which this property is broken, or why nothing can be. */
export function awaitedOn(
  booted: Booted,
  learned: Learned,
  run: Case,
  property: Property,
  want: Pick<Blame, 'property' | 'kind'>,
): Awaited | { readonly why: string } {
  if (run.loop && run.loop.length > 0) return new Entered(booted, learned, run);
  if (!property.concludes) return new Broken(booted, learned, property, signature(want));
  const keys = piecesOf(booted, learned, run, property);
  if (!keys || keys.length === 0) return { why: 'this run alone does not show all that the verdict rests on' };
  if (keys.length > MOST_PIECES) return { why: `the verdict rests on ${keys.length} pieces of evidence` };
  return new Gathered(booted, learned, property, keys);
}

/** A property is broken, in a state or by a step. */
class Broken implements Awaited {
  readonly all = 1;
  private readonly judging: Judging;
  private readonly wanted: string;
  private hit = 0;
  private readonly told: Told = {
    blame: (blame) => {
      if (signature(blame) === this.wanted) this.hit = 1;
    },
    evidence: () => undefined,
    witness: () => undefined,
  };

  constructor({ machine }: Booted, learned: Learned, property: Property, wanted: string) {
    this.judging = new Judging(machine, learned, [property]);
    this.wanted = wanted;
  }
  in(turns: readonly Turn[], words: Uint16Array, at: number, resting: boolean): number {
    this.hit = 0;
    this.judging.state(turns, words, at, resting, this.told);
    return this.hit;
  }
  by(way: Way, words: Uint16Array): number {
    this.hit = 0;
    this.judging.step(way, words, this.told);
    return this.hit;
  }
}

/** Every piece of evidence that a verdict rests on has been gathered, as lockdep remembers it over all runs. */
class Gathered implements Awaited {
  readonly comes = 'all that the verdict rests on has been seen, in this run or in one before it';
  readonly all: number;
  private readonly judging: Judging;
  private hit = 0;
  private readonly told: Told;

  constructor({ machine }: Booted, learned: Learned, property: Property, keys: readonly string[]) {
    this.judging = new Judging(machine, learned, [property]);
    this.all = (1 << keys.length) - 1;
    const bits = new Map(keys.map((key, at) => [key, 1 << at]));
    this.told = {
      blame: () => undefined,
      evidence: (_property, pieces) => {
        for (const { key } of pieces) this.hit |= bits.get(key) ?? 0;
      },
      witness: () => undefined,
    };
  }
  in(): number {
    return 0;
  }
  by(way: Way, words: Uint16Array): number {
    this.hit = 0;
    this.judging.step(way, words, this.told);
    return this.hit;
  }
}

/** The run comes to where it can go round for ever. */
class Entered implements Awaited {
  readonly comes = 'the run comes to where it can go round for ever';
  readonly all = 1;
  private readonly learned: Learned;
  /** The states that it goes round by, by a lane of their fingerprint. */
  private readonly round = new Map<number, Uint16Array[]>();

  constructor(booted: Booted, learned: Learned, { workload, schedule, loop = [] }: Case) {
    this.learned = learned;
    const words = learned.packing.pack(start(booted, workload));
    for (const text of schedule) follow(learned, words, text);
    for (const text of loop) {
      follow(learned, words, text);
      const key = learned.packing.fingerprint(words, 'low');
      this.round.set(key, [...(this.round.get(key) ?? []), words.slice()]);
    }
  }
  in(_turns: readonly Turn[], words: Uint16Array, at: number): number {
    const { packing } = this.learned;
    const state = words.subarray(at, at + packing.width);
    const alike = this.round.get(packing.fingerprint(state, 'low'));
    return alike?.some((each) => each.every((slot, index) => slot === state[index])) ? 1 : 0;
  }
  by(): number {
    return 0;
  }
  /** From every state that the circle leads to and that leads back to it, it can be gone round as well. */
  spread({ first, to, expanded }: Graph<KernelState, Fact>, shown: Uint32Array): void {
    const back = Uint8Array.from(shown);
    leadingTo({ count: expanded, first, to }, back);
    const forth = Uint8Array.from(shown);
    const open = [...forth.keys()].filter((state) => forth[state] === 1);
    for (let state = open.pop(); state !== undefined; state = open.pop()) {
      shown[state] = back[state] as number;
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
        const next = to[edge] as number;
        if (forth[next] === 1) continue;
        forth[next] = 1;
        open.push(next);
      }
    }
  }
}

/** The keys that the verdict on this run alone rests on. */
function piecesOf(booted: Booted, learned: Learned, run: Case, property: Property): readonly string[] | undefined {
  const judging = new Judging(booted.machine, learned, [property]);
  const gathered = new Map<string, Evidence>();
  const told: Told = {
    blame: () => undefined,
    evidence: (_property, pieces) => {
      for (const piece of pieces) if (!gathered.has(piece.key)) gathered.set(piece.key, piece);
    },
    witness: () => undefined,
  };
  const from = learned.packing.pack(start(booted, run.workload));
  const words = from.slice();
  for (const text of run.schedule) {
    if (text === REBOOT) words.set(from);
    const way = text === REBOOT ? undefined : follow(learned, words, text);
    if (way) judging.step(way, words, told);
  }
  return property.concludes?.(gathered)?.keys;
}

/** Take this word. @returns the way that was taken, or nothing when it cannot be */
export function follow(learned: Learned, words: Uint16Array, text: string): Way | undefined {
  for (let thread = 0; thread < learned.threads.length; thread += 1) {
    const way = learned.turn(thread, words, 0).ways.find((each) => word(each) === text);
    if (!way) continue;
    apply(way, words, 0);
    return way;
  }
  return undefined;
}
