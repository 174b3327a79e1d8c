/**
 * Fuzz of dma_resv against a plain list of fences with a capacity, written from the rules and not from the object: after
 * every call both have the same slots, the same room, the same complaints, and the same answer to each query.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { follow } from '../case.ts';
import { type Booted, ioctl, start } from '../design.ts';
import type { KernelState } from '../machine.ts';
import { bootKernel } from '../stage.ts';
import {
  USAGES,
  type Usage,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_copy_fences,
  dma_resv_lock,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  pendingFences,
  user,
} from './index.ts';

const RESVS = ['a', 'b'] as const;
/** Two timelines, and a fence of its own. */
const FENCES: Readonly<Record<string, { context: string; seqno: number }>> = {
  x1: { context: 'x', seqno: 1 },
  x2: { context: 'x', seqno: 2 },
  x3: { context: 'x', seqno: 3 },
  y1: { context: 'y', seqno: 1 },
  y2: { context: 'y', seqno: 2 },
  z: { context: 'z', seqno: 1 },
};
const names = Object.keys(FENCES);
const r = '$resv';
const booted: Booted = bootKernel({
  objects: { resvs: { a: {}, b: {} }, fences: FENCES },
  threads: { task: user() },
  calls: {
    lock: ioctl({ resv: RESVS }, [dma_resv_lock(r)]),
    unlock: ioctl({ resv: RESVS }, [dma_resv_unlock(r)]),
    reserve: ioctl({ resv: RESVS, n: ['0', '1', '2', '3', '5'] }, dma_resv_reserve_fences(r, '$n')),
    add: ioctl({ resv: RESVS, fence: names, usage: USAGES }, [dma_resv_add_fence(r, '$fence', '$usage' as Usage)]),
    replace: ioctl({ resv: RESVS, context: ['x', 'y', 'z'], fence: names, usage: USAGES }, [
      dma_resv_replace_fences(r, '$context', '$fence', '$usage' as Usage),
    ]),
    copy: ioctl({ resv: RESVS, from: RESVS }, dma_resv_copy_fences(r, '$from')),
    init: ioctl({ fence: names }, [dma_fence_init('$fence')]),
    signal: ioctl({ fence: names }, [dma_fence_signal('$fence')]),
  },
});

type Command = readonly [call: string, ...args: string[]];
const text = ([call, ...args]: Command): string => `${call}(${args.join(', ')})`;

/** One life of a fence: from init to the next init. */
interface Life {
  readonly fence: string;
  signalled: boolean;
}
interface List {
  locked: boolean;
  slots: { of: Life; usage: Usage }[];
  room: number;
  promised: number;
}
/** What the rules say, in numbers and lists. */
class Oracle {
  readonly lists: Record<string, List> = Object.fromEntries(
    RESVS.map((resv) => [resv, { locked: false, slots: [], room: 0, promised: 0 }]),
  );
  readonly lives: Record<string, Life | undefined> = {};
  /** is the same fence enough to overwrite a slot? */
  readonly laterOrSame: boolean;
  constructor(laterOrSame = true) {
    this.laterOrSame = laterOrSame;
  }
  /** The order of KERNEL, WRITE, READ, BOOKKEEP (9.8). */
  static weakness(usage: Usage): number {
    return { KERNEL: 0, WRITE: 1, READ: 2, BOOKKEEP: 3 }[usage];
  }
  /** 24 bytes, and 8 for each slot, in an allocation of the next size there is. */
  static allocated(slots: number): number {
    let bytes = 8;
    while (bytes < 24 + 8 * slots) bytes = { 64: 96, 96: 128, 128: 192, 192: 256 }[bytes] ?? bytes * 2;
    return Math.floor((bytes - 24) / 8);
  }
  /** Commands that would hang the task, or name a fence that does not exist yet, are left out. */
  possible([call, first, second, third]: Command): boolean {
    if (call === 'lock') return !this.lists[first as string]?.locked;
    if (call === 'add') return this.lives[second as string] !== undefined;
    if (call === 'replace') return this.lives[third as string] !== undefined;
    if (call === 'init') return this.lives[first as string]?.signalled !== false;
    if (call === 'signal') return this.lives[first as string] !== undefined;
    return true;
  }
  /** Do it, and say which rules it breaks. */
  does([call, first = '', second = '', third = '', fourth = '']: Command): string[] {
    const list = this.lists[first] as List;
    const rules: string[] = [];
    const needsLock = (rule: string): void => {
      if (!list.locked) rules.push(rule);
    };
    switch (call) {
      case 'init':
        this.lives[first] = { fence: first, signalled: false };
        break;
      case 'signal':
        (this.lives[first] as Life).signalled = true;
        break;
      case 'lock':
        if (RESVS.some((resv) => this.lists[resv]?.locked)) rules.push('W-9');
        list.locked = true;
        break;
      case 'unlock':
        if (!list.locked) rules.push('W-21');
        else Object.assign(list, { locked: false, promised: 0, room: list.slots.length });
        break;
      case 'reserve':
        needsLock('R-9');
        if (second === '0') rules.push('R-10');
        else if (list.locked) this.reserve(list, Number(second));
        break;
      case 'add':
        needsLock('R-12');
        rules.push(...this.add(list, this.lives[second] as Life, third as Usage));
        break;
      case 'replace':
        needsLock('R-19');
        for (const slot of list.slots)
          if (
            FENCES[slot.of.fence]?.context === second &&
            !(slot.of.signalled && this.lives[slot.of.fence] !== slot.of)
          )
            Object.assign(slot, { of: this.lives[third] as Life, usage: fourth });
        break;
      case 'copy': {
        needsLock('R-21');
        const from = this.lists[second] as List;
        const alive = from.slots.filter((slot) => !slot.of.signalled).map((slot) => ({ ...slot }));
        if (list.slots.some((slot) => !slot.of.signalled && !alive.some((each) => each.of === slot.of)))
          rules.push('R-21');
        const room = alive.length > 0 ? Oracle.allocated(from.slots.length) : 0;
        Object.assign(list, { slots: alive, room, promised: 0 });
        break;
      }
    }
    return rules;
  }
  reserve(list: List, n: number): void {
    const wanted = list.slots.length + n;
    if (wanted <= list.room) {
      list.promised = Math.max(list.promised, n);
      return;
    }
    const fresh = n <= 4 ? 4 : 8;
    list.room = Oracle.allocated(list.room > 0 ? Math.max(wanted, 2 * list.room) : fresh);
    list.slots = list.slots.filter((slot) => !slot.of.signalled);
    list.promised = n;
  }
  add(list: List, life: Life, usage: Usage): string[] {
    const fits = (slot: { of: Life; usage: Usage }): boolean => {
      if (slot.of.signalled) return true;
      const [old, now] = [FENCES[slot.of.fence], FENCES[life.fence]] as { context: string; seqno: number }[];
      if (old?.context !== now?.context || Oracle.weakness(slot.usage) < Oracle.weakness(usage)) return false;
      return this.laterOrSame ? (now?.seqno ?? 0) >= (old?.seqno ?? 0) : (now?.seqno ?? 0) > (old?.seqno ?? 0);
    };
    const at = list.slots.findIndex(fits);
    if (at >= 0) {
      list.slots[at] = { of: life, usage };
      return [];
    }
    if (list.slots.length >= list.room) return ['R-13'];
    list.slots.push({ of: life, usage });
    if (list.promised === 0) return ['R-9'];
    list.promised -= 1;
    return [];
  }
  /** I-6: what a query for this usage must find. */
  query(resv: string, usage: Usage): string[] {
    const seen = (this.lists[resv] as List).slots
      .filter((slot) => !slot.of.signalled && Oracle.weakness(slot.usage) <= Oracle.weakness(usage))
      .map((slot) => slot.of.fence);
    return [...new Set(seen)];
  }
  shows(resv: string): unknown {
    const { locked, slots, room, promised } = this.lists[resv] as List;
    const shown = slots.map((slot) => `${slot.of.signalled ? 'over' : slot.of.fence} ${slot.usage}`);
    return { locked, slots: shown, room, promised, queries: USAGES.map((usage) => this.query(resv, usage)) };
  }
}
function objectShows(kernel: KernelState, resv: string): unknown {
  const { owner, fences, max, reserved } = kernel.resvs[resv] as KernelState['resvs'][string];
  const shown = fences.map(({ fence, usage }) => {
    const row = kernel.fences[fence];
    return `${row?.published && !row.signaled ? fence : 'over'} ${usage}`;
  });
  const queries = USAGES.map((usage) => pendingFences(kernel, resv, usage));
  return { locked: owner !== null, slots: shown, room: max, promised: reserved, queries };
}

/** One call on the object: the rules of reservations that it breaks. */
function plays(kernel: KernelState): string[] {
  const rules: string[] = [];
  for (;;) {
    const { facts, choice } = follow(booted.machine, kernel, 'task');
    if (!choice) throw new Error('the task cannot go on');
    for (const fact of facts) if (fact.kind === 'misuse' && /^[RW]-/.test(fact.rule)) rules.push(fact.rule);
    if (facts.some((fact) => fact.kind === 'returned' && fact.to === 'user')) return rules;
  }
}
/** Play these on both; how many were possible. @throws on the first difference. */
function compare(commands: readonly Command[], oracle: Oracle): number {
  const possible = commands.filter((command) => {
    const can = oracle.possible(command);
    if (can) oracle.does(command);
    return can;
  });
  const again = new Oracle(oracle.laterOrSame);
  const kernel = start(booted, { task: possible.map(text) });
  possible.forEach((command, at) => {
    const rules = again.does(command);
    const said = {
      rules: plays(kernel),
      ...Object.fromEntries(RESVS.map((resv) => [resv, objectShows(kernel, resv)])),
    };
    const wanted = { rules, ...Object.fromEntries(RESVS.map((resv) => [resv, again.shows(resv)])) };
    // Only who breaks the rules of locks holds one at the end of a call; that is not what this is about.
    expect(
      { ...said, rules: said.rules.sort() },
      `after ${possible
        .slice(0, at + 1)
        .map(text)
        .join('; ')}`,
    ).toEqual({
      ...wanted,
      rules: wanted.rules.sort(),
    });
  });
  return possible.length;
}

const resv = fc.constantFrom(...RESVS);
const fence = fc.constantFrom(...names);
const usage = fc.constantFrom(...USAGES);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('lock'), resv) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('unlock'), resv) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('reserve'), resv, fc.constantFrom('0', '1', '1', '2', '3', '5')) },
  { weight: 10, arbitrary: fc.tuple(fc.constant('add'), resv, fence, usage) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('replace'), resv, fc.constantFrom('x', 'y', 'z'), fence, usage) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('copy'), resv, resv) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('init'), fence) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('signal'), fence) },
);
const session = fc.array(command, { minLength: 100, maxLength: 100 });
/** That many sessions of a hundred commands; how many commands were played. */
function fuzz(sessions: number, oracle: () => Oracle): number {
  let played = 0;
  const check = (commands: readonly Command[]): void => {
    played += compare(commands, oracle());
  };
  fc.assert(fc.property(session, check), { numRuns: sessions, seed: 4 });
  return played;
}

describe('dma_resv against a plain list', () => {
  test('I-6: after every call the slots, the room, the complaints and all queries are those of the list', () => {
    expect(fuzz(10, () => new Oracle())).toBeGreaterThan(500);
  });
  test('a hundred thousand calls', { tags: ['long'] }, () => {
    expect(fuzz(1600, () => new Oracle())).toBeGreaterThan(100_000);
  });
  test('it can fail: a list that wants a strictly later fence is told apart', () => {
    expect(() => fuzz(50, () => new Oracle(false))).toThrow(/after/);
  });
});
