/**
 * The engine of a campaign: hands out batches, writes down what comes back before anything else is done with it, and has
 * findings shrunk. What it knows it could read from the journal at any moment, so it may be killed at any moment.
 *
 * It does not know who plays: workers of this process, or of other machines (player.ts).
 */
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import { Chain, type ChainState } from '../../properties/search/campaign/chain.ts';
import { makesReal } from '../../properties/search/campaign/realised.ts';
import type { Deadlocks } from '../../properties/search/campaign/realised.ts';
import type { ShrinkDone } from '../tasks/shrink.ts';
import type { Record as Line } from './journal.ts';
import { type Plan, chainsOf, roundsWithin, turnOf } from './plan.ts';
import { Records } from './records.ts';
import { type Raw, hashOfRaw, rawFindings } from './summary.ts';

/** Whoever plays batches; each promise comes to an end, with the answer or with what went wrong with the harness. */
export interface Player {
  /** How many things it can do at a time. */
  readonly width: number;
  batch(chain: number, round: number, state: ChainState): Promise<BatchDone>;
  shrink(setting: number, raw: Raw): Promise<ShrinkDone>;
  proof(setting: number): Promise<Deadlocks>;
}

/** When a campaign is over, of itself. */
export type Until =
  | { readonly kind: 'stale' }
  | { readonly kind: 'runs'; readonly runs: number }
  | { readonly kind: 'time'; readonly ms: number };

/** Part `at` of `of`, from 1: the chains that this process plays. */
export interface Shard {
  readonly at: number;
  readonly of: number;
}

export interface EngineOptions {
  readonly plan: Plan;
  readonly shard: Shard;
  readonly until: Until;
  /** Write it down; everything else comes after. */
  readonly append: (record: Line) => void;
  /** Does the corpus have such a finding at this setting? Then it need not be shrunk. */
  readonly known: (setting: number, raw: Raw) => Promise<boolean>;
  /** A finding that is new here: raw, and again when it is shrunk. */
  readonly found: (setting: number, raw: Raw, shrunk?: ShrinkDone) => Promise<void>;
  readonly warn: (line: string) => void;
}

/** Batches in a row that cannot be played before a chain is given up. */
const MOST_BROKEN = 2;
/** Shrinking comes across other bugs, which are shrunk in turn, so often at most. */
const MOST_ROUNDS = 3;

type Job =
  | { readonly kind: 'batch'; readonly chain: number }
  | { readonly kind: 'shrink'; readonly setting: number; readonly raw: Raw }
  | { readonly kind: 'proof'; readonly setting: number };

export class Engine {
  readonly chains: ReadonlyMap<number, Chain>;
  readonly records: Records;
  /** Batches under way. */
  busy = 0;
  private readonly options: EngineOptions;
  private readonly player: Player;
  private readonly taken = new Set<number>();
  private readonly queue: Job[] = [];
  /** Findings that were met, by setting and group. */
  private readonly met = new Set<string>();
  private stopped = false;
  private ending = false;
  private readonly sleeping: (() => void)[] = [];

  constructor(options: EngineOptions, player: Player) {
    this.options = options;
    this.player = player;
    const { plan, shard } = options;
    this.records = new Records(plan.settings.length);
    const mine = Array.from({ length: chainsOf(plan) }, (_, chain) => chain).filter(
      (chain) => chain % shard.of === shard.at - 1,
    );
    this.chains = new Map(mine.map((chain) => [chain, new Chain()]));
  }

  /** A record that was written before this session began; those of a chain come in the order of its rounds. */
  recall(record: Line): void {
    this.records.add(record);
    if (record.kind === 'broken') this.chains.get(record.chain)?.skip();
    if (record.kind !== 'batch') return;
    this.chains.get(record.chain)?.add(record.done);
    for (const { group } of record.done.found)
      this.met.add(`${record.chain % this.options.plan.settings.length} ${group}`);
  }

  /** Time is over: no further batch, but the end is played. */
  enough(): void {
    this.ending = true;
    this.wake();
  }
  /** Interrupted: nothing further; what is under way comes to its end. */
  stop(): void {
    this.stopped = true;
    this.wake();
  }

  /** Play until it is over; then have shrunk and asked what is not yet. */
  async run(): Promise<void> {
    await this.lanes();
    this.ending = true;
    for (let round = 0; round < MOST_ROUNDS && !this.stopped; round += 1) {
      await this.outstanding();
      if (this.queue.length === 0) return;
      await this.lanes();
    }
  }

  private async lanes(): Promise<void> {
    await Promise.all(Array.from({ length: this.player.width }, () => this.lane()));
  }
  private async lane(): Promise<void> {
    while (!this.stopped) {
      const job = this.next();
      if (job) {
        this.busy += 1;
        await this.perform(job);
        this.busy -= 1;
        this.wake();
      } else if (this.busy > 0) {
        await new Promise<void>((resolve) => this.sleeping.push(resolve));
      } else {
        return;
      }
    }
  }
  /** Batches are over; what they found is being shrunk and settled. */
  get settling(): boolean {
    return this.ending && this.busy > 0;
  }

  private wake(): void {
    for (const resolve of this.sleeping.splice(0)) resolve();
  }
  private next(): Job | undefined {
    const waiting = this.queue.shift();
    if (waiting || this.ending) return waiting;
    let best: number | undefined;
    let turn = Infinity;
    for (const [chain, state] of this.chains) {
      if (this.taken.has(chain) || this.over(chain, state)) continue;
      const its = turnOf(state.rounds);
      if (its < turn) [best, turn] = [chain, its];
    }
    if (best === undefined) return undefined;
    this.taken.add(best);
    return { kind: 'batch', chain: best };
  }
  private over(chain: number, state: Chain): boolean {
    const { plan, until } = this.options;
    if (state.brokenInARow >= MOST_BROKEN) return true;
    if (until.kind === 'stale') return state.stale;
    return until.kind === 'runs' && state.rounds >= roundsWithin(plan, chain, Math.ceil(until.runs / plan.runs));
  }

  private async perform(job: Job): Promise<void> {
    switch (job.kind) {
      case 'batch':
        await this.play(job.chain);
        this.taken.delete(job.chain);
        return;
      case 'shrink':
        return this.shrink(job.setting, job.raw);
      case 'proof':
        return this.prove(job.setting);
    }
  }
  append(record: Line): void {
    this.records.add(record);
    this.options.append(record);
  }

  private async play(number: number): Promise<void> {
    const chain = this.chains.get(number) as Chain;
    const round = chain.rounds;
    const { plan, known, found } = this.options;
    let done: BatchDone;
    try {
      done = await this.player.batch(number, round, chain);
    } catch (error) {
      if (this.stopped) return; // it was taken back
      const why = (error as Error).message;
      this.append({ kind: 'broken', chain: number, round, why });
      chain.skip();
      this.options.warn(`batch ${number}.${round} cannot be played: ${why}`);
      return;
    }
    this.append({ kind: 'batch', chain: number, round, done });
    chain.add(done);
    const setting = number % plan.settings.length;
    for (const { group, blame, run, strategy, runs, steps, classes } of done.found) {
      const key = `${setting} ${group}`;
      if (this.met.has(key)) continue;
      this.met.add(key);
      const raw = { group, blame, run, strategy, runs, steps, classes, seed: plan.seed };
      await found(setting, raw);
      if (!(await known(setting, raw))) this.queue.push({ kind: 'shrink', setting, raw });
    }
  }
  private async shrink(setting: number, raw: Raw): Promise<void> {
    try {
      const done = await this.player.shrink(setting, raw);
      const { run, shortest, others } = done;
      this.append({ kind: 'shrunk', of: hashOfRaw(raw), run, shortest, others });
      await this.options.found(setting, raw, done);
    } catch (error) {
      if (!this.stopped) this.options.warn(`a finding could not be shrunk: ${(error as Error).message}`);
    }
  }
  private async prove(setting: number): Promise<void> {
    try {
      this.append({ kind: 'proof', setting, ...(await this.player.proof(setting)) });
    } catch (error) {
      if (!this.stopped) this.options.warn(`a prediction could not be settled: ${(error as Error).message}`);
    }
  }

  /** What is still to be done for the report: of the set of batches, not of the order in which they came. */
  private async outstanding(): Promise<void> {
    const { plan, known } = this.options;
    const { records } = this;
    for (const [setting, groups] of rawFindings(plan, records)) {
      const raws = [...groups.values()];
      for (const raw of raws)
        if (!records.shrunk.has(hashOfRaw(raw)) && !(await known(setting, raw)))
          this.queue.push({ kind: 'shrink', setting, raw });
      const open = raws.some(
        ({ blame }) =>
          blame.property === 'lock-order' &&
          !raws.some(
            (each) =>
              each.blame.property === 'no-deadlock' &&
              makesReal(
                each,
                blame.links.map(({ who }) => who),
              ),
          ),
      );
      if (open && !records.proofs.has(setting)) this.queue.push({ kind: 'proof', setting });
    }
  }
}
