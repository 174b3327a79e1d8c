/**
 * TTM alone, driven by any sequence of calls, against three plain oracles: what was last written to a buffer, a recount
 * of who is where, and lists of who was used when (B4.1, B8.2, B19; S-B1..S-B10).
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ioctl, start } from '../design.ts';
import { type Block, type Fact, type KernelState, open, reduce } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import { ttmKernel } from '../ttm-stage.ts';
import {
  type Asked,
  type Place,
  cpu_read,
  cpu_write,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  goto,
  if_ret,
  if_var,
  label,
  multihop,
  recount,
  return_,
  ttm_bo_evict,
  ttm_bo_init_reserved,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_pin,
  ttm_bo_place,
  ttm_bo_populate,
  ttm_bo_put,
  ttm_bo_reserve,
  ttm_bo_unpin,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_bo_wait_ctx,
  ttm_delayed_delete,
  ttm_global_swapout,
  ttm_tt_backup,
  user,
} from './index.ts';

const SIZES: Readonly<Record<string, number>> = { a: 1, b: 1, c: 2, d: 2, g0: 1, g1: 1, g2: 2, g3: 2 };
const BOS = ['a', 'b', 'c', 'd'] as const;
const GHOSTS = ['g0', 'g1', 'g2', 'g3'] as const;
const PLACES: readonly Place[] = ['SYSTEM', 'TT', 'VRAM'];
const WISHES: Readonly<Record<string, readonly Asked[]>> = {
  vram: ['VRAM'],
  vram_or_tt: ['VRAM|DESIRED', 'TT|FALLBACK'],
  tt: ['TT'],
  system: ['SYSTEM'],
  none: [],
};
const TAGS = ['red', 'green', 'blue'];

/** The driver: waits for the device before it moves anything, clears what it gets fresh, goes by TT between VRAM and SYSTEM. */
const move: Block = [
  ttm_bo_place('$bo'),
  if_ret('NULL', [
    ttm_bo_move_null('$bo', '$new_mem' as Place),
    if_var('new_mem', 'VRAM', [cpu_write('$bo', 'zero')]),
    return_('0'),
  ]),
  if_ret('VRAM', [if_var('new_mem', 'SYSTEM', [return_(multihop('TT'))])]),
  ttm_bo_wait_ctx('$bo', '$ctx'),
  if_ret('0', [], [return_('ret')]),
  ttm_bo_move_memcpy('$bo', '$new_mem' as Place),
];
const under = (body: Block): Block => [ttm_bo_reserve('$bo'), body, ttm_bo_unreserve('$bo')];
/** Somewhere, and with pages if it is not in device memory; then the access. */
const access = (what: Block): Block =>
  under([
    ttm_bo_wait_ctx('$bo'),
    ttm_bo_place('$bo'),
    if_ret('NULL', [ttm_bo_validate('$bo', ['SYSTEM'])]),
    ttm_bo_place('$bo'),
    if_ret('VRAM', [], [ttm_bo_populate('$bo'), if_ret('0', [], [goto('out')])]),
    what,
    label('out'),
  ]);
const bo = { bo: BOS };
const CALLS = {
  create: ioctl({ ...bo, to: ['system', 'vram_or_tt'] }, [
    if_var('to', 'system', [ttm_bo_init_reserved('$bo', ['SYSTEM'])], [ttm_bo_init_reserved('$bo', ['VRAM', 'TT'])]),
    if_ret('0', [ttm_bo_unreserve('$bo')]),
  ]),
  put: ioctl(bo, [ttm_bo_put('$bo')]),
  validate: ioctl(
    { ...bo, to: Object.keys(WISHES) },
    under(Object.entries(WISHES).map(([to, places]) => if_var('to', to, [ttm_bo_validate('$bo', places)]))),
  ),
  read: ioctl(bo, access([cpu_read('$bo')])),
  write: ioctl({ ...bo, tag: TAGS }, access([cpu_write('$bo', '$tag')])),
  pin: ioctl(bo, under([ttm_bo_pin('$bo')])),
  unpin: ioctl(bo, under([ttm_bo_unpin('$bo')])),
  submit: ioctl(
    bo,
    under([
      dma_fence_is_signaled('$bo'),
      if_ret('1', [
        dma_resv_reserve_fences('$bo'),
        dma_fence_init('$bo'),
        dma_resv_add_fence('$bo', '$bo', 'BOOKKEEP'),
      ]),
    ]),
  ),
  complete: ioctl(bo, [dma_fence_signal('$bo')]),
  evict: ioctl(bo, under([ttm_bo_evict('$bo')])),
  backup: ioctl(bo, under([ttm_bo_wait_ctx('$bo'), ttm_bo_place('$bo'), if_ret('SYSTEM', [ttm_tt_backup('$bo')])])),
  swapout: ioctl(bo, [ttm_global_swapout()]),
};
type Name = keyof typeof CALLS;

const kernel = ttmKernel({
  bos: {
    ...Object.fromEntries(BOS.map((name) => [name, { kref: 0, size: SIZES[name] as number }])),
    ...Object.fromEntries(GHOSTS.map((name) => [name, { kref: 0, ghost: true, size: SIZES[name] as number }])),
  },
  managers: { TT: { size: 3 }, VRAM: { size: 3 } },
  pages_limit: 3,
  devices: { bdev: { move: 'move' } },
  routines: { move },
  objects: { fences: Object.fromEntries(BOS.map((name) => [name, {}])) },
});
const workers = [...BOS, ...GHOSTS].map((name) => [`delete_${name}`, ttm_delayed_delete(name)] as const);
const booted = bootKernel({
  ...kernel,
  calls: CALLS,
  threads: { app: user(), device: user(), ...Object.fromEntries(workers) },
});

/** One call, and how memory fares meanwhile: each number decides one allocation or copy that may fail. */
interface Command {
  readonly call: Name;
  readonly bo: (typeof BOS)[number];
  readonly how: number;
  readonly luck: readonly boolean[];
}
const anyCommand: fc.Arbitrary<Command> = fc.record({
  call: fc.constantFrom<Name>(
    ...(Object.keys(CALLS) as Name[]),
    'validate',
    'validate',
    'validate',
    'write',
    'read',
    'create',
  ),
  bo: fc.constantFrom(...BOS),
  how: fc.nat(9),
  luck: fc.array(fc.boolean(), { maxLength: 3 }),
});

/** What somebody with paper and pencil would know. */
class Oracle {
  /** Last write by buffer; two possibilities after its memory was given up on purpose. */
  readonly contents = new Map<string, readonly string[]>();
  /** Buffers that the process still has a reference to. */
  readonly owned = new Set<string>();
  readonly pins = new Map<string, number>();
  readonly lists: Record<string, string[]> = { SYSTEM: [], TT: [], VRAM: [] };
  usage: Record<string, number> = { SYSTEM: 0, TT: 0, VRAM: 0 };
  readonly forgetful: boolean;
  constructor(forgetful: boolean) {
    this.forgetful = forgetful;
  }
  readonly list = (place: string): string[] => this.lists[place] as string[];
  readonly off = (bo: string, place: string): void => {
    const at = this.list(place).indexOf(bo);
    if (at >= 0) this.list(place).splice(at, 1);
  };
  readonly toTail = (bo: string): void => {
    for (const place of PLACES)
      if (this.list(place).includes(bo)) {
        this.off(bo, place);
        this.list(place).push(bo);
      }
  };
  hear(fact: Fact, kernel: KernelState): void {
    if (fact.kind === 'resource') {
      const { bo, place, event, to } = fact;
      const size = SIZES[bo] as number;
      if (event === 'handed') this.lists[place] = this.list(place).map((each) => (each === bo ? to : each));
      else {
        this.usage[place] = (this.usage[place] as number) + (event === 'init' ? size : -size);
        if (event === 'fini') this.off(bo, place);
        if (event === 'init' && (this.pins.get(bo) ?? 0) === 0) this.list(place).push(bo);
      }
    }
    const place = fact.kind === 'populated' ? kernel.bos[fact.bo]?.place : null;
    // Back from swap: it can be evicted again.
    if (
      fact.kind === 'populated' &&
      place &&
      (this.pins.get(fact.bo) ?? 0) === 0 &&
      !this.list(place).includes(fact.bo)
    )
      this.list(place).push(fact.bo);
  }
}

function play(commands: readonly Command[], forgetful = false): void {
  const { machine } = booted;
  const state = start(booted, {});
  const oracle = new Oracle(forgetful);
  const row = (name: string) =>
    ({ ...(state.bos[name] as object), ...state.ttm_bos[name] }) as KernelState['bos'][string] &
      KernelState['ttm_bos'][string];
  const isAway = (name: string): boolean => ['swapped', 'backed_up'].includes(row(name).tt);
  const working = (name: string): boolean => {
    const { initialised, signaled } = state.fences[name] as { initialised: boolean; signaled: boolean };
    return initialised && !signaled;
  };
  const run = (thread: string, luck: boolean[], facts: Fact[]): void => {
    for (;;) {
      const now = open(machine, state, thread);
      if (now.kind === 'blocked') {
        if (thread !== 'app') return;
        // It waits for the device, which then gets done.
        for (const name of BOS.filter(working)) act('complete', name, 0, 'device', [], facts);
        expect(open(machine, state, thread).kind).not.toBe('blocked');
        continue;
      }
      if (now.kind !== 'ready') return;
      const unlucky = now.outcomes.find((way) => way === 'fails');
      const outcome = unlucky !== undefined && luck.length > 0 && luck.shift() ? unlucky : (now.outcomes[0] as string);
      reduce(machine, state, { thread, outcome });
      for (const fact of state.facts) {
        oracle.hear(fact, state);
        facts.push(fact);
      }
    }
  };
  const act = (
    call: Name,
    name: string,
    how: number,
    who: string,
    luck: readonly boolean[],
    facts: Fact[],
  ): Record<string, string> => {
    const params = Object.entries(CALLS[call].params as Record<string, readonly string[]>);
    const given = Object.fromEntries(
      params.map(([param, values]) => [param, param === 'bo' ? name : (values[how % values.length] as string)]),
    );
    (state.users[who] as { todo: unknown }).todo = [{ call, with: given }];
    run(who, [...luck], facts);
    return given;
  };

  for (const { call, bo: name, how, luck } of commands) {
    const before = row(name);
    const pins = oracle.pins.get(name) ?? 0;
    // What a driver must not do, it does not do here.
    if (call === 'create' ? before.kref > 0 || before.deleted : !oracle.owned.has(name)) continue;
    if ((call === 'unpin' || call === 'put') && (call === 'unpin' ? pins === 0 : pins > 0)) continue;
    if (call === 'validate' && pins > 0 && Object.keys(WISHES)[how % 5] === 'none') continue;
    if (call === 'pin' && (pins > 2 || before.place === null)) continue;
    if (call === 'complete' && !working(name)) continue;
    if (call === 'evict' && (pins > 0 || before.place === null)) continue;
    if (call === 'backup' && (pins > 0 || before.tt === 'none' || before.tt === 'limbo' || before.tt === 'swapped'))
      continue;

    const facts: Fact[] = [];
    const wasAway = isAway(name);
    if (call === 'create') oracle.contents.set(name, ['zero']);
    if (call === 'put') oracle.owned.delete(name);
    const given = act(call, name, how, 'app', luck, facts);
    const after = row(name);
    if (call === 'create' && after.kref > 0) oracle.owned.add(name);
    if (call === 'pin') {
      oracle.pins.set(name, pins + 1);
      for (const place of PLACES) oracle.off(name, place);
    }
    if (call === 'unpin') {
      oracle.pins.set(name, pins - 1);
      if (pins === 1 && after.place !== null && !isAway(name)) oracle.list(after.place).push(name);
    }
    for (const each of [...BOS, ...GHOSTS]) if (isAway(each)) oracle.off(each, row(each).place ?? 'SYSTEM');
    // A tt that was in swap and is no more, although nobody brought it back: the move that wanted it failed.
    const place = after.place ?? '';
    if (wasAway && !isAway(name) && place in oracle.lists && pins === 0 && !oracle.list(place).includes(name))
      oracle.list(place).push(name);
    if (!['put', 'complete', 'swapout'].includes(call) && !oracle.forgetful) oracle.toTail(name);
    const touched = facts.some((fact) => fact.kind === 'accesses' && fact.thread === 'app');
    if (call === 'write' && touched) oracle.contents.set(name, [given['tag'] as string]);
    if (call === 'validate' && given['to'] === 'none')
      oracle.contents.set(name, [...(oracle.contents.get(name) ?? []), 'zero']);
    for (const fact of facts) {
      if (fact.kind === 'reads') expect(oracle.contents.get(fact.bo), JSON.stringify(fact)).toContain(fact.got);
      if (fact.kind === 'reads' && fact.got !== fact.expected) expect(fact.got).toBe(fact.expected);
    }
    for (const [worker] of workers) run(worker, [], facts);

    const bad = facts.filter(
      (fact) =>
        fact.kind === 'inconsistent' || fact.kind === 'misuse' || (fact.kind === 'accesses' && fact.stale !== null),
    );
    expect(bad).toEqual([]);
    for (const place of PLACES) {
      expect([place, state.managers[`bdev.${place}`]?.lru]).toEqual([place, oracle.list(place)]);
      expect([place, state.managers[`bdev.${place}`]?.usage]).toEqual([place, oracle.usage[place]]);
      const there = [...BOS, ...GHOSTS].filter((each) => row(each).place === place);
      expect([place, there.reduce((sum, each) => sum + (SIZES[each] as number), 0)]).toEqual([
        place,
        oracle.usage[place],
      ]);
    }
    const pages = [...BOS, ...GHOSTS].filter((each) => row(each).tt === 'populated');
    expect(state.ttm_globals['ttm']?.pages_allocated).toBe(
      pages.reduce((sum, each) => sum + (SIZES[each] as number), 0),
    );
    expect(recount(state)).toEqual([]);
  }
}
const many = fc.array(anyCommand, { minLength: 5, maxLength: 60 });

test('S-B1..S-B10: contents, accounting and LRU agree with plain bookkeeping, whatever is called', () => {
  fc.assert(
    fc.property(many, (commands) => play(commands)),
    { numRuns: 30, seed: 19 },
  );
});
test('… a hundred thousand commands', { tags: ['long', 'overnight'] }, () => {
  const long = fc.array(anyCommand, { minLength: 200, maxLength: 200 });
  fc.assert(
    fc.property(long, (commands) => play(commands)),
    { numRuns: 500, seed: 7 },
  );
});
test('the comparison can fail: an oracle that forgets who was used last is found out', () => {
  expect(() =>
    fc.assert(
      fc.property(many, (commands) => play(commands, true)),
      { numRuns: 30, seed: 19 },
    ),
  ).toThrow(/Property failed/);
});
