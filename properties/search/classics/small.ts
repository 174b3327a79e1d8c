/** Small classics with known sizes: Die Hard, dining philosophers, Peterson's algorithm, the Towers of Hanoi. */
import { type Kept, flag, int, maybe, name, oneOf, table } from '../../../model/schema.ts';
import { type Classic, type Command, classic } from './classic.ts';

const jugs = { jugs: table({ water: int(5) }) };
type Jugs = Kept<typeof jugs>;
/** Die Hard: a 3- and a 5-gallon jug (L. Lamport, the TLA+ Video Course). 16 reachable states; 4 gallons after 6 steps. */
export function dieHard(): Classic<Jugs> {
  const jug = (state: Jugs, which: string): { water: number } => state.jugs[which] as { water: number };
  const full: Readonly<Record<string, number>> = { small: 3, big: 5 };
  const pour = (from: string, into: string): Command<Jugs> => ({
    when: () => true,
    then: (state) => {
      const poured = Math.min(jug(state, from).water, (full[into] as number) - jug(state, into).water);
      jug(state, from).water -= poured;
      jug(state, into).water += poured;
    },
  });
  const level = (which: string, water: number): Command<Jugs> => ({
    when: () => true,
    then: (state) => void (jug(state, which).water = water),
  });
  return classic<Jugs>({
    schema: jugs,
    given: { jugs: { small: {}, big: {} } },
    processes: {
      hero: {
        'fill small': level('small', 3),
        'fill big': level('big', 5),
        'empty small': level('small', 0),
        'empty big': level('big', 0),
        'small to big': pour('small', 'big'),
        'big to small': pour('big', 'small'),
      },
    },
  });
}

const dinner = {
  forks: table({ heldBy: maybe(name('philosophers')) }),
  philosophers: table({ place: oneOf('thinking', 'one fork', 'eating') }),
};
type Dinner = Kept<typeof dinner>;
/**
 * Dining philosophers (E. W. Dijkstra, EWD 310) who take the left fork first and put both back at once.
 * States and deadlocks follow from the rules: see the test, which counts them a second way.
 */
export function philosophers(n: number): Classic<Dinner> {
  const names = Array.from({ length: n }, (_, at) => `p${at}`);
  const fork = (state: Dinner, at: number): Dinner['forks'][string] =>
    state.forks[`f${at % n}`] as Dinner['forks'][string];
  const person = (state: Dinner, who: string): Dinner['philosophers'][string] =>
    state.philosophers[who] as Dinner['philosophers'][string];
  return classic<Dinner>({
    schema: dinner,
    given: {
      forks: Object.fromEntries(names.map((_, at) => [`f${at}`, {}])),
      philosophers: Object.fromEntries(names.map((who) => [who, {}])),
    },
    processes: Object.fromEntries(
      names.map((who, at) => [
        who,
        {
          left: {
            when: (state: Dinner) => person(state, who).place === 'thinking' && fork(state, at).heldBy === null,
            then: (state: Dinner) => {
              fork(state, at).heldBy = who;
              person(state, who).place = 'one fork';
            },
          },
          right: {
            when: (state: Dinner) => person(state, who).place === 'one fork' && fork(state, at + 1).heldBy === null,
            then: (state: Dinner) => {
              fork(state, at + 1).heldBy = who;
              person(state, who).place = 'eating';
            },
          },
          rest: {
            when: (state: Dinner) => person(state, who).place === 'eating',
            then: (state: Dinner) => {
              fork(state, at).heldBy = null;
              fork(state, at + 1).heldBy = null;
              person(state, who).place = 'thinking';
            },
          },
        },
      ]),
    ),
  });
}

const peterson = {
  sides: table({ wants: flag, at: oneOf('rest', 'flag', 'turn', 'critical') }),
  shared: table({ turn: maybe(name('sides')) }),
};
type Peterson = Kept<typeof peterson>;
/** Peterson's algorithm for two (G. L. Peterson, Myths about the mutual exclusion problem, 1981). */
export function petersons(broken = false): Classic<Peterson> {
  const side = (state: Peterson, who: string): Peterson['sides'][string] =>
    state.sides[who] as Peterson['sides'][string];
  const other = (who: string): string => (who === 'a' ? 'b' : 'a');
  const at = (place: Peterson['sides'][string]['at'], who: string) => (state: Peterson) =>
    side(state, who).at === place;
  return classic<Peterson>({
    schema: peterson,
    given: { sides: { a: {}, b: {} }, shared: { turn: { turn: 'a' } } },
    processes: Object.fromEntries(
      ['a', 'b'].map((who) => [
        who,
        {
          'raise flag': {
            when: at('rest', who),
            then: (state: Peterson) => void Object.assign(side(state, who), { wants: true, at: 'flag' }),
          },
          'give way': {
            when: at('flag', who),
            then: (state: Peterson) => {
              if (!broken) (state.shared['turn'] as { turn: string | null }).turn = other(who);
              side(state, who).at = 'turn';
            },
          },
          enter: {
            when: (state: Peterson) =>
              at('turn', who)(state) && (!side(state, other(who)).wants || state.shared['turn']?.turn === who),
            then: (state: Peterson) => void (side(state, who).at = 'critical'),
          },
          leave: {
            when: at('critical', who),
            then: (state: Peterson) => void Object.assign(side(state, who), { wants: false, at: 'rest' }),
          },
        },
      ]),
    ),
  });
}

const hanoi = { disks: table({ peg: oneOf('left', 'middle', 'right') }) };
type Hanoi = Kept<typeof hanoi>;
/** The Towers of Hanoi (É. Lucas, 1883): 3^n states, the farthest 2^n - 1 moves away. */
export function towersOfHanoi(n: number): Classic<Hanoi> {
  const disk = (state: Hanoi, at: number): Hanoi['disks'][string] => state.disks[`d${at}`] as Hanoi['disks'][string];
  const smallerOn = (state: Hanoi, at: number, peg: string): boolean =>
    Array.from({ length: at }, (_, smaller) => disk(state, smaller).peg).includes(peg as Hanoi['disks'][string]['peg']);
  return classic<Hanoi>({
    schema: hanoi,
    given: { disks: Object.fromEntries(Array.from({ length: n }, (_, at) => [`d${at}`, {}])) },
    processes: Object.fromEntries(
      Array.from({ length: n }, (_, at) => [
        `d${at}`,
        Object.fromEntries(
          (['left', 'middle', 'right'] as const).map((peg) => [
            `to ${peg}`,
            {
              when: (state: Hanoi) =>
                disk(state, at).peg !== peg && !smallerOn(state, at, disk(state, at).peg) && !smallerOn(state, at, peg),
              then: (state: Hanoi) => void (disk(state, at).peg = peg),
            },
          ]),
        ),
      ]),
    ),
  });
}
