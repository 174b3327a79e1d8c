/** What the kernel's own tests of resources and managers assert (drivers/gpu/drm/ttm/tests/ttm_resource_test.c). */
import { expect, test } from 'vitest';
import { bootKernel } from '../stage.ts';
import type { Block, Instruction } from '../machine.ts';
import { type Setup, inconsistencies, ttmAlone } from '../ttm-stage.ts';
import {
  recount,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_objects,
  ttm_resource_alloc,
  ttm_resource_free,
  ttm_resource_manager_fini,
  ttm_resource_manager_set_used,
  ttm_resource_manager_usage,
  ttm_bo_validate,
} from './index.ts';

const run = (body: Block | Instruction, setup: Setup) => {
  const done = ttmAlone([ttm_bo_reserve('bo'), body, ttm_bo_unreserve('bo')], setup);
  expect([...inconsistencies(done.facts), ...recount(done.at.kernel)]).toEqual([]);
  const { managers, ttm_devices, ttm_bos, bos } = done.at.kernel;
  return { ...done, managers, unevictable: ttm_devices['bdev']?.unevictable, row: { ...bos['bo'], ...ttm_bos['bo'] } };
};
const init = ttm_resource_alloc('bo', 'TT|TOPDOWN');
const empty: Setup = { bos: { bo: { size: 3 } }, managers: { TT: { size: 8 } } };

test('KUNIT-62: a new resource has what was asked for; the usage grows by its size; it is alone on its list', () => {
  const { managers, row } = run(init, empty);
  expect(managers['bdev.TT']).toMatchObject({ usage: 3, lru: ['bo'] });
  expect(row.extra).toEqual(['TT|TOPDOWN']);
});
test('KUNIT-63: that of a pinned buffer is unevictable and on no LRU', () => {
  const { at } = ttmAlone(init, { ...empty, bos: { bo: { size: 3, pin_count: 1 } } });
  expect([at.kernel.managers['bdev.TT']?.lru, at.kernel.ttm_devices['bdev']?.unevictable]).toEqual([[], ['bo']]);
});
test('KUNIT-64: fini takes it off the list, and the usage is 0 again', () => {
  expect(run([init, ttm_resource_free('bo', 'TT')], empty).managers['bdev.TT']).toMatchObject({ usage: 0, lru: [] });
});
test('KUNIT-65: a new manager: its size, nothing used, no move, nothing on its lists', () => {
  const objects = ttm_objects({ bos: {}, managers: { TT: { size: 8 } } });
  expect(bootKernel({ objects, threads: {} }).machine.boot.managers['bdev.TT']).toMatchObject({
    state: 'used',
    size: 8,
    usage: 0,
    move: [],
    lru: [],
  });
});
test('KUNIT-66: the usage is the sum of the sizes', () => {
  const setup: Setup = { bos: { bo: { size: 3 }, other: { size: 2, place: 'TT' } }, managers: { TT: { size: 8 } } };
  expect(run([init, ttm_resource_manager_usage('bdev.TT')], setup).ret).toBe('5');
});
test('KUNIT-67: set_used opens and closes the manager', () => {
  const closed = ttm_resource_manager_set_used('bdev.TT', false);
  expect(run([closed, ttm_bo_validate('bo', ['TT'])], empty).ret).toBe('-ENOMEM');
  const open: Block = [closed, ttm_resource_manager_set_used('bdev.TT', true), ttm_bo_validate('bo', ['TT'])];
  expect(run(open, empty).ret).toBe('0');
});
test('KUNIT-68: SYSTEM gives any size, others as much as they have', () => {
  const setup: Setup = { bos: { bo: { size: 20 } }, managers: { TT: { size: 8 } } };
  expect(run([ttm_bo_validate('bo', ['SYSTEM'])], setup).managers['bdev.SYSTEM']?.usage).toBe(20);
  expect(run([ttm_bo_validate('bo', ['SYSTEM']), ttm_resource_free('bo')], setup).row.place).toBeNull();
  expect(run([ttm_bo_validate('bo', ['TT'])], setup).ret).toBe('-ENOMEM');
});
test('a manager that is torn down with a buffer in it, and the buffer that comes back to it (S-B7)', () => {
  const setup: Setup = { bos: { bo: { place: 'TT' } }, managers: { TT: { size: 8 } } };
  expect(
    inconsistencies(ttmAlone([ttm_resource_manager_fini('bdev.TT'), ttm_resource_free('bo')], setup).facts),
  ).toEqual(['S-B7', 'S-B7']);
  expect(
    inconsistencies(ttmAlone([ttm_resource_free('bo'), ttm_resource_manager_fini('bdev.TT')], setup).facts),
  ).toEqual([]);
});
