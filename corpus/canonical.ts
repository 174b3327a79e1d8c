/**
 * The canonical form of a case: two cases have the same when they differ only in the order of steps that commute, and in
 * which of several numbered processes, buffers or fences does what.
 *
 * Steps are compared by what they execute, not by their words. Of all orders that follow from one another by exchanging
 * neighbours that do not touch (Mazurkiewicz), the lexically least is taken; of all ways to number the names, the least of
 * those. Where there are too many of the latter, numbers go by first appearance.
 */
import { type Case, REBOOT, choiceOf, choices, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { type KernelState, reduce } from '../model/machine.ts';
import { byFirstAppearance } from '../properties/circle-of-debts.ts';
import { Learned, type Way } from '../properties/search/learned.ts';
import { kernelSystem } from '../properties/search/system.ts';
import { lineAt } from './steps.ts';

/** Ways of numbering that are tried. */
const MOST_NUMBERINGS = 120;

interface Step {
  readonly text: string;
  /** Steps before it that must stay before it, by place. */
  readonly after: readonly number[];
}
interface Footprint {
  readonly thread: string;
  /** Of a reboot, or a step that time brought: it changes places with nothing. */
  readonly fixed: boolean;
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
}

/** @returns a text of one line a step; words of the case that cannot be followed are left out */
export function canonicalForm(booted: Booted, run: Case): string {
  const steps = stepsIn(booted, run);
  const forms = numberings(steps.map(({ text }) => text)).map((numbered) => leastOrder(steps, numbered).join('\n'));
  return forms.reduce((least, each) => (each < least ? each : least));
}

function stepsIn(booted: Booted, run: Case): Step[] {
  const { machine } = booted;
  const learned = new Learned(kernelSystem(machine));
  const footprints: Footprint[] = [];
  const steps: Step[] = [];
  const add = (text: string, footprint: Footprint): void => {
    const after = footprints.flatMap((before, at) => (meets(before, footprint) ? [at] : []));
    footprints.push(footprint);
    steps.push({ text, after });
  };
  const wall = (text: string): void => add(text, { thread: '', fixed: true, reads: new Set(), writes: new Set() });
  let kernel: KernelState = start(booted, run.workload);
  const play = (text: string): void => {
    if (text === REBOOT) {
      kernel = start(booted, run.workload);
      wall(REBOOT);
      return;
    }
    const choice = choiceOf(text, choices(machine, kernel));
    if (!choice) return;
    const { thread, outcome } = choice;
    const turn = learned.turn(learned.threads.indexOf(thread), learned.packing.pack(kernel), 0);
    const way = turn.ways.find((each) => each.outcome === outcome) as Way;
    const { routine, line } = lineAt(booted, kernel, thread);
    const says = `${word({ thread, outcome })} ${routine}: ${line}`;
    reduce(machine, kernel, choice);
    add(says, { thread, fixed: way.nature === 'time', reads: turn.reads, writes: new Set(way.slots) });
  };
  run.schedule.forEach(play);
  if (run.loop) {
    wall('for ever');
    run.loop.forEach(play);
  }
  return steps;
}
function meets(a: Footprint, b: Footprint): boolean {
  if (a.fixed || b.fixed || a.thread === b.thread) return true;
  for (const slot of a.writes) if (b.reads.has(slot) || b.writes.has(slot)) return true;
  for (const slot of b.writes) if (a.reads.has(slot)) return true;
  return false;
}

/** The lexically least order of the steps in which nothing comes before what it must come after. */
function leastOrder(steps: readonly Step[], numbered: (text: string) => string): string[] {
  const texts = steps.map(({ text }) => numbered(text));
  const waiting = steps.map(({ after }) => after.length);
  const before: number[][] = steps.map(() => []);
  steps.forEach(({ after }, at) => {
    for (const each of after) before[each]?.push(at);
  });
  const free = new Set(waiting.flatMap((count, at) => (count === 0 ? [at] : [])));
  const order: string[] = [];
  while (free.size > 0) {
    let best = -1;
    for (const at of free) if (best < 0 || (texts[at] as string) < (texts[best] as string)) best = at;
    free.delete(best);
    order.push(texts[best] as string);
    for (const each of before[best] ?? []) if ((waiting[each] = (waiting[each] as number) - 1) === 0) free.add(each);
  }
  return order;
}

/** Every way to number the numbered names anew, a stem at a time; one, by first appearance, where those are too many. */
function numberings(texts: readonly string[]): ((text: string) => string)[] {
  const stems = new Map<string, Set<string>>();
  for (const text of texts)
    for (const [, stem = '', number = ''] of text.matchAll(NUMBERED))
      stems.set(stem, (stems.get(stem) ?? new Set()).add(number));
  let all: ReadonlyMap<string, string>[] = [new Map()];
  for (const [stem, numbers] of stems) {
    if (all.length * factorial(numbers.size) > MOST_NUMBERINGS) {
      const rename = byFirstAppearance();
      const fixed = new Map(
        texts.flatMap((text) => [...text.matchAll(NUMBERED)]).map(([name]) => [name, rename(name)]),
      );
      return [(text) => text.replace(NUMBERED, (name) => fixed.get(name) ?? name)];
    }
    const orders = permutations([...numbers].sort());
    all = all.flatMap((names) =>
      orders.map(
        (order) => new Map([...names, ...order.map((number, at) => [stem + number, `${stem}#${at}`] as const)]),
      ),
    );
  }
  return all.map((names) => (text) => text.replace(NUMBERED, (name) => names.get(name) ?? name));
}
const NUMBERED = /([A-Za-z_]+)(\d+)\b/g;

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
function permutations(list: readonly string[]): string[][] {
  return list.length === 0
    ? [[]]
    : list.flatMap((head, at) => permutations(list.toSpliced(at, 1)).map((tail) => [head, ...tail]));
}
