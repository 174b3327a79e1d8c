/**
 * Play one batch of a campaign. A worker keeps the machines that it used last, with all that they learned: it changes how
 * fast a batch is played, and nothing of what is in it.
 */
import type { Booted } from '../../model/design.ts';
import { canonical } from '../../model/schema.ts';
import { type BatchDone, playBatch } from '../../properties/search/campaign/batch.ts';
import type { ChainState } from '../../properties/search/campaign/chain.ts';
import { Learned } from '../../properties/search/learned.ts';
import { kernelSystem } from '../../properties/search/system.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { type Common, add } from './task.ts';

export interface BatchTask extends Common {
  readonly kind: 'batch';
  readonly seed: number;
  readonly runs: number;
  readonly strategies: readonly string[];
  readonly state: ChainState;
  /** Goes up while the batch is under way, for whoever wants to know that it does not stand still. */
  readonly pulse?: Int32Array<SharedArrayBuffer>;
}

const MOST_MACHINES = 16;
/** A machine that has learned more ways than this begins anew: one that reads too widely would fill the memory. */
const MOST_WAYS = 1_000_000;

interface Machine {
  readonly booted: Booted;
  readonly learned: Learned;
}
/** Used last, last. */
const machines = new Map<string, Promise<Machine>>();

async function machineOf(task: BatchTask): Promise<Machine> {
  const key = canonical([task.setting.from ?? '', task.setting.design, task.setting.knobs]);
  const known = machines.get(key);
  machines.delete(key);
  const usable = known !== undefined && (await known).learned.waysMade < MOST_WAYS;
  const machine = usable
    ? known
    : bootSetting(task.setting).then((booted) => ({ booted, learned: new Learned(kernelSystem(booted.machine)) }));
  machines.set(key, machine);
  for (const oldest of machines.keys()) {
    if (machines.size <= MOST_MACHINES) break;
    machines.delete(oldest);
  }
  return machine;
}

export async function playing(task: BatchTask): Promise<BatchDone> {
  if (task.pulse) Atomics.add(task.pulse, 0, 1);
  const { booted, learned } = await machineOf(task);
  let counted = { runs: 0, steps: 0 };
  const count = (runs: number, steps: number): void => {
    add(task.counters, 'runs', runs - counted.runs);
    add(task.counters, 'steps', steps - counted.steps);
    counted = { runs, steps };
    if (task.pulse) Atomics.add(task.pulse, 0, 1);
  };
  const done = playBatch(booted, learned, {
    seed: task.seed,
    runs: task.runs,
    properties: chooseProperties(task.properties),
    strategies: task.strategies,
    state: task.state,
    progress: count,
  });
  count(done.runs, done.steps);
  return done;
}
