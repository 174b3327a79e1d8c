/**
 * Does anybody wait for somebody who waits? Only then can there be a circle of debts, and only then are the properties
 * over wait edges asked: most states are answered here, by numbers alone.
 */
import type { Open } from '../../model/machine.ts';
import type { Learned, Turn } from './learned.ts';

export class Chains {
  private readonly threads: readonly string[];
  private readonly numberOf: ReadonlyMap<string, number>;
  /** By id of the turn. */
  private readonly debtors: (readonly number[] | undefined)[] = [];

  constructor(learned: Learned) {
    this.threads = learned.threads;
    this.numberOf = new Map(learned.threads.map((thread, at) => [thread, at] as const));
  }

  /** Is a thread whose wait does not end by itself waiting for another such, or for itself? */
  any(turns: readonly Turn[]): boolean {
    for (const turn of turns) {
      if (turn.open.kind !== 'blocked') continue;
      for (const debtor of this.debtorsOf(turn)) if ((turns[debtor] as Turn).open.kind === 'blocked') return true;
    }
    return false;
  }
  /** What every thread is open for, by name. */
  opens(turns: readonly Turn[]): Record<string, Open> {
    return Object.fromEntries(this.threads.map((thread, at) => [thread, (turns[at] as Turn).open]));
  }

  private debtorsOf(turn: Turn): readonly number[] {
    const known = this.debtors[turn.id];
    if (known) return known;
    const { open } = turn;
    const fresh =
      open.kind === 'blocked' && open.wait.bounded === undefined
        ? open.wait.owedBy.map((debtor) => this.numberOf.get(debtor) as number)
        : [];
    this.debtors[turn.id] = fresh;
    return fresh;
  }
}
