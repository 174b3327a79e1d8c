/**
 * What a property is. Five ways to judge, from cheap to dear; a property has at least one of them.
 *
 * `step` looks at the facts of one step; `waits` at who waits for whom; `rest` at a state in which nothing that is
 * owed can still happen; `circle` at states that a fair execution can go round for ever; `gathers` and `concludes`
 * remember over many runs, as lockdep does. All return the reason, never a boolean.
 */
import type { PropertyName } from '../model/design.ts';
import type { Fact, KernelState, Machine, Open, Wait } from '../model/machine.ts';

/** One debt: who waits, and why. */
export interface Link {
  readonly who: string;
  readonly wait: Wait;
}
/** Why a property is broken. Equal `property` and `kind` mean the same sort of bug, whatever the names in it. */
export interface Blame {
  readonly property: PropertyName;
  readonly kind: string;
  /** The verdict in one sentence. */
  readonly what: string;
  /** The debts that prove it, in order; empty when the sentence says it all. */
  readonly links: readonly Link[];
  /** The rules broken, e.g. 'T-1'. */
  readonly rules: readonly string[];
}

/** A step that was just taken; `kernel` is the state after it. */
export interface Moment {
  readonly machine: Machine;
  readonly kernel: KernelState;
  readonly thread: string;
  readonly facts: readonly Fact[];
}
export type Opens = Readonly<Record<string, Open>>;
/** States that a fair execution can go round for ever, as far as properties need to know them. */
export interface Circle {
  /** One of its states. */
  readonly kernel: KernelState;
  /** Threads that are under way in every state of it, could move somewhere in it, and get nothing done. */
  readonly fruitless: readonly string[];
  /** Fences that are published and unsignalled in every state of it. */
  readonly pending: readonly string[];
}
/** Something to remember over runs; equal keys are remembered once, with the first occasion. */
export interface Evidence {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  /** How it came about, in words: 'ioctl takes b while holding a'. */
  readonly how: string;
}

export interface Property {
  readonly name: PropertyName;
  /** The property in a sentence. */
  readonly says: string;
  readonly sources: readonly string[];
  /** The kinds of facts that `step` and `gathers` care about; other steps are not shown to them. */
  readonly hears?: readonly Fact['kind'][];
  readonly step?: (moment: Moment) => Blame | undefined;
  /** Asked only in states in which a blocked thread waits for another blocked one, or for itself. */
  readonly waits?: (opens: Opens) => Blame | undefined;
  readonly rest?: (machine: Machine, kernel: KernelState, opens: Opens) => Blame | undefined;
  readonly circle?: (circle: Circle) => Blame | undefined;
  readonly gathers?: (moment: Moment) => readonly Evidence[];
  /** The verdict on everything gathered; `keys` are the pieces it rests on. */
  readonly concludes?: (
    evidence: ReadonlyMap<string, Evidence>,
  ) => { readonly blame: Blame; readonly keys: readonly string[] } | undefined;
  /** Of everything that can be gathered, the pieces that a verdict could rest on: the others need not be remembered. */
  readonly weighs?: (evidence: ReadonlyMap<string, Evidence>) => ReadonlySet<string>;
}

/** Same bug? Findings are told apart by this, counterexamples are pinned on it. */
export const signature = ({ property, kind }: Pick<Blame, 'property' | 'kind'>): string => `${property} (${kind})`;

/** A property that convicts on every fact of one kind that fits. */
export function convictsOn<K extends Fact['kind']>(
  spec: { readonly name: PropertyName; readonly says: string; readonly sources: readonly string[]; readonly fact: K },
  judge: (fact: Extract<Fact, { kind: K }>, moment: Moment) => Omit<Blame, 'property' | 'links'> | undefined,
): Property {
  const { name, says, sources, fact } = spec;
  return {
    name,
    says,
    sources,
    hears: [fact],
    step(moment) {
      for (const each of moment.facts) {
        const blame = each.kind === fact ? judge(each as Extract<Fact, { kind: K }>, moment) : undefined;
        if (blame) return { property: name, links: [], ...blame };
      }
      return undefined;
    },
  };
}
