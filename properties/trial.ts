/**
 * A wrong program and its tame twin on trial, and the small kernels that such programs are written in.
 *
 * Convicted means: by the sweep, and by the judge on the very schedule that the sweep found. Acquitted means: a complete
 * sweep finds nothing at all, and the judge does not convict the twin on the schedule that convicted the other.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { type Kernel, type PropertyName, must } from '../model/design.ts';
import type { Block } from '../model/machine.ts';
import {
  dma_fence_init,
  dma_resv_add_fence,
  dma_resv_lock,
  dma_resv_reserve_fences,
  dma_resv_unlock,
  mmap,
  mutex_lock,
  mutex_unlock,
  sync_file_install,
} from '../model/objects/index.ts';
import { bootKernel } from '../model/stage.ts';
import { properties } from './index.ts';
import { judge } from './judge.ts';
import { type Blame, signature } from './property.ts';
import type { Finding } from './search/observer.ts';
import { sweep } from './search/sweep.ts';

/** One change decides: `wrong` or not. */
export type Pair = (wrong: boolean) => Kernel;

const runOf = (kernel: Kernel, { schedule, loop }: Finding) => ({
  design: 'stage',
  knobs: {},
  workload: kernel.workload ?? {},
  schedule,
  ...(loop ? { loop } : {}),
});
const convictions = (kernel: Kernel, finding: Finding): string[] =>
  judge(bootKernel(kernel), runOf(kernel, finding), properties).verdicts.map(({ blame }) => signature(blame));

/** Both of a pair on trial for this property, and this kind or sentence if one is named. */
export function trial(pair: Pair, property: PropertyName, wanted: Partial<Pick<Blame, 'kind' | 'what'>> = {}) {
  const guilty = sweep(bootKernel(pair(true)), properties, { verifyEvery: 1 });
  const tame = sweep(bootKernel(pair(false)), properties, { verifyEvery: 1 });
  const found = guilty.findings.find(
    ({ blame }) =>
      blame.property === property &&
      (wanted.kind === undefined || blame.kind === wanted.kind) &&
      (wanted.what === undefined || blame.what === wanted.what),
  );
  const judged = (kernel: Kernel): boolean =>
    found !== undefined && convictions(kernel, found).includes(signature(found.blame));
  return {
    complete: guilty.complete && tame.complete,
    guilty:
      found === undefined ? guilty.findings.map(({ blame }) => `${signature(blame)}: ${blame.what}`) : 'convicted',
    judgeOnGuilty: judged(pair(true)),
    tame: tame.findings.map(({ blame }) => `${signature(blame)}: ${blame.what}`),
    judgeOnTame: judged(pair(false)),
  };
}
export const ONE_CHANGE_DECIDES: ReturnType<typeof trial> = {
  complete: true,
  guilty: 'convicted',
  judgeOnGuilty: true,
  tame: [],
  judgeOnTame: false,
};

/** This property convicts the wrong program and says this of it, and its tame twin is acquitted of all. @throws when not */
export function convicts(property: PropertyName, what: string, pair: Pair): void {
  deepStrictEqual(trial(pair, property, { what }), ONE_CHANGE_DECIDES);
}

export const publish = (fence: string, by = '$me'): Block => [dma_fence_init(fence, by), sync_file_install(fence)];
export const locked = (lock: string, ...lines: Block): Block => [mutex_lock(lock), lines, mutex_unlock(lock)];
export const resv = (bo: string, ...lines: Block): Block => [dma_resv_lock(bo), lines, dma_resv_unlock(bo)];
export const put = (bo: string, fence: string, usage: 'KERNEL' | 'WRITE' | 'READ' | 'BOOKKEEP'): Block =>
  resv(bo, dma_resv_reserve_fences(bo), dma_resv_add_fence(bo, fence, usage));
export const OBJECTS = {
  locks: { a: {}, b: {}, ...mmap },
  fences: { f: {}, g: {} },
  resvs: { bo: {}, bo2: {} },
  userptrs: { u: {} },
};
/** Threads that must begin, over two of everything. */
export const threads = (bodies: Readonly<Record<string, Block>>, more: Partial<Kernel> = {}): Kernel => ({
  ...more,
  objects: { ...OBJECTS, ...more.objects },
  threads: {
    ...Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, must(body)])),
    ...more.threads,
  },
});
