/**
 * The small, independent checker of lassos: does this loop lead back to where it began, and is it fair?
 *
 * Fair means, over the states and steps of the loop: whoever is owed a turn all the way round takes one (weak); a
 * thread that is ready somewhere at a lock that hands over takes a step (strong); time passes for an armed timer;
 * and an instruction that goes some other way goes its tamest way too (weather passes).
 */
import { choicesOf, follow, identity, opens, parseWord } from '../model/case.ts';
import type { Fact, KernelState, Machine, Open } from '../model/machine.ts';
import { isPromised } from '../model/objects/fence.ts';
import type { Circle } from './property.ts';

export type Fairness =
  | { readonly fair: true; readonly circle: Circle; readonly how: readonly string[] }
  | { readonly fair: false; readonly why: string };

/** Where a thread stands, as 'thread routine:pc'. */
export function lineOf(kernel: KernelState, thread: string): string {
  const frame = kernel.threads[thread]?.frames.at(-1);
  return frame ? `${thread} ${frame.routine}:${frame.pc}` : thread;
}
/** Under way: begun and not done, so that standing still or getting nowhere is a complaint. */
export const underWay = (open: Open): boolean =>
  (open.kind === 'ready' && open.nature === 'owed') || open.kind === 'blocked';

/** Does a step with these facts get something done for its thread? */
export const getsSomethingDone = (facts: readonly Fact[]): boolean =>
  facts.some((fact) => fact.kind === 'progress' || (fact.kind === 'returned' && fact.to !== 'caller'));

/** Follow the loop once from this state, on a copy; in patient time, unless timers may fire at any time. */
export function fairness(machine: Machine, from: KernelState, loop: readonly string[], patient = true): Fairness {
  const kernel = structuredClone(from);
  const start = identity(kernel);
  const threads = Object.keys(machine.threads);
  const always = new Set(threads); // owed, or a timer due, in every state so far
  const strong = new Set<string>();
  const offered = new Set<string>();
  const moved = new Set<string>();
  const working = new Set(threads); // under way in every state so far
  const done = new Set<string>();
  const wild = new Set<string>();
  const tame = new Set<string>();
  let pending = Object.keys(kernel.fences);

  for (const text of loop) {
    const now = opens(machine, kernel);
    for (const thread of threads) {
      const open = now[thread] as Open;
      const natures = choicesOf(thread, open).map(({ nature }) => nature);
      if (!natures.some((nature) => nature !== 'may')) always.delete(thread);
      if (open.kind === 'ready' && open.nature === 'owed') {
        offered.add(thread);
        if (open.strong) strong.add(thread);
      }
      if (!underWay(open)) working.delete(thread);
    }
    pending = pending.filter((fence) => isPromised(kernel, fence));
    const line = lineOf(kernel, parseWord(text).thread);
    const played = follow(machine, kernel, text, patient);
    if (!played.choice) return { fair: false, why: `"${text}" cannot be taken in the loop` };
    const { thread, outcome } = played.choice;
    const open = now[thread] as Open;
    if (open.kind === 'ready' && open.nature === 'owed') (outcome === open.outcomes[0] ? tame : wild).add(line);
    moved.add(thread);
    if (getsSomethingDone(played.facts)) done.add(thread);
  }
  if (identity(kernel) !== start) return { fair: false, why: 'the loop does not lead back to the state it began in' };
  for (const thread of always)
    if (!moved.has(thread)) return { fair: false, why: `${thread} could always move and never does` };
  for (const thread of strong)
    if (!moved.has(thread))
      return { fair: false, why: `${thread} is offered a lock again and again and never takes it` };
  for (const line of wild) if (!tame.has(line)) return { fair: false, why: `${line} never goes its tamest way` };
  const fruitless = threads.filter((thread) => working.has(thread) && offered.has(thread) && !done.has(thread));
  const how = threads.map((thread) => {
    if (!moved.has(thread)) return `${thread} is not owed a turn all the way round`;
    return strong.has(thread) ? `${thread} is offered a lock and takes steps` : `${thread} takes steps`;
  });
  for (const line of wild) how.push(`${line} goes its tamest way too`);
  return { fair: true, circle: { kernel, fruitless, pending }, how };
}
