/**
 * The independent check of a shrunk case: can any single thing still go?
 *
 * It shares nothing with the passes but the judge and the meaning of a word: every word, thread, call, process,
 * handover, outcome and, if asked, knob is taken away or tamed by itself, from the text of the case alone. A driver
 * that gives up too early, a pass that skips a place, a memory that forgets: all of them show here.
 */
import { type Case, REBOOT, choices, follow, parseWord, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { judge } from '../properties/judge.ts';
import { signature } from '../properties/property.ts';
import type { ShrinkRequest } from './shrink.ts';

export type MinimalRequest = Pick<ShrinkRequest, 'bootAt' | 'run' | 'want' | 'properties' | 'knobs' | 'patient'>;
interface Reduction {
  readonly what: string;
  readonly run: Case;
}

export const isOneMinimal = (request: MinimalRequest): boolean => stillReducible(request) === undefined;

/** What can still go with the same verdict, in words; nothing when the case is 1-minimal. */
export function stillReducible(request: MinimalRequest): string | undefined {
  const { bootAt, run, want, properties, knobs = 'keep', patient = true } = request;
  const breaks = (candidate: Case): boolean =>
    judge(bootAt(candidate.knobs), candidate, properties, patient).verdicts.some(
      ({ blame }) => signature(blame) === signature(want),
    );
  if (!breaks(run)) return `the verdict: the case does not break ${signature(want)}`;
  const booted = bootAt(run.knobs);
  const all = [
    ...droppedWords(run),
    ...droppedThreads(run),
    ...droppedCalls(booted, run, patient),
    ...droppedHandovers(run),
    ...tamedOutcomes(booted, run, patient),
    ...(knobs === 'tame' ? tamedKnobs(booted, run) : []),
  ];
  for (const reduction of all) {
    try {
      start(bootAt(reduction.run.knobs), reduction.run.workload);
    } catch {
      continue; // this workload does not exist at those knobs
    }
    if (breaks(reduction.run)) return reduction.what;
  }
  return undefined;
}

/** Both lists of words, each with the case that it makes when changed. */
function lists(run: Case): { words: readonly string[]; put: (words: readonly string[]) => Case }[] {
  const { loop, ...rest } = run;
  const stem = {
    words: run.schedule,
    put: (schedule: readonly string[]): Case => ({ ...rest, schedule, ...(loop ? { loop } : {}) }),
  };
  if (!loop) return [stem];
  return [stem, { words: loop, put: (words) => (words.length > 0 ? { ...rest, loop: words } : rest) }];
}

function droppedWords(run: Case): Reduction[] {
  return lists(run).flatMap(({ words, put }) =>
    words.map((text, at) => ({ what: `word ${at + 1}, ${text}`, run: put(words.toSpliced(at, 1)) })),
  );
}

const without = (words: readonly string[], thread: string): string[] =>
  words.filter((text) => parseWord(text).thread !== thread);

function droppedThreads(run: Case): Reduction[] {
  const { loop, ...rest } = run;
  const threads = new Set([...run.schedule, ...(loop ?? [])].map((text) => parseWord(text).thread));
  const users = Object.keys(run.workload);
  const quiet = (thread: string): Case => {
    const left = without(loop ?? [], thread);
    return { ...rest, schedule: without(run.schedule, thread), ...(left.length > 0 ? { loop: left } : {}) };
  };
  return [
    ...[...threads]
      .filter((thread) => thread !== REBOOT)
      .map((thread) => ({ what: `thread ${thread}`, run: quiet(thread) })),
    ...users.map((user) => ({
      what: `process ${user}`,
      run: {
        ...quiet(user),
        workload: Object.fromEntries(Object.entries(run.workload).filter(([name]) => name !== user)),
      },
    })),
  ];
}

/** Each call goes alone, and with its words: from the one that began it up to the one that begins the next. */
function droppedCalls(booted: Booted, run: Case, patient: boolean): Reduction[] {
  return Object.entries(run.workload).flatMap(([user, calls]) =>
    calls.flatMap((text, call) => {
      const workload = { ...run.workload, [user]: calls.toSpliced(call, 1) };
      let kernel = start(booted, run.workload);
      const keep = (words: readonly string[]): string[] =>
        words.filter((each) => {
          if (each === REBOOT) kernel = start(booted, run.workload);
          else follow(booted.machine, kernel, each, patient);
          const left = kernel.users[user]?.todo.length ?? 0;
          return parseWord(each).thread !== user || calls.length - left !== call + 1;
        });
      const schedule = keep(run.schedule);
      const loop = keep(run.loop ?? []);
      const { design, knobs } = run;
      return [
        { what: `call ${text} of ${user}`, run: { ...run, workload } },
        {
          what: `call ${text} of ${user} with its words`,
          run: { design, knobs, workload, schedule, ...(loop.length > 0 ? { loop } : {}) },
        },
      ];
    }),
  );
}

/** Words of one thread in a row, somewhere else, so that fewer words follow one of another thread. */
function droppedHandovers(run: Case): Reduction[] {
  const thread = (words: readonly string[], at: number): string => parseWord(words[at] ?? '').thread;
  const count = (words: readonly string[]): number =>
    words.filter((_text, at) => at > 0 && thread(words, at) !== thread(words, at - 1)).length;
  return lists(run).flatMap(({ words, put }) => {
    const reductions: Reduction[] = [];
    for (let from = 0; from < words.length; from += 1) {
      if (from > 0 && thread(words, from) === thread(words, from - 1)) continue;
      let to = from + 1;
      while (to < words.length && thread(words, to) === thread(words, from)) to += 1;
      const rest = words.toSpliced(from, to - from);
      for (let gap = 0; gap <= rest.length; gap += 1) {
        const merged = rest.toSpliced(gap, 0, ...words.slice(from, to));
        if (count(merged) < count(words))
          reductions.push({ what: `the handover to ${thread(words, from)} at word ${from + 1}`, run: put(merged) });
      }
    }
    return reductions;
  });
}

function tamedOutcomes(booted: Booted, run: Case, patient: boolean): Reduction[] {
  let kernel = start(booted, run.workload);
  return lists(run).flatMap(({ words, put }) =>
    words.flatMap((text, at) => {
      if (text === REBOOT) {
        kernel = start(booted, run.workload);
        return [];
      }
      const { thread } = parseWord(text);
      const ways = choices(booted.machine, kernel, patient).filter((each) => each.thread === thread);
      const taken = follow(booted.machine, kernel, text, patient).choice;
      const tamer = ways.slice(
        0,
        ways.findIndex(({ outcome }) => outcome === taken?.outcome),
      );
      return tamer.map((way) => ({ what: `${text}, tamer ${word(way)}`, run: put(words.with(at, word(way))) }));
    }),
  );
}

function tamedKnobs(booted: Booted, run: Case): Reduction[] {
  return Object.entries(booted.knobs).flatMap(([knob, value]) => {
    const values = booted.design.knobs[knob] ?? [];
    return values
      .slice(0, values.indexOf(value))
      .map((tamer) => ({ what: `knob ${knob}=${tamer}`, run: { ...run, knobs: { ...booted.knobs, [knob]: tamer } } }));
  });
}
