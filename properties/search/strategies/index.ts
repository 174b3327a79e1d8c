/** The strategies there are; one file each. */
import { breadthFirst } from './breadth-first.ts';
import { pct } from './pct.ts';
import { randomWalk } from './random.ts';
import type { Strategy } from './strategy.ts';

export const strategies: readonly Strategy[] = [randomWalk, pct, breadthFirst];
