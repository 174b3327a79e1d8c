/** What was searched of a setting, for reports: of a search that was just made, or as an entry of the corpus keeps it. */
import type { Acquitted } from '../corpus/entry.ts';
import { type Booted, expected } from '../model/design.ts';
import type { Property } from '../properties/property.ts';
import { unseen } from '../properties/search/campaign/unseen.ts';
import type { Acquittal, Searched } from '../reports/acquittal.ts';
import type { SweepDone } from './tasks/sweep.ts';

/** Situations that the design calls dangerous and that are not among those seen. */
function unseenWitnesses(booted: Booted, seen: readonly string[]): string[] {
  const nothing = new Set<string>();
  const all = unseen(booted, { taken: nothing, offered: nothing, witnesses: new Set(seen) });
  return [...new Set(all.filter(({ kind }) => kind === 'witness').map(({ what }) => what))];
}

export function searchedBy(
  booted: Booted,
  swept: SweepDone,
  properties: readonly Property[],
  patient: boolean,
): Searched {
  const { expanded, transitions, depth, complete, why, doubt, refused, witnesses } = swept;
  return {
    ...{ states: expanded, transitions, depth, workload: booted.workload },
    ...(complete ? {} : { unfinished: why ?? 'it was cut short' }),
    doubts: [...new Set([refused, doubt].filter((each) => each !== undefined && each !== why))] as string[],
    time: patient ? 'patient' : 'any',
    judged: properties.map(({ name }) => name).join(', '),
    seen: witnesses,
    unseen: unseenWitnesses(booted, witnesses),
  };
}

/** An entry does not keep by what it was judged: a replay judges it by every property there is. */
export function searchedThen(booted: Booted, { states, transitions, depth, time, witnesses }: Acquitted): Searched {
  return {
    ...{ states, transitions, depth, time, workload: booted.workload, doubts: [] },
    judged: 'every property, whenever it is replayed',
    seen: witnesses,
    unseen: unseenWitnesses(booted, witnesses),
  };
}

/** An entry that is an acquittal, for whoever doubts it. */
export const acquittalOf = (booted: Booted, expect: Acquitted): Acquittal => {
  const { design, knobs } = booted;
  const { name, title, sources } = design;
  const argued = expected(design, knobs)?.because ?? null;
  return {
    verdict: 'acquitted',
    design: { name, title, sources },
    knobs,
    argued,
    searched: searchedThen(booted, expect),
  };
};
