/**
 * The sides of a comparison take turns, round after round, so that a busy machine is busy for all of them; kept are medians
 * over the rounds, and the median of each round's own ratio. Both sides must have counted the same, or there is no ratio.
 */

/** What one run of one side came to. */
export interface Run {
  /** What must be equal on both sides. */
  readonly counted: string;
  /** States or steps: what a rate counts. */
  readonly amount: number;
  readonly transitions: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}
export interface Side {
  readonly name: string;
  readonly run: (round: number) => Run;
}
/** Sides that take turns, and what is asked of two of them. */
export interface Match {
  readonly what: string;
  readonly unit: 'states' | 'steps' | 'searches';
  readonly sides: Readonly<Record<string, Side>>;
  readonly rows: readonly {
    readonly ours: string;
    readonly theirs: string;
    /** How many times as fast at least; nothing when no goal was set. */
    readonly goal?: number;
    /** The goal is one of time as it passes; others are of CPU time. */
    readonly wall?: true;
    /** CPU seconds that ours may take at most. */
    readonly secondsGoal?: number;
    /** The part of their bytes that ours may take at most. */
    readonly memoryGoal?: number;
  }[];
  /** The sides do different work to the same end: there is nothing to be equal. */
  readonly different?: true;
}

/** Medians over the rounds. */
interface Cost {
  readonly cpuSeconds: number;
  readonly perCpuSecond: number;
  readonly perWallSecond: number;
  readonly transitionsPerCpuSecond: number;
  readonly peakBytes: number;
  readonly bytesPer: number;
}
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly theirs: string;
  readonly unit: Match['unit'];
  readonly amount: number;
  readonly costs?: { readonly ours: Cost; readonly theirs: Cost };
  readonly ratio?: { readonly cpu: number; readonly wall: number; readonly memory: number };
  readonly goal?: number;
  readonly wall?: true;
  readonly secondsGoal?: number;
  readonly memoryGoal?: number;
  /** Why there is no ratio. */
  readonly refused?: string;
}

export const ROUNDS = 5;
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

export function play({ what, unit, sides, rows, different }: Match, say: (line: string) => void): Row[] {
  const runs: Record<string, Run[]> = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    // There and back again, so that no side always finds the machine as the same other one left it.
    const order = round % 2 === 0 ? Object.entries(sides) : Object.entries(sides).reverse();
    for (const [name, side] of order) {
      say(`${what}: round ${round + 1} of ${ROUNDS}: ${side.name}`);
      runs[name]?.push(side.run(round));
    }
  }
  const cost = (of: readonly Run[]): Cost => ({
    cpuSeconds: median(of.map(({ cpuSeconds }) => cpuSeconds)),
    perCpuSecond: median(of.map(({ amount, cpuSeconds }) => amount / cpuSeconds)),
    perWallSecond: median(of.map(({ amount, wallSeconds }) => amount / wallSeconds)),
    transitionsPerCpuSecond: median(of.map(({ transitions, cpuSeconds }) => transitions / cpuSeconds)),
    peakBytes: median(of.map(({ peakBytes }) => peakBytes)),
    bytesPer: median(of.map(({ amount, peakBytes }) => peakBytes / amount)),
  });
  return rows.map(({ ours, theirs, ...goals }): Row => {
    const mine = runs[ours] as Run[];
    const other = runs[theirs] as Run[];
    const row = {
      what,
      ours: sides[ours]?.name ?? ours,
      theirs: sides[theirs]?.name ?? theirs,
      unit,
      amount: median(mine.map(({ amount }) => amount)),
      ...goals,
    };
    const odd = mine.findIndex(({ counted }, round) => counted !== other[round]?.counted);
    if (odd >= 0 && !different)
      return {
        ...row,
        refused: `they count differently: ${mine[odd]?.counted} here, ${other[odd]?.counted} there`,
      };
    const ratio = (pick: (run: Run) => number): number =>
      median(mine.map((run, round) => pick(run) / pick(other[round] as Run)));
    return {
      ...row,
      costs: { ours: cost(mine), theirs: cost(other) },
      ratio: {
        cpu: ratio(({ amount, cpuSeconds }) => amount / cpuSeconds),
        wall: ratio(({ amount, wallSeconds }) => amount / wallSeconds),
        memory: ratio(({ amount, peakBytes }) => peakBytes / amount),
      },
    };
  });
}
