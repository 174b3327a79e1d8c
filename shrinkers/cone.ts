/**
 * The causal cone of some threads: their words, and those of others without which theirs would go otherwise.
 *
 * First each thread goes the way it went, but without its round trips: what leads from where it stood back to there is
 * left out. Then the words that are left are followed, and the first that finds another state than it found before, in
 * what it reads, names who is missing: whoever wrote there last, and the way that this one went. What belongs to nobody
 * by now is outside the cone. Values count, not accesses: a lock taken and given back is as good as never taken. What a
 * process has yet to call does not count: whoever leaves out the words of a call leaves out the call.
 */
import { type Case, REBOOT, parseWord, word } from '../model/case.ts';
import { type Booted, start } from '../model/design.ts';
import { Learned, type Turn, type Way, apply } from '../properties/search/learned.ts';
import { kernelSystem } from '../properties/search/system.ts';
import { wordsOf } from './words.ts';

/** One word as it was followed. */
interface Followed {
  readonly thread: number;
  readonly turn: Turn;
  readonly way: Way;
  /** The state that it found. */
  readonly before: Uint16Array;
}

const learnedOf = new WeakMap<Booted, Learned>();
function learnedFor(booted: Booted): Learned {
  const known = learnedOf.get(booted) ?? new Learned(kernelSystem(booted.machine));
  learnedOf.set(booted, known);
  return known;
}

/**
 * The places of the words in the cone of these threads, in the last run of the machine.
 * @param run a case whose every word can be followed
 * @param threads by name; those that there are not are left out
 * @param trips keep round trips too
 */
export function coneOf(booted: Booted, run: Case, threads: readonly string[], trips: boolean): ReadonlySet<number> {
  const words = wordsOf(run);
  const first = words.lastIndexOf(REBOOT) + 1;
  const learned = learnedFor(booted);
  const boot = learned.packing.pack(start(booted, run.workload));
  const followed = follow(learned, boot, words.slice(first));
  const stands = learned.threads.map((thread) => learned.packing.slotAt.get(['threads', thread].join('\0')) as number);
  const todo = new Set(
    Object.keys(run.workload).map((user) => learned.packing.slotAt.get(['users', user, 'todo'].join('\0')) as number),
  );
  const stem = run.schedule.length - first;
  const kept = new Set<number>(followed.keys());
  for (let place = 0; place < stem; place += 1) kept.delete(place); // a loop stays as it is
  const keep = (thread: number, until: number, whole = trips): void => {
    const end = until >= stem ? followed[stem]?.before : undefined; // the loop begins there
    const way = wayOf(followed.slice(0, Math.min(until, stem)), thread, stands[thread] as number, whole, end);
    for (const place of way) kept.add(place);
  };
  for (const name of threads) if (learned.threads.includes(name)) keep(learned.threads.indexOf(name), stem);
  const missing = () => firstMissing(boot, followed, kept, todo);
  for (let next = missing(); next; next = missing()) {
    const { size } = kept;
    keep(next.thread, next.until);
    if (kept.size === size) keep(next.thread, next.until, true);
    if (kept.size === size) break; // all of its words are there, and still it is not as it was
  }
  return new Set([...kept].map((place) => first + place));
}

function follow(learned: Learned, boot: Uint16Array, words: readonly string[]): Followed[] {
  const state = boot.slice();
  return words.map((text) => {
    const { thread: name, outcome } = parseWord(text);
    const thread = learned.threads.indexOf(name);
    const turn = learned.turn(thread, state, 0);
    const way = turn.ways.find((each) => word(each) === text) ?? (outcome === '' ? turn.ways[0] : undefined);
    if (!way) throw new Error(`${text} cannot be followed`);
    const before = state.slice();
    apply(way, state, 0);
    return { thread, turn, way, before };
  });
}

/**
 * The places of a thread's words, without its round trips unless they are asked for.
 * @param end the state that they lead to, where no word of its own is needed to get there
 */
function wayOf(
  followed: readonly Followed[],
  thread: number,
  stand: number,
  whole: boolean,
  end?: Uint16Array,
): readonly number[] {
  const way: number[] = [];
  const cut = (state: Uint16Array): void => {
    const back = whole ? -1 : way.findIndex((earlier) => followed[earlier]?.before[stand] === state[stand]);
    if (back >= 0) way.splice(back);
  };
  followed.forEach((each, place) => {
    if (each.thread !== thread) return;
    cut(each.before);
    way.push(place);
  });
  if (end) cut(end);
  return way;
}

/** Who wrote last, and until where, what the first word that goes otherwise read. */
function firstMissing(
  boot: Uint16Array,
  followed: readonly Followed[],
  kept: ReadonlySet<number>,
  ignored: ReadonlySet<number>,
): { readonly thread: number; readonly until: number } | undefined {
  const state = boot.slice();
  for (const [place, { turn, way, before, thread }] of followed.entries()) {
    if (!kept.has(place)) continue;
    const other = [...turn.reads].find((slot) => state[slot] !== before[slot] && !ignored.has(slot));
    if (other !== undefined) {
      for (let at = place - 1; at >= 0; at -= 1) {
        const writer = followed[at] as Followed;
        if (writer.way.slots.includes(other) && (!kept.has(at) || writer.thread !== thread))
          return { thread: writer.thread, until: at + 1 };
      }
      return undefined; // a round trip that was left out mattered
    }
    apply(way, state, 0);
  }
  return undefined;
}
