import { describe, expect, test } from 'vitest';
import { type Design, boot, design, must } from '../../model/design.ts';
import type { Block } from '../../model/machine.ts';
import {
  del_timer,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  forever,
  goto,
  if_ret,
  in_user_space,
  kmalloc,
  label,
  mod_timer,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  progress,
  sync_file_install,
  timer,
  work_a_while,
} from '../../model/objects/index.ts';
import { properties } from '../index.ts';
import { judge } from '../judge.ts';
import { fairness } from '../lasso.ts';
import { type Sweep, sweep } from './sweep.ts';

const named = (
  threads: Readonly<Record<string, Block>>,
  objects: Record<string, Record<string, Record<string, unknown>>>,
  timers: Readonly<Record<string, Block>> = {},
): Design =>
  design({
    name: 'circle',
    title: 'a circle',
    sources: [],
    knobs: {},
    kernel: () => ({
      objects,
      threads: {
        ...Object.fromEntries(Object.entries(threads).map(([name, block]) => [name, must(block)])),
        ...Object.fromEntries(Object.entries(timers).map(([name, block]) => [name, timer(block)])),
      },
    }),
    expect: [],
  });
const convictedBy = (of: Design): string[] => sweep(boot(of), properties).findings.map(({ blame }) => blame.property);
const polite = (mine: string, other: string): Block => [
  label('again'),
  mutex_lock(mine),
  mutex_trylock(other),
  if_ret('0', [mutex_unlock(mine), goto('again')]),
  mutex_unlock(other),
  mutex_unlock(mine),
];
const LOCKS = { locks: { a: {}, b: {} } };

describe('no-livelock', () => {
  test('convicts two polite threads that back off from each other for ever', () => {
    expect(convictedBy(named({ one: polite('a', 'b'), two: polite('b', 'a') }, LOCKS))).toContain('no-livelock');
  });
  test('acquits them when both begin with the same lock', () => {
    expect(convictedBy(named({ one: polite('a', 'b'), two: polite('a', 'b') }, LOCKS))).toEqual([]);
  });
  test('acquits a retry on failed allocation: weather passes', () => {
    expect(
      convictedBy(named({ one: [label('again'), kmalloc('GFP_NOWAIT'), if_ret('-ENOMEM', [goto('again')])] }, {})),
    ).toEqual([]);
  });
  test('convicts a retry that nobody can end', () => {
    expect(
      convictedBy(
        named(
          {
            one: [label('again'), mutex_trylock('a'), if_ret('0', [goto('again')])],
            two: [mutex_lock('a'), forever([progress('goes on'), work_a_while('hogs a')])],
          },
          LOCKS,
        ),
      ),
    ).toContain('no-livelock');
  });
  test('acquits a loop that gets something done each time round', () => {
    expect(convictedBy(named({ one: [forever([work_a_while('serves'), progress('a request')])] }, {}))).toEqual([]);
  });
  test('acquits a waiter for a lock that others take again and again: locks hand over', () => {
    const hog: Block = [forever([mutex_lock('a'), progress('got it'), mutex_unlock('a')])];
    expect(convictedBy(named({ one: hog, two: [mutex_lock('a'), mutex_unlock('a')] }, LOCKS))).toEqual([]);
  });
});

describe('fence-signals in a circle', () => {
  const poll = (end: Block): Block => [
    dma_fence_init('f'),
    sync_file_install('f'),
    forever([work_a_while('polls'), progress('polled'), dma_fence_is_signaled('f'), end]),
  ];
  test('convicts a loop that leaves a published fence pending', () => {
    expect(convictedBy(named({ one: poll([]) }, { fences: { f: {} } }))).toContain('fence-signals');
  });
  test('acquits the loop that signals', () => {
    expect(convictedBy(named({ one: poll([dma_fence_signal('f')]) }, { fences: { f: {} } }))).not.toContain(
      'fence-signals',
    );
  });
});

describe('patient time', () => {
  test('does not call itself exhaustive when a loop would hold a timer back for ever', () => {
    const waits = named(
      {
        one: [mod_timer('t'), label('again'), dma_fence_is_signaled('f'), if_ret('0', [goto('again')])],
        two: [dma_fence_init('f', 't')],
      },
      { fences: { f: {} } },
      { t: [dma_fence_signal('f')] },
    );
    const found: Sweep = sweep(boot(waits), properties);
    expect(found.complete).toBe(false);
    expect(found.why).toMatch(/holds .*time.* back/);
    expect(sweep(boot(waits), properties, { patient: false }).complete).toBe(true);
  });
  const server: Block = [forever([mutex_lock('a'), progress('served'), mutex_unlock('a')])];
  const tries = (armed: boolean): Block => [
    forever([armed ? mod_timer('t') : [], label('again'), mutex_trylock('a'), if_ret('0', [goto('again')]), end]),
  ];
  const end: Block = [del_timer('t'), progress('got it'), mutex_unlock('a')];
  const heldBackIn = (one: Block, two: Block): string | undefined =>
    sweep(boot(named({ one, two }, LOCKS, { t: [work_a_while('fires')] })), properties).why;
  test('nor when the loop has a way out to where the timer is stopped: it need not be taken', () => {
    expect(heldBackIn(tries(true), server)).toMatch(/holds t's time back/);
    expect(heldBackIn(tries(false), server)).toBeUndefined();
  });
  test('does when only user space goes round: it owes nobody a turn, so the time can come', () => {
    const hogs: Block = [forever([in_user_space('goes round'), work_a_while('in a call'), progress('was served')])];
    const idles: Block = [forever([in_user_space('goes round'), in_user_space('and round'), progress('as it likes')])];
    expect(heldBackIn([mod_timer('t'), idles], [])).toBeUndefined();
    expect(heldBackIn([mod_timer('t'), hogs], [])).toBeUndefined();
    expect(heldBackIn([mod_timer('t'), forever([work_a_while('hogs'), progress('hogs')])], [])).toMatch(/holds t's/);
  });
  test('does when the loop is bad weather only: it passes, and then the time comes', () => {
    const alloc: Block = [label('again'), kmalloc('GFP_NOWAIT'), if_ret('-ENOMEM', [goto('again')])];
    expect(heldBackIn([mod_timer('t'), alloc], [])).toBeUndefined();
    expect(heldBackIn([mod_timer('t'), forever([work_a_while('hogs'), progress('hogs')])], [])).toMatch(
      /holds t's time/,
    );
  });
});

describe('a lasso', () => {
  const livelock = boot(named({ one: polite('a', 'b'), two: polite('b', 'a') }, LOCKS));
  const found = sweep(livelock, properties).findings.find(({ blame }) => blame.property === 'no-livelock');
  const run = { design: 'circle', knobs: {}, workload: {}, schedule: found?.schedule ?? [], loop: found?.loop ?? [] };

  test('has the shortest stem there is: the state before its first step is the first one from which it can be gone', () => {
    expect(found?.schedule).toEqual([]);
    expect(found?.loop?.length).toBeGreaterThan(0);
  });
  test('says what is fair about it, thread by thread', () => {
    const checked = fairness(livelock.machine, livelock.machine.boot, found?.loop ?? []);
    expect(checked).toMatchObject({
      fair: true,
      how: ['one is offered a lock and takes steps', 'two is offered a lock and takes steps'],
    });
  });
  test('is no lasso without any one of its words', () => {
    const loop = found?.loop ?? [];
    loop.forEach((_, at) => {
      const shorter = [...loop.slice(0, at), ...loop.slice(at + 1)];
      expect(fairness(livelock.machine, livelock.machine.boot, shorter).fair, `without word ${at}`).toBe(false);
    });
  });
  test('is one that the judge follows and convicts', () => {
    expect(judge(livelock, run, properties).verdicts.map(({ blame }) => blame.property)).toContain('no-livelock');
  });
  test('is no lasso without its last word: it does not lead back', () => {
    expect(
      judge(livelock, { ...run, loop: run.loop.slice(0, -1) }, properties).verdicts.map(({ blame }) => blame.property),
    ).not.toContain('no-livelock');
  });
  test('is unfair when a thread that could always move never does', () => {
    const spin = boot(
      named({ one: [forever([work_a_while('spins')])], two: [work_a_while('waits for its turn')] }, {}),
    );
    const checked = fairness(spin.machine, spin.machine.boot, ['one']);
    expect(checked).toEqual({ fair: false, why: 'two could always move and never does' });
  });
});
