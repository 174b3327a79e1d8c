/** What the kernel's own tests of the device assert (drivers/gpu/drm/ttm/tests/ttm_device_test.c), and teardown (B17). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Instruction } from '../machine.ts';
import { stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  device_unmap,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  drm_dev_enter,
  ttm_bo_put,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_delayed_delete,
  ttm_device_clear_dma_mappings,
  ttm_device_fini,
  ttm_device_init,
  ttm_resource_manager_evict_all,
  ttm_resource_manager_fini,
} from './index.ts';

const fresh: Setup = {
  bos: { bo: {} },
  managers: { SYSTEM: { state: 'gone' } },
  devices: { bdev: { state: 'absent', move: 'mock_move' } },
};
test('KUNIT-69: init: the driver is behind it, SYSTEM is there and in use', () => {
  const before = ttmAlone([ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['SYSTEM']), ttm_bo_unreserve('bo')], fresh);
  expect(before.ret).toBe('-ENOMEM');
  const { at, ret } = ttmAlone(ttm_device_init('bdev'), fresh);
  expect([ret, at.kernel.managers['bdev.SYSTEM']?.state]).toEqual(['0', 'used']);
  expect(at.kernel.ttm_devices['bdev']).toMatchObject({ state: 'live', move: 'mock_move' });
});
test('KUNIT-70: several devices: each with its own managers, all in the global list', () => {
  const setup: Setup = {
    bos: { bo: { device: 'b' } },
    managers: { 'a.SYSTEM': { state: 'gone' }, 'b.SYSTEM': { state: 'gone' } },
    devices: { a: { state: 'absent' }, b: { state: 'absent' } },
  };
  const validate: Block = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['SYSTEM']), ttm_bo_unreserve('bo')];
  const { at } = ttmAlone([ttm_device_init('a'), ttm_device_init('b'), validate], setup);
  expect(at.kernel.ttm_globals['ttm']?.devices).toEqual(['a', 'b']);
  expect([at.kernel.managers['a.SYSTEM']?.usage, at.kernel.managers['b.SYSTEM']?.usage]).toEqual([0, 1]);
});
test('KUNIT-71: fini: SYSTEM is empty, unused and gone, and so is the device', () => {
  const { at, facts } = ttmAlone([ttm_device_init('bdev'), ttm_device_fini('bdev')], fresh);
  expect(at.kernel.managers['bdev.SYSTEM']).toMatchObject({ state: 'gone', lru: [] });
  expect([at.kernel.ttm_devices['bdev']?.state, at.kernel.ttm_globals['ttm']?.devices]).toEqual(['gone', []]);
  expect(inconsistencies(facts)).toEqual([]);
});
test('KUNIT-72: without a manager of mmap offsets: -EINVAL, and nothing is there', () => {
  const { at } = ttmAlone(ttm_device_init('bdev'), {
    ...fresh,
    devices: { bdev: { state: 'absent', vma_manager: false } },
  });
  const returned = ttmAlone(ttm_device_init('bdev'), {
    ...fresh,
    devices: { bdev: { state: 'absent', vma_manager: false } },
  }).ret;
  expect([returned, at.kernel.ttm_devices['bdev']?.state, at.kernel.managers['bdev.SYSTEM']?.state]).toEqual([
    '-EINVAL',
    'absent',
    'gone',
  ]);
});

describe('teardown', () => {
  const setup: Setup = {
    bos: { bo: { place: 'SYSTEM', tt: 'populated' } },
    objects: { fences: { job: {} } },
    threads: { delete_bo: ttm_delayed_delete('bo') },
  };
  const busyAndPut: Block = [
    dma_fence_init('job'),
    dma_resv_lock('bo'),
    dma_resv_reserve_fences('bo'),
    dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
    dma_resv_unlock('bo'),
    ttm_bo_put('bo'),
  ];
  const unload = (last: Block | Instruction, devices: Setup['devices'] = { bdev: { move: 'mock_move' } }) => {
    const kernel = ttmKernel({ ...setup, devices });
    const at = stage({
      ...kernel,
      threads: { unload: must([busyAndPut, last]), gpu: must([dma_fence_signal('job')]), ...kernel.threads },
    });
    return { at, facts: at.runs('unload') };
  };
  test('B17.1: fini waits for the delayed deletes, which wait for the device, and only then the managers go', () => {
    const { at, facts } = unload(ttm_device_fini('bdev'));
    expect(at.because('unload')).toBe('delete_bo still deletes a buffer of bdev');
    const rest = [...at.runs('delete_bo'), ...at.runs('gpu'), ...at.runs('delete_bo'), ...at.runs('unload')];
    expect([...inconsistencies([...facts, ...rest]), at.kernel.ttm_bos['bo']?.kref]).toEqual([0]);
  });
  test('B17.3, C20: managers first: the delete that comes later reaches for one that is gone', () => {
    const { at, facts } = unload(ttm_resource_manager_fini('bdev.SYSTEM'));
    const rest = [...at.runs('gpu'), ...at.runs('delete_bo')];
    expect(inconsistencies([...facts, ...rest])).toEqual(['S-B7', 'S-B7']);
  });
  test('B17.3, C20: so it is in a fini that drains last, as it did up to 6.1', () => {
    const { at, facts } = unload(ttm_device_fini('bdev'), { bdev: { move: 'mock_move', fini: 'managers first' } });
    const rest = [...at.runs('gpu'), ...at.runs('delete_bo'), ...at.runs('unload')];
    expect(inconsistencies([...facts, ...rest])).toEqual(['S-B7', 'S-B7']);
  });
  test('nobody comes in from user space once the device is gone', () => {
    const gone = ttmAlone([ttm_device_fini('bdev'), drm_dev_enter('bdev')], { bos: {} });
    expect([gone.ret, ttmAlone(drm_dev_enter('bdev'), { bos: {} }).ret]).toEqual(['0', '1']);
  });
  test('B9.8: evict_all empties the manager, and then waits for the last move out of it', () => {
    const full: Setup = {
      bos: { a: { place: 'VRAM', tt: 'populated' }, b: { place: 'VRAM', tt: 'populated' } },
      managers: { VRAM: { size: 4, use_tt: true }, TT: { size: 4 } },
    };
    const { ret, at } = ttmAlone(ttm_resource_manager_evict_all('bdev.VRAM'), full);
    expect([ret, at.kernel.managers['bdev.VRAM']?.usage, at.kernel.managers['bdev.SYSTEM']?.usage]).toEqual([
      '0',
      0,
      2,
    ]);
    const moving: Setup = { ...full, objects: { fences: { move: { initialised: true } } } };
    const managers = { VRAM: { size: 4, use_tt: true, move: ['move'] }, TT: { size: 4 } };
    expect(ttmAlone(ttm_resource_manager_evict_all('bdev.VRAM'), { ...moving, managers }).ret).toMatch(/still waits/);
  });
  test('B17.4: after an unplug no tt keeps its pages, pinned or not', () => {
    const bos = {
      a: { place: 'TT', tt: 'populated' },
      pinned: { place: 'TT', tt: 'populated', pin_count: 1 },
    } as const;
    const { at } = ttmAlone([device_unmap('a'), ttm_device_clear_dma_mappings('bdev')], {
      bos,
      managers: { TT: { size: 4 } },
    });
    expect([at.kernel.bos['a']?.tt, at.kernel.bos['pinned']?.tt]).toEqual(['limbo', 'limbo']);
  });
});
