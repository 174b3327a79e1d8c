/** Fuzz one setting. */
import { type FuzzFinding, fuzz } from '../../properties/search/fuzz.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { type Common, add, countOf } from './task.ts';

export interface FuzzTask extends Common {
  readonly kind: 'fuzz';
  readonly seed: number;
  readonly runs: number;
  readonly steps: number;
  readonly strategies: readonly string[];
}

export interface FuzzDone {
  readonly findings: readonly FuzzFinding[];
  readonly runs: number;
  readonly steps: number;
  readonly witnesses: readonly string[];
}

export async function fuzzing({
  setting,
  properties,
  counters,
  seed,
  runs: mostRuns,
  steps: mostSteps,
  strategies,
}: FuzzTask): Promise<FuzzDone> {
  const booted = await bootSetting(setting);
  let counted = { runs: 0, steps: 0 };
  const count = (runs: number, steps: number): void => {
    add(counters, 'runs', runs - counted.runs);
    add(counters, 'steps', steps - counted.steps);
    counted = { runs, steps };
  };
  const { findings, runs, steps, witnesses } = fuzz(booted, {
    seed,
    runs: mostRuns,
    steps: mostSteps,
    strategies,
    properties: chooseProperties(properties),
    enough: () => countOf(counters, 'stop') > 0,
    progress: count,
  });
  count(runs, steps);
  return { findings, runs, steps, witnesses };
}
