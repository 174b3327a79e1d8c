/** What the kernel's own tests of validate assert (drivers/gpu/drm/ttm/tests/ttm_bo_validate_test.c). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Instruction } from '../machine.ts';
import { misuses, stage } from '../stage.ts';
import { type Setup, inconsistencies, mock_routines, pagesMoved, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  type Asked,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  recount,
  ttm_bo_init_reserved,
  ttm_bo_pin,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_delayed_delete,
} from './index.ts';

const VRAM = { size: 16, use_tt: true };
const reserved = (body: Block, bo = 'bo'): Block => [ttm_bo_reserve(bo), body, ttm_bo_unreserve(bo)];
const validate = (places: readonly Asked[], ctx = '', bo = 'bo'): Block =>
  reserved(ttm_bo_validate(bo, places, ctx), bo);
const create = (bo: string, ...places: readonly Asked[]): Block => [
  ttm_bo_init_reserved(bo, places),
  dma_resv_unlock(bo),
];
/** Work of the device that is under way. */
const busy = (bo: string, fence = 'job'): Block => [
  dma_fence_init(fence),
  dma_resv_lock(bo),
  dma_resv_reserve_fences(bo),
  dma_resv_add_fence(bo, fence, 'BOOKKEEP'),
  dma_resv_unlock(bo),
];
const job: Setup = { objects: { fences: { job: {} } } };
const run = (body: Block | Instruction, setup: Setup = {}) => {
  const done = ttmAlone(body, setup);
  const bo = (name = 'bo') => ({ ...done.at.kernel.bos[name], ...done.at.kernel.ttm_bos[name] });
  expect([...inconsistencies(done.facts), ...misuses(done.facts), ...recount(done.at.kernel)]).toEqual([]);
  return { ...done, bo, moved: pagesMoved(done.facts) };
};

describe('init', () => {
  const fresh: Setup = { bos: { bo: { kref: 0, size: 2 } } };
  test('KUNIT-15: init into SYSTEM: one reference, a tt without pages, its size counted as moved, room for fences', () => {
    const at_once = ttmAlone(ttm_bo_init_reserved('bo', ['SYSTEM']), fresh);
    expect(at_once.at.kernel.resvs['bo']?.reserved).toBeGreaterThan(0);
    const { ret, bo, moved } = run(create('bo', 'SYSTEM'), fresh);
    expect([ret, moved]).toEqual(['0', 2]);
    expect(bo()).toMatchObject({ kref: 1, place: 'SYSTEM', tt: 'limbo', mmap_node: true });
    const kernelType = run(create('bo', 'SYSTEM'), { bos: { bo: { kref: 0, type: 'kernel' } } });
    expect(kernelType.bo().mmap_node).toBe(false);
  });
  test('KUNIT-16: init into a domain of the device: the resource is there', () => {
    const { ret, bo, moved } = run(create('bo', 'VRAM'), { ...fresh, managers: { VRAM } });
    expect([ret, moved, bo().place, bo().kref]).toEqual(['0', 2, 'VRAM', 1]);
  });
  test('KUNIT-17: init with the reservation of somebody else keeps it', () => {
    const setup: Setup = { bos: { bo: { kref: 0, shares: 'vm' } } };
    const { ret, at } = ttmAlone([dma_resv_lock('vm'), ttm_bo_init_reserved('bo', ['SYSTEM'])], setup);
    expect([ret, at.kernel.resvs['vm']?.owner, at.kernel.resvs['bo']?.owner]).toEqual(['0', 'task', null]);
    const unlocked = ttmAlone(ttm_bo_init_reserved('bo', ['SYSTEM']), setup);
    expect(misuses(unlocked.facts)).toContain('B1.5');
  });
  test('B6.1: an init that finds no place leaves nothing behind', () => {
    const { ret, bo, at } = run(ttm_bo_init_reserved('bo', ['VRAM']), fresh);
    expect([ret, bo().kref, bo().place, at.kernel.resvs['bo']?.owner]).toEqual(['-ENOMEM', 0, null, null]);
  });
});

describe('validate', () => {
  const system: Setup = { bos: { bo: { place: 'SYSTEM', tt: 'limbo', size: 2 } }, managers: { VRAM } };
  test('KUNIT-18: from SYSTEM to another domain: populated, moved once, placed as asked', () => {
    const { ret, bo, moved } = run(validate(['VRAM|TOPDOWN']), system);
    expect([ret, moved]).toEqual(['0', 2]);
    expect(bo()).toMatchObject({ place: 'VRAM', placement: 'TOPDOWN', tt: 'populated' });
  });
  test('KUNIT-19: a domain that nobody registered: -ENOMEM, nothing changed', () => {
    const { ret, bo } = run(validate(['PRIV2']), system);
    expect([ret, bo().place, bo().tt]).toEqual(['-ENOMEM', 'SYSTEM', 'limbo']);
  });
  test('KUNIT-20: a domain whose allocations all fail: -ENOMEM; the device may say -ENOSPC instead', () => {
    const bad: Setup = { managers: { VRAM: { ...VRAM, refuses: '-ENOSPC' } } };
    expect(run(validate(['VRAM']), bad).ret).toBe('-ENOMEM');
    expect(run(validate(['VRAM']), { ...bad, devices: { bdev: { propagates_enospc: true } } }).ret).toBe('-ENOSPC');
  });
  test('KUNIT-21: a pinned buffer cannot go anywhere else: -EINVAL', () => {
    expect(run(reserved([ttm_bo_pin('bo'), ttm_bo_validate('bo', ['SYSTEM'])])).ret).toBe('-EINVAL');
    expect(run(reserved([ttm_bo_pin('bo'), ttm_bo_validate('bo', ['SYSTEM'])]), system).ret).toBe('0');
  });
  test('KUNIT-22: where it is already, nothing moves', () => {
    for (const place of ['SYSTEM', 'VRAM'] as const) {
      const body = [create('bo', place), validate([place])];
      const { facts, ret } = run(body, { bos: { bo: { kref: 0, size: 2 } }, managers: { VRAM } });
      expect([ret, pagesMoved(facts)]).toEqual(['0', 2]); // all of it by init
    }
  });
  test('KUNIT-23: the first place is full, the second a fallback: it is the only one there', () => {
    const managers = { VRAM: { ...VRAM, refuses: '-ENOSPC' as const }, PRIV: { size: 16 } };
    const { ret, bo, moved, at } = run(validate(['VRAM|DESIRED', 'PRIV|FALLBACK']), { ...system, managers });
    expect([ret, bo().place, moved, at.kernel.managers['bdev.PRIV']?.lru]).toEqual(['0', 'PRIV', 2, ['bo']]);
  });
  test('KUNIT-24: from VRAM to SYSTEM by TT: moved twice', () => {
    const setup: Setup = {
      bos: { bo: { place: 'VRAM', tt: 'populated', size: 2 } },
      managers: { VRAM, TT: { size: 16 } },
    };
    const { ret, bo, moved, at } = run(validate(['SYSTEM']), setup);
    expect([ret, bo().place, moved]).toEqual(['0', 'SYSTEM', 4]);
    expect([at.kernel.managers['bdev.VRAM']?.usage, at.kernel.managers['bdev.TT']?.usage]).toEqual([0, 0]);
  });
  test('B10.3: a move that ends at the hop is not where anybody wants it', () => {
    const setup: Setup = {
      bos: { bo: { place: 'TT', placement: 'TEMPORARY', tt: 'populated' } },
      managers: { TT: { size: 16 } },
    };
    expect(run(validate(['TT']), setup).moved).toBe(1);
    const settled: Setup = { ...setup, bos: { bo: { place: 'TT', tt: 'populated' } } };
    expect(run(validate(['TT']), settled).moved).toBe(0);
  });
  test('KUNIT-25: no place at all, idle: the resource goes, the tt stays, empty and to be cleared', () => {
    const { ret, bo, moved, at } = run(validate([]), { bos: { bo: { place: 'SYSTEM', tt: 'populated' } } });
    expect([ret, moved, at.kernel.managers['bdev.SYSTEM']?.usage]).toEqual(['0', 0, 0]);
    expect(bo()).toMatchObject({ place: null, tt: 'limbo', zero_alloc: true });
    expect(run(validate([]), { bos: { bo: { place: 'SYSTEM' } } }).bo()).toMatchObject({ place: null, tt: 'limbo' });
  });
  test('KUNIT-26: no place at all, busy: a ghost keeps what it had until the device is done with it', () => {
    for (const type of ['device', 'kernel', 'sg'] as const) {
      const setup: Setup = {
        bos: { bo: { place: 'SYSTEM', tt: 'populated', type, bulk_move: null }, ghost: { kref: 0, ghost: true, type } },
        threads: { delete_ghost: ttm_delayed_delete('ghost') },
        ...job,
      };
      const { ret, bo, at, moved } = run([busy('bo'), validate([])], setup);
      expect([ret, moved]).toEqual(['0', 0]);
      expect(bo()).toMatchObject({ place: null, tt: 'limbo', bulk_move: null, shares: '' });
      expect(bo('ghost')).toMatchObject({ place: 'SYSTEM', tt: 'populated', kref: 1, deleted: true });
      expect(at.because('delete_ghost')).toBeUndefined();
    }
  });

  const moving = (ctx: string, signal: boolean) => {
    const body = [
      dma_fence_init('move'),
      signal ? dma_fence_signal('move') : [],
      validate(['VRAM|DESIRED', 'PRIV|FALLBACK'], ctx),
    ];
    return run(body, {
      ...system,
      managers: { VRAM: { ...VRAM, move: ['move'] }, PRIV: { size: 16 } },
      objects: { fences: { move: { published: true } } },
    });
  };
  const kernelFences = ({ at }: ReturnType<typeof moving>) => at.kernel.resvs['bo']?.fences;
  test('KUNIT-27: the last move out of the memory is over: it is used at once', () => {
    const done = moving('no_wait_gpu', true);
    expect([done.ret, done.bo().place, done.moved, kernelFences(done)]).toEqual(['0', 'VRAM', 2, []]);
  });
  test('KUNIT-28: it is not over: the memory is used, and its fence is to be waited for', () => {
    const done = moving('', false);
    expect([done.bo().place, kernelFences(done)]).toEqual(['VRAM', [{ fence: 'move', usage: 'KERNEL' }]]);
  });
  test('KUNIT-29: it is not over and nobody may wait: the next place is taken', () => {
    const done = moving('no_wait_gpu', false);
    expect([done.bo().place, kernelFences(done)]).toEqual(['PRIV', []]);
  });
  test('KUNIT-30: more pages than there may be: an earlier buffer in TT goes to SYSTEM and is swapped out', () => {
    const setup: Setup = {
      bos: { small: { place: 'TT', tt: 'populated' }, big: { size: 4 } },
      managers: { TT: { size: 16 } },
      pages_limit: 4,
    };
    const { ret, bo, at } = run(validate(['TT'], '', 'big'), setup);
    expect([ret, bo('big').place, bo('small').place, bo('small').tt]).toEqual(['0', 'TT', 'SYSTEM', 'swapped']);
    expect(at.kernel.ttm_devices['bdev']?.unevictable).toEqual(['small']);
    expect(run(validate(['TT'], '', 'big'), { ...setup, pages_limit: 5 }).bo('small').tt).toBe('populated');
  });
});

describe('evict', () => {
  const managers = { VRAM, TT: { size: 16 } };
  const full: Setup = {
    bos: { small: { kref: 0 }, medium: { kref: 0, size: 3 }, big: { kref: 0, size: 12 }, bo: {} },
    managers,
  };
  const fill = [create('small', 'VRAM'), create('medium', 'VRAM'), create('big', 'VRAM')];
  test('KUNIT-31: the least recently used goes to SYSTEM, with its pages; the others stay', () => {
    const done = run([fill, validate(['VRAM'])], full);
    expect([done.ret, done.bo().place, done.moved]).toEqual(['0', 'VRAM', 16 + 2 + 1]);
    expect(done.bo('small')).toMatchObject({ place: 'SYSTEM', tt: 'populated', zero_alloc: true });
    expect([done.bo('medium').place, done.bo('big').place]).toEqual(['VRAM', 'VRAM']);
    const used = run([fill, ttm_bo_reserve('small'), ttm_bo_unreserve('small'), validate(['VRAM'])], full);
    expect([used.bo('small').place, used.bo('medium').place]).toEqual(['VRAM', 'SYSTEM']);
  });
  const pinned = (bo: string): Block => [ttm_bo_reserve(bo), ttm_bo_pin(bo), ttm_bo_unreserve(bo)];
  test('KUNIT-32: all pinned: -ENOMEM', () => {
    expect(run([fill, pinned('small'), pinned('medium'), pinned('big'), validate(['VRAM'])], full).ret).toBe('-ENOMEM');
  });
  test('KUNIT-33: one that is not pinned among pinned ones is evicted', () => {
    const done = run([fill, pinned('small'), pinned('big'), validate(['VRAM'])], full);
    expect([done.ret, done.bo('medium').place, done.bo('small').place]).toEqual(['0', 'SYSTEM', 'VRAM']);
  });
  test('KUNIT-34: one that was deleted is cleaned up', () => {
    const setup: Setup = {
      bos: { big: { place: 'VRAM', size: 16, deleted: true, tt: 'populated' }, bo: { size: 2 } },
      managers,
    };
    const done = run(validate(['VRAM']), setup);
    expect([done.ret, done.bo('big').tt, done.bo('big').place]).toEqual(['0', 'none', null]);
    expect(done.at.kernel.managers['bdev.VRAM']?.usage).toBe(2);
  });
  test('KUNIT-35: where it would go is full and cannot be evicted from: -ENOMEM, nothing changed', () => {
    const setup: Setup = {
      bos: { big: { place: 'VRAM', size: 16, tt: 'populated' }, bo: {} },
      managers: { VRAM, PRIV: { size: 16, refuses: '-ENOSPC' } },
      devices: { bdev: { move: 'mock_move', evict_flags: 'bad_evict_flags' } },
    };
    const done = run(validate(['VRAM']), setup);
    expect([done.ret, done.bo('big').place, done.bo().place]).toEqual(['-ENOMEM', 'VRAM', null]);
  });
  test('KUNIT-36: the driver names no place: the victim is gutted', () => {
    const setup: Setup = { bos: { victim: { kref: 0, size: 16 }, bo: {} }, managers: { PRIV: { size: 16 } } };
    const done = run([create('victim', 'PRIV'), validate(['PRIV'])], setup);
    expect([done.ret, done.bo().place]).toEqual(['0', 'PRIV']);
    expect(done.bo('victim')).toMatchObject({ place: null, tt: 'limbo', zero_alloc: true });
  });
  test('KUNIT-37: where it goes, another must go first', () => {
    const setup: Setup = {
      bos: { tt: { kref: 0, size: 16 }, mock: { kref: 0, size: 16 }, bo: {} },
      managers: { TT: { size: 16 }, PRIV1: { size: 16 } },
    };
    const done = run([create('tt', 'TT'), create('mock', 'PRIV1'), validate(['TT'])], setup);
    expect([done.ret, done.bo().place, done.bo('tt').place, done.bo('mock').place]).toEqual(['0', 'TT', 'PRIV1', null]);
  });
});

describe('the mock driver', () => {
  const move = (row: object, places: readonly Asked[], all = {}) =>
    run(validate(places), { bos: { bo: row }, managers: { VRAM, TT: { size: 16 }, PRIV: { size: 16 }, ...all } });
  const copies = (row: object, place: Asked) => move({ ...row, pages: 'red', expected: 'red' }, [place]).facts;
  const steps = (row: object, place: Asked) =>
    copies(row, place).flatMap((fact) => (fact.kind === 'moved' ? [`${fact.from}>${fact.to}`] : []));
  test('KUNIT-38: from nowhere, and from SYSTEM without a tt, nothing is copied', () => {
    expect(steps({}, 'PRIV')).toEqual(['NULL>PRIV']);
    expect(steps({ place: 'SYSTEM' }, 'PRIV')).toEqual(['SYSTEM>PRIV']);
  });
  test('KUNIT-39: from VRAM to SYSTEM it asks for a hop', () => {
    expect(steps({ place: 'VRAM', tt: 'populated' }, 'SYSTEM')).toEqual(['VRAM>TT', 'TT>SYSTEM']);
  });
  test('KUNIT-40: between SYSTEM and TT nothing is copied, busy or not', () => {
    expect(steps({ place: 'SYSTEM', tt: 'populated' }, 'TT')).toEqual(['SYSTEM>TT']);
    expect(steps({ place: 'TT', tt: 'populated' }, 'SYSTEM')).toEqual(['TT>SYSTEM']);
  });
  test('KUNIT-41: anything else waits for the device and is copied', () => {
    const setup: Setup = {
      bos: { bo: { place: 'VRAM', tt: 'populated' } },
      managers: { VRAM, PRIV: { size: 16 } },
      ...job,
    };
    const kernel = ttmKernel({ ...setup, routines: mock_routines });
    const at = stage({ ...kernel, threads: { task: must([busy('bo'), validate(['PRIV'])]) } });
    at.runs('task');
    expect(at.because('task')).toMatch(/has yet to signal job/);
  });
});
