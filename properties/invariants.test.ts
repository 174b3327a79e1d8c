/**
 * Invariants that every run judges (fence-core 15.3): a mini kernel that breaks one is convicted by the sweep, and its
 * nearest neighbour, one change away, by nothing at all.
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, may, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  atomic_enter,
  atomic_exit,
  dma_fence_array_init,
  dma_fence_begin_signalling,
  dma_fence_chain_init,
  dma_fence_end_signalling,
  dma_fence_enable_sw_signaling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
  dma_fence_stub,
  dma_fence_wait,
  dma_resv_lock,
  dma_resv_unlock,
  drm_syncobj_find_fence,
  drm_syncobj_replace_fence,
  fence_arrays,
  fence_chain_nodes,
  irq_work,
  kmalloc,
  mod_timer,
  mutex_lock,
  mutex_unlock,
  sync_file_install,
  timer,
  together,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { sweep } from './search/sweep.ts';

const objects = together(
  {
    fences: {
      f: {},
      g: {},
      old: { context: 'ring', seqno: 1 },
      young: { context: 'ring', seqno: 2 },
      stub: dma_fence_stub,
      lazy: { enable_signaling: 'ask_for_the_signal' },
    },
    locks: { lock: {} },
    resvs: { bo: {} },
    syncobjs: { obj: {} },
  },
  fence_arrays('a', 'b'),
  fence_chain_nodes('c1', 'c2'),
);
/** What the sweep finds, as 'property (kind)'. */
function found(body: Block, threads: Kernel['threads'] = {}): string[] {
  const routines = { ask_for_the_signal: [] };
  const booted = bootKernel({ objects, routines, threads: { task: must(body), irq_work: irq_work(), ...threads } });
  const { findings, complete } = sweep(booted, properties);
  expect(complete).toBe(true);
  return findings.map(({ blame }) => `${blame.property} (${blame.kind})`).sort();
}
const both = [dma_fence_init('f'), dma_fence_init('g')];
const rings = [dma_fence_init('old'), dma_fence_init('young')];

describe('fences', () => {
  test('I-1: a fence that has signalled stays as it is, its error too', () => {
    const late = [dma_fence_init('f'), dma_fence_signal('f'), dma_fence_set_error('f', '-EIO')];
    expect(found(late)).toEqual(['api-contract (F-39)']);
    expect(found([dma_fence_init('f'), dma_fence_set_error('f', '-EIO'), dma_fence_signal('f')])).toEqual([]);
    const again = [dma_fence_init('f'), sync_file_install('f'), dma_fence_init('f'), dma_fence_signal('f')];
    expect(found(again)).toEqual(['api-contract (F-10)']);
  });
  test('I-4: within one context what has signalled is closed downwards', () => {
    expect(found([rings, dma_fence_signal('young'), dma_fence_signal('old')])).toEqual(['api-contract (F-6)']);
    expect(found([rings, dma_fence_signal('old'), dma_fence_signal('young')])).toEqual([]);
  });
  test('I-5: an array or a chain node has not signalled before what it stands for', () => {
    const array = [both, dma_fence_array_init('a', ['f', 'g'])];
    const chain = [both, dma_fence_chain_init('c1', 'NULL', 'f', 1), dma_fence_chain_init('c2', 'c1', 'g', 2)];
    const over = [dma_fence_signal('f'), dma_fence_signal('g')];
    expect(found([array, dma_fence_signal('f'), dma_fence_signal('a'), dma_fence_signal('g')])).toEqual([
      'api-contract (I-5)',
    ]);
    expect(found([array, dma_fence_enable_sw_signaling('a'), over, dma_fence_is_signaled('a')])).toEqual([]);
    expect(found([chain, dma_fence_signal('g'), dma_fence_signal('c2'), dma_fence_signal('f')])).toEqual([
      'api-contract (I-5)',
    ]);
    expect(found([chain, dma_fence_enable_sw_signaling('c2'), over, dma_fence_is_signaled('c2')])).toEqual([]);
  });
  test('I-7: no container in an array, no chain node as a payload', () => {
    const array = [both, dma_fence_array_init('a', ['f', 'g'])];
    expect(found([array, dma_fence_array_init('b', ['a'])])).toEqual(['api-contract (K-3)']);
    expect(found([array, dma_fence_chain_init('c1', 'NULL', 'a', 1)])).toEqual([]);
    expect(
      found([array, dma_fence_chain_init('c1', 'NULL', 'a', 1), dma_fence_chain_init('c2', 'NULL', 'c1', 1)]),
    ).toEqual(['api-contract (K-3)']);
  });
});

describe('what may be waited for, and where', () => {
  const submits = may([dma_fence_init('g'), drm_syncobj_replace_fence('obj', 'g'), dma_fence_signal('g')]);
  const waits = drm_syncobj_find_fence('obj', 0, 'WAIT_FOR_SUBMIT');
  test('I-10: nobody who holds a reservation waits for user space', () => {
    const holding = [dma_resv_lock('bo'), waits, dma_resv_unlock('bo')];
    expect(found(holding, { user_space: submits })).toEqual(['api-contract (SO-16)']);
    expect(found([waits, dma_resv_lock('bo'), dma_resv_unlock('bo')], { user_space: submits })).toEqual([]);
  });
  const section = (...lines: Block): Block => [
    dma_fence_init('f'),
    sync_file_install('f'),
    dma_fence_begin_signalling(),
    lines,
    dma_fence_signal('f'),
    dma_fence_end_signalling(),
  ];
  test('I-11: nobody in a signalling section blocks on a reservation or on a reclaiming allocation', () => {
    expect(found(section(dma_resv_lock('bo'), dma_resv_unlock('bo')))).toContain('lock-order (circular dependency)');
    for (const gfp of ['GFP_KERNEL', 'GFP_NOFS', 'GFP_NOIO'] as const)
      expect(found(section(kmalloc(gfp))).map((each) => each.split(' ')[0])).toContain('no-alloc-in-signalling');
    expect(found(section(mutex_lock('lock'), kmalloc('GFP_NOWAIT'), mutex_unlock('lock')))).toEqual([]);
  });
  test('I-12: nobody in atomic context sleeps or allocates with direct reclaim', () => {
    const atomic = (...lines: Block): Block => [atomic_enter('an interrupt'), lines, atomic_exit('an interrupt')];
    expect(found(atomic(mutex_lock('lock'), mutex_unlock('lock')))).toEqual(['api-contract (CTX-A)']);
    expect(found(atomic(kmalloc('GFP_KERNEL')))).toEqual(['api-contract (CTX-A)']);
    expect(found([dma_fence_init('f'), dma_fence_signal('f'), atomic(dma_fence_wait('f'))])).toEqual([
      'api-contract (CTX-A)',
    ]);
    expect(found(atomic(kmalloc('GFP_ATOMIC')))).toEqual([]);
  });
  test('I-13: every published fence has a way to its signal that needs hardware or a timer only', () => {
    const only_the_user = { user_space: may([dma_fence_signal('f')]) };
    expect(found([dma_fence_init('f', 'user_space'), sync_file_install('f')], only_the_user)).toContain(
      'fence-signals (never signals)',
    );
    const timed = [dma_fence_init('f', 'tick'), mod_timer('tick'), sync_file_install('f')];
    expect(found(timed, { tick: timer([dma_fence_signal('f')]) })).toEqual([]);
  });
  test('a container is owed by whoever owes what it stands for', () => {
    const array = (by: string): Block => [
      dma_fence_init('f', by),
      dma_fence_array_init('a', ['f']),
      dma_fence_enable_sw_signaling('a'),
      sync_file_install('a'),
    ];
    const never = found(array('user_space'), { user_space: may([dma_fence_signal('f')]) });
    expect(never).toContain('fence-signals (never signals)');
    expect(found([array('tick'), mod_timer('tick')], { tick: timer([dma_fence_signal('f')]) })).toEqual([]);
  });
});

describe('the end', () => {
  test('I-16: at rest nobody holds a lock, and nothing is queued', () => {
    expect(found([mutex_lock('lock')])).toEqual(['api-contract (I-16)', 'no-leak (left over)']);
    expect(found([mutex_lock('lock'), mutex_unlock('lock')])).toEqual([]);
  });
  test('a fence that signals only when it is asked is left over once somebody asked, and not before', () => {
    const lazy = [dma_fence_init('lazy'), sync_file_install('lazy')];
    expect(found(lazy)).toEqual([]);
    expect(found([...lazy, dma_fence_enable_sw_signaling('lazy')])).toEqual([
      'fence-signals (never signals)',
      'no-leak (left over)',
    ]);
  });
});
