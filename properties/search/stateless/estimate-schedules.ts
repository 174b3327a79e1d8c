/**
 * How many schedules will the stateless search take? Asked before a long run, and answered with error bars.
 *
 * A random walk that multiplies by the number of branches it could have taken estimates without bias how many schedules
 * there are (D. E. Knuth, Estimating the efficiency of backtrack programs, 1975). To count their sorts it also divides,
 * after every step, by the number of steps that could just as well have been the last one: those that nothing depends
 * on yet. Walked backwards that is a random choice among them, and over all schedules of one sort its chances add up to
 * one. Unlike a walk down the tree that sleep sets leave, no such walk ends in vain.
 *
 * Products are small mostly and huge at times. So many walks go side by side, and now and then those of little weight
 * give their place to copies of heavy ones (sequential Monte Carlo), which leaves the expectation as it is. One such
 * population is a round; the spread of the rounds (Welford's running variance) gives the interval.
 */
import { type Learned, type Way, apply } from '../learned.ts';
import { Random } from '../random.ts';
import { Footprints, type Mask, type Stand, meets } from './footprints.ts';
import { type SchedulesOptions, schedules } from './schedules.ts';

export interface Estimate {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** How it was made, in a sentence. */
  readonly how: string;
  /** Steps that the estimate itself took. */
  readonly steps: number;
}
export interface SchedulesEstimate extends Estimate {
  /**
   * Steps that the search will take, roughly: the beginnings of schedules of different sorts, which are the steps of a
   * search that explores every process; or all schedules taken one by one, if that is less. What it begins in vain is
   * not counted.
   */
  readonly searchSteps: number;
}
export interface EstimateOptions<F> extends Pick<SchedulesOptions<F>, 'patient' | 'rests' | 'asks'> {
  readonly seed: number;
  readonly rounds?: number;
  /** Walks of one round. */
  readonly walks?: number;
  /** Steps of one schedule; if walks are longer, there is no estimate. */
  readonly maxDepth?: number;
}

const ROUNDS = 16;
const WALKS = 512;
const MAX_DEPTH = 2_000;
/** Standard errors to either side, as a factor. Rounds are skewed, so this is wider than it would be for normal ones. */
const ERRORS = 4;
/** What sums of products of fractions may be off by. */
const ROUNDING = 1e-9;

export function estimateSchedules<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: EstimateOptions<F>,
): SchedulesEstimate {
  const { seed, rounds = ROUNDS, walks = WALKS, maxDepth = MAX_DEPTH } = options;
  const sampler = new Sampler(learned, options, new Random(seed));
  let mean = 0;
  let squares = 0;
  let beginnings = 0;
  let lengths = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const { sorts, steps, length, cut } = sampler.round(from, walks, maxDepth);
    if (cut)
      return {
        ...{ estimate: Infinity, low: 1, high: Infinity, steps: sampler.steps, searchSteps: Infinity },
        how: `of ${walks} random walks some are longer than ${maxDepth} steps: the workload may not end`,
      };
    const off = sorts - mean;
    mean += off / round;
    squares += off * (sorts - mean);
    beginnings += (steps - beginnings) / round;
    lengths += (length - lengths) / round;
  }
  const error = Math.sqrt(squares / Math.max(1, rounds - 1) / rounds);
  return {
    estimate: Math.round(mean),
    low: Math.max(1, Math.floor(((mean * mean) / (mean + ERRORS * error)) * (1 + ROUNDING))),
    high: Math.ceil((mean + ERRORS * error) * (1 - ROUNDING)),
    how: `${rounds} rounds of ${walks} random walks`,
    steps: sampler.steps,
    searchSteps: Math.round(Math.min(beginnings, lengths)),
  };
}

/** A step that nothing depends on yet: it could have been the last. */
interface Loose {
  readonly mover: number;
  readonly reads: Mask;
  readonly writes: Mask;
}
interface Walk {
  readonly words: Uint16Array;
  readonly loose: readonly Loose[];
}

class Sampler<S extends object, F> {
  steps = 0;
  private readonly footprints: Footprints<S, F>;
  private readonly random: Random;
  private readonly stands: Stand<F>[] = [];

  constructor(learned: Learned<S, F>, { patient, rests = false, asks }: EstimateOptions<F>, random: Random) {
    this.footprints = new Footprints(learned, { patient, rests, asks });
    this.random = random;
  }

  /** One population of walks: estimates of how many sorts there are, of their beginnings, and of their lengths in all. */
  round(
    from: Uint16Array,
    walks: number,
    maxDepth: number,
  ): { sorts: number; steps: number; length: number; cut: boolean } {
    let population: Walk[] = Array.from({ length: walks }, () => ({ words: from, loose: [] }));
    let each = 1 / walks; // what one walk stands for
    let sorts = 0;
    let steps = 0;
    let length = 0;
    for (let depth = 0; population.length > 0; depth += 1) {
      if (depth > maxDepth) return { sorts, steps, length, cut: true };
      const next: Walk[] = [];
      const weights: number[] = [];
      for (const walk of population) {
        const branches = this.look(walk);
        const taken = branches === 0 ? walk : this.take(walk, this.random.below(branches));
        const weight = branches === 0 ? 1 : branches / taken.loose.length;
        if (taken.words === walk.words) {
          sorts += each * weight;
          length += each * weight * depth;
        } else {
          steps += each * weight;
          next.push(taken);
          weights.push(weight);
        }
      }
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      each *= total / walks;
      population = this.drawn(next, weights, total, next.length === 0 ? 0 : walks);
    }
    return { sorts, steps, length, cut: false };
  }

  /** As many walks, each as often as its weight asks for: evenly spaced marks over the weights laid end to end. */
  private drawn(walks: readonly Walk[], weights: readonly number[], total: number, count: number): Walk[] {
    const drawn: Walk[] = [];
    const start = this.random.below(1_000_000) / 1_000_000;
    let at = -1;
    let reached = 0;
    for (let mark = 0; mark < count; mark += 1) {
      while (reached <= ((mark + start) / count) * total && at < walks.length - 1) {
        at += 1;
        reached += weights[at] as number;
      }
      drawn.push(walks[at] as Walk);
    }
    return drawn;
  }

  /** How many branches there are here. */
  private look({ words }: Walk): number {
    this.footprints.look(words, this.stands);
    return this.stands.reduce((sum, { ways }) => sum + ways.length, 0);
  }
  /** Take a branch; a walk that comes to rest stays where it is. */
  private take({ words, loose }: Walk, branch: number): Walk {
    let nth = branch;
    let mover = 0;
    while (nth >= (this.stands[mover] as Stand<F>).ways.length) {
      nth -= (this.stands[mover] as Stand<F>).ways.length;
      mover += 1;
    }
    const { ways, reads, writes } = this.stands[mover] as Stand<F>;
    const way = ways[nth] as Way<F>;
    const step: Loose = { mover, reads, writes: writes[nth] as Mask };
    const still = loose.filter(
      (other) => other.mover !== mover && !meets(other.writes, step.reads) && !meets(step.writes, other.reads),
    );
    if (way.id < 0) return { words, loose: [step] };
    this.steps += 1;
    const after = words.slice();
    apply(way, after, 0);
    return { words: after, loose: [...still, step] };
  }
}

/**
 * Steps that the search takes in a second, from a short run of it: what turns an estimate of steps into one of time.
 * @param clock milliseconds that go on; the engine has no clock of its own
 */
export function pace<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  options: Omit<SchedulesOptions<F>, 'maxSteps'>,
  clock: () => number,
  maxSteps = 20_000,
): number {
  schedules(learned, from, { ...options, maxSteps }); // learn first: a long run hardly ever does
  const before = clock();
  const { steps } = schedules(learned, from, { ...options, maxSteps });
  return (steps / Math.max(clock() - before, 0.001)) * 1000;
}
