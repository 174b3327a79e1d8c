import { describe, expect, test } from 'vitest';
import { boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { design, ioctl } from '../model/design.ts';
import { mutex_lock, mutex_unlock, user } from '../model/objects/index.ts';
import { canonicalForm } from './canonical.ts';

const abba = boot(designs.find(({ name }) => name === 'canary-abba')!, { order: 'opposite' });
const formOf = (schedule: string[]): string =>
  canonicalForm(abba, { design: 'canary-abba', knobs: abba.knobs, workload: {}, schedule });

/** Two processes and two locks that differ in nothing but their numbers. */
const twins = boot(
  design({
    name: 'twins',
    title: 'Two processes, two locks, numbered',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { lock0: {}, lock1: {} } },
      threads: { user0: user(), user1: user() },
      calls: {
        both: ioctl({ first: ['lock0', 'lock1'], second: ['lock0', 'lock1'] }, [
          mutex_lock('$first'),
          mutex_lock('$second'),
          mutex_unlock('$second'),
          mutex_unlock('$first'),
        ]),
      },
      workload: { user0: ['both(lock0, lock1)'], user1: ['both(lock1, lock0)'] },
    }),
    expect: [],
  }),
);
const twinForm = (workload: Record<string, string[]>, schedule: string[]): string =>
  canonicalForm(twins, { design: 'twins', knobs: {}, workload, schedule });

describe('the canonical form', () => {
  test('is one for orders of steps that commute, and another where the order decides', () => {
    expect(formOf(['one', 'two'])).toBe(formOf(['two', 'one']));
    expect(formOf(['one', 'one', 'two'])).not.toBe(formOf(['two', 'two', 'one']));
    expect(formOf(['one', 'two'])).not.toBe(formOf(['one', 'one']));
  });
  test('does not count words that could not be followed', () => {
    expect(formOf(['one', 'nobody', 'two', 'two', 'two', 'one'])).toBe(formOf(['one', 'two']));
  });
  test('is one for processes and locks in changed roles, and another for another story', () => {
    const straight = { user0: ['both(lock0, lock1)'], user1: ['both(lock1, lock0)'] };
    const crossed = { user0: ['both(lock1, lock0)'], user1: ['both(lock0, lock1)'] };
    const words = ['user0', 'user0', 'user1', 'user1'];
    const swapped = ['user1', 'user1', 'user0', 'user0'];
    expect(twinForm(straight, words)).toBe(twinForm(crossed, swapped));
    expect(twinForm(straight, words)).toBe(twinForm(crossed, words));
    expect(twinForm(straight, words)).not.toBe(twinForm({ ...straight, user1: ['both(lock0, lock1)'] }, words));
  });
});
