/** The last put, and the delete that has to wait (B16). */
import { expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block } from '../machine.ts';
import { stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_replace_fences,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  recount,
  ttm_bo_get,
  ttm_bo_put,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_delayed_delete,
} from './index.ts';

const busy = (resv: string): Block => [
  dma_fence_init('job'),
  dma_resv_lock(resv),
  dma_resv_reserve_fences(resv),
  dma_resv_add_fence(resv, 'job', 'BOOKKEEP'),
  dma_resv_unlock(resv),
];
const one: Setup = {
  bos: { bo: { place: 'VRAM', tt: 'populated' }, next: {} },
  managers: { VRAM: { size: 1, use_tt: true }, TT: { size: 4 } },
  objects: { fences: { job: {}, stub: {} } },
};
const put = (before: Block, setup: Setup = one) => {
  const kernel = ttmKernel(setup);
  const evictor: Block = [ttm_bo_reserve('next'), ttm_bo_validate('next', ['VRAM']), ttm_bo_unreserve('next')];
  const at = stage({
    ...kernel,
    threads: {
      task: must([before, ttm_bo_put('bo')]),
      gpu: must([dma_fence_signal('job')]),
      evictor: must(evictor),
      delete_bo: ttm_delayed_delete('bo'),
    },
  });
  const facts = at.runs('task');
  return { at, facts, bo: () => ({ ...at.kernel.bos['bo'], ...at.kernel.ttm_bos['bo'] }) };
};

test('B16.7: idle: cleaned up and gone on the stack of the last put', () => {
  const { at, bo } = put([]);
  expect([bo().kref, bo().place, bo().tt, at.open('delete_bo').kind]).toEqual([0, null, 'none', 'idle']);
});
test('B16.4: busy: deleted later, on its LRU until then, and no longer pinned', () => {
  const { at, bo } = put(busy('bo'), {
    ...one,
    bos: { ...one.bos, bo: { place: 'VRAM', tt: 'populated', pin_count: 1 } },
  });
  expect(bo()).toMatchObject({ deleted: true, kref: 1, place: 'VRAM', pin_count: 0 });
  expect(at.kernel.managers['bdev.VRAM']?.lru).toEqual(['bo']);
  at.runs('delete_bo');
  expect(at.because('delete_bo')).toMatch(/has yet to signal job/);
  at.runs('gpu');
  at.runs('delete_bo');
  expect([bo().kref, bo().place, recount(at.kernel)]).toEqual([0, null, []]);
});
test('B16.4: type sg is always deleted later; so is one whose reservation somebody holds', () => {
  expect(put([], { ...one, bos: { ...one.bos, bo: { place: 'SYSTEM', type: 'sg' } } }).bo().deleted).toBe(true);
  const held = put([dma_resv_lock('bo')]);
  expect(held.bo().deleted).toBe(true);
});
test('B16.6: an eviction may clean it up first; the worker then finds nothing, and it is freed once', () => {
  const { at, facts, bo } = put(busy('bo'));
  at.runs('gpu');
  const evicting = at.runs('evictor');
  expect([bo().place, bo().tt, at.kernel.bos['next']?.place]).toEqual([null, 'none', 'VRAM']);
  const rest = at.runs('delete_bo');
  expect([bo().kref, inconsistencies([...facts, ...evicting, ...rest]), recount(at.kernel)]).toEqual([0, [], []]);
});
test('B16.2, B16.3: with a shared reservation it takes copies of the fences, which the driver may replace', () => {
  const shared: Setup = { ...one, bos: { ...one.bos, bo: { place: 'VRAM', tt: 'populated', shares: 'vm' } } };
  const { at, bo } = put(busy('vm'), shared);
  expect([bo().individual, bo().deleted, at.kernel.resvs['bo']?.fences]).toEqual([
    true,
    true,
    [{ fence: 'job', usage: 'BOOKKEEP' }],
  ]);
  const stub: Block = [
    dma_resv_lock('$bo'),
    dma_resv_replace_fences('$bo', 'job', 'stub', 'BOOKKEEP'),
    dma_resv_unlock('$bo'),
  ];
  const notified: Setup = { ...shared, devices: { bdev: { release_notify: 'notify' } }, routines: { notify: stub } };
  const done = put([busy('vm'), dma_fence_init('stub'), dma_fence_signal('stub')], notified);
  expect([done.bo().deleted, done.bo().kref]).toEqual([false, 0]);
});
test('a reference to what is gone (S-B6)', () => {
  expect(inconsistencies(put([ttm_bo_put('bo')]).facts)).toEqual(['S-B6']);
  expect(inconsistencies(ttmAlone([ttm_bo_put('bo'), ttm_bo_get('bo')], one).facts)).toEqual(['S-B6']);
  expect(inconsistencies(ttmAlone([ttm_bo_get('bo'), ttm_bo_put('bo'), ttm_bo_put('bo')], one).facts)).toEqual([]);
});
test('a deleted buffer that gets a place again (S-B5)', () => {
  const setup: Setup = { ...one, bos: { bo: { deleted: true } } };
  const body = [ttm_bo_reserve('bo'), ttm_bo_validate('bo', ['VRAM']), ttm_bo_unreserve('bo')];
  expect(inconsistencies(ttmAlone(body, setup).facts)).toEqual(['S-B5']);
});
test('a busy buffer without a worker is our mistake, and is said so', () => {
  expect(() => ttmAlone([busy('bo'), ttm_bo_put('bo')], one)).toThrow(/declare a thread ttm_delayed_delete\('bo'\)/);
});
