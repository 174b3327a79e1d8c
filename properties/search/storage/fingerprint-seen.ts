/**
 * Remember 64 bits of each state: small and fast, and two states with one fingerprint would be taken for one. The
 * chance that this happened anywhere is bounded by the number of pairs of states.
 */
import { FingerprintTable } from '../fingerprints.ts';
import type { Arrays, Candidates, Doubt, Seen } from './seen.ts';

export class FingerprintSeen implements Seen {
  private readonly table: FingerprintTable;

  constructor(expect = 0) {
    this.table = new FingerprintTable(expect);
  }
  get bytes(): number {
    return this.table.bytes;
  }
  growth(n: number): number {
    return this.table.growth(n);
  }
  add({ highs, lows }: Candidates, n: number, fresh: Int32Array): number {
    return this.table.add(highs, lows, n, fresh);
  }
  doubt(states: number): Doubt {
    return { exhaustive: true, says: `a state was left out with a probability of at most ${odds(omission(states))}` };
  }
  save(): Arrays {
    return { fingerprints: this.table.content };
  }
  restore({ fingerprints }: Arrays): void {
    this.table.content = fingerprints as Int32Array;
  }
}

/** The chance that any two of so many states have one 64-bit fingerprint: pairs of states, times 2 to the -64. */
export const omission = (states: number): number => Math.min(1, (states * states) / 2 ** 65);
export const odds = (chance: number): string => chance.toExponential(1);
