/**
 * What the rows about shipped designs are measured on, found by looking and not by name: the setting with the most
 * states of all designs.
 */
import { type Booted, type Workload, boot, settings, showKnobs, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { Learned } from '../../properties/search/learned.ts';
import { breadthFirst } from '../../properties/search/storage/breadth.ts';
import { kernelSystem } from '../../properties/search/system.ts';

export interface Chosen {
  readonly booted: Booted;
  readonly workload: Workload;
  readonly states: number;
  readonly title: string;
  /** How many there are of what. */
  readonly size: Readonly<Record<string, number>>;
}

/** A rival needs a second for a few thousand states: more than this is not worth the wait. */
const MOST_STATES = 200_000;

/** How many states there are, or nothing when there are too many. */
function statesOf(booted: Booted, workload: Workload): number | undefined {
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, workload));
  const options = { mode: 'fingerprints', maxStates: MOST_STATES, patient: true, edges: false } as const;
  const { states, exhausted } = breadthFirst(learned, from, options);
  return exhausted ? states : undefined;
}

export function chosenOf(booted: Booted, workload: Workload, states: number): Chosen {
  const rows = (slice: object | undefined): number => Object.keys(slice ?? {}).length;
  const { threads, locks, fences, bos } = booted.machine.boot;
  return {
    booted,
    workload,
    states,
    title: showKnobs(booted.knobs),
    size: { threads: rows(threads), locks: rows(locks), fences: rows(fences), buffers: rows(bos) },
  };
}

/** The setting with the most states of all. */
export function largestSetting(): Chosen {
  let largest: Chosen | undefined;
  for (const design of designs)
    for (const knobs of settings(design)) {
      const booted = boot(design, knobs);
      const states = statesOf(booted, booted.workload);
      if (states !== undefined && states > (largest?.states ?? 0)) largest = chosenOf(booted, booted.workload, states);
    }
  if (!largest) throw new Error('no design has any states');
  return largest;
}
