/**
 * What the reductions save: for every design the states in full and reduced, in its largest setting and in all of them
 * together, and the CPU time of both. Whether both say the same is for the tests; a row that finds something else says so.
 */
import Table from 'cli-table3';
import { type Design, boot, settings, showKnobs } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { properties } from '../../properties/index.ts';
import { type Property, signature } from '../../properties/property.ts';
import { type Sweep, sweep } from '../../properties/search/sweep.ts';

interface Size {
  readonly full: number;
  readonly reduced: number;
  readonly fullCpuSeconds: number;
  readonly reducedCpuSeconds: number;
}
export interface Saved {
  readonly design: string;
  readonly settings: number;
  readonly largest: Size & { readonly title: string };
  readonly all: Size;
  readonly agree: boolean;
}

/** Fair circles need every state of a system that goes round, so they are left out on both sides. */
const straight: readonly Property[] = properties.map(({ circle: _circle, ...rest }) => rest);
const GOAL = 10;

function timed<T>(run: () => T): readonly [T, number] {
  const before = process.cpuUsage();
  const answer = run();
  const { user, system } = process.cpuUsage(before);
  return [answer, (user + system) / 1e6];
}
const said = ({ findings, witnesses }: Sweep): string =>
  [...findings.map(({ blame }) => signature(blame)), ...witnesses].sort().join('\n');

function savedOn(design: Design): Saved {
  const sizes = settings(design).map((knobs) => {
    const booted = boot(design, knobs);
    const [full, fullCpuSeconds] = timed(() => sweep(booted, straight));
    const [short, reducedCpuSeconds] = timed(() => sweep(booted, straight, { reduce: true }));
    const agree = said(full) === said(short);
    return {
      title: showKnobs(knobs),
      full: full.states,
      reduced: short.states,
      fullCpuSeconds,
      reducedCpuSeconds,
      agree,
    };
  });
  const sum = (of: (size: Size) => number): number => sizes.reduce((total, size) => total + of(size), 0);
  return {
    design: design.name,
    settings: sizes.length,
    largest: sizes.reduce((most, each) => (each.full > most.full ? each : most)),
    all: {
      full: sum(({ full }) => full),
      reduced: sum(({ reduced }) => reduced),
      fullCpuSeconds: sum((size) => size.fullCpuSeconds),
      reducedCpuSeconds: sum((size) => size.reducedCpuSeconds),
    },
    agree: sizes.every(({ agree }) => agree),
  };
}
export const saved = (): Saved[] => designs.map(savedOn);

const grouped = (count: number): string => count.toLocaleString('en-US');
const row = ({ full, reduced, fullCpuSeconds, reducedCpuSeconds }: Size): string[] => [
  grouped(full),
  grouped(reduced),
  `${(full / reduced).toFixed(1)}×`,
  `${fullCpuSeconds.toFixed(1)} / ${reducedCpuSeconds.toFixed(1)} s`,
];
export function tableOfSaved(rows: readonly Saved[]): string {
  const table = new Table({
    head: ['design', 'settings', 'states', 'reduced', 'factor', 'CPU', 'largest', 'reduced', 'factor', 'CPU', ''],
    style: { head: [], border: [] },
  });
  for (const { design, settings: count, largest, all, agree } of rows)
    table.push([design, count, ...row(all), ...row(largest), agree ? '' : 'they say different things']);
  const reached = rows.filter(({ all }) => all.full / all.reduced >= GOAL).length;
  return `${table.toString()}\n${GOAL}× fewer states or more: ${reached} of ${rows.length} designs`;
}
