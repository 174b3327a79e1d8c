import { describe, expect, test } from 'vitest';
import { together } from '../properties/search/parallel/together.ts';
import { partialVerdict } from '../properties/search/storage/limits.ts';
import { type Recipe, openCrew, searchTogether } from './search-crew.ts';

const recipe = (file: string, name: string, ...args: unknown[]): Recipe => ({
  module: new URL(`../properties/search/classics/${file}`, import.meta.url).href,
  name,
  args,
  patient: true,
});
const ALL = { maxStates: Number.MAX_SAFE_INTEGER };

describe('a search by threads', () => {
  test('counts the same with one and with two of them', { timeout: 60_000 }, async () => {
    for (const workers of [1, 2]) {
      const { states, transitions, depth, exhausted } = await searchTogether(
        recipe('two-phase-commit.ts', 'twoPhaseCommit', 6),
        workers,
        ALL,
      );
      expect({ states, transitions, depth, exhausted }).toEqual({
        states: 50_816,
        transitions: 256_001,
        depth: 19,
        exhausted: true,
      });
    }
  });
  test('says what there is when it is asked for something else', async () => {
    const { exhausted, why } = await searchTogether(recipe('small.ts', 'philosopher', 3), 1, ALL);
    expect(exhausted).toBe(false);
    expect(why).toMatch(
      /^worker 1 failed: .* has no function "philosopher"; there are: dieHard, petersons, philosophers/,
    );
  });
  test('ends with a line and what was counted when one of them is killed', { tags: ['long'] }, async () => {
    const crew = openCrew(recipe('two-phase-commit.ts', 'twoPhaseCommit', 9), 2);
    let killed = false;
    const partial = await together(crew.hands, {
      ...ALL,
      progress: (states) => {
        if (states < 200_000 || killed) return;
        killed = true;
        setTimeout(() => void crew.threads[1]?.terminate(), 20);
      },
    });
    await crew.close();
    expect(killed).toBe(true);
    expect(partial.states).toBeGreaterThan(200_000);
    expect(partialVerdict(partial)).toMatch(
      /^nothing found in [\d,]+ states; not exhaustive: worker 2 was killed or ended before its time; [\d,]+ more were/,
    );
  });
  test('two-phase commit with 8 has 1,745,408 states, by one, two and three of them', { tags: ['long'] }, async () => {
    for (const workers of [1, 2, 3]) {
      const { states, transitions, depth, resting } = await searchTogether(
        recipe('two-phase-commit.ts', 'twoPhaseCommit', 8),
        workers,
        ALL,
      );
      expect({ states, transitions, depth }).toEqual({ states: 1_745_408, transitions: 11_657_217, depth: 25 });
      expect(resting).toBeGreaterThan(0);
    }
  });
});
