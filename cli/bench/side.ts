/**
 * One side of one comparison, in a process of its own: `node side.js <side> <what, as JSON>` prints what it counted and
 * how long that took, without the start of the process and the loading of modules. Of modules it loads what it needs.
 */
import type { Knobs, Workload } from '../../model/design.ts';
import type { Mode } from '../../properties/search/storage/seen.ts';

export interface Task {
  /** Resource managers of two-phase commit. */
  readonly n?: number;
  readonly mode?: Mode;
  readonly workers?: number;
  /** Fairness constraints: how many, and whether they are strong. */
  readonly constraints?: number;
  readonly strong?: boolean;
  readonly design?: string;
  readonly knobs?: Knobs;
  readonly workload?: Workload;
  /** Boot out of these kernel objects only, by their place in the list of all. */
  readonly objects?: readonly number[];
  readonly seed?: number;
  readonly runs?: number;
  readonly steps?: number;
}
/** What one side says of its work; the sides of one comparison must say the same, except how long it took. */
export interface Told {
  readonly states?: number;
  readonly transitions?: number;
  readonly steps?: number;
  /** Steps of the longest shortest way to a state, where that is told. */
  readonly depth?: number;
  /** Properties convicted, by signature; of circles only where both sides look for them. */
  readonly found?: readonly string[];
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}
export type Counted = Omit<Told, 'wallSeconds' | 'cpuSeconds'>;

export type Sides = Readonly<Record<string, (task: Task) => Counted | Promise<Counted>>>;

const [name = '', what = '{}'] = process.argv.slice(2);
const searches = ['search', 'together', 'orbits', 'fairness'];
const sides: Sides = searches.includes(name)
  ? (await import('./search-sides.ts')).searchSides
  : (await import('./design-sides.ts')).designSides;
const side = Object.hasOwn(sides, name) ? sides[name] : undefined;
if (!side) throw new Error(`unknown side "${name}"; there are: ${Object.keys(sides).join(', ')}`);
const begun = performance.now();
const used = process.cpuUsage();
const counted = await side(JSON.parse(what) as Task);
const { user, system } = process.cpuUsage(used);
const told: Told = { ...counted, wallSeconds: (performance.now() - begun) / 1000, cpuSeconds: (user + system) / 1e6 };
console.log(JSON.stringify(told));
