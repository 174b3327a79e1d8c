/**
 * What TTM owes: the only client that wants a place gets one, and what was deleted goes when its fences have signalled
 * (L-B1, L-B2). Each claim in every execution, next to the kernel that does not keep it.
 */
import { describe, expect, test } from 'vitest';
import { type Kernel, must } from '../model/design.ts';
import type { KernelState } from '../model/machine.ts';
import {
  dma_fence_init,
  dma_fence_signal,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  kswapd,
  queue_work,
  ttm_bo_pin,
  ttm_bo_put,
  ttm_bo_reserve,
  ttm_bo_unreserve,
  ttm_bo_validate,
  ttm_delayed_delete,
  work,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { ttmKernel } from '../model/ttm-stage.ts';
import { properties } from './index.ts';
import { signature } from './property.ts';
import { explore } from './search/explore.ts';
import { Learned } from './search/learned.ts';
import { sweep } from './search/sweep.ts';
import { kernelSystem } from './search/system.ts';

/** What is broken anywhere, and where the buffer is in the states in which nothing more is owed. */
function everywhere(kernel: Kernel): { broken: string[]; ends: (string | null)[] } {
  const booted = bootKernel(kernel);
  const { findings, complete, why } = sweep(booted, properties, { verifyEvery: 1 });
  expect(complete, why).toBe(true);
  const learned = new Learned(kernelSystem(booted.machine));
  const ends = new Set<string | null>();
  explore(learned, learned.packing.pack(booted.machine.boot), {
    ...{ maxStates: 100_000, patient: true, edges: false },
    state(_state, _turns, words, at, resting) {
      if (resting) ends.add(learned.packing.unpack<KernelState>(words, at).bos['bo']?.place ?? null);
    },
  });
  return { broken: findings.map(({ blame }) => signature(blame)).sort(), ends: [...ends] };
}

describe('L-B1: the only client that validates a buffer gets a place for it, whatever has to go first', () => {
  const validates = (pinned: boolean): Kernel =>
    ttmKernel({
      bos: { bo: {}, old: { place: 'VRAM', tt: 'populated' } },
      managers: { VRAM: { size: 1, use_tt: true }, TT: { size: 4 } },
      objects: { fences: { job: {} } },
      threads: {
        // What is in the way is still at work, and memory is short at any time.
        task: must([
          dma_fence_init('job', 'job_work'),
          dma_resv_lock('old'),
          dma_resv_reserve_fences('old'),
          dma_resv_add_fence('old', 'job', 'BOOKKEEP'),
          dma_resv_unlock('old'),
          queue_work('job_work'),
          pinned ? [ttm_bo_reserve('old'), ttm_bo_pin('old'), ttm_bo_unreserve('old')] : [],
          ttm_bo_reserve('bo'),
          ttm_bo_validate('bo', ['VRAM']),
          ttm_bo_unreserve('bo'),
        ]),
        job_work: work([dma_fence_signal('job')]),
        kswapd,
      },
    });
  test('in every execution', () => expect(everywhere(validates(false))).toEqual({ broken: [], ends: ['VRAM'] }));
  test('not when all that is there is pinned', () => expect(everywhere(validates(true)).ends).toEqual([null]));
});

describe('L-B2: a delayed delete comes to its end if the fences do', () => {
  const deletes = (begun: boolean): Kernel =>
    ttmKernel({
      bos: { bo: { place: 'VRAM', tt: 'populated' } },
      managers: { VRAM: { size: 1, use_tt: true } },
      objects: { fences: { job: {} } },
      threads: {
        task: must([
          dma_fence_init('job', 'job_work'),
          dma_resv_lock('bo'),
          dma_resv_reserve_fences('bo'),
          dma_resv_add_fence('bo', 'job', 'BOOKKEEP'),
          dma_resv_unlock('bo'),
          begun ? queue_work('job_work') : [],
          ttm_bo_put('bo'),
        ]),
        job_work: work([dma_fence_signal('job')]),
        delete_bo: ttm_delayed_delete('bo'),
      },
    });
  test('in every execution', () => {
    expect(everywhere(deletes(true))).toEqual({ broken: [], ends: [null] });
  });
  test('not when nobody ever begins the job: then it waits for ever, and the buffer is left', () => {
    const { broken, ends } = everywhere(deletes(false));
    expect(broken).toContain('fence-signals (never signals)');
    expect(ends).toContain('VRAM');
  });
});
