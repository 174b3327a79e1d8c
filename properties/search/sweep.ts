/**
 * The sweep: every state that a booted design can reach, breadth first, each property judged on the way.
 *
 * The first violation of each signature is one of the shortest there are. States that break a property are expanded
 * like any other, so one sweep finds everything. Patient time holds timers back while a fair thread can move.
 */
import { type Booted, type Workload, start } from '../../model/design.ts';
import type { Fact, KernelState } from '../../model/machine.ts';
import type { Property } from '../property.ts';
import { fairCircles, heldBack } from './circles.ts';
import type { ExploreOptions } from './explore.ts';
import { Learned } from './learned.ts';
import { type Finding, Observer } from './observer.ts';
import { interchangeable } from './reductions/alike.ts';
import { type Reduced, type ReducedOptions, reduced } from './reductions/reduced.ts';
import { type Reductions, namesOf, reductionsOf } from './reductions/reductions.ts';
import { Shifts } from './reductions/shift.ts';
import { NotInterchangeable, Symmetries } from './reductions/symmetry.ts';
import { refuses, refusesSearch, refusesTogether } from './refuses.ts';
import { type BreadthOptions, breadthFirst } from './storage/breadth.ts';
import type { Found } from './storage/found.ts';
import { kernelSystem } from './system.ts';

export interface SweepOptions {
  readonly workload?: Workload;
  /** Stop after this many states and say that the search was not exhaustive. */
  readonly maxStates?: number;
  readonly patient?: boolean;
  /** Replay every n-th state on plain objects and compare; 0 never. */
  readonly verifyEvery?: number;
  /**
   * Search fewer states with the same verdicts (reductions/reduced.ts): all reductions, or those listed. Counterexamples
   * are then not the shortest. Interchangeable members are told apart after all when fair circles are asked for and the
   * system can go round for ever, as they are when they only looked interchangeable.
   */
  readonly reduce?: boolean | Reductions;
  /** Search with another memory, with limits, from a checkpoint: see storage/breadth.ts. Not together with `reduce`. */
  readonly search?: SweepSearch;
  /** Another number makes other fingerprints of the same states. */
  readonly salt?: number;
  /** Called now and then, and breadth first after every level, with the states found and expanded and the level. */
  readonly progress?: (states: number, expanded: number, depth: number) => void;
}
export type SweepSearch = (
  learned: Learned,
  from: Uint16Array,
  visitors: ExploreOptions<Fact> & Pick<BreadthOptions<Fact>, 'remembers' | 'recalls'>,
) => Found<KernelState, Fact>;
export interface Sweep {
  readonly states: number;
  /** States that were looked at; fewer than were found when a limit ended the search. */
  readonly expanded: number;
  readonly transitions: number;
  /** Steps of the longest shortest way to a state. */
  readonly depth: number;
  /** Every reachable state was expanded, and nothing that could happen was held back for ever. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly why?: string;
  /** What the memory of the search may have left out, when it is not without loss. */
  readonly doubt?: string;
  /** What was not judged, because this search cannot, and why. */
  readonly refused?: string;
  readonly findings: readonly Finding[];
  readonly witnesses: ReadonlySet<string>;
  /** States in which nothing that is owed can happen. */
  readonly resting: number;
  /** How many combinations the readable code ran for. */
  readonly learned: number;
  readonly bytes: number;
  /** Processes and judgements that read too widely to be learned in full, by name. */
  readonly tooWide: readonly string[];
}

export const DEFAULT_MAX_STATES = 5_000_000;

/** Why a search that keeps no edges cannot decide all of these properties, or nothing. */
export function blindTo(props: readonly Property[]): string | undefined {
  const names = props.filter(({ circle }) => circle !== undefined).map(({ name }) => name);
  return names.length === 0
    ? undefined
    : `fair circles were not looked for (${names.join(', ')}): only the storage "full" keeps the edges between states`;
}

export function sweep(booted: Booted, props: readonly Property[], options: SweepOptions = {}): Sweep {
  const { machine } = booted;
  const { maxStates = DEFAULT_MAX_STATES, patient = true, verifyEvery = 0, salt = 0, progress } = options;
  const reductions = reductionsOf(options.reduce ?? false);
  const reduce = namesOf(reductions).length > 0;
  const together =
    refusesTogether(namesOf(reductions)) ?? (options.search ? refusesSearch(namesOf(reductions)) : undefined);
  if (together) throw new Error(together);
  const learned = new Learned(kernelSystem(machine), salt);
  const observer = new Observer(machine, learned, props, { verifyEvery, reduce });
  const { findings, witnesses, doubts } = observer;
  const from = learned.packing.pack(start(booted, options.workload ?? booted.workload));
  const circles = props.some(({ circle }) => circle !== undefined);
  const visitors: Omit<ExploreOptions<Fact>, 'edges'> = {
    maxStates,
    patient,
    ...(progress ? { progress } : {}),
    ...observer.visitors,
  };
  const found = options.search?.(learned, from, {
    ...visitors,
    edges: circles,
    remembers: () => observer.remembers(),
    recalls: (remembered) => observer.recalls(remembered as ReturnType<Observer['remembers']>),
  });
  const exploring = !reduce && !found;
  const full = exploring ? breadthFirst(learned, from, { ...visitors, mode: 'full', edges: circles }) : found;
  const search = full
    ? { ...full, cyclic: false }
    : reducedSearch(learned, from, reductions, { ...visitors, judge: observer.judges, circles });
  const graph = search?.graph;
  if (!search) return sweep(booted, props, { ...options, reduce: { ...reductions, symmetry: false } });
  observer.conclude();

  const hidesCircles = circles && search.cyclic && !graph;
  const hidesDebts = [...doubts].some((doubt) => !findings.has(doubt));
  if (!full && search.exhausted && (hidesCircles || hidesDebts)) {
    const plainer = reductions.symmetry && !hidesDebts && { ...reductions, symmetry: false };
    return sweep(booted, props, { ...options, reduce: plainer });
  }
  const refused = graph
    ? refuses({ circles, storage: 'full', edges: circles, reductions: [], exhausted: graph.exhausted })
    : undefined; // without a graph there was no circle to look at
  if (graph && circles && !refused)
    for (const { circle, stem, loop } of fairCircles(machine, graph, patient))
      for (const property of props) observer.find(property.circle?.(circle), () => stem, loop);
  const held = graph && circles && !refused && patient ? heldBack(graph) : undefined;
  const blind = found && !graph ? blindTo(props) : undefined;
  const why = !search.exhausted
    ? ((search.states <= maxStates || found ? full?.why : undefined) ?? `stopped after ${search.states} states`)
    : (blind ?? (held && `a loop holds ${held}'s time back for ever; search with timers at any time`));
  return {
    states: search.states,
    expanded: search.expanded,
    transitions: search.transitions,
    depth: search.depth,
    complete: why === undefined,
    ...(why === undefined ? {} : { why }),
    ...(found?.doubt ? { doubt: found.doubt.says } : {}),
    ...(refused === undefined ? {} : { refused }),
    findings: [...findings.values()],
    witnesses,
    resting: search.resting,
    learned: learned.leaves,
    bytes: search.bytes,
    tooWide: learned.tooWide,
  };
}

/** @returns nothing when members that looked interchangeable are not */
function reducedSearch(
  learned: Learned,
  from: Uint16Array,
  { partialOrder, merge, sleep, symmetry, shift }: Required<Reductions>,
  visitors: Omit<ReducedOptions<Fact, KernelState>, 'clusters' | 'merges' | 'debts'>,
): Reduced<KernelState, Fact> | undefined {
  const alike = symmetry ? interchangeable(learned, from) : undefined;
  try {
    return reduced<KernelState, Fact>(learned, from, {
      ...visitors,
      circles: visitors.circles === true && !alike && !shift,
      clusters: partialOrder,
      merges: merge,
      sleeps: sleep,
      debts: true,
      ...(alike ? { symmetries: new Symmetries(learned, alike) } : {}),
      ...(shift ? { shifts: new Shifts(learned) } : {}),
    });
  } catch (error) {
    if (alike && error instanceof NotInterchangeable) return undefined;
    throw error;
  }
}
