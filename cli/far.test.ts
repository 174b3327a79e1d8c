import { expect, test } from 'vitest';
import { Far } from './far.ts';
import { add, newCounters, set } from './tasks/task.ts';

test('a search that nobody can foresee says what it has', () => {
  const counters = newCounters();
  add(counters, 'states', 1_234);
  expect(new Far(counters).text('states')).toMatch(/^1,234 states, \d+ [MG]iB$/);
});
test('one that is alone says its rate, its level, and how long it may go on', async () => {
  const counters = newCounters();
  const far = new Far(counters);
  far.numbers();
  add(counters, 'states', 3_000);
  add(counters, 'expanded', 2_000);
  set(counters, 'depth', 7);
  for (const [counter, all] of [
    ['low', 2_500],
    ['all', 20_000],
    ['high', 1e30],
  ] as const)
    set(counters, counter, all);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(far.text('states')).toMatch(
    /^3,000 states, [\d,]+\/s, depth 7, 1,000 to look at, \d+ [MG]iB, about \d+ \w+ more \(\d+ ms to [\d ]+h \d+ min\)$/,
  );
  expect(far.numbers()).toMatchObject({ states: 3_000, expanded: 2_000, frontier: 1_000, depth: 7, all: 20_000 });
});
