/**
 * The records of a campaign, as much of them as has to be kept in memory. A night has hundreds of thousands of batches, and
 * almost all of them bring nothing new: of those only sums are kept. Nothing here depends on the order in which they come.
 */
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import type { BatchRecord, BrokenRecord, CanaryRecord, ProofRecord, Record as Line, ShrunkRecord } from './journal.ts';

/** What batches add up to. */
export interface Tally {
  batches: number;
  runs: number;
  steps: number;
  /** Batches that met each group of findings. */
  readonly met: Map<string, number>;
  /** Runs of PCT, by depth and length. */
  readonly pct: Map<string, number>;
  readonly yields: Map<string, { runs: number; steps: number; fresh: number }>;
}
const noTally = (): Tally => ({ batches: 0, runs: 0, steps: 0, met: new Map(), pct: new Map(), yields: new Map() });

export class Records {
  readonly broken: BrokenRecord[] = [];
  readonly shrunk = new Map<string, ShrunkRecord>();
  readonly proofs = new Map<number, ProofRecord>();
  canary: CanaryRecord | undefined;
  private readonly settings: number;
  private readonly tallies = new Map<number, Tally>();
  private readonly withNews = new Map<number, BatchRecord[]>();

  /** @param settings how many settings the plan has: batches are kept by setting */
  constructor(settings: number) {
    this.settings = settings;
  }

  /** Take in a record; each batch may come once only. */
  add(record: Line): void {
    switch (record.kind) {
      case 'batch':
        this.addBatch(record);
        return;
      case 'broken':
        this.broken.push(record);
        this.broken.sort((a, b) => a.chain - b.chain || a.round - b.round);
        return;
      case 'shrunk':
        this.shrunk.set(record.of, record);
        return;
      case 'proof':
        this.proofs.set(record.setting, record);
        return;
      case 'canary':
        this.canary = record;
    }
  }

  /** What the batches of a setting add up to; nothing when there are none. */
  tally(setting: number): Tally | undefined {
    return this.tallies.get(setting);
  }
  /** The batches of a setting that brought anything new to their chain, by chain and round. */
  news(setting: number): readonly BatchRecord[] {
    return (this.withNews.get(setting) ?? []).toSorted((a, b) => a.chain - b.chain || a.round - b.round);
  }

  private addBatch(record: BatchRecord): void {
    const { done } = record;
    const setting = record.chain % this.settings;
    const tally = this.tallies.get(setting) ?? noTally();
    this.tallies.set(setting, tally);
    tally.batches += 1;
    tally.runs += done.runs;
    tally.steps += done.steps;
    for (const group of done.met) tally.met.set(group, (tally.met.get(group) ?? 0) + 1);
    for (const [key, runs] of Object.entries(done.pct)) tally.pct.set(key, (tally.pct.get(key) ?? 0) + runs);
    for (const [name, { runs, steps, fresh }] of Object.entries(done.yields)) {
      const own = tally.yields.get(name) ?? { runs: 0, steps: 0, fresh: 0 };
      tally.yields.set(name, { runs: own.runs + runs, steps: own.steps + steps, fresh: own.fresh + fresh });
    }
    if (!bringsNews(done)) return;
    const news = this.withNews.get(setting) ?? [];
    this.withNews.set(setting, news);
    news.push(record);
  }
}

const bringsNews = ({ fresh, again, found, witnesses, taken, offered }: BatchDone): boolean =>
  [fresh, again, found, witnesses, taken, offered].some((each) => each.length > 0);
