/**
 * The odds: along a schedule that breaks a property, how likely had that become after each step, if from there on the
 * scheduler picked at random; and which was the last step after which it could still be avoided?
 *
 * Where every state can be searched the odds are exact (chance/markov.ts); elsewhere walks are counted (chance/walks.ts),
 * and the odds are an interval around them. What is awaited depends on how the property judges (chance/awaited.ts).
 */
import { type Case, REBOOT } from '../../model/case.ts';
import { type Booted, start } from '../../model/design.ts';
import type { Blame, Property } from '../property.ts';
import { type Awaited, awaitedOn, follow } from './chance/awaited.ts';
import { solve } from './chance/markov.ts';
import { Walks } from './chance/walks.ts';
import { Learned } from './learned.ts';
import { Random } from './random.ts';
import { grouped } from './storage/limits.ts';
import { kernelSystem } from './system.ts';

/** Between these lies the probability that it comes. */
export interface Likely {
  readonly low: number;
  readonly high: number;
}
export interface After extends Likely {
  /** After so many steps; 0 is the start. A reboot is none. */
  readonly step: number;
}
export type Odds =
  | {
      readonly kind: 'exact';
      /** What it means that the failure comes, as a clause, where that is more than that the property is broken. */
      readonly comes?: string;
      readonly states: number;
      /** After every step. */
      readonly along: readonly After[];
      /** After so many steps some way on avoided it, and after more none does; nothing when none ever did. */
      readonly lastAvoidable?: number;
    }
  | {
      readonly kind: 'sampled';
      readonly comes?: string;
      /** Walks from each of the steps. */
      readonly walks: number;
      /** Why not every state was searched. */
      readonly why: string;
      /** After steps spread over the schedule. */
      readonly along: readonly After[];
      /** A walk that went on from here ended without it: it was avoidable at least up to here. */
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

/** The odds of this blame along the schedule of the run that earns it. */
export function oddsAlong(
  booted: Booted,
  run: Case,
  props: readonly Property[],
  want: Pick<Blame, 'property' | 'kind'>,
  { maxStates = MOST_STATES, patient = true, walks = WALKS, seed = 1 }: OddsOptions = {},
): Odds {
  const property = props.find(({ name }) => name === want.property);
  if (!property) return { kind: 'none', why: `it is not judged by ${want.property}` };
  const learned = new Learned(kernelSystem(booted.machine));
  const awaited = awaitedOn(booted, learned, run, property, want);
  if ('why' in awaited) return { kind: 'none', why: awaited.why };
  const comes = awaited.comes === undefined ? {} : { comes: awaited.comes };
  const from = learned.packing.pack(start(booted, run.workload));
  const { schedule } = run;
  const solved = solve(learned, from, schedule, awaited, { maxStates, patient });
  if (solved) {
    const stepAt = stepsIn(schedule);
    const along = solved.along.flatMap((each, at): After[] =>
      schedule[at - 1] === REBOOT ? [] : [{ step: stepAt(at), ...each }],
    );
    const last = along.findLast(({ low }) => low < 1);
    return { kind: 'exact', ...comes, states: solved.states, along, ...(last ? { lastAvoidable: last.step } : {}) };
  }

  const all = new Walks({ learned, awaited, patient, walks, random: new Random(seed) });
  const places = new Set(
    Array.from({ length: MOST_PLACES }, (_, at) => Math.round((at * (schedule.length - 1)) / (MOST_PLACES - 1))),
  );
  const along: After[] = [];
  let lastAvoidable: number | undefined;
  const stepAt = stepsIn(schedule);
  for (const { at, words, shown } of stations(learned, from, schedule, awaited, all)) {
    if (!places.has(at) || schedule[at - 1] === REBOOT) continue;
    const { likely, escaped } = all.around(words, shown);
    along.push({ step: stepAt(at), ...likely });
    if (escaped > 0) lastAvoidable = stepAt(at);
  }
  along.push({ step: stepAt(schedule.length), low: 1, high: 1 });
  const why = `there are more than ${grouped(maxStates)} states`;
  return { kind: 'sampled', ...comes, walks, why, along, ...(lastAvoidable === undefined ? {} : { lastAvoidable }) };
}

/**
 * How likely what this run earns is from where another schedule leads, by counting walks; nothing when chance has nothing
 * to say about it, or when the schedule cannot be followed.
 */
export function likelyFrom(
  booted: Booted,
  schedule: readonly string[],
  run: Case,
  props: readonly Property[],
  want: Pick<Blame, 'property' | 'kind'>,
  { patient = true, walks = WALKS, seed = 1 }: Omit<OddsOptions, 'maxStates'> = {},
): (Likely & { readonly walks: number }) | undefined {
  const property = props.find(({ name }) => name === want.property);
  if (!property) return undefined;
  const learned = new Learned(kernelSystem(booted.machine));
  const awaited = awaitedOn(booted, learned, run, property, want);
  if ('why' in awaited) return undefined;
  const all = new Walks({ learned, awaited, patient, walks, random: new Random(seed) });
  const from = learned.packing.pack(start(booted, run.workload));
  const last = [...stations(learned, from, schedule, awaited, all)].at(-1);
  return last?.at === schedule.length ? { ...all.around(last.words, last.shown).likely, walks } : undefined;
}

/** Steps in so many words of a schedule. */
const stepsIn =
  (schedule: readonly string[]) =>
  (words: number): number =>
    schedule.slice(0, words).filter((text) => text !== REBOOT).length;

/** The state after each word of a schedule, as far as it can be followed, and what was shown up to there. */
function* stations(
  learned: Learned,
  from: Uint16Array,
  schedule: readonly string[],
  awaited: Awaited,
  walks: Walks,
): Generator<{ readonly at: number; readonly words: Uint16Array; readonly shown: number }> {
  const words = from.slice();
  let shown = walks.shownIn(words);
  yield { at: 0, words, shown };
  for (const [at, text] of schedule.entries()) {
    const way = text === REBOOT ? undefined : follow(learned, words, text);
    if (text === REBOOT) words.set(from);
    else if (!way) return;
    shown |= (way ? awaited.by(way, words) : 0) | walks.shownIn(words);
    yield { at: at + 1, words, shown };
  }
}
