/**
 * The fuzz of one setting: runs in batches of derived seeds, each run a workload and a schedule, everything judged;
 * then, for what walks cannot see, a sweep as far as the budget goes.
 *
 * Batches keep fast-check's bias alive, which decays within one long call; they are also the unit of stopping.
 */
import fc from 'fast-check';
import { type Case, caseAt } from '../../model/case.ts';
import type { Booted, Workload } from '../../model/design.ts';
import { type Blame, type Property, signature } from '../property.ts';
import { type Run, playAll, runs } from './arbitraries.ts';
import { Hunt, RUN_STEPS } from './hunt.ts';
import { Learned } from './learned.ts';
import { Random } from './random.ts';
import { strategies, strategiesNamed } from './strategies/index.ts';
import type { WalkStrategy } from './strategies/strategy.ts';
import { sweep } from './sweep.ts';
import { kernelSystem } from './system.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly runs: number;
  /** Steps over all runs, calming down included. */
  readonly steps: number;
  readonly properties: readonly Property[];
  readonly strategies?: readonly string[];
  /** Only this workload, instead of any. */
  readonly workload?: Workload;
  /** Asked between batches. */
  readonly enough?: () => boolean;
  readonly progress?: (runs: number, steps: number) => void;
}
export interface FuzzFinding {
  readonly blame: Blame;
  readonly run: Case;
  readonly found: { readonly strategy: string; readonly seed: number; readonly runs: number; readonly steps: number };
}
export interface Fuzzed {
  readonly findings: readonly FuzzFinding[];
  readonly runs: number;
  readonly steps: number;
  readonly witnesses: readonly string[];
}

const BATCH = 250;

export function fuzz(booted: Booted, options: FuzzOptions): Fuzzed {
  const chosen = strategiesNamed(strategies, options.strategies);
  const walks = chosen.filter((each): each is WalkStrategy => each.kind === 'walk');
  const learned = new Learned(kernelSystem(booted.machine));
  const hunt = new Hunt(booted, learned, options.properties);

  const one = ({ workload, luck }: Run): void => {
    const random = new Random(luck);
    const strategy = walks[random.below(walks.length)] as WalkStrategy;
    const steps = RUN_STEPS[random.below(RUN_STEPS.length)] as number;
    const picker = strategy.begin(random, learned.threads.length, steps);
    hunt.play({ workload, strategy: strategy.name, picker, steps });
  };

  const arbitrary = options.workload
    ? fc.record({ workload: fc.constant(options.workload), luck: fc.integer() })
    : runs(booted);
  for (let batch = 0; walks.length > 0 && hunt.runs < options.runs && hunt.steps < options.steps; batch += 1) {
    const numRuns = Math.min(BATCH, options.runs - hunt.runs);
    playAll(arbitrary, (options.seed + Math.imul(batch, 0x9e3779b1)) | 0, numRuns, (run) => {
      if (hunt.steps < options.steps) one(run);
    });
    options.progress?.(hunt.runs, hunt.steps);
    if (options.enough?.()) break;
  }
  const findings = new Map<string, FuzzFinding>();
  for (const [key, { blame, run, ...found }] of hunt.found)
    findings.set(key, { blame, run, found: { ...found, seed: options.seed } });
  const { runs: done } = hunt;
  let steps = hunt.steps;
  const witnesses = new Set(hunt.walker.witnesses);
  for (const strategy of chosen) {
    if (strategy.kind !== 'sweep' || options.enough?.()) continue;
    const swept = sweep(booted, options.properties, {
      maxStates: options.steps,
      ...(options.workload ? { workload: options.workload } : {}),
    });
    steps += swept.transitions;
    for (const witness of swept.witnesses) witnesses.add(witness);
    for (const finding of swept.findings) {
      const { blame } = finding;
      if (findings.has(signature(blame))) continue;
      const run = caseAt(booted, options.workload ?? booted.workload, finding);
      const found = { strategy: strategy.name, seed: options.seed, runs: done, steps };
      findings.set(signature(blame), { blame, run, found });
    }
    options.progress?.(done, steps);
  }
  return { findings: [...findings.values()], runs: done, steps, witnesses: [...witnesses].sort() };
}
