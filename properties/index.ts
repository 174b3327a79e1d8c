/** The properties there are; one file each. A new property is a new file and its name here. */
import { apiContract } from './api-contract.ts';
import { contentsKept } from './contents-kept.ts';
import { fenceSignals } from './fence-signals.ts';
import { implicitSync } from './implicit-sync.ts';
import { innocentNotPunished } from './innocent-not-punished.ts';
import { lockOrder } from './lock-order.ts';
import { noAllocInSignalling } from './no-alloc-in-signalling.ts';
import { noDeadlock } from './no-deadlock.ts';
import { noLeak } from './no-leak.ts';
import { noLivelock } from './no-livelock.ts';
import { noNeedlessWork } from './no-needless-work.ts';
import { noStaleAccess } from './no-stale-access.ts';
import type { Property } from './property.ts';
import { ttmState } from './ttm-state.ts';

export const properties: readonly Property[] = [
  fenceSignals,
  noAllocInSignalling,
  noDeadlock,
  lockOrder,
  noLivelock,
  innocentNotPunished,
  implicitSync,
  noStaleAccess,
  contentsKept,
  ttmState,
  noNeedlessWork,
  noLeak,
  apiContract,
];
