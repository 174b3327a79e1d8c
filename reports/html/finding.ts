/**
 * What a page of one finding is given: plain data, from which the page boots the same machine and runs the same reducer.
 *
 * A design is code, but it runs only before boot: what it built for one setting is data. So a page needs no design's
 * source, and a user's own design has its page like any other.
 */
import { type Case, REBOOT } from '../../model/case.ts';
import { type Booted, type CallSpec, type Knobs, type Workload, boot } from '../../model/design.ts';
import type { Block, Rows, ThreadSpec } from '../../model/machine.ts';
import type { Blame, Link } from '../../properties/property.ts';
import type { Odds } from '../../properties/search/odds.ts';
import { type Argument, argument } from '../argument.ts';
import { participants } from '../lanes.ts';
import type { Telling } from '../telling.ts';

/** The kernel that a design builds for one setting, as data. */
interface KernelData {
  readonly objects: Rows;
  readonly threads: Readonly<Record<string, Omit<ThreadSpec, 'rows'> & { readonly rows: Rows }>>;
  readonly routines: Readonly<Record<string, Block>>;
  readonly calls: Readonly<Record<string, CallSpec>>;
}
export interface Finding {
  /** Of the program that wrote the page. */
  readonly version: string;
  readonly design: string;
  readonly title: string;
  readonly sources: readonly string[];
  readonly knobs: Knobs;
  readonly kernel: KernelData;
  readonly workload: Workload;
  /** The words up to the verdict, and those that lead round, when it is about a circle. */
  readonly schedule: readonly string[];
  readonly loop: readonly string[];
  readonly patient: boolean;
  /** What is broken; nothing when nothing is. */
  readonly blame?: Blame;
  /** What is broken in a sentence, and why it is right to say so. */
  readonly says: string;
  readonly argument?: Argument;
  /** The orders of locks that go round, when the verdict is about them: what is held, and what is wanted under it. */
  readonly orders?: readonly Link[];
  /** The argument in the words of the design. */
  readonly argued?: string;
  /** Threads that have a lane from the start. */
  readonly lanes: readonly string[];
  readonly odds: Odds;
  /** 'proved', or why it may be that a shorter one exists. */
  readonly shortest?: string;
  /** What to paste to see it again on a terminal. */
  readonly again: string;
}

/** What a finding has besides its telling. */
export type Besides = Pick<Finding, 'version' | 'odds' | 'again' | 'shortest' | 'patient'>;

/** The case as far as the telling goes, without the words that could not be followed. */
export function toldPart(telling: Telling): Pick<Finding, 'schedule' | 'loop'> {
  const schedule: string[] = [];
  const loop: string[] = [];
  for (const each of telling.steps)
    if (each.kind === 'reboot') schedule.push(REBOOT);
    else (each.loop ? loop : schedule).push(each.word);
  return { schedule, loop };
}

export function findingOf(booted: Booted, telling: Telling, besides: Besides): Finding {
  const { design, knobs } = booted;
  const { objects = {}, threads, routines = {}, calls = {} } = design.kernel(knobs);
  const why = argument(telling);
  return {
    ...besides,
    ...toldPart(telling),
    design: design.name,
    title: design.title,
    sources: telling.sources,
    knobs,
    kernel: {
      objects,
      threads: Object.fromEntries(
        Object.entries(threads).map(([name, thread]) => [name, { ...thread, rows: thread.rows?.(name) ?? {} }]),
      ),
      routines,
      calls,
    },
    workload: telling.workload,
    ...(telling.blame ? { blame: telling.blame } : {}),
    says: telling.says,
    ...(why ? { argument: why } : {}),
    ...(telling.judgedBy === 'orders' && telling.blame ? { orders: telling.blame.links } : {}),
    ...(telling.argued === null ? {} : { argued: telling.argued }),
    lanes: participants(telling),
  };
}

/** The same machine again. @throws when the data names what does not exist, like any boot */
export function bootFinding({ design, title, sources, knobs, kernel, workload }: Finding): Booted {
  const threads = Object.fromEntries(
    Object.entries(kernel.threads).map(([name, { rows, ...thread }]) => [name, { ...thread, rows: () => rows }]),
  );
  const values = Object.fromEntries(Object.entries(knobs).map(([knob, value]) => [knob, [value]]));
  return boot({
    name: design,
    title,
    sources,
    knobs: values,
    kernel: () => ({ ...kernel, threads, workload }),
    expect: [],
  });
}

export const caseOfFinding = ({ design, knobs, workload, schedule, loop }: Finding): Case => ({
  ...{ design, knobs, workload, schedule },
  ...(loop.length > 0 ? { loop } : {}),
});
