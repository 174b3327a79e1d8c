/**
 * Every schedule, one after another, with no reduction at all, and the sorts they are of: the oracle of the stateless
 * search. Slow and obvious; it shares the learned steps with it, but neither masks nor clocks nor sleep sets.
 *
 * The sort of a schedule is its Foata normal form: every step stands one level above the highest step it depends on.
 */
import type { Learned, Turn, Way } from '../learned.ts';
import { apply } from '../learned.ts';

export interface AllSchedules {
  readonly schedules: number;
  readonly sorts: ReadonlySet<string>;
  readonly finals: ReadonlySet<string>;
}

interface Step {
  readonly process: number;
  readonly label: string;
  readonly reads: ReadonlySet<number>;
  readonly writes: ReadonlySet<number>;
}

/** @throws when there are more than `most` schedules, or one takes more than `most` steps */
export function allSchedules<S extends object, F>(
  learned: Learned<S, F>,
  from: Uint16Array,
  { patient, rests = false, most = 200_000 }: { patient: boolean; rests?: boolean; most?: number },
): AllSchedules {
  const { packing } = learned;
  let count = 0;
  const sorts = new Set<string>();
  const finals = new Set<string>();
  const walk = (words: Uint16Array, trail: readonly Step[]): void => {
    if (count > most || trail.length > most) throw new Error(`more than ${most} schedules`);
    const turns = learned.threads.map((_, process) => learned.turn(process, words, 0));
    const options = turns.flatMap((turn, process) => waysOf(turns, turn, patient).map((way) => ({ process, ...way })));
    if (rests ? turns.every(({ owed, time }) => !owed && !time) : options.length === 0) {
      count += 1;
      sorts.add(sortOf(trail));
      const [high, low] = [packing.fingerprint(words, 'high'), packing.fingerprint(words, 'low')];
      finals.add(`${(high >>> 0).toString(16)}:${(low >>> 0).toString(16)}`);
    }
    for (const { process, way, reads } of options) {
      const after = words.slice();
      apply(way, after, 0);
      const label = `${process}/${way.outcome}/${[...reads].map((slot) => `${slot}=${words[slot]}`).join(',')}`;
      walk(after, [...trail, { process, label, reads, writes: new Set(way.slots) }]);
    }
  };
  walk(from, []);
  return { schedules: count, sorts, finals };
}

/** What a process may do, and what decided it: in patient time also that nobody before some debtor is owed a step. */
function waysOf<F>(
  turns: readonly Turn<F>[],
  turn: Turn<F>,
  patient: boolean,
): { way: Way<F>; reads: ReadonlySet<number> }[] {
  if (!patient || !turn.time) return turn.ways.map((way) => ({ way, reads: turn.reads }));
  const owing = turns.findIndex(({ owed }) => owed);
  const asked = owing < 0 ? turns : turns.slice(0, owing + 1);
  const reads = new Set([turn, ...asked].flatMap((each) => [...each.reads]).sort((a, b) => a - b));
  return turn.ways.filter(({ nature }) => owing < 0 || nature !== 'time').map((way) => ({ way, reads }));
}

const meet = (a: ReadonlySet<number>, b: ReadonlySet<number>): boolean => [...a].some((slot) => b.has(slot));
const dependent = (a: Step, b: Step): boolean =>
  a.process === b.process || meet(a.writes, b.reads) || meet(b.writes, a.reads);

function sortOf(trail: readonly Step[]): string {
  const levels: number[] = [];
  trail.forEach((step, at) => {
    levels.push(
      1 +
        Math.max(0, ...trail.slice(0, at).flatMap((other, k) => (dependent(other, step) ? [levels[k] as number] : []))),
    );
  });
  return trail
    .map(({ label }, at) => `${levels[at]} ${label}`)
    .sort()
    .join('\n');
}
