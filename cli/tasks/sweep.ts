/** Search every state of one setting, with the storage, order and limits that were chosen. */
import { existsSync, rmSync } from 'node:fs';
import { start } from '../../model/design.ts';
import { canonical } from '../../model/schema.ts';
import { Learned } from '../../properties/search/learned.ts';
import type { Reductions } from '../../properties/search/reductions/reductions.ts';
import { Foresight } from '../../properties/search/stateless/estimate-states.ts';
import { systemHash } from '../../properties/search/storage/checkpoint.ts';
import { type How, searchBy } from '../../properties/search/storage/how.ts';
import { type Sweep, type SweepSearch, sweep } from '../../properties/search/sweep.ts';
import { kernelSystem } from '../../properties/search/system.ts';
import { checkpointEvery, readCheckpoint } from '../checkpoint.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { sweepSetting } from '../searchable.ts';
import { type Common, type Confirmed, confirmedBy, countOf, counting, set } from './task.ts';

export interface SweepTask extends Common {
  readonly kind: 'sweep';
  readonly maxStates: number;
  readonly verifyEvery: number;
  readonly patient: boolean;
  readonly how: How;
  readonly reduce: boolean | Reductions;
  /** Go on from this file if it is there, and write the search to it now and then. */
  readonly checkpoint?: string;
  /** Say how far it is going: it is the only search there is. */
  readonly foresees: boolean;
  /** Threads that may share the search, where it can be shared. */
  readonly threads: number;
}

export interface SweepDone extends Omit<Sweep, 'findings' | 'witnesses'> {
  readonly findings: readonly Confirmed[];
  readonly witnesses: readonly string[];
  /** Warnings on the way: a checkpoint that could not be written. */
  readonly warnings: readonly string[];
}

/** What chance of an estimate comes from. */
export const ESTIMATE_SEED = 1;
/** Seconds between two checkpoints. */
const CHECKPOINT_SECONDS = 30;

export async function sweeping(task: SweepTask): Promise<SweepDone> {
  const { setting, counters, maxStates, verifyEvery, patient, how, reduce, checkpoint, threads } = task;
  const booted = await bootSetting(setting);
  const props = chooseProperties(task.properties);
  const count = counting(counters);
  const foresight = task.foresees
    ? new Foresight(
        () => new Learned(kernelSystem(booted.machine)) as unknown as Learned<object, unknown>,
        ({ packing }) => packing.pack(start(booted, booted.workload)),
        { patient, seed: ESTIMATE_SEED },
      )
    : undefined;
  let level = -1;
  const progress = (states: number, expanded: number, depth: number): void => {
    count(states, expanded);
    if (!foresight || depth === level) return;
    level = depth;
    foresight.note(states, depth);
    const all = foresight.guess();
    set(counters, 'depth', depth);
    if (!all) return;
    set(counters, 'low', all.low);
    set(counters, 'high', all.high);
    set(counters, 'all', all.estimate);
  };
  const warnings: string[] = [];
  const search = (): SweepSearch | undefined => {
    if (checkpoint === undefined)
      return how.storage === 'full' && how.order === 'breadth' && how.maxBytes === undefined
        ? undefined
        : searchBy(how);
    const about = {
      design: setting.design,
      system: systemHash(kernelSystem(booted.machine), booted.machine.programs),
      workload: canonical(booted.workload),
      properties: props.map(({ name }) => name).join(' '),
      storage: how.storage,
      time: patient ? 'patient' : 'any',
    };
    const between = checkpointEvery(
      CHECKPOINT_SECONDS,
      checkpoint,
      about,
      (line) => warnings.push(line),
      () => countOf(counters, 'stop') > 0,
    );
    return searchBy(how, { between, ...(existsSync(checkpoint) ? { resume: readCheckpoint(checkpoint, about) } : {}) });
  };
  const by = search();
  const shared = how.storage === 'fingerprints' && how.order === 'breadth' && checkpoint === undefined;
  const limits = { maxStates, ...(how.maxBytes === undefined ? {} : { maxBytes: how.maxBytes }) };
  const swept = shared
    ? await sweepSetting(setting, props, threads, { ...limits, patient, progress })
    : sweep(booted, props, { maxStates, verifyEvery, patient, reduce, progress, ...(by ? { search: by } : {}) });
  count(swept.states);
  if (checkpoint !== undefined && swept.expanded === swept.states) rmSync(checkpoint, { force: true });
  return {
    ...swept,
    findings: confirmedBy(booted, swept.findings, props, patient),
    witnesses: [...swept.witnesses].sort(),
    warnings,
  };
}
