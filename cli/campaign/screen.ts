/**
 * What a person sees of a campaign while it goes on: some calm lines that are redrawn in place on a terminal, one plain
 * line now and then in a log, one JSON object an event for a program. None of it is in the report.
 */
import { type Knobs, showKnobs } from '../../model/design.ts';
import type { Summary } from '../../reports/campaign.ts';
import { grouped } from '../../reports/row.ts';
import { Progress, took } from '../progress.ts';
import { type Terminal, print } from '../terminal.ts';
import type { Engine, Until } from './engine.ts';
import type { Record as Line } from './journal.ts';
import { type Plan, chainsOf } from './plan.ts';

const REDRAW_MS = 500;
/** Points of the curve of coverage, and what each of them looks like from low to high. */
const POINTS = 24;
const BARS = '▁▂▃▄▅▆▇█';
/** Strategies whose yields are shown. */
const BEST = 5;
const EVENT_EVERY_MS = 10_000;

export interface FoundEvent {
  readonly news: 'new' | 'variant' | 'known';
  readonly shrunk: boolean;
  readonly design: string;
  readonly knobs: Knobs;
  readonly signature: string;
  readonly what: string;
  readonly words: number;
  readonly path?: string;
  readonly replay?: string;
}

export class Screen {
  /** Batches of this session. */
  batches = 0;
  private readonly terminal: Terminal;
  private readonly plan: Plan;
  private readonly until: Until;
  private readonly json: boolean;
  private readonly made: () => number;
  private readonly started = Date.now();
  private engine: Engine | undefined;
  private progress: Progress | undefined;
  private readonly counts = { runs: 0, features: 0, new: 0, variant: 0, known: 0, broken: 0 };
  private readonly brought = new Map<string, { steps: number; fresh: number }>();
  /** Features found by this session, moment by moment. */
  private readonly growth: { readonly at: number; readonly features: number }[] = [];
  private eventAt = 0;

  /** @param made how many runs this session has made */
  constructor(terminal: Terminal, plan: Plan, until: Until, json: boolean, made: () => number) {
    this.terminal = terminal;
    this.plan = plan;
    this.until = until;
    this.json = json;
    this.made = made;
  }
  get elapsed(): number {
    return Date.now() - this.started;
  }

  begin(engine: Engine): void {
    this.engine = engine;
    for (let setting = 0; setting < this.plan.settings.length; setting += 1) {
      const before = engine.records.tally(setting);
      this.counts.runs += before?.runs ?? 0;
      for (const [name, { steps, fresh }] of before?.yields ?? []) {
        this.counts.features += fresh;
        this.bring(name, steps, fresh);
      }
    }
    this.event({ event: 'begin', settings: this.plan.settings.length, chains: engine.chains.size, until: this.until });
    this.progress = new Progress(this.terminal, () => this.draw(), REDRAW_MS);
  }
  note(record: Line): void {
    this.count(record);
    this.growth.push({ at: this.elapsed, features: this.counts.features });
    if (this.growth.length > POINTS * 64)
      this.growth.splice(0, this.growth.length, ...this.growth.filter((_, at) => at % 2 === 0));
    if (!this.json || Date.now() - this.eventAt < EVENT_EVERY_MS) return;
    this.eventAt = Date.now();
    this.event({ event: 'progress', elapsed: this.elapsed, batches: this.batches, ...this.counts });
  }
  found(found: FoundEvent): void {
    if (!found.shrunk) this.counts[found.news] += 1;
    this.event({ event: 'finding', ...found });
    if (this.json || found.news !== 'new') return;
    const { paint } = this.terminal.look;
    const { design, knobs, signature, words, path, replay } = found;
    const where = `${`${design} ${showKnobs(knobs)}`.trim()}: ${signature}`;
    this.terminal.say(
      found.shrunk
        ? `${paint('dim', 'shrunk')} ${where} to ${words} words: ${replay}`
        : `${paint('bad', 'new')}    ${where} in ${words} words: ${path}`,
    );
  }
  end(): void {
    this.progress?.end();
  }
  report(summary: Summary, text: string): void {
    if (this.json) this.event({ event: 'report', report: summary });
    else this.terminal.say(`\n${text}\n`);
  }
  /** Why it is over, and how to go on. */
  over(why: string): void {
    if (this.json) this.event({ event: 'over', why });
    else this.terminal.say(why);
  }

  private event(what: object): void {
    if (this.json) print(this.terminal, JSON.stringify(what));
  }
  private count(record: Line): void {
    if (record.kind === 'broken') this.counts.broken += 1;
    if (record.kind !== 'batch') return;
    this.batches += 1;
    this.counts.runs += record.done.runs;
    for (const [name, { steps, fresh }] of Object.entries(record.done.yields)) {
      this.counts.features += fresh;
      this.bring(name, steps, fresh);
    }
  }
  private bring(name: string, steps: number, fresh: number): void {
    const own = this.brought.get(name) ?? { steps: 0, fresh: 0 };
    this.brought.set(name, { steps: own.steps + steps, fresh: own.fresh + fresh });
  }

  private draw(): string {
    const { counts, elapsed } = this;
    const made = this.made();
    const rate = `${grouped(Math.round((made * 1000) / Math.max(1, elapsed)))} runs/s`;
    const found = `${counts.new} new, ${counts.variant} variants, ${counts.known} known${counts.broken > 0 ? `, ${counts.broken} batches broken` : ''}`;
    const total = `${grouped(this.batches)} batches, ${grouped(counts.runs)} runs`;
    const lately = this.lately(60_000);
    if (this.terminal.screen !== true)
      return `campaign: ${took(elapsed)}, ${total}, ${rate}, ${grouped(counts.features)} features (${lately} in the last minute), ${found}; ${this.ends()}`;
    const { paint } = this.terminal.look;
    const row = (name: string, text: string): string => `${paint('dim', name.padEnd(10))} ${text}`.trimEnd();
    return [
      row('campaign', `${took(elapsed)}  ${total}  ${rate}`),
      row('coverage', `${grouped(counts.features)} features  ${this.curve()}  +${lately} in the last minute`),
      row('brought', `${this.yields()}  in a million steps`),
      row('findings', counts.new > 0 ? paint('bad', found) : found),
      row('ends', this.ends()),
    ].join('\n');
  }
  private lately(ms: number): number {
    const since = this.elapsed - ms;
    const before = this.growth.findLast(({ at }) => at < since);
    return this.counts.features - (before?.features ?? this.growth[0]?.features ?? this.counts.features);
  }
  /** Features over the time of this session. */
  private curve(): string {
    const { growth, elapsed } = this;
    if (growth.length < 2) return '';
    const low = growth[0]?.features ?? 0;
    const high = Math.max(low + 1, this.counts.features);
    let at = 0;
    return Array.from({ length: POINTS }, (_, point) => {
      const until = (elapsed * (point + 1)) / POINTS;
      while (at + 1 < growth.length && (growth[at + 1]?.at ?? 0) <= until) at += 1;
      const level = ((growth[at]?.features ?? low) - low) / (high - low);
      return BARS[Math.min(BARS.length - 1, Math.floor(level * BARS.length))];
    }).join('');
  }
  /** How many features each strategy was the first to show, for a million of its steps. */
  private yields(): string {
    return [...this.brought]
      .map(([name, { steps, fresh }]) => ({ name, rate: (fresh * 1e6) / Math.max(1, steps) }))
      .sort((a, b) => b.rate - a.rate)
      .slice(0, BEST)
      .map(({ name, rate }) => `${name} ${grouped(Math.round(rate))}`)
      .join('  ');
  }
  private ends(): string {
    const { until, engine } = this;
    if (!engine) return '';
    if (engine.settling) return 'soon: what was found is being shrunk, and predictions settled';
    const all = [...engine.chains.values()];
    switch (until.kind) {
      case 'stale':
        return `when nothing new comes: ${all.filter(({ stale }) => stale).length} of ${all.length} chains are quiet`;
      case 'time':
        return `in ${took(Math.max(0, until.ms - this.elapsed))}`;
      case 'runs': {
        const share = engine.chains.size / chainsOf(this.plan);
        const left = Math.max(0, until.runs * share - this.counts.runs);
        const rate = this.made() / Math.max(1, this.elapsed);
        return rate === 0
          ? `after ${grouped(until.runs)} runs`
          : `after ${grouped(until.runs)} runs, in about ${took(left / rate)}`;
      }
    }
  }
}
