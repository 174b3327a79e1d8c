import { describe, expect, test } from 'vitest';
import { type Kernel, boot, design, must } from '../model/design.ts';
import {
  down_read,
  down_write,
  mutex_lock,
  mutex_unlock,
  spin_lock_irqsave,
  spin_unlock,
  up_read,
  up_write,
} from '../model/objects/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { lockdep } from './lockdep.ts';
import { PLAIN } from './reporter.ts';
import { tell } from './telling.ts';

/** The splat of a small kernel. */
function splat(kernel: Kernel): string {
  const made = design({ name: 'small', title: '', sources: [], knobs: {}, expect: [], kernel: () => kernel });
  const booted = boot(made);
  const found = sweep(booted, properties).findings.find(({ blame }) => blame.property === 'lock-order');
  if (!found) return '';
  const { schedule, blame } = found;
  return lockdep.render(tell(booted, { design: 'small', knobs: {}, workload: {}, schedule }, properties, blame), PLAIN);
}
const locks = (...names: string[]) => ({ locks: Object.fromEntries(names.map((name) => [name, {}])) });
const nested = (...names: string[]) => must([...names.map(mutex_lock), ...names.toReversed().map(mutex_unlock)]);

/** What kernel/locking/lockdep.c prints for a circle, with what differs from case to case left open. */
const LOCK = String.raw`\S+ \([^)]+\)\{[-+.?]{4}\}-\{\d:\d\}`;
const CIRCLE = [
  '={54}',
  'WARNING: possible circular locking dependency detected',
  String.raw`.* Not tainted`,
  '-{54}',
  String.raw`\w+/\d+ is trying to acquire lock:`,
  `${LOCK}, at: \\S+`,
  '',
  'but task is already holding lock:',
  `${LOCK}, at: \\S+`,
  '',
  'which lock already depends on the new lock.',
  '',
  '',
  String.raw`the existing dependency chain \(in reverse order\) is:`,
  String.raw`(?:\n-> #\d+ \([^)]+\)\{[-+.?]{4}\}-\{\d:\d\}:(?:\n {7}\S+)+\n?)+`,
  'other info that might help us debug this:',
  '',
  String.raw`(?:Chain exists of:\n  .+ --> .+ --> .+\n\n)? Possible unsafe locking scenario:`,
  '',
  ' {7}CPU0 {20}CPU1',
  ' {7}---- {20}----',
  String.raw`  r?lock\(.+\);`,
  String.raw` {31}lock\(.+\);`,
  String.raw` {31}lock\(.+\);`,
  String.raw`  r?lock\(.+\);`,
  '',
  String.raw` \*\*\* DEADLOCK \*\*\*`,
  '',
  String.raw`\d+ locks? held by \w+/\d+:`,
  `(?: #\\d+: ${LOCK}, at: \\S+\\n)+`,
  'stack backtrace:',
  String.raw`CPU: 0 PID: \d+ Comm: \w+ Not tainted .*`,
  'Call Trace:',
  ' <TASK>',
  String.raw`(?: \S+\n)+ </TASK>\n`,
];
const circle = new RegExp(`^${CIRCLE.join('\n')}$`);

describe('a splat', () => {
  const three = splat({
    objects: locks('a', 'b', 'c'),
    threads: { one: nested('a', 'b'), two: nested('b', 'c'), three: nested('c', 'a') },
  });

  test('has the lines of the kernel, and no other', () => {
    expect(splat({ objects: locks('a', 'b'), threads: { one: nested('a', 'b'), two: nested('b', 'a') } })).toMatch(
      circle,
    );
    expect(three).toMatch(circle);
  });
  test('the pattern is no formality: a line less, or one more, does not match', () => {
    for (const gone of [
      'which lock already depends on the new lock.\n',
      'Call Trace:\n',
      '       ----                    ----\n',
    ])
      expect(three.replace(gone, '')).not.toMatch(circle);
    expect(three.replace(' *** DEADLOCK ***', ' *** DEADLOCK ***\nmore')).not.toMatch(circle);
  });
  test('numbers the chain downwards, and names the neighbour of the lock that is held when there is one between', () => {
    expect([...three.matchAll(/-> #(\d)/g)].map(([, number]) => number)).toEqual(['2', '1', '0']);
    const [, source, parent, target] = /Chain exists of:\n {2}(\w) --> (\w) --> (\w)\n/.exec(three) ?? [];
    expect(new Set([source, parent, target]).size).toBe(3);
    expect(three).toContain(
      [
        `  lock(${target});`,
        `${' '.repeat(31)}lock(${parent});`,
        `${' '.repeat(31)}lock(${target});`,
        `  lock(${source});`,
      ].join('\n'),
    );
    expect(
      splat({ objects: locks('a', 'b'), threads: { one: nested('a', 'b'), two: nested('b', 'a') } }),
    ).not.toContain('Chain exists');
  });
  test('tells readers from writers, and spinlocks from what sleeps', () => {
    const mixed = splat({
      objects: locks('sem', 'spin', 'm'),
      threads: {
        reader: must([down_read('sem'), mutex_lock('m'), mutex_unlock('m'), up_read('sem')]),
        writer: must([mutex_lock('m'), down_write('sem'), up_write('sem'), mutex_unlock('m')]),
      },
    });
    expect(mixed).toContain('(sem){++++}-{4:4}');
    const spinning = splat({
      objects: locks('a', 'b'),
      threads: {
        one: must([spin_lock_irqsave('a'), spin_lock_irqsave('b'), spin_unlock('b'), spin_unlock('a')]),
        two: must([spin_lock_irqsave('b'), spin_lock_irqsave('a'), spin_unlock('a'), spin_unlock('b')]),
      },
    });
    expect(spinning).toContain('(a){....}-{3:3}');
  });
  test('is another one for a lock that is taken twice', () => {
    const twice = splat({
      objects: { locks: { a: { class: 'c' }, b: { class: 'c' } } },
      threads: { one: nested('a', 'b') },
    });
    expect(twice).toMatch(/^={44}\nWARNING: possible recursive locking detected\n/);
    expect(twice).toContain(
      'one/1 is trying to acquire lock:\nb (c){+.+.}-{4:4}, at: one\n\nbut task is already holding lock:\na (c)',
    );
    expect(twice).toContain(
      '\n       CPU0\n       ----\n  lock(c);\n  lock(c);\n\n *** DEADLOCK ***\n\n May be due to missing lock nesting notation\n',
    );
  });
});
