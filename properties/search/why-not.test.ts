import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { choiceOf, choices, choicesOf, follow, opens, word } from '../../model/case.ts';
import { type Booted, boot, design, ioctl, may, must, start } from '../../model/design.ts';
import type { Block, KernelState } from '../../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_wait_interruptible,
  dma_fence_wait_timeout,
  kmalloc,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  timer,
  user,
  work_a_while,
} from '../../model/objects/index.ts';
import { dieHard } from './classics/small.ts';
import { Learned } from './learned.ts';
import { loops, loopy } from './loopy-systems.ts';
import { kernelSystem } from './system.ts';
import { whyNot, whyNotOwed } from './why-not.ts';

const holds: Block = [mutex_lock('x'), work_a_while('works'), mutex_unlock('x')];
const booted = boot(
  design({
    name: 'asked',
    title: 'threads to ask about',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects: { locks: { x: {} }, fences: { f: {} } },
      threads: {
        one: must(holds),
        two: must(holds),
        short: must([kmalloc('GFP_NOWAIT')]),
        maybe: may(holds),
        patient: must([dma_fence_init('f', 'one'), dma_fence_wait_timeout('f')]),
        signalled: must([work_a_while('looks'), dma_fence_wait_interruptible('f')]),
        tick: timer([work_a_while('ticks')]),
        arms: must([mod_timer('tick')]),
        user0: user(),
      },
      calls: { poke: ioctl({}, [work_a_while('pokes')]), peek: ioctl({}, [work_a_while('peeks')]) },
      workload: { user0: ['poke()'] },
    }),
    expect: [],
  }),
);
const system = kernelSystem(booted.machine);
/** The state after these words, all of which must be possible. */
function after(...schedule: string[]): KernelState {
  const kernel = start(booted, booted.workload);
  for (const text of schedule) expect(follow(booted.machine, kernel, text, false).choice, text).toBeDefined();
  return kernel;
}
const says = (text: string, schedule: string[], patient = true): string | undefined =>
  whyNot(system, after(...schedule), text, patient)?.says;

describe('the reason is named', () => {
  test('an unknown thread, with those there are', () => {
    expect(says('three', [])).toBe(
      'there is no thread three; there are: one, two, short, maybe, patient, signalled, tick, arms, user0',
    );
    expect(says('one', [])).toBeUndefined();
  });
  test('a thread that has finished', () => {
    expect(says('one', ['one', 'one', 'one'])).toBe('one has finished');
    expect(says('one', ['one', 'one'])).toBeUndefined();
  });
  test('a thread that is blocked: who holds what', () => {
    expect(whyNot(system, after('one'), 'two')).toMatchObject({
      kind: 'blocked',
      says: 'two waits for x: one holds x',
      wait: { object: 'x', owedBy: ['one'] },
      instead: [],
    });
    expect(whyNot(system, after('one', 'one', 'one'), 'two')).toBeUndefined();
  });
  test('a thread that has not begun and could not: the same reason', () => {
    expect(says('maybe', ['one'])).toBe('maybe waits for x: one holds x');
    expect(says('maybe', [])).toBeUndefined();
  });
  test('a thread that is idle: nothing is there for it to do', () => {
    expect(whyNot(system, after(), 'tick')).toMatchObject({
      kind: 'idle',
      says: 'tick waits for tick: tick is not armed',
    });
    expect(whyNot(system, after('user0/poke', 'user0'), 'user0')).toMatchObject({
      kind: 'idle',
      says: 'user0 waits for user0: user0 has no more calls to make',
    });
  });
  test('a thread that is ready, but not to go that way: the ways there are', () => {
    expect(whyNot(system, after(), 'user0/peek')).toMatchObject({
      kind: 'other ways',
      says: 'user0 cannot go that way; it can go: poke',
      instead: ['user0/poke'],
    });
    expect(says('short/reclaim', [])).toMatch(/^short cannot go that way; it can go: ok, fails$/);
    expect(says('one/-ENOMEM', [])).toBe('one cannot go that way; it can go: on');
    expect(says('short/fails', [])).toBeUndefined();
  });
  test('a wait that only a signal can end: that, and nothing else', () => {
    const waiting = ['patient', 'signalled'];
    expect(whyNot(system, after(...waiting), 'signalled/0')).toMatchObject({
      kind: 'blocked',
      says: expect.stringMatching(/^signalled waits for f: .*; until then it can only go: interrupted$/) as unknown,
      instead: ['signalled/interrupted'],
    });
    expect(says('signalled/interrupted', waiting)).toBeUndefined();
  });
  test('time that is held back while somebody can move, and who; at any time it is not', () => {
    const armed = ['arms', 'one'];
    expect(whyNot(system, after(...armed), 'tick')).toMatchObject({
      kind: 'too early',
      says: 'time does not pass for tick while a fair thread can move, and one can',
      instead: expect.arrayContaining(['one', 'short/ok', 'patient']) as unknown,
    });
    expect(says('tick', armed, false)).toBeUndefined();
    expect(says('patient', ['patient'])).toMatch(/^time does not pass for patient .* and one can$/);
  });
  test('a way that the timer does not have comes before its time', () => {
    expect(says('tick/late', ['arms'])).toBe('tick cannot go that way; it can go: on');
  });
  test('a state of the engine gets the same answer as the plain one', () => {
    const learned = new Learned(system);
    const words = learned.packing.pack(after('one'));
    expect(whyNot(system, { packing: learned.packing, words, at: 0 }, 'two')).toEqual(
      whyNot(system, after('one'), 'two'),
    );
  });
  test('of a system that is no kernel: the commands that are open', () => {
    const jugs = dieHard();
    expect(whyNot(jugs, jugs.boot, 'hero/drink')?.says).toMatch(
      /hero cannot go that way; it can go: fill small, fill big/,
    );
    expect(whyNot(jugs, jugs.boot, 'hero/fill big')).toBeUndefined();
  });
});

describe('why nobody can count on a thread', () => {
  test('it may begin, or is user space, or only a signal could wake it', () => {
    expect(whyNotOwed(system, after(), 'maybe')).toMatch(/nobody owes it/);
    expect(whyNotOwed(system, after(), 'user0')).toMatch(/user space/);
    expect(whyNotOwed(system, after('patient', 'signalled'), 'signalled')).toMatch(
      /only a signal .* wait of signalled for f/,
    );
  });
  test('whoever is owed a turn, has begun, or waits for a thing, is not explained so', () => {
    expect(whyNotOwed(system, after(), 'one')).toBeUndefined();
    expect(whyNotOwed(system, after('maybe'), 'maybe')).toBeUndefined();
    expect(whyNotOwed(system, after('one'), 'two')).toBeUndefined();
  });
});

test('there is a reason if and only if the word cannot be followed: on random kernels, walks and words', () => {
  let reasons = 0;
  const asks = (machine: Booted, picks: readonly number[], patient: boolean): void => {
    const asked = kernelSystem(machine.machine);
    const kernel = start(machine, machine.workload);
    for (const pick of picks) {
      const now = choices(machine.machine, kernel, patient);
      const all = Object.entries(opens(machine.machine, kernel)).flatMap(([thread, open]) => choicesOf(thread, open));
      const words = [
        ...all.map(word),
        ...asked.processes,
        ...asked.processes.map((thread) => `${thread}/-EIO`),
        'nobody',
      ];
      for (const text of words) {
        const why = whyNot(asked, kernel, text, patient);
        expect(why === undefined, `${text}: ${why?.says}`).toBe(choiceOf(text, now) !== undefined);
        if (why) reasons += 1;
        // What can be done instead can be done, or waits only for its time.
        for (const instead of why?.instead ?? []) expect(all.map(word)).toContain(instead);
      }
      const choice = now[pick % Math.max(1, now.length)];
      if (!choice) return;
      follow(machine.machine, kernel, word(choice), patient);
    }
  };
  fc.assert(
    fc.property(loops, fc.array(fc.nat(30), { maxLength: 12 }), fc.boolean(), (data, picks, patient) =>
      asks(loopy(data), picks, patient),
    ),
    { numRuns: 60, seed: 11 },
  );
  expect(reasons).toBeGreaterThan(1_000);
});
