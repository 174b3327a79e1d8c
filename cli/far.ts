/** How far a search is: what the shared counters say, as a line for people and as numbers for machines. */
import { sizeOf } from '../properties/search/storage/limits.ts';
import { grouped } from '../reports/row.ts';
import { took } from './progress.ts';
import { type Counters, countOf } from './tasks/task.ts';

/** Seconds over which a rate is taken. */
const WINDOW_SECONDS = 10;

export class Far {
  private readonly counters: Counters;
  /** What was expanded at times of late. */
  private readonly past: { readonly at: number; readonly expanded: number }[] = [];

  constructor(counters: Counters) {
    this.counters = counters;
  }

  /** States found and looked at, those between; a second; the level; bytes of the whole process; what there may be in all. */
  numbers(): Record<'states' | 'expanded' | 'frontier' | 'rate' | 'depth' | 'memory' | 'all' | 'low' | 'high', number> {
    const [states, expanded, depth, all, low, high] = (
      ['states', 'expanded', 'depth', 'all', 'low', 'high'] as const
    ).map((counter) => countOf(this.counters, counter)) as [number, number, number, number, number, number];
    const at = performance.now() / 1000;
    this.past.push({ at, expanded });
    while ((this.past[0]?.at ?? at) < at - WINDOW_SECONDS) this.past.shift();
    const [first] = this.past as [{ at: number; expanded: number }];
    const rate = at > first.at ? Math.max(0, (expanded - first.expanded) / (at - first.at)) : 0;
    const memory = process.memoryUsage.rss();
    return { states, expanded, frontier: states - expanded, rate: Math.round(rate), depth, memory, all, low, high };
  }

  /** 1,234,567 states, 250,000/s, depth 34, 120,000 to look at, 310 MiB, about 40 s more (4 s to 10 min) */
  text(what: 'states' | 'steps'): string {
    const { states, expanded, frontier, rate, depth, memory, all, low, high } = this.numbers();
    const parts = [`${grouped(states)} ${what}`];
    if (rate > 0) parts.push(`${grouped(rate)}/s`);
    if (depth > 0) parts.push(`depth ${depth}`, `${grouped(frontier)} to look at`);
    parts.push(sizeOf(memory).replace(/\.\d/, ''));
    const more = (total: number): string => took((1000 * Math.max(0, total - expanded)) / rate);
    if (all > 0 && rate > 0) parts.push(`about ${more(all)} more (${more(low)} to ${more(high)})`);
    return parts.join(', ');
  }
}
