/**
 * The properties, judged over the schedules of one workload by the stateless search.
 *
 * Of each property it is said whether the search decided it. What steps say (facts, and the evidence that lockdep
 * gathers) is the same in all schedules of a sort, once a step counts as reading what its judges read; states at rest
 * are where schedules end. Both are decided when the search is complete. A workload that ends has no circles. Who waits
 * for whom is judged in the states that were met, and these are not all: a circle of debts that lasts is found, because
 * it is there at the end; one that passes may be missed.
 */
import { type Booted, type PropertyName, type Workload, start } from '../../../model/design.ts';
import type { KernelState } from '../../../model/machine.ts';
import { witnessesOf } from '../../judge.ts';
import { type Blame, type Evidence, type Property, signature } from '../../property.ts';
import { Chains } from '../chains.ts';
import { StepJudges } from '../judges.ts';
import { Learned, type Turn } from '../learned.ts';
import { type Finding, joined } from '../observer.ts';
import { kernelSystem } from '../system.ts';
import { type Schedules, schedules } from './schedules.ts';

export interface JudgedOptions {
  readonly workload?: Workload;
  readonly patient?: boolean;
  readonly maxDepth?: number;
  readonly maxSteps?: number;
  /**
   * Judge steps and states at rest only as they are met: often ten times fewer schedules, which end in the same states,
   * but a verdict that depends on more than the step reads may be missed.
   */
  readonly asMet?: boolean;
  /** Called now and then with the number of steps. */
  readonly progress?: (steps: number) => void;
}
export interface JudgedSchedules extends Schedules {
  /** One of each signature, with the first schedule it was found in: not the shortest. */
  readonly findings: readonly Finding[];
  /** Dangerous situations that steps were witness to. */
  readonly witnesses: ReadonlySet<string>;
  /** Properties of which it is settled whether they hold for this workload. */
  readonly decided: readonly PropertyName[];
  /** Why the others are not; nothing was found there that is not so, but something may have been missed. */
  readonly undecided: Readonly<Partial<Record<PropertyName, string>>>;
}

const DEFAULT_MAX_DEPTH = 10_000;
const DEFAULT_MAX_STEPS = 10_000_000;
const PROGRESS_EVERY = 16_384;

export function judgedSchedules(
  booted: Booted,
  props: readonly Property[],
  options: JudgedOptions = {},
): JudgedSchedules {
  const { workload = booted.workload, patient = true, asMet = false, progress } = options;
  const { maxDepth = DEFAULT_MAX_DEPTH, maxSteps = DEFAULT_MAX_STEPS } = options;
  const { machine } = booted;
  const learned = new Learned(kernelSystem(machine));
  const judges = new StepJudges(machine, learned, props);
  const chains = new Chains(learned);
  const findings = new Map<string, Finding>();
  const witnesses = new Set<string>();
  const evidence = new Map<Property, Map<string, Evidence & { readonly schedule: readonly string[] }>>();
  const find = (blame: Blame | undefined, schedule: () => string[]): void => {
    if (blame && !findings.has(signature(blame))) findings.set(signature(blame), { blame, schedule: schedule() });
  };
  let steps = 0;
  const rested = new Set<string>();
  const rest = (turns: readonly Turn[], words: Uint16Array, schedule: () => string[]): void => {
    const state = words.join();
    if (rested.has(state)) return;
    rested.add(state);
    const kernel = learned.packing.unpack<KernelState>(words, 0);
    for (const property of props)
      if (property.rest) find(property.rest(machine, kernel, chains.opens(turns)), schedule);
  };

  const search = schedules(learned, learned.packing.pack(start(booted, workload)), {
    patient,
    maxDepth,
    maxSteps,
    rests: !asMet,
    ...(asMet ? {} : { asks: (way, words) => judges.slots(way, words) }),
    state(turns, words, schedule) {
      if (asMet && turns.every(({ owed, time }) => !owed && !time)) rest(turns, words, schedule);
      if (!chains.any(turns)) return;
      const opens = chains.opens(turns);
      for (const property of props) find(property.waits?.(opens), schedule);
    },
    step(way, words, schedule) {
      steps += 1;
      if (steps % PROGRESS_EVERY === 0) progress?.(steps);
      if (way.facts.length === 0) return;
      for (const name of witnessesOf(way.facts)) witnesses.add(name);
      judges.judge(
        way,
        words,
        (blame) => find(blame, schedule),
        (property, pieces) => {
          const known = evidence.get(property) ?? new Map<string, Evidence & { schedule: readonly string[] }>();
          evidence.set(property, known);
          for (const piece of pieces)
            if (!known.has(piece.key)) known.set(piece.key, { ...piece, schedule: schedule() });
        },
      );
    },
    final: rest,
  });

  for (const [property, known] of evidence) {
    const verdict = property.concludes?.(known);
    if (verdict) find(verdict.blame, () => joined(verdict.keys.map((key) => known.get(key)?.schedule ?? [])));
  }
  const undecided: Partial<Record<PropertyName, string>> = {};
  for (const { name, waits } of props) {
    if (!search.complete) undecided[name] = search.why as string;
    else if (asMet) undecided[name] = 'steps and states were judged only as they were met';
    else if (waits) undecided[name] = 'a circle of waits that passes may lie between the states that were met';
  }
  return {
    ...search,
    findings: [...findings.values()],
    witnesses,
    decided: props.map(({ name }) => name).filter((name) => !(name in undecided)),
    undecided,
  };
}
