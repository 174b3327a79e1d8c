/**
 * Fences, containers and timelines against small oracles written from the documents: a list of callbacks, set
 * arithmetic, a sorted list of points, a counter. The oracles know no state of the objects; what is compared is what
 * every call returns.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answers } from '../answers.ts';
import type { Kernel } from '../design.ts';
import type { Block } from '../machine.ts';
import { witnessed } from '../stage.ts';
import {
  dma_fence_add_callback,
  dma_fence_array_init,
  dma_fence_chain_init,
  dma_fence_get_status,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_stub,
  dma_fence_unwrap_for_each,
  dma_fence_unwrap_merge,
  dma_fence_wait_timeout,
  drm_syncobj_add_point,
  drm_syncobj_query,
  drm_syncobj_reset,
  drm_syncobj_timeline_signal,
  drm_syncobj_timeline_wait,
  fence_arrays,
  fence_chain_nodes,
  irq_work,
  set,
  sw_sync_close,
  sw_sync_create_fence,
  sw_sync_inc,
  sw_sync_timeline,
  sync_file_info,
  sync_file_merge,
  sync_wait,
  together,
  witness,
} from './index.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const COMMANDS_A_CASE = 20;
/** Enough cases for about this many commands: half of the longest case is the average one. */
const casesFor = (commands: number): number => Math.ceil(commands / (COMMANDS_A_CASE / 2));
const SHORT = casesFor(300);
const LONG = casesFor(100_000);
/** A wrong oracle is found out well within this many cases. */
const MOST_TRIES = 1_000;

/** A command in words: what it does in the kernel, and what the oracle says that it returns. */
interface Claim {
  readonly line: Block;
  readonly due: string;
}
type Kit = Omit<Kernel, 'threads'> & Partial<Kernel>;
/** Play the claims; the first answer that is not the one due, or nothing. */
function disagreement(kit: Kit, claims: readonly Claim[]): string | undefined {
  const { rets, rules } = answers(
    kit,
    claims.map(({ line }) => line),
    Object.keys(kit.threads ?? {}),
  );
  const at = claims.findIndex(({ due }, i) => rets[i] !== due);
  if (at >= 0) return `line ${at}: ${rets[at]} instead of ${claims[at]?.due}`;
  const broken = rules.filter((rule) => !EXPECTED.includes(rule));
  return broken.length > 0 ? `misuse of ${broken.join(', ')}` : undefined;
}
/** Misuses that these commands make on purpose. */
const EXPECTED = ['F-6', 'F-39'];
/** Every case agrees; `runs` cases of a fixed seed. */
function agrees<T>(cases: fc.Arbitrary<T>, kit: Kit, claimsOf: (given: T) => readonly Claim[], runs: number): void {
  fc.assert(
    fc.property(cases, (given) => {
      expect(disagreement(kit, claimsOf(given))).toBeUndefined();
    }),
    { numRuns: runs, seed: 7 },
  );
}
/** Is the comparison able to fail: does it find a case for this oracle, which is wrong on purpose? */
const findsOut = <T>(cases: fc.Arbitrary<T>, kit: Kit, claimsOf: (given: T) => readonly Claim[]): boolean =>
  fc.check(
    fc.property(cases, (given) => disagreement(kit, claimsOf(given)) === undefined),
    { numRuns: MOST_TRIES, seed: 7 },
  ).failed;
const commands = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(one, { maxLength: COMMANDS_A_CASE, size: 'max' });

describe('callbacks against a plain list', () => {
  const names = ['a', 'b', 'c'];
  const kit: Kit = {
    objects: { fences: { f: {} } },
    routines: { says: [witness('$name')] },
  };
  const cases = commands(
    fc.tuple(
      fc.constantFrom('init', 'add', 'add', 'remove', 'signal', 'error', 'status', 'poll', 'wait'),
      fc.constantFrom(...names),
    ),
  );
  interface List {
    queued: string[];
    signaled: boolean;
    error: string | undefined;
    ran: string[];
  }
  const claimsOf =
    (mutant = false) =>
    (moves: readonly (readonly [string, string])[]): readonly Claim[] & { ran?: string[] } => {
      let f: List = { queued: [], signaled: false, error: undefined, ran: [] };
      const ran: string[] = [];
      const claim = (line: Block, due: string): Claim => ({ line: [set('kept', 'ret'), line], due });
      const claims = [['init', 'a'] as const, ...moves].map(([what, name]): Claim => {
        switch (what) {
          case 'init':
            f = { queued: [], signaled: false, error: undefined, ran: [] };
            return claim([dma_fence_init('f'), dma_fence_is_signaled('f')], '0');
          case 'add':
            if (!f.signaled) f.queued.push(name);
            return claim([dma_fence_add_callback('f', 'says', { name })], f.signaled ? '-ENOENT' : '0');
          case 'remove': {
            const at = f.queued.indexOf(name);
            if (at >= 0 && !mutant) f.queued.splice(at, 1);
            return claim([dma_fence_remove_callback('f', 'says', { name })], at >= 0 ? '1' : '0');
          }
          case 'signal':
            ran.push(...f.queued);
            f = { ...f, queued: [], signaled: true };
            return claim([dma_fence_signal('f'), dma_fence_is_signaled('f')], '1');
          case 'error':
            if (!f.signaled) f.error = '-EIO';
            return claim([dma_fence_set_error('f', '-EIO'), dma_fence_is_signaled('f')], f.signaled ? '1' : '0');
          case 'status':
            return claim([dma_fence_get_status('f')], f.signaled ? (f.error ?? '1') : '0');
          case 'poll':
            return claim([dma_fence_is_signaled('f')], f.signaled ? '1' : '0');
          default:
            return claim([dma_fence_wait_timeout('f', '0')], f.signaled ? '1' : '0');
        }
      });
      return Object.assign(claims, { ran });
    };
  const sameRuns = (moves: readonly (readonly [string, string])[], mutant = false): boolean => {
    const claims = claimsOf(mutant)(moves);
    const lines = claims.map(({ line }) => line);
    const { heard } = answers(kit, lines);
    return witnessed(heard).join() === (claims.ran ?? []).join();
  };
  const check = (runs: number): void => {
    agrees(cases, kit, claimsOf(), runs);
    fc.assert(
      fc.property(cases, (moves) => sameRuns(moves)),
      { numRuns: Math.ceil(runs / 2), seed: 9 },
    );
  };
  test('I-3: the status is 0, 1 or the error, as flag and error say, and an error is invisible before the signal', () => {
    agrees(cases, kit, claimsOf(), SHORT);
  });
  test('I-2: every callback that was added runs once, in order, or was removed; none runs that was refused', () => {
    fc.assert(
      fc.property(cases, (moves) => sameRuns(moves)),
      { numRuns: SHORT, seed: 9 },
    );
  });
  test('an oracle that forgets to remove is found out', () => {
    expect(findsOut(cases, kit, claimsOf(true))).toBe(true);
    const { failed } = fc.check(
      fc.property(cases, (moves) => sameRuns(moves, true)),
      { numRuns: MOST_TRIES, seed: 9 },
    );
    expect(failed).toBe(true);
  });
  test('100,000 commands', { tags: ['long'] }, () => check(LONG));
});

describe('merge and unwrap against set arithmetic', () => {
  const contexts = ['A', 'B', 'C'];
  const leaves = contexts.flatMap((context) =>
    [1, 2, 3].map((seqno) => ({ name: `${context}${seqno}`, context, seqno })),
  );
  const leafNames = leaves.map(({ name }) => name);
  const kit: Kit = {
    objects: together(
      {
        fences: {
          ...Object.fromEntries(
            leaves.map(({ name, context, seqno }) => [name, { context, seqno, initialised: true, promisedBy: 'task' }]),
          ),
          stub: dma_fence_stub,
        },
      },
      fence_arrays('x', 'y', 'm1', 'm2'),
      fence_chain_nodes('c1', 'c2', 'c3'),
    ),
    threads: { irq_work: irq_work() },
  };
  const some = fc.subarray(leafNames, { minLength: 1, maxLength: 4 });
  const payloads = fc.array(fc.constantFrom(...leafNames, 'y'), { minLength: 1, maxLength: 3 });
  const cases = fc.record({
    x: some,
    y: some,
    chain: payloads,
    over: fc.subarray(leafNames),
    asked: fc.array(fc.constantFrom(...leafNames, 'x', 'y', 'chain', 'stub'), { minLength: 1, maxLength: 4 }),
  });
  interface Given {
    x: readonly string[];
    y: readonly string[];
    chain: readonly string[];
    over: readonly string[];
    asked: readonly string[];
  }
  const claimsOf =
    (mutant = false) =>
    ({ x, y, chain, over, asked }: Given): readonly Claim[] => {
      const head = `c${chain.length}`;
      const within = (name: string): readonly string[] =>
        name === 'x' ? x : name === 'y' ? y : name === 'chain' ? chain.flatMap(within) : name === 'stub' ? [] : [name];
      const pending = asked.flatMap(within).filter((name) => !over.includes(name));
      const left = contexts.flatMap((context) => {
        const of = pending.filter((name) => name.startsWith(context)).toSorted();
        return of.length === 0 ? [] : [(mutant ? of[0] : of.at(-1)) as string];
      });
      const made: Block = [
        dma_fence_array_init('x', x),
        dma_fence_array_init('y', y),
        chain.map((payload, i) => dma_fence_chain_init(`c${i + 1}`, i === 0 ? 'NULL' : `c${i}`, payload, i + 1)),
        over.map((name) => dma_fence_signal(name)),
      ];
      const inputs = asked.map((name) => (name === 'chain' ? head : name));
      return [
        {
          line: [made, dma_fence_unwrap_merge(...inputs), set('merged', 'ret'), dma_fence_unwrap_for_each('$merged')],
          due: left.join(' ') || 'stub',
        },
      ];
    };
  test('agrees', () => agrees(cases, kit, claimsOf(), 200));
  test('an oracle that keeps the oldest of a context is found out', () => {
    expect(findsOut(cases, kit, claimsOf(true))).toBe(true);
  });
  test('100,000 commands', { tags: ['long'] }, () => agrees(cases, kit, claimsOf(), 10_000));
});

describe('a timeline against a plain list of points', () => {
  const FENCES = 8;
  const kit: Kit = {
    objects: together(
      {
        fences: {
          ...Object.fromEntries(count(FENCES).map((i) => [`f${i}`, { initialised: true, promisedBy: 'task' }])),
          stub: dma_fence_stub,
        },
        syncobjs: { tl: {} },
      },
      fence_chain_nodes(...count(COMMANDS_A_CASE + 1).map((i) => `n${i}`)),
    ),
    threads: { irq_work: irq_work() },
  };
  const cases = commands(
    fc.tuple(
      fc.constantFrom('add', 'add', 'host', 'signal', 'signal', 'query', 'wait', 'wait', 'available', 'reset'),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(FENCES - 1),
    ),
  );
  /** What was added, oldest first: the point it counts as, the point before it in its run of rising points, its fence. */
  interface Added {
    readonly point: number;
    readonly before: number;
    readonly run: number;
    readonly fence: number | undefined;
  }
  const claimsOf =
    (mutant = false) =>
    (moves: readonly (readonly [string, number, number])[]): readonly Claim[] => {
      let list: Added[] = [];
      const over = new Set<number>();
      let nodes = 0;
      const isOver = ({ fence }: Added): boolean => fence === undefined || over.has(fence);
      const allOver = (upTo: number): boolean => list.slice(0, upTo + 1).every(isOver);
      const add = (point: number, fence: number | undefined): void => {
        const last = list.at(-1);
        const follows = last !== undefined && point > last.point;
        list = [
          ...list,
          {
            point: Math.max(point, last?.point ?? 0),
            before: follows ? last.point : 0,
            run: follows ? last.run : (last?.run ?? 0) + 1,
            fence,
          },
        ];
      };
      /** The newest, and then whatever is not over, from newest to oldest. */
      const matters = (): number[] =>
        count(list.length)
          .toReversed()
          .filter((i) => i === list.length - 1 || !isOver(list[i] as Added));
      const value = (): number => {
        const { run } = list.at(-1) ?? { run: 0 };
        const foreign = matters().findIndex((i) => list[i]?.run !== run);
        const last = matters()
          .slice(0, foreign < 0 ? undefined : foreign)
          .at(-1);
        if (last === undefined) return 0;
        const { point, before } = list[last] as Added;
        return mutant || allOver(last) ? point : before;
      };
      const waits = (point: number, available: boolean): string => {
        const head = list.at(-1);
        if (head === undefined || head.point < point) return available ? '-ETIME' : '-EINVAL';
        const stop = matters().find((i) => list[i]?.run !== head.run || (list[i]?.before ?? 0) < point);
        return available || stop === undefined || allOver(stop) ? '0' : '-ETIME';
      };
      return moves.map(([what, point, fence]): Claim => {
        switch (what) {
          case 'add':
            add(point, fence);
            return { line: [drm_syncobj_add_point('tl', `n${(nodes += 1) - 1}`, `f${fence}`, point)], due: '0' };
          case 'host':
            add(point, undefined);
            nodes += 1;
            return { line: [drm_syncobj_timeline_signal(['tl', point])], due: '0' };
          case 'signal':
            over.add(fence);
            return { line: [dma_fence_signal(`f${fence}`), dma_fence_is_signaled(`f${fence}`)], due: '1' };
          case 'query':
            return { line: [drm_syncobj_query(['tl'])], due: `${value()}` };
          case 'reset':
            list = [];
            return { line: [drm_syncobj_reset('tl')], due: '0' };
          default: {
            const available = what === 'available';
            return {
              line: drm_syncobj_timeline_wait([['tl', point]], available ? ['WAIT_AVAILABLE'] : [], '0'),
              due: waits(point, available),
            };
          }
        }
      });
    };
  test('agrees', () => agrees(cases, kit, claimsOf(), SHORT));
  test('an oracle that takes a submitted point for a signalled one is found out', () => {
    expect(findsOut(cases, kit, claimsOf(true))).toBe(true);
  });
  test('100,000 commands', { tags: ['long'] }, () => agrees(cases, kit, claimsOf(), LONG));
});

describe('sw_sync against counters', () => {
  const FILES = COMMANDS_A_CASE;
  const lines = ['s', 't'];
  const kit: Kit = {
    objects: together(
      ...lines.map((name) => sw_sync_timeline(name, COMMANDS_A_CASE)),
      { sync_files: Object.fromEntries(count(FILES).map((i) => [`file${i}`, {}])), fences: { stub: dma_fence_stub } },
      fence_arrays(...count(COMMANDS_A_CASE).map((i) => `m${i}`)),
    ),
    threads: { irq_work: irq_work() },
  };
  const cases = commands(
    fc.tuple(
      fc.constantFrom('create', 'create', 'merge', 'merge', 'inc', 'wait', 'wait', 'status', 'close'),
      fc.constantFrom(...lines),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(FILES - 1),
    ),
  );
  const claimsOf =
    (mutant = false) =>
    (moves: readonly (readonly [string, string, number, number])[]): readonly Claim[] => {
      const value: Record<string, number> = { s: 0, t: 0 };
      const closedAt: Record<string, number | undefined> = {};
      /** Each file: the points behind it, [timeline, value]. */
      const files: (readonly (readonly [string, number])[])[] = [];
      const reached = ([line, point]: readonly [string, number]): boolean =>
        point <= (value[line] as number) || closedAt[line] !== undefined;
      const status = (leaf: readonly [string, number]): string =>
        !reached(leaf) ? '0' : leaf[1] <= (value[leaf[0]] as number) ? '1' : '-ENOENT';
      return moves.map(([what, line, n, pick]): Claim => {
        const known = files.length > 0;
        const recent = (i: number): number => Math.max(files.length - 1 - (i % 3), 0);
        const file = recent(pick);
        const next = `file${files.length}`;
        switch (what) {
          case 'create':
            if (closedAt[line] !== undefined) return { line: sw_sync_create_fence(line, n, next), due: '-EBADF' };
            files.push([[line, n]]);
            return { line: sw_sync_create_fence(line, n, next), due: '0' };
          case 'merge': {
            if (!known) return { line: sync_file_merge('file0', '-1', '-1'), due: '-EBADF' };
            const other = recent(n);
            const pending = [...(files[file] ?? []), ...(files[other] ?? [])].filter((leaf) => !reached(leaf));
            files.push(
              lines.flatMap((each) => {
                const points = pending.filter(([of]) => of === each).map(([, point]) => point);
                return points.length === 0 ? [] : [[each, mutant ? Math.min(...points) : Math.max(...points)] as const];
              }),
            );
            return { line: sync_file_merge(next, `file${file}`, `file${other}`), due: '0' };
          }
          case 'inc':
            if (closedAt[line] !== undefined) return { line: sw_sync_inc(line, n), due: '-EBADF' };
            value[line] = (value[line] as number) + 1 + (n % 2);
            return { line: sw_sync_inc(line, 1 + (n % 2)), due: '0' };
          case 'close':
            closedAt[line] ??= value[line];
            return { line: sw_sync_close(line), due: '0' };
          case 'wait': {
            if (!known) return { line: [sync_wait('-1', '0')], due: '-EBADF' };
            return { line: [sync_wait(`file${file}`, '0')], due: files[file]?.every(reached) ? '0' : '-ETIME' };
          }
          default: {
            if (!known) return { line: [sync_file_info('-1')], due: '-EBADF' };
            const each = (files[file] ?? []).map(status);
            const first = each.find((one) => one !== '1') ?? '1';
            return { line: [sync_file_info(`file${file}`)], due: `${Math.max(each.length, 1)} ${first}` };
          }
        }
      });
    };
  test('agrees', () => agrees(cases, kit, claimsOf(), SHORT));
  test('an oracle that merges to the smallest point is found out', () => {
    expect(findsOut(cases, kit, claimsOf(true))).toBe(true);
  });
  test('100,000 commands', { tags: ['long'] }, () => agrees(cases, kit, claimsOf(), LONG));
});
