/** A driver's shrinker on top of TTM (B14). */
import { expect, test } from 'vitest';
import { must } from '../design.ts';
import type { Block, Fact, Instruction } from '../machine.ts';
import { stage } from '../stage.ts';
import { type Setup, inconsistencies, ttmAlone, ttmKernel } from '../ttm-stage.ts';
import {
  cpu_read,
  dma_fence_init,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  kmalloc,
  recount,
  return_,
  ttm_bo_populate,
  ttm_bo_reserve,
  ttm_bo_shrink,
  ttm_bo_unreserve,
  ttm_lru_shrink,
} from './index.ts';

const populated = { place: 'SYSTEM', tt: 'populated', size: 2, pages: 'red', expected: 'red' } as const;
const run = (body: Block | Instruction, setup: Setup = { bos: { bo: populated } }) => {
  const done = ttmAlone(body, setup);
  expect([...inconsistencies(done.facts), ...recount(done.at.kernel)]).toEqual([]);
  return { ...done, tt: (bo = 'bo') => done.at.kernel.bos[bo]?.tt };
};
const reads = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.kind === 'reads' ? [`${fact.got}/${fact.expected}`] : []));
const under = (...body: Block): Block => [ttm_bo_reserve('bo'), body, ttm_bo_unreserve('bo')];

test('B14.5: shrinking a buffer backs it up, from SYSTEM, or from elsewhere where the move is allowed', () => {
  expect(run(under(ttm_bo_shrink('bo'))).tt()).toBe('backed_up');
  const inTt: Setup = { bos: { bo: { ...populated, place: 'TT' } }, managers: { TT: { size: 4 } } };
  expect(run(under(ttm_bo_shrink('bo')), inTt).tt()).toBe('backed_up');
  expect(run(under(ttm_bo_shrink('bo', { allow_move: false })), inTt).tt()).toBe('populated');
});
test('what was backed up comes back; what was purged does not, and is cleared (S-B1)', () => {
  const back: Block = [ttm_bo_populate('bo'), cpu_read('bo')];
  expect(reads(run(under(ttm_bo_shrink('bo'), back)).facts)).toEqual(['red/red']);
  const purgeable: Setup = { bos: { bo: { ...populated, zero_alloc: true } } };
  expect(reads(run(under(ttm_bo_shrink('bo', { purge: true }), back), purgeable).facts)).toEqual(['zero/zero']);
});
test('B14.2: in direct reclaim a busy buffer is left alone', () => {
  const busy: Block = [
    dma_fence_init('job'),
    dma_resv_lock('bo'),
    dma_resv_reserve_fences('bo'),
    dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
    dma_resv_unlock('bo'),
  ];
  const setup: Setup = { bos: { bo: populated }, objects: { fences: { job: {} } } };
  expect(run([busy, ttm_lru_shrink('bdev')], setup).ret).toBe('0');
  expect(run([busy, ttm_lru_shrink('bdev', {}, '')], setup).ret).toMatch(/has yet to signal job/);
  expect(run(ttm_lru_shrink('bdev')).ret).toBe('2');
});
test('B14.6: who allocates under the reservation of a VM reclaims nothing of that VM', () => {
  const kernel = ttmKernel({
    bos: { bo: { ...populated, shares: 'vm' } },
    objects: { shrinkers: { driver: { scan: 'scan' } } },
    routines: { scan: [ttm_lru_shrink('bdev'), return_('0')] },
  });
  const after = (body: Block): string | undefined => {
    const at = stage({ ...kernel, threads: { task: must(body) } });
    while (!at.ways('task').includes('shrinks driver')) at.plays('task');
    at.plays('task/shrinks driver');
    at.runs('task');
    return at.kernel.bos['bo']?.tt;
  };
  expect(after([dma_resv_lock('vm'), kmalloc('GFP_KERNEL'), dma_resv_unlock('vm')])).toBe('populated');
  expect(after([kmalloc('GFP_KERNEL')])).toBe('backed_up');
});
