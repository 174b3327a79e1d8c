/**
 * The judge: plays a case on plain objects and says what it breaks, and where. The oracle for every engine: a finding
 * counts only when the judge, on the plain reducer, says the same.
 */
import { type Case, REBOOT, choicesOf, follow, opens } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import type { Fact, KernelState, Machine } from '../model/machine.ts';
import { fairness } from './lasso.ts';
import type { Blame, Evidence, Moment, Opens, Property } from './property.ts';
import { signature } from './property.ts';

/** One finding of the judge: after how many words of the schedule it shows. */
export interface Verdict {
  readonly blame: Blame;
  readonly after: number;
}
export interface Judgement {
  /** First occasion of every signature, in order. */
  readonly verdicts: readonly Verdict[];
  /** Words that could not be followed, by place. */
  readonly skipped: readonly number[];
  /** The words as followed, with the outcome that a bare thread name meant. */
  readonly words: readonly string[];
  readonly witnesses: ReadonlySet<string>;
  readonly steps: number;
}

/** The situations that a step or a state witnesses: named ones, and who waits for what. */
export const witnessesOf = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) => (fact.kind === 'witness' ? [fact.name] : []));
export const waitWitness = (thread: string, object: string): string => `${thread} waits for ${object}`;

/** What a state breaks by itself: by who waits for whom, or by what is left when nothing that is owed can happen. */
export function brokenIn(machine: Machine, kernel: KernelState, now: Opens, props: readonly Property[]): Blame[] {
  const waiting = props.flatMap((property) => property.waits?.(now) ?? []);
  const all = Object.entries(now).flatMap(([thread, open]) => choicesOf(thread, open));
  if (all.some(({ nature }) => nature !== 'may')) return waiting;
  return [...waiting, ...props.flatMap((property) => property.rest?.(machine, kernel, now) ?? [])];
}
const heardBy = (moment: Moment, props: readonly Property[]): Property[] =>
  props.filter(({ hears }) => !hears || moment.facts.some(({ kind }) => hears.includes(kind)));
/** What a step breaks by itself. */
export const brokenBy = (moment: Moment, props: readonly Property[]): Blame[] =>
  heardBy(moment, props).flatMap((property) => property.step?.(moment) ?? []);

/**
 * Play the case from boot and judge every step and every state on the way.
 * @param props the properties to judge by
 * @param patient timers only when nothing fair can move (the default of every search)
 */
export function judge(booted: Booted, run: Case, props: readonly Property[], patient = true): Judgement {
  const { machine } = booted;
  const verdicts: Verdict[] = [];
  const seen = new Set<string>();
  const evidence = new Map<string, Map<string, Evidence>>();
  const witnesses = new Set<string>();
  const skipped: number[] = [];
  const words: string[] = [];
  let steps = 0;
  let kernel: KernelState = start(booted, run.workload);

  const say = (blame: Blame | undefined, after: number): void => {
    if (!blame || seen.has(signature(blame))) return;
    seen.add(signature(blame));
    verdicts.push({ blame, after });
  };
  const judgeState = (after: number): void => {
    const now = opens(machine, kernel);
    for (const [thread, open] of Object.entries(now))
      if (open.kind === 'blocked') witnesses.add(waitWitness(thread, open.wait.object));
    for (const blame of brokenIn(machine, kernel, now, props)) say(blame, after);
  };
  const judgeStep = (moment: Moment, after: number): void => {
    for (const name of witnessesOf(moment.facts)) witnesses.add(name);
    for (const property of heardBy(moment, props)) {
      say(property.step?.(moment), after);
      const gathered = property.gathers?.(moment) ?? [];
      if (gathered.length === 0 || !property.concludes) continue;
      const known = evidence.get(property.name) ?? new Map<string, Evidence>();
      evidence.set(property.name, known);
      const before = known.size;
      for (const piece of gathered) if (!known.has(piece.key)) known.set(piece.key, piece);
      if (known.size > before) say(property.concludes(known)?.blame, after);
    }
  };

  judgeState(0);
  run.schedule.forEach((text, at) => {
    if (text === REBOOT) {
      kernel = start(booted, run.workload);
      words.push(text);
      return;
    }
    const played = follow(machine, kernel, text, patient);
    words.push(played.word);
    if (!played.choice) {
      skipped.push(at);
      return;
    }
    steps += 1;
    judgeStep({ machine, kernel, thread: played.choice.thread, facts: played.facts }, at + 1);
    judgeState(at + 1);
  });
  if (run.loop && run.loop.length > 0) {
    const circle = fairness(booted.machine, kernel, run.loop, patient);
    if (circle.fair)
      for (const property of props) say(property.circle?.(circle.circle), run.schedule.length + run.loop.length);
    steps += run.loop.length;
  }
  return { verdicts, skipped, words, witnesses, steps };
}
