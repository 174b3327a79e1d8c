/**
 * The shrink passes there are, in the order they are tried; one file each. A new pass is a new file and its name here.
 *
 * First what may take much away at once, then single words, then what the reader must follow, then pairs, and last the
 * order that makes equal stories equal texts. Cutting the tail is no pass: the driver does it to all that it accepts.
 */
import { dropCalls } from './drop-calls.ts';
import { dropDetours } from './drop-detours.ts';
import { dropHalves } from './drop-halves.ts';
import { dropPairs } from './drop-pairs.ts';
import { dropReboot } from './drop-reboot.ts';
import { dropThreads } from './drop-threads.ts';
import { dropUsers } from './drop-users.ts';
import { mergeSegments } from './merge-segments.ts';
import { orderThreads } from './order-threads.ts';
import type { Pass } from './pass.ts';
import { rotateLoop } from './rotate-loop.ts';
import { tameArguments } from './tame-arguments.ts';
import { tameKnobs } from './tame-knobs.ts';
import { tameOutcomes } from './tame-outcomes.ts';

export const passes: readonly Pass[] = [
  dropDetours,
  dropUsers,
  dropThreads,
  dropHalves,
  rotateLoop,
  dropCalls,
  dropReboot,
  mergeSegments,
  tameKnobs,
  tameArguments,
  tameOutcomes,
  dropPairs,
  orderThreads,
];
