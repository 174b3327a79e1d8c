/**
 * A bout: commands played on an object and on an oracle of it, which must say and show the same after every one of them.
 *
 * An oracle is a few lines written from the documents, and knows nothing of the object's state. A bout that cannot fail
 * proves nothing, so every oracle has a twin that is wrong on purpose, and that must be told apart.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { follow } from './case.ts';
import { type Booted, parseCall, start } from './design.ts';
import type { Fact, KernelState, Thread } from './machine.ts';
import { canonical } from './schema.ts';

export interface Oracle<C> {
  /** What is heard when this command is played, or nothing at all when it makes no sense now and is left out. */
  plays(command: C): unknown;
  shows(): unknown;
}
export interface Side<C> {
  readonly booted: Booted;
  /** Play the command on the object: what is heard. @throws when it cannot be played here */
  readonly plays: (kernel: KernelState, command: C) => unknown;
  readonly shows: (kernel: KernelState) => unknown;
  /** The command in words, for the story. */
  readonly text?: (command: C) => string;
}

/** Play these on both; how many were played. @throws on the first difference, with the story so far */
export function bout<C>(side: Side<C>, commands: readonly C[], oracle: Oracle<C>): number {
  const { booted, plays, shows, text = canonical } = side;
  const kernel = start(booted, {});
  const story: string[] = [];
  for (const command of commands) {
    const heard = oracle.plays(command);
    if (heard === undefined) continue;
    story.push(text(command));
    let said: unknown;
    try {
      said = { heard: plays(kernel, command), shows: shows(kernel) };
    } catch (error) {
      throw new Error(`after ${story.join('; ')}: ${String(error)}`, { cause: error });
    }
    const wanted = { heard, shows: oracle.shows() };
    if (!isDeepStrictEqual(said, wanted))
      throw new Error(`after ${story.join('; ')}: ${canonical(said)} instead of ${canonical(wanted)}`);
  }
  return story.length;
}
export interface Bouts {
  readonly seed?: number;
  /** Commands that are drawn for one bout; those that make no sense are left out of it. */
  readonly commands?: number;
  /** Is a difference only to be seen, and not made small? For oracles that are wrong on purpose. */
  readonly endOnFailure?: boolean;
}
/**
 * That many bouts, drawn with a fixed seed; how many commands were played.
 * @throws what the first difference was, and after which commands
 */
export function bouts<C>(
  side: Side<C>,
  command: fc.Arbitrary<C>,
  oracle: () => Oracle<C>,
  many: number,
  { seed = 11, commands = 100, endOnFailure = false }: Bouts = {},
): number {
  let played = 0;
  const check = fc.check(
    fc.property(fc.array(command, { minLength: commands, maxLength: commands }), (each) => {
      played += bout(side, each, oracle());
    }),
    { numRuns: many, seed, endOnFailure },
  );
  if (check.failed) throw check.errorInstance;
  return played;
}

/** Take this step, in patient time or not: what happened. @throws when it cannot be taken here */
export function takes({ machine }: Booted, kernel: KernelState, word: string): readonly Fact[] {
  const { choice, facts } = follow(machine, kernel, word, false);
  if (!choice) throw new Error(`cannot ${word}`);
  return facts;
}
/** Is this user process in the middle of a call? */
export const inCall = (kernel: KernelState, user: string): boolean =>
  (kernel.threads[user] as Thread).frames.length > 1;
/** Put this call before a user who is in none: it is made at the user's next turn. */
export function asks(booted: Booted, kernel: KernelState, user: string, text: string): void {
  (kernel.users[user] as { todo: unknown }).todo = [parseCall(booted, text)];
}
/** Let a user make this call, or go on with the one it is in, until it is back or has to wait; all that happened. */
export function calls(booted: Booted, kernel: KernelState, user: string, text: string): readonly Fact[] {
  const { machine } = booted;
  const facts: Fact[] = [];
  if (!inCall(kernel, user)) {
    asks(booted, kernel, user, text);
    facts.push(...follow(machine, kernel, user).facts);
  }
  while (inCall(kernel, user)) {
    const { choice, facts: more } = follow(machine, kernel, user);
    if (!choice) break;
    facts.push(...more);
  }
  return facts;
}
/** What a call returned to user space, and the rules that were broken on the way. */
export const answerOf = (facts: readonly Fact[]): string[] =>
  facts.flatMap((fact) =>
    fact.kind === 'misuse' ? [fact.rule] : fact.kind === 'returned' && fact.to === 'user' ? [`ret ${fact.ret}`] : [],
  );
