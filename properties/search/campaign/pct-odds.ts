/**
 * What the runs of PCT promise: a bug of depth d that can happen within k steps of n threads is hit by each run of that
 * depth with probability 1/(n·k^(d-1)) or more (Burckhardt et al., ASPLOS 2010), so all of them miss it with probability
 * (1 - 1/(n·k^(d-1)))^runs at most. Only runs in calm weather with the design's own workload count: for them it was proved.
 */

/** Of one depth and length: a bug that needs so much is missed with this probability, at most. */
export interface PctOdds {
  readonly depth: number;
  readonly steps: number;
  readonly runs: number;
  readonly missed: number;
}

/** @param runs how many were made, by 'depth steps' */
export function pctOdds(threads: number, runs: ReadonlyMap<string, number>): PctOdds[] {
  const made = [...runs]
    .map(([key, count]) => {
      const [depth = 0, steps = 0] = key.split(' ').map(Number);
      return { depth, steps, count };
    })
    // Always in the same order: sums of fractions depend on it.
    .sort((a, b) => a.depth - b.depth || a.steps - b.steps);
  const lengths = [...new Set(made.map(({ steps }) => steps))].sort((a, b) => a - b);
  const depths = [...new Set(made.map(({ depth }) => depth))].sort((a, b) => a - b);
  return depths.flatMap((depth) =>
    lengths.map((steps) => {
      // What can happen within a shorter run can happen within a longer one too.
      const able = made.filter((each) => each.depth === depth && each.steps >= steps);
      const missed = able.reduce(
        (odds, each) => odds + each.count * Math.log1p(-1 / (threads * each.steps ** (depth - 1))),
        0,
      );
      return { depth, steps, runs: able.reduce((sum, { count }) => sum + count, 0), missed: Math.exp(missed) };
    }),
  );
}
