/** For tests of objects that answer: what each of some lines returns, run one after the other by one thread. */
import { type Kernel, must } from './design.ts';
import type { Block, Fact } from './machine.ts';
import { call } from './objects/index.ts';
import { type Stage, misuses, stage } from './stage.ts';

export interface Answers {
  /** What each line returned, in order; shorter when one of them did not end. */
  readonly rets: readonly string[];
  readonly at: Stage;
  /** The rules that were broken. */
  readonly rules: readonly string[];
  /** Everything that happened. */
  readonly heard: readonly Fact[];
}
/** Run the lines on a thread 'task'; after each the other threads named in `settle` may go on, in this order. */
export function answers(
  kernel: Omit<Kernel, 'threads'> & Partial<Kernel>,
  lines: readonly Block[],
  settle: readonly string[] = [],
): Answers {
  const routines = Object.fromEntries(lines.map((line, at) => [`line${at}`, line]));
  const at = stage({
    ...kernel,
    routines: { ...kernel.routines, ...routines },
    threads: { ...kernel.threads, task: must(lines.map((_line, index) => call(`line${index}`))) },
  });
  const rets: string[] = [];
  const heard: Fact[] = [];
  const go = (thread: string): boolean => {
    const now = at.open(thread);
    if (now.kind !== 'ready') return false;
    for (const fact of at.plays(now.outcomes[0] === '' ? thread : `${thread}/${now.outcomes[0]}`)) {
      heard.push(fact);
      if (fact.kind === 'returned' && /^line\d+$/.test(fact.routine)) rets.push(fact.ret);
    }
    return true;
  };
  for (let moved = true; moved; ) {
    moved = go('task');
    if (!moved || rets.length > 0) for (const thread of settle) while (go(thread)) moved = true;
  }
  return { rets, at, rules: misuses(heard), heard };
}
/** What the last of these lines returned; nothing when it did not end. */
export const answer = (
  kernel: Omit<Kernel, 'threads'> & Partial<Kernel>,
  lines: readonly Block[],
  settle?: readonly string[],
): string | undefined => {
  const { rets } = answers(kernel, lines, settle);
  return rets.length === lines.length ? rets.at(-1) : undefined;
};
