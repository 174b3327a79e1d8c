/** Points on the timeline of a syncobj: add, signal, query (drivers/gpu/drm/drm_syncobj.c; SO-8..SO-10, SO-27). */
import { type Block, type KernelObject, type KernelState, complain, instruction, returns } from '../machine.ts';
import { chainElements, chainInit, freeNodes } from './fence-chain.ts';
import { isChain, polls } from './fence-container.ts';
import { stub } from './fence-release.ts';
import { contextOf, seqnoOf } from './fence.ts';
import { kmalloc } from './memory.ts';
import { handlesRefused, onSyncobj, replaceFence, syncobjRow } from './syncobj.ts';

/** Add a point with a node that was allocated before; cannot fail. Points may come in any order (SO-8, SO-9). */
export const drm_syncobj_add_point = instruction(
  'drm_syncobj_add_point',
  (obj: string, node: string, fence: string, point: number | string) => ({ obj, node, fence, point: `${point}` }),
  {
    text: ({ obj, node, fence, point }) => `drm_syncobj_add_point(${obj}, ${node}, ${fence}, ${point})`,
    touches: ({ obj, node, fence }) => [...onSyncobj(obj), ['fence_chains', node], ['fences', fence]],
    run: (kernel, me, { obj, node, fence, point }) => {
      addPoint(kernel, me, obj, node, fence, Number(point));
      returns(kernel, me, '0');
    },
  },
);
function addPoint(kernel: KernelState, me: string, obj: string, node: string, fence: string, point: number): void {
  if (isChain(kernel, fence)) complain(kernel, me, 'K-3', `${fence}, a chain node, becomes the payload of ${node}`);
  chainInit(kernel, node, syncobjRow(kernel, obj).fence ?? undefined, fence, point);
  replaceFence(kernel, me, obj, node, 'drm_syncobj_add_point');
  chainElements(kernel, node);
}

/** A handle and a point on its timeline; point 0 is the object as a whole. */
export type Point = readonly [obj: string, point: number];
export const objsOf = (points: readonly Point[]): readonly string[] => points.map(([obj]) => obj);
const timeline_signals = instruction('timeline_signals', (points: readonly Point[]) => ({ points }), {
  text: ({ points }) =>
    `DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL(${points.map(([obj, point]) => `${obj}@${point}`).join(', ')})`,
  touches: ({ points }) => onSyncobj(...objsOf(points)),
  run: (kernel, me, { points }) => {
    const why = handlesRefused(kernel, objsOf(points));
    const nodes = freeNodes(kernel);
    const short = nodes.length < points.length;
    if (why === undefined && !short)
      for (const [obj, point] of points) addPoint(kernel, me, obj, nodes.shift() as string, stub(kernel), point);
    returns(kernel, me, why ?? (short ? '-ENOMEM' : '0'));
  },
});
/** TIMELINE_SIGNAL: a signalled point on each, point 0 too; all nodes are allocated first, so all or nothing (SO-10). */
export const drm_syncobj_timeline_signal = (...points: readonly Point[]): Block => [
  kmalloc('GFP_KERNEL', 'chains'),
  timeline_signals(points),
];

/** QUERY: ret is the value of each timeline, with blanks between; 0 unless it is one (SO-27). */
export const drm_syncobj_query = instruction(
  'drm_syncobj_query',
  (objs: readonly string[], flags: string = '0') => ({ objs, flags }),
  {
    text: ({ objs, flags }) => `DRM_IOCTL_SYNCOBJ_QUERY(${objs.join(', ')}${flags === '0' ? '' : `, ${flags}`})`,
    touches: ({ objs }) => onSyncobj(...objs),
    run: (kernel, me, { objs, flags }) => {
      const why = flags === '0' || flags === 'LAST_SUBMITTED' ? handlesRefused(kernel, objs) : '-EINVAL';
      returns(kernel, me, why ?? objs.map((obj) => valueOf(kernel, obj, flags)).join(' '));
    },
  },
);
function valueOf(kernel: KernelState, obj: string, flags: string): number {
  const head = syncobjRow(kernel, obj).fence;
  if (head === null || !isChain(kernel, head)) return 0;
  if (flags === 'LAST_SUBMITTED') return seqnoOf(kernel, head);
  const elements = chainElements(kernel, head);
  const foreign = elements.findIndex((each) => contextOf(kernel, each) !== contextOf(kernel, head));
  const last = elements[(foreign < 0 ? elements.length : foreign) - 1] as string;
  return polls(kernel, last) ? seqnoOf(kernel, last) : (kernel.fence_chains[last]?.prev_seqno ?? 0);
}

export const syncobjTimeline: KernelObject = { ops: [drm_syncobj_add_point, timeline_signals, drm_syncobj_query] };
