/**
 * Properties in a parallel search: each worker says by name what it would have told an observer, and the names with
 * their schedules are afterwards judged again in one thread, so that whatever is found is the same for any number of
 * workers.
 */
import type { Fact, Machine } from '../../../model/machine.ts';
import { type Blame, type Evidence, type Property, signature } from '../../property.ts';
import { word } from '../../../model/case.ts';
import { Judging, type Told } from '../judging.ts';
import { type Learned, apply } from '../learned.ts';
import type { Observer } from '../observer.ts';
import type { Watch } from './member.ts';

/** A witness needs no schedule: it is enough that somebody saw it. */
const WITNESS = 'it was seen that ';
export const needsSchedule = (name: string): boolean => !name.startsWith(WITNESS);
export const witnessIn = (name: string): string => name.slice(WITNESS.length);

/** Names for all that a state or a step gives to say. */
export function watchFor(machine: Machine, learned: Learned, props: readonly Property[]): Watch<Fact> {
  const judging = new Judging(machine, learned, props);
  const names = new Names();
  return {
    state(turns, words, at, resting) {
      names.begin();
      judging.state(turns, words, at, resting, names);
      return names.said;
    },
    step(way, words) {
      names.begin();
      judging.step(way, words, names);
      return names.said;
    },
  };
}

class Names implements Told {
  said: string[] = [];
  private readonly witnesses = new Set<string>();

  begin(): void {
    if (this.said.length > 0) this.said = [];
  }
  blame(blame: Blame): void {
    this.said.push(signature(blame));
  }
  evidence({ name }: Property, pieces: readonly Evidence[]): void {
    for (const { key } of pieces) this.said.push(`${name} gathers ${key}`);
  }
  /** Once by each worker is enough: whoever comes to it on the first level on which it shows, comes to it there first. */
  witness(name: string): void {
    if (this.witnesses.has(name)) return;
    this.witnesses.add(name);
    this.said.push(`${WITNESS}${name}`);
  }
}

/** Let an observer look at every state and step of a schedule. @throws when it cannot be followed */
export function show(
  learned: Learned,
  from: Uint16Array,
  schedule: readonly string[],
  { visitors }: Pick<Observer, 'visitors'>,
): void {
  const state = from.slice();
  visitors.begins((length) => schedule.slice(0, length));
  for (let at = 0; at <= schedule.length; at += 1) {
    const turns = learned.threads.map((_, thread) => learned.turn(thread, state, 0));
    const resting = turns.every(({ owed, time }) => !owed && !time);
    visitors.state(at, turns, state, 0, resting);
    if (at === schedule.length) return;
    const way = turns.flatMap(({ ways }) => ways).find((each) => word(each) === schedule[at]);
    if (!way) throw new Error(`${schedule[at]} cannot be taken after ${schedule.slice(0, at).join(', ')}`);
    apply(way, state, 0);
    visitors.step(way, at, state);
  }
}
