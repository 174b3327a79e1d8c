import { describe, expect, test, vi } from 'vitest';
import { PLAIN } from '../../reports/reporter.ts';
import type { Terminal } from '../terminal.ts';
import { Engine } from './engine.ts';
import type { BatchRecord } from './journal.ts';
import type { Plan } from './plan.ts';
import { Screen } from './screen.ts';

const plan: Plan = {
  format: 1,
  seed: 1,
  runs: 100,
  lanes: 2,
  properties: ['no-deadlock'],
  strategies: ['random'],
  settings: [{ design: 'd', knobs: {}, programs: 'p' }],
};
const batch = (round: number, features: number): BatchRecord => ({
  kind: 'batch',
  chain: 0,
  round,
  done: {
    runs: 100,
    steps: 2_000,
    fresh: Array.from({ length: features }, (_, at) => [round * 100 + at, 1, 1] as const),
    again: [],
    cases: [],
    yields: { random: { runs: 100, steps: 2_000, fresh: features } },
    pct: {},
    met: [],
    found: [],
    witnesses: [],
    taken: [],
    offered: [],
  },
});
const never = new Promise<never>(() => undefined);

/** What is shown of a campaign of two batches within a minute, and what is said. */
function shown(screen: boolean, json: boolean): { drawn: string; said: string[] } {
  vi.useFakeTimers();
  try {
    let drawn = '';
    const said: string[] = [];
    const terminal: Terminal = {
      say: (text) => said.push(text),
      warn: () => undefined,
      progress: (text) => (drawn = text === '' ? drawn : text),
      look: PLAIN,
      screen,
    };
    const until = { kind: 'runs', runs: 800 } as const;
    const engine = new Engine(
      {
        plan,
        shard: { at: 1, of: 1 },
        until,
        append: () => undefined,
        known: () => Promise.resolve(false),
        found: () => Promise.resolve(),
        warn: () => undefined,
      },
      { width: 1, batch: () => never, shrink: () => never, proof: () => never },
    );
    const view = new Screen(terminal, plan, until, json, () => 200);
    view.begin(engine);
    vi.advanceTimersByTime(10_000);
    view.note(batch(0, 40));
    vi.advanceTimersByTime(10_000);
    view.note(batch(1, 8));
    view.found({
      news: 'new',
      shrunk: false,
      design: 'd',
      knobs: {},
      signature: 'no-deadlock (circle)',
      what: 'w',
      words: 9,
      path: 'p',
    });
    vi.advanceTimersByTime(500);
    view.end();
    return { drawn, said };
  } finally {
    vi.useRealTimers();
  }
}

describe('the screen', () => {
  test('is some calm lines on a terminal: rate, coverage over time, yields, findings, what ends it', () => {
    const { drawn, said } = shown(true, false);
    expect(drawn.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'campaign 21 s 2 batches, 200 runs 10 runs/s',
      'coverage 48 features ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█ +8 in the last minute',
      'brought random 12,000 in a million steps',
      'findings 1 new, 0 variants, 0 known',
      'ends after 800 runs, in about 1 min 2 s',
    ]);
    expect(said).toEqual(['new    d: no-deadlock (circle) in 9 words: p']);
  });
  test('is one plain line in a log', () => {
    expect(shown(false, false).drawn).toMatch(
      /^campaign: 21 s, 2 batches, 200 runs, 10 runs\/s, 48 features .*; after 800 runs/,
    );
    expect(shown(false, false).drawn).not.toContain('\n');
  });
  test('is JSON events for a program, and nothing else', () => {
    const events = shown(false, true).said.map((line) => JSON.parse(line) as { event: string });
    expect(events.map(({ event }) => event)).toEqual(['begin', 'progress', 'progress', 'finding']);
  });
});
