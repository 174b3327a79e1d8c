/**
 * Long failing cases to try a shrinker on: what a seeded random walk really did until the verdict showed, nothing added.
 *
 * A walk goes on until nothing can happen any more; processes are given many calls to make, so in most designs that is
 * late. Where a machine comes to rest early it is booted again, as a fuzzer does that looks for one bug all night, and
 * all that it did is the case. Seeds are tried in order until the first occasion of the verdict comes late enough.
 */
import { type Case, REBOOT, caseAt, word } from '../model/case.ts';
import {
  type Booted,
  type CallSpec,
  type Design,
  type Workload,
  boot,
  expected,
  mayCall,
  settings,
  start,
} from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { type Blame, type Evidence, type Property, signature } from '../properties/property.ts';
import { Learned } from '../properties/search/learned.ts';
import { Random } from '../properties/search/random.ts';
import { pct } from '../properties/search/strategies/pct.ts';
import { randomWalk } from '../properties/search/strategies/random.ts';
import { kernelSystem } from '../properties/search/system.ts';
import { Walker } from '../properties/search/walk.ts';
import { faultyMachines } from './planted-machines.ts';
import type { Want } from './shrink.ts';
import { wordsOf } from './words.ts';

const FEWEST_WORDS = 200;
const MOST_WORDS = 2_000;
/** Steps of one walk before the machine is left to calm down, at least and at most. */
const WALK = [FEWEST_WORDS, 1_500] as const;
/** Sessions that are tried, and verdicts that one design gives. */
const SEEDS_OF_MACHINES = 400;
const SEEDS = 8;
const PER_DESIGN = 2;
/** Calls that every process has to make. */
const CALLS = 40;

export interface Planted {
  readonly booted: Booted;
  readonly run: Case;
  readonly want: Want;
}

/** One boot with many calls ahead, or the design's own calls and one boot after another. */
type Manner = 'long' | 'rebooted';

/**
 * The planted set, one bug after another: the faulty machines, then of every design some verdicts, each of another kind.
 * Every one is another setting or another verdict.
 */
export function* plantedSet(): Generator<Planted> {
  for (const { booted, want } of faultyMachines()) {
    const planted = plantedIn(booted, 'long', SEEDS_OF_MACHINES).find(
      (each) => signature(each.want) === signature(want),
    );
    if (!planted) throw new Error(`no walk of "${booted.design.name}" shows ${signature(want)} late enough`);
    yield planted;
  }
  for (const of of designs) yield* kindsOf(of);
}
function* kindsOf(of: Design): Generator<Planted> {
  const kinds = new Set<string>();
  for (const manner of ['long', 'rebooted'] as const)
    for (const knobs of settings(of)) {
      if (expected(of, knobs)?.acquits) continue;
      const booted = boot(of, knobs);
      if (manner === 'long' && Object.keys(booted.calls).length === 0) continue;
      for (const planted of plantedIn(booted, manner, SEEDS)) {
        if (kinds.has(signature(planted.want))) continue;
        kinds.add(signature(planted.want));
        yield planted;
        if (kinds.size === PER_DESIGN) return;
      }
    }
}

/** All verdicts that sessions of this booted design bring late enough, each with the first such session. */
function plantedIn(booted: Booted, manner: Manner, seeds: number): Planted[] {
  const learned = new Learned(kernelSystem(booted.machine));
  const walker = new Walker(booted.machine, learned, properties);
  const planted = new Map<string, Planted>();
  for (let seed = 1; seed <= seeds; seed += 1) {
    const random = new Random(seed);
    const workload = manner === 'long' ? manyCalls(booted, random) : booted.workload;
    for (const [text, each] of session(booted, walker, workload, random, manner))
      if (!planted.has(text) && isLong(each.run)) planted.set(text, each);
  }
  return [...planted.values()];
}

const isLong = (run: Case): boolean => wordsOf(run).length >= FEWEST_WORDS && wordsOf(run).length <= MOST_WORDS;

function manyCalls(booted: Booted, random: Random): Workload {
  const any = (calls: readonly (readonly [string, CallSpec])[]): string => {
    const [name, { params }] = calls[random.below(calls.length)] as (typeof calls)[number];
    return `${name}(${Object.values(params)
      .map((values) => values[random.below(values.length)])
      .join(', ')})`;
  };
  return Object.fromEntries(
    Object.keys(booted.machine.boot.users).flatMap((user) => {
      const own = Object.entries(booted.calls).filter(([call]) => mayCall(booted, user, call));
      return own.length === 0 ? [] : [[user, Array.from({ length: CALLS }, () => any(own))]];
    }),
  );
}

/** What one session brings: every verdict, with all words until its first occasion. */
function session(
  booted: Booted,
  walker: Walker,
  workload: Workload,
  random: Random,
  manner: Manner,
): Map<string, Planted> {
  const met = new Map<string, Planted>();
  const gathered = new Map<Property, Map<string, Evidence>>();
  const from = walker.learned.packing.pack(start(booted, workload));
  const words: string[] = [];
  const meet = (want: Blame, schedule: readonly string[], loop?: readonly string[]): void => {
    if (met.has(signature(want))) return;
    const run = caseAt(booted, workload, { schedule: [...words, ...schedule], ...(loop ? { loop } : {}) });
    met.set(signature(want), { booted, run, want });
  };
  do {
    if (words.length > 0) words.push(REBOOT);
    const strategy = random.chance(0.5) ? randomWalk : pct;
    const steps = WALK[0] + random.below(WALK[1] - WALK[0]);
    walker.run(from, strategy.begin(random, walker.learned.threads.length, steps), steps, {
      blame: (blame, schedule, loop) => meet(blame, schedule(), loop),
      evidence: (property, pieces, schedule) => {
        const known = gathered.get(property) ?? new Map<string, Evidence>();
        gathered.set(property, known);
        const before = known.size;
        for (const piece of pieces) if (!known.has(piece.key)) known.set(piece.key, piece);
        const verdict = known.size > before ? property.concludes?.(known) : undefined;
        if (verdict) meet(verdict.blame, schedule());
      },
    });
    words.push(...walker.taken.map(word));
  } while (manner === 'rebooted' && words.length < MOST_WORDS);
  return met;
}
