/**
 * One batch of a campaign: some hundred runs of one setting, a function of its seed and of what the batches before it in
 * the same chain had found. It is the unit of sharding, resuming and merging.
 *
 * Runs are drawn by fast-check, a batch a call, so that its bias does not decay. Which strategy makes a run is drawn in
 * proportion to what each has found lately, with a share for everybody: a strategy that found nothing may yet.
 */
import { word } from '../../../model/case.ts';
import type { Booted } from '../../../model/design.ts';
import { groupOf } from '../../circle-of-debts.ts';
import type { Property } from '../../property.ts';
import { type CampaignRun, campaignRuns, playAll } from '../arbitraries.ts';
import { type Found, Hunt, RUN_STEPS } from '../hunt.ts';
import type { Learned, Turn, Way } from '../learned.ts';
import { Random } from '../random.ts';
import { mutated } from '../strategies/guided.ts';
import { portfolio, strategiesNamed } from '../strategies/index.ts';
import { type Lore, type Order, ordersOf } from '../strategies/lore.ts';
import type { WalkStrategy } from '../strategies/strategy.ts';
import type { ChainState, Interesting } from './chain.ts';
import { Features, placeOf } from './features.ts';

/** How rough the weather of a run is; the guarantee of PCT is about runs in calm weather. */
const WEATHERS = [0, 0.1, 0.5, 0.9] as const;
/** What every strategy gets of the runs, together, whatever it has found. */
const FOR_ALL = 0.5;

export interface BatchOptions {
  readonly seed: number;
  readonly runs: number;
  readonly properties: readonly Property[];
  /** Names of the strategies to mix; all of the portfolio when left out. */
  readonly strategies?: readonly string[];
  readonly state: ChainState;
  /** Told now and then how many runs and steps were made. */
  readonly progress?: (runs: number, steps: number) => void;
}
/** What a strategy did in a batch. */
export interface Yield {
  readonly runs: number;
  readonly steps: number;
  /** Features that it was the first to show. */
  readonly fresh: number;
}
/** A finding that is new to its chain, as it was found. */
export interface BatchFinding extends Found {
  readonly group: string;
  /** Lock classes of the objects in its circle of debts, where they are known. */
  readonly classes: readonly string[];
}
export interface BatchDone {
  readonly runs: number;
  readonly steps: number;
  readonly fresh: readonly (readonly [feature: number, run: number, times: number])[];
  readonly again: readonly (readonly [feature: number, times: number])[];
  /** The runs that showed something fresh. */
  readonly cases: readonly Interesting[];
  readonly yields: Readonly<Record<string, Yield>>;
  /** Runs of PCT in calm weather with the design's own workload, by 'depth steps'. */
  readonly pct: Readonly<Record<string, number>>;
  /** Groups of findings that were met. */
  readonly met: readonly string[];
  readonly found: readonly BatchFinding[];
  /** Fresh names: witnesses, ways that were taken, and ways that were open. */
  readonly witnesses: readonly string[];
  readonly taken: readonly string[];
  readonly offered: readonly string[];
}

/** Play one batch on a machine that may have learned from batches before it: what it learned changes nothing. */
export function playBatch(booted: Booted, learned: Learned, options: BatchOptions): BatchDone {
  const { state, properties } = options;
  const features = new Features(learned, state.seen);
  const names = new Names(features);
  const hunt = new Hunt(booted, learned, properties, groupOf, names);
  const mix = new Mix(strategiesNamed(portfolio, options.strategies), state);
  const paces = new Paces(learned.threads.length);
  const cases: Interesting[] = [];
  const pool: Interesting[] = [...state.pool];
  const circles: (readonly Order[])[] = [...state.circles];
  const pct = new Map<string, number>();
  const ownText = JSON.stringify(booted.workload);

  const one = (drawn: CampaignRun): void => {
    const random = new Random(drawn.luck);
    const strategy = mix.draw(random, pool.length > 0, circles.length > 0);
    const steps = RUN_STEPS[random.below(RUN_STEPS.length)] as number;
    const rough = WEATHERS[random.below(WEATHERS.length)] as number;
    const swarming = strategy.name === 'swarm' && random.chance(0.5);
    const parent = strategy.name === 'guided' ? pool[random.below(pool.length)] : undefined;
    const other = parent && pool[random.below(pool.length)];
    const workload = parent
      ? random.chance(0.8)
        ? parent.workload
        : drawn.workload
      : swarming
        ? drawn.narrow
        : drawn.workload;
    const own = JSON.stringify(workload) === ownText;
    const lore: Lore = {
      learned,
      rough,
      paces: paces.of(own),
      ...(swarming ? { mask: { threads: new Set(drawn.off), coin: random.below(0x7fffffff) } } : {}),
      ...(parent && other ? { script: mutated(random, parent.schedule, other.schedule) } : {}),
      ...(strategy.name === 'directed' ? { circle: circles[random.below(circles.length)] as readonly Order[] } : {}),
    };
    const before = hunt.steps;
    const groups = hunt.found.size;
    features.begin();
    const picker = strategy.begin(random, learned.threads.length, steps, lore);
    hunt.play({ workload, strategy: strategy.name, picker, steps });
    paces.note(own, hunt.walker.taken);
    mix.note(strategy.name, hunt.steps - before, features.news);
    if (picker.depth !== undefined && own && rough === 0) {
      const key = `${picker.depth} ${steps}`;
      pct.set(key, (pct.get(key) ?? 0) + 1);
    }
    if (features.news > 0) {
      const schedule = hunt.walker.taken.slice(0, features.newsAt).map(word);
      const interesting = { run: hunt.runs, strategy: strategy.name, workload, schedule };
      cases.push(interesting);
      pool.push(interesting);
    }
    if (hunt.found.size > groups)
      for (const { blame } of [...hunt.found.values()].slice(groups))
        if (blame.property === 'lock-order') circles.push(ordersOf(blame));
    if (hunt.runs % PROGRESS_EVERY === 0) options.progress?.(hunt.runs, hunt.steps);
  };
  playAll(campaignRuns(booted), options.seed, options.runs, one);

  const known = new Set(state.groups);
  return {
    runs: hunt.runs,
    steps: hunt.steps,
    fresh: features.fresh(),
    again: features.again(),
    cases,
    yields: mix.yields(),
    pct: Object.fromEntries([...pct].sort(([a], [b]) => (a < b ? -1 : 1))),
    met: [...hunt.found.keys()].sort(),
    found: [...hunt.found]
      .filter(([group]) => !known.has(group))
      .map(([group, found]) => ({
        ...found,
        group,
        classes: [...new Set(found.blame.links.flatMap(({ wait }) => features.classes.get(wait.object) ?? []))].sort(),
      })),
    witnesses: [...hunt.walker.witnesses].filter((name) => !state.witnesses.has(name)).sort(),
    ...names.fresh(state),
  };
}
const PROGRESS_EVERY = 25;

/** Which strategy makes the next run, and what each has brought. */
class Mix {
  private readonly chosen: readonly WalkStrategy[];
  private readonly shares: readonly number[];
  private readonly brought: Map<string, { runs: number; steps: number; fresh: number }>;

  constructor(chosen: readonly WalkStrategy[], { worth }: ChainState) {
    this.chosen = chosen;
    const rates = chosen.map(({ name }) => {
      const { steps, fresh } = worth[name] ?? { steps: 0, fresh: 0 };
      return (fresh + 1) / (steps + 1000);
    });
    const sum = rates.reduce((all, rate) => all + rate, 0);
    this.shares = rates.map((rate) => FOR_ALL / chosen.length + (1 - FOR_ALL) * (rate / sum));
    this.brought = new Map(chosen.map(({ name }) => [name, { runs: 0, steps: 0, fresh: 0 }]));
  }
  /** Without an interesting case there is nothing to mutate, and without a prediction nothing to aim at. */
  draw(random: Random, interesting: boolean, predicted: boolean): WalkStrategy {
    const fits = ({ name }: WalkStrategy): boolean =>
      (name !== 'guided' || interesting) && (name !== 'directed' || predicted);
    let sum = 0;
    this.chosen.forEach((each, at) => (sum += fits(each) ? (this.shares[at] as number) : 0));
    let ticket = random.fraction() * sum;
    for (const [at, each] of this.chosen.entries()) {
      if (!fits(each)) continue;
      ticket -= this.shares[at] as number;
      if (ticket < 0) return each;
    }
    return this.chosen.find(fits) ?? (portfolio[0] as WalkStrategy);
  }
  note(name: string, steps: number, fresh: number): void {
    const own = this.brought.get(name) ?? { runs: 0, steps: 0, fresh: 0 };
    own.runs += 1;
    own.steps += steps;
    own.fresh += fresh;
    this.brought.set(name, own);
  }
  yields(): Record<string, Yield> {
    return Object.fromEntries([...this.brought].filter(([, { runs }]) => runs > 0));
  }
}

/** How many steps each thread takes in a run, on average: of the design's own workload, and of all others. */
class Paces {
  private readonly sums: readonly [Float64Array, Float64Array];
  private readonly runs: [number, number] = [0, 0];
  private readonly threads: number;

  constructor(threads: number) {
    this.threads = threads;
    this.sums = [new Float64Array(threads), new Float64Array(threads)];
  }
  of(own: boolean): Float64Array {
    const which = own ? 1 : 0;
    const runs = this.runs[which];
    return runs === 0 ? new Float64Array(this.threads).fill(1) : this.sums[which].map((sum) => sum / runs);
  }
  note(own: boolean, taken: readonly Way[]): void {
    const which = own ? 1 : 0;
    this.runs[which] += 1;
    const sums = this.sums[which];
    for (const { threadAt } of taken) sums[threadAt] = (sums[threadAt] as number) + 1;
  }
}

/** Besides the features: the names of the ways that were open and of those that were taken. */
class Names {
  private readonly features: Features;
  private readonly turns = new Set<Turn>();
  private readonly ways = new Set<Way>();

  constructor(features: Features) {
    this.features = features;
  }
  looks(turns: readonly Turn[]): void {
    for (const turn of turns) this.turns.add(turn);
    this.features.looks(turns);
  }
  steps(way: Way, words: Uint16Array): void {
    this.ways.add(way);
    this.features.steps(way, words);
  }
  fresh({ taken, offered }: ChainState): { taken: string[]; offered: string[] } {
    const named = (way: Way): string => `${placeOf(way.line)}${way.outcome === '' ? '' : `/${way.outcome}`}`;
    const all = new Set([...this.ways].map(named));
    const open = new Set([...this.turns].flatMap(({ ways }) => ways.map(named)));
    return {
      taken: [...all].filter((name) => !taken.has(name)).sort(),
      offered: [...open].filter((name) => !offered.has(name)).sort(),
    };
  }
}
