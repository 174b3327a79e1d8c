/** A setting of a design as the threads of one search need it: made anew in each of them, by names. */
import { start } from '../model/design.ts';
import type { Property } from '../properties/property.ts';
import { Learned } from '../properties/search/learned.ts';
import { handOf } from '../properties/search/parallel/hand.ts';
import { Member } from '../properties/search/parallel/member.ts';
import { type SweepTogetherOptions, sweepTogether } from '../properties/search/parallel/sweep-together.ts';
import { watchFor } from '../properties/search/parallel/watching.ts';
import type { Sweep } from '../properties/search/sweep.ts';
import { type System, kernelSystem } from '../properties/search/system.ts';
import { type Setting, bootSetting, chooseProperties } from './designs.ts';
import { type Searchable, openCrew } from './search-crew.ts';

export async function searchableSetting(setting: Setting, properties: readonly string[]): Promise<Searchable> {
  const booted = await bootSetting(setting);
  const { machine } = booted;
  return {
    system: kernelSystem(machine) as unknown as System<object, unknown>,
    start: start(booted, booted.workload),
    watch: (learned) => watchFor(machine, learned as unknown as Learned, chooseProperties(properties)),
  };
}

/**
 * Search one setting with so many threads; the answer is the same for any number of them. With none, in this one.
 * @throws when a name is unknown
 */
export async function sweepSetting(
  setting: Setting,
  properties: readonly Property[],
  threads: number,
  options: SweepTogetherOptions,
): Promise<Sweep> {
  const booted = await bootSetting(setting);
  const names = properties.map(({ name }) => name);
  const { patient } = options;
  if (threads < 2) {
    const { system, start: from, watch } = await searchableSetting(setting, names);
    const learned = new Learned(system);
    const member = new Member(learned, learned.packing.pack(from as object), patient, watch?.(learned));
    return sweepTogether(booted, properties, [handOf(member)], options);
  }
  const recipe = { module: import.meta.url, name: searchableSetting.name, args: [setting, names], patient };
  const crew = openCrew(recipe, threads);
  try {
    return await sweepTogether(booted, properties, crew.hands, options);
  } finally {
    await crew.close();
  }
}
