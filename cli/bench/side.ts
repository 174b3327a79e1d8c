/**
 * One side of one comparison, in a process of its own: `node side.js <side> <what, as JSON>` prints what it counted and
 * how long that took, without the start of the process and the loading of modules.
 */
import { type Knobs, type Workload, boot, libraryOf } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { objects as allObjects } from '../../model/objects/index.ts';
import { properties } from '../../properties/index.ts';
import { signature } from '../../properties/property.ts';
import { twoPhaseCommit } from '../../properties/search/classics/two-phase-commit.ts';
import { explore } from '../../properties/search/explore.ts';
import { fuzz } from '../../properties/search/fuzz.ts';
import { Learned } from '../../properties/search/learned.ts';
import { lean } from '../../properties/search/lean.ts';
import { plainSweep } from '../../properties/search/plain-sweep.ts';
import { strategies } from '../../properties/search/strategies/index.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { sweepWithImmer, walkWithCommands } from './rivals.ts';

export interface Task {
  /** Resource managers of two-phase commit. */
  readonly n?: number;
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
  /** Properties convicted, by signature; of circles only where both sides look for them. */
  readonly found?: readonly string[];
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}
type Counted = Omit<Told, 'wallSeconds' | 'cpuSeconds'>;

const UNBOUNDED = { maxStates: Number.MAX_SAFE_INTEGER, patient: true } as const;
/** More than any comparison has. */
const PLENTY_OF_STATES = 2_000_000;

const bootedOf = ({ design, knobs, objects }: Task) => {
  const found = designs.find(({ name }) => name === design);
  if (!found) throw new Error(`unknown design "${design}"`);
  const library = libraryOf(objects ? allObjects.filter((_, at) => objects.includes(at)) : allObjects);
  return boot(found, knobs ?? {}, library);
};
const sorted = (names: Iterable<string>): string[] => [...names].sort();

const sides: Readonly<Record<string, (task: Task) => Counted>> = {
  lean({ n = 3 }) {
    const learned = new Learned(twoPhaseCommit(n));
    const { states, transitions } = lean(learned, learned.packing.pack(learned.system.boot), UNBOUNDED);
    return { states, transitions };
  },
  full({ n = 3 }) {
    const learned = new Learned(twoPhaseCommit(n));
    const from = learned.packing.pack(learned.system.boot);
    const { store, transitions } = explore(learned, from, { ...UNBOUNDED, edges: false });
    return { states: store.count, transitions };
  },
  learned(task) {
    const booted = bootedOf(task);
    const { workload = booted.workload } = task;
    const swept = sweep(booted, properties, { workload, maxStates: PLENTY_OF_STATES });
    const found = swept.findings.filter(({ loop }) => !loop).map(({ blame }) => signature(blame));
    return { states: swept.states, transitions: swept.transitions, found: sorted(found) };
  },
  plain(task) {
    const booted = bootedOf(task);
    const swept = plainSweep(booted, properties, task.workload ?? booted.workload, PLENTY_OF_STATES);
    return { states: swept.states, transitions: swept.transitions, found: sorted(swept.found.keys()) };
  },
  immer(task) {
    const booted = bootedOf(task);
    const swept = sweepWithImmer(booted, properties, task.workload ?? booted.workload);
    return { states: swept.states, transitions: swept.transitions, found: sorted(swept.found) };
  },
  walks(task) {
    const booted = bootedOf(task);
    const { steps } = fuzz(booted, {
      seed: task.seed ?? 1,
      runs: Number.MAX_SAFE_INTEGER,
      steps: task.steps ?? 100_000,
      properties,
      workload: task.workload ?? booted.workload,
      strategies: strategies.filter(({ kind }) => kind === 'walk').map(({ name }) => name),
    });
    return { steps };
  },
  commands(task) {
    const booted = bootedOf(task);
    const { steps } = walkWithCommands(booted, properties, task.workload ?? booted.workload, {
      seed: task.seed ?? 1,
      runs: task.runs ?? 10,
    });
    return { steps };
  },
};

const [name = '', what = '{}'] = process.argv.slice(2);
const side = Object.hasOwn(sides, name) ? sides[name] : undefined;
if (!side) throw new Error(`unknown side "${name}"; there are: ${Object.keys(sides).join(', ')}`);
const begun = performance.now();
const used = process.cpuUsage();
const counted = side(JSON.parse(what) as Task);
const { user, system } = process.cpuUsage(used);
const told: Told = { ...counted, wallSeconds: (performance.now() - begun) / 1000, cpuSeconds: (user + system) / 1e6 };
console.log(JSON.stringify(told));
