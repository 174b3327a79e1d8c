/**
 * A bounded proof of minimality: the sweep goes through all states of the same setting and workload, breadth first,
 * so the first schedule it finds for a signature is one of the shortest there are.
 *
 * Deleting words can get stuck where only a different story is shorter; this cannot. What it does not prove: circles
 * (the search gives a fair loop, not the shortest) and orders that lockdep pieces together from several runs.
 */
import type { Case } from '../model/case.ts';
import { type Booted, type Workload, showKnobs } from '../model/design.ts';
import { type Property, signature } from '../properties/property.ts';
import { sweep } from '../properties/search/sweep.ts';
import { type ShrinkRequest, type Shrunk, type Want, shrink } from './shrink.ts';
import { isSimpler, sizeOf } from './simpler.ts';
import { traceOf } from './trace.ts';
import { withWords, wordsOf } from './words.ts';

export interface ShortestRequest {
  readonly booted: Booted;
  readonly want: Want;
  readonly properties: readonly Property[];
  /** What the processes call; the workload of the design when left out. */
  readonly workload?: Workload;
  readonly maxStates: number;
  readonly patient?: boolean;
}
export type Shortest =
  | {
      readonly kind: 'found';
      readonly schedule: readonly string[];
      readonly loop?: readonly string[];
      /** Nothing shorter exists; otherwise why this cannot be said. */
      readonly proved: boolean;
      readonly because: string;
      readonly searched: number;
    }
  | { readonly kind: 'none'; readonly searched: number; readonly because: string };

/** The shortest schedule for this signature, as far as `maxStates` states can tell. */
export function shortest(request: ShortestRequest): Shortest {
  const { booted, want, properties, workload = booted.workload, maxStates, patient = true } = request;
  const judges = properties.filter(({ name }) => name === want.property);
  const { states, complete, why, findings } = sweep(booted, judges, { workload, maxStates, patient });
  const finding = findings.find(({ blame }) => signature(blame) === signature(want));
  if (!finding) {
    const because = complete
      ? `none of the ${states} states of ${showKnobs(booted.knobs) || booted.design.name} has it`
      : `not settled in ${states} states: ${why ?? 'there are more'}`;
    return { kind: 'none', searched: states, because };
  }
  const { schedule, loop } = finding;
  const doubt = doubtAbout(judges, loop !== undefined);
  return {
    kind: 'found',
    schedule,
    ...(loop ? { loop } : {}),
    proved: doubt === undefined,
    because: doubt ?? `breadth first, ${states} states: no schedule of fewer than ${schedule.length} words does it`,
    searched: states,
  };
}

const bothWays = (property: Property): boolean =>
  property.step !== undefined && (property.waits !== undefined || property.rest !== undefined);

/** Why the first schedule found need not be a shortest one, or nothing. */
function doubtAbout(judges: readonly Property[], circling: boolean): string | undefined {
  if (circling) return 'the search finds fair circles, not the shortest ones';
  if (judges.some((property) => property.gathers !== undefined))
    return 'an order may be pieced together from several runs: the search cannot tell its shortest schedule';
  // A step is judged when it is taken and a state when it is expanded: between the two, one word more may come first.
  if (judges.some(bothWays))
    return 'judged both by its steps and by its states, a schedule found may be one word too long';
  return undefined;
}

export interface Proved extends Shrunk {
  /** No schedule of this workload at this setting is shorter. */
  readonly proved: boolean;
  /** What the claim rests on, or how far was searched without settling it. */
  readonly because: string;
  /** States searched. */
  readonly searched: number;
}

/**
 * Shrink, then ask the search for something shorter, shrink that, and so on until the search knows nothing better.
 * @param request as for `shrink`; `maxStates` bounds each search
 */
export function shrinkAndProve(request: ShrinkRequest & { readonly maxStates: number }): Proved {
  const { bootAt, want, properties, maxStates, patient = true } = request;
  let shrunk = shrink(request);
  let searched = 0;
  for (;;) {
    const { case: run } = shrunk;
    const booted = bootAt(run.knobs);
    const found = shortest({ booted, want, properties, workload: run.workload, maxStates, patient });
    searched += found.searched;
    if (found.kind === 'none') return { ...shrunk, proved: false, because: found.because, searched };
    const better = withWords(run, found.schedule, found.loop);
    const size = (each: Case) => sizeOf(booted, each, traceOf(booted, each, patient));
    if (wordsOf(better).length >= wordsOf(run).length || !isSimpler(size(better), size(run))) {
      if (found.proved && !run.loop && found.schedule.length > run.schedule.length)
        throw new Error(
          `the search needs ${found.schedule.length} words for what the judge sees after ${run.schedule.length}`,
        );
      return { ...shrunk, proved: found.proved && !run.loop, because: found.because, searched };
    }
    const budget = Math.max(0, request.budget - shrunk.steps);
    const again = shrink({ ...request, run: better, budget });
    shrunk = {
      ...again,
      runs: shrunk.runs + again.runs,
      steps: shrunk.steps + again.steps,
      others: withOthers(shrunk.others, again.others),
    };
  }
}

/** Every other bug once, by the shorter of the cases. */
function withOthers(first: Shrunk['others'], second: Shrunk['others']): Shrunk['others'] {
  const all = new Map(first.map((other) => [signature(other.blame), other] as const));
  for (const other of second) {
    const known = all.get(signature(other.blame));
    if (!known || wordsOf(other.case).length < wordsOf(known.case).length) all.set(signature(other.blame), other);
  }
  return [...all.values()];
}
