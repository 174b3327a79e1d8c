/**
 * Which of two cases is simpler: the one home of what shrinking tries to reach.
 *
 * A reader first wants one boot, then few words, then little user space and tame knobs, then few handovers, then no
 * bad weather, then threads in the order of declaration. A case must be simpler by the first of these that differs,
 * so every chain of accepted proposals ends, whatever the passes propose.
 */
import { type Case, REBOOT } from '../model/case.ts';
import { type Booted, parseCall } from '../model/design.ts';
import type { Trace } from './trace.ts';
import { handovers, threadOf, wordsOf } from './words.ts';

/** What is counted, weightiest first; less is simpler. */
export type Size = readonly number[];

/** @param run a case whose every word can be followed, as in `trace` */
export const sizeOf = (booted: Booted, run: Case, { schedule, loop }: Trace): Size => [
  ...sizeOfText(booted, run),
  sum([...schedule, ...loop].map(({ tamer }) => tamer.length)),
  inversions(booted, run.schedule) + inversions(booted, run.loop ?? []),
];

/** The weightier counts: those that the text of a case alone decides. */
export function sizeOfText(booted: Booted, run: Case): Size {
  const words = wordsOf(run);
  const calls = Object.values(run.workload).flat();
  return [
    words.filter((word) => word === REBOOT).length,
    words.length,
    calls.length,
    Object.keys(run.workload).length,
    sum(Object.entries(booted.knobs).map(([knob, value]) => booted.design.knobs[knob]?.indexOf(value) ?? 0)),
    sum(calls.map((text) => wildness(booted, text))),
    handovers(words),
  ];
}

/** Is the first simpler than the second? Equals are not. */
export function isSimpler(first: Size, second: Size): boolean {
  const at = first.findIndex((count, place) => count !== second[place]);
  return at >= 0 && (first[at] as number) < (second[at] as number);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** How far the arguments of a call are from the first values declared. */
function wildness(booted: Booted, text: string): number {
  const { call, with: given } = parseCall(booted, text);
  const params = booted.calls[call]?.params ?? {};
  return sum(Object.entries(given).map(([name, value]) => params[name]?.indexOf(value) ?? 0));
}

/** Pairs of words whose threads stand against the order of declaration. */
function inversions(booted: Booted, words: readonly string[]): number {
  const order = Object.keys(booted.machine.threads);
  const ranks = words.map((word) => order.indexOf(threadOf(word)));
  return sum(ranks.map((rank, at) => ranks.slice(0, at).filter((earlier) => earlier > rank).length));
}
