/**
 * Fuzz of page tables and the TLB against a memory of numbered frames: a page table entry and a TLB entry are numbers, an
 * access is stale when the number is not that of the frame the buffer is in, and a frame is never given out twice. The
 * object knows no frames: it must come to the same answers by following what leads where.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Oracle, type Side, asks, bouts, takes } from '../bout.ts';
import { type Booted, ioctl } from '../design.ts';
import type { Fact, KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  device_map,
  device_read,
  device_unmap,
  device_write,
  tlb,
  tlb_invalidate,
  ttm_bo_move_memcpy,
  ttm_tt_populate,
  ttm_tt_unpopulate,
  user,
} from './index.ts';

/** `a` and `b` share a TLB; `c` is reached through the page tables alone. */
const BOS = ['a', 'b', 'c'] as const;
const TAGS = ['red', 'green', 'blue'] as const;
const bo = { bo: BOS };
const booted: Booted = bootKernel({
  objects: {
    bos: Object.fromEntries(BOS.map((each) => [each, { place: 'TT' }])),
    tlb_entries: { a: { tlb: 'tlb' }, b: { tlb: 'tlb' } },
  },
  threads: { task: user(), tlb: tlb() },
  calls: {
    map: ioctl(bo, [device_map('$bo')]),
    unmap: ioctl(bo, [device_unmap('$bo')]),
    read: ioctl(bo, [device_read('$bo')]),
    write: ioctl({ ...bo, tag: TAGS }, [device_write('$bo', '$tag')]),
    populate: ioctl(bo, [ttm_tt_populate('$bo')]),
    unpopulate: ioctl(bo, [ttm_tt_unpopulate('$bo')]),
    to_vram: ioctl(bo, [ttm_bo_move_memcpy('$bo', 'VRAM')]),
    to_tt: ioctl(bo, [ttm_bo_move_memcpy('$bo', 'TT')]),
    flush: ioctl({}, [tlb_invalidate('tlb')]),
  },
});

/** `acknowledge` is the hardware's turn; everything else is a call. */
type Command = readonly [call: string, ...args: string[]];
const text = ([call, ...args]: Command): string => `${call}(${args.join(', ')})`;

/** A frame that never was: what an entry holds that was made when there was no memory. */
const NOWHERE = 0;
interface Where {
  pages: number | null;
  vram: number | null;
  entry: number | null;
  remembered: number | null;
}
type Fault = 'none' | 'unmap flushes' | 'a request flushes' | 'forgets one buffer only';
class Model implements Oracle<Command> {
  readonly of: Record<string, Where> = Object.fromEntries(
    BOS.map((each) => [each, { pages: null, vram: null, entry: null, remembered: null }]),
  );
  readonly frames: string[] = ['nothing'];
  requests = 0;
  readonly fault: Fault;
  constructor(fault: Fault = 'none') {
    this.fault = fault;
  }
  fresh(tag: string): number {
    return this.frames.push(tag) - 1;
  }
  forget(all: readonly string[] = BOS): void {
    for (const each of all) (this.of[each] as Where).remembered = null;
  }
  /** Is there something to acknowledge? */
  possible([call]: Command): boolean {
    return call !== 'acknowledge' || this.requests > 0;
  }
  /** Do it: what an access said, or ''. */
  does([call, name = '', tag = '']: Command): string {
    const where = this.of[name] as Where;
    const cached = name === 'a' || name === 'b';
    switch (call) {
      case 'map':
        where.entry = where.vram ?? where.pages ?? NOWHERE;
        return '';
      case 'unmap':
        where.entry = null;
        if (this.fault === 'unmap flushes') this.forget([name]);
        return '';
      case 'flush':
        this.requests += 1;
        if (this.fault === 'a request flushes') this.forget();
        return '';
      case 'acknowledge':
        this.requests -= 1;
        this.forget(this.fault === 'forgets one buffer only' ? ['a'] : BOS);
        return '';
      case 'populate':
        where.pages ??= this.fresh('zero');
        return '';
      case 'unpopulate':
        where.pages = null;
        return '';
      case 'to_vram':
        if (where.vram !== null) return '';
        where.vram = this.fresh(where.pages === null ? 'zero' : (this.frames[where.pages] as string));
        where.pages = null;
        return '';
      case 'to_tt':
        if (where.vram === null) return '';
        where.pages ??= this.fresh('');
        this.frames[where.pages] = this.frames[where.vram] as string;
        where.vram = null;
        return '';
      default: {
        if (cached) where.remembered ??= where.entry;
        const frame = where.remembered ?? where.entry;
        const right = frame !== null && frame === (where.vram ?? where.pages);
        if (!right) return 'stale';
        if (call === 'write') this.frames[frame] = tag;
        return call === 'write' ? 'fine' : `fine: ${this.frames[frame]}`;
      }
    }
  }
  plays(command: Command): unknown {
    return this.possible(command) ? this.does(command) : undefined;
  }
  shows(): unknown {
    return { requests: this.requests, remembers: BOS.map((each) => (this.of[each] as Where).remembered !== null) };
  }
}
const objectShows = (kernel: KernelState): unknown => ({
  requests: kernel.tlbs['tlb']?.requests.length,
  remembers: BOS.map((each) => (kernel.tlb_entries[each]?.leads_to ?? null) !== null),
});
function said(facts: readonly Fact[]): string {
  const access = facts.find((fact) => fact.kind === 'accesses');
  const read = facts.find((fact) => fact.kind === 'reads');
  if (!access) return '';
  return access.stale === null ? (read ? `fine: ${read.got}` : 'fine') : 'stale';
}
function plays(kernel: KernelState, command: Command): string {
  if (command[0] === 'acknowledge') return said(takes(booted, kernel, 'tlb'));
  asks(booted, kernel, 'task', text(command));
  const all: Fact[] = [];
  while (!all.some((fact) => fact.kind === 'returned' && fact.to === 'user'))
    all.push(...takes(booted, kernel, 'task'));
  return said(all);
}
const side: Side<Command> = { booted, plays, shows: objectShows, text };

const name = fc.constantFrom(...BOS);
const one = (call: string): fc.Arbitrary<Command> => fc.tuple(fc.constant(call), name);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: one('map') },
  { weight: 3, arbitrary: one('unmap') },
  { weight: 5, arbitrary: one('read') },
  { weight: 3, arbitrary: fc.tuple(fc.constant('write'), name, fc.constantFrom(...TAGS)) },
  { weight: 3, arbitrary: one('populate') },
  { weight: 1, arbitrary: one('unpopulate') },
  { weight: 1, arbitrary: one('to_vram') },
  { weight: 1, arbitrary: one('to_tt') },
  { weight: 2, arbitrary: fc.constant<Command>(['flush']) },
  { weight: 3, arbitrary: fc.constant<Command>(['acknowledge']) },
);
const fuzz = (many: number, fault: Fault = 'none'): number =>
  bouts(side, command, () => new Model(fault), many, { seed: 4, endOnFailure: fault !== 'none' });

describe('page tables and the TLB against numbered frames', () => {
  test('every access ends where the frames say, and reads what is in them', () => {
    expect(fuzz(20)).toBeGreaterThan(1_500);
  });
  test('a hundred thousand commands', { tags: ['long'] }, () => {
    expect(fuzz(1_200)).toBeGreaterThan(100_000);
  });
  test.each(['unmap flushes', 'a request flushes', 'forgets one buffer only'] as const)(
    'it can fail: a memory in which %s is told apart',
    (fault) => {
      expect(() => fuzz(50, fault)).toThrow(/after/);
    },
  );
});
