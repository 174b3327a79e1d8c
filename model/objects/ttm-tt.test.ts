/** What the kernel's own tests of the tt assert (drivers/gpu/drm/ttm/tests/ttm_tt_test.c), and backup page by page. */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact, Instruction } from '../machine.ts';
import { stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  cpu_read,
  cpu_write,
  recount,
  return_,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_tt_backup,
  ttm_tt_create,
  ttm_tt_destroy,
  ttm_tt_populate,
  ttm_tt_purge,
  ttm_tt_swap_copy,
  ttm_tt_swap_finish,
  ttm_tt_unpopulate,
} from './index.ts';

const system: Setup = { bos: { bo: { place: 'SYSTEM', size: 2 } } };
const run = (body: Block | Instruction, setup: Setup = system) => {
  const done = ttmAlone([ttm_bo_reserve('bo'), body, ttm_bo_unreserve('bo')], setup);
  expect([...inconsistencies(done.facts), ...recount(done.at.kernel)]).toEqual([]);
  const { bos, ttm_bos, ttm_globals, page_vectors } = done.at.kernel;
  const row = { ...bos['bo'], ...ttm_bos['bo'] };
  return { ...done, row, allocated: ttm_globals['ttm']?.pages_allocated, blocks: page_vectors['bo']?.blocks };
};
const created: Block = ttm_tt_create('bo');
const vector = { page_pools: { global: {} }, page_vectors: { bo: { pages: 2 } } };
const swapout: Block = [ttm_tt_swap_copy('bo'), ttm_tt_swap_finish('bo')];
const reads = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'reads' ? [`${fact.got}/${fact.expected}`] : []));

describe('create and destroy', () => {
  test('KUNIT-42: it has the pages of the buffer and the extra ones, flags as asked, and room for them', () => {
    const extra: Setup = { bos: { bo: { place: 'SYSTEM', size: 2, extra_pages: 3 } } };
    expect(run([created, ttm_bo_populate('bo')], extra).allocated).toBe(5);
    expect(run([created, ttm_bo_populate('bo')]).allocated).toBe(2);
    expect(run(created, { ...system, objects: vector }).blocks).toEqual([]);
  });
  test('KUNIT-43: part of a page is a page', () => {
    expect(run([created, ttm_bo_populate('bo')], { bos: { bo: { place: 'SYSTEM', size: 1.5 } } }).allocated).toBe(2);
  });
  test('KUNIT-44: fini leaves no pages, no addresses and no storage in swap', () => {
    const body = [created, ttm_bo_populate('bo'), swapout, ttm_tt_destroy('bo')];
    const { row, blocks, allocated } = run(body, { ...system, objects: vector });
    expect([row.tt, row.swap, blocks, allocated]).toEqual(['none', null, [], 0]);
  });
  test('KUNIT-45: create makes a tt; the pages of user space are cleared when asked for', () => {
    expect(run(ttm_tt_create('bo', 'yes')).row).toMatchObject({ tt: 'limbo', zero_alloc: true });
    expect(run(ttm_tt_create('bo', 'no')).row).toMatchObject({ tt: 'limbo', zero_alloc: false });
    const kernelType: Setup = { bos: { bo: { place: 'SYSTEM', type: 'kernel' } } };
    expect(run(ttm_tt_create('bo', 'yes'), kernelType).row).toMatchObject({ tt: 'limbo', zero_alloc: false });
  });
  test('KUNIT-46: a type that nobody knows: -EINVAL and no tt', () => {
    const { ret, row } = run(created, { bos: { bo: { place: 'SYSTEM', type: 'user' as never } } });
    expect([ret, row.tt]).toEqual(['-EINVAL', 'none']);
  });
  test('KUNIT-47: what exists is kept', () => {
    const { ret, row } = run([created, ttm_bo_populate('bo'), ttm_tt_create('bo', 'yes')]);
    expect([ret, row.tt, row.zero_alloc]).toEqual(['0', 'populated', false]);
  });
  test('KUNIT-48: a driver that makes none: -ENOMEM', () => {
    const refuses: Setup = {
      ...system,
      devices: { bdev: { tt_create: 'make' } },
      routines: { make: [return_('NULL')] },
    };
    expect([run(created, refuses).ret, run(created, refuses).row.tt]).toEqual(['-ENOMEM', 'none']);
    expect(run(created, { ...refuses, routines: { make: [return_('0')] } }).ret).toBe('0');
  });
  test('KUNIT-49: destroy takes the tt away', () => {
    const { row, allocated } = run([created, ttm_bo_populate('bo'), ttm_tt_destroy('bo')]);
    expect([row.tt, allocated]).toEqual(['none', 0]);
  });
});

describe('populate and swap', () => {
  test('KUNIT-50: without a tt: -EINVAL', () => {
    expect(run(ttm_tt_populate('bo')).ret).toBe('-EINVAL');
    expect(run([created, ttm_tt_populate('bo')]).ret).toBe('0');
  });
  test('KUNIT-51: the second time nothing happens', () => {
    const { row, allocated, facts } = run([created, ttm_bo_populate('bo'), ttm_bo_populate('bo')]);
    expect([row.tt, allocated, facts.filter(({ kind }) => kind === 'populated').length]).toEqual(['populated', 2, 1]);
  });
  test('KUNIT-52: unpopulate takes the pages; doing it again does no harm', () => {
    const { row, allocated } = run([created, ttm_bo_populate('bo'), ttm_tt_unpopulate('bo'), ttm_tt_unpopulate('bo')]);
    expect([row.tt, allocated]).toEqual(['limbo', 0]);
  });
  test('KUNIT-53: swap-out says how many pages; they are in storage and nowhere else', () => {
    const { ret, row, allocated } = run([created, ttm_bo_populate('bo'), cpu_write('bo', 'red'), swapout]);
    expect([ret, row.tt, row.swap, allocated]).toEqual(['2', 'swapped', 'red', 0]);
  });
  test('KUNIT-54: swap-in brings them back and drops the storage', () => {
    const body = [
      created,
      ttm_bo_populate('bo'),
      cpu_write('bo', 'red'),
      swapout,
      ttm_bo_populate('bo'),
      cpu_read('bo'),
    ];
    const { ret, row, facts } = run(body);
    expect([ret, row.tt, row.swap, reads(facts)]).toEqual(['0', 'populated', null, ['red/red']]);
  });
});

/** The words for one thread, alone on the machine. */
const played = (body: Block, words: readonly string[], setup: Setup = system) => {
  const at = stage({
    ...ttmKernel(setup),
    threads: { task: must([ttm_bo_reserve('bo'), body, ttm_bo_unreserve('bo')]) },
  });
  const facts = [...at.plays(...words), ...at.runs('task')];
  expect(recount(at.kernel)).toEqual([]);
  return { at, facts, row: { ...at.kernel.bos['bo'], ...at.kernel.ttm_bos['bo'] } };
};
describe('when memory is short', () => {
  const swapped: Setup = { bos: { bo: { place: 'SYSTEM', size: 2, tt: 'swapped' } } };
  test('A7.5: a swap-in that fails leaves the copy where it is', () => {
    const words = ['task', 'task', 'task', 'task', 'task/fails'];
    const { at, row } = played(ttm_bo_populate('bo'), words, swapped);
    expect([row.tt, at.kernel.ttm_globals['ttm']?.pages_allocated]).toEqual(['swapped', 0]);
    expect(played(ttm_bo_populate('bo'), [], swapped).row.tt).toBe('populated');
  });
  const populated: Setup = {
    bos: { bo: { place: 'SYSTEM', size: 3, tt: 'populated', pages: 'red', expected: 'red' } },
  };
  const backup = (...ways: readonly string[]) => ['task', ...ways.flatMap((way) => ['task', `task/${way}`])];
  test('B3.8: backup frees page by page; what it managed before it failed stays done', () => {
    expect(played(ttm_tt_backup('bo'), [], populated).row).toMatchObject({ tt: 'backed_up', backed_up: 3 });
    expect(played(ttm_tt_backup('bo'), backup('ok', 'fails'), populated).row).toMatchObject({
      tt: 'backed_up',
      backed_up: 1,
    });
    expect(played(ttm_tt_backup('bo'), backup('fails'), populated).row).toMatchObject({
      tt: 'populated',
      backed_up: 0,
    });
  });
  test('B3.10: a restore that fails half-way goes on where it was, and nothing is lost', () => {
    const body = [ttm_tt_backup('bo'), ttm_bo_populate('bo'), ttm_bo_populate('bo'), cpu_read('bo')];
    const { row, facts } = played(
      body,
      [...backup('ok', 'ok', 'ok'), 'task', ...backup('ok', 'fails').slice(1)],
      populated,
    );
    expect([row.tt, row.backed_up, reads(facts)]).toEqual(['populated', 0, ['red/red']]);
  });
  test('B3.9: purge gives the contents up, and says so', () => {
    const { row, facts } = played([ttm_tt_purge('bo'), ttm_bo_populate('bo'), cpu_read('bo')], [], {
      bos: { bo: { place: 'SYSTEM', tt: 'populated', pages: 'red', expected: 'red', zero_alloc: true } },
    });
    expect([row.tt, reads(facts)]).toEqual(['populated', ['zero/zero']]);
  });
});
