/** For tests of dma_resv: two reservations, fences of three timelines, and what stands where. */
import type { Block } from './machine.ts';
import type { Stage } from './stage.ts';
import {
  type Usage,
  dma_fence_init,
  dma_resv_add_fence,
  dma_resv_reserve_fences,
  work_a_while,
} from './objects/index.ts';

export type Rows = Record<string, Record<string, unknown>>;
export const AB = { resvs: { a: {}, b: {} } };
export const STEP = work_a_while('looks around');
export const FENCES = { f: {}, g: {}, old: { context: 'ring', seqno: 1 }, young: { context: 'ring', seqno: 2 } };
export const init = ['f', 'g', 'old', 'young'].map((each) => dma_fence_init(each));

export const add = (fence: string, usage: Usage = 'WRITE'): Block => [
  dma_resv_reserve_fences('a'),
  dma_resv_add_fence('a', fence, usage),
];
export const rowOf = (at: Stage, resv = 'a') => at.kernel.resvs[resv] as Stage['kernel']['resvs'][string];

export const shown = (at: Stage, resv = 'a'): string[] =>
  rowOf(at, resv).fences.map(({ fence, usage }) => `${fence} ${usage}`);
