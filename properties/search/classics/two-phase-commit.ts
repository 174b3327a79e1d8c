/**
 * Two-phase commit: a transaction manager and N resource managers over a set of messages (Gray and Lamport, Consensus
 * on Transaction Commit, 2006; the TwoPhase specification). Distinct states for N = 3 … 9, as published: 288, 1,568,
 * 8,832, 50,816, 296,448, 1,745,408, 10,340,352.
 */
import { type Kept, flag, oneOf, table } from '../../../model/schema.ts';
import { type Classic, classic } from './classic.ts';

const schema = {
  managers: table({
    state: oneOf('working', 'prepared', 'committed', 'aborted'),
    /** Its Prepared message is out. */
    sent: flag,
    /** The transaction manager has seen that message. */
    seen: flag,
  }),
  transaction: table({ state: oneOf('init', 'committed', 'aborted') }),
};
type State = Kept<typeof schema>;

export function twoPhaseCommit(n: number): Classic<State> {
  const names = Array.from({ length: n }, (_, at) => `rm${at}`);
  const manager = (state: State, name: string): State['managers'][string] =>
    state.managers[name] as State['managers'][string];
  const tm = (state: State): State['transaction'][string] => state.transaction['tm'] as State['transaction'][string];
  return classic<State>({
    schema,
    given: { managers: Object.fromEntries(names.map((name) => [name, {}])), transaction: { tm: {} } },
    processes: {
      tm: {
        commit: {
          when: (state) => tm(state).state === 'init' && names.every((name) => manager(state, name).seen),
          then: (state) => void (tm(state).state = 'committed'),
        },
        abort: { when: (state) => tm(state).state === 'init', then: (state) => void (tm(state).state = 'aborted') },
      },
      ...Object.fromEntries(
        names.map((name) => [
          name,
          {
            /** The transaction manager receives Prepared from this one. */
            received: {
              when: (state: State) =>
                manager(state, name).sent && !manager(state, name).seen && tm(state).state === 'init',
              then: (state: State) => void (manager(state, name).seen = true),
            },
            prepare: {
              when: (state: State) => manager(state, name).state === 'working',
              then: (state: State) => void Object.assign(manager(state, name), { state: 'prepared', sent: true }),
            },
            'choose abort': {
              when: (state: State) => manager(state, name).state === 'working',
              then: (state: State) => void (manager(state, name).state = 'aborted'),
            },
            /** A message, once out, can be received again and again: these change nothing the second time. */
            'commit message': {
              when: (state: State) => tm(state).state === 'committed' && manager(state, name).state !== 'committed',
              then: (state: State) => void (manager(state, name).state = 'committed'),
            },
            'abort message': {
              when: (state: State) => tm(state).state === 'aborted' && manager(state, name).state !== 'aborted',
              then: (state: State) => void (manager(state, name).state = 'aborted'),
            },
          },
        ]),
      ),
    },
  });
}
