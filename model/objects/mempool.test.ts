import { expect, test } from 'vitest';
import { follow, opens } from '../case.ts';
import { type Booted, boot, design, must, start } from '../design.ts';
import type { Block, KernelState } from '../machine.ts';
import { if_ret, mempool_alloc, mempool_alloc_preallocated, mempool_free, witness } from './index.ts';

const pool = (free: number, take: Block, gives: Block = []): Booted =>
  boot(
    design({
      name: 'pool',
      title: 'a pool',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: {
          mempools: { elements: { free, holders: free === 0 ? ['giver'] : [] } },
          ranges: { pages: {} },
        },
        threads: { taker: must([take, if_ret('-ENOMEM', [witness('nothing left')])]), giver: must(gives) },
      }),
      expect: [],
    }),
  );
const openOf = (booted: Booted, kernel: KernelState, thread: string) => opens(booted.machine, kernel)[thread];

test('an element put aside is taken without allocating anything', () => {
  const booted = pool(1, [mempool_alloc_preallocated('elements', 'taker')]);
  const kernel = start(booted, {});
  const { facts } = follow(booted.machine, kernel, 'taker');
  expect(facts.map(({ kind }) => kind)).not.toContain('allocates');
  expect(kernel.mempools['elements']).toEqual({ free: 0, holders: ['taker'] });
});

test('when all are out, a take that may not sleep fails at once', () => {
  const booted = pool(0, [mempool_alloc('elements', 'GFP_NOWAIT', 'taker')]);
  const { facts } = follow(booted.machine, start(booted, {}), 'taker');
  expect(facts).toContainEqual(expect.objectContaining({ kind: 'witness', name: 'nothing left' }));
});

test('when all are out, a take that may sleep reclaims, then waits for whoever has them, and never fails', () => {
  const booted = pool(0, [mempool_alloc('elements', 'GFP_NOIO', 'taker')], [mempool_free('elements', 'giver')]);
  const kernel = start(booted, {});
  expect(openOf(booted, kernel, 'taker')).toMatchObject({ kind: 'ready', outcomes: ['ok', 'unmaps pages'] });
  const { facts } = follow(booted.machine, kernel, 'taker');
  expect(facts).toContainEqual(expect.objectContaining({ kind: 'allocates', gfp: 'GFP_NOIO', direct: true }));
  expect(openOf(booted, kernel, 'taker')).toMatchObject({ kind: 'blocked', wait: { owedBy: ['giver'] } });
  follow(booted.machine, kernel, 'giver');
  expect(openOf(booted, kernel, 'taker')).toMatchObject({ kind: 'ready' });
});

test('with an element in reserve it need not reclaim, but lockdep hears that it might have', () => {
  const booted = pool(1, [mempool_alloc('elements', 'GFP_NOIO', 'taker')]);
  const kernel = start(booted, {});
  expect(openOf(booted, kernel, 'taker')).toMatchObject({ outcomes: ['ok'] });
  const { facts } = follow(booted.machine, kernel, 'taker');
  expect(facts.map(({ kind }) => kind)).toContain('acquires');
});

test('an element that was never taken cannot be given back', () => {
  const booted = pool(1, [mempool_free('elements', 'giver')]);
  const { facts } = follow(booted.machine, start(booted, {}), 'taker');
  expect(facts).toContainEqual(expect.objectContaining({ kind: 'misuse', rule: 'A5.5' }));
});
