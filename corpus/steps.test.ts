import { expect, test } from 'vitest';
import { follow } from '../model/case.ts';
import { boot, start } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { canonical, read } from '../model/schema.ts';
import { steps } from './steps.ts';

const abba = designs.find((each) => each.name === 'canary-abba');
if (!abba) throw new Error('the canary is gone');
const booted = boot(abba, { order: 'opposite' });
const run = (...schedule: string[]) => ({ design: abba.name, knobs: booted.knobs, workload: {}, schedule });

test('a step shows the line, the slots it wrote, and who waits for whom', () => {
  const [first, second, third] = [...steps(booted, run('one', 'two', 'one'))];
  expect(first).toMatchObject({ word: 'one', line: 'mutex_lock(&a)', waiting: [] });
  expect(first?.changes).toContainEqual({ slot: 'locks.a.owner', from: null, to: 'one' });
  expect(second?.waiting.map(({ thread, wait }) => [thread, wait.object, wait.owedBy])).toEqual([
    ['one', 'b', ['two']],
    ['two', 'a', ['one']],
  ]);
  expect(third).toMatchObject({ skipped: 'one waits for b: two holds b', changes: [] });
});

test('an unknown thread and a word after the end are skips with a reason', () => {
  const schedule = ['three', 'one', 'one', 'one', 'one', 'one'];
  const all = [...steps(booted, run(...schedule))];
  expect(all[0]?.skipped).toBe('there is no thread three; there are: one, two');
  expect(all.at(-1)?.skipped).toBe('one has finished');
  expect(all.filter(({ skipped }) => skipped === undefined)).toHaveLength(4);
});

test('the changes, applied one after another, are the plain run: nothing that changed is left out', () => {
  const walk = run('one', 'one', 'one', 'one', 'two', 'two', 'two', 'two');
  const plain = start(booted, {});
  for (const step of steps(booted, walk)) {
    const before = structuredClone(plain);
    follow(booted.machine, plain, step.given);
    for (const { slot, from, to } of step.changes) {
      const path = slot.split('.');
      expect(canonical(read(before, path))).toBe(canonical(from));
      expect(canonical(read(plain, path))).toBe(canonical(to));
      const at = read(before, path.slice(0, -1)) as Record<string, unknown>;
      at[path.at(-1) ?? ''] = to;
    }
    expect(canonical({ ...before, facts: [] })).toBe(canonical({ ...plain, facts: [] }));
  }
});
