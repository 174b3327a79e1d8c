/**
 * The sweep by several workers. Each judges what it expands and tells names (watching.ts); one thread then follows the
 * schedules to what was named first, and says of it what a sweep says. Findings and counts are the same for any number
 * of workers, one included. Fair circles need the edges between states, which nobody keeps here.
 */
import { type Booted, type Workload, start } from '../../../model/design.ts';
import type { Property } from '../../property.ts';
import { Learned } from '../learned.ts';
import { Observer } from '../observer.ts';
import { type Sweep, blindTo } from '../sweep.ts';
import { kernelSystem } from '../system.ts';
import { type Hand, type TogetherOptions, together, trails } from './together.ts';
import { needsSchedule, show, witnessIn } from './watching.ts';

export interface SweepTogetherOptions extends TogetherOptions {
  readonly patient: boolean;
  readonly workload?: Workload;
}

/** @param hands workers whose watch is `watchFor` with the same machine and properties */
export async function sweepTogether(
  booted: Booted,
  props: readonly Property[],
  hands: readonly Hand[],
  { patient, workload = booted.workload, ...options }: SweepTogetherOptions,
): Promise<Sweep> {
  const found = await together(hands, options);
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, workload));
  const observer = new Observer(booted.machine, learned, props, { verifyEvery: 0, reduce: false });
  const led = found.sights.filter(({ name }) => needsSchedule(name));
  const schedules = trails(learned, from, patient, led);
  // The shortest first: the end of a longer one may show what another one comes to sooner.
  const shortest = led.map(({ name }) => schedules.get(name) as readonly string[]).sort((a, b) => a.length - b.length);
  for (const schedule of shortest) show(learned, from, schedule, observer);
  for (const { name } of found.sights) if (!needsSchedule(name)) observer.witness(witnessIn(name));
  observer.conclude();
  const why = found.why ?? blindTo(props);
  return {
    states: found.states,
    expanded: found.expanded,
    transitions: found.transitions,
    depth: found.depth,
    complete: why === undefined,
    ...(why === undefined ? {} : { why }),
    ...(found.doubt ? { doubt: found.doubt.says } : {}),
    findings: [...observer.findings.values()],
    witnesses: observer.witnesses,
    resting: found.resting,
    learned: found.learned,
    bytes: found.bytes,
    tooWide: found.tooWide,
  };
}
