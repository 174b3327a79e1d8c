/** What one setting costs at most. */
import { type Cost, costs } from '../../properties/search/cost.ts';
import { bootSetting } from '../designs.ts';
import type { Common } from './task.ts';

export interface CostTask extends Common {
  readonly kind: 'cost';
  readonly maxStates: number;
  readonly patient: boolean;
}

export interface CostDone {
  /** Nothing when there are too many states to say. */
  readonly costs?: readonly Cost[];
}

export async function costing({ setting, maxStates, patient }: CostTask): Promise<CostDone> {
  const all = costs(await bootSetting(setting), { maxStates, patient });
  return all ? { costs: all } : {};
}
