/** What a buffer keeps, and who finds out when its memory goes: each claim next to its opposite. */
import { expect, test } from 'vitest';
import { choices } from '../case.ts';
import { boot, design, must } from '../design.ts';
import { type Block, type Fact, reduce } from '../machine.ts';
import {
  cpu_read,
  cpu_write,
  device_map,
  device_unmap,
  device_write,
  dma_fence_init,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_tt_populate,
  ttm_tt_swapout,
  ttm_tt_unpopulate,
} from './index.ts';

/** What one thread says of the buffer `bo` when it runs `program`, each instruction going its tamest way or as `wild` says. */
function said(program: Block, bo: Record<string, unknown> = { place: 'SYSTEM' }, wild = ''): string[] {
  const { machine } = boot(
    design({
      name: 'one-buffer',
      title: 'one thread and a buffer',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { bos: { bo }, resvs: { bo: {} }, fences: { job: {} } },
        threads: { driver: must(program) },
      }),
      expect: [],
    }),
  );
  const kernel = structuredClone(machine.boot);
  const facts: Fact[] = [];
  for (;;) {
    const all = choices(machine, kernel);
    const choice = all.find(({ outcome }) => outcome === wild) ?? all[0];
    if (!choice) return facts.flatMap(inWords);
    reduce(machine, kernel, choice);
    facts.push(...kernel.facts);
  }
}
const inWords = (fact: Fact): string[] => {
  if (fact.kind === 'reads') return [`reads ${fact.got}, expects ${fact.expected}`];
  if (fact.kind === 'accesses' && fact.stale !== null) return [`stale: ${fact.stale}`];
  if (fact.kind === 'inconsistent') return [fact.rule];
  return [];
};

const written: Block = [ttm_tt_populate('bo'), cpu_write('bo', 'cpu')];

test('swapped pages come back with what was written', () => {
  expect(said([written, ttm_tt_swapout('bo'), ttm_tt_populate('bo'), cpu_read('bo')])).toEqual([
    'reads cpu, expects cpu',
  ]);
});
test('pages given up without a copy come back empty', () => {
  expect(said([written, ttm_tt_unpopulate('bo'), ttm_tt_populate('bo'), cpu_read('bo')])).toEqual([
    'reads zero, expects cpu',
  ]);
});
test('a copy to swap that fails leaves the pages as they were', () => {
  expect(said([written, ttm_tt_swapout('bo'), cpu_read('bo')], { place: 'SYSTEM' }, 'fails')).toEqual([
    'reads cpu, expects cpu',
  ]);
});
test('the CPU finds nothing while the pages are swapped out', () => {
  expect(said([written, ttm_tt_swapout('bo'), cpu_read('bo')])).toEqual([
    'stale: bo has no pages: they are swapped out',
  ]);
});
test('fresh pages are clear only if the driver asked for that', () => {
  expect(said([ttm_tt_populate('bo'), cpu_read('bo')])).toEqual(['reads zero, expects zero']);
  expect(said([ttm_tt_populate('bo'), cpu_read('bo')], { place: 'SYSTEM', zero_alloc: false })).toEqual([
    'reads stale, expects zero',
  ]);
});

test('a mapping outlives the pages behind it, even when the buffer has new ones', () => {
  const again = [ttm_tt_swapout('bo'), ttm_tt_populate('bo')];
  const busy = { place: 'SYSTEM', busy_in_system: true };
  expect(said([written, device_map('bo'), again, device_write('bo', 'gpu')], busy)).toEqual([
    'B18.6',
    'stale: the memory behind its mapping of bo was taken away',
  ]);
  expect(
    said([written, device_map('bo'), device_unmap('bo'), again, device_map('bo'), device_write('bo', 'gpu')], busy),
  ).toEqual([]);
});
test('the device may use SYSTEM only where the driver answers for it', () => {
  const uses = [written, device_map('bo'), device_write('bo', 'gpu')];
  expect(said(uses)).toEqual(['B18.1']);
  expect(said(uses, { place: 'SYSTEM', busy_in_system: true })).toEqual([]);
  expect(said(uses, { place: 'PRIV' })).toEqual([]);
});
test('TTM swaps out only what is in SYSTEM', () => {
  expect(said([written, ttm_tt_swapout('bo')], { place: 'PRIV' })).toEqual(['B12.3']);
  expect(said([written, ttm_bo_move_null('bo', 'SYSTEM'), ttm_tt_swapout('bo')], { place: 'PRIV' })).toEqual([]);
});
test('a busy buffer neither becomes idle by moving to SYSTEM nor loses its pages unnoticed', () => {
  const busy = [
    written,
    dma_resv_lock('bo'),
    dma_resv_reserve_fences('bo'),
    dma_fence_init('job'),
    dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
  ];
  expect(said([busy, ttm_bo_move_null('bo', 'SYSTEM')], { place: 'PRIV' })).toEqual(['B18.6']);
  expect(said([busy, ttm_tt_unpopulate('bo')], { place: 'PRIV' })).toEqual(['S-B2']);
  expect(said([written, ttm_bo_move_null('bo', 'SYSTEM'), ttm_tt_unpopulate('bo')], { place: 'PRIV' })).toEqual([]);
});

test('a move with a copy keeps the contents in all three states', () => {
  const there = [ttm_bo_move_memcpy('bo', 'VRAM'), cpu_read('bo')];
  expect(said(there)).toEqual(['reads zero, expects zero']);
  expect(said([written, there])).toEqual(['reads cpu, expects cpu']);
  expect(said([written, ttm_tt_swapout('bo'), there])).toEqual(['reads cpu, expects cpu']);
  expect(said([written, there, ttm_bo_move_memcpy('bo', 'SYSTEM'), cpu_read('bo')])).toEqual([
    'reads cpu, expects cpu',
    'reads cpu, expects cpu',
  ]);
});
test('a move without a copy is no move between memories', () => {
  expect(said([written, ttm_bo_move_null('bo', 'VRAM'), cpu_read('bo')])).toEqual(['B4.1', 'reads zero, expects cpu']);
  expect(said([written, ttm_bo_move_null('bo', 'TT'), cpu_read('bo')])).toEqual(['reads cpu, expects cpu']);
});
