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
  plays(command: C): readonly string[] | undefined;
  shows(): unknown;
}
export interface Side<C> {
  readonly booted: Booted;
  /** Play the command on the object: what is heard. */
  readonly plays: (kernel: KernelState, command: C) => readonly string[];
  readonly shows: (kernel: KernelState) => unknown;
}

/** Play these on both; how many were played. @throws on the first difference, with the story so far */
export function bout<C>({ booted, plays, shows }: Side<C>, commands: readonly C[], oracle: Oracle<C>): number {
  const kernel = start(booted, {});
  const story: C[] = [];
  for (const command of commands) {
    const heard = oracle.plays(command);
    if (heard === undefined) continue;
    story.push(command);
    const said = { heard: plays(kernel, command), shows: shows(kernel) };
    const wanted = { heard, shows: oracle.shows() };
    if (!isDeepStrictEqual(JSON.parse(canonical(said)), JSON.parse(canonical(wanted))))
      throw new Error(`after ${canonical(story)}: ${canonical(said)} instead of ${canonical(wanted)}`);
  }
  return story.length;
}
const COMMANDS_A_BOUT = 100;
/** That many bouts of a hundred commands each, drawn with a fixed seed; how many commands were played. */
export function bouts<C>(side: Side<C>, command: fc.Arbitrary<C>, oracle: () => Oracle<C>, many: number): number {
  const commands = fc.array(command, { minLength: COMMANDS_A_BOUT, maxLength: COMMANDS_A_BOUT });
  let played = 0;
  fc.assert(
    fc.property(commands, (each) => {
      played += bout(side, each, oracle());
    }),
    { numRuns: many, seed: 11 },
  );
  return played;
}

/** Is this user process in the middle of a call? */
export const inCall = (kernel: KernelState, user: string): boolean =>
  (kernel.threads[user] as Thread).frames.length > 1;
/** Let a user make this call, or go on with the one it is in, until it is back or has to wait; all that happened. */
export function calls(
  { machine, ...booted }: Booted,
  kernel: KernelState,
  user: string,
  text: string,
): readonly Fact[] {
  const facts: Fact[] = [];
  if (!inCall(kernel, user)) {
    (kernel.users[user] as { todo: unknown }).todo = [parseCall({ machine, ...booted }, text)];
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
