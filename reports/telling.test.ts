import { describe, expect, test } from 'vitest';
import type { Case } from '../model/case.ts';
import { type Booted, type Design, boot, design, must } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import {
  forever,
  mempool_alloc,
  mutex_lock,
  mutex_lock_killable,
  mutex_unlock,
  progress,
  work_a_while,
} from '../model/objects/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { argument } from './argument.ts';
import { lanes } from './lanes.ts';
import { PLAIN } from './reporter.ts';
import { reporters } from './index.ts';
import { type Telling, stepsOf, tell } from './telling.ts';

const abba = designs.find(({ name }) => name === 'canary-abba') as Design;
const opposite = boot(abba, { order: 'opposite' });
const caseOf = (schedule: readonly string[], of = opposite): Case => ({
  design: of.design.name,
  knobs: of.knobs,
  workload: of.workload,
  schedule,
});
const told = (...schedule: string[]): Telling => tell(opposite, caseOf(schedule), properties);
const render = (format: string, telling: Telling, width = 100): string =>
  reporters.find(({ name }) => name === format)?.render(telling, { ...PLAIN, width }) ?? '';

/** A design of the test's own, and the telling of the first finding of this property in it. */
function small(
  threads: Design['kernel'] extends (knobs: never) => infer K ? K : never,
  title = 'a design of a test',
): Design {
  return design({ name: 'small', title, sources: ['this test'], knobs: {}, kernel: () => threads, expect: [] });
}
function found(of: Design | Booted, property: string): Telling {
  const booted = 'machine' in of ? of : boot(of);
  const finding = sweep(booted, properties).findings.find(({ blame }) => blame.property === property);
  if (!finding) throw new Error(`the design does not break ${property}`);
  const { schedule, loop, blame } = finding;
  return tell(booted, { ...caseOf(schedule, booted), ...(loop ? { loop } : {}) }, properties, blame);
}
const locks = (...names: string[]) => ({ locks: Object.fromEntries(names.map((name) => [name, {}])) });
const takes = (...names: string[]) => must([names.map(mutex_lock), names.toReversed().map(mutex_unlock)]);

describe('a telling', () => {
  test('drops the words that could not be followed, and tells the same without them', () => {
    const skips = told('nobody', 'one', 'one/fails', 'two');
    expect(skips).toEqual(told('one', 'two'));
    expect(stepsOf(skips).map(({ word }) => word)).toEqual(['one', 'two']);
  });

  test('ends at the verdict, and goes to the end when there is none', () => {
    expect(told('one', 'two', 'one', 'two').blame?.property).toBe('no-deadlock');
    expect(stepsOf(told('one', 'two', 'one', 'two')).length).toBe(2);
    expect(told('one', 'one', 'one', 'one').blame).toBeNull();
    expect(stepsOf(told('one', 'one', 'one', 'one')).length).toBe(4);
  });

  test('tells the wanted verdict, and the first when nothing or something else is wanted', () => {
    const run = caseOf(['one', 'one', 'one', 'one', 'two', 'two', 'two', 'two', 'reboot', 'one', 'two']);
    const wanted = (property: 'no-deadlock' | 'no-leak', kind: string) =>
      tell(opposite, run, properties, { property, kind }).blame?.property;
    expect(wanted('no-deadlock', 'circle of mutex')).toBe('no-deadlock');
    expect(wanted('no-leak', 'left over')).toBe('lock-order');
    expect(tell(opposite, run, properties).blame?.property).toBe('lock-order');
  });

  test('keeps a reboot as a divider and starts the machine again there', () => {
    const telling = told('one', 'reboot', 'two');
    expect(telling.steps.map(({ kind }) => kind)).toEqual(['step', 'reboot', 'step']);
    expect(telling.final.map(({ held }) => held.length)).toEqual([0, 1]);
    expect(told('one', 'two').final.map(({ held }) => held.length)).toEqual([1, 1]);
  });

  test('is data: it survives JSON, and telling it twice is telling the same', () => {
    const telling = told('one', 'two');
    expect(JSON.parse(JSON.stringify(telling))).toEqual(telling);
    expect(told('one', 'two')).toEqual(telling);
  });

  test('says who hangs for ever: the circle, and whoever waits for it, but not who waits for somebody able to move', () => {
    expect(told('one', 'two').hanging).toEqual(['one', 'two']);
    expect(told('one', 'one').final.map(({ state }) => state)).toEqual(['running', 'blocked']);
    expect(told('one', 'one').hanging).toEqual([]);
    const kernel = {
      objects: locks('a', 'b'),
      threads: { ab: takes('a', 'b'), ba: takes('b', 'a'), late: takes('b') },
    };
    expect(found(small(kernel), 'no-deadlock').hanging).toEqual(['ab', 'ba', 'late']);
  });

  test('marks the steps that can be repeated for ever, and no step of a case that ends', () => {
    const busy = small({ threads: { busy: must([work_a_while('tries'), forever([work_a_while('tries again')])]) } });
    expect(stepsOf(found(busy, 'no-livelock')).map(({ loop }) => loop)).toContain(true);
    expect(stepsOf(told('one', 'two')).map(({ loop }) => loop)).toEqual([false, false]);
    const useful = small({ threads: { busy: must([forever([work_a_while('tries'), progress('gets on')])]) } });
    expect(() => found(useful, 'no-livelock')).toThrow('does not break');
  });
});

describe('the argument', () => {
  const circleOf = (size: number): Telling => {
    const names = Array.from({ length: size }, (_, at) => `l${at}`);
    const threads = Object.fromEntries(
      names.map((lock, at) => [`t${at}`, takes(lock, names[(at + 1) % size] as string)]),
    );
    return found(small({ objects: locks(...names), threads }), 'no-deadlock');
  };

  test.each([1, 2, 3, 5])('names every member of a circle of %i, each waiting for the next', (size) => {
    const why = argument(circleOf(size));
    expect(why?.lets.map(({ who }) => who)).toEqual(Array.from({ length: size }, (_, at) => `t${at}`));
    const text = why?.sentences.join(' ') ?? '';
    why?.lets.forEach(({ letter }, at) => {
      const next = size === 1 ? 'itself' : why.lets[(at + 1) % size]?.letter;
      expect(text).toContain(`${letter} waits for ${next}, because `);
    });
    expect(text.includes('However')).toBe(size > 1);
    expect(text).toMatch(size > 1 ? /nobody can go on\.$/ : /can never go on\.$/);
  });

  test('says nothing about a case that breaks nothing', () => {
    expect(argument(told('one', 'one'))).toBeUndefined();
    expect(render('story', told('one', 'one'))).not.toContain('argument');
    expect(render('story', told('one', 'one'))).toContain('nothing is broken in these 2 steps');
    expect(render('story', told('one', 'two'))).toContain('The argument');
  });

  test('says of a lock order where each edge was seen, also when nobody ever blocked', () => {
    const why = argument(found(opposite, 'lock-order'));
    expect(why?.lets.map(({ who, where }) => [who, where])).toEqual([
      ['one', 'holds a and wants b, as in step 2 at mutex_lock(&b)'],
      ['two', 'holds b and wants a, as in step 4 at mutex_lock(&a)'],
    ]);
    expect(() => found(small({ objects: locks('a', 'b'), threads: { x: takes('a', 'b') } }), 'lock-order')).toThrow(
      'does not break',
    );
  });

  test('names everybody who could serve a wait for any one of several, for a knot needs them all', () => {
    const pool = (size: number) => ({
      objects: { ...locks('l'), mempools: { pool: { free: size } } },
      threads: {
        asks: must([
          mutex_lock('l'),
          mempool_alloc('pool', 'GFP_KERNEL', 'x'),
          mempool_alloc('pool', 'GFP_KERNEL', 'y'),
          mempool_alloc('pool', 'GFP_KERNEL', 'x'),
        ]),
        x: must([mutex_lock('l')]),
        y: must([mutex_lock('l')]),
      },
    });
    const why = argument(found(small(pool(2)), 'no-deadlock'));
    expect(why?.lets.map(({ who }) => who).toSorted()).toEqual(['asks', 'x', 'y']);
    expect(why?.sentences[0]).toContain('A waits for B or C, because');
    expect(() => found(small(pool(3)), 'no-deadlock')).toThrow('does not break');
  });

  test('gives a letter to a thread that acts, not to an object that is called like it', () => {
    const kernel = { objects: locks('x', 'y'), threads: { x: takes('x', 'y'), y: takes('y', 'x') } };
    expect(argument(found(small(kernel), 'no-deadlock'))?.sentences[0]).toContain('because B holds y.');
  });

  test('follows a fence to whoever owes it, and says what became of the promise', () => {
    const forgotten = designs.find(({ name }) => name === 'canary-signal-forgotten') as Design;
    const booted = boot(forgotten, { on_error: 'forgets' });
    const { findings } = sweep(booted, properties);
    const { blame, schedule } = findings.find((each) => each.blame.property === 'fence-signals') ?? {};
    const text = argument(tell(booted, caseOf(schedule ?? [], booted), properties, blame))?.sentences.join(' ');
    expect(text).toContain('job can be seen by others since step 2, fd_install(sync_file_create(job))');
    expect(text).toContain('and did not signal job');
    expect(text).toContain('waiter, which waits for it');
  });
});

describe('the lanes', () => {
  const plainLanes = (telling: Telling, width = 100): string[] => lanes(telling, { ...PLAIN, width });

  test('stand side by side while they are wide enough to read, and become a list when they are not', () => {
    expect(plainLanes(told('one', 'two'))[0]).toMatch(/one +│ two/);
    expect(plainLanes(told('one', 'two'), 40)[0]).toBe('1  one: mutex_lock(&a)');
  });

  test('become a list when more threads take part than an eye can follow', () => {
    const threads = (size: number) =>
      Object.fromEntries(Array.from({ length: size }, (_, at) => [`t${at}`, takes('a')]));
    const run = (size: number): Telling => {
      const booted = boot(small({ objects: locks('a'), threads: threads(size) }));
      const all = Object.keys(booted.machine.threads).flatMap((name) => [name, name]);
      return tell(booted, caseOf(all, booted), properties);
    };
    expect(plainLanes(run(5), 160)[0]).toContain('│');
    expect(plainLanes(run(6), 160).join('')).not.toContain('│');
  });

  test('say in its own lane that a thread begins to wait, and nothing when nobody does', () => {
    const kernel = { objects: locks('a'), threads: { x: takes('a'), y: takes('a') } };
    const booted = boot(small(kernel));
    const at = (...words: string[]) => plainLanes(tell(booted, caseOf(words, booted), properties)).join('\n');
    expect(at('y', 'y', 'x')).toContain('… waits for a: y holds a');
    expect(at('x', 'x')).not.toContain('… waits');
  });
});

describe('the kernel log', () => {
  test('shows every task of a deadlock as hung, and none where everybody can still move', () => {
    expect(render('hung-task', told('one', 'two')).match(/blocked for more than/g)?.length).toBe(2);
    expect(render('hung-task', told('one', 'one'))).toContain('nothing to print');
  });

  test('does not show a task that can be killed as hung, and the argument says what would end its wait', () => {
    const killable = must([mutex_lock('b'), mutex_lock_killable('a'), mutex_unlock('a'), mutex_unlock('b')]);
    const telling = found(
      small({ objects: locks('a', 'b'), threads: { one: takes('a', 'b'), two: killable } }),
      'no-deadlock',
    );
    expect(render('hung-task', telling)).toMatch(/task one:\d+ blocked/);
    expect(render('hung-task', telling)).not.toMatch(/task two:\d+ blocked/);
    expect(JSON.stringify(argument(telling))).toMatch(
      /killing the process\s+would end the wait, but\s+nobody owes it that/,
    );
    const deaf = found(
      small({ objects: locks('a', 'b'), threads: { one: takes('a', 'b'), two: takes('b', 'a') } }),
      'no-deadlock',
    );
    expect(render('hung-task', deaf)).toMatch(/task two:\d+ blocked/);
    expect(JSON.stringify(argument(deaf))).not.toMatch(/killing/);
  });
  test('shows a lockdep splat for a lock order, and says so when lockdep has nothing to print', () => {
    const splat = render('lockdep', found(opposite, 'lock-order'));
    expect(splat).toContain('possible circular locking dependency detected');
    expect(splat).toContain('two/2 is trying to acquire lock:\na (a)');
    expect(render('lockdep', told('one', 'two'))).toBe(
      'lockdep has nothing to print: no-deadlock is not about the order of locks.\n',
    );
  });
});
