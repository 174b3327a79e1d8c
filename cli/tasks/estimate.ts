/** How much there is to search at one setting, before it is searched. */
import { start } from '../../model/design.ts';
import { StepJudges } from '../../properties/search/judges.ts';
import { Learned } from '../../properties/search/learned.ts';
import { type SchedulesEstimate, estimateSchedules } from '../../properties/search/stateless/estimate-schedules.ts';
import { type StatesEstimate, estimateStates } from '../../properties/search/stateless/estimate-states.ts';
import { kernelSystem } from '../../properties/search/system.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { ESTIMATE_SEED } from './sweep.ts';
import type { Common } from './task.ts';

export interface EstimateTask extends Common {
  readonly kind: 'estimate';
  readonly patient: boolean;
}

export interface EstimateDone {
  readonly states: StatesEstimate;
  readonly schedules: SchedulesEstimate;
}

export async function estimating({ setting, properties, patient }: EstimateTask): Promise<EstimateDone> {
  const booted = await bootSetting(setting);
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, booted.workload));
  const judges = new StepJudges(booted.machine, learned, chooseProperties(properties));
  const usual = { patient, seed: ESTIMATE_SEED };
  return {
    states: estimateStates(learned, from, usual),
    schedules: estimateSchedules(learned, from, {
      ...usual,
      rests: true,
      asks: (way, words) => judges.slots(way, words),
    }),
  };
}
