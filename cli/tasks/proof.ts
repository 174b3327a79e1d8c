/** Ask every state of a setting, up to a bound, for deadlocks. */
import { type Deadlocks, deadlocksOf } from '../../properties/search/campaign/realised.ts';
import { bootSetting } from '../designs.ts';
import type { Common } from './task.ts';

export interface ProofTask extends Common {
  readonly kind: 'proof';
  readonly maxStates: number;
}

export async function proving({ setting, maxStates }: ProofTask): Promise<Deadlocks> {
  return deadlocksOf(await bootSetting(setting), maxStates);
}
