/** Search the schedules of one setting's workload, without remembering states. */
import { type JudgedSchedules, judgedSchedules } from '../../properties/search/stateless/judged-schedules.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { type Common, type Confirmed, confirmedBy, counting } from './task.ts';

export interface SchedulesTask extends Common {
  readonly kind: 'schedules';
  readonly patient: boolean;
  readonly maxSteps: number;
}

export interface SchedulesDone extends Omit<JudgedSchedules, 'findings' | 'witnesses'> {
  readonly findings: readonly Confirmed[];
  readonly witnesses: readonly string[];
}

export async function scheduling({
  setting,
  properties,
  counters,
  patient,
  maxSteps,
}: SchedulesTask): Promise<SchedulesDone> {
  const booted = await bootSetting(setting);
  const props = chooseProperties(properties);
  const judged = judgedSchedules(booted, props, { patient, maxSteps, progress: counting(counters) });
  return {
    ...judged,
    findings: confirmedBy(booted, judged.findings, props, patient),
    witnesses: [...judged.witnesses].sort(),
  };
}
