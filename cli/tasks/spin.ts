/** Have Spin count again what was learned of one setting. */
import { showKnobs, start } from '../../model/design.ts';
import { Learned } from '../../properties/search/learned.ts';
import { countOf, difference, promela, recount } from '../../properties/search/promela.ts';
import { kernelSystem } from '../../properties/search/system.ts';
import { bootSetting } from '../designs.ts';
import { spinRun } from '../spin.ts';
import type { Common } from './task.ts';

export interface SpinTask extends Common {
  readonly kind: 'spin';
  readonly patient: boolean;
  readonly maxStates: number;
}

export interface SpinDone {
  /** The model that Spin was given. */
  readonly promela: string;
  readonly states: number;
  /** In what the counts differ, or why there is none; nothing when they agree. */
  readonly difference?: string;
}

export async function spinning({ setting, patient, maxStates }: SpinTask): Promise<SpinDone> {
  const { machine, workload, ...booted } = await bootSetting(setting);
  const learned = new Learned(kernelSystem(machine));
  const from = learned.packing.pack(start({ ...booted, machine, workload }, workload));
  const ours = countOf(learned, from, { patient, maxStates });
  const title = `${setting.design} ${showKnobs(setting.knobs)}`.trim();
  const differences = (['stuck', 'resting'] as const).flatMap((errors) => {
    const text = promela(learned, from, { patient, errors, title });
    return difference(ours, recount(text, { run: spinRun(ours.states) }), errors) ?? [];
  });
  return {
    promela: promela(learned, from, { patient, title }),
    states: ours.states,
    ...(differences.length > 0 ? { difference: differences.join('; ') } : {}),
  };
}
