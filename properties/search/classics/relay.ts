/**
 * The relay: a system for measuring what fairness costs, after a benchmark on which TLC needs 4.8 s with one strong
 * fairness constraint, 111 s with ten, and more than 240 s with twelve. Of that one only the sizes are published (N = 12,
 * 28,672 states, one leads-to property, K constraints); this one is made to have the same: (N/2 + 1) · 2^N states.
 *
 * N runners stand in pairs at the N/2 posts of a track. Every runner wakes and sleeps as it likes, for ever. The baton
 * goes from post to post: a runner who is awake at the baton's post may pass it on. Will it arrive? Weak fairness to
 * passing does not help, since runners fall asleep again and again; strong fairness to one runner at every post does.
 * The runners are counted post by post, so the first K constraints are enough when K is at least N - 1.
 */
import { type Kept, flag, int, table } from '../../../model/schema.ts';
import { type Claim, fairTo } from '../constraints.ts';
import { type Classic, classic } from './classic.ts';

/** Posts of the longest track, for the size of the baton's field. */
const MOST_POSTS = 16;
const schema = { runners: table({ awake: flag }), baton: table({ at: int(MOST_POSTS) }) };
export type Relay = Kept<typeof schema>;
export const runners = (n: number): string[] => Array.from({ length: n }, (_, at) => `r${at}`);
export const batonAt = (state: Relay): number => state.baton['baton']?.at ?? 0;

/** @param n runners, an even number */
export function relay(n: number): Classic<Relay> {
  const runner = (state: Relay, name: string): Relay['runners'][string] =>
    state.runners[name] as Relay['runners'][string];
  return classic<Relay>({
    schema,
    given: { runners: Object.fromEntries(runners(n).map((name) => [name, {}])), baton: { baton: {} } },
    processes: Object.fromEntries(
      runners(n).map((name, at) => [
        name,
        {
          wake: {
            when: (state: Relay) => !runner(state, name).awake,
            then: (state: Relay) => void (runner(state, name).awake = true),
          },
          sleep: {
            when: (state: Relay) => runner(state, name).awake,
            then: (state: Relay) => void (runner(state, name).awake = false),
          },
          pass: {
            when: (state: Relay) => runner(state, name).awake && batonAt(state) === Math.floor(at / 2),
            then: (state: Relay) => void ((state.baton['baton'] as { at: number }).at += 1),
          },
        },
      ]),
    ),
  });
}

/**
 * Weak fairness to every runner's waking and sleeping, and K strong constraints about passing: one for each runner, then
 * for each pair of runners that one of them passes, which follows from the single ones and costs as much.
 */
export function fairRelay(n: number, strong: number): Claim<unknown>[] {
  const names = runners(n);
  const alone = names.map((name) => [name]);
  const pairs = names.flatMap((one, at) => names.slice(at + 1).map((other) => [one, other]));
  return [
    ...names.map((name) =>
      fairTo('weak', `${name} wakes and sleeps`, ({ thread, outcome }) => thread === name && outcome !== 'pass'),
    ),
    ...[...alone, ...pairs]
      .slice(0, strong)
      .map((those) =>
        fairTo(
          'strong',
          `${those.join(' or ')} passes the baton`,
          ({ thread, outcome }) => outcome === 'pass' && those.includes(thread),
        ),
      ),
  ];
}
