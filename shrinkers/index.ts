/**
 * The shrink passes there are, in the order they are tried; one file each. A new pass is a new file and its name here.
 *
 * First what did not cause the verdict, then what may take much away at once, then single words, then what the reader must
 * follow, then pairs, and last the order that makes equal stories equal texts. Cutting the tail is no pass: the driver does it to all that it accepts.
 */
import { dropCalls } from './drop-calls.ts';
import { dropDetours } from './drop-detours.ts';
import { dropHalves } from './drop-halves.ts';
import { dropObjects } from './drop-objects.ts';
import { dropOutsideCone } from './drop-outside-cone.ts';
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

/** What one look at the whole case finds: the first of all passes, and enough before a search. */
export const atOnce: readonly Pass[] = [dropOutsideCone, dropDetours];

export const passes: readonly Pass[] = [
  ...atOnce,
  dropUsers,
  dropObjects,
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
