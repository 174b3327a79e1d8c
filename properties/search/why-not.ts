/**
 * Why not? For a state and a step that somebody expected: the first reason it cannot be taken, by name.
 *
 * The answer comes from `open`, the same one that enables threads, draws who waits for whom and runs the search; there is no
 * second opinion about what is enabled. Reasons are looked for in the order in which a person would ask: is there such
 * a thread, is it done, has it nothing to do, what does it wait for, can it go that way, and may it go yet.
 */
import { type Choice, choicesOf, parseWord, word } from '../../model/case.ts';
import type { Open, Wait } from '../../model/machine.ts';
import type { Packing } from './packed.ts';
import type { System } from './system.ts';

export interface WhyNot {
  readonly kind: 'unknown' | 'finished' | 'idle' | 'blocked' | 'other ways' | 'too early';
  readonly thread: string;
  /** The reason in words, to follow "because". */
  readonly says: string;
  /** What it waits for. */
  readonly wait?: Wait;
  /** What can be done instead: other ways of the thread, or the steps of others that come first. */
  readonly instead: readonly string[];
}
/** A state as the engine keeps it. */
export interface PackedState {
  readonly packing: Packing;
  readonly words: Uint16Array;
  readonly at: number;
}
const isPacked = (state: object): state is PackedState => 'packing' in state && 'words' in state;

type Openable<S extends object> = Pick<System<S, unknown>, 'processes' | 'open'>;

/**
 * Why this word cannot be taken in this state; nothing when it can.
 * @param patient what time brings comes only when nothing that is owed can move
 */
export function whyNot<S extends object>(
  system: Openable<S>,
  state: S | PackedState,
  text: string,
  patient = true,
): WhyNot | undefined {
  const plain = isPacked(state) ? state.packing.unpack<S>(state.words, state.at) : state;
  const { thread, outcome } = parseWord(text);
  if (!system.processes.includes(thread)) {
    const says = `there is no thread ${thread}; there are: ${system.processes.join(', ')}`;
    return { kind: 'unknown', thread, says, instead: [] };
  }
  const open = system.open(plain, thread);
  const ways = choicesOf(thread, open);
  const wanted = ways.filter((way) => outcome === '' || way.outcome === outcome);
  if (wanted.length === 0) return closed(thread, open, ways.map(word));
  const now = patient ? owedNow(system, plain) : [];
  if (now.length === 0 || wanted.some(({ nature }) => nature !== 'time')) return undefined;
  const [first] = now;
  return {
    kind: 'too early',
    thread,
    says: `time does not pass for ${thread} while a fair thread can move, and ${first?.thread} can`,
    ...('wait' in open ? { wait: open.wait } : {}),
    instead: now.map(word),
  };
}

function closed(thread: string, open: Open, instead: readonly string[]): WhyNot {
  switch (open.kind) {
    case 'finished':
      return { kind: 'finished', thread, says: `${thread} has finished`, instead };
    case 'idle':
    case 'blocked': {
      const { wait } = open;
      const only =
        open.kind === 'blocked' && instead.length > 0 ? `; until then it can only go: ${open.outcomes.join(', ')}` : '';
      return {
        kind: open.kind,
        thread,
        says: `${thread} waits for ${wait.object}: ${wait.because}${only}`,
        wait,
        instead,
      };
    }
    case 'ready': {
      const can = open.outcomes.map((way) => way || 'on').join(', ');
      return { kind: 'other ways', thread, says: `${thread} cannot go that way; it can go: ${can}`, instead };
    }
  }
}

const owedNow = <S extends object>({ processes, open }: Openable<S>, state: S): Choice[] =>
  processes.flatMap((process) => choicesOf(process, open(state, process)).filter(({ nature }) => nature === 'owed'));

/**
 * Why nobody can count on this thread, although it can move: at rest, what it might do is not waited for. Nothing when it
 * is owed a turn, or cannot move at all (which `whyNot` explains).
 */
export function whyNotOwed<S extends object>(
  system: Openable<S>,
  state: S | PackedState,
  thread: string,
): string | undefined {
  const plain = isPacked(state) ? state.packing.unpack<S>(state.words, state.at) : state;
  if (!system.processes.includes(thread)) return undefined;
  const open = system.open(plain, thread);
  const ways = choicesOf(thread, open);
  if (ways.length === 0 || ways.some(({ nature }) => nature !== 'may')) return undefined;
  return open.kind === 'blocked'
    ? `only a signal could end the wait of ${thread} for ${open.wait.object}, and nobody has to send one`
    : `${thread} may go on, or begin, but nobody owes it: it is user space, or has not begun`;
}
