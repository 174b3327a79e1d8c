/** The sides that search a design, with or without an engine. */
import { boot, libraryOf } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { objects as allObjects } from '../../model/objects/index.ts';
import { properties } from '../../properties/index.ts';
import { signature } from '../../properties/property.ts';
import { fuzz } from '../../properties/search/fuzz.ts';
import { plainSweep } from '../../properties/search/plain-sweep.ts';
import { strategies } from '../../properties/search/strategies/index.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { representative } from './representative.ts';
import { sweepWithImmer, walkWithCommands } from './rivals.ts';
import type { Sides, Task } from './side.ts';

/** More than any comparison has. */
const PLENTY_OF_STATES = 2_000_000;

const bootedOf = ({ design, knobs, objects }: Task) => {
  const found = [...designs, representative].find(({ name }) => name === design);
  if (!found) throw new Error(`unknown design "${design}"`);
  const library = libraryOf(objects ? allObjects.filter((_, at) => objects.includes(at)) : allObjects);
  return boot(found, knobs ?? {}, library);
};
const sorted = (names: Iterable<string>): string[] => [...names].sort();

export const designSides: Sides = {
  learned(task) {
    const booted = bootedOf(task);
    const { workload = booted.workload } = task;
    const swept = sweep(booted, properties, { workload, maxStates: PLENTY_OF_STATES });
    const found = swept.findings.filter(({ loop }) => !loop).map(({ blame }) => signature(blame));
    return { states: swept.states, transitions: swept.transitions, found: sorted(found) };
  },
  plain(task) {
    const booted = bootedOf(task);
    const swept = plainSweep(booted, properties, task.workload ?? booted.workload, PLENTY_OF_STATES);
    return { states: swept.states, transitions: swept.transitions, found: sorted(swept.found.keys()) };
  },
  immer(task) {
    const booted = bootedOf(task);
    const swept = sweepWithImmer(booted, properties, task.workload ?? booted.workload);
    return { states: swept.states, transitions: swept.transitions, found: sorted(swept.found) };
  },
  walks(task) {
    const booted = bootedOf(task);
    const { steps } = fuzz(booted, {
      seed: task.seed ?? 1,
      runs: Number.MAX_SAFE_INTEGER,
      steps: task.steps ?? 100_000,
      properties,
      workload: task.workload ?? booted.workload,
      strategies: strategies.filter(({ kind }) => kind === 'walk').map(({ name }) => name),
    });
    return { steps };
  },
  commands(task) {
    const booted = bootedOf(task);
    const { steps } = walkWithCommands(booted, properties, task.workload ?? booted.workload, {
      seed: task.seed ?? 1,
      runs: task.runs ?? 10,
    });
    return { steps };
  },
};
