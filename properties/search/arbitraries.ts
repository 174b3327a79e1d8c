/**
 * fast-check draws what a run consists of: the workload of the user processes, and the luck from which the strategy
 * makes the schedule. One draw stands for a whole schedule because schedules are long; what is stored of a run is
 * never the luck but the words that were taken.
 */
import fc from 'fast-check';
import { type Booted, type CallSpec, type Workload, mayCall } from '../../model/design.ts';

/** Calls that one process makes in one run. */
const MOST_CALLS = 4;

export interface Run {
  readonly workload: Workload;
  readonly luck: number;
}

/** Any workload of this design: every user, calls that it makes, with arguments from their domains. */
export function workloads(booted: Booted): fc.Arbitrary<Workload> {
  const users = Object.keys(booted.machine.boot.users);
  const calls = Object.entries(booted.calls).map(([name, { params }]) => ({
    name,
    text: fc
      .tuple(...Object.values(params).map((domain) => fc.constantFrom(...domain)))
      .map((args) => `${name}(${args.join(', ')})`),
  }));
  const callsOf = (user: string): fc.Arbitrary<string[]> => {
    const own = calls.filter(({ name }) => mayCall(booted, user, name)).map(({ text }) => text);
    return own.length === 0 ? fc.constant([]) : fc.array(fc.oneof(...own), { maxLength: MOST_CALLS });
  };
  if (users.length === 0 || calls.length === 0) return fc.constant({});
  return fc.record(Object.fromEntries(users.map((user) => [user, callsOf(user)])), { noNullPrototype: true });
}

/** Draw so many runs of this seed and play each. @throws what playing one throws */
export function playAll<Drawn>(
  arbitrary: fc.Arbitrary<Drawn>,
  seed: number,
  numRuns: number,
  play: (run: Drawn) => void,
): void {
  const details = fc.check(fc.property(arbitrary, play), { seed, numRuns, endOnFailure: true });
  if (details.failed)
    throw details.errorInstance instanceof Error ? details.errorInstance : new Error(String(details.errorInstance));
}

/** A run of a campaign: what a fuzz draws, and what a run does without if it belongs to a swarm. */
export interface CampaignRun extends Run {
  /** A workload of some of the calls only. */
  readonly narrow: Workload;
  /** Threads, of those that need not begin, that do not. */
  readonly off: readonly string[];
}
export function campaignRuns(booted: Booted): fc.Arbitrary<CampaignRun> {
  const idle = Object.entries(booted.machine.threads).flatMap(([name, { begins }]) => (begins === 'may' ? [name] : []));
  const calls = Object.keys(booted.calls);
  const narrow =
    calls.length < 2
      ? workloads(booted)
      : fc.subarray(calls, { minLength: 1, maxLength: calls.length - 1 }).chain((some) =>
          workloads({
            ...booted,
            calls: Object.fromEntries(some.map((call) => [call, booted.calls[call] as CallSpec])),
          }),
        );
  return fc.record(
    {
      workload: fc.oneof(fc.constant(booted.workload), workloads(booted)),
      luck: fc.integer(),
      narrow,
      off: fc.subarray(idle),
    },
    { noNullPrototype: true },
  );
}

/** A run: half of the time the workload that the design itself names as its bound, else any. */
export const runs = (booted: Booted): fc.Arbitrary<Run> =>
  fc.record(
    { workload: fc.oneof(fc.constant(booted.workload), workloads(booted)), luck: fc.integer() },
    { noNullPrototype: true },
  );
