/**
 * The strategies there are; one file each. A fuzz of a minute uses the first three; a campaign has the time to find out
 * which of its portfolio is worth how much.
 */
import { breadthFirst } from './breadth-first.ts';
import { directed } from './directed.ts';
import { guided } from './guided.ts';
import { pct } from './pct.ts';
import { pos } from './pos.ts';
import { randomWalk } from './random.ts';
import type { Strategy, WalkStrategy } from './strategy.ts';
import { swarm } from './swarm.ts';
import { uniformWalk } from './uniform.ts';

export const strategies: readonly Strategy[] = [randomWalk, pct, breadthFirst];
/** What a campaign mixes. */
export const portfolio: readonly WalkStrategy[] = [randomWalk, uniformWalk, pct, pos, swarm, guided, directed];
