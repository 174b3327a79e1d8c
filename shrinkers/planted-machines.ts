/**
 * Small machines with one fault each, for tests of the shrinker: three threads that go round and work, and now and then
 * something odd happens to one of them. Most of a long walk through one is honest work, so the few words that matter
 * are far apart.
 */
import { type Booted, type Kernel, boot, design, must } from '../model/design.ts';
import type { Block, Instruction } from '../model/machine.ts';
import {
  dma_fence_begin_signalling,
  dma_fence_end_signalling,
  dma_fence_init,
  dma_fence_signal,
  dma_fence_wait,
  forever,
  goto,
  if_ret,
  kmalloc,
  label,
  may_go,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  sync_file_install,
  work_a_while,
} from '../model/objects/index.ts';
import type { Want } from './shrink.ts';

type Lines = Block | Instruction;
const locked = (lock: string, ...lines: readonly Lines[]): Block => [mutex_lock(lock), ...lines, mutex_unlock(lock)];
const nested = (outer: string, inner: string): Block => locked(outer, work_a_while('reads'), locked(inner));
const publish = (fence: string): Block => [dma_fence_init(fence, '$me'), sync_file_install(fence)];

/** Go round as long as there is more to do; what is done in a round, and what may happen in it once in a while. */
const rounds = (honest: Lines, odd: Lines = []): Block => [
  label('again'),
  may_go('what to do', ['looks', 'works', 'allocates']),
  if_ret('works', [honest, goto('done')]),
  if_ret('allocates', [kmalloc('GFP_NOWAIT', 'a page'), goto('done')]),
  work_a_while('looks around'),
  label('done'),
  odd,
  may_go('more to do', ['no', 'yes']),
  if_ret('yes', [goto('again')]),
  may_go('more may come', ['no', 'yes']),
  if_ret('yes', [goto('again')]),
];
/** Neither in fine weather nor in foul: it takes a calm moment, then a bad one, then a calm one again. */
const onceInAWhile = (odd: Lines): Block => [
  may_go('the queue', ['is empty', 'is full']),
  if_ret('is empty', [
    may_go('the request', ['goes on', 'is cut short']),
    if_ret('is cut short', [may_go('the clean-up', ['is due', 'can wait']), if_ret('is due', [odd])]),
  ]),
];
const polite = (mine: string, other: string): Block => [
  label('polite'),
  mutex_lock(mine),
  mutex_trylock(other),
  if_ret('0', [mutex_unlock(mine), goto('polite')]),
  mutex_unlock(other),
  mutex_unlock(mine),
];
const ends: Block = [goto('end')];

interface Fault {
  readonly name: string;
  readonly want: Want;
  readonly threads: Readonly<Record<'one' | 'two' | 'three', Block>>;
}
const busy = rounds(nested('a', 'b'));
const idle = rounds([work_a_while('counts')]);
const circle = (on: string): Want => ({ property: 'no-deadlock', kind: `circle of ${on}` });
const LOCK_ORDER: Want = { property: 'lock-order', kind: 'circular dependency' };
const NEVER: Want = { property: 'fence-signals', kind: 'never signals' };
const NO_PROGRESS: Want = { property: 'no-livelock', kind: 'no progress' };
const owes = (fence: string, odd: Lines): Block => [publish(fence), odd, dma_fence_signal(fence), label('end')];

const faults: readonly Fault[] = [
  {
    name: 'two locks in the other order',
    want: circle('mutex'),
    threads: { one: rounds(nested('a', 'b'), onceInAWhile(nested('b', 'a'))), two: busy, three: busy },
  },
  {
    name: 'three locks in a ring',
    want: circle('mutex'),
    threads: {
      one: rounds(nested('a', 'b')),
      two: rounds(nested('b', 'c')),
      three: rounds([work_a_while('reads')], onceInAWhile(nested('c', 'a'))),
    },
  },
  {
    name: 'the other order behind a gate',
    want: LOCK_ORDER,
    threads: {
      one: rounds(locked('gate', nested('a', 'b')), onceInAWhile(locked('gate', nested('b', 'a')))),
      two: rounds(locked('c')),
      three: idle,
    },
  },
  {
    name: 'a lock taken again',
    want: circle('mutex'),
    threads: { one: rounds(nested('a', 'b'), onceInAWhile(nested('c', 'c'))), two: busy, three: busy },
  },
  {
    name: 'a lock kept on the way out',
    want: { property: 'api-contract', kind: 'I-16' },
    threads: {
      one: [rounds(nested('a', 'b'), onceInAWhile([mutex_lock('c'), goto('end')])), label('end')],
      two: busy,
      three: idle,
    },
  },
  {
    name: 'a signal forgotten on the way out',
    want: NEVER,
    threads: {
      one: owes('f', rounds(nested('a', 'b'), onceInAWhile(ends))),
      two: busy,
      three: [idle, dma_fence_wait('f')],
    },
  },
  {
    name: 'an allocation that the fence waits for',
    want: { property: 'no-alloc-in-signalling', kind: 'owed' },
    threads: {
      one: owes('f', rounds(nested('a', 'b'), onceInAWhile(kmalloc('GFP_KERNEL', 'a log')))),
      two: busy,
      three: busy,
    },
  },
  {
    name: 'an allocation in a signalling section',
    want: { property: 'no-alloc-in-signalling', kind: 'annotated' },
    threads: {
      one: rounds(
        nested('a', 'b'),
        onceInAWhile([dma_fence_begin_signalling(), kmalloc('GFP_KERNEL', 'a log'), dma_fence_end_signalling()]),
      ),
      two: busy,
      three: busy,
    },
  },
  {
    name: 'two fences that wait for each other',
    want: circle('fence'),
    threads: {
      one: owes('f', rounds(nested('a', 'b'), onceInAWhile(dma_fence_wait('g')))),
      two: owes('g', rounds(nested('a', 'b'), onceInAWhile(dma_fence_wait('f')))),
      three: busy,
    },
  },
  {
    name: 'a wait under the lock that the signal needs',
    want: circle('fence+mutex'),
    threads: {
      one: owes('f', rounds([work_a_while('counts')], onceInAWhile(nested('c', 'b')))),
      two: rounds(nested('a', 'b'), onceInAWhile(locked('c', dma_fence_wait('f')))),
      three: busy,
    },
  },
  {
    name: 'two that back off from each other',
    want: NO_PROGRESS,
    threads: { one: rounds(polite('a', 'b')), two: rounds(polite('b', 'a')), three: idle },
  },
  {
    name: 'one that spins and owes a fence',
    want: { property: 'fence-signals', kind: 'not in finite time' },
    threads: {
      one: owes('f', rounds(nested('a', 'b'), onceInAWhile(forever([work_a_while('polls')])))),
      two: busy,
      three: idle,
    },
  },
];

export interface FaultyMachine {
  readonly booted: Booted;
  readonly want: Want;
}
export const faultyMachines = (): FaultyMachine[] =>
  faults.map(({ name, want, threads }) => {
    const kernel: Kernel = {
      objects: { locks: { a: {}, b: {}, c: {}, gate: {} }, fences: { f: {}, g: {} } },
      threads: Object.fromEntries(Object.entries(threads).map(([thread, body]) => [thread, must(body)])),
    };
    const of = design({ name, title: name, sources: [], knobs: {}, kernel: () => kernel, expect: [] });
    return { booted: boot(of, {}), want };
  });
