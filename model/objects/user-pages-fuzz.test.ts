/**
 * Fuzz of the pages behind userptrs against pages with numbers: each invalidation of a range gives the process new pages,
 * and whoever collected before, or while it was under way, has the others. The object only knows old from new.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts } from '../bout.ts';
import { follow, opens } from '../case.ts';
import { type Booted, ioctl } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  get_user_pages,
  kmalloc,
  migrate_pages,
  mmap,
  mmu_notifier_invalidate_range_end,
  mmu_notifier_invalidate_range_start,
  pin_user_pages,
  return_,
  unpin_user_pages,
  user,
  userptr_access,
  userptr_is_coherent,
  userptr_map,
  userptr_unmap,
} from './index.ts';

const RANGE_OF: Readonly<Record<string, string>> = { u: 'heap', v: 'heap', w: 'stack' };
const USERPTRS = Object.keys(RANGE_OF);
const RANGES = ['heap', 'stack'];
const MOST_PINS = 4;
const on = { userptr: USERPTRS };
const of = { range: RANGES };
const booted: Booted = bootKernel({
  objects: {
    locks: { ...mmap },
    userptrs: { u: {}, v: {}, w: {} },
    user_pages: Object.fromEntries(USERPTRS.map((each) => [each, { range: RANGE_OF[each] }])),
    mms: { mm: {} },
    ranges: { heap: { mm: 'mm' }, stack: { mm: 'mm' } },
  },
  threads: { task: user() },
  calls: {
    gup: ioctl(on, [get_user_pages('$userptr'), return_('0')]),
    pin: ioctl(on, [pin_user_pages('$userptr'), return_('0')]),
    unpin: ioctl(on, [unpin_user_pages('$userptr'), return_('0')]),
    map: ioctl(on, [userptr_map('$userptr'), return_('0')]),
    unmap: ioctl(on, [userptr_unmap('$userptr'), return_('0')]),
    touch: ioctl(on, [userptr_access('$userptr'), return_('0')]),
    coherent: ioctl(on, [userptr_is_coherent('$userptr'), return_('ret')]),
    start: ioctl(of, [mmu_notifier_invalidate_range_start('$range'), return_('0')]),
    end: ioctl(of, [mmu_notifier_invalidate_range_end('$range'), return_('0')]),
    migrate: ioctl(of, [migrate_pages('$range'), return_('ret')]),
    alloc: ioctl(of, [kmalloc('GFP_KERNEL'), return_('0')]),
  },
});

type Command = readonly [call: string, arg: string];
type Fault = 'pins do not keep pages' | 'good until the end' | 'collected between is good' | 'pinned pages migrate';
interface Answer {
  ret: string;
  /** Of a touch: is the memory somebody else's by now? Nothing when there was none. */
  stale: boolean | undefined;
  rules: string[];
  /** Of an allocation: the ranges that reclaim may take. */
  reclaims: string[];
}
/** All that there is to see is in the answers. */
const NOTHING_MORE = '';
class Model implements Oracle<Command> {
  /** The number of the pages that the process has. */
  readonly now: Record<string, number> = { heap: 0, stack: 0 };
  readonly under_way: Record<string, number> = { heap: 0, stack: 0 };
  readonly collected: Record<string, number | undefined> = {};
  readonly mapped: Record<string, number | undefined> = {};
  readonly pins: Record<string, number> = { u: 0, v: 0, w: 0 };
  private readonly fault: Fault | undefined;
  constructor(fault?: Fault) {
    this.fault = fault;
  }
  possible([call, arg]: Command): boolean {
    if (call === 'end') return (this.under_way[arg] ?? 0) > 0;
    return !(call === 'pin' && (this.pins[arg] ?? 0) >= MOST_PINS);
  }
  private pinned = (range: string): boolean =>
    USERPTRS.some((each) => RANGE_OF[each] === range && this.pins[each] !== 0);
  private begin(range: string): void {
    this.under_way[range] = (this.under_way[range] ?? 0) + 1;
    if (this.fault !== 'good until the end') this.now[range] = (this.now[range] ?? 0) + 1;
  }
  private end(range: string): void {
    this.under_way[range] = (this.under_way[range] ?? 0) - 1;
    if (this.fault === 'good until the end') this.now[range] = (this.now[range] ?? 0) + 1;
  }
  does([call, arg]: Command): Answer {
    const answer: Answer = { ret: '0', stale: undefined, rules: [], reclaims: [] };
    const range = RANGE_OF[arg] ?? arg;
    const now = this.now[range] as number;
    switch (call) {
      case 'pin':
      case 'gup': {
        const between = this.under_way[range] !== 0 && this.fault !== 'collected between is good';
        this.collected[arg] = between ? now - 1 : now;
        if (call === 'pin') this.pins[arg] = (this.pins[arg] ?? 0) + 1;
        break;
      }
      case 'unpin':
        if (this.pins[arg] === 0) answer.rules.push('A11.2');
        else this.pins[arg] = (this.pins[arg] ?? 0) - 1;
        break;
      case 'map':
        this.mapped[arg] = this.collected[arg];
        break;
      case 'unmap':
        this.mapped[arg] = undefined;
        break;
      case 'touch': {
        const kept = this.pins[arg] !== 0 && this.fault !== 'pins do not keep pages';
        answer.stale = this.mapped[arg] === undefined || (this.mapped[arg] !== now && !kept);
        break;
      }
      case 'coherent':
        answer.ret = this.mapped[arg] === now ? '1' : '0';
        break;
      case 'start':
        this.begin(arg);
        break;
      case 'end':
        this.end(arg);
        break;
      case 'migrate':
        this.begin(arg);
        this.end(arg);
        if (this.pinned(arg) && this.fault !== 'pinned pages migrate') answer.ret = '-EAGAIN';
        break;
      default:
        answer.reclaims = RANGES.filter((each) => !this.pinned(each));
    }
    return answer;
  }
  plays(command: Command): unknown {
    return this.possible(command) ? this.does(command) : undefined;
  }
  shows(): string {
    return NOTHING_MORE;
  }
}
function plays(kernel: KernelState): Answer {
  const answer: Answer = { ret: '', stale: undefined, rules: [], reclaims: [] };
  for (;;) {
    const open = opens(booted.machine, kernel)['task'];
    const ways = open?.kind === 'ready' ? open.outcomes : [];
    if (kernel.threads['task']?.frames.at(-1)?.routine === 'alloc')
      answer.reclaims = ways.filter((way) => way.startsWith('unmaps ')).map((way) => way.slice('unmaps '.length));
    const { facts } = follow(booted.machine, kernel, 'task');
    for (const fact of facts) {
      if (fact.kind === 'misuse') answer.rules.push(fact.rule);
      if (fact.kind === 'accesses') answer.stale = fact.stale !== null;
      if (fact.kind === 'returned' && fact.to === 'user') return { ...answer, ret: fact.ret };
    }
  }
}
const side: Side<Command> = {
  booted,
  plays: (kernel, [call, arg]) => {
    asks(booted, kernel, 'task', `${call}(${arg})`);
    return plays(kernel);
  },
  shows: () => NOTHING_MORE,
  text: (command) => command.join(' '),
};
const userptr = fc.constantFrom(...USERPTRS);
const range = fc.constantFrom(...RANGES);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom('gup', 'pin', 'unpin', 'unpin'), userptr) },
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom('map', 'map', 'unmap', 'coherent'), userptr) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('touch'), userptr) },
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('start', 'end', 'end', 'migrate', 'alloc'), range) },
);
const fuzz = (many: number, fault?: Fault): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 3, endOnFailure: fault !== undefined });

describe('pages of userptrs against pages with numbers', () => {
  test('after every call both agree on what a device may touch, what the process sees, and what may be taken', () => {
    expect(fuzz(20)).toBeGreaterThan(1500);
  });
  test('a hundred thousand calls', { tags: ['long'] }, () => {
    expect(fuzz(1300)).toBeGreaterThan(100_000);
  });
  for (const fault of [
    'pins do not keep pages',
    'good until the end',
    'collected between is good',
    'pinned pages migrate',
  ] as const)
    test(`it can fail: numbers of which ${fault} are told apart`, () => {
      expect(() => fuzz(100, fault)).toThrow(/^after \w/);
    });
});
