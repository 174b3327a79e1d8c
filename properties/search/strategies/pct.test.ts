import { describe, expect, test } from 'vitest';
import { PctScheduler } from './pct.ts';

/** Programs as lists of steps; what the scheduler makes of them for given priorities and change points. */
function play(
  programs: readonly (readonly string[])[],
  priorities: readonly number[],
  points: readonly number[],
): string[] {
  const scheduler = new PctScheduler(priorities, points);
  const at = programs.map(() => 0);
  const trace: string[] = [];
  for (let step = 1; ; step += 1) {
    const enabled = programs.flatMap((program, thread) => ((at[thread] as number) < program.length ? [thread] : []));
    if (enabled.length === 0) return trace;
    const thread = scheduler.next(enabled, step);
    trace.push(programs[thread]?.[at[thread] as number] as string);
    at[thread] = (at[thread] as number) + 1;
  }
}
const permutations = (list: readonly number[]): number[][] =>
  list.length === 0
    ? [[]]
    : list.flatMap((head, at) => permutations(list.toSpliced(at, 1)).map((tail) => [head, ...tail]));
const tuples = (k: number, n: number): number[][] =>
  n === 0 ? [[]] : tuples(k, n - 1).flatMap((rest) => Array.from({ length: k }, (_, at) => [at + 1, ...rest]));

/** How often, over *all* priorities and change points, the trace is as wanted: an exact probability, no sampling. */
function rate(
  programs: readonly (readonly string[])[],
  depth: number,
  wanted: (trace: readonly string[]) => boolean,
  make = play,
): { hits: number; of: number; traces: Set<string> } {
  const n = programs.length;
  const k = programs.flat().length;
  let hits = 0;
  let of = 0;
  const traces = new Set<string>();
  for (const priorities of permutations(Array.from({ length: n }, (_, thread) => thread + depth)))
    for (const points of tuples(k, depth - 1)) {
      const trace = make(programs, priorities, points);
      traces.add(trace.join(' '));
      of += 1;
      if (wanted(trace)) hits += 1;
    }
  return { hits, of, traces };
}
const ordered =
  (...steps: string[]) =>
  (trace: readonly string[]): boolean =>
    steps.every((step, at) => at === 0 || trace.indexOf(steps[at - 1] as string) < trace.indexOf(step));

const LITMUS = [['X1', 'X2'], ['Y1', 'Y2'], ['Z1']];
const DEEP = ordered('X1', 'Y1', 'Z1', 'Y2', 'X2');

describe('PCT, exactly', () => {
  test('hits every order of depth d at least with 1/(n·k^(d-1)): all programs of two and three short threads', () => {
    for (const programs of [
      LITMUS,
      [
        ['X1', 'X2'],
        ['Y1', 'Y2'],
      ],
      [['X1', 'X2', 'X3'], ['Y1']],
      [['X1'], ['Y1'], ['Z1']],
    ]) {
      const n = programs.length;
      const k = programs.flat().length;
      // Depth 1: one step before another thread's step is a matter of priorities alone.
      const first = rate(programs, 1, ordered('Y1', 'X1'));
      expect(first.hits / first.of).toBeGreaterThanOrEqual(1 / n);
      // Depth 2: Y's step between two steps of X needs one change point.
      if (programs[0]?.length === 2) {
        const second = rate(programs, 2, ordered('X1', 'Y1', 'X2'));
        expect(second.hits / second.of).toBeGreaterThanOrEqual(1 / (n * k));
      }
    }
  });

  test('hits the litmus order of depth 4 in 9 of 750 cases, as enumerated for the published rule; 1/(3·5³) is promised', () => {
    const { hits, of } = rate(LITMUS, 4, DEEP);
    expect({ hits, of }).toEqual({ hits: 9, of: 750 });
    expect(hits / of).toBeGreaterThanOrEqual(1 / (3 * 5 ** 3));
  });

  test('can produce all 30 interleavings of the litmus program at full depth', () => {
    expect(rate(LITMUS, 5, DEEP).traces.size).toBe(30);
  });

  test('must miss it when demotions always go to the bottom, or with fewer change points than the order needs', () => {
    /** The rule of a well-known tool: demote whoever just ran, below everybody. */
    const bottom = (
      programs: readonly (readonly string[])[],
      priorities: readonly number[],
      points: readonly number[],
    ): string[] => {
      const now = [...priorities];
      const at = programs.map(() => 0);
      const trace: string[] = [];
      let lowest = 0;
      for (let step = 1; ; step += 1) {
        const enabled = programs.flatMap((program, thread) =>
          (at[thread] as number) < program.length ? [thread] : [],
        );
        if (enabled.length === 0) return trace;
        const thread = enabled.reduce((best, each) => ((now[each] as number) > (now[best] as number) ? each : best));
        trace.push(programs[thread]?.[at[thread] as number] as string);
        at[thread] = (at[thread] as number) + 1;
        if (points.includes(step)) now[thread] = lowest -= 1;
      }
    };
    expect(rate(LITMUS, 4, DEEP, bottom).hits).toBe(0);
    expect(rate(LITMUS, 1, DEEP).hits).toBe(0);
  });
});
