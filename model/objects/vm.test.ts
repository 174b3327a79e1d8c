import { describe, expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage } from '../stage.ts';
import { ttmKernel } from '../ttm-stage.ts';
import {
  copy_job_init,
  device_copy,
  device_map,
  device_read,
  device_unmap,
  dma_fence_init,
  dma_fence_signal,
  dma_resv_wait,
  emit,
  ring,
  tlb,
  tlb_invalidate,
  tlb_invalidate_wait,
  ttm_bo_move_accel_cleanup,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_delayed_delete,
  user_queue,
} from './index.ts';

describe('a TLB', () => {
  const cached = (...lines: Block) =>
    stage({
      objects: { bos: { bo: { place: 'TT', tt: 'populated', mapped: 'pages' } }, tlb_entries: { bo: { tlb: 'tlb' } } },
      threads: { tlb: tlb(), queue: user_queue({ uses: ['bo'] }), task: must(lines) },
    });
  const reaches = (at: ReturnType<typeof cached>): unknown =>
    at.plays('queue').find((fact) => fact.kind === 'accesses');
  test('remembers an entry from the first access on', () => {
    const before = cached(device_unmap('bo'));
    before.runs('task');
    expect(reaches(before)).toMatchObject({ stale: 'bo is not mapped any more' });
    const after = cached(device_unmap('bo'));
    reaches(after);
    after.runs('task');
    expect(reaches(after)).toMatchObject({ stale: null });
  });
  test('forgets when it acknowledges, not when it is asked', () => {
    const at = cached(device_unmap('bo'), tlb_invalidate('tlb'));
    reaches(at);
    at.runs('task');
    expect(reaches(at)).toMatchObject({ stale: null });
    at.runs('tlb');
    expect(reaches(at)).toMatchObject({ stale: 'bo is not mapped any more' });
  });
  describe('B11.1: of a buffer that the device moves', () => {
    /** A copy by the device to TT; the driver zaps the entry, and reads before the copy and after it. */
    const moved = (flushes: boolean) => {
      const kernel = ttmKernel({
        managers: { TT: { size: 4 }, VRAM: { size: 4 } },
        bos: { bo: { place: 'VRAM', vram: 'red', expected: 'red' }, ghost: { ghost: true, kref: 0 } },
        devices: { bdev: { move: 'move' } },
        routines: {
          move: [
            dma_fence_init('TT'),
            copy_job_init('$bo', 'TT'),
            emit('gpu', '$bo', 'TT', 'copied'),
            ttm_bo_move_accel_cleanup('$bo', 'TT', { evict: '$evict', pipeline: 'yes', new_mem: '$new_mem' }),
          ],
          copied: [device_copy('$job'), dma_fence_signal('$fence')],
        },
        objects: { fences: { TT: {} }, tlb_entries: { bo: { tlb: 'tlb' } } },
      });
      const validate: Block = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['TT']), ttm_bo_unreserve('bo')];
      const flush: Block = flushes ? [tlb_invalidate('tlb'), tlb_invalidate_wait('tlb')] : [];
      return stage({
        ...kernel,
        threads: {
          task: must([
            device_map('bo'),
            device_read('bo'),
            validate,
            device_unmap('bo'),
            flush,
            device_read('bo'),
            dma_resv_wait('bo', 'KERNEL'),
            device_read('bo'),
          ]),
          gpu: ring(),
          tlb: tlb(),
          delete_ghost: ttm_delayed_delete('ghost'),
        },
      });
    };
    const stale = (at: ReturnType<typeof stage>): (string | null)[] => {
      const facts = [...at.runs('task'), ...at.runs('tlb'), ...at.runs('task'), ...at.runs('gpu'), ...at.runs('task')];
      return facts.flatMap((fact) => (fact.kind === 'accesses' ? [fact.stale] : []));
    };
    test('what it remembers is good until the copy is done, and lost afterwards', () => {
      expect(stale(moved(false))).toEqual([
        null,
        null,
        'the memory behind what its TLB remembers of bo was taken away',
      ]);
    });
    test('after a flush it leads nowhere at once', () => {
      const gone = 'bo is not mapped any more';
      expect(stale(moved(true))).toEqual([null, gone, gone]);
    });
  });
});
