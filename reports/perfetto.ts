/**
 * The run as a timeline in Chrome's Trace Event Format, which ui.perfetto.dev opens: threads as tracks, steps and waits
 * as slices, debts as arrows from whoever waits to whoever owes it.
 *
 * The model has no clock. One step takes one millisecond here, so that distances on the timeline count steps.
 */
import type { Reporter } from './reporter.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';

const INDENT = 1;
const STEP_US = 1000;
/** A step is drawn a little shorter than its time, so that arrows have somewhere to begin. */
const DRAWN_US = 800;
const PROCESS = 1;

/** One event of the format; times in microseconds. */
interface Event {
  readonly ph: 'M' | 'X' | 's' | 'f' | 'i';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly [more: string]: unknown;
}

/** A wait from the moment at which it begins to the step that ends it, or to the end. */
interface Waiting {
  readonly standing: Standing;
  readonly from: number;
  to: number;
}

/** Steps in the order of time; a reboot is a gap of one step. */
function timed({ steps }: Telling): { readonly step: Step | undefined; readonly at: number }[] {
  return steps.map((each, at) => ({ step: each.kind === 'step' ? each : undefined, at: (at + 1) * STEP_US }));
}

function waitsOf(telling: Telling): Waiting[] {
  const all: Waiting[] = [];
  const open = new Map<string, Waiting>();
  const begin = (standing: Standing, from: number): void => {
    const waiting = { standing, from, to: from };
    open.set(standing.thread, waiting);
    all.push(waiting);
  };
  const finish = (thread: string, to: number): void => {
    const waiting = open.get(thread);
    if (waiting) waiting.to = to;
    open.delete(thread);
  };
  for (const standing of telling.blockedAtBoot) begin(standing, 0);
  let end = STEP_US;
  for (const { step, at } of timed(telling)) {
    end = at + 2 * STEP_US;
    if (!step) {
      for (const thread of [...open.keys()]) finish(thread, at);
      for (const standing of telling.blockedAtBoot) begin(standing, at + DRAWN_US);
      continue;
    }
    const blocked = new Set(step.blocked.map(({ thread }) => thread));
    for (const thread of [...open.keys()])
      if (!blocked.has(thread)) finish(thread, thread === step.thread ? at : at + DRAWN_US);
    for (const standing of step.blocked) {
      if (standing.newly && open.has(standing.thread)) finish(standing.thread, at);
      if (!open.has(standing.thread)) begin(standing, at + DRAWN_US);
    }
  }
  for (const thread of [...open.keys()]) finish(thread, end);
  return all;
}

function events(telling: Telling): Event[] {
  const tid = (thread: string): number => telling.threads.findIndex(({ name }) => name === thread) + 1;
  const names = telling.threads.flatMap(({ name, kind }): Event[] => [
    { ph: 'M', name: 'thread_name', pid: PROCESS, tid: tid(name), args: { name: `${name} (${kind})` } },
    { ph: 'M', name: 'thread_sort_index', pid: PROCESS, tid: tid(name), args: { sort_index: tid(name) } },
  ]);
  const steps = timed(telling).flatMap(({ step, at }): Event[] =>
    step
      ? [
          {
            ...{ ph: 'X', cat: 'step', name: step.line, pid: PROCESS, tid: tid(step.thread), ts: at, dur: DRAWN_US },
            args: { step: step.number, word: step.word, lines: step.lines.map(({ text }) => text), stack: step.stack },
          },
        ]
      : [{ ph: 'i', name: 'reboot', pid: PROCESS, tid: 1, ts: at, s: 'g' }],
  );
  const waits = waitsOf(telling);
  const slices = waits.map(
    ({ standing: { thread, wait, line, stack }, from, to }): Event => ({
      ...{ ph: 'X', cat: 'wait', name: `waits for ${wait?.object ?? ''}`, pid: PROCESS, tid: tid(thread), ts: from },
      ...{ dur: to - from, args: { because: wait?.because ?? '', line, stack, owedBy: wait?.owedBy ?? [] } },
    }),
  );
  return [
    { ph: 'M', name: 'process_name', pid: PROCESS, tid: 0, args: { name: telling.design } },
    ...names,
    ...[...steps, ...slices].sort((a, b) => (a.ts ?? 0) - (b.ts ?? 0)),
    ...debts(waits, [...steps, ...slices], tid),
  ];
}

/**
 * One arrow for each debtor. An arrow ends in the slice of the debtor that is open at the time, or in its next one; a
 * debtor with neither has a mark of its own.
 */
function debts(waits: readonly Waiting[], slices: readonly Event[], tid: (thread: string) => number): Event[] {
  let id = 0;
  return waits.flatMap(({ standing: { thread, wait }, from }) =>
    (wait?.owedBy ?? []).flatMap((debtor): Event[] => {
      id += 1;
      const common = { cat: 'debt', name: `owes ${wait?.object ?? ''}`, pid: PROCESS, id };
      const own = slices.filter((each) => each.tid === tid(debtor) && each.ph === 'X');
      const ends = (each: Event): number => (each.ts ?? 0) + (each['dur'] as number);
      const open = own.some((each) => (each.ts ?? 0) <= from && from < ends(each));
      const next = own.map(({ ts }) => ts ?? 0).filter((ts) => ts > from);
      const to = open || next.length === 0 ? from : Math.min(...next);
      const mark: Event[] =
        open || next.length > 0
          ? []
          : [{ ph: 'X', ...common, tid: tid(debtor), ts: from, dur: 1, args: { idle: 'it does nothing any more' } }];
      return [
        { ph: 's', ...common, tid: tid(thread), ts: from },
        ...mark,
        { ph: 'f', ...common, tid: tid(debtor), ts: to, bp: 'e' },
      ];
    }),
  );
}

export const perfetto: Reporter = {
  name: 'perfetto',
  says: 'a timeline for ui.perfetto.dev or chrome://tracing, one millisecond a step',
  render(telling) {
    const { design, knobs, blame } = telling;
    const otherData = { design, knobs, steps: stepsOf(telling).length, breaks: blame?.property ?? null };
    return `${JSON.stringify({ displayTimeUnit: 'ms', otherData, traceEvents: events(telling) }, null, INDENT)}\n`;
  },
};
