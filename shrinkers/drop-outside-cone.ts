/**
 * Drop what is outside the causal cone: first of the threads that are blamed, then of all threads without round trips.
 *
 * A long walk is mostly the business of others, and of the blamed before it mattered; one look at who needed what finds
 * most of it at once, wherever it stands. A verdict that names no threads is tried with whoever took the last step.
 */
import type { Case } from '../model/case.ts';
import { coneOf } from './cone.ts';
import type { Bench, Pass } from './pass.ts';
import { keepCalls, keepWords, threadOf, wordsOf } from './words.ts';

export const dropOutsideCone: Pass = {
  name: 'drop-outside-cone',
  says: 'drops all words that the blamed threads did not need, then the round trips of all threads',
  *proposals(bench) {
    for (const trips of [false, true]) if (yield* proposed(bench, blamed(bench), trips)) break;
    yield* proposed(bench, wordsOf(bench.now).map(threadOf), false);
  },
};

function blamed({ blame, now }: Bench): string[] {
  const last = now.loop ?? now.schedule.slice(-1);
  return [...last.map(threadOf), ...blame.links.map(({ who }) => who)];
}

function* proposed(
  { booted, now, trace }: Bench,
  threads: readonly string[],
  trips: boolean,
): Generator<Case, boolean, boolean> {
  const cone = coneOf(booted, now, [...new Set(threads)], trips);
  if (cone.size === wordsOf(now).length) return false;
  const steps = [...trace.schedule, ...trace.loop];
  const called = new Set([...cone].map((place) => `${threadOf(steps[place]?.word ?? '')} ${steps[place]?.call}`));
  const workload = keepCalls(now.workload, (user, call) => called.has(`${user} ${call}`));
  return yield { ...keepWords(now, (place) => cone.has(place)), workload };
}
