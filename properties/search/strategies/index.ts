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

/** Those of the strategies there are that are named; all of them when nobody says. @throws listing them */
export function strategiesNamed<Kind extends Strategy>(
  there: readonly Kind[],
  names: readonly string[] | undefined,
): readonly Kind[] {
  if (!names) return there;
  return names.map((name) => {
    const found = there.find((each) => each.name === name);
    if (!found) throw new Error(`unknown strategy "${name}"; there are: ${there.map((each) => each.name).join(', ')}`);
    return found;
  });
}
