/**
 * Which processes are enough to expand in a state: a cluster that nobody else can meddle with before one of it moves.
 *
 * A cluster begins with one process that is owed a turn. Whoever may, before the cluster moves, take a step that
 * depends on a turn of the cluster joins it. What remains is persistent: until one of the cluster moves, all that others
 * do is independent of all that the cluster can do now. One member is owed a turn and stays so, so nothing is at rest
 * before the cluster has moved, and in patient time no timer fires.
 */
import type { Turn } from '../learned.ts';
import type { Judgements } from './judgements.ts';
import type { Knowledge, Waiting } from './knowledge.ts';

export class Clusters<S extends object, F> {
  private readonly knowledge: Knowledge<S, F>;
  private readonly judgements: Judgements<S, F> | undefined;
  /** Are circles of debts looked for? */
  private readonly debts: boolean;
  private readonly allowed: (turn: Turn<F>) => number;

  /** @param allowed how many ways of a turn may be taken while somebody is owed one */
  constructor(
    knowledge: Knowledge<S, F>,
    judgements: Judgements<S, F> | undefined,
    debts: boolean,
    allowed: (turn: Turn<F>) => number,
  ) {
    this.knowledge = knowledge;
    this.judgements = judgements;
    this.debts = debts;
    this.allowed = allowed;
  }

  /** The cluster with the fewest ways, or nothing when every process has to be expanded. */
  of(turns: readonly Turn<F>[], words: Uint16Array, at: number): readonly number[] | undefined {
    let fewest = 0;
    for (const turn of turns) fewest += this.allowed(turn);
    let best: readonly number[] | undefined;
    for (let seed = 0; seed < turns.length && fewest > 1; seed += 1) {
      if (!(turns[seed] as Turn<F>).owed) continue;
      const inside = this.grow(seed, turns, words, at, fewest);
      if (!inside) continue;
      best = inside;
      fewest = this.waysOf(inside, turns);
    }
    return best;
  }

  private waysOf(inside: readonly number[], turns: readonly Turn<F>[]): number {
    return inside.reduce((sum, thread) => sum + this.allowed(turns[thread] as Turn<F>), 0);
  }

  /** The smallest cluster around `seed`, or nothing when it has as many ways as are known to be enough already. */
  private grow(
    seed: number,
    turns: readonly Turn<F>[],
    words: Uint16Array,
    at: number,
    enough: number,
  ): readonly number[] | undefined {
    const still = turns.map((_, thread) => thread === seed);
    const inside = [seed];
    const join = (thread: number): void => {
      still[thread] = true;
      inside.push(thread);
    };
    for (let before = 0; before !== inside.length; ) {
      // Who clashes with a member by its very next step joins in any case; that is cheap to see.
      for (const member of inside)
        for (let thread = 0; thread < turns.length; thread += 1)
          if (!still[thread] && this.knowledge.clash(turns[thread] as Turn<F>, turns[member] as Turn<F>)) join(thread);
      before = inside.length;
      if (this.waysOf(inside, turns) >= enough) return undefined;
      this.knowledge.reach(turns, still, words, at);
      for (let thread = 0; thread < turns.length; thread += 1)
        if (!still[thread] && this.knowledge.active(thread))
          if (inside.some((member) => this.meddles(thread, turns[member] as Turn<F>))) join(thread);
      if (before === inside.length && this.debts && !this.sparesCircles(turns, still, inside, join)) return undefined;
    }
    return inside;
  }

  /** Does a step of this process that may come first depend on this turn, or change what is said of it, or the reverse? */
  private meddles(thread: number, turn: Turn<F>): boolean {
    const { knowledge, judgements } = this;
    if (knowledge.meets(thread, turn)) return true;
    if (!judgements) return false;
    const mover = knowledge.mover(turn);
    const judged = judgements.concerns(turn);
    for (const other of knowledge.ahead(thread))
      if (judgements.changes(other.turn, mover) || (judged && judgements.changes(turn, other))) return true;
    return false;
  }

  /**
   * A circle of debts may close before the cluster moves, among threads that wait already or will have begun to. If a
   * step of the cluster changed what one of them waits for, the circle might never be seen: then those who could close
   * it join.
   * @returns false when nobody is left who could join
   */
  private sparesCircles(
    turns: readonly Turn<F>[],
    still: readonly boolean[],
    inside: readonly number[],
    join: (thread: number) => void,
  ): boolean {
    const { knowledge } = this;
    const active = (thread: number): boolean => !still[thread] && knowledge.active(thread);
    // Strike out what somebody may wait for when none of those, or for a wait for any: not all of them, may be stuck.
    let waits = turns.map((turn, thread) => knowledge.waits(thread, turn));
    for (let before = -1, now = 0; before !== now; ) {
      before = now;
      waits = waits.map((each) =>
        each.filter(({ turn, debtors }) => {
          const owing = debtors.filter((debtor) => (waits[debtor] as readonly Waiting[]).length > 0).length;
          const any = turn.open.kind === 'blocked' && turn.open.wait.any;
          return any ? owing === debtors.length : owing > 0;
        }),
      );
      now = waits.reduce((sum, each) => sum + each.length, 0) + 1;
    }
    const written = new Set(inside.flatMap((member) => knowledge.writes(turns[member] as Turn<F>)));
    const disturbed = waits.flatMap((each, thread) =>
      each.some(({ values }) => [...values.keys()].some((slot) => written.has(slot))) ? [thread] : [],
    );
    if (disturbed.length === 0) return true;
    const seen = new Set(disturbed);
    let joined = false;
    for (const thread of seen) {
      if (active(thread)) {
        join(thread);
        joined = true;
      } else
        for (const { debtors } of waits[thread] as readonly Waiting[])
          for (const debtor of debtors) if ((waits[debtor] as readonly Waiting[]).length > 0) seen.add(debtor);
    }
    return joined;
  }
}
