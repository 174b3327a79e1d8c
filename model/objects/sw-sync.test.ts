/** What the kernel's user-space tests assert of sw_sync (igt-gpu-tools tests/sw_sync.c), one claim a test, and SW-1..SW-10. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answer, answers } from '../answers.ts';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage, witnessed } from '../stage.ts';
import {
  BAD_FD,
  dma_fence_add_callback,
  dma_fence_get_status,
  dma_fence_put,
  dma_fence_signal_locked,
  dma_fence_stub,
  fence_arrays,
  irq_work,
  label,
  goto,
  if_ret,
  sw_sync_close,
  sw_sync_create_fence,
  sw_sync_get_deadline,
  sw_sync_inc,
  sw_sync_timeline,
  sync_file_info,
  sync_file_merge,
  sync_file_poll,
  sync_file_release,
  sync_file_set_deadline,
  sync_wait,
  together,
  witness,
} from './index.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const files = (...names: readonly string[]) => ({
  sync_files: Object.fromEntries(names.map((name) => [name, {}])),
  fences: { stub: dma_fence_stub },
});
const kernel = (points: number, ...timelines: readonly string[]) => ({
  objects: together(
    ...timelines.map((name) => sw_sync_timeline(name, points)),
    fence_arrays('m1', 'm2', 'm3', 'm4'),
    files('f', 'g', 'h', 'i', 'j'),
  ),
  threads: { irq_work: irq_work() },
});
const one = kernel(4, 'tl');
const create = (value: number, file = 'f', timeline = 'tl'): Block => sw_sync_create_fence(timeline, value, file);
const inc = (by: number, timeline = 'tl'): Block => sw_sync_inc(timeline, by);
const wait0 = (file = 'f'): Block => sync_wait(file, '0');
const status = (file = 'f'): Block => [sync_file_info(file)];
const settle = ['irq_work'];
const last = (lines: readonly Block[], of = one): string | undefined => answer(of, lines, settle);

describe('timelines and fences', () => {
  test('IGT sw_sync/alloc_timeline: a timeline can be made and closed', () => {
    expect(last([sw_sync_close('tl')])).toBe('0');
  });
  test('IGT sw_sync/alloc_fence: a fence at value 0 can be made and closed; it has signalled', () => {
    expect(answers(one, [create(0), status(), [sync_file_release('f')]]).rets.slice(0, 2)).toEqual(['0', '1 1']);
  });
  test('IGT sw_sync/alloc_fence_invalid_timeline: a fence on no timeline cannot be made', () => {
    expect(last([create(0, 'f', BAD_FD)])).toBe('-EBADF');
  });
  test('IGT sw_sync/timeline_closed: closing a timeline ends its unsignalled fences: wait(0) gives 0, the status is -ENOENT', () => {
    expect(answers(one, [create(1), sw_sync_close('tl'), wait0(), status()]).rets.slice(2)).toEqual(['0', '1 -ENOENT']);
  });
  test('IGT sw_sync/timeline_closed_signaled: a fence that has signalled stays so after the close', () => {
    expect(answers(one, [create(1), inc(1), sw_sync_close('tl'), wait0(), status()]).rets.slice(3)).toEqual([
      '0',
      '1 1',
    ]);
  });
  test('IGT sw_sync/alloc_merge_fence: fences of two timelines merge; everything can be closed in any order', () => {
    const ends: Block[] = [
      [sync_file_release('f')],
      [sync_file_release('g')],
      [sync_file_release('h')],
      sw_sync_close('a'),
      sw_sync_close('b'),
    ];
    const made = [create(1, 'f', 'a'), create(1, 'g', 'b'), sync_file_merge('h', 'f', 'g')];
    fc.assert(
      fc.property(fc.shuffledSubarray(ends, { minLength: ends.length }), (order) => {
        const { rets, rules } = answers(kernel(2, 'a', 'b'), [...made, ...order], settle);
        return rets.length === 8 && rets[2] === '0' && rules.length === 0;
      }),
      { numRuns: 20, seed: 1 },
    );
  });
  test('IGT sw_sync/sync_busy: a fence at 5 is busy at 0 and 1, over at 5 and at 10; then at every prime step', () => {
    expect(answers(one, [create(5), wait0(), inc(1), wait0(), inc(4), wait0(), inc(5), wait0()]).rets).toEqual([
      '0',
      '-ETIME',
      '0',
      '-ETIME',
      '0',
      '0',
      '0',
      '0',
    ]);
    const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];
    const lines: Block[] = [];
    let value = 0;
    for (const prime of primes) {
      lines.push(create(value + prime), inc(prime - 1), wait0(), inc(1), wait0());
      value += prime;
    }
    const { rets } = answers(kernel(primes.length, 'tl'), lines);
    expect(rets).toEqual(primes.flatMap(() => ['0', '0', '-ETIME', '0', '0']));
  });
});

describe('several processes', () => {
  const forked = () => {
    const at = stage({
      ...one,
      threads: { ...one.threads, parent: must([create(1), sync_wait('f', 'HZ')]), child: must([inc(1)]) },
    });
    const before = at.runs('parent');
    const blocked = at.open('parent').kind;
    at.runs('child');
    return { blocked, facts: [...before, ...at.runs('parent')], at };
  };
  test('IGT sw_sync/sync_busy_fork: the parent waits, and the child raises the timeline', () => {
    const { blocked, facts } = forked();
    expect(blocked).toBe('blocked');
    expect(facts).toContainEqual(expect.objectContaining({ kind: 'returned', routine: 'parent', ret: '0' }));
  });
  /** Every process waits for its own numbered point; whoever is woken may do something next. */
  const consumers = (n: number, wakes: (i: number) => Block, first: Block) =>
    stage({
      objects: together(sw_sync_timeline('tl', n), files(...count(n).map((i) => `f${i}`))),
      routines: {},
      threads: {
        ...Object.fromEntries(
          count(n).map((i) => [
            `consumer${i}`,
            must([create(i + 1, `f${i}`), sync_wait(`f${i}`), witness(`${i + 1}`), wakes(i)]),
          ]),
        ),
        producer: must([first]),
      },
    });
  const everybody = (n: number) => ['producer', ...count(n).map((i) => `consumer${i}`)];
  const rounds = (at: ReturnType<typeof stage>, names: readonly string[]): string[] => {
    const seen: string[] = [];
    for (let before = -1; before !== seen.length; ) {
      before = seen.length;
      for (const name of names) seen.push(...witnessed(at.runs(name)));
    }
    return seen;
  };
  test('IGT sw_sync/sync_multi_consumer: each of eight waiters is woken at its own point, never early, never skipped', () => {
    const n = 8;
    const at = consumers(n, () => [], inc(1));
    for (const i of count(n)) at.runs(`consumer${i}`);
    for (const i of count(n)) expect(at.open(`consumer${i}`).kind).toBe('blocked');
    const one_step = consumers(
      n,
      () => [],
      count(n).map(() => inc(1)),
    );
    for (const i of count(n)) one_step.runs(`consumer${i}`);
    expect(rounds(at, everybody(n))).toEqual(['1']);
    const woken: string[] = [];
    for (let steps = 0; one_step.open('producer').kind === 'ready' && steps < 500; steps += 1) {
      one_step.plays('producer');
      const value = one_step.kernel.sw_timelines['tl']?.value ?? 0;
      for (const i of count(n))
        for (const name of witnessed(one_step.runs(`consumer${i}`))) {
          woken.push(name);
          expect(value).toBeGreaterThanOrEqual(Number(name));
        }
    }
    expect(woken).toEqual(count(n).map((i) => `${i + 1}`));
  });
  test('IGT sw_sync/sync_multi_consumer_producer: each waiter wakes the next: a ring of hand-overs, strictly in order', () => {
    const n = 8;
    const at = consumers(n, () => inc(1), inc(1));
    for (const i of count(n)) at.runs(`consumer${i}`);
    expect(rounds(at, everybody(n).toReversed().toSpliced(0, 0, 'producer'))).toEqual(count(n).map((i) => `${i + 1}`));
  });
  test('IGT sw_sync/sync_multi_producer_single_consumer: a consumer waits for a merge over five producers, round after round', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const merges: Block[] = [
      sync_file_merge('m1', 'a', 'b'),
      sync_file_merge('m2', 'm1', 'c'),
      sync_file_merge('m3', 'm2', 'd'),
      sync_file_merge('m4', 'm3', 'e'),
    ];
    const round = (value: number): Block[] => [
      ...names.map((name) => create(value, name, name)),
      ...merges,
      ...names.flatMap((name) => [wait0('m4'), inc(1, name)]),
      wait0('m4'),
    ];
    const many = {
      objects: together(
        ...names.map((name) => sw_sync_timeline(name, 3)),
        fence_arrays(...count(12).map((i) => `arr${i}`)),
        files(...names, 'm1', 'm2', 'm3', 'm4'),
      ),
      threads: { irq_work: irq_work() },
    };
    const { rets } = answers(many, [...round(1), ...round(2), ...round(3)], settle);
    const expected = ['0', '0', '0', '0', '0', '0', '0', '0', '0', ...names.flatMap(() => ['-ETIME', '0']), '0'];
    expect(rets).toEqual([...expected, ...expected, ...expected]);
  });
});

describe('merging', () => {
  test('IGT sw_sync/sync_merge_invalid: merging with no descriptor at all fails', () => {
    expect(last([create(1), sync_file_merge('g', 'f', BAD_FD)])).toBe('-ENOENT');
    expect(last([create(1), sync_file_merge('g', 'f', 'f')])).toBe('0');
  });
  test('IGT sw_sync/sync_merge: fences 1, 2, 3 of one timeline merge to one active point that signals only at 3', () => {
    const made = [
      create(1, 'f'),
      create(2, 'g'),
      create(3, 'h'),
      sync_file_merge('i', 'f', 'g'),
      sync_file_merge('j', 'i', 'h'),
    ];
    const { rets } = answers(
      one,
      [...made, status('j'), inc(1), status('j'), inc(1), status('j'), inc(1), status('j')],
      settle,
    );
    expect(rets.slice(5)).toEqual(['1 0', '0', '1 0', '0', '1 0', '0', '1 1']);
  });
  test('IGT sw_sync/sync_merge_same: a fence merged with itself signals with it', () => {
    const { rets } = answers(
      one,
      [create(1), sync_file_merge('g', 'f', 'f'), wait0('g'), inc(1), status('f'), wait0('g')],
      settle,
    );
    expect(rets.slice(2)).toEqual(['-ETIME', '0', '1 1', '0']);
  });
  const three = kernel(2, 'a', 'b', 'c');
  const over_three: Block[] = [
    create(1, 'f', 'a'),
    create(1, 'g', 'b'),
    create(1, 'h', 'c'),
    sync_file_merge('i', 'f', 'g'),
    sync_file_merge('j', 'i', 'h'),
  ];
  const each = [sync_file_info('j', 3)];
  test('IGT sw_sync/sync_multi_timeline_wait: merged over three timelines: active and signalled counts, and the wait ends at the last', () => {
    const steps = ['a', 'b', 'c'].flatMap((name): Block[] => [inc(1, name), each, wait0('j')]);
    const { rets } = answers(three, [...over_three, each, ...steps], settle);
    expect(rets.slice(5)).toEqual([
      '3 0: 0 0 0',
      '0',
      '3 0: 1 0 0',
      '-ETIME',
      '0',
      '3 0: 1 1 0',
      '-ETIME',
      '0',
      '3 1: 1 1 1',
      '0',
    ]);
  });
  test('IGT sw_sync/sync_expired_merge: fences that have signalled merge to one that has', () => {
    expect(last([create(0, 'f'), create(0, 'g'), sync_file_merge('h', 'f', 'g'), wait0('h')])).toBe('0');
    expect(last([create(0, 'f'), create(1, 'g'), sync_file_merge('h', 'f', 'g'), wait0('h')])).toBe('-ETIME');
  });
  test('IGT sw_sync/sync_random_merge: a merge of random points is busy until every timeline has reached its largest', () => {
    const N = 6;
    const names = count(N).map((i) => `t${i}`);
    const points = fc.array(fc.tuple(fc.nat(N - 1), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(points, (made) => {
        const objects = together(
          ...names.map((name) => sw_sync_timeline(name, 10)),
          fence_arrays(...count(12).map((i) => `arr${i}`)),
          files(...made.map((_, i) => `p${i}`), ...made.map((_, i) => `q${i}`)),
        );
        const lines: Block[] = made.map(([line, value], i) => create(value, `p${i}`, names[line]));
        lines.push(sync_file_merge('q0', 'p0', 'p0'));
        for (const i of count(made.length).slice(1)) lines.push(sync_file_merge(`q${i}`, `q${i - 1}`, `p${i}`));
        const top = `q${made.length - 1}`;
        const largest = new Map<number, number>();
        for (const [line, value] of made) largest.set(line, Math.max(largest.get(line) ?? 0, value));
        const expected: string[] = [];
        let left = largest.size;
        for (const [line, value] of largest) {
          lines.push(wait0(top), inc(value, names[line]));
          expected.push('-ETIME', '0');
          left -= 1;
        }
        expect(left).toBe(0);
        lines.push(wait0(top));
        const { rets } = answers({ objects, threads: { irq_work: irq_work() } }, lines, settle);
        expect(rets.slice(-expected.length - 1)).toEqual([...expected, '0']);
      }),
      { numRuns: 25, seed: 32 },
    );
  });
});

describe('rules', () => {
  test('SW-2: a point at a value that is pending already is that point, and uses up no other', () => {
    const { at } = answers(kernel(1, 'tl'), [create(3, 'f'), create(3, 'g')]);
    expect([at.kernel.sync_files['f']?.fence, at.kernel.sync_files['g']?.fence]).toEqual(['tl.1', 'tl.1']);
    expect(last([create(3, 'f'), create(4, 'g')], kernel(1, 'tl'))).toBe('-ENOMEM');
  });
  test('SW-3, SW-4: the comparison wraps at 32 bits', () => {
    const near = 0xfffffffe;
    const { rets } = answers(one, [inc(near), create(2), wait0(), inc(3), wait0(), inc(1), wait0()]);
    expect(rets.slice(2)).toEqual(['-ETIME', '0', '-ETIME', '0', '0']);
    expect(answers(one, [inc(near), create(near - 1), wait0()]).rets.at(-1)).toBe('0');
  });
  test('SW-4: one INC signals the points in the order of their values', () => {
    const { at } = answers(one, [create(3, 'f'), create(1, 'g'), create(2, 'h')]);
    expect(at.kernel.fences['tl.1']?.signaled).toBe(false);
    const at2 = stage({
      ...one,
      threads: { ...one.threads, task: must([create(3, 'f'), create(1, 'g'), create(2, 'h'), inc(3)]) },
    });
    const signaled = at2.runs('task').flatMap((fact) => (fact.kind === 'signaled' ? [fact.fence] : []));
    expect(signaled).toEqual(['tl.2', 'tl.3', 'tl.1']);
  });
  const counted = (way: Block) => {
    const at = stage({
      objects: together(sw_sync_timeline('tl', 1, { counted: true }), files('f')),
      routines: { drops: [dma_fence_put('tl.1')] },
      threads: { task: must([create(1), dma_fence_add_callback('tl.1', 'drops'), way]) },
    });
    at.runs('task');
    return at.because('task') ?? at.open('task').kind;
  };
  test('SW-5, SW-6: a callback may drop the last reference while INC signals, not while the timeline closes', () => {
    expect(counted(inc(1))).toBe('finished');
    expect(counted(sw_sync_close('tl'))).toBe('task holds tl already');
  });
  test('F-26: an operation on a fence that shares the lock is a deadlock of one, on another it is not', () => {
    const both = (other: string) => {
      const at = stage({
        objects: together(sw_sync_timeline('tl', 2), sw_sync_timeline('other', 1), files('f', 'g', 'h')),
        routines: { asks: [dma_fence_get_status(other)] },
        threads: {
          task: must([
            create(1),
            create(2, 'g'),
            create(1, 'h', 'other'),
            dma_fence_add_callback('tl.1', 'asks'),
            inc(1),
          ]),
        },
      });
      at.runs('task');
      return at.because('task') ?? at.open('task').kind;
    };
    expect(both('tl.2')).toBe('task holds tl already');
    expect(both('other.1')).toBe('finished');
  });
  test('SW-8: a timeline that nobody moves never signals; nobody but its user can', () => {
    const at = stage({
      ...one,
      threads: {
        ...one.threads,
        task: must([create(1)]),
        waiter: must([label('again'), sync_file_poll('f'), if_ret('-EBADF', [goto('again')]), sync_wait('f')]),
      },
    });
    at.runs('task');
    at.runs('waiter');
    expect(at.because('waiter')).toBe('task has yet to signal tl.1');
  });
  test('SW-9, F-53, F-54: the smallest deadline is kept, through a merge too, and decides nothing', () => {
    const set = (file: string, deadline: number): Block => sync_file_set_deadline(file, deadline);
    const get = (file: string): Block => [sw_sync_get_deadline(file)];
    const { rets } = answers(kernel(2, 'a', 'b'), [
      create(1, 'f', 'a'),
      create(1, 'g', 'b'),
      get('f'),
      set('f', 7),
      set('f', 9),
      get('f'),
      sync_file_merge('h', 'f', 'g'),
      set('h', 3),
      get('f'),
      get('g'),
      get('h'),
      wait0('f'),
    ]);
    expect(rets).toEqual(['0', '0', '-ENOENT', '0', '0', '7', '0', '0', '3', '3', '-EINVAL', '-ETIME']);
  });
  test('SF-8: INFO wants clean flags and room for every leaf', () => {
    const info = (room: number, flags?: string): Block => [sync_file_info('f', room, flags)];
    expect(answers(one, [create(1), info(0), info(1), info(0, '1')]).rets.slice(1)).toEqual([
      '1 0',
      '1 0: 0',
      '-EINVAL',
    ]);
    const two = [create(1, 'f', 'a'), create(1, 'g', 'b'), sync_file_merge('h', 'f', 'g')];
    expect(last([...two, [sync_file_info('h', 1)]], kernel(1, 'a', 'b'))).toBe('-EINVAL');
  });
  test('SF-9: the first leaf that is pending or failed decides the status of all', () => {
    const two = [create(1, 'f', 'a'), create(1, 'g', 'b'), sync_file_merge('h', 'f', 'g')];
    expect(last([...two, sw_sync_close('b'), [sync_file_info('h')]], kernel(1, 'a', 'b'))).toBe('2 0');
    expect(last([...two, inc(1, 'a'), sw_sync_close('b'), [sync_file_info('h')]], kernel(1, 'a', 'b'))).toBe(
      '2 -ENOENT',
    );
  });
  test('SF-4, SF-6: the first poll asks for the signal once; closing takes the callback off again', () => {
    const { at } = answers(one, [create(1), [sync_file_poll('f')], [sync_file_poll('f')]]);
    expect(at.kernel.fences['tl.1']?.callbacks).toHaveLength(1);
    const closed = answers(one, [create(1), [sync_file_poll('f')], [sync_file_release('f')]]);
    expect(closed.at.kernel.fences['tl.1']?.callbacks).toHaveLength(0);
  });
  test('F-33: signalling a point as if its lock were held is a misuse; the timeline itself holds it', () => {
    expect(answers(one, [create(1), inc(1)]).rules).toEqual([]);
    expect(answers(one, [create(1), [dma_fence_signal_locked('tl.1')]]).rules).toEqual(['F-33']);
  });
});
