/**
 * What is the chance that the next run shows something never seen? Estimated from how often things were seen once.
 *
 * Good and Turing: leave one run out, and ask whether it showed something that no other run did; over all runs, the share
 * of those that did is the chance of the last run before it was made (Good 1953; for fuzzing: Boehme, STADS, TOSEM 2018).
 * The interval is that of Esty (Annals of Statistics 1983) in the form of a score, so that it does not vanish when nothing
 * was seen once. It supposes that the next run is made like those before; a campaign that learns is better than that.
 */
export interface Residual {
  readonly chance: number;
  readonly low: number;
  readonly high: number;
}
/** Two-sided 95 %. */
const Z = 1.96;

/** @param once runs that showed something no other run did; `twice` those that shared something with one other only */
export function residual(runs: number, once: number, twice: number): Residual {
  if (runs === 0) return { chance: 1, low: 0, high: 1 };
  const centre = once + Z ** 2 / 2;
  const width = Z * Math.sqrt(once + 2 * twice + Z ** 2 / 4);
  const within = (value: number): number => Math.min(1, Math.max(0, value));
  return { chance: once / runs, low: within((centre - width) / runs), high: within((centre + width) / runs) };
}

/** How often each feature was shown, over any number of batches, and by which runs first. */
export class Sightings {
  private readonly made: number;
  private readonly times = new Map<number, number>();
  private readonly firsts = new Map<number, string>();

  /** @param runs that were made, also those that showed nothing of note */
  constructor(runs: number) {
    this.made = runs;
  }

  /** @param batch a name of its own for the batch; batches come in the same order every time */
  add(
    batch: string,
    done: {
      readonly fresh: readonly (readonly [feature: number, run: number, times: number])[];
      readonly again: readonly (readonly [feature: number, times: number])[];
    },
  ): void {
    for (const [feature, run, times] of done.fresh) {
      this.times.set(feature, (this.times.get(feature) ?? 0) + times);
      this.firsts.set(feature, `${batch} ${run}`);
    }
    for (const [feature, times] of done.again) this.times.set(feature, (this.times.get(feature) ?? 0) + times);
  }
  get count(): number {
    return this.times.size;
  }
  /** Runs that showed something that was shown in exactly so many runs. */
  runsWith(exactly: number): number {
    const runs = new Set<string>();
    for (const [feature, times] of this.times) if (times === exactly) runs.add(this.firsts.get(feature) ?? '');
    return runs.size;
  }
  residual(): Residual {
    return residual(this.made, this.runsWith(1), this.runsWith(2));
  }
}
