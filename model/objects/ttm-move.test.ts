/** Moves by the device: ghosts, move fences, gutting, and what is in the buffer meanwhile (B11). */
import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact } from '../machine.ts';
import { stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmKernel } from '../ttm-stage.ts';
import {
  type Asked,
  type Place,
  copy_job_init,
  cpu_read,
  device_copy,
  device_map,
  device_write,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  dma_resv_wait,
  emit,
  recount,
  return_,
  ring,
  ttm_bo_evict,
  ttm_bo_move_accel_cleanup,
  ttm_bo_move_memcpy,
  ttm_bo_move_null,
  ttm_bo_place,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_bo_wait_ctx,
  ttm_delayed_delete,
  if_ret,
} from './index.ts';

/** The driver copies with the ring `gpu`; the fence is called like the place it goes to. */
const accel = (pipeline: 'yes' | 'no' = 'yes'): Block => [
  ttm_bo_place('$bo'),
  if_ret('NULL', [ttm_bo_move_null('$bo', '$new_mem' as Place), return_('0')]),
  dma_fence_init('$new_mem'),
  copy_job_init('$bo', '$new_mem' as Place),
  emit('gpu', '$bo', '$new_mem', 'copied'),
  ttm_bo_move_accel_cleanup('$bo', '$new_mem', { evict: '$evict', pipeline, new_mem: '$new_mem' }),
];
const machine = (body: Block, setup: Setup = {}, ghosts = 1, move: Block = accel()) => {
  const spirits = Object.fromEntries(
    Array.from({ length: ghosts }, (_, at) => [`ghost${at}`, { ghost: true, kref: 0 }]),
  );
  const kernel = ttmKernel({
    managers: { TT: { size: 4 }, VRAM: { size: 4 } },
    ...setup,
    bos: { ...(setup.bos ?? { bo: { place: 'VRAM', vram: 'red', expected: 'red' } }), ...spirits },
    devices: { bdev: { move: 'move', evict_flags: 'to_tt' } },
    routines: { move, to_tt: [return_('TT')], copied: [device_copy('$job'), dma_fence_signal('$fence')] },
    objects: { fences: { TT: { context: 'copy', seqno: 1 }, VRAM: { context: 'copy', seqno: 2 } } },
  });
  const at = stage({
    ...kernel,
    threads: {
      task: must(body),
      gpu: ring(),
      ...Object.fromEntries(Object.keys(spirits).map((ghost) => [`delete_${ghost}`, ttm_delayed_delete(ghost)])),
    },
  });
  const facts = at.runs('task');
  const deletes = () => Object.keys(spirits).flatMap((ghost) => at.runs(`delete_${ghost}`));
  return { at, facts, deletes, bo: (name = 'bo') => ({ ...at.kernel.bos[name], ...at.kernel.ttm_bos[name] }) };
};
const validate = (...places: readonly Asked[]): Block => [
  ttm_bo_reserve('bo'),
  ttm_bo_validate('bo', places),
  ttm_bo_unreserve('bo'),
];
const evict: Block = [ttm_bo_reserve('bo'), ttm_bo_evict('bo'), ttm_bo_unreserve('bo')];
const reads = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'reads' ? [`${fact.got}/${fact.expected}`] : []));

describe('a move that is no eviction', () => {
  test('B11.1: the buffer is there at once; a ghost keeps the old memory until the fence, and the buffer alive', () => {
    const { at, bo, facts, deletes } = machine(validate('TT'));
    expect(bo()).toMatchObject({ place: 'TT', tt: 'populated', kref: 2 });
    expect(bo('ghost0')).toMatchObject({ place: 'VRAM', tt: 'none', deleted: true });
    expect([at.kernel.managers['bdev.VRAM']?.usage, at.kernel.managers['bdev.VRAM']?.move]).toEqual([1, []]);
    expect(at.kernel.resvs['bo']?.fences).toEqual([{ fence: 'TT', usage: 'KERNEL' }]);
    deletes();
    expect(at.because('delete_ghost0')).toMatch(/has yet to signal TT/);
    const more = [...at.runs('gpu'), ...deletes()];
    expect([at.kernel.managers['bdev.VRAM']?.usage, bo().kref, bo('ghost0').kref]).toEqual([0, 1, 0]);
    expect([...inconsistencies([...facts, ...more]), ...recount(at.kernel)]).toEqual([]);
  });
  test('B11.1: to device memory the ghost takes the pages along', () => {
    const { at, bo, deletes } = machine(validate('VRAM'), {
      bos: { bo: { place: 'TT', tt: 'populated', pages: 'red', expected: 'red' } },
    });
    expect([bo().tt, bo('ghost0').tt, at.kernel.ttm_globals['ttm']?.pages_allocated]).toEqual(['none', 'populated', 1]);
    at.runs('gpu');
    deletes();
    expect([bo().vram, at.kernel.ttm_globals['ttm']?.pages_allocated]).toEqual(['red', 0]);
    expect(recount(at.kernel)).toEqual([]);
  });
  test('B4.1: who waits for the KERNEL fence finds the contents; who does not finds what was there before', () => {
    const patient = machine([validate('TT'), dma_resv_wait('bo', 'KERNEL'), cpu_read('bo')]);
    expect(reads([...patient.at.runs('gpu'), ...patient.at.runs('task')])).toEqual(['red/red']);
    expect(reads(machine([validate('TT'), cpu_read('bo')]).facts)).toEqual(['stale/red']);
  });
  test('B11.1: a job from before may still write the old memory, and that is copied', () => {
    const body = [
      device_map('bo'),
      validate('TT'),
      device_write('bo', 'blue'),
      dma_resv_wait('bo', 'KERNEL'),
      cpu_read('bo'),
    ];
    const { at, facts } = machine(body);
    expect(reads([...facts, ...at.runs('gpu'), ...at.runs('task')])).toEqual(['blue/blue']);
    const late = machine([device_map('bo'), validate('TT'), dma_resv_wait('bo', 'KERNEL'), device_write('bo', 'blue')]);
    const more = [...late.at.runs('gpu'), ...late.at.runs('task')];
    expect(more.some((fact) => fact.kind === 'accesses' && fact.stale !== null)).toBe(true);
  });
  test('B11.4: without a ghost nothing moves: -ENOMEM, and the driver must wait by itself', () => {
    const { bo, facts } = machine(validate('TT'), {}, 0);
    expect([bo().place, facts.some((fact) => fact.kind === 'returned' && fact.ret === '-ENOMEM')]).toEqual([
      'VRAM',
      true,
    ]);
  });
});

describe('an eviction', () => {
  test('B11.1: device memory goes back at once; whoever gets it inherits the fence', () => {
    const { at, bo, facts } = machine(evict, {}, 0);
    expect([bo().place, at.kernel.managers['bdev.VRAM']?.usage, at.kernel.managers['bdev.VRAM']?.move]).toEqual([
      'TT',
      0,
      ['TT'],
    ]);
    expect([...inconsistencies(facts), ...recount(at.kernel)]).toEqual([]);
  });
  test('B11.5: without pipelining, and out of pages, it waits for the copy', () => {
    expect(machine(evict, {}, 0, accel('no')).at.because('task')).toMatch(/has yet to signal TT/);
    const pages = {
      managers: { TT: { size: 4 }, VRAM: { size: 4, use_tt: true } },
      bos: { bo: { place: 'VRAM' as const, tt: 'populated' } },
    };
    expect(machine(evict, pages, 0).at.because('task')).toMatch(/has yet to signal TT/);
  });
  test('device memory that goes back while somebody works in it; after a wait, or with the manager told, it may (S-B3)', () => {
    const rules = (move: Block): string[] => {
      const setup: Setup = {
        bos: { bo: { place: 'VRAM' } },
        managers: { TT: { size: 4 }, VRAM: { size: 4 } },
        devices: { bdev: { move: 'move', evict_flags: 'to_tt' } },
        routines: { move, to_tt: [return_('TT')] },
        objects: { fences: { job: {} } },
      };
      const job: Block = [
        dma_fence_init('job'),
        dma_resv_lock('bo'),
        dma_resv_reserve_fences('bo'),
        dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
        dma_resv_unlock('bo'),
      ];
      const at = stage({
        ...ttmKernel(setup),
        threads: { task: must([job, evict]), gpu: must([dma_fence_signal('job')]) },
      });
      return inconsistencies([...at.runs('task'), ...at.runs('gpu'), ...at.runs('task')]);
    };
    const copy = ttm_bo_move_memcpy('$bo', '$new_mem' as Place);
    expect(rules([copy])).toEqual(['S-B3']);
    expect(rules([ttm_bo_wait_ctx('$bo', '$ctx'), copy])).toEqual([]);
  });
  test('B11.2: only the latest fence is remembered: with two copy engines the first is forgotten, unless there is room', () => {
    const both = (room: number) => {
      const setup: Setup = {
        bos: { bo: { place: 'VRAM' }, other: { place: 'VRAM' } },
        managers: { TT: { size: 4 }, VRAM: { size: 4, move_fences: room } },
      };
      const engine: Block = [
        dma_fence_init('$bo'),
        copy_job_init('$bo', '$new_mem' as Place),
        emit('gpu', '$bo', '$bo', 'copied'),
        ttm_bo_move_accel_cleanup('$bo', '$bo', { evict: 'yes', pipeline: 'yes', new_mem: '$new_mem' }),
      ];
      const kernel = ttmKernel({
        ...setup,
        devices: { bdev: { move: 'engine', evict_flags: 'to_tt' } },
        routines: { engine, to_tt: [return_('TT')], copied: [device_copy('$job'), dma_fence_signal('$fence')] },
        objects: { fences: { bo: {}, other: {} } },
      });
      const second: Block = [ttm_bo_reserve('other'), ttm_bo_evict('other'), ttm_bo_unreserve('other')];
      return inconsistencies(stage({ ...kernel, threads: { task: must([evict, second]), gpu: ring() } }).runs('task'));
    };
    expect([both(1), both(2)]).toEqual([['B11.2'], []]);
  });
});

describe('gutting', () => {
  test('B11.6: an idle buffer is emptied at once; what it held is given up on purpose', () => {
    const { at, bo } = machine(validate(), {
      bos: { bo: { place: 'TT', tt: 'populated', pages: 'red', expected: 'red' } },
    });
    expect(bo()).toMatchObject({ place: null, tt: 'limbo', expected: 'zero' });
    expect(recount(at.kernel)).toEqual([]);
  });
  test('B11.6: a busy one leaves everything to a ghost', () => {
    const { at, bo, deletes } = machine([validate('TT'), validate()], {}, 2);
    expect([bo().place, bo().tt, bo('ghost1').place, bo('ghost1').tt]).toEqual([null, 'limbo', 'TT', 'populated']);
    at.runs('gpu');
    deletes();
    expect([at.kernel.managers['bdev.VRAM']?.usage, at.kernel.managers['bdev.TT']?.usage, bo().kref]).toEqual([
      0, 0, 1,
    ]);
    expect(recount(at.kernel)).toEqual([]);
  });
});
