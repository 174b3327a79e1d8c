/** Random walks, counted: how likely is what is awaited, where there are too many states to say it exactly? */
import { apply, type Learned, type Turn, type Way } from '../learned.ts';
import type { Random } from '../random.ts';
import type { Awaited } from './awaited.ts';

/** Steps of one walk, before it is given up as undecided. */
const MOST_STEPS = 2_000;
/** Of the normal distribution: 95 of 100 intervals hold the truth. */
const Z = 1.96;

export interface Walking {
  readonly learned: Learned;
  readonly awaited: Awaited;
  readonly patient: boolean;
  readonly walks: number;
  readonly random: Random;
}

export class Walks {
  private readonly walking: Walking;
  private readonly turns: Turn[];
  private readonly words: Uint16Array;

  constructor(walking: Walking) {
    this.walking = walking;
    this.turns = walking.learned.threads.map(() => ({}) as Turn);
    this.words = new Uint16Array(walking.learned.packing.width);
  }

  /**
   * The odds from here, where so much was shown already, and how many walks ended without it. Those that were given up
   * count for either.
   */
  around(
    from: Uint16Array,
    shown: number,
  ): { readonly likely: { readonly low: number; readonly high: number }; readonly escaped: number } {
    const { walks } = this.walking;
    const all = { come: 0, end: 0, 'given up': 0 };
    for (let walk = 0; walk < walks; walk += 1) all[this.walk(from, shown)] += 1;
    const { low } = wilson(all.come, walks);
    const { high } = wilson(walks - all.end, walks);
    return { likely: { low, high }, escaped: all.end };
  }
  /** What this state shows. */
  shownIn(words: Uint16Array): number {
    this.words.set(words);
    return this.look().shown;
  }

  private walk(from: Uint16Array, before: number): 'come' | 'end' | 'given up' {
    const { words, walking } = this;
    const { awaited, random } = walking;
    words.set(from);
    let known = before;
    for (let step = 0; step < MOST_STEPS; step += 1) {
      const { able, shown } = this.look();
      known |= shown;
      if (known === awaited.all) return 'come';
      const turn = able[random.below(able.length)];
      if (!turn) return 'end';
      const way = turn[random.below(turn.length)] as Way;
      apply(way, words, 0);
      known |= awaited.by(way, words);
      if (known === awaited.all) return 'come';
    }
    return 'given up';
  }
  /** The ways of every thread that can move, and what the state shows. */
  private look(): { readonly able: readonly (readonly Way[])[]; readonly shown: number } {
    const { turns, words, walking } = this;
    const { learned, awaited, patient } = walking;
    for (let thread = 0; thread < turns.length; thread += 1) turns[thread] = learned.turn(thread, words, 0);
    const owed = turns.some((turn) => turn.owed);
    const shown = awaited.in(turns, words, 0, !owed && !turns.some((turn) => turn.time));
    const able = turns
      .map(({ ways }) => (patient && owed ? ways.filter(({ nature }) => nature !== 'time') : ways))
      .filter(({ length }) => length > 0);
    return { able, shown };
  }
}

/** Wilson's interval of a proportion (Journal of the American Statistical Association 22, 1927). */
function wilson(hits: number, of: number): { readonly low: number; readonly high: number } {
  const share = hits / of;
  const scale = 1 + Z ** 2 / of;
  const middle = (share + Z ** 2 / (2 * of)) / scale;
  const reach = (Z / scale) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return { low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}
