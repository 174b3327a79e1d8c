/**
 * The fence behind a handle, and waiting until somebody submits one: the waiters' list (drivers/gpu/drm/drm_syncobj.c;
 * SO-13..SO-16).
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import { if_ret } from './flow.ts';
import { type SyncobjWaiter, handleExists, materialised, onSyncobj, syncobjRow } from './syncobj.ts';

/** Waiting for user space with any lock held: it may be stuck in a fault that needs that lock (SO-16, SO-23, LD-17). */
export function noneHeld(kernel: KernelState, me: string, what: string): void {
  const held = (kernel.threads[me] as Thread).held.filter((each) => each.class !== '');
  if (held.length > 0)
    complain(
      kernel,
      me,
      'SO-16',
      `${what} waits for a submission while ${me} holds ${held.map(({ object }) => object).join(', ')}`,
    );
}
export const enlist = (
  kernel: KernelState,
  me: string,
  obj: string,
  at: number,
  point: number,
  fence: string | null,
): void => {
  const row = syncobjRow(kernel, obj);
  row.waiters = [...row.waiters, { who: me, at, point, fence }];
};
export const entryOf = (kernel: KernelState, me: string, obj: string, at: number): SyncobjWaiter | undefined =>
  syncobjRow(kernel, obj).waiters.find((each) => each.who === me && each.at === at && each.fires === undefined);
/** On return every entry is taken off again (SO-25). */
export function delist(kernel: KernelState, me: string, objs: readonly string[]): void {
  for (const obj of new Set(objs)) {
    const row = syncobjRow(kernel, obj);
    row.waiters = row.waiters.filter((each) => each.who !== me || each.fires !== undefined);
  }
}
export const unsubmitted = (obj: string): string => `nobody has submitted anything to ${obj} yet`;

export const find_begins = instruction(
  'find_begins',
  (obj: string, point: string, flags: string) => ({ obj, point, flags }),
  {
    text: ({ obj, point, flags }) => `drm_syncobj_find_fence(${obj}, ${point}, ${flags})`,
    touches: ({ obj }) => onSyncobj(obj),
    run: (kernel, me, { obj, point, flags }) => {
      if (flags !== '0' && flags !== 'WAIT_FOR_SUBMIT') returns(kernel, me, '-EINVAL');
      else if (!handleExists(kernel, obj)) returns(kernel, me, '-ENOENT');
      else {
        if (flags !== '0') noneHeld(kernel, me, 'drm_syncobj_find_fence');
        const fence = materialised(kernel, obj, Number(point));
        if (fence === null && flags !== '0') enlist(kernel, me, obj, 0, Number(point), null);
        returns(kernel, me, fence ?? (flags === '0' ? '-EINVAL' : 'wait'));
      }
    },
  },
);
const find_sleeps = instruction('find_sleeps', (obj: string) => ({ obj }), {
  text: ({ obj }) => `drm_syncobj_find_fence(${obj}) /* waits for the submission */`,
  touches: ({ obj }) => onSyncobj(obj),
  waits: (kernel, me, { obj }) =>
    (entryOf(kernel, me, obj, 0)?.fence ?? null) === null
      ? {
          on: 'syncobj',
          object: obj,
          owedBy: [],
          because: unsubmitted(obj),
          bounded: 'times out',
          interruptible: 'interrupted',
        }
      : undefined,
  run: (kernel, me, { obj }, outcome) => {
    const fence = entryOf(kernel, me, obj, 0)?.fence ?? null;
    delist(kernel, me, [obj]);
    const why = outcome === 'interrupted' ? '-ERESTARTSYS' : outcome === 'times out' ? '-ETIME' : undefined;
    returns(kernel, me, why ?? fence ?? '-EINVAL');
  },
});
/**
 * The fence behind a handle, for a job that depends on it: ret is its name, or an error. Nothing there is an error, for
 * there is no placeholder; with WAIT_FOR_SUBMIT it waits up to five seconds for user space (SO-13..SO-16).
 */
export const drm_syncobj_find_fence = (
  obj: string,
  point: number | string = 0,
  flags: '0' | 'WAIT_FOR_SUBMIT' | (string & {}) = '0',
): Block => [find_begins(obj, `${point}`, flags), if_ret('wait', [find_sleeps(obj)])];

export const syncobjFind: KernelObject = { ops: [find_begins, find_sleeps] };
