/** For tests of syncobjs: four of them, fences, files and eventfds, and what a row of calls returns. */
import { answer, answers } from './answers.ts';
import type { Block } from './machine.ts';
import {
  type Patience,
  type Point,
  dma_fence_signal,
  dma_fence_stub,
  drm_syncobj_add_point,
  drm_syncobj_query,
  drm_syncobj_replace_fence,
  drm_syncobj_reset,
  drm_syncobj_signal,
  drm_syncobj_timeline_signal,
  drm_syncobj_timeline_wait,
  drm_syncobj_wait,
  fence_arrays,
  fence_chain_nodes,
  irq_work,
  together,
} from './objects/index.ts';

export const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export const kernel = (nodes = 8) => ({
  objects: together(
    {
      fences: {
        stub: dma_fence_stub,
        ...Object.fromEntries(count(9).map((i) => [`f${i}`, { initialised: true, promisedBy: 'task' }])),
      },
      syncobjs: { a: {}, b: {}, c: {}, d: {} },
      sync_files: { file: {} },
      eventfds: { ev: {}, ev2: {} },
      locks: { lock: {} },
    },
    fence_chain_nodes(...count(nodes).map((i) => `n${i}`)),
    fence_arrays('arr'),
  ),
  threads: { irq_work: irq_work() },
});
export const settle = ['irq_work'];
export const run = (...lines: readonly Block[]) => answers(kernel(), lines, settle);
export const last = (...lines: readonly Block[]): string | undefined => answer(kernel(), lines, settle);
export const submit = (obj: string, fence: string): Block => [drm_syncobj_replace_fence(obj, fence)];
export const signal = (fence: string): Block => [dma_fence_signal(fence)];
export const reset = (...objs: readonly string[]): Block => [drm_syncobj_reset(...objs)];
export const query = (...objs: readonly string[]): Block => [drm_syncobj_query(objs)];
export const ALL = 'WAIT_ALL';
export const SUBMIT = 'WAIT_FOR_SUBMIT';
export const AVAILABLE = 'WAIT_AVAILABLE';
export const wait = (objs: readonly string[], ...flags: readonly string[]): Block => drm_syncobj_wait(objs, flags, '0');

export const wait_points = (points: readonly Point[], ...flags: readonly string[]): Block =>
  drm_syncobj_timeline_wait(points, flags, '0');

/** States of one object, by the letters of the table: unsubmitted, submitted, signalled. */
export const bring = (obj: string, state: string, fence: string): Block =>
  state === 'u' ? reset(obj) : state === 'b' ? submit(obj, fence) : [drm_syncobj_signal(obj)];
export const OBJS = ['a', 'b', 'c', 'd'];

export function table(
  states: string,
  timeline: boolean,
  flags: readonly string[],
  timeout: Patience,
): string | undefined {
  const objs = OBJS.slice(0, states.length);
  const at = (obj: string, i: number): Block => {
    const state = states[i] as string;
    if (!timeline) return bring(obj, state, `f${i}`);
    if (state === 'u') return reset(obj);
    if (state === 's') return drm_syncobj_timeline_signal([obj, 3]);
    return [drm_syncobj_add_point(obj, `n${4 + i}`, `f${i}`, 3)];
  };
  const waits = timeline
    ? drm_syncobj_timeline_wait(
        objs.map((obj) => [obj, 3]),
        flags,
        timeout,
      )
    : drm_syncobj_wait(objs, flags, timeout);
  const lines = [...objs.map(at), waits];
  const { at: on, rets } = answers(kernel(), lines, settle);
  if (on.open('task').kind !== 'blocked') return rets.at(-1);
  const facts = on.plays('task/times out', ...[]);
  const back = [...facts, ...on.runs('task')].find(
    (fact) => fact.kind === 'returned' && fact.routine === `line${lines.length - 1}`,
  );
  return back?.kind === 'returned' ? back.ret : undefined;
}

/** What the table says. */
export function expected(states: string, all: boolean, forSubmit: boolean): string {
  if (states.includes('u') && !forSubmit) return '-EINVAL';
  const done = states.split('').filter((state) => state === 's').length;
  return (all ? done === states.length : done > 0) ? '0' : '-ETIME';
}

export const mixtures = (n: number): string[] =>
  n === 0 ? [''] : mixtures(n - 1).flatMap((rest) => ['u', 'b', 's'].map((state) => rest + state));

/** The whole table for some mixtures: with and without each flag, only looking and waiting a while. @throws when it differs */
export function follows_the_table(states: readonly string[], timeline: boolean): number {
  let cases = 0;
  for (const mixture of states)
    for (const all of [false, true])
      for (const forSubmit of [false, true])
        for (const timeout of ['0', 'some'] as const) {
          const flags = [...(all ? [ALL] : []), ...(forSubmit ? [SUBMIT] : [])];
          const ret = table(mixture, timeline, flags, timeout);
          const wanted = expected(mixture, all, forSubmit);
          if (ret !== wanted) throw new Error(`${mixture} ${flags.join(' ')} ${timeout}: ${ret} instead of ${wanted}`);
          cases += 1;
        }
  return cases;
}

export const three = mixtures(3);
